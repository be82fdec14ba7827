"""What a coroutine waits for that another thread tells it: on asyncio's event loop, or on trio's.

The tests of a user of anyio may run on either.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol


class Alarm(Protocol):
    """Made by the coroutine that waits, and for it alone."""

    def ring(self) -> None:
        """From any thread. Raises RuntimeError where the event loop is gone: nobody waits there any more."""

    async def rung(self) -> None:
        """Wait until it rings; a ring since the last wait counts."""

    def within(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """What ends in a TimeoutError after so many seconds."""
        ...


def here() -> Alarm:
    """One for the event loop that runs here. Raises RuntimeError where none does."""
    try:
        return _OnAsyncio()
    except RuntimeError:
        if "trio" not in sys.modules:
            raise
        return _OnTrio(sys.modules["trio"])


class _OnAsyncio:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._loop.call_soon_threadsafe(self._event.set)

    async def rung(self) -> None:
        await self._event.wait()
        self._event.clear()

    def within(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)


class _OnTrio:
    def __init__(self, trio: Any) -> None:  # no dependency: whoever runs it has it
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()

    def ring(self) -> None:
        self._token.run_sync_soon(lambda: self._event.set())

    async def rung(self) -> None:
        await self._event.wait()
        self._event = self._trio.Event()

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[object]:
        with self._trio.move_on_after(seconds) as scope:
            yield scope
        if scope.cancelled_caught:
            raise TimeoutError
