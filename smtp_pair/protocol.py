"""The conversation of a server, without a wire: what may be said when, and what is answered (RFC 5321 4.1.4).

    EHLO -> MAIL -> RCPT (one or more) -> DATA -> content -> the mail is accepted, or not -> MAIL ...

:data:`ORDER` is the whole order of commands: a row for each verb, a column for each state. A cell is the state that
follows when the command succeeds, or the reply that refuses it there. :class:`Conversation` walks the table: it is
fed one command line at a time and gives a :class:`Reply` for each; it never reads or writes. The carrier
(``session.py``) looks at ``expects`` to know what the next octets are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum, IntEnum
from typing import Protocol

from smtp_pair.config import Limits
from smtp_pair.mail import reply
from smtp_pair.mail.address import NULL_PATH, Address, parse_path
from smtp_pair.mail.envelope import NO_OPTIONS, Envelope, Recipient
from smtp_pair.mail.errors import AddressError, DeliveryError
from smtp_pair.mail.reply import Reply


class State(IntEnum):
    """How far a session has come. The numbers are the columns of ORDER."""

    START = 0  # nobody has said EHLO
    READY = 1  # no transaction is open
    MAIL = 2  # a sender is known
    RCPT = 3  # and a recipient


class Expects(Enum):
    """What the next octets from the client are."""

    COMMAND = "a command line"
    CONTENT = "the content of a mail, up to a line of a single dot"
    NOTHING = "nothing: the session is over"


Cell = State | Reply
_START, _READY, _MAIL, _RCPT = State

# fmt: off
ORDER: Mapping[str, tuple[Cell, Cell, Cell, Cell]] = {
    # in:     START             READY             MAIL                RCPT
    "EHLO": (_READY,           _READY,           _READY,             _READY),
    "HELO": (_READY,           _READY,           _READY,             _READY),
    "MAIL": (reply.EHLO_FIRST, _MAIL,            reply.NESTED_MAIL,  reply.NESTED_MAIL),
    "RCPT": (reply.EHLO_FIRST, reply.MAIL_FIRST, _RCPT,              _RCPT),
    "DATA": (reply.EHLO_FIRST, reply.MAIL_FIRST, reply.RCPT_FIRST,   _RCPT),
    "RSET": (_START,           _READY,           _READY,             _READY),
    "NOOP": (_START,           _READY,           _MAIL,              _RCPT),
    "HELP": (_START,           _READY,           _MAIL,              _RCPT),
    "VRFY": (_START,           _READY,           _MAIL,              _RCPT),
    "EXPN": (_START,           _READY,           _MAIL,              _RCPT),
    "QUIT": (_START,           _READY,           _READY,             _READY),
}
# fmt: on

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\U0010ffff]+))?")
LONGEST_LINE = 512 - 2 + 26 + 17 + 10
"""Octets in a command line without its end: RFC 5321 4.5.3.1.4, and what SIZE, 8BITMIME and SMTPUTF8 add."""
_SIZE_DIGITS = 20  # RFC 1870 4: a size value has 1 to 20 digits
_MAIL_USAGE = "MAIL FROM:<local@domain> [parameters]"
_RCPT_USAGE = "RCPT TO:<local@domain> [parameters]"


class Doorkeeper(Protocol):
    """Who decides about a recipient (``policy.py``)."""

    def recipient(self, address: Address) -> Reply: ...


class Conversation:
    """One session's side of the talk. Not for two sessions, not for two threads."""

    __slots__ = (
        "_client",
        "_door",
        "_errors",
        "_extended",
        "_hostname",
        "_limits",
        "_options",
        "_recipients",
        "_sender",
        "_size",
        "_state",
        "expects",
    )

    def __init__(self, hostname: str, size: int, limits: Limits, door: Doorkeeper) -> None:
        self._hostname = hostname
        self._size = size
        self._limits = limits
        self._door = door
        self._state = State.START
        self._client = ""
        self._extended = False
        self._errors = 0
        self.expects = Expects.COMMAND
        self._forget()

    @property
    def client(self) -> str:
        """What the client called itself in EHLO or HELO; "" before."""
        return self._client

    @property
    def extended(self) -> bool:
        """Whether it said EHLO, and so may use the extensions."""
        return self._extended

    @property
    def sender(self) -> Address:
        """The reverse-path of the open transaction."""
        return self._sender

    def greeting(self) -> Reply:
        """The first words."""
        return reply.greeting(self._hostname)

    def command(self, line: bytes) -> Reply:
        """Answer one command line, given without its line end."""
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            return self._count(reply.NOT_TEXT)
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        row = ORDER.get(verb)
        if row is None:
            return self._count(reply.UNKNOWN_COMMAND)
        cell = row[self._state]
        if isinstance(cell, Reply):
            return self._count(cell)
        answer = _ANSWERS[verb](self, argument.strip(" "))
        if answer.code < 400:
            self._state = cell
            return answer
        return self._count(answer)

    def refuse(self, answer: Reply) -> Reply:
        """Account for a command that the carrier had to refuse unread (a line too long)."""
        return self._count(answer)

    def content_ended(self) -> Envelope:
        """The final dot has come: close the transaction and give its envelope."""
        envelope = Envelope(self._sender, tuple(self._recipients), self._options)
        self._forget()
        self._state = State.READY
        self.expects = Expects.COMMAND
        return envelope

    def _forget(self) -> None:
        """Drop the transaction."""
        self._sender: Address = NULL_PATH
        self._options: Mapping[str, str] = NO_OPTIONS
        self._recipients: list[Recipient] = []

    def _count(self, answer: Reply) -> Reply:
        """Count an error of the client; at the last one allowed the session ends (C24)."""
        if not answer.permanent:
            return answer
        self._errors += 1
        if self._errors < self._limits.errors:
            return answer
        self.expects = Expects.NOTHING
        return reply.TOO_MANY_ERRORS

    # -- one method for each verb; the state has been checked ------------------------------------------------------

    def _hello(self, argument: str, *, extended: bool) -> Reply:
        if not argument or not argument.isprintable():
            return reply.HELLO_WANTS_A_NAME
        self._client = argument
        self._extended = extended
        self._forget()  # a second EHLO resets the transaction (RFC 5321 4.1.4)
        return reply.hello(self._hostname, self._extensions() if extended else ())

    def _ehlo(self, argument: str) -> Reply:
        return self._hello(argument, extended=True)

    def _helo(self, argument: str) -> Reply:
        return self._hello(argument, extended=False)

    def _extensions(self) -> tuple[str, ...]:
        return f"SIZE {self._size}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "HELP"

    def _mail(self, argument: str) -> Reply:
        path = _after(argument, "FROM:")
        if path is None:
            return reply.syntax(_MAIL_USAGE)
        utf8 = "SMTPUTF8" in path.upper().rpartition(">")[2].split()
        try:
            sender, rest = parse_path(path, utf8=utf8)
            if sender and not sender.domain:
                raise AddressError("the domain is missing")
            options = _parameters(rest, _MAIL_PARAMETERS if self._extended else {})
        except AddressError as error:
            return reply.needs_smtputf8("sender") if error.beyond_ascii else reply.bad_sender(str(error))
        except DeliveryError as error:
            return error.reply
        if int(options.pop("SIZE", "0")) > self._size:
            return reply.TOO_BIG
        self._sender = sender
        self._options = options
        return reply.SENDER_OK

    def _rcpt(self, argument: str) -> Reply:
        path = _after(argument, "TO:")
        if path is None:
            return reply.syntax(_RCPT_USAGE)
        try:
            address, rest = parse_path(path, utf8="SMTPUTF8" in self._options)
            if not address:
                raise AddressError("the null path receives no mail")
            options = _parameters(rest, _RCPT_PARAMETERS)
        except AddressError as error:
            return reply.needs_smtputf8("recipient") if error.beyond_ascii else reply.bad_recipient(str(error))
        except DeliveryError as error:
            return error.reply
        if len(self._recipients) >= self._limits.recipients:
            return reply.TOO_MANY_RECIPIENTS
        answer = self._door.recipient(address)
        if answer.accepted:
            self._recipients.append(Recipient(address, options))
        return answer

    def _data(self, argument: str) -> Reply:
        if argument:
            return reply.syntax("DATA")
        self.expects = Expects.CONTENT
        return reply.START_DATA

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


