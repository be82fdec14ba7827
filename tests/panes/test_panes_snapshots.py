"""What the screen shows, row by row, at every size, and each page of a mail: compared with what it was.

`SMTP_PAIR_UPDATE_GOLDEN=1` writes the snapshots. They are of text, and not of Textual's own SVG: that is another one
with each version, and pytest-textual-snapshot wants a pytest below 9.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot

from harness import panes_picture
from harness.panes_story import Story, play
from smtp_pair.screen.panes.app import PanesApp

FOLDER = Path(__file__).parent / "snapshots"


@pytest.fixture(scope="module")
def story() -> Story:
    """Played once."""
    return play()


CASES: list[tuple[str, tuple[int, int], list[str]]] = [
    ("panes-80x24", (80, 24), []),
    ("panes-120x40", (120, 40), []),
    ("panes-200x60", (200, 60), []),
    ("panes-60x20", (60, 20), ["2"]),
    ("panes-30x12", (30, 12), []),
    ("filter", (120, 40), ["slash", *"plans", "enter"]),
    ("help", (80, 24), ["question_mark"]),
    ("compose", (80, 24), ["c"]),
    ("mail-text", (100, 30), ["2", "enter"]),
    ("mail-headers", (100, 30), ["2", "enter", "2"]),
    ("mail-attachments", (100, 30), ["2", "enter", "3"]),
    ("mail-raw", (100, 30), ["2", "enter", "4"]),
    ("mail-hops", (100, 30), ["2", "enter", "5"]),
    ("mail-passed-on", (80, 24), ["1", "enter", "2"]),
    ("mail-narrow", (50, 16), ["2", "enter"]),
]


@pytest.mark.parametrize(("name", "size", "keys"), CASES)
@pytest.mark.asyncio
async def test_the_screen_is_as_it_was(story: Story, name: str, size: tuple[int, int], keys: list[str]) -> None:
    """Any change of what is seen is seen here first."""
    shown = "".join(f"{row}\n" for row in panes_picture.rows(await screen(story, size, keys)))
    file = FOLDER / f"{name}.txt"
    if os.environ.get("SMTP_PAIR_UPDATE_GOLDEN"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


async def screen(story: Story, size: tuple[int, int], keys: list[str]) -> str:
    app = PanesApp(story)
    async with app.run_test(size=size) as pilot:
        story.tell()
        app.flush()
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        return app.export_screenshot()


async def settled(pilot: Pilot[None]) -> None:
    """A layout may lead to another one."""
    for _ in range(3):
        await pilot.pause()


@pytest.mark.asyncio
async def test_the_picture_is_of_these_panes() -> None:
    """docs/panes.svg is what the panes show now: python -m harness.panes_picture. Its text is compared, for another
    version of Textual draws the same in other words; and it fetches nothing."""
    drawn = panes_picture.FILE.read_text(encoding="utf-8")
    assert panes_picture.rows(drawn) == panes_picture.rows(await panes_picture.picture())
    assert "@font-face" not in drawn and "url(" not in drawn.replace("url(#", "")


def test_every_snapshot_is_compared() -> None:
    """None is left over from a test that is gone."""
    assert {file.stem for file in FOLDER.iterdir()} == {name for name, *_ in CASES}
