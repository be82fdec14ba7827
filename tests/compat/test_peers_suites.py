"""The peers' own tests of SMTP, on the shims: what fails is what is meant to, and has its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import peers_suites
from harness.peers_suites import SUITES, NotHere, Suite


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_peers_own_suite_passes_on_the_shim(suite: Suite, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """But for the named differences: a failure beyond them is one here, and so is a difference that is none now."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir(f"peers-{suite.name}-{suite.version}")
    try:
        top = peers_suites.source(suite, kept, tmp_path)
    except NotHere as error:
        pytest.skip(str(error))
    outcomes = peers_suites.run(suite, top)
    assert peers_suites.surprises(suite, outcomes) == []
    assert "passed" in outcomes.values()


def test_what_is_not_as_named_is_told() -> None:
    """A failure that nobody named, a named one that passes, and one that is not there."""
    suite = Suite("a", "1", "a", (), differences={"a::fails": "why", "a::passes": "why", "a::gone": "why"})
    outcomes = {"a::fails": "assert 0", "a::passes": "passed", "a::new": "assert 1 == 2"}
    assert peers_suites.surprises(suite, outcomes) == [
        "a::new fails: assert 1 == 2",
        "a::passes passes: it need not be named",
        "a::gone is not there: it need not be named",
    ]


def test_no_network_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as a failure of the shims."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(NotHere, match="pytest-localserver==.* can't be downloaded: "):
        peers_suites.source(SUITES[1], tmp_path / "kept", tmp_path)
