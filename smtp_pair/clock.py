"""Time, handed in: nothing else in the package asks what time it is."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from itertools import count
from typing import Any, Protocol


class Handle(Protocol):
    """Something due that can be called off."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What a server asks of time. Used on the event loop's thread only."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def call_at(self, moment: float, callback: Callable[[], None]) -> Handle:
        """Call back at ``moment`` (seconds since the epoch), or at once if that is past."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def call_at(self, moment: float, callback: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(max(0.0, moment - time.time()), callback)


class ManualClock:
    """A clock that stands still until a test moves it.

    ``network.clock.advance(hours=1)`` walks from one due time to the next: what is due is done, with everything that
    follows from it on every server, before the clock moves on. When it returns, the hour has happened.
    """

    def __init__(
        self,
        settle: Callable[[], Awaitable[None]],
        run: Callable[[Coroutine[Any, Any, None]], None],
        start: float | None = None,
    ) -> None:
        self._settle = settle
        self._run = run
        self._now = time.time() if start is None else start
        self._due: list[_Due] = []
        self._numbers = count()

    def now(self) -> float:
        """Seconds since the epoch, as this clock has it."""
        return self._now

    def call_at(self, moment: float, callback: Callable[[], None]) -> Handle:
        """Call back when the clock gets to ``moment``; at the loop's next turn if it is there already."""
        if moment <= self._now:
            return asyncio.get_running_loop().call_soon(callback)
        due = _Due(moment, next(self._numbers), callback)
        heapq.heappush(self._due, due)
        return due

    def advance(self, seconds: float = 0.0, *, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> None:
        """Let so much time pass. Raises ValueError for a negative one; not to be called on the servers' own loop."""
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if span < 0:
            raise ValueError(f"time goes forward: {span:g} s is negative")
        self._run(self._advance(span))

    async def _advance(self, span: float) -> None:
        await self._settle()
        end = self._now + span
        while (due := self._next()) is not None and due.moment <= end:
            self._now = max(self._now, due.moment)
            while (same := self._next()) is not None and same.moment <= self._now:
                heapq.heappop(self._due)
                same.callback()
            await self._settle()
        self._now = end

    def _next(self) -> _Due | None:
        while self._due and self._due[0].cancelled:
            heapq.heappop(self._due)
        return self._due[0] if self._due else None


class _Due:
    """A callback and its moment; the number keeps those of one moment in their order."""

    __slots__ = ("callback", "cancelled", "moment", "number")

    def __init__(self, moment: float, number: int, callback: Callable[[], None]) -> None:
        self.moment = moment
        self.number = number
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def __lt__(self, other: _Due) -> bool:
        return (self.moment, self.number) < (other.moment, other.number)
