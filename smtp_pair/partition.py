"""A partition of a network: two servers between which no mail passes, either way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self


class End(Protocol):
    """What a partition has to know of a server."""

    cut_off: set[str]

    @property
    def hostname(self) -> str: ...
    async def cut(self, hostname: str) -> None: ...


class Partition:
    """What ``network.partition`` gives: healed by :meth:`heal`, or at the end of a ``with``."""

    def __init__(self, ends: tuple[End, End], heal: Callable[[], None]) -> None:
        self._ends = ends
        self._heal = heal

    async def begin(self) -> None:
        """Cut the connections, and let no new one come about. On the servers' loop."""
        for one, other in (self._ends, self._ends[::-1]):
            one.cut_off.add(other.hostname)
            await one.cut(other.hostname)

    def heal(self) -> None:
        """End it."""
        self._heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.heal()


async def unite(servers: Iterable[End]) -> None:
    """End whatever partition lies between any of them. On the servers' loop."""
    ends = tuple(servers)
    names = [end.hostname for end in ends]
    for end in ends:
        end.cut_off.difference_update(names)
