"""Greylisting: whoever is new is asked to come again, for mass mailers seldom do (RFC 6647)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from smtp_pair.mail.address import Address

KNOWN = 100_000
"""Triplets remembered at most, so that nobody can fill the memory with invented ones."""


class Greylist:
    """Remembers who sends what to whom. ``delay`` is in seconds; ``now`` tells the time."""

    def __init__(self, delay: float, now: Callable[[], float]) -> None:
        self._delay = delay
        self._now = now
        self._first_seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def knows(self, host: str, sender: Address, recipient: Address) -> bool:
        """Whether the three were seen together ``delay`` ago or earlier; from now on they have been seen."""
        triplet = host, sender.lower(), recipient.lower()
        now = self._now()
        first = self._first_seen.setdefault(triplet, now)
        self._first_seen.move_to_end(triplet)
        if len(self._first_seen) > KNOWN:
            self._first_seen.popitem(last=False)
        return now - first >= self._delay
