"""The conversation of a server, without a wire: what may be said when, and what is answered (RFC 5321 4.1.4).

    EHLO -> [STARTTLS -> EHLO] -> [AUTH] -> MAIL -> RCPT (one or more) -> DATA or BDAT -> the mail is accepted, or not

:data:`ORDER` is the whole order of commands: a row for each verb, a column for each state. A cell is the state that
follows when the command succeeds, or the reply that refuses it there. :class:`Conversation` walks the table: it is
fed one line at a time and gives a :class:`Reply` for each; it never reads or writes. The carrier (``session.py``)
looks at ``expects`` to know what the next octets are.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Protocol

from smtp_pair import parameters
from smtp_pair.config import Limits
from smtp_pair.content import ChunkReader
from smtp_pair.mail import reply
from smtp_pair.mail.address import NULL_PATH, Address, parse_path
from smtp_pair.mail.envelope import NO_OPTIONS, Envelope, Recipient
from smtp_pair.mail.errors import AddressError, DeliveryError
from smtp_pair.mail.reply import Reply
from smtp_pair.sasl import MECHANISMS, Authenticate, Credentials, Exchange, Refused, SaslError


class State(IntEnum):
    """How far a session has come. The numbers are the columns of ORDER."""

    START = 0  # nobody has said EHLO
    READY = 1  # no transaction is open
    MAIL = 2  # a sender is known
    RCPT = 3  # and a recipient
    BDAT = 4  # and a first chunk of the content


class Expects(Enum):
    """What the next octets from the client are."""

    COMMAND = "a command line"
    CONTENT = "the content of a mail, up to a line of a single dot"
    CHUNK = "so many octets of content"
    HANDSHAKE = "the beginning of TLS"
    NOTHING = "nothing: the session is over"


Cell = State | Reply
_START, _READY, _MAIL, _RCPT, _BDAT = State

_no_ehlo, _no_mail, _nested = reply.EHLO_FIRST, reply.MAIL_FIRST, reply.NESTED_MAIL
_no_rcpt, _chunks, _late = reply.RCPT_FIRST, reply.CHUNKS_BEGUN, reply.AUTH_IN_TRANSACTION

# fmt: off
ORDER: Mapping[str, tuple[Cell, Cell, Cell, Cell, Cell]] = {
    # in:         START     READY     MAIL      RCPT      BDAT
    "EHLO":     (_READY,   _READY,   _READY,   _READY,   _READY),
    "HELO":     (_READY,   _READY,   _READY,   _READY,   _READY),
    "STARTTLS": (_no_ehlo, _START,   _nested,  _nested,  _nested),
    "AUTH":     (_no_ehlo, _READY,   _late,    _late,    _late),
    "MAIL":     (_no_ehlo, _MAIL,    _nested,  _nested,  _nested),
    "RCPT":     (_no_ehlo, _no_mail, _RCPT,    _RCPT,    _chunks),
    "DATA":     (_no_ehlo, _no_mail, _no_rcpt, _RCPT,    _chunks),
    "BDAT":     (_START,   _READY,   _MAIL,    _BDAT,    _BDAT),
    "RSET":     (_START,   _READY,   _READY,   _READY,   _READY),
    "NOOP":     (_START,   _READY,   _MAIL,    _RCPT,    _BDAT),
    "HELP":     (_START,   _READY,   _MAIL,    _RCPT,    _BDAT),
    "VRFY":     (_START,   _READY,   _MAIL,    _RCPT,    _BDAT),
    "EXPN":     (_START,   _READY,   _MAIL,    _RCPT,    _BDAT),
    "QUIT":     (_START,   _READY,   _READY,   _READY,   _READY),
}
# fmt: on
# BDAT is refused, where it is out of order, only after its octets: they follow whatever is answered (RFC 3030 2).
_NO_CHUNK_HERE: Mapping[State, Reply] = {_START: _no_ehlo, _READY: _no_mail, _MAIL: _no_rcpt}

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN", "HELP")
"""What is offered whatever the configuration; SIZE, STARTTLS and AUTH come with values of their own."""

AUTH_LINE = 12288
"""Octets in a line of AUTH (RFC 4954 4)."""
LONGEST_LINE = AUTH_LINE
_COMMAND_LINE = 512 - 2  # RFC 5321 4.5.3.1.4, without its end
_LINES: Mapping[bytes, int] = {
    # what the extensions add: SIZE 26, BODY 17, SMTPUTF8 10, AUTH 500, RET and ENVID 116; NOTIFY and ORCPT 536
    b"MAIL": _COMMAND_LINE + 26 + 17 + 10 + 500 + 116,
    b"RCPT": _COMMAND_LINE + 536,
    b"AUTH": AUTH_LINE - 2,
}
_CHUNK_DIGITS = 20
# Browsers can be made to send HTTP anywhere, and the lines after the first are the attacker's (cross-protocol attack).
_NOT_SMTP = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE", b"PRI"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What every session of a server is held to."""

    hostname: str
    size: int
    limits: Limits
    starttls: bool = False
    """Whether TLS is offered."""
    tls_required: bool = False
    """Whether nothing goes without it."""
    mechanisms: tuple[str, ...] = ()
    """The SASL mechanisms offered; none: no AUTH."""
    auth_required: bool = False
    """Whether every mail needs AUTH."""
    auth_requires_tls: bool = True
    """Whether AUTH is offered, and taken, over TLS alone."""
    authenticate: Authenticate = lambda _: False
    reject_bare_newline: bool = False
    """Whether a mail with a bare CR or LF is refused; else they become CRLF."""
    hidden: frozenset[str] = frozenset()
    """Extensions that are there and not offered."""
    welcomes: dict[tuple[bool, bool, frozenset[str]], tuple[frozenset[str], Reply]] = field(
        default_factory=dict, init=False, repr=False
    )
    """What was offered to whom, by EHLO or HELO and by TLS or none, and in which words: the same every time."""


