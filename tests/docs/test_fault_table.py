"""``docs/faults.md`` says what the tests of the faults see."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.fault_cases import CASES
from harness.fault_table import ROOT, TABLE, render


def test_table_is_what_the_tests_see() -> None:
    """The committed file is what they would write today. (A run of its own, whatever was selected of this one.)"""
    pytest.importorskip("trustme")
    command = [sys.executable, "-m", "harness.fault_table", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"python -m harness.fault_table writes it anew:\n{done.stdout}{done.stderr}"


def test_table_says_each_case_once() -> None:
    """A row for each, with a word for each client."""
    rows = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [case.name for case in CASES]
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(row.count(" | ") == 3 for row in rows)


def test_what_was_noted_stands_in_its_row() -> None:
    text = render({(CASES[0].name, "smtplib"): "sent", (CASES[0].name, "relay"): "bounced"})
    assert f"| `{CASES[0].name}` | sent | - | bounced |\n" in text
