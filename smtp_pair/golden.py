"""A mail beside a golden one: a file that shows how it should be, with wildcards for what varies.

    Subject: Welcome, Luke
    Date: {*}                       anything, in this line
    Boundary: {*boundary}           anything but nothing, and the same wherever the name stands again
    {...}                           any lines, as few as will do
    \\{*                             the characters themselves

Everything else is as it stands, octet for octet; lines end in LF in the file and in CRLF on the wire. What a mail
looks like may be written down instead of compared: ``SMTP_PAIR_UPDATE_GOLDEN=1 pytest``, and a look at ``git diff``.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smtp_pair.mail.errors import SmtpPairError, UnexpectedMail
from smtp_pair.mail.message import Mail

if TYPE_CHECKING:
    from smtp_pair.network import Network
    from smtp_pair.server import Server

UPDATE = "SMTP_PAIR_UPDATE_GOLDEN"
"""The environment variable that has golden files written instead of compared."""
GAP = "{...}"

_WILD = re.compile(r"\\(?P<itself>\{\*)|(?P<any>\{\*\})|\{\*(?P<name>[a-z][a-z0-9-]*)\}")
_VARIES = re.compile(r"(?i)(date|message-id|received): (?!\{\*\}$).*")
_BOUNDARY = re.compile(r"""(?i)\bboundary=(?:"([^"]{4,70})"|([^\s";]{4,70}))""")
_CONTEXT = 2  # lines around a difference
_MOST, _LONGEST = 60, 160  # lines of a difference, characters of a line, that are shown


class MailDiffers(SmtpPairError, AssertionError):
    """A mail is not like the golden one; the text shows where, line by line."""


def assert_mail_like(
    mail: Mail | bytes | os.PathLike[str],
    golden: str | os.PathLike[str],
    *,
    nothing_else_in: Server | Network | None = None,
) -> None:
    """Compare a mail with a golden one.

    Of a :class:`~smtp_pair.mail.message.Mail` its ``content`` is compared, without the trace fields that the servers
    put on top; octets, and the file of a path, as they are. ``golden`` is the path of a file, or the text itself if it
    has more than one line. With ``nothing_else_in`` (a server, or a network, which comes to rest first) no other mail
    may be there; copies of this one at other servers are the same mail.

    Raises:
        MailDiffers: the mail is another one, or there is no golden file; it shows the difference line by line.
        UnexpectedMail: there is another mail.
        OSError: a file can't be read or, where SMTP_PAIR_UPDATE_GOLDEN is set, written.
    """
    lines = _lines(_octets(mail))
    if isinstance(golden, str) and "\n" in golden:
        name, expected = "the golden text", _lines(golden.encode())
    else:
        path = Path(golden)
        name, expected = str(path), _golden(path, lines)
    if match(expected, lines) is None:
        raise MailDiffers("\n".join([f"the mail is not like {name}:", *difference(expected, lines), *_how(golden)]))
    if nothing_else_in is not None:
        _nothing_else(mail, nothing_else_in)


def _octets(mail: Mail | bytes | os.PathLike[str]) -> bytes:
    if isinstance(mail, Mail):
        return mail.content
    if isinstance(mail, bytes | bytearray | memoryview):
        return bytes(mail)
    if isinstance(mail, os.PathLike):
        return Path(mail).read_bytes()
    raise TypeError(f"a mail is a Mail, bytes or the path of a file, not {mail!r}")


def _lines(octets: bytes) -> list[str]:
    """Without their ends. What is no UTF-8 is kept, one strange character for each octet."""
    text = octets.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").split("\n")


def _golden(path: Path, lines: Sequence[str]) -> list[str]:
    if os.environ.get(UPDATE, "0") not in ("", "0"):
        before = _lines(path.read_bytes()) if path.exists() else []
        if match(before, lines) is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes("\n".join([*updated(before, lines), ""]).encode("utf-8", "surrogateescape"))
    if not path.exists():
        raise MailDiffers(f"there is no golden file {path}; with {UPDATE}=1 in the environment it is written")
    return _lines(path.read_bytes())


def _how(golden: str | os.PathLike[str]) -> list[str]:
    if isinstance(golden, str) and "\n" in golden:
        return []
    return [f"If the mail is right: {UPDATE}=1 in the environment writes it down."]


def _nothing_else(mail: Mail | bytes | os.PathLike[str], where: Server | Network) -> None:
    servers = _at_rest(where)
    content = _octets(mail)
    others: list[Mail] = []
    for server in servers:
        left = server.messages
        for other in left:
            here = isinstance(mail, Mail) and mail.hostname == other.hostname
            if other.id == mail.id if here and isinstance(mail, Mail) else other.content == content:
                left.remove(other)  # once: a second one is one too many
                break
        others += left
    if others:
        listed = "\n".join(f"  {other!r}" for other in others)
        raise UnexpectedMail(f"nothing else should have been delivered, and this was:\n{listed}")


def _at_rest(where: Server | Network) -> Iterable[Server]:
    from smtp_pair.network import Network  # late: a user's suite that has no server running need not load one

    if not isinstance(where, Network):
        return [where]
    where.settle()
    return where


# -- matching --------------------------------------------------------------------------------------------------------


def match(golden: Sequence[str], lines: Sequence[str]) -> dict[str, str] | None:
    """What the names stand for, if the lines are like the golden ones; None if they are not."""
    known: dict[str, str] = {}
    *parts, last = _parts(golden)
    at = 0
    for number, part in enumerate(parts):
        # A gap takes as few lines as will do; before the first one there is none.
        places = range(at, at + 1) if number == 0 else range(at, len(lines) - len(part) + 1)
        for place in places:
            found = _together(part, lines[place : place + len(part)], known)
            if found is not None:
                known, at = found, place + len(part)
                break
        else:
            return None
    place = len(lines) - len(last)
    if place < at or (not parts and place > at):
        return None
    return _together(last, lines[place:], known)


def _parts(golden: Sequence[str]) -> list[list[str]]:
    """The golden lines between the gaps."""
    parts: list[list[str]] = [[]]
    for line in golden:
        if line == GAP:
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _together(golden: Sequence[str], lines: Sequence[str], known: dict[str, str]) -> dict[str, str] | None:
    if len(golden) != len(lines):
        return None
    for expected, line in zip(golden, lines, strict=True):
        found = _one(expected, line, known)
        if found is None:
            return None
        known = known | found
    return known


def _one(expected: str, line: str, known: dict[str, str]) -> dict[str, str] | None:
    """What the names of one golden line stand for, beside those that are known; None where it is another line."""
    if expected == line and "{*" not in expected:
        return {}
    names: list[str] = []

    def wild(token: re.Match[str]) -> str:
        name = token["name"]
        if token["itself"]:
            return re.escape("{*")
        if name is None:
            return "(?:.*?)"
        if name in known:
            return re.escape(known[name])
        if name in names:
            return f"(?P=n{names.index(name)})"
        names.append(name)
        return f"(?P<n{len(names) - 1}>.+?)"

    pattern, at = "", 0
    for token in _WILD.finditer(expected):
        pattern += re.escape(expected[at : token.start()]) + wild(token)
        at = token.end()
    pattern += re.escape("{...}" if expected == f"\\{GAP}" else expected[at:])
    found = re.fullmatch(pattern, line, re.DOTALL)
    return None if found is None else {name: found[f"n{number}"] for number, name in enumerate(names)}


# -- the difference --------------------------------------------------------------------------------------------------


def difference(golden: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Where the lines are not like the golden ones: ``-`` the golden line, ``+`` that of the mail, with their numbers
    and a mark under the first character that differs; and the lines around them."""
    shown = list(_changes(golden, lines))
    return [*shown[:_MOST], f"... {len(shown) - _MOST} lines more"] if len(shown) > _MOST else shown


