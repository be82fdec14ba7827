"""Writes down what a test leaves behind, for whoever looks at it later: its folder in the results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smtp_pair import transcript
from smtp_pair.mail.errors import MailNotFound, UnexpectedMail
from smtp_pair.mail.message import Mail
from smtp_pair.network import Network
from smtp_pair.report import collect, kept
from smtp_pair.report.command import FILE_NAME, write
from smtp_pair.report.page import render
from smtp_pair.report.run import Outcome, Run, Test
from smtp_pair.transcript import Transcript

if TYPE_CHECKING:
    import pytest

MAILS = 200
"""Mails of one server that are kept of a test, the last ones."""
REPORTED = 10_000
"""The same, where a report is wanted."""


def about(
    name: str,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    *,
    failed: bool,
    began: float,
    own: Sequence[Network],
    shared: Sequence[Network],
) -> Test:
    """The test itself, and what happened in it. Of the ``shared`` networks, which other tests use too, what happened
    since it ``began`` (in seconds since the epoch)."""
    problem, searching, traceback = "", False, ""
    if report.failed and call.excinfo is not None:
        error = call.excinfo.value
        searching = isinstance(error, MailNotFound | UnexpectedMail)
        problem = str(error) if searching else call.excinfo.exconly(tryshort=True)
        traceback = report.longreprtext
    outcome: Outcome = "failed" if failed else report.outcome
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    facts = [*collect.facts(own), *collect.facts(shared, since=began - 0.001)]  # a journal counts milliseconds
    facts.sort(key=lambda fact: fact.moment)
    return Test(name, outcome, worker, began, call.stop, problem, searching, traceback, facts=tuple(facts))


def keep(
    folder: Path, said: Sequence[Transcript], networks: Sequence[Network], test: Test, *, most: int = MAILS
) -> None:
    """Write it all down, of each server's mails the last ``most``. Raises OSError."""
    folder.mkdir(exist_ok=True)
    (folder / "transcript.txt").write_text(transcript.render(said) + "\n", "utf-8", "backslashreplace")
    for one in (event for session in said for event in session.events if event.content and not event.hops):
        (folder / "bodies").mkdir(exist_ok=True)
        (folder / "bodies" / f"{one.sha256}.eml").write_bytes(one.content or b"")
    mails: list[tuple[Mail, Path, int]] = []
    for number, network in enumerate(networks, 1):
        place = folder / ("mails" if len(networks) == 1 else f"mails-{number}")
        for server in network:
            mails += _keep_mails(place / server.hostname, server.messages[-most:])
    test = replace(
        test,
        servers=collect.servers(networks),
        routes=collect.routes(networks),
        sessions=tuple(said),
        mails=collect.mails(mails, folder),
        folder=".",
    )
    (folder / kept.FILE_NAME).write_bytes(kept.dumps(test))
    (folder / "transcript.jsonl").write_bytes(transcript.dumps(said))  # the last: what has it is whole, and ours
    if test.failed:
        write(folder / FILE_NAME, render(Run(f"Mail of {test.name}", (test,))))


def _keep_mails(folder: Path, mails: Sequence[Mail]) -> Iterator[tuple[Mail, Path, int]]:
    for number, mail in enumerate(mails, 1):
        with suppress(FileNotFoundError):  # a test may remove what it likes
            raw = mail.raw
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{number}.eml"
            path.write_bytes(raw)
            yield mail, path, len(raw)