class Doorkeeper(Protocol):
    """Who decides about a recipient (``policy.py``)."""

    def recipient(self, address: Address, visit: Visit) -> Reply: ...


@dataclass(slots=True)
class Visit:
    """What is known of the client when it names a recipient."""

    host: str = ""
    """The address it comes from."""
    sender: Address = NULL_PATH
    size: int = 0
    """What MAIL declared, in octets; 0: nothing."""
    user: str = ""
    """Who it is, proved by AUTH."""


class Conversation:
    """One session's side of the talk. Not for two sessions, not for two threads."""

    __slots__ = (
        "_client",
        "_commands",
        "_door",
        "_errors",
        "_exchange",
        "_extended",
        "_hidden",
        "_hide_next",
        "_offered",
        "_options",
        "_out_of_order",
        "_recipients",
        "_rules",
        "_secure",
        "_state",
        "_visit",
        "chunk",
        "chunks",
        "expects",
        "last_chunk",
    )

    def __init__(self, rules: Rules, door: Doorkeeper, host: str = "", *, secure: bool = False) -> None:
        self._rules = rules
        self._door = door
        self._visit = Visit(host)
        self._errors = 0
        self._commands = 0
        self._out_of_order: Reply | None = None
        self._hidden = self._hide_next = rules.hidden
        self._exchange: Exchange | None = None
        self.chunk = 0
        """Octets of the chunk that is expected."""
        self.last_chunk = False
        self.expects = Expects.COMMAND
        self._secure = secure
        self._begin()

    def _begin(self) -> None:
        self._state = State.START
        self._client = ""
        self._extended = False
        self._visit.user = ""
        self._offered: frozenset[str] = frozenset()
        self._forget()

    @property
    def client(self) -> str:
        """What the client called itself in EHLO or HELO; "" before."""
        return self._client

    @property
    def with_protocol(self) -> str:
        """What the Received field names the protocol (RFC 3848, RFC 6531 4.3)."""
        suffix = ("S" if self._secure else "") + ("A" if self._visit.user else "")
        if "SMTPUTF8" in self._options:
            return f"UTF8SMTP{suffix}"
        return f"ESMTP{suffix}" if self._extended else "SMTP"

    @property
    def sender(self) -> Address:
        """The reverse-path of the open transaction."""
        return self._visit.sender

    @property
    def recipients(self) -> list[Address]:
        """The recipients of the open transaction that were accepted."""
        return [recipient.address for recipient in self._recipients]

    @property
    def in_transaction(self) -> bool:
        """Whether a sender is known."""
        return self._state >= State.MAIL

    @property
    def authenticating(self) -> bool:
        """Whether the next line is a proof of who the client is, and nobody's to write down."""
        return self._exchange is not None

    def greeting(self) -> Reply:
        """The first words."""
        return reply.greeting(self._rules.hostname)

    def command(self, line: bytes) -> Reply | None:
        """Answer one line, given without its end. None: nothing is said before what ``expects`` names has come."""
        if self._exchange is not None:
            return self._count(self._respond(self._exchange, line))
        verb, _, argument = line.partition(b" ")
        known = _VERBS.get(verb) or _VERBS.get(verb.upper())
        if known is None and (verb.upper() in _NOT_SMTP or b" HTTP/" in line):  # however long the line is
            self.expects = Expects.NOTHING
            return reply.NOT_SMTP
        if len(line) > (known[1] if known is not None else _COMMAND_LINE):
            return self._count(reply.LINE_TOO_LONG)
        if known is None:
            return self._count(reply.UNKNOWN_COMMAND)
        row, _, method = known
        try:
            text = argument.decode("utf-8").strip(" ")
        except UnicodeDecodeError:
            return self._count(reply.NOT_TEXT)
        cell = row[self._state]
        if isinstance(cell, Reply):
            return self._count(cell)
        answer = method(self, text)
        if answer is None or answer.code < 400:
            self._state = cell
        return self._count(answer) if answer is not None else None

    def refuse(self, line: bytes, answer: Reply) -> Reply | None:
        """Answer a command with a refusal that comes from elsewhere, and leave all as a refusal of our own does."""
        if line[:4].upper() == b"BDAT":
            state = self._state
            said = self.command(line)
            if said is None:  # the octets follow whatever is answered
                self._state, self._out_of_order = state, answer
            return said
        if answer.code == 421:
            self.expects = Expects.NOTHING  # it says that it is closing (RFC 5321 3.8)
            return answer
        return self._count(answer)

    def hide(self, extensions: frozenset[str]) -> None:
        """At the EHLO that follows, do not offer these."""
        self._hide_next = self._rules.hidden | extensions

    def take(self, octets: bytes) -> None:
        """Take octets of the chunk that is expected; they are kept only where they are wanted."""
        if self._out_of_order is None:
            self.chunks.feed(octets)

    def chunk_ended(self) -> Reply | None:
        """All octets of the chunk have come. None: it was the last one of a mail that is to be accepted now."""
        self.expects = Expects.COMMAND
        if self._out_of_order is not None:
            return self._count(self._out_of_order)
        if not self.chunks.too_big:
            return None if self.last_chunk else self._count(reply.chunk_taken(self.chunk))
        # It stays too big: the chunks that follow are refused as well (RFC 3030 2).
        if self.last_chunk:
            self._forget()
            self._state = State.READY
        return self._count(reply.TOO_BIG)

    def content_ended(self) -> Envelope:
        """The content is complete: close the transaction and give its envelope."""
        envelope = Envelope(self._visit.sender, tuple(self._recipients), self._options)
        self._forget()
        self._state = State.READY
        self.expects = Expects.COMMAND
        self._commands = 0
        return envelope

    def secured(self) -> None:
        """TLS is on: all that was said before is forgotten (RFC 3207 4.2)."""
        self._secure = True
        self.expects = Expects.COMMAND
        self._begin()

    def _forget(self) -> None:
        """Drop the transaction."""
        self._visit.sender = NULL_PATH
        self._visit.size = 0
        self._options: Mapping[str, str] = NO_OPTIONS
        self._recipients: list[Recipient] = []
        self.chunks = ChunkReader(self._rules.size)
        self._out_of_order = None

    def _count(self, answer: Reply) -> Reply:
        """Count commands and the client's errors; at the last one allowed the session ends (C24)."""
        self._commands += 1
        self._errors += answer.permanent
        if self._errors >= self._rules.limits.errors and answer.permanent:
            self.expects = Expects.NOTHING
            return reply.TOO_MANY_ERRORS
        if self._commands > self._rules.limits.commands and self.expects is Expects.COMMAND:
            self.expects = Expects.NOTHING
            return reply.TOO_MANY_COMMANDS
        return answer

    # -- one method for each verb; the state has been checked ------------------------------------------------------

    def _ehlo(self, argument: str) -> Reply:
        return self._hello(argument, extended=True)

    def _helo(self, argument: str) -> Reply:
        return self._hello(argument, extended=False)

    def _hello(self, argument: str, *, extended: bool) -> Reply:
        if not argument or not argument.isprintable():
            return reply.HELLO_WANTS_A_NAME
        # A name here is ASCII (RFC 6531 3.7.1), and so the Received field: it must not make 8-bit mail of 7-bit mail.
        self._client = argument.encode("ascii", "replace").decode()
        self._extended = extended
        self._hidden, self._hide_next = self._hide_next, self._rules.hidden
        self._forget()  # a second EHLO resets the transaction (RFC 5321 4.1.4)
        welcomes, case = self._rules.welcomes, (extended, self._secure, self._hidden)
        if case not in welcomes:
            welcomes[case] = self._welcome(extended=extended)
        self._offered, answer = welcomes[case]
        return answer

    def _welcome(self, *, extended: bool) -> tuple[frozenset[str], Reply]:
        rules = self._rules
        offers = {"SIZE": str(rules.size), **dict.fromkeys(EXTENSIONS, "")}
        if rules.starttls and not self._secure:
            offers["STARTTLS"] = ""
        if rules.mechanisms and (self._secure or not rules.auth_requires_tls):
            offers["AUTH"] = " ".join(rules.mechanisms)
        names = offers.keys() - self._hidden if extended else frozenset()
        lines = [f"{name} {value}".rstrip() for name, value in offers.items() if name in names]
        return frozenset(names), reply.hello(rules.hostname, lines)

    def _starttls(self, argument: str) -> Reply:
        if argument:
            return reply.syntax("STARTTLS")
        if self._secure:
            return reply.TLS_ALREADY
        if not self._rules.starttls or "STARTTLS" in self._hidden:
            return reply.NOT_OFFERED
        self.expects = Expects.HANDSHAKE
        return reply.START_TLS

    def _auth(self, argument: str) -> Reply:
        mechanism, _, first = argument.partition(" ")
        if not self._rules.mechanisms or "AUTH" in self._hidden:
            return reply.NOT_OFFERED
        if self._visit.user:
            return reply.AUTHENTICATED_ALREADY
        if self._rules.auth_requires_tls and not self._secure:
            return reply.AUTH_NEEDS_TLS
        if not mechanism:
            return reply.syntax("AUTH mechanism [response]")
        if mechanism.upper() not in self._rules.mechanisms:
            return reply.UNKNOWN_MECHANISM
        self._exchange = MECHANISMS[mechanism.upper()]()
        response = first.strip(" ").encode()
        return self._respond(self._exchange, response) if response else self._challenge(self._exchange.begin(None))

    def _respond(self, exchange: Exchange, line: bytes) -> Reply:
        """Answer a response of the client to a challenge; with AUTH itself, its first one."""
        if line == b"*":
            return self._end_of_auth(reply.AUTH_CANCELLED)
        if len(line) > AUTH_LINE - 2:
            return self._end_of_auth(reply.LINE_TOO_LONG)
        if isinstance(exchange, Refused):
            return self._end_of_auth(reply.BAD_CREDENTIALS)
        try:
            return self._challenge(exchange.step(_decoded(line)))
        except binascii.Error:
            return self._end_of_auth(reply.NOT_BASE64)
        except SaslError as error:
            return self._end_of_auth(reply.bad_response(str(error)))

    def _challenge(self, said: bytes | Credentials) -> Reply:
        if isinstance(said, bytes):
            return reply.challenge(base64.b64encode(said).decode())
        exchange, self._exchange = self._exchange, None  # whatever the callback does, this authentication is over
        # An empty password proves nothing, and is an anonymous bind to some directories (RFC 4513 5.1.2).
        if said.secret and self._rules.authenticate(said):
            self._visit.user = said.user or said.mechanism
            return reply.AUTHENTICATED
        if exchange is not None and exchange.refusal:
            # The error is a challenge here, and only the client's answer to it ends the exchange (RFC 7628 3.2.3).
            self._exchange = Refused()
            return reply.challenge(base64.b64encode(exchange.refusal).decode())
        return reply.BAD_CREDENTIALS

    def _end_of_auth(self, answer: Reply) -> Reply:
        self._exchange = None
        return answer

    def _mail(self, argument: str) -> Reply:
        rules = self._rules
        if rules.tls_required and not self._secure:
            return reply.TLS_FIRST
        if rules.auth_required and not self._visit.user:
            return reply.AUTH_FIRST
        path = _after(argument, "FROM:")
        if path is None:
            return reply.syntax("MAIL FROM:<local@domain> [parameters]")
        try:
            sender, rest = parse_path(path, utf8="SMTPUTF8" in path.upper())
            if sender and not sender.domain:
                raise AddressError("the domain is missing")
            options = parameters.of_mail(rest, self._offered)
            if not sender.isascii() and "SMTPUTF8" not in options:
                raise AddressError("it goes beyond ASCII", beyond_ascii=True)
        except AddressError as error:
            return reply.SENDER_NEEDS_SMTPUTF8 if error.beyond_ascii else reply.bad_sender(str(error))
        except DeliveryError as error:
            return error.reply
        size = int(options.pop("SIZE", "0"))
        if size > rules.size:
            return reply.TOO_BIG
        options.pop("AUTH", None)  # who first sent it is taken on nobody's word (RFC 4954 5)
        self._visit.sender = sender
        self._visit.size = size
        self._options = options or NO_OPTIONS
        return reply.SENDER_OK

    def _rcpt(self, argument: str) -> Reply:
        path = _after(argument, "TO:")
        if path is None:
            return reply.syntax("RCPT TO:<local@domain> [parameters]")
        try:
            address, rest = parse_path(path, utf8="SMTPUTF8" in self._options)
            if not address:
                raise AddressError("the null path receives no mail")
            if not rest.isascii() and "SMTPUTF8" not in self._options:  # ORCPT has an ASCII form (RFC 6533 3)
                return reply.syntax("a parameter beyond ASCII needs SMTPUTF8")
            options = parameters.of_rcpt(rest, self._offered)
        except AddressError as error:
            return reply.RECIPIENT_NEEDS_SMTPUTF8 if error.beyond_ascii else reply.bad_recipient(str(error))
        except DeliveryError as error:
            return error.reply
        if len(self._recipients) >= self._rules.limits.recipients:
            return reply.TOO_MANY_RECIPIENTS
        answer = self._door.recipient(address, self._visit)
        if answer.accepted:
            self._recipients.append(Recipient(address, options or NO_OPTIONS))
        return answer

    def _data(self, argument: str) -> Reply:
        if argument:
            return reply.syntax("DATA")
        self.expects = Expects.CONTENT
        return reply.START_DATA

    def _bdat(self, argument: str) -> Reply | None:
        if "CHUNKING" in self._hidden:
            return reply.NOT_OFFERED
        size, *last = argument.upper().split() or [""]
        if not (size.isascii() and size.isdigit() and len(size) <= _CHUNK_DIGITS and last in ([], ["LAST"])):
            return reply.syntax("BDAT size [LAST]")
        self.chunk, self.last_chunk = int(size), bool(last)
        self._out_of_order = _NO_CHUNK_HERE.get(self._state)
        self.expects = Expects.CHUNK
        return None

    def _rset(self, argument: str) -> Reply:
        if argument:
            return reply.syntax("RSET")
        self._forget()
        return reply.RESET

    def _quit(self, argument: str) -> Reply:
        if argument:
            return reply.syntax("QUIT")
        self.expects = Expects.NOTHING
        return reply.BYE

    def _noop(self, argument: str) -> Reply:
        return reply.NOOP

    def _help(self, argument: str) -> Reply:
        return reply.HELP

    def _vrfy(self, argument: str) -> Reply:
        return reply.CANNOT_VERIFY if argument else reply.syntax("VRFY address")

    def _expn(self, argument: str) -> Reply:
        return reply.NO_EXPN


def _decoded(response: bytes) -> bytes:
    """What stands in a response. Raises binascii.Error where that is not base64."""
    if response == b"=":
        return b""  # the empty response (RFC 4954 4)
    if len(response) % 4:
        raise binascii.Error("not whole groups of four")  # too many = pass the strict mode of the standard library
    return base64.b64decode(response, validate=True)


def _after(argument: str, keyword: str) -> str | None:
    """What follows ``FROM:`` or ``TO:``; a space between is none of RFC 5321's, and common."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    return argument[len(keyword) :].lstrip(" ")


_VERBS: Mapping[bytes, tuple[tuple[Cell, ...], int, Callable[[Conversation, str], Reply | None]]] = {
    verb.encode(): (row, _LINES.get(verb.encode(), _COMMAND_LINE), getattr(Conversation, f"_{verb.lower()}"))
    for verb, row in ORDER.items()
}
