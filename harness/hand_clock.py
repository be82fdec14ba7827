"""A clock for whole networks that a test moves by hand, from its own thread."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from smtp_pair import Network, background

Due = tuple[float, int, Callable[[], None]]


@dataclass
class HandClock:
    """Stands still until it is moved. ``HandClock.of(network)``, before the network is started."""

    moment: float = 1_700_000_000.0
    due: list[Due] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _network: Network | None = None

    @classmethod
    def of(cls, network: Network) -> HandClock:
        """The network's clock from now on."""
        clock = cls(_network=network)
        network._clock = clock
        return clock

    def now(self) -> float:
        return self.moment

    def call_at(self, moment: float, callback: Callable[[], None]) -> _Handle:
        entry = moment, next(self._numbers), callback
        heapq.heappush(self.due, entry)
        return _Handle(self, entry)

    def advance(self, seconds: float) -> None:
        """Move on, and wait until all that fell due is done; what falls due because of that comes in its turn."""
        assert self._network is not None
        end = self.moment + seconds
        self._network.settle()
        while background.run(self._step(end)):
            self._network.settle()

    async def _step(self, end: float) -> bool:
        if not self.due or self.due[0][0] > end:
            self.moment = end
            return False
        moment, _, callback = heapq.heappop(self.due)
        self.moment = max(self.moment, moment)
        callback()
        return True


@dataclass
class _Handle:
    clock: HandClock
    entry: Due

    def cancel(self) -> None:
        if self.entry in self.clock.due:
            self.clock.due.remove(self.entry)
            heapq.heapify(self.clock.due)
