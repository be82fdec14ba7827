"""Real servers beside a plain model of them: clients, faults, partitions, restarts and time, in any order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from harness.model.bugs import BUGS
from harness.model.machine import NetworkMachine

STEPS = 30


def test_the_servers_do_as_the_model_does() -> None:
    """Whatever happens, each mail is where it must be and nowhere else, octet for octet, and in the end none waits."""
    run_state_machine_as_test(NetworkMachine, settings=settings(stateful_step_count=STEPS))


@pytest.mark.parametrize("plant", BUGS.values(), ids=[name.replace(" ", "-") for name in BUGS])
def test_a_planted_bug_is_found(plant: Callable[[], AbstractContextManager[None]]) -> None:
    """Within 2,000 examples: what the machine says of our servers is worth something."""
    examples = 0

    class Counting(NetworkMachine):
        def __init__(self) -> None:
            nonlocal examples
            examples += 1
            super().__init__()

    search = settings(
        max_examples=2000,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with plant(), pytest.raises(AssertionError):
        run_state_machine_as_test(Counting, settings=search)
    assert 0 < examples <= 2000
