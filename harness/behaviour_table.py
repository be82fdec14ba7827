"""What the servers do on the wire, rule by rule, as ``docs/behaviour.md``: made of what the tests of the rules saw.

    python -m harness.behaviour_table            runs tests/rules, and writes the table
    python -m harness.behaviour_table --check    runs them, and fails where the table differs

The tests note their replies with the fixture ``rule`` (``rules_plugin.py``). The rules about MIME have their tests
elsewhere, and no reply.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.rules import RULES

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "behaviour.md"
RUN = "tests/rules"
COLLECTED = "tests/unit/mail/test_mime_rules.py"
NEEDED = (*range(1, 70), *range(89, 95))
"""The rules that must have a test."""

_GROUPS: Mapping[str, range] = {
    "Session": range(1, 25),
    "Enhanced codes": range(25, 27),
    "Recipients and relaying": range(27, 44),
    "Data": range(44, 57),
    "Extensions": range(57, 67),
    "TLS and AUTH": range(67, 70),
    "Trace": range(70, 76),
    "Queue": range(76, 82),
    "Notifications": range(82, 89),
    "MIME, to disk": range(89, 95),
}
_CODES = re.compile(r"[2-5][0-9][0-9](?: [245]\.[0-9]{1,3}\.[0-9]{1,3})?")
_HEAD = """\
# Behaviour on the wire

What a client sees. Each rule has tests that are named after it (`test_c45_bare_lf_is_never_forwarded`); the last column
is what they saw, and, where the rule is about several things, in answer to what. Sections are of RFC 5321 unless
another one is named.

This file is written by `python -m harness.behaviour_table` from the tests, which fail where it is out of date.
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """The tests that there are for each rule, and what they noted."""

    tests: Mapping[int, list[str]]
    notes: Mapping[int, list[str]]

    @classmethod
    def parse(cls, text: str) -> Seen:
        """From what the tests wrote down (``rules_plugin.Record``)."""
        tests, notes = ({int(number): them for number, them in part.items()} for part in json.loads(text).values())
        return cls(tests, notes)

    @property
    def missing(self) -> list[int]:
        """The rules that should have a test, and have none."""
        return [number for number in NEEDED if number not in self.tests]


def observe() -> Seen:
    """Run the tests. Raises SystemExit with their output where they do not pass."""
    # Whoever runs this has chosen options for another run.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--record-rules={record}"]
        command = [sys.executable, "-m", "pytest", *options, RUN, COLLECTED]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        return Seen.parse(record.read_text("utf-8"))


def render(seen: Seen) -> str:
    """The whole document."""
    tables = [
        _table(name, [number for number in numbers if number in seen.tests], seen) for name, numbers in _GROUPS.items()
    ]
    return "\n".join([_HEAD, *filter(None, tables)])


def _table(name: str, numbers: Iterable[int], seen: Seen) -> str:
    rows = [
        f"| C{number} | {rule.section} | {_cell(rule.says)} | {_replies(seen.notes.get(number, []))} |\n"
        for number, rule in ((number, RULES[number]) for number in numbers)
    ]
    head = f"## {name}\n\n| rule | section | what it says | our reply |\n|---|---|---|---|\n"
    return head + "".join(rows) if rows else ""


def _replies(notes: Iterable[str]) -> str:
    """Each reply once, with all that it was to, where it was to nothing in general; then what else was noted."""
    replies: dict[str, list[str]] = {}
    others = []
    for note in notes:
        to, _, codes = note.rpartition(": ")
        if _CODES.fullmatch(codes):
            replies.setdefault(codes, []).append(to)
        else:
            others.append(note)
    told = [codes if "" in to else f"{codes} ({', '.join(to)})" for codes, to in replies.items()]
    return "<br>".join(map(_cell, [*told, *others])) or "-"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.behaviour_table", description="Write docs/behaviour.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file is out of date")
    check = parser.parse_args(arguments).check
    seen = observe()
    missing = ", ".join(f"C{number}" for number in seen.missing)
    if missing:
        print(f"no test is named after {missing}", file=sys.stderr)
    text = render(seen)
    committed = TABLE.read_text("utf-8") if TABLE.exists() else ""
    if check:
        sys.stderr.write(
            "\n".join(difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "seen"))
        )
    else:
        TABLE.write_text(text, "utf-8")
    return 1 if missing or (check and committed != text) else 0


if __name__ == "__main__":
    sys.exit(main())
