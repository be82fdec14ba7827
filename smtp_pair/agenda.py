"""What is due when: one timer for as many things as there are, the next one found in O(log n)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from itertools import count
from typing import Generic, TypeVar

from smtp_pair.clock import Clock, Handle

Key = TypeVar("Key", bound=Hashable)

_SLACK = 64


class Agenda(Generic[Key]):
    """Keys with a moment each; ``start`` is told of each when it comes. Used on the event loop's thread only."""

    def __init__(self, clock: Clock, start: Callable[[Key], None]) -> None:
        self._clock = clock
        self._start = start
        self._heap: list[tuple[float, int, Key]] = []
        self._numbers: dict[Key, int] = {}
        """Those that are due some time; what stands in the heap under another number was called off."""
        self._count = count()
        self._timer: Handle | None = None
        self._rings = 0.0

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, key: Key) -> bool:
        return key in self._numbers

    def put(self, key: Key, moment: float) -> None:
        """Have it started at that moment (seconds since the epoch) and at no other."""
        number = self._numbers[key] = next(self._count)
        heapq.heappush(self._heap, (moment, number, key))
        if len(self._heap) > 2 * len(self._numbers) + _SLACK:
            self._heap = [entry for entry in self._heap if self._numbers.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
        if self._timer is None or moment < self._rings:
            self._set()

    def call_off(self, key: Key) -> bool:
        """Have it not started; whether it was due some time."""
        if self._numbers.pop(key, None) is None:
            return False
        if not self._numbers:
            self.clear()
        return True

    def clear(self) -> None:
        """Have nothing started any more."""
        self._heap.clear()
        self._numbers.clear()
        self._set()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._rings = self._heap[0][0]
            self._timer = self._clock.call_at(self._rings, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = max(self._rings, self._clock.now())  # a timer may ring a moment too early
        while self._heap and self._heap[0][0] <= now:
            _, number, key = heapq.heappop(self._heap)
            if self._numbers.get(key) == number:
                del self._numbers[key]
                self._start(key)
        if self._timer is None:
            self._set()
