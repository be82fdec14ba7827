"""When a server has done with a connection: a client can't see that, and must not guess it with a sleep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from unittest import mock

from smtp_pair import Server
from smtp_pair.session import Session

PATIENCE = 30.0
"""Seconds; a failure, not a measurement."""


class Departures:
    """The connections that ended while it was watched."""

    def __init__(self) -> None:
        self._ended: SimpleQueue[None] = SimpleQueue()

    def wait(self, count: int = 1) -> None:
        """Wait until so many more have ended."""
        for number in range(count):
            try:
                self._ended.get(timeout=PATIENCE)
            except Empty:
                raise AssertionError(f"{count - number} of {count} connections have not ended") from None

    @classmethod
    @contextmanager
    def watched(cls) -> Iterator[Departures]:
        self, stock = cls(), Session.connection_lost

        def connection_lost(session: Session, error: Exception | None) -> None:
            counted = session in session._house.sessions
            stock(session, error)
            if counted:
                self._ended.put(None)

        with mock.patch.object(Session, "connection_lost", connection_lost):
            yield self


def held(server: Server) -> int:
    """How many connections the server counts as open, by its two ways of counting them."""
    assert server._running is not None
    house = server._running._house
    assert len(house.sessions) == sum(house.peers.values())
    return len(house.sessions)
