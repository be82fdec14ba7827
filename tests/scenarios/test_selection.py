"""``pytest -k`` with a destination or a client selects what it says, in the scenarios and in the whole suite.

``-k`` looks for letters, in the names of files and folders too: the tests here name no destination themselves.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.behaviours import BEHAVIOURS
from harness.destinations import FORWARD, LOCAL, PLAIN, UNREACHABLE, VARIANTS

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = "tests/scenarios/"

# Collecting the whole suite takes seconds: it is done once, and pytest's own -k is asked for each expression.
PROBE = """
import json, os

def pytest_collection_finish(session):
    selected = {}
    for expression in json.loads(os.environ["EXPRESSIONS"]):
        session.config.option.keyword = expression
        items = list(session.items)
        session.config.pluginmanager.get_plugin("mark").pytest_collection_modifyitems(items, session.config)
        selected[expression] = [item.nodeid for item in items]
    with open(os.environ["SELECTED"], "w", encoding="utf-8") as file:
        json.dump(selected, file)
"""
EXPRESSIONS = {
    LOCAL.id: (LOCAL.id, ""),
    FORWARD.id: (FORWARD.id, ""),
    UNREACHABLE.id: (UNREACHABLE.id, ""),
    f"interactive and {LOCAL.id}": (LOCAL.id, "interactive"),
    f"scripted and {FORWARD.id}": (FORWARD.id, "scripted"),
}


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The ids of the tests that each expression selects, of the whole suite; ``""`` selects all."""
    folder = tmp_path_factory.mktemp("selection")
    (folder / "selection_probe.py").write_text(PROBE, "utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "EXPRESSIONS": json.dumps(["", *EXPRESSIONS]),
        "SELECTED": str(folder / "selected.json"),
    }
    options = ["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "selection_probe", "tests"]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, list[str]] = json.loads((folder / "selected.json").read_text("utf-8"))
    return answer


def words(test_id: str) -> list[str]:
    """The parts of a scenario's id: ``[interactive-local-quoted]`` has three."""
    return test_id.partition("[")[2].rstrip("]").split("-")


def is_about(test_id: str, word: str) -> bool:
    """Whether the word stands in the id by itself, and not as a piece of another one (``localhost``, ``locale``)."""
    text = re.sub("local[ _-]?parts?", "", test_id.lower())
    return re.search(rf"(?<![a-z]){word}(ed|ing|s)?(?![a-z])", text) is not None


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_what_is_selected(selected: dict[str, list[str]], number: int) -> None:
    """Of the scenarios exactly those that have the words in their id, the plain ones and the variants among them; of
    the rest of the suite nothing that merely has the same letters in another word."""
    expression, (destination, client) = list(EXPRESSIONS.items())[number]
    scenarios = [each for each in selected[""] if each.startswith(SCENARIOS)]
    wanted = [each for each in scenarios if {destination, client or destination} <= set(words(each))]
    found = selected[expression]
    assert [each for each in found if each.startswith(SCENARIOS)] == wanted
    for behaviour in [client] if client else [each.id for each in BEHAVIOURS]:
        assert f"{SCENARIOS}test_matrix.py::test_outcome[{behaviour}-{destination}]" in found
    if expression != LOCAL.id:  # by itself it is a piece of too many words
        strangers = [each for each in found if each not in wanted and not is_about(each, destination)]
        assert strangers == [], f"-k {expression!r} selects these for a piece of a word: they need other names"


def test_the_matrix_is_whole(selected: dict[str, list[str]]) -> None:
    """Every client is played to every destination, and every id is there once."""
    ids = [each for each in selected[""] if each.startswith(SCENARIOS)]
    assert len(set(ids)) == len(ids)
    for destination in PLAIN + VARIANTS:
        for behaviour in BEHAVIOURS:
            assert any(each.endswith(f"[{behaviour.id}-{destination.id}]") for each in ids)


def test_on_the_command_line() -> None:
    """The same by hand: ``pytest -k "interactive and local"``."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", SCENARIOS]
    asked = ["-k", f"interactive and {LOCAL.id}"]
    done = subprocess.run([*command, *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    ids = [line for line in done.stdout.splitlines() if "::" in line]
    assert f"{SCENARIOS}test_matrix.py::test_outcome[interactive-{LOCAL.id}]" in ids
    assert [each for each in ids if not {LOCAL.id, "interactive"} <= set(words(each))] == []
