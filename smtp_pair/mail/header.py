"""The header of a mail or of a part: the fields that say what it is, and what their values mean.

Fields are taken as they stand in the raw mail. A value is decoded when it is asked for: encoded words (RFC 2047), and
parameters (RFC 2045 5.1) that are continued, encoded or in a charset of their own (RFC 2231); also what mailers send
instead: octets beyond ASCII, encoded words in parameters, quotes that never close.

Each step is linear in the length of the header, whatever is in it.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from smtp_pair.mail import decoding

SIZE_LIMIT = 256 << 10
"""Octets of a header that are read; what is further down counts as body."""
PARAMETER_LIMIT = 1000
"""Parameters of a field that are read."""

_WANTED = rb"(?:subject|date|content-(?:type|disposition|transfer-encoding))[ \t]*:"
# What begins with -- is no field but a boundary: some have a colon in them (RFC 2046 5.1.1 shows one).
_NAME = rb"(?!--)[!-9;-~]+[ \t]*:"
_VALUE = rb"[^\r\n]*(?:\r\n[ \t][^\r\n]*)*"
_END = rb"(?:\r\n|\Z)"
# "From " opens the mail in a mailbox file, and comes along when such a file is sent. Not more fields at once than the
# matcher's stack has room for: it takes 450 octets for each.
_OTHERS = re.compile(rb"(?:(?!%b)(?:%b|From )%b%b){0,100}" % (_WANTED, _NAME, _VALUE, _END), re.IGNORECASE)
_FIELD = re.compile(rb"(?=%b)([a-z-]+)[ \t]*:[ \t]*(%b)%b" % (_WANTED, _VALUE, _END), re.IGNORECASE)

_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_Q_OCTET = re.compile(rb"=([0-9A-Fa-f]{2})")

_SPECIAL = re.compile(r'[;"(]')
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_IN_STRING = re.compile(r'\\.|"', re.DOTALL)
_IN_COMMENT = re.compile(r"\\.|[()]", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*?)")


class Header(NamedTuple):
    """What stands before the body."""

    fields: Mapping[bytes, bytes]
    """The raw values of Subject, Date and the Content fields, by name in lower case; the first of each name."""
    body: int
    """Where the body begins, as an offset into the mail."""
    defects: tuple[str, ...]


class Heading(NamedTuple):
    """What a mail shows of itself in a list of mails."""

    subject: str
    """Decoded; "" where there is none."""
    date: str
    """As it is written; "" where there is none."""


class Structured(NamedTuple):
    """A value with parameters."""

    value: str
    """What stands before the first parameter, in lower case."""
    parameters: Mapping[str, str]
    """Decoded, by name in lower case."""


NOTHING = Structured("", MappingProxyType({}))


def read(content: bytes, start: int = 0) -> Header:
    """The header that begins at ``start`` and goes to an empty line, or to one that can't belong to a header."""
    limit = min(len(content), start + SIZE_LIMIT)
    fields: dict[bytes, bytes] = {}
    at = start
    while True:
        others = _OTHERS.match(content, at, limit)
        beyond = others.end() if others else at
        field = _FIELD.match(content, beyond, limit)
        if field is not None:
            fields.setdefault(field[1].lower(), field[2])
            beyond = field.end()
        if beyond == at:
            break
        at = beyond
    if at < limit and content.startswith(b"\r\n", at):
        return Header(fields, at + 2, ())
    if at == len(content):
        return Header(fields, at, ())
    if limit < len(content) and content.find(b"\r\n", at, limit) < 0:
        return Header(fields, at, (f"a header of more than {SIZE_LIMIT:,} octets: the rest counts as body",))
    return Header(fields, at, ("no empty line between header and body",))


def heading(content: bytes) -> Heading:
    """Subject and date of a mail, of which nothing but the header is looked at."""
    return heading_in(read(content).fields, [])


def heading_in(fields: Mapping[bytes, bytes], defects: list[str]) -> Heading:
    """Subject and date among the fields of a mail."""
    subject, date = fields.get(b"subject"), fields.get(b"date")
    return Heading(
        words(_unfolded(subject, defects), defects) if subject else "",
        _unfolded(date, defects).strip() if date else "",
    )


def token(field: bytes | None, defects: list[str]) -> str:
    """A value of one word, like ``base64``, in lower case; "" where there is none."""
    return structured(field, defects).value[:40] if field else ""  # as it is told, so not without end


def structured(field: bytes | None, defects: list[str]) -> Structured:
    """A value with parameters, like ``attachment; filename="plan.gif"``. Of two parameters of one name, the first."""
    if not field:
        return NOTHING
    text = _unfolded(field, defects)
    first, at = _piece(text, 0)
    parameters: dict[str, str] = {}
    value = first.plain.partition("(")[0].rstrip().lower() or first.string.lower()
    if "=" in first.plain:  # a semicolon is missing, as in: attachment filename="plan.gif"
        name, argument = first.parameter()
        value, _, name = name.rpartition(" ")
        parameters[name] = argument
    for _ in range(PARAMETER_LIMIT):
        if at >= len(text):
            break
        piece, at = _piece(text, at)
        parameters.setdefault(*piece.parameter())
    else:
        defects.append(f"more than {PARAMETER_LIMIT:,} parameters: the rest is not read")
    return Structured(value, _whole(parameters, defects))


