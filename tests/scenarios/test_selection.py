"""``pytest -k`` with a destination or a client selects what it says, in the scenarios and in the whole suite.

``-k`` looks for letters, in the names of files and folders too: the tests here name no destination themselves.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from harness.behaviours import BEHAVIOURS
from harness.destinations import FORWARD, LOCAL, PLAIN, UNREACHABLE, VARIANTS

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = "tests/scenarios/"
# "locale", "localhost" and "local part" are about something else.
OTHER_USES = re.compile(r"local[ _-]?parts?")

expressions = pytest.mark.parametrize(
    ("destination", "client"),
    [
        pytest.param(LOCAL.id, "", id="at home"),
        pytest.param(FORWARD.id, "", id="passed on"),
        pytest.param(UNREACHABLE.id, "", id="no route"),
        pytest.param(LOCAL.id, "interactive", id="one client at home"),
    ],
)


@cache
def collected(*arguments: str) -> list[str]:
    """The ids of the tests that pytest would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def words(test_id: str) -> list[str]:
    """The parts of a scenario's id: ``[interactive-local-quoted]`` has three."""
    return test_id.partition("[")[2].rstrip("]").split("-")


def is_about(test_id: str, word: str) -> bool:
    """Whether the word stands in the id by itself, and not as a piece of another one."""
    text = OTHER_USES.sub("", test_id.lower())
    return re.search(rf"(?<![a-z]){word}(ed|ing|s)?(?![a-z])", text) is not None


@expressions
def test_what_is_selected(destination: str, client: str) -> None:
    """Of the scenarios exactly those that have the words in their id, the plain ones and the variants among them; of
    the rest of the suite nothing that merely has the same letters in another word."""
    expression = f"{client} and {destination}" if client else destination
    selected = collected("-k", expression, "tests")
    scenarios = [test_id for test_id in selected if test_id.startswith(SCENARIOS)]
    everything = collected("tests")
    wanted = [
        each
        for each in everything
        if each.startswith(SCENARIOS) and destination in words(each) and (not client or client in words(each))
    ]
    assert scenarios == wanted
    clients = [client] if client else [each.id for each in BEHAVIOURS]
    for each in clients:
        assert f"{SCENARIOS}test_matrix.py::test_outcome[{each}-{destination}]" in selected
    strangers = [each for each in selected if each not in wanted and not is_about(each, destination)]
    assert strangers == [], f"-k {expression!r} selects these for a piece of a word: they need other names"


def test_the_matrix_is_whole() -> None:
    """Every client is played to every destination, and every id is there once."""
    ids = collected("tests")
    assert len(set(ids)) == len(ids)
    for destination in PLAIN + VARIANTS:
        for behaviour in BEHAVIOURS:
            assert any(each.endswith(f"[{behaviour.id}-{destination.id}]") for each in ids)
