"""What happens, on its way from the servers' thread, and the client's, to the screen.

Bounded: a screen that is held with Ctrl-S, or that thousands of lines a second come to, holds up no mail and takes no
more memory. Words go first; facts, which are few beside them and are counted, have four times the room.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from smtp_pair.entry import Waiting
from smtp_pair.facts import Fact
from smtp_pair.recorder import Said
from smtp_pair.screen.lines import Line

LAG = 10_000
"""Things that may wait to be shown: of more, the words are counted instead."""
MOST = 4 * LAG
"""Of more, the facts too."""


@dataclass(frozen=True, slots=True)
class State:
    """How a server is, at one moment."""

    hostname: str
    running: bool
    down: bool = False
    """Whether a fault has it refuse all connections."""
    queue: tuple[Waiting, ...] = ()
    waiting: int = 0
    """Recipients in the queue; ``queue`` may be the first of them only."""
    faults: tuple[str, ...] = ()
    """Those in force, in words."""
    now: float = 0.0
    """When that was, by the servers' clock."""


Happening = Fact | Said | State | Line
"""A line is the client's, or, with a host name as its actor, that server's."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What has come since the last one, in its order."""

    happened: tuple[Happening, ...]
    missing: dict[str, int]
    """How much there was besides, by the server's host name."""


class Feed:
    """Filled from any thread, emptied by one."""

    def __init__(self) -> None:
        self._queue: deque[Happening] = deque()  # append and popleft need no lock
        self._missing: Counter[str] = Counter()

    def put(self, happening: Happening) -> None:
        """Add something. Never waits."""
        waiting = len(self._queue)
        if waiting < LAG or (waiting < MOST and not isinstance(happening, Said)):
            self._queue.append(happening)
        elif isinstance(happening, Said):
            self._missing[happening.hostname] += len(happening.events)
        elif isinstance(happening, Fact):
            self._missing[happening.server] += 1

    def take(self) -> Batch:
        """All that has come, without waiting."""
        happened = tuple(self._queue.popleft() for _ in range(len(self._queue)))
        missing, self._missing = self._missing, Counter()
        return Batch(happened, dict(missing))