def _changes(golden: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    known: dict[str, str] = {}
    steps = difflib.SequenceMatcher(None, _aligned(golden, lines), list(lines), autojunk=False).get_opcodes()
    told = 0  # up to where lines of the mail were shown
    for what, first, end, start, stop in steps:
        if what == "equal":
            for one, line in zip(golden[first:end], lines[start:stop], strict=True):
                if (found := _one(one, line, known)) is None:  # alike, but for what a name stands for
                    told = start + 1
                    yield from _pair(first + 1, one, start + 1, line)
                    yield from (
                        f"        {{*{name}}} is {_shown(value)}" for name, value in known.items() if name in one
                    )
                else:
                    known |= found
                first, start = first + 1, start + 1
            continue
        expected = [(number + 1, golden[number]) for number in range(first, end) if golden[number] != GAP]
        by_gap = len(expected) < end - first or GAP in (*golden[max(0, first - 1) : first], *golden[end : end + 1])
        came = [] if by_gap and not expected else [(number + 1, lines[number]) for number in range(start, stop)]
        if not expected and not came:
            continue
        before = range(max(told, start - _CONTEXT) + 1, start + 1)
        yield from (f"  {number:5} {_shown(lines[number - 1])}" for number in before)
        for (number, one), (at, line) in zip(expected, came, strict=False):
            yield from _pair(number, one, at, line)
        both = min(len(expected), len(came))
        yield from (f"- {number:5} {_shown(one)}" for number, one in expected[both:])
        yield from (f"+ {number:5} {_shown(line)}" for number, line in came[both:])
        told = min(len(lines), stop + _CONTEXT)
        yield from (f"  {number:5} {_shown(lines[number - 1])}" for number in range(stop + 1, told + 1))


def _pair(number: int, one: str, at: int, line: str) -> Iterator[str]:
    one, line = _shown(one), _shown(line)
    yield f"- {number:5} {one}"
    yield f"+ {at:5} {line}"
    same = next((at for at, (a, b) in enumerate(zip(one, line, strict=False)) if a != b), min(len(one), len(line)))
    if "{*" not in one and same < _LONGEST:
        yield " " * (8 + same) + "^"


def _aligned(golden: Sequence[str], lines: Sequence[str]) -> list[str]:
    """The golden lines, those with wildcards replaced by the line of the mail that they mean, so that both can be
    compared as texts."""
    at, aligned = 0, []
    for one in golden:
        if "{*" not in one and one != f"\\{GAP}":
            aligned.append(one)
            at = lines.index(one, at) + 1 if one in lines[at:] else at
            continue
        place = next((number for number in range(at, len(lines)) if _one(one, lines[number], {}) is not None), None)
        aligned.append(one if place is None else lines[place])
        at = at if place is None else place + 1
    return aligned


def _shown(line: str) -> str:
    """Fit for a terminal; spaces at the end, which nobody sees, are marked."""
    text = line[:_LONGEST] + (" ..." if len(line) > _LONGEST else "")
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return f"{text}$" if text.endswith(" ") else text


# -- writing it down -------------------------------------------------------------------------------------------------


def updated(golden: Sequence[str], lines: Sequence[str]) -> list[str]:
    """What a golden file becomes that is to be like these lines. Its own lines are kept where they are right, with
    their wildcards and gaps; of new ones those get wildcards that are never the same twice: dates, ids, boundaries."""
    steps = difflib.SequenceMatcher(None, _aligned(golden, lines), list(lines), autojunk=False).get_opcodes()
    fresh = _drafted(lines)
    found: list[str] = []
    for what, first, end, start, stop in steps:
        if what == "equal":
            found += golden[first:end]
        else:
            found += _around_gaps(golden[first:end], fresh[start:stop])
    # A name that stands for two things, or a gap in the wrong place: then nothing of the old file is of use.
    return found if match(found, lines) is not None else fresh


def _around_gaps(golden: Sequence[str], fresh: Sequence[str]) -> Sequence[str]:
    """New lines in place of golden ones: a gap goes on standing for all but as many lines as stood around it."""
    if GAP not in golden:
        return fresh
    before = golden.index(GAP)
    after = golden[::-1].index(GAP)
    if before + after > len(fresh):
        return fresh
    return [*fresh[:before], GAP, *fresh[len(fresh) - after :]]


def _drafted(lines: Sequence[str]) -> list[str]:
    boundaries = {next(filter(None, one)): "" for line in lines for one in _BOUNDARY.findall(line)}
    names = {text: f"{{*boundary{number if number > 1 else ''}}}" for number, text in enumerate(boundaries, 1)}
    found = []
    in_header = True
    for line in lines:
        in_header = in_header and line != ""
        one = line.replace("{*", "\\{*") if line != GAP else f"\\{GAP}"
        for text, name in names.items():
            one = one.replace(text, name)
        found.append(f"{one.split(':')[0]}: {{*}}" if in_header and _VARIES.fullmatch(line) else one)
    return found