def _after(argument: str, keyword: str) -> str | None:
    """What follows ``FROM:`` or ``TO:``; a space between is none of RFC 5321's, and common."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    return argument[len(keyword) :].lstrip(" ")


def _size(value: str) -> str:
    if not value.isascii() or not value.isdigit() or len(value) > _SIZE_DIGITS:
        raise DeliveryError(reply.bad_parameter("SIZE", "up to 20 digits"))
    return value


def _body(value: str) -> str:
    if value.upper() not in ("7BIT", "8BITMIME"):
        raise DeliveryError(reply.bad_parameter("BODY", "7BIT or 8BITMIME"))
    return value.upper()


def _smtputf8(value: str) -> str:
    if value:
        raise DeliveryError(reply.bad_parameter("SMTPUTF8", "it takes no value"))
    return value


_MAIL_PARAMETERS: Mapping[str, Callable[[str], str]] = {"SIZE": _size, "BODY": _body, "SMTPUTF8": _smtputf8}
_RCPT_PARAMETERS: Mapping[str, Callable[[str], str]] = {}


def _parameters(text: str, known: Mapping[str, Callable[[str], str]]) -> dict[str, str]:
    """The parameters after a path, their values checked. Raises DeliveryError with the reply that refuses one."""
    found: dict[str, str] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise DeliveryError(reply.syntax("a parameter is KEYWORD or KEYWORD=value"))
        name = match[1].upper()
        check = known.get(name)
        if check is None:
            raise DeliveryError(reply.unknown_parameter(name))
        if name in found:
            raise DeliveryError(reply.bad_parameter(name, "it is given twice"))
        found[name] = check(match[2] or "")
    return found


_ANSWERS: Mapping[str, Callable[[Conversation, str], Reply]] = {
    "EHLO": Conversation._ehlo,
    "HELO": Conversation._helo,
    "MAIL": Conversation._mail,
    "RCPT": Conversation._rcpt,
    "DATA": Conversation._data,
    "RSET": Conversation._rset,
    "NOOP": Conversation._noop,
    "HELP": Conversation._help,
    "VRFY": Conversation._vrfy,
    "EXPN": Conversation._expn,
    "QUIT": Conversation._quit,
}
