"""``docs/behaviour.md`` says what the tests of the rules see."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from harness.behaviour_table import NEEDED, ROOT, TABLE, Seen, render
from harness.rules import RULES


@cache
def checked() -> subprocess.CompletedProcess[str]:
    """A run of its own, whatever was selected of this one and however it is distributed."""
    command = [sys.executable, "-m", "harness.behaviour_table", "--check"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_rule_has_a_test() -> None:
    """C1 to C69 and C89 to C94 each have a test that is named after them."""
    pytest.importorskip("trustme")  # the tests of TLS are among them
    assert "no test is named after" not in checked().stderr


def test_table_is_what_the_tests_see() -> None:
    """The committed file is what they would write today."""
    pytest.importorskip("trustme")
    done = checked()
    assert done.returncode == 0, f"python -m harness.behaviour_table writes it anew:\n{done.stdout}{done.stderr}"


def test_table_says_each_rule_once() -> None:
    """A row for each rule that must have a test."""
    rows = [line.split(" | ")[0] for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| C")]
    assert len(set(rows)) == len(rows)
    assert {f"| C{number}" for number in NEEDED} <= set(rows)


def test_every_rule_has_a_place_in_the_table() -> None:
    """All 94, once each, where a test is named after them; and what was noted stands in its row."""
    tests = {number: [f"test_c{number}_x"] for number in RULES}
    text = render(Seen(tests, {45: ["a: 250 2.0.0", "250 2.0.0", "b: 550", "c: 550", "x | y"]}))
    assert list(RULES) == list(range(1, 95))
    assert all(text.count(f"| C{number} |") == 1 for number in RULES)
    [row] = [line for line in text.splitlines() if line.startswith("| C45 |")]
    assert row.endswith("| 250 2.0.0<br>550 (b, c)<br>x \\| y |")
