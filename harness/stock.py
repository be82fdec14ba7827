"""A server of ours and one of stock aiosmtpd, as near to each other as their settings bring them, with nothing behind
them but a list of the mails that they took; and clients that talk to either, in memory or over the loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from harness.memory_transport import MemoryClient
from smtp_pair.config import Limits
from smtp_pair.house import House, Receipt
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import Rules, Visit
from smtp_pair.sasl import passwords
from smtp_pair.session import Session as OurSession

SIZE = 1200
"""The largest mail for both."""
LIMITS = Limits(recipients=4, commands=100)
NOBODY = "nobody"
"""The one local part that neither knows."""
USER, PASSWORD = "vader", "darkside"
HOSTNAME = "smtp.jaku.com"

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
        auth_requires_tls=False,
        authenticate=passwords({USER: PASSWORD}),
        reject_bare_newline=reject_bare,
    )
    return House(rules, _Door(), accept, lambda *_: None)


class _Handler:
    """What stock calls; aiosmtpd finds these by their names."""

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
