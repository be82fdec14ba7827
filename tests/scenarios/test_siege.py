"""A small siege; ``python -m harness.siege`` is the big one, whose figures are in the documentation."""

from __future__ import annotations

import pytest

from harness import siege
from harness.siege import Waits


def test_honest_mails_arrive() -> None:
    """While sixty peers dribble, stall or never read, every honest mail gets its 250 and is delivered, and nothing of
    the peers is."""
    report = siege.run(60, mails=40)
    assert report.sent == report.arrived == siege.WARM + 80
    assert report.others == 0
    assert len(report.under.of_each) == 40
    assert "under   60 peers: median" in str(report)


def test_the_figures() -> None:
    """Median and 95th percentile, in seconds."""
    waits = Waits([number / 100 for number in range(1, 102)])
    assert waits.median == pytest.approx(0.51)
    assert waits.of_95 == pytest.approx(0.96)
