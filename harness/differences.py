"""Where a server of ours means to answer otherwise than stock aiosmtpd, and why: one table, a rule for each line.

``when`` looks at what was said and not only at the codes, and asks ``reference.py`` rather than the code that is on
trial: a line of the table excuses no other answer than the one it means. ``witness`` is a session in which the
difference is seen: one that stock no longer shows, or that we no longer mean, fails its test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.exchange import Exchange
from harness.reference import judge_parameters, read_content
from harness.sessions import Group, ended

ACTING = b"bHVrZQB2YWRlcgBkYXJrc2lkZQ=="
"""luke, who is vader with vader's password."""
ANY = frozenset(range(1000))
REFUSED = frozenset(range(500, 600))
BROWSERS = ("GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI")
COMMAND_LINE = 510
"""Octets of a command line without its end (RFC 5321 4.5.3.1.4)."""
SENT_LINE = 998 + len(b"\r\n")
"""Octets of a line of content (RFC 5321 4.5.3.1.6)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of the table."""

    name: str
    rule: str
    ours: frozenset[int]
    theirs: frozenset[int]
    when: Callable[[Exchange], bool]
    witness: Sequence[Group]
    parts: bool = False
    """Whether one of the two closes, or knows something from then on that EHLO does not undo."""
    reason: str = ""
    """Why, where the name does not say it."""

    def matches(self, exchange: Exchange) -> bool:
        """Whether it explains the exchange."""
        return exchange.ours in self.ours and exchange.theirs in self.theirs and self.when(exchange)


def _codes(*codes: int) -> frozenset[int]:
    return frozenset(codes)


def _lines(*lines: str | bytes) -> list[Group]:
    return [Group((line if isinstance(line, bytes) else f"{line}\r\n".encode(),)) for line in lines]


def _sent(*lines: str) -> list[Group]:
    return _lines("EHLO x", *lines)


def _mailed(content: bytes) -> list[Group]:
    return [*_sent("MAIL FROM:<a@b>", "RCPT TO:<a@b>"), Group((b"DATA\r\n",), ended(content))]


def _logging_in(first: str, *responses: str) -> list[Group]:
    return [*_sent(), Group((f"{first}\r\n".encode(),), responses=tuple(f"{each}\r\n".encode() for each in responses))]


# -- what the table asks ----------------------------------------------------------------------------------------------

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BEYOND_ASCII = re.compile(rb"[^\x00-\x7f]")


def _bad_path(exchange: Exchange) -> bool:
    return exchange.addressed and not exchange.right_path and exchange.argument != "<>"


def _parameters(exchange: Exchange) -> set[int]:
    """The codes of all that is wrong with the parameters."""
    return judge_parameters(exchange.verb, exchange.parameters) if exchange.parameters else set()


def _repeated(exchange: Exchange) -> bool:
    names = [word.partition("=")[0].upper() for word in exchange.parameters.split()]
    return len(names) != len(set(names))


def _has_parameter(pattern: str) -> Callable[[Exchange], bool]:
    found = re.compile(rf"(?:.* )?{pattern}(?: .*)?", re.IGNORECASE | re.ASCII)
    return lambda exchange: found.fullmatch(exchange.parameters) is not None


def _response(*known: bytes) -> Callable[[Exchange], bool]:
    """One of these as what a client says of itself, in AUTH's own line or after it."""
    return lambda it: (it.kind == "response" or it.verb == "AUTH") and it.said.rstrip().rpartition(b" ")[2] in known


def _not_text(exchange: Exchange) -> bool:
    try:
        exchange.said.decode()
    except UnicodeDecodeError:
        return True
    return False


def _has_control(exchange: Exchange) -> bool:
    line = exchange.said.removesuffix(b"\n").removesuffix(b"\r")
    return exchange.kind != "content" and _CONTROL.search(line) is not None


def _longer_than(octets: int) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.kind == "command" and len(exchange.line.encode()) > octets


def _is(*verbs: str) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.verb in verbs


def _long_line(exchange: Exchange) -> bool:
    lines = exchange.said.split(b"\r\n") if exchange.kind == "content" else []
    return any(len(line) + 2 > SENT_LINE for line in lines)


def _mended_size(exchange: Exchange) -> int:
    content = read_content(exchange.said)
    return len(content.octets) if content is not None else 0


