"""What a case is: competitors that take turns, and what is asked of their ratios.

case.prepare(setting)   sets every competitor up, and gives for each a function that measures it once
run(case, setting, n)   n rounds, all competitors in each, after one round that is thrown away
Result.verdicts()       for each goal: the ratio of a round to ours, its median and quartiles, reached or not
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

OURS = "ours"

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Missing:
    """A competitor that is not installed, and what would bring it."""

    why: str


Competitors = Mapping[str, "Measure | Missing"]


@dataclass(frozen=True, slots=True)
class Beats:
    """A goal: ours is so many times as good as a peer."""

    peer: str
    times: float

    def __str__(self) -> str:
        return f">= {self.times:g}x"


@dataclass(frozen=True, slots=True)
class AtMost:
    """A goal: our own figure."""

    most: float

    def __str__(self) -> str:
        return f"<= {self.most:g}"


Goal = Beats | AtMost


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how large a case is run."""

    stack: ExitStack
    """What has to be undone at the end of the case."""
    folder: Path
    """An empty one."""
    tools: Path
    """Where ``install_peers.sh`` has put what is no Python package."""
    tiny: bool = False
    """As small as can be: to see that it runs, not to measure."""
    alone: bool = False
    """Without peers."""

    def amount(self, usual: int, tiny: int) -> int:
        """How many, or how much."""
        return tiny if self.tiny else usual


@dataclass(frozen=True, slots=True)
class Case:
    """One row, or several, of the table."""

    name: str
    title: str
    unit: str
    prepare: Callable[[Setting], Competitors]
    goals: tuple[Goal, ...] = ()
    rounds: int = 7
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """What lies in the middle of some figures."""

    median: float
    low: float
    """The lower quartile."""
    high: float
    """The upper one."""

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """The median and the quartiles, between two figures where they have to be."""
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a goal was met."""

    goal: Goal | None
    """None: nothing is asked of this peer."""
    peer: str
    spread: Spread | None
    """Of the ratios, or, without a peer, of our figures; None: the peer is missing, or ours is nothing."""

    @property
    def short(self) -> float | None:
        """The part of the goal that is missing: 0 where it is reached; None where nobody can tell."""
        if self.goal is None or self.spread is None:
            return None
        if isinstance(self.goal, Beats):
            return max(0.0, 1 - self.spread.median / self.goal.times)
        if self.spread.median <= self.goal.most:
            return 0.0
        return self.spread.median / self.goal.most - 1 if self.goal.most else 1.0

    def __str__(self) -> str:
        if self.goal is None:
            return ""
        if self.short is None:
            return "not measured"
        return "reached" if not self.short else f"short by {self.short:.0%}"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a case, a list for each competitor with one for each round."""

    case: Case
    figures: Mapping[str, Sequence[float]]
    missing: Mapping[str, str] = field(default_factory=dict)

    def ratios(self, peer: str) -> list[float]:
        """How many times better ours was, round by round."""
        pairs = zip(self.figures[OURS], self.figures[peer], strict=True)
        if self.case.more_is_better:
            return [ours / theirs for ours, theirs in pairs]
        return [theirs / ours for ours, theirs in pairs]

    def verdicts(self) -> list[Verdict]:
        """Every goal's, then the ratios to those of whom nothing is asked."""
        found = [self._verdict(goal) for goal in self.case.goals]
        asked = {goal.peer for goal in self.case.goals if isinstance(goal, Beats)}
        others = [name for name in (*self.figures, *self.missing) if name != OURS and name not in asked]
        if OURS not in self.figures:
            return found
        return found + [Verdict(None, name, self._against(name)) for name in others]

    def _verdict(self, goal: Goal) -> Verdict:
        if isinstance(goal, AtMost):
            return Verdict(goal, "", Spread.of(self.figures[OURS]))
        return Verdict(goal, goal.peer, self._against(goal.peer))

    def _against(self, peer: str) -> Spread | None:
        return Spread.of(self.ratios(peer)) if peer in self.figures and min(self.figures[OURS]) > 0 else None


def run(case: Case, setting: Setting, rounds: int) -> Result:
    """Measure: all competitors in each round, a different one first each time, one round before the first."""
    competitors = case.prepare(setting)
    missing = {name: each.why for name, each in competitors.items() if isinstance(each, Missing)}
    measures = {name: each for name, each in competitors.items() if not isinstance(each, Missing)}
    if setting.alone:
        missing |= {name: "left out" for name in measures if name != OURS}
        measures = {OURS: measures[OURS]}
    figures: dict[str, list[float]] = {name: [] for name in measures}
    order = list(measures)
    for number in range(-1, rounds):
        for name in order:
            figure = measures[name]()
            if number >= 0 or setting.tiny:
                figures[name].append(figure)
        order = [*order[1:], order[0]]
        if setting.tiny:
            break
    return Result(case, figures, missing)


@contextmanager
def setting(tools: Path, *, tiny: bool = False, alone: bool = False) -> Iterator[Setting]:
    """A setting with a temporary folder; everything in it is undone at the end."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="smtp-pair-bench-", ignore_cleanup_errors=True))
        yield Setting(stack, Path(folder), tools, tiny, alone)
