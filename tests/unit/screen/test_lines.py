"""Labelled lines: folded, coloured, harmless."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.screen.lines import LONGEST, Line, Screen, columns, laid_out, wants_colour

ACTORS = ("client", "jaku", "deathstar")


class Stream(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]  # StringIO has none
        return self._encoding


def written(*lines: Line, stream: Stream | None = None, colour: bool = False, width: int | None = None) -> str:
    stream = stream or Stream()
    Screen(stream, ACTORS, colour=colour, width=lambda: width).write(lines)
    return stream.getvalue()


def test_every_line_has_its_actors_label_at_one_width() -> None:
    """The bars stand under one another, nobody's line has an empty label, and an empty text leaves no space behind."""
    text = written(Line("client", "a"), Line("deathstar", "b"), Line("", "c"), Line("jaku", ""))
    assert text == "client    │ a\ndeathstar │ b\n          │ c\njaku      │\n"


def test_a_stream_that_cannot_show_the_bar_gets_another() -> None:
    """An ASCII terminal sees no escape where a bar should be."""
    assert written(Line("jaku", "a"), stream=Stream(encoding="ascii")) == "jaku      | a\n"


def test_colours_are_the_actors_and_the_tones() -> None:
    """The label has the actor's colour and the text that of its tone; both end where they end."""
    assert (
        written(Line("jaku", "a", "bad"), colour=True) == "\x1b[35mjaku     \x1b[0m \x1b[2m│\x1b[0m \x1b[31ma\x1b[0m\n"
    )
    labels = [written(Line(actor, "a"), colour=True)[:5] for actor in ACTORS]
    assert len(set(labels)) == 3


def test_nothing_in_a_text_reaches_the_terminal() -> None:
    """Escape sequences, line ends and direction marks of a mail are shown as what they are."""
    text = written(Line("jaku", "\x1b[2J\x9b1m\r\nforged\u202egnp\ttab\x00"))
    assert text == r"jaku      │ \x1b[2J\x9b1m\r\nforged\u202egnp\ttab\x00" + "\n"


@given(text=st.text(), width=st.none() | st.integers(1, 200), tone=st.sampled_from(["plain", "bad"]))
def test_any_text_is_printable_and_fits(text: str, width: int | None, tone: str) -> None:
    """Whatever a mail says, no control but our own line feeds comes out, and no row is wider than the terminal."""
    out = written(Line("jaku", text, tone), width=width)  # type: ignore[arg-type]  # a tone is one of a few texts
    assert not [char for char in out if unicodedata.category(char) in ("Cc", "Cs") and char != "\n"]
    if width is not None and width >= 40:
        assert max(map(cells, out.splitlines())) <= width


def cells(row: str) -> int:
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in row)
    return len(row) + wide - sum(unicodedata.combining(char) > 0 for char in row)


@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.just(" ")), room=st.integers(24, 60))
def test_folding_loses_nothing(text: str, room: int) -> None:
    """The rows together say what the line said: only the spaces at the folds are gone."""
    rows = laid_out(Line("", text, hang=4), room)
    assert re.sub(" ", "", "".join(rows)) == re.sub(" ", "", text)
    assert all(row.startswith("    ") for row in rows[1:])


def test_a_fold_comes_after_a_word() -> None:
    """Words stay whole where there is a space to fold at, and what follows is hung below the text."""
    line = Line("", "title   one two three four five six seven", hang=8)
    assert laid_out(line, 24) == ["title   one two three", "        four five six", "        seven"]
    assert laid_out(Line("", "x" * 50, hang=2), 24) == ["x" * 24, "  " + "x" * 22, "  " + "x" * 4]


def test_wide_characters_take_two_columns() -> None:
    """Chinese, Japanese and Korean fold where the terminal would."""
    assert laid_out(Line("", "好" * 13, hang=0), 24) == ["好" * 12, "好"]


def test_an_endless_line_is_counted() -> None:
    """A text of a megabyte without a line end costs a screenful at most."""
    (row,) = laid_out(Line("", "x" * 1_000_000), None)
    assert row == "x" * LONGEST + f" ... {1_000_000 - LONGEST:,} more characters"


@pytest.mark.parametrize(
    ("environ", "terminal", "colour"),
    [
        ({"TERM": "xterm"}, True, True),
        ({}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": ""}, False, False),
    ],
)
def test_who_gets_colour(environ: dict[str, str], terminal: bool, colour: bool) -> None:
    """A terminal that knows it, unless NO_COLOR; and whoever asks with FORCE_COLOR."""
    assert wants_colour(Stream(terminal=terminal), environ) is colour


@pytest.fixture
def pseudo_terminal() -> Iterator[int]:
    master, slave = os.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def test_the_width_is_the_terminals(pseudo_terminal: int) -> None:
    """It is asked for at each write, so that a window may grow; a terminal that does not say is not folded."""
    termios = pytest.importorskip("termios")
    with open(pseudo_terminal, "w", encoding="utf-8", closefd=False) as stream:
        assert columns(stream) is None
        termios.tcsetwinsize(pseudo_terminal, (24, 40))
        assert columns(stream) == 40
    assert columns(io.StringIO()) is None
