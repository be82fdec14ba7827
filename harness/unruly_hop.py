"""A next hop that does what a test tells it to, at each phase of a conversation; for tests of what a queue makes of it.

    with UnrulyHop() as hop:
        hop.says("RCPT", b"451 4.2.0 later")             the next time; then as a server that minds its business
        hop.always("dot", CLOSE)                         each time from now on

The phases are ``greeting``, the verbs, ``handshake`` (after STARTTLS) and ``dot`` (after the content). It runs on the
servers' own loop, so that a network that is settled has nothing more to say to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from smtp_pair import background

CLOSE, RESET, SILENT = b"<close>", b"<reset>", b"<silent>"
"""What it does instead of replying."""
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Raw:
    """Octets that are sent as they are, where a reply should be; ``endless``: again and again."""

    octets: bytes
    endless: bool = False


Says = bytes | Raw
_DEFAULTS: dict[str, bytes] = {
    "greeting": b"220 hop.test ESMTP",
    "DATA": b"354 go",
    "QUIT": b"221 2.0.0 bye",
    "STARTTLS": b"220 2.0.0 go",
    "handshake": CLOSE,
}


@dataclass
class Transaction:
    """A mail that came whole: what was said with it, and its content as it was before the dots were doubled."""

    sender: bytes
    recipients: list[bytes]
    content: bytes


@dataclass
class _Said:
    """What one connection has said so far."""

    sender: bytes = b""
    recipients: list[bytes] = field(default_factory=list)


class UnrulyHop:
    """A server. ``with UnrulyHop("PIPELINING", "8BITMIME") as hop: ...``; with ``down=True`` it refuses connections
    until it is told to come :meth:`up`."""

    def __init__(self, *offers: str, down: bool = False) -> None:
        self.offers: Sequence[str] = offers or ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "DSN")
        self._once: dict[str, list[Says]] = {}
        self._always: dict[str, Says] = {}
        self._socket = socket.create_server(("127.0.0.1", 0)) if not down else _closed_socket()
        self._down = down
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self._one_taken = asyncio.Event()
        self.conversations: list[list[bytes]] = []
        """The command lines of each connection, without their ends."""
        self.came: list[Transaction] = []
        """Mails that came whole, whatever was answered."""
        self.taken: list[Transaction] = []
        """Those of them that were answered with 2xx."""

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, for a route."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def says(self, phase: str, *replies: Says) -> None:
        """What to reply the next times."""
        self._once.setdefault(phase, []).extend(replies)

    def always(self, phase: str, reply: Says) -> None:
        """What to reply from now on."""
        self._always[phase] = reply

    def behaves(self) -> None:
        """From now on it minds its business."""
        self._once.clear()
        self._always.clear()

    def said(self, verb: str) -> list[bytes]:
        """The commands of that verb, whatever the connection."""
        lines = [line for conversation in self.conversations for line in conversation]
        return [line for line in lines if line.upper().startswith(verb.encode())]

    def up(self) -> None:
        """Take connections."""
        if self._down:
            self._socket.listen(100)
            self._down = False
        background.run(self._start())

    def wait_for_mail(self) -> None:
        """Wait until a mail has been taken. Raises TimeoutError after a while."""
        background.run(asyncio.wait_for(self._one_taken.wait(), 30))

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones."""
        background.run(self._hang_up())

    async def _hang_up(self) -> None:
        for task in self._sessions:
            task.cancel()
        await asyncio.gather(*self._sessions)

    def __enter__(self) -> UnrulyHop:
        if not self._down:
            self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        background.run(self._stop())
        self._socket.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._session, sock=self._socket.dup(), limit=1 << 26)

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._hang_up()
        await asyncio.sleep(0)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self.conversations.append([])
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._talk(reader, writer, self.conversations[-1])
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one of the two has gone
        finally:
            writer.close()
            self._sessions.discard(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: list[bytes]) -> None:
        said = _Said()
        await self._say("greeting", reader, writer)
        while line := await reader.readline():
            lines.append(line.rstrip(b"\r\n"))
            verb = line.split()[0].decode("latin-1").upper() if line.strip() else ""
            answer = await self._say(verb, reader, writer, self._usual(verb, said))
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and answer.startswith(b"220"):
                await reader.read(_PIECE)
                await self._say("handshake", reader, writer)
            elif verb == "MAIL" and answer.startswith(b"2"):
                said = _Said(lines[-1])
            elif verb == "RCPT" and answer.startswith(b"2"):
                said.recipients.append(lines[-1])
            elif verb == "DATA" and answer.startswith(b"354"):
                await self._mail(said, reader, writer)
                said = _Said()
            elif verb == "RSET":
                said = _Said()

    async def _mail(self, said: _Said, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mail = Transaction(said.sender, said.recipients, await _content(reader))
        self.came.append(mail)
        # Taken is what the other side is told of, and what it would have been told of.
        answer = await self._say("dot", reader, writer, b"250 2.0.0 taken")
        if answer.startswith(b"2"):
            self.taken.append(mail)
            self._one_taken.set()

    def _usual(self, verb: str, said: _Said) -> bytes:
        if verb == "EHLO":
            return b"\r\n".join(_lines(["hop.test", *self.offers]))
        if (verb == "RCPT" and not said.sender) or (verb == "DATA" and not said.recipients):
            return b"503 5.5.1 not yet"
        return _DEFAULTS.get(verb, b"250 2.0.0 OK")

    async def _say(
        self, phase: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, usual: bytes = b""
    ) -> bytes:
        once = self._once.get(phase)
        says = once.pop(0) if once else self._always.get(phase, usual or _DEFAULTS.get(phase, b""))
        if says == CLOSE:
            raise EOFError
        if says == RESET:
            writer.transport.abort()
            raise EOFError
        if says == SILENT:
            while await reader.read(_PIECE):
                pass
            raise EOFError
        if isinstance(says, Raw):
            await _flood(writer, says)
            return b""
        writer.write(says + b"\r\n")
        await writer.drain()
        return says


def _closed_socket() -> socket.socket:
    """Bound, so that the port is nobody else's, and not listening: connections are refused."""
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    return closed


def _lines(texts: Sequence[str]) -> list[bytes]:
    last = len(texts) - 1
    return [b"250%b%b" % (b" " if number == last else b"-", text.encode()) for number, text in enumerate(texts)]


async def _flood(writer: asyncio.StreamWriter, says: Raw) -> None:
    with contextlib.suppress(ConnectionError):
        writer.write(says.octets)
        await writer.drain()
        while says.endless and not writer.is_closing():
            writer.write(says.octets)
            await writer.drain()
            await asyncio.sleep(0)


async def _content(reader: asyncio.StreamReader) -> bytes:
    lines: list[bytes] = []
    while (line := await reader.readline()) != b".\r\n":
        if not line:
            raise EOFError
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)