def _shrinks(exchange: Exchange) -> bool:
    """Whether the dots of the transfer are all that makes it too big."""
    return exchange.kind == "content" and _mended_size(exchange) < len(exchange.said.removesuffix(b".\r\n"))


def _grows(exchange: Exchange) -> bool:
    content = read_content(exchange.said) if exchange.kind == "content" else None
    return content is not None and content.bare


# -- the table ------------------------------------------------------------------------------------------------------

# fmt: off
DIFFERENCES: Sequence[Difference] = (
    # -- endless patience
    Difference("a browser is shown the door", "Guarding", _codes(421), _codes(500), _is(*BROWSERS),
               _lines("GET / HTTP/1.1"), parts=True),
    Difference("too many commands", "C24", _codes(421), _codes(250), lambda it: it.verb == "NOOP" or it.right_path,
               _lines(*["NOOP"] * 101), parts=True),
    Difference("too many errors", "C24", _codes(421), ANY, lambda it: it.kind != "content", _lines(*["DATA"] * 20),
               parts=True),
    Difference("an unknown command is an error like any other", "C24", _codes(500, 501, 503), _codes(502),
               lambda it: it.verb in ("BDAT", "FOO") or it.ours == 500, _lines(*["FOO"] * 5), parts=True),
    Difference("too many recipients", "C37", _codes(452), _codes(250), _is("RCPT"),
               _sent("MAIL FROM:<a@b>", *["RCPT TO:<a@b>"] * 5)),
    # -- order and syntax
    Difference("HELP has a code of its own", "C12", _codes(214), _codes(250, 501), _is("HELP"), _lines("HELP")),
    Difference("VRFY says the same of whatever it is asked", "C10", _codes(252), _codes(500, 502), _is("VRFY"),
               _lines("VRFY <")),
    Difference("a MAIL too many is out of order before it is wrong", "C6", _codes(503), REFUSED,
               lambda it: it.verb == "MAIL" and it.sender, _sent("MAIL FROM:<a@b>", "MAIL")),
    Difference("STARTTLS is no command that is known and off for now", "C67", _codes(502, 503), _codes(454, 501),
               _is("STARTTLS"), _sent("STARTTLS")),
    Difference("BDAT is offered", "C59", ANY, _codes(500), _is("BDAT"), _sent("BDAT 0")),
    Difference("a name in EHLO has no controls", "Guarding", _codes(501), _codes(250),
               lambda it: it.verb in ("EHLO", "HELO") and _has_control(it), _lines("EHLO \1")),
    Difference("a control is no space, and no part of a line's end", "Guarding", REFUSED, ANY, _has_control,
               _lines(b"QUIT\r\r\n")),
    Difference("a line is text", "C65", _codes(501), ANY, _not_text, _lines(b"NOOP \xff\r\n")),
    Difference("a line of 512 octets counts its end", "C18", _codes(500), ANY, _longer_than(COMMAND_LINE),
               _lines("NOOP " + "x" * (COMMAND_LINE - 4))),
    Difference("a line of MAIL or RCPT has room for all that is offered", "C18", ANY, _codes(500),
               lambda it: it.addressed and _longer_than(COMMAND_LINE + 2)(it),
               _sent("MAIL FROM:<a@b> FOO=" + "x" * 600)),
    # -- addresses
    Difference("nobody is no recipient", "C35", _codes(501), _codes(250),
               lambda it: it.verb == "RCPT" and it.argument.startswith("<>"), _sent("MAIL FROM:<a@b>", "RCPT TO:<>")),
    Difference("a path is one of RFC 5321, and not anything that a header may have", "C29 C38 C39", _codes(501), ANY,
               _bad_path,
               _sent("MAIL FROM:luke (comment) @jaku.com")),
    Difference("an address beyond ASCII wants SMTPUTF8", "C63", _codes(550, 553), ANY,
               lambda it: _bad_path(it) and _BEYOND_ASCII.search(it.said) is not None,
               _sent("MAIL FROM:<\xe9@jaku.com>")),
    # -- parameters
    Difference("DSN is offered", "C86", _codes(250, 452, 501, 550), _codes(555),
               _has_parameter("(?:RET|ENVID|NOTIFY|ORCPT)(?:=[^ ]*)?"),
               _sent("MAIL FROM:<a@b> RET=HDRS")),
    Difference("a keyword may have a hyphen", "C17", _codes(555), _codes(501),
               _has_parameter("[A-Z0-9][A-Z0-9-]*-[A-Z0-9-]*(?:=[^ ]*)?"),
               _sent("MAIL FROM:<a@b> X-FOO=1")),
    Difference("a value has no equals sign, and is ASCII", "C17", _codes(501), _codes(555),
               lambda it: 501 in _parameters(it), _sent("MAIL FROM:<a@b> FOO=a=b")),
    Difference("nothing is offered after HELO, so every parameter is unknown", "C17", _codes(555), _codes(501),
               lambda it: it.hello == "HELO" and _has_parameter("[^ ]+")(it),
               _lines("HELO x", "MAIL FROM:<a@b> SIZE=1")),
    Difference("a size has 20 digits", "C55", _codes(501), _codes(250, 552), _has_parameter("SIZE=[0-9]{21,}"),
               _sent("MAIL FROM:<a@b> SIZE=" + "9" * 21)),
    Difference("a size has ASCII digits", "C55", _codes(501), _codes(250), lambda it: not it.parameters.isascii(),
               _sent("MAIL FROM:<a@b> SIZE=\u0663")),
    Difference("no parameter is given twice", "C17", _codes(501), _codes(250), _repeated,
               _sent("MAIL FROM:<a@b> SIZE=1 SIZE=2")),
    Difference("of several mistakes the first is named", "C17", REFUSED, REFUSED,
               lambda it: len(it.parameters.split()) > 1, _sent("MAIL FROM:<a@b> FOO SIZE=x")),
    # -- AUTH
    Difference("AUTH may follow HELO", "C69", ANY, _codes(500), lambda it: it.verb == "AUTH" and it.hello == "HELO",
               _lines("HELO x", "AUTH FOO")),
    Difference("AUTH has no place in a transaction", "C69", _codes(503), ANY,
               lambda it: it.sender and it.verb == "AUTH",
               _sent("MAIL FROM:<a@b>", "AUTH PLAIN")),
    Difference("a mechanism is known in any case", "C69", ANY, _codes(504),
               lambda it: it.verb == "AUTH" and it.argument != it.argument.upper(), _sent("AUTH plain =")),
    Difference("an unknown mechanism is what is wrong first", "C69", _codes(504), _codes(501),
               lambda it: it.verb == "AUTH", _sent("AUTH FOO BAR BAZ")),
    Difference("nobody acts as another", "C69", _codes(535), _codes(235), _response(ACTING),
               _logging_in("AUTH PLAIN", ACTING.decode()), parts=True),
    Difference("an equals sign is the empty response", "C69", _codes(334, 501, 535), _codes(501), _response(b"="),
               _logging_in("AUTH LOGIN =")),
    Difference("a name is UTF-8, and with PLAIN there is one", "C69", _codes(501), _codes(334, 535),
               _response(b"////", b"AAA="), _logging_in("AUTH PLAIN", "AAA=")),
    Difference("who says that a mail is somebody else's is not believed", "C69", _codes(250), _codes(555),
               _has_parameter("AUTH=<>"), _sent("MAIL FROM:<a@b> AUTH=<>")),
    # -- mails
    Difference("a mail that is sent before it is asked for", "C58", _codes(554), _codes(250), lambda it: it.line == ".",
               [*_sent("MAIL FROM:<a@b>", "RCPT TO:<a@b>"), Group((b"DATA\r\n", b".\r\n"))], parts=True),
    Difference("a line may be longer than it should", "C20", _codes(250, 552), _codes(500), _long_line,
               _mailed(b"x" * 1001)),
    Difference("dots of the transfer are no part of a mail's size", "C54", _codes(250), _codes(552), _shrinks,
               _mailed(b"..\r\n" * 320)),
    Difference("a line end that becomes CRLF counts as CRLF", "C54", _codes(552), _codes(250), _grows,
               _mailed(b"\n" * 700)),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class MailDifference:
    """A mail that both took, and not the same one."""

    name: str
    rule: str
    when: Callable[[bytes, bytes], bool]
    """Given what we took, and what was sent."""
    witness: Sequence[Group]


def _mended(ours: bytes, sent: bytes) -> bool:
    content = read_content(sent)
    return content is not None and content.bare and content.octets == ours


MAILS: Sequence[MailDifference] = (
    MailDifference("a bare CR or LF becomes CRLF", "C45", _mended, _mailed(b"one\ntwo\rthree")),
)
