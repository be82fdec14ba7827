"""Faults that hypothesis draws, under a clock that the test moves: what was accepted arrives, and chance repeats."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtp_pair import Network, strategies
from smtp_pair.faults import Fault
from smtp_pair.transcript import normal


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network("a.test", "b.test", directory=tmp_path_factory.mktemp("mail"), clock="manual", seed=1) as running:
        yield running


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=strategies.fault_schedules(duplicates=True))
def test_send_fail_retry_deliver(
    network: Network, monkeypatch: pytest.MonkeyPatch, schedule: tuple[Fault, ...]
) -> None:
    """300 times, without a sleep: whatever goes wrong for a while at the next hop, the mail arrives there in the end,
    once, and once more for each time that its reply was lost, which is told; nobody is told of a failure, and each
    fault came to pass no more often than it was to."""
    with monkeypatch.context() as patch, network.fresh():
        patch.setattr(time, "sleep", lambda _: pytest.fail("something slept"))
        first, second = network["a.test"], network["b.test"]
        second.faults.add(*schedule)
        assert first.send("luke@b.test", sender="leia@a.test", subject="on")["luke@b.test"].code == 250
        network.clock.advance(hours=12)
        unheard = [fired for fired in second.faults.seen if fired.phase == "accepted"]
        assert [mail.subject for mail in second.messages] == ["on"] * (1 + len(unheard))
        assert len(network.assert_conserved().duplicates) == len(unheard)
        assert (first.queue, [mail for mail in first.messages if mail.delivery_status.action == "failed"]) == ([], [])  # type: ignore[union-attr]  # fmt: skip
        for fault in set(schedule):
            fired = [one for one in second.faults.seen if one.fault == fault]
            assert len(fired) <= (fault.times or 0) * schedule.count(fault)


def transcript(folder: Path, seed: int, schedule: tuple[Fault, ...]) -> list[str]:
    """What was said on both servers, faults included, in the form in which two runs are compared."""
    with Network("a.test", "b.test", directory=folder, clock="manual", seed=seed) as network:
        first, second = network["a.test"], network["b.test"]
        second.faults.add(*schedule)
        second.faults.reject("RCPT", "451", probability=0.5)
        for number in range(3):
            first.send("luke@b.test", sender="leia@a.test", subject=f"mail {number}")
            network.clock.advance(minutes=20)
        return normal(network.transcripts, bodies=False)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=strategies.fault_schedules(max_faults=3), seed=st.integers(0, 99))
def test_the_same_seed_gives_the_same_transcript(
    tmp_path_factory: pytest.TempPathFactory, schedule: tuple[Fault, ...], seed: int
) -> None:
    """Every word between both servers and every fault, in their order."""
    runs = [transcript(tmp_path_factory.mktemp("run"), seed, schedule) for _ in range(2)]
    assert runs[0] == runs[1]


def test_another_seed_gives_another(tmp_path: Path) -> None:
    runs = {tuple(transcript(tmp_path / str(seed), seed, ())) for seed in range(8)}
    assert len(runs) > 1
