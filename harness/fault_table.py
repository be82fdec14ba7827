"""What clients do with faults, as ``docs/faults.md``: made of what ``tests/scenarios/test_fault_clients.py`` saw.

python -m harness.fault_table            runs the tests, and writes the table
python -m harness.fault_table --check    runs them, and fails where the table differs
"""

from __future__ import annotations

import argparse
import difflib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from harness.fault_cases import CASES, SENDS, Case

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "faults.md"
RUN = "tests/scenarios/test_fault_clients.py"
PROPERTY = "fault"
_NO_SUCH_THING = "-"
_HEAD = """\
# Faults, and what clients do with them

A server does wrong what it is told to: `server.faults` in a test, `[[domain.fault]]` in a configuration file,
`smtp-pair up --fault`. Each fault has a place, a kind and, where it is not for everybody and always, limits
(`times=2`, `nth=3`, `to=vader@*`, `sender=`, `client=`, `session=1`, `probability=0.5`). The first column says it as
`--fault` reads it; `server.faults.add('RCPT drop')` takes the same words.

The places are `connect` (before the greeting), `greeting`, the commands, `body` (while the content comes), `dot` (its
end), `accepted` (the mail is taken and stored, its 250 not yet said) and `any` (each command, and the dot);
`after DATA ... bytes=100` is 100 octets later. What refuses leaves the session as a real refusal does: no recipient was
added, the transaction stays open or is over. A mail that a fault keeps from being taken leaves nothing behind. One that
was taken, at `accepted`, is there; whoever was not told sends it again, and it is there twice (RFC 1047).

For smtplib and aiosmtplib the word is the exception that `sendmail` (`send`) or the end of the session raises; our
relay puts a mail off and tries again, or bounces it. Where it waits, it does so until the fault is taken back, or for
its own time-out (`limits.reply`).

This file is written by `python -m harness.fault_table` from the tests, which fail where it is out of date.
"""


def observe() -> dict[tuple[str, str], str]:
    """Run the tests; the outcome for each case and client. Raises SystemExit with their output where they fail."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, RUN]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        return read(report)


def read(report: Path) -> dict[tuple[str, str], str]:
    """What the tests noted, from pytest's own report."""
    notes = [
        each.get("value", "").split("\t")
        for each in ElementTree.parse(report).iter("property")
        if each.get("name") == PROPERTY
    ]
    return {(case, client): outcome for case, client, outcome in notes}


def render(seen: dict[tuple[str, str], str]) -> str:
    """The whole document."""
    head = f"| fault | {' | '.join(SENDS)} |\n|---|{'---|' * len(SENDS)}\n"
    return f"{_HEAD}\n{head}{''.join(_row(case, seen) for case in CASES)}"


def _row(case: Case, seen: dict[tuple[str, str], str]) -> str:
    outcomes = [seen.get((case.name, client), _NO_SUCH_THING) for client in SENDS]
    twice = ", and comes twice" if case.twice else ""
    outcomes[-1] += twice
    return f"| `{case.name}` | {' | '.join(outcomes)} |\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.fault_table", description="Write docs/faults.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file is out of date")
    check = parser.parse_args(arguments).check
    text = render(observe())
    committed = TABLE.read_text("utf-8") if TABLE.exists() else ""
    if check:
        difference = difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "seen")
        sys.stderr.write("\n".join(difference))
    else:
        TABLE.write_text(text, "utf-8")
    return 1 if check and committed != text else 0


if __name__ == "__main__":
    sys.exit(main())
