"""``smtp-pair report``: what a folder of results, or of servers, has to tell, as one HTML file."""

from __future__ import annotations

from pathlib import Path

from smtp_pair.disk import replace
from smtp_pair.report import reading
from smtp_pair.report.page import render
from smtp_pair.server_msg import one_line

FILE_NAME = "mail.html"


def write(file: Path, page: str) -> None:
    """The file, whole or not at all. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replace(file, [page.encode("utf-8")], durable=False)


def main(folder: Path, output: Path | None) -> int:
    """Write the report of what is in ``folder``; by default beside it there. Raises ConfigError where nothing is."""
    file = output or folder / FILE_NAME
    run = reading.run(folder, file.parent)
    write(file, render(run))
    print(one_line(str(file)))
    return 0
