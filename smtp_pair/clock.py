"""Time, handed in: nothing else in the package asks what time it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


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
