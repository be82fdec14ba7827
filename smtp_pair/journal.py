"""What happened, in order: kept in ``journal.jsonl`` for programs and ``ServerMSG.txt`` for people, and told to whoever
listens."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from smtp_pair import server_msg
from smtp_pair.disk import AppendFile
from smtp_pair.facts import Fact

log = logging.getLogger(__name__)

FILE_NAME = "journal.jsonl"

Listener = Callable[[Fact], None]


class Journal:
    """The facts of one server. Used on the event loop's thread only."""

    def __init__(self, directory: Path) -> None:
        self._file = AppendFile(directory / FILE_NAME)
        self._readable = AppendFile(directory / server_msg.FILE_NAME)
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` of each fact from now on, on the loop's thread; call what comes back to stop it."""
        self._listeners.append(listener)

        def stop() -> None:
            with contextlib.suppress(ValueError):  # stopped already
                self._listeners.remove(listener)

        return stop

    def keep(self, fact: Fact) -> None:
        """Write the fact down, for programs and for people. Raises OSError, with nothing written in either place,
        when that can't be done."""
        self._write(fact.line(), server_msg.entry(fact))

    def keep_together(self, facts: Sequence[Fact]) -> list[Exception | None]:
        """The same for several, in one write where that can be done: for each, what :meth:`keep` would raise."""
        if len(facts) == 1:
            return [self._failure(facts[0])]
        try:
            self._write(b"".join([fact.line() for fact in facts]), b"".join(map(server_msg.entry, facts)))
        except Exception:  # noqa: BLE001 - one that can't be kept is no reason to refuse the others
            return list(map(self._failure, facts))
        return [None] * len(facts)

    def _failure(self, fact: Fact) -> Exception | None:
        try:
            self.keep(fact)
        except Exception as error:  # noqa: BLE001 - whoever asked tells of it
            return error
        return None

    def _write(self, lines: bytes, readable: bytes) -> None:
        before = self._file.append(lines)
        if readable:
            try:
                self._readable.append(readable)
            except OSError:
                self._file.take_back(before)
                raise

    def tell(self, fact: Fact) -> None:
        """Tell the listeners. One that fails holds up neither the others nor the mail."""
        for listener in tuple(self._listeners):
            try:
                listener(fact)
            except Exception:
                log.exception("a listener failed at %s", fact)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._readable.close()


def read(directory: Path) -> list[Fact]:
    """The facts in a server's folder, oldest first; a last line that was cut by a crash is left out.

    Raises OSError when there is no journal, ValueError when a line in the middle is not a fact.
    """
    lines = (directory / FILE_NAME).read_bytes().split(b"\n")
    return [Fact.parse(line) for line in lines[:-1] if line]