def words(text: str, defects: list[str]) -> str:
    """``text`` with its encoded words decoded (RFC 2047), wherever they stand.

    White space between two of them is not part of the text (6.2). Neighbours of one charset are decoded together: some
    mailers split them within a character, though they should not (5).
    """
    if "=?" not in text:
        return text
    pieces: list[str] = []
    neighbours: list[bytes] = []
    charset, at = "", 0

    def decode_neighbours() -> None:
        if neighbours:
            pieces.append(decoding.text(b"".join(neighbours), charset, defects))
            neighbours.clear()

    for word in _WORD.finditer(text):
        between, own = text[at : word.start()], word[1].partition("*")[0].lower()  # RFC 2231 5: a language may follow
        apart = not neighbours or between.strip(" \t")
        if apart or own != charset:
            decode_neighbours()
        if apart:
            pieces.append(between)
        charset, at = own, word.end()
        neighbours.append(_octets(word[2], word[3].encode(), defects))
    decode_neighbours()
    return "".join(pieces) + text[at:]


def _octets(encoding: str, encoded: bytes, defects: list[str]) -> bytes:
    """What the text of an encoded word stands for (RFC 2047 4)."""
    if encoding in "bB":
        return decoding.base64(encoded, defects)
    return _Q_OCTET.sub(lambda octet: unhexlify(octet[1]), encoded.replace(b"_", b" "))


def _unfolded(field: bytes, defects: list[str]) -> str:
    """A raw value without the line ends of its folding, as text: in UTF-8 (RFC 6532), or what else it may be."""
    octets = field.replace(b"\r\n", b"")
    return octets.decode("ascii") if octets.isascii() else decoding.guessed(octets, defects)


class _Piece(NamedTuple):
    """What stands between two semicolons of a value, without its comments."""

    plain: str
    """What is not quoted."""
    string: str
    """The first quoted string, its quotes undone. What follows it is left out."""

    def parameter(self) -> tuple[str, str]:
        """Name, in lower case, and value."""
        name, _, value = self.plain.partition("=")
        return name.rstrip().lower(), value.lstrip() + self.string


def _piece(text: str, at: int) -> tuple[_Piece, int]:
    """The piece that begins at ``at``, and where the next one does.

    A parenthesis within a word opens no comment: ``filename=plan(1).gif`` comes from mailers that should have quoted.
    """
    plain: list[str] = []
    rest = plain  # what is left out goes elsewhere
    string: str | None = None
    while True:
        special = _SPECIAL.search(text, at)
        end = special.start() if special else len(text)
        rest.append(text[at:end])
        if special is None or special[0] == ";":
            return _Piece("".join(plain).strip(), string or ""), end + 1
        if special[0] == '"':
            found, at = _string(text, end + 1)
            if string is None:
                string, rest = found, []
        elif end == 0 or text[end - 1] in ' \t;=")':
            at = _after_comment(text, end + 1)
        else:
            rest.append("(")
            at = end + 1


def _string(text: str, start: int) -> tuple[str, int]:
    """The quoted string whose text begins at ``start``, and where it ends: at the end of all, if it never closes."""
    for match in _IN_STRING.finditer(text, start):
        if match[0] == '"':
            return _PAIR.sub(r"\1", text[start : match.start()]), match.end()
    return _PAIR.sub(r"\1", text[start:]), len(text)


def _after_comment(text: str, start: int) -> int:
    """Where the comment that has opened ends; comments may hold comments."""
    depth = 1
    for match in _IN_COMMENT.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return len(text)


def _whole(parameters: Mapping[str, str], defects: list[str]) -> Mapping[str, str]:
    """Parameters put together and decoded (RFC 2231).

    ``name*`` and ``name*0`` win over ``name``: that is for readers who know no better (RFC 6266 4.3 says it of HTTP).
    """
    found = {name: words(value, defects) for name, value in parameters.items() if "*" not in name}
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    for name, value in parameters.items():
        if "*" in name and (section := _SECTION.fullmatch(name)) is not None:
            sections.setdefault(section[1], []).append((int(section[2] or 0), bool(section[3]), value))
    for name, pieces in sections.items():
        found[name] = _joined(sorted(pieces), defects) or found.get(name, "")
    return found


def _joined(sections: list[tuple[int, bool, str]], defects: list[str]) -> str:
    """The value whose sections these are: number, whether encoded, text (RFC 2231 3, 4)."""
    if [number for number, _, _ in sections] != list(range(len(sections))):
        defects.append("a continued parameter with a section missing or doubled")
    if not any(encoded for _, encoded, _ in sections):
        return words("".join(text for _, _, text in sections), defects)
    charset = "us-ascii"
    first, encoded, text = sections[0]
    if encoded and text.count("'") >= 2:
        charset, _, text = text.split("'", 2)
        sections[0] = (first, encoded, text)
    octets = [unquote_to_bytes(text) if encoded else text.encode() for _, encoded, text in sections]
    return decoding.text(b"".join(octets), charset or "us-ascii", defects)
