"""The text of a script as octets: escapes (``\\r \\n \\t \\0 \\s \\\\ \\{ \\xHH``), placeholders (``{user}``), and
texts that are long (``{x*998}``, ``{x*size+1}``). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

NAMES: Mapping[str, str] = {
    "domain": "the server's own mail domain",
    "shouted": "the same in capitals",
    "user": "an address there that takes mail",
    "local": "its local part",
    "unknown": "an address there that nobody has (needs: users)",
    "route": "an address elsewhere that the server passes mail on to (needs: route or stranger)",
    "nowhere": "an address that nothing leads to",
    "nomail": "an address in a domain that takes no mail (needs: null mx)",
    "sender": "the reverse-path",
    "client": "what the client calls itself",
    "hostname": "what the server calls itself, as in its greeting",
    "name": "a name that AUTH knows (needs: auth)",
    "password": "its password (needs: auth)",
    "plain": "both, as RFC 4616's message in base64 (needs: auth)",
    "name64": "the name in base64 (needs: auth)",
    "password64": "the password in base64 (needs: auth)",
    "size": "the largest mail, as the last EHLO said (needs: SIZE)",
}
"""The placeholders that there always are, and what they mean."""

_SIMPLE = {"r": 13, "n": 10, "t": 9, "0": 0, "\\": 92, "{": 123, "}": 125, "s": 32}
_TOKEN = re.compile(
    r"\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<simple>[rnt0s\\{}])|(?P<wrong>\\)"
    r"|\{(?P<name>[a-z][a-z0-9_]*)(?P<more>\+[0-9]+)?\}"
    r"|\{(?P<unit>(?:[^{}*\\]|\\x[0-9a-fA-F]{2}|\\[rnt0s\\{}])+)\*(?P<count>[0-9]+|size)(?P<plus>\+[0-9]+)?\}"
    r"|(?P<brace>[{}])|(?P<plain>[^\\{}]+)"
)
LONGEST = 64 << 20
"""Octets that one text may become: no script fills the memory."""


def check(text: str, known: Mapping[str, object]) -> str:
    """What is wrong with a text, in words; "" where it is right. ``known``: the names that there are besides NAMES."""
    for token in _TOKEN.finditer(text):
        if token["wrong"]:
            return f"{text[token.start() : token.start() + 2]!r} is no escape; a backslash is written \\\\"
        if token["brace"]:
            brace = token["brace"]
            return f"a {brace!r} that belongs to no placeholder; the character itself is written \\{brace}"
        if token["name"] and token["name"] not in NAMES and token["name"] not in known:
            return f"there is no placeholder {{{token['name']}}}; known are {', '.join(sorted({*NAMES, *known}))}"
        if token["more"] and token["name"] != "size":
            return f"only a number can be added to: {{{token['name']}{token['more']}}}"
    return ""


def fill(text: str, values: Mapping[str, str], bound: Mapping[str, str]) -> bytes:
    """The octets that a text stands for. Values are taken as they are; those that are bound are texts of the script,
    with escapes and placeholders of their own. Raises KeyError for a placeholder that has no value here, ValueError
    for a text that would be longer than LONGEST."""
    filled = b"".join(_pieces(text, values, bound))
    if len(filled) > LONGEST:
        raise ValueError(f"more than {LONGEST:,} octets: {text[:60]}")
    return filled


def _pieces(text: str, values: Mapping[str, str], bound: Mapping[str, str]) -> Iterator[bytes]:
    for token in _TOKEN.finditer(text):
        if token["hex"]:
            yield bytes([int(token["hex"], 16)])
        elif token["simple"]:
            yield bytes([_SIMPLE[token["simple"]]])
        elif token["unit"]:
            unit = fill(token["unit"], {}, {})
            count = int(values["size"] if token["count"] == "size" else token["count"]) + int(token["plus"] or 0)
            if count * len(unit) > LONGEST:
                raise ValueError(f"more than {LONGEST:,} octets: {token[0]}")
            yield unit * count
        elif token["name"] in bound:
            yield fill(bound[token["name"]], values, {})
        elif token["name"]:
            value = values[token["name"]]
            yield str(int(value) + int(token["more"])).encode() if token["more"] else value.encode()
        else:
            yield (token["plain"] or token[0]).encode()


def spelled(octets: bytes) -> str:
    """A text that stands for these octets, and for nothing else. The inverse of :func:`fill`."""
    names = {value: name for name, value in _SIMPLE.items() if name != "s"}
    text = "".join(
        f"\\{names[octet]}" if octet in names else chr(octet) if 32 <= octet < 127 else f"\\x{octet:02x}"
        for octet in octets
    )
    # Nobody sees a space at the end of a line, and editors take it away.
    return f"{text[:-1]}\\s" if text.endswith(" ") else text
