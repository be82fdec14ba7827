"""The tests of a run, from all its workers, put into one file at its end: a plugin that is there where
``--mail-report`` is, in the process that sees all tests (with pytest-xdist, the one that hands them out)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smtp_pair.report.run import Outcome, Run, Span, Test

if TYPE_CHECKING:
    import pytest

FOLDER = "mail_folder"
"""The attribute by which a test's report says where its mail was kept; pytest-xdist carries it over."""


@dataclass(slots=True)
class _Seen:
    worker: str = ""
    began: float = 0.0
    ended: float = 0.0
    outcome: Outcome = "unknown"
    folder: str = ""


class Gathering:
    """Listens to the reports of tests, and writes the file."""

    def __init__(self, file: Path, root: Path, write: Callable[[Path, str], None]) -> None:
        self.file = file
        self._root = root
        self._write = write
        self._seen: dict[str, _Seen] = {}
        self._said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test is over."""
        seen = self._seen.setdefault(report.nodeid, _Seen())
        node = getattr(report, "node", None)
        if node is not None:
            seen.worker = str(node.gateway.id)
        start, stop = getattr(report, "start", 0.0), getattr(report, "stop", 0.0)
        if report.when == "setup":  # a test that is run again begins anew
            seen.began, seen.outcome = start, "unknown"
        seen.ended = stop
        if report.failed:
            seen.outcome = "failed"
        elif report.skipped:
            seen.outcome = "skipped"
        elif seen.outcome == "unknown" and report.when == "call":
            seen.outcome = "passed"
        seen.folder = getattr(report, FOLDER, "") or seen.folder

    def pytest_sessionfinish(self) -> None:
        """All tests are over."""
        from smtp_pair.report.page import render

        try:
            self._write(self.file, render(self._run()))
        except OSError as error:
            self._said = f"no mail report: {self.file}: {error.strerror or error}"
        else:
            shown = os.path.relpath(self.file, self._root)
            self._said = f"mail report: {self.file if shown.startswith('..') else shown}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where it is."""
        terminalreporter.write_sep("-", self._said)

    def _run(self) -> Run:
        from smtp_pair.report import reading

        tests: list[Test] = []
        others: list[Span] = []
        for name, seen in self._seen.items():
            if seen.folder and Path(seen.folder).is_dir():
                found = reading.test(Path(seen.folder), self.file.parent)
                tests.append(
                    replace(
                        found,
                        name=name,
                        outcome=seen.outcome,
                        worker=seen.worker,
                        began=seen.began or found.began,
                        ended=seen.ended or found.ended,
                    )
                )
            elif seen.began:
                others.append(Span(name, seen.outcome, seen.worker, seen.began, seen.ended))
        return Run("Mail report", tuple(tests), tuple(others))
