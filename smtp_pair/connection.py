"""The octets of one connection to a next hop: what it has said, and what it is told.

asyncio's streams do the same and take twice as long over a small mail: here a reply that has come is taken without
waiting, one timer watches over all the waits of a connection, and nothing is waited for that is there.
"""

from __future__ import annotations

import asyncio
import ssl

LONGEST = 1 << 15
"""Octets of one reply: a next hop that goes on for longer does not mean it well."""
_ENDLESS = "its reply does not end"
_UNREAD = 2 * LONGEST
"""Octets that may come before anybody asks for them."""
_PIECE = 1 << 12


class Connection(asyncio.Protocol):
    """One connection. Used on the event loop's thread only, by one task at a time.

    Whatever waits does so until a moment of the loop's clock, and raises TimeoutError then, OSError when the connection
    breaks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.transport: asyncio.Transport
        self.over = False
        """Whether the other side has closed it."""
        self._loop = loop
        self._said = bytearray()
        self._lost: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._crowded = False  # more is to be sent than the system takes
        self._held = False  # more has come than anybody asked for

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext | None, name: str | None) -> Connection:
        """Connect; with a ``context``, in TLS from the first octet on, to a server that proves to be ``name``. Raises
        OSError."""
        loop = asyncio.get_running_loop()
        _, self = await loop.create_connection(lambda: cls(loop), host, port, ssl=context, server_hostname=name)
        return self

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Go on in TLS. Raises OSError, EOFError."""
        # What came before the handshake is not the hop's (CVE-2011-0411, the other way round).
        self._said.clear()
        transport = await self._loop.start_tls(self.transport, self, context, server_hostname=name)
        if transport is None:
            raise ConnectionResetError("the connection was closed")
        self.transport = transport

    # -- what it says ------------------------------------------------------------------------------------------------

    @property
    def unasked(self) -> bool:
        """Whether something has come that nobody has taken."""
        return bool(self._said)

    def taken(self) -> list[bytes]:
        """The lines of the next reply, where it is here whole; else none. Raises ValueError for one too long."""
        said = self._said
        end = said.find(b"\n") + 1
        if end > LONGEST:
            raise ValueError(_ENDLESS)
        if end and said[3:4] != b"-":  # one line: nearly all are
            line = bytes(said[:end])
            del said[:end]
            return [line]
        lines: list[bytes] = []
        at = 0
        while end:
            lines.append(bytes(said[at:end]))
            if lines[-1][3:4] != b"-":
                del said[:end]
                return lines
            at = end
            end = said.find(b"\n", at) + 1
            if end > LONGEST:
                raise ValueError(_ENDLESS)
        return []

    async def reply(self, until: float) -> list[bytes]:
        """The lines of the next reply, waited for. Raises EOFError at the end of what it says, ValueError when a reply
        does not end."""
        while not (lines := self.taken()):
            if len(self._said) > LONGEST:
                raise ValueError(_ENDLESS)
            if self.over:
                raise EOFError("closed by the other side")
            self._let_in()
            await self._wait(until)
        self._let_in()
        return lines

    # -- what it is told ---------------------------------------------------------------------------------------------

    def write(self, octets: bytes | memoryview) -> None:
        """Send, as soon as can be."""
        self.transport.write(octets)

    async def room(self, until: float) -> None:
        """Wait until most of what was written is on its way."""
        while self._crowded or self._lost is not None:
            await self._wait(until)

    @property
    def in_tls(self) -> bool:
        """Whether it is encrypted."""
        return self.transport.get_extra_info("sslcontext") is not None

    @property
    def tls_version(self) -> str:
        """What it is encrypted with: ``TLSv1.3``; "" where it is not."""
        tls = self.transport.get_extra_info("ssl_object")
        return tls.version() or "" if tls is not None else ""

    @property
    def own_end(self) -> tuple[str, int]:
        """Its address on this side."""
        host, port = (self.transport.get_extra_info("sockname") or ("", 0))[:2]  # it may be lost already
        return host, port

    @property
    def closed(self) -> bool:
        """Whether it is closed, or about to be, whoever did it."""
        return self.over or self.transport.is_closing()

    async def close(self, until: float) -> None:
        """Close it once all is sent."""
        self.transport.close()
        while self._lost is None:
            await self._wait(until)

    def abort(self) -> None:
        """Drop it, whatever is yet to be sent."""
        self.transport.abort()
        self._call_off()

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def _wait(self, until: float) -> None:
        """Until something happens."""
        if self._lost is not None:
            raise self._lost
        self._until = until
        if self._timer is None or self._timer.when() > until:
            self._watch()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _watch(self) -> None:
        self._call_off()
        self._timer = self._loop.call_at(self._until, self._overdue)

    def _overdue(self) -> None:
        """The timer is left where it was when a wait ends, and moved on only when it rings too early."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._until:
            self._watch()
        else:
            self._waiter.set_exception(TimeoutError())

    def _call_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _let_in(self) -> None:
        if self._held and len(self._said) <= LONGEST:
            self._held = False
            self.transport.resume_reading()

    # -- what asyncio calls ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there; in TLS, a second time."""
        assert isinstance(transport, asyncio.Transport)
        if hasattr(transport, "max_size"):
            # asyncio asks the system for 256 KiB at once, in memory that is new each time; replies are short
            transport.max_size = _PIECE
        self.transport = transport

    def data_received(self, octets: bytes) -> None:
        """The hop says something."""
        self._said += octets
        if len(self._said) > _UNREAD and not self._held:
            self._held = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The hop says no more. What we have to say may still go out, but for TLS, which can't be half closed."""
        self.over = True
        self._wake()
        return not self.in_tls

    def pause_writing(self) -> None:
        """Too much is to be sent."""
        self._crowded = True

    def resume_writing(self) -> None:
        """Most of it is sent."""
        self._crowded = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self.over = True
        self._lost = error or ConnectionResetError("closed by the other side")
        self._crowded = False
        self._call_off()
        self._wake()
