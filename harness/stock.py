"""Plays sessions to a server of ours and to one of stock aiosmtpd, and compares what they answer and take.

Group by group: both get the same octets in the same pieces. Wherever an answer differs, ``differences.py`` must know
why; where one took a command that the other refused, what follows in the group proves nothing, so the rest of it is
skipped and both begin again with EHLO.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from harness.differences import MAILS, difference_of
from harness.exchange import Exchange
from harness.memory_transport import MemoryClient
from harness.sessions import Group, Session, cut
from smtp_pair.config import Limits
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import Rules, Visit
from smtp_pair.sasl import passwords
from smtp_pair.session import House, Receipt
from smtp_pair.session import Session as OurSession

SIZE = 1200
"""The largest mail for both."""
LIMITS = Limits(recipients=4, commands=100)
NOBODY = "nobody"
"""The one local part that neither knows."""
USER, PASSWORD = "vader", "darkside"
HOSTNAME = "smtp.jaku.com"
ALIKE = "alike"

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -])[^\r\n]*\r\n")


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that a server took."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class Peer(Protocol):
    """A client's connection to one of the two."""

    mails: list[Taken]

    def ask(self, chunks: Iterable[bytes], due: int) -> list[int]:
        """Say the chunks; the codes of the replies to it, fewer than are due where the server has closed."""
        ...


# -- ours, and stock ------------------------------------------------------------------------------------------------


class _Door:
    def recipient(self, address: Address, visit: Visit) -> Reply:
        return reply.no_such_user(address) if address.local == NOBODY else reply.RECIPIENT_OK


def our_house(mails: list[Taken], *, limits: Limits = LIMITS, size: int = SIZE, reject_bare: bool = False) -> House:
    """What sessions of ours share, with nothing behind it but a list."""

    def accept(envelope: Envelope, content: bytes, origin: Origin) -> Receipt:
        mails.append(Taken(envelope.sender, tuple(envelope.recipients), content))
        return Receipt(reply.stored("it"), lambda: None)

    rules = Rules(
        HOSTNAME,
        size,
        limits,
        mechanisms=("PLAIN", "LOGIN"),
        authenticate=passwords({USER: PASSWORD}),
        reject_bare_newline=reject_bare,
    )
    return House(rules, _Door(), accept, lambda *_: None)


