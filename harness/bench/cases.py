"""All cases, in the order of the table."""

from __future__ import annotations

from dataclasses import replace

from harness.bench import big, durable, faults, forwarding, growth, round_trips, small, start
from harness.bench.case import OURS, Beats, Case, Competitors, Setting

CASES: tuple[Case, ...] = (
    *start.CASES,
    *small.CASES,
    *durable.CASES,
    *big.CASES,
    *forwarding.CASES,
    *round_trips.CASES,
    *growth.CASES,
    *faults.CASES,
)


def _gate(case: Case) -> Case:
    """A case with its first goal alone, and nobody measured but ourselves and the peer of that goal."""
    goal = case.goals[0]

    def prepare(setting: Setting) -> Competitors:
        return {
            name: each
            for name, each in case.prepare(setting).items()
            if name == OURS or (isinstance(goal, Beats) and name == goal.peer)
        }

    return replace(case, prepare=prepare, goals=(goal,))


GATES = tuple(
    _gate(case) for case in CASES if case.name in ("mock_transport", "small_mails_4", "big_mails_10", "decode")
)
"""What CI looks at: quick, beside a peer that is a dependency, and, being processor time or one thread's work, steady
on a machine that has other things to do. (Starting a server is not: two threads wait for each other.)"""
