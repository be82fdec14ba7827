"""Labelled lines: who, and what. Coloured on a terminal, plain elsewhere, and harmless everywhere.

What is shown comes from strangers' mails. So nobody who writes lines has to remember to escape them: it is done here,
to every line, by the same rule as in ``ServerMSG.txt``.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TextIO

from smtp_pair.server_msg import one_line

Tone = Literal["plain", "strong", "good", "warning", "bad", "faint", "accent"]
Width = Callable[[], int | None]
"""The columns that there are; None: as many as a line needs."""

SGR: Mapping[Tone, str] = {
    "plain": "",
    "strong": "1",
    "good": "32",
    "warning": "33",
    "bad": "31",
    "faint": "2",
    "accent": "36",
}
"""How a terminal is told of a tone."""
ACTOR_SGR = ("36", "35", "33", "34", "32")
"""The actors' colours, in the actors' order; with more of them the colours begin again."""
LONGEST = 2000
"""Characters of one line; of a longer one, the rest is counted. A mail's text may be one line of a megabyte."""
NARROWEST = 24
"""Columns for the text; with fewer, folding would make nothing easier to read."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to show."""

    actor: str
    """Whose line it is; "" for nobody's."""
    text: str
    tone: Tone = "plain"
    hang: int = 2
    """The column at which the text goes on where it has to be folded."""


class Screen:
    """Writes lines to a stream, each with its actor's label, folded to ``width``, which is asked for each time anew:
    windows grow."""

    def __init__(
        self, stream: TextIO, actors: Sequence[str], *, colour: bool = False, width: Width = lambda: None
    ) -> None:
        self._stream = stream
        self._colour = colour
        self._width = width
        self._label = max(map(len, actors), default=0)
        self._colours = {actor: ACTOR_SGR[n % len(ACTOR_SGR)] for n, actor in enumerate(actors)}
        self._bar = "│" if _can_show("│", stream) else "|"

    @classmethod
    def of(cls, stream: TextIO, actors: Sequence[str], environ: Mapping[str, str] = os.environ) -> Screen:
        """A screen that suits the stream."""
        return cls(stream, actors, colour=wants_colour(stream, environ), width=partial(columns, stream))

    def write(self, lines: Iterable[Line]) -> None:
        """Show lines at once. Raises OSError, BrokenPipeError when nobody reads them any more."""
        width = self._width()
        room = width - self._label - 3 if width is not None else None
        self._stream.write("".join(f"{row}\n" for line in lines for row in self._rows(line, room)))
        self._stream.flush()

    def _rows(self, line: Line, room: int | None) -> Iterator[str]:
        label = self._painted(f"{line.actor:<{self._label}}", self._colours.get(line.actor, ""))
        bar = self._painted(self._bar, SGR["faint"])
        for text in laid_out(line, room):
            yield f"{label} {bar} {self._painted(text, SGR[line.tone])}".rstrip()

    def _painted(self, text: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{text}\x1b[0m" if self._colour and sgr and text else text


def laid_out(line: Line, room: int | None) -> list[str]:
    """The rows of a line: escaped, cut where it is endless, folded to ``room`` columns where there is a limit."""
    text = one_line(line.text)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ... {len(text) - LONGEST:,} more characters"
    if room is None or room < NARROWEST:
        return [text]
    rows = []
    while True:
        end = _end(text, room)
        rows.append(text[:end].rstrip(" ") if end < len(text) else text)
        rest = text[end:].lstrip(" ")
        if not rest:
            return rows
        text = " " * min(line.hang, room // 2) + rest


def fitted(text: str, room: int) -> str:
    """The text in exactly ``room`` columns: cut, with an ellipsis, or with spaces after it."""
    used = sum(map(_columns_of, text[: room + 1]))
    if used <= room and len(text) <= room:
        return text + " " * (room - used)
    used, at = 0, 0
    while at < len(text) and used + _columns_of(text[at]) < room:
        used += _columns_of(text[at])
        at += 1
    return f"{text[:at]}…{' ' * (room - 1 - used)}"


def _end(text: str, room: int) -> int:
    """Where a row of at most ``room`` columns ends: after a space in its second half, else wherever it is full."""
    used = 0
    for at, char in enumerate(text):
        used += _columns_of(char)
        if used > room:
            space = text.rfind(" ", room // 2, at + 1)
            return space + 1 if space >= 0 else at
    return len(text)


def _columns_of(char: str) -> int:
    if char < "\u0300":
        return 1
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Colour on a terminal that knows it; NO_COLOR (no-color.org) and FORCE_COLOR have the first and second word."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int | None:
    """The terminal's width; None where there is no terminal, or it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # not a terminal; not even a file (io.UnsupportedOperation is both)
        return None


def _can_show(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True
