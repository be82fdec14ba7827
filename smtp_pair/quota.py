"""How much a mailbox holds. Used on the event loop's thread only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from smtp_pair.store import mailbox_folder


class Quota:
    """The mailboxes of one server, each with room for ``most`` octets of raw mail."""

    def __init__(self, directory: Path, most: int) -> None:
        self._directory = directory
        self._most = most
        self._used: dict[str, int] = {}
        self._coming: Counter[str] = Counter()

    def has_room(self, mailbox: str, octets: int) -> bool:
        """Whether a mail of that size still goes in. Looks again before it says no: a reader may have removed mails."""
        octets += self._coming[mailbox]
        if self._used.get(mailbox, self._most) + octets > self._most:
            self._used[mailbox] = self._measure(mailbox)
        return self._used[mailbox] + octets <= self._most

    def reserve(self, mailboxes: Iterable[str], octets: int) -> None:
        """Count a mail that is about to be stored: looked for on the disk, it would not be seen yet."""
        for mailbox in mailboxes:
            self._coming[mailbox] += octets

    def settle(self, mailboxes: Iterable[str], octets: int, *, stored: bool) -> None:
        """What was reserved is stored now, or was not stored after all."""
        for mailbox in mailboxes:
            self._coming[mailbox] -= octets
            if not self._coming[mailbox]:
                del self._coming[mailbox]
            if stored:
                self._used[mailbox] = self._used.get(mailbox, 0) + octets

    def _measure(self, mailbox: str) -> int:
        total = 0
        folder = mailbox_folder(self._directory, mailbox)
        for part in ("new", "cur"):
            with suppress(FileNotFoundError), os.scandir(folder / part) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        total += entry.stat().st_size
        return total