class _Handler:
    """aiosmtpd finds these by their names."""

    def __init__(self, mails: list[Taken]) -> None:
        self._mails = mails

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.partition("@")[0] == NOBODY:
            return "550 5.1.1 nobody"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from  # C36: a text there, a value here
        self._mails.append(Taken(sender, tuple(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, login: LoginPassword) -> AuthResult:
    right = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def our_protocol(mails: list[Taken], loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
    """A session of ours."""
    return OurSession(our_house(mails), loop)


def stock_protocol(mails: list[Taken], loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
    """A session of aiosmtpd's, as near to ours as its settings bring it."""
    return SMTP(
        _Handler(mails),
        hostname=HOSTNAME,
        data_size_limit=SIZE,
        enable_SMTPUTF8=True,
        auth_require_tls=False,
        authenticator=_authenticate,
        loop=loop,
    )


def _only(answers: list[int]) -> int:
    return answers[0] if answers else 0


class MemoryPeer:
    """A connection in memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, mails: list[Taken]) -> None:
        self.mails = mails
        self._client = MemoryClient(loop, protocol)

    def ask(self, chunks: Iterable[bytes], due: int) -> list[int]:
        """Say the chunks; all that is answered."""
        return codes(self._client.say(*chunks))

    def close(self) -> None:
        """Hang up."""
        self._client.hang_up()


class SocketPeer:
    """A connection over the loopback."""

    def __init__(self, port: int, mails: list[Taken]) -> None:
        self.mails = mails
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, chunks: Iterable[bytes], due: int) -> list[int]:
        """Say the chunks, and read the replies that are due."""
        with contextlib.suppress(ConnectionError):  # it has closed, and may have said why before
            for chunk in chunks:
                self._socket.sendall(chunk)
        said = b""
        while len(codes(said)) < due:
            try:
                more = self._socket.recv(1 << 16)
            except ConnectionError:
                more = b""
            if not more:
                break
            said += more
        return codes(said)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def codes(octets: bytes) -> list[int]:
    """The codes of the whole replies in these octets. Raises ValueError for what is none."""
    found: list[int] = []
    before = b""
    for line in octets.splitlines(keepends=True):
        match = _LINE.fullmatch(line)
        if match is None and line.endswith(b"\n"):
            raise ValueError(f"no reply: {line!r}")
        if match is not None:
            if before and before != match[1]:
                raise ValueError(f"two codes in one reply: {octets!r}")
            before = match[1] if match[2] == b"-" else b""
            if not before:
                found.append(int(match[1]))
    return found


# -- and both -------------------------------------------------------------------------------------------------------


class Mismatch(AssertionError):
    """They answer differently, and no difference is known there; the text shows the conversation."""


@dataclass
class Comparison:
    """One session with both."""

    ours: Peer
    stock: Peer
    seen: Counter[str] = field(default_factory=Counter)
    """How often they were alike, and how often each known difference was seen."""
    _said: list[str] = field(default_factory=list)
    _hello: str = ""
    _sender: bool = False
    _over: bool = False

    def play(self, session: Session) -> Counter[str]:
        """Play the session. Raises Mismatch."""
        self._both((), 1)
        for group in session:
            if not self._over and not self._play(group) and not self._over:
                self._begin_again()
        return self.seen

    def _both(self, octets: Sequence[bytes], due: int) -> tuple[list[int], list[int]]:
        answers = self.ours.ask(octets, due), self.stock.ask(octets, due)
        self._said.append(f"C: {b''.join(octets)!r} in {len(octets)}\n  ours: {answers[0]}\n  stock: {answers[1]}")
        return answers

    def _play(self, group: Group) -> bool:
        """Whether both are in the same state after it."""
        ours, stock = self._both([*cut(b"".join(group.commands), group.pace)], len(group.commands))
        last = 0
        for number, line in enumerate(group.commands):
            if number == len(ours) == len(stock):
                self._over = True  # both have closed, as they should
                return True
            last = ours[number] if number < len(ours) else 0
            theirs = stock[number] if number < len(stock) else 0
            if not self._same(Exchange("command", line, last, theirs, self._hello, self._sender)):
                return self._give_up(ours, stock)
            self._follow(line, last)
        if max(len(ours), len(stock)) > len(group.commands):
            raise self._mismatch("there are more replies than commands")
        if last == 354 and group.content is not None:
            return self._content(group.content, group.pace)
        return self._responses(group) if last == 334 else True

    def _content(self, content: bytes, pace: Sequence[int]) -> bool:
        ours, stock = self._both([*cut(content, pace)], 1)
        self._sender = False
        return self._same(Exchange("content", content, _only(ours), _only(stock))) and self._same_mails(content)

    def _responses(self, group: Group) -> bool:
        for line in group.responses:
            ours, stock = self._both([*cut(line, group.pace)], 1)
            if not self._same(Exchange("response", line, _only(ours), _only(stock))):
                return self._give_up(ours, stock)
            if ours != [334]:
                return True
        return self._both([b"*\r\n"], 1) == ([501], [501])

    def _same(self, exchange: Exchange) -> bool:
        """Whether both are in the same state after it. Raises Mismatch where no difference is known."""
        if exchange.ours == exchange.stock != 0:
            self.seen[ALIKE] += 1
            return True
        known = difference_of(exchange)
        if known is None:
            raise self._mismatch(f"no difference is known for {exchange}")
        self.seen[known.name] += 1
        self._over = self._over or known.parts or 235 in (exchange.ours, exchange.stock)
        return exchange.in_step and not self._over

    def _same_mails(self, content: bytes) -> bool:
        ours, stock = self.ours.mails[:], self.stock.mails[:]
        self.ours.mails.clear()
        self.stock.mails.clear()
        if ours == stock:
            return True
        for known in MAILS:
            if len(ours) == len(stock) == 1 and known.when(ours[0].content, content):
                self.seen[known.name] += 1
                return True
        raise self._mismatch(f"they took different mails: {ours} and {stock}")

    def _follow(self, line: bytes, code: int) -> None:
        """Keep up with the state that both are in."""
        verb = line[:4].upper().decode("ascii", "replace")
        if code == 250 and verb in ("EHLO", "HELO"):
            self._hello = verb
        if code == 250 and verb in ("EHLO", "HELO", "RSET", "MAIL"):
            self._sender = verb == "MAIL"

    def _give_up(self, ours: list[int], stock: list[int]) -> bool:
        """The rest of the group proves nothing. A server that waits for a mail gets an empty one."""
        for peer, answers in ((self.ours, ours), (self.stock, stock)):
            if answers[-1:] == [354]:
                peer.ask([b".\r\n"], 1)
            while answers[-1:] == [334]:
                answers = peer.ask([b"*\r\n"], 1)
        return False

    def _begin_again(self) -> None:
        ours, stock = self._both([b"EHLO client.example\r\n"], 1)
        self._hello, self._sender = "EHLO", False
        self.ours.mails.clear()
        self.stock.mails.clear()
        self._over = not ours or not stock  # one of them has closed

    def _mismatch(self, why: str) -> Mismatch:
        return Mismatch("\n".join([why, *self._said]))
