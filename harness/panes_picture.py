"""Draws ``docs/panes.svg``: what ``smtp-pair up --tui`` shows on a terminal of 132 columns.

    python -m harness.panes_picture

The story of ``panes_story.py`` is played, and the screen that shows it becomes the picture: Textual's own screenshot,
without the fonts that it would fetch.
"""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path

from harness.panes_story import play
from smtp_pair.screen.panes.app import PanesApp

FILE = Path(__file__).parent.parent / "docs" / "panes.svg"
SIZE = (132, 40)

_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_TEXT = re.compile(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"[^>]*>(.*?)</text>')


def main() -> None:
    FILE.write_text(asyncio.run(picture()), encoding="utf-8")


async def picture() -> str:
    """The screen, as SVG."""
    story = play()
    app = PanesApp(story)
    async with app.run_test(size=SIZE) as pilot:
        story.tell()
        app.flush()
        await pilot.pause()
        svg = app.export_screenshot(title="smtp-pair up --tui")
    return self_contained(svg)


def self_contained(svg: str) -> str:
    """Without what it would fetch, and with names that do not change with the content."""
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return re.sub(r"font-family: (Fira Code|arial)[^;]*;", f"font-family: {_FONT};", svg)


def rows(svg: str) -> list[str]:
    """The text of a screenshot, row by row: what is to be compared, for another version of Textual draws the same in
    other words."""
    found = [
        (float(y), float(x), float(length), html.unescape(text).replace("\xa0", " "))
        for x, y, length, text in _TEXT.findall(svg)
    ]
    cells = [length / len(text) for _, _, length, text in found if text.isascii()]
    cell = max(set(cells), key=cells.count)
    lines: dict[float, str] = {}
    for y, x, _, text in sorted(found):
        lines[y] = lines.get(y, "").ljust(round(x / cell)) + text
    return [line.rstrip() for _, line in sorted(lines.items())]


if __name__ == "__main__":
    main()
