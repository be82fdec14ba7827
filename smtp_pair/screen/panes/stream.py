"""What was said and done, in its order, as rows of one width. Bounded: the oldest goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from smtp_pair.screen.lines import Line, Tone, laid_out

ENTRIES = 2_000
"""Entries that are kept; a screen shows fifty, and journal.jsonl and the transcripts have them all."""
ROWS = 4_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the screen, in pieces of one tone each. Its text is harmless."""

    pieces: tuple[tuple[str, Tone], ...]

    @property
    def text(self) -> str:
        """It without its tones."""
        return "".join(text for text, _ in self.pieces)


def row(text: str, tone: Tone = "plain") -> Row:
    """A row of one piece."""
    return Row(((text, tone),))


def rows_of(line: Line, room: int) -> list[Row]:
    """A line, folded to ``room`` columns."""
    return [row(text, line.tone) for text in laid_out(line, room)]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, and what it belongs to."""

    line: Line
    talk: str = ""
    """The conversation; "": none."""
    about: str = ""
    """What its mail can be found by, in lower case."""

    def matches(self, wanted: str) -> bool:
        """Whether ``wanted``, in lower case, is in it."""
        return wanted in self.line.text.casefold() or wanted in self.talk.casefold() or wanted in self.about


class Stream:
    """Entries, and their rows for one width and one filter. A conversation's name stands above its first line, and
    again wherever another one came in between."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=ENTRIES)
        self._room = 80
        self._wanted = ""
        self._talk = ""
        self.rows: list[Row] = []
        self.gone = 0
        """Rows that were removed at the top, ever: who looks at one of the others finds it again by this."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entries: Iterable[Entry]) -> None:
        """Put entries at the end."""
        fresh = deque(entries, maxlen=ENTRIES)  # of more there would be nothing left at once
        self._entries.extend(fresh)
        self.rows.extend(self._laid_out(fresh))
        excess = len(self.rows) - ROWS
        if excess > 0:
            del self.rows[:excess]
            self.gone += excess

    def shape(self, room: int, wanted: str) -> bool:
        """Be ``room`` columns wide, and show what has ``wanted`` in it; whether that is a change."""
        wanted = wanted.casefold()
        if (room, wanted) == (self._room, self._wanted):
            return False
        self._room, self._wanted, self._talk = room, wanted, ""
        self.rows = list(self._laid_out(self._entries))[-ROWS:]
        self.gone = 0
        return True

    def _laid_out(self, entries: Iterable[Entry]) -> Iterator[Row]:
        for entry in entries:
            if self._wanted and not entry.matches(self._wanted):
                continue
            if entry.talk and entry.talk != self._talk:
                self._talk = entry.talk
                yield from rows_of(Line("", entry.talk, "accent"), self._room)
            yield from rows_of(entry.line, self._room)
