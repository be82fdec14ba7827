"""A connection without a socket: a protocol of asyncio on one side, a client that is only memory on the other.

    with MemoryClient(loop, protocol) as client:
        client.said()                               what the protocol has said since it was last asked
        client.say(b"EHLO client.example\\r\\n")    and once more, all that it says to that

The protocol runs on a real event loop, which turns for as long as there is anything to do and no longer: so a client
knows that nothing more will be said, without a time-out, and thousands of sessions pass in a second. Work in other
threads is not waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Self

_TURNS = 10_000  # a protocol that is not done by then goes round in circles


class MemoryTransport(asyncio.Transport):
    """The protocol's side of the connection: keeps what is written; closes at the loop's next turn, as sockets do."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self.written: list[bytes] = []
        """What the protocol said and nobody took yet."""
        self.paused = False
        """Whether the protocol wants to read no more for now."""
        self.ended = False
        """Whether the protocol has said that it will say no more."""
        self.closed = False
        """Whether the connection is gone, and the protocol knows it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what the protocol says; what it says to nobody is lost."""
        if not self._closing:
            self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Nothing ever waits: the client reads at once."""
        return 0

    def can_write_eof(self) -> bool:
        """As sockets can."""
        return True

    def write_eof(self) -> None:
        """The protocol will say no more."""
        self.ended = True

    def pause_reading(self) -> None:
        """The protocol has more than it can take."""
        self.paused = True

    def resume_reading(self) -> None:
        """It can take more."""
        self.paused = False

    def is_closing(self) -> bool:
        """Whether the end has begun."""
        return self._closing

    def close(self) -> None:
        """The protocol closes the connection."""
        self.lose(None)

    def abort(self) -> None:
        """The protocol drops the connection."""
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """The connection is gone, by an ``error`` or without one."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        self.closed = True
        self._protocol.connection_lost(error)


class MemoryClient:
    """The other side: says octets, and lets the loop turn until nothing moves. For the thread that owns the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        self._loop = loop
        self._protocol = protocol
        self.transport = MemoryTransport(loop, protocol)
        self._do(partial(protocol.connection_made, self.transport))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def say(self, *chunks: bytes) -> bytes:
        """Say the chunks, the protocol having done all it can after each; gives what it said meanwhile."""
        for chunk in chunks:
            if chunk and not self.transport.is_closing():
                self._do(partial(self._protocol.data_received, chunk))
        return self.said()

    def said(self) -> bytes:
        """What the protocol has said since this was last asked."""
        said = b"".join(self.transport.written)
        self.transport.written.clear()
        return said

    def half_close(self) -> None:
        """Say that there is nothing more to come, and go on listening."""
        if not self.transport.is_closing() and not self._do(self._protocol.eof_received):
            self.transport.close()
            settle(self._loop)

    def hang_up(self, error: Exception | None = None) -> None:
        """Be gone, at once."""
        self.transport.lose(error)
        settle(self._loop)

    def say_and_hang_up(self, octets: bytes, error: Exception | None = None) -> None:
        """Say something and be gone before the protocol has done anything about it."""

        def do() -> None:
            if octets:
                self._protocol.data_received(octets)
            self.transport.lose(error)

        if not self.transport.is_closing():
            self._do(do)

    def _do(self, action: Callable[[], Any]) -> Any:
        """Let the loop call it, as it calls protocols, and all that follows from it."""
        results: list[Any] = []
        self._loop.call_soon(lambda: results.append(action()))
        settle(self._loop)
        return results[0]


def settle(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop turn until it has nothing to do but to wait."""
    ready = loop._ready  # type: ignore[attr-defined]  # asyncio has no public word for it
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if ready and turns < _TURNS:
            loop.call_soon(turn)
        else:
            loop.stop()

    if ready:
        loop.call_soon(turn)
        loop.run_forever()
    if ready:
        raise AssertionError(f"the loop is still busy after {_TURNS:,} turns: {ready}")
