"""Transcript and mails of a test in other people's reports, where they are made: pytest-html's, Allure's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smtp_pair.transcript import Transcript, render

if TYPE_CHECKING:
    import pytest

MAILS = 20
"""Mails of a test that are attached; the folder has all."""
_BIGGEST = 1 << 20


def attach(config: pytest.Config, report: pytest.TestReport, said: Sequence[Transcript], folder: Path) -> None:
    """Attach them to the report of a test, as text: nothing in a mail is markup there."""
    html = bool(getattr(config.option, "htmlpath", None)) and config.pluginmanager.hasplugin("html")
    allure = bool(getattr(config.option, "allure_report_dir", None)) and "allure" in sys.modules
    if not html and not allure:
        return
    files = [("mail transcript", render(said)), *_mails(folder)]
    if html:
        from pytest_html import extras

        more = [extras.text(text, name=name) for name, text in files]
        report.__dict__["extras"] = [*getattr(report, "extras", []), *more]
    if allure:
        import allure as reports

        for name, text in files:
            reports.attach(text, name=name, attachment_type=reports.attachment_type.TEXT)


def _mails(folder: Path) -> Iterator[tuple[str, str]]:
    found = sorted(folder.glob("mails*/*/*.eml"), key=lambda path: (path.parent, len(path.name), path.name))
    for path in found[:MAILS]:
        with path.open("rb") as file:
            text = file.read(_BIGGEST).decode("utf-8", "replace").replace("\r\n", "\n")
        yield f"{path.parent.name} {path.stem}", text
