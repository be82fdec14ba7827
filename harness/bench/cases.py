"""All cases, in the order of the table."""

from __future__ import annotations

from harness.bench import big, durable, faults, forwarding, growth, round_trips, small, start
from harness.bench.case import Case

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
_BY_NAME = {case.name: case for case in CASES}
GATES = tuple(_BY_NAME[name] for name in ("mock_transport", "start_stop", "big_mails_10", "decode"))
"""What CI looks at: steady, quick, and needs no peer that is not a dependency."""
