"""Keeps the disk in step with a queue: the mails as files, what is to become of them in the ledger.

The mail is written first, then its state: a state without a mail would promise what is not there. It goes the other way
round. What the disk refuses of a mail that was accepted before is remembered here, and written when it can be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from smtp_pair import queue_tables
from smtp_pair.clock import Clock, Handle
from smtp_pair.entry import Entry
from smtp_pair.ledger import Ledger, Opened
from smtp_pair.mail_files import MailFiles
from smtp_pair.queue_tables import Change

log = logging.getLogger(__name__)

AGAIN = 10.0
"""Seconds until the disk is asked again for what it could not do."""


class Keeper:
    """The disk of one queue. Used on the event loop's thread only.

    ``take_up`` is given the mails that an earlier run left; ``known`` gives those that are in the queue; ``start`` does
    what nobody waits for.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        durable: bool,
        take_up: Callable[[list[Entry]], None],
        known: Callable[[], Iterable[Entry]],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._durable = durable
        self._take_up = take_up
        self._known = known
        self._start = start
        self._files = MailFiles(directory, durable=durable)
        self._ledger = Ledger(directory, self._opened, self._lost, durable=durable)
        self._behind: dict[str, tuple[Entry, Sequence[Entry]]] = {}
        """Mails of which the disk knows less than we do, with the notifications that came of what it does not know."""
        self._timer: Handle | None = None
        self._closed = False

    async def load(self) -> None:
        """Take up what an earlier run left; when it can't be read, by and by."""
        await self._files.look()
        await self._load()

    async def read(self, entry: Entry) -> bytes:
        """The content of a mail. Raises OSError."""
        if entry.content is not None:
            return entry.content
        return await self._files.read(entry.id)

    async def commit(self, entry: Entry) -> None:
        """Make the mail ours. Raises OSError, and then nothing is left of it."""
        if self._durable:
            await self._write([entry], queue_tables.put(entry))

    async def save(self, entry: Entry, notifications: Sequence[Entry] = ()) -> None:
        """Bring the disk up to what is known of a mail, the notifications with it: all of it, or nothing for now."""
        if not (entry.waiting or entry.on_disk or notifications or entry.id in self._behind or entry.being_saved):
            return  # in fast mode most are finished before the disk has heard of them
        try:
            await self._save(entry, notifications)
        except OSError as error:
            log.error("the state of %s can't be written, and is tried again: %s", entry.id, error)
            self._again()
        except Exception:
            log.exception("the state of %s can't be written", entry.id)

    async def remove(self, entry: Entry) -> None:
        """Forget a mail. Raises OSError when the disk will not, before it is asked again."""
        entry.rows.clear()
        try:
            await self._save(entry)
        except OSError:
            self._again()
            raise

    async def close(self) -> None:
        """Write down what is not, and close."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for entry in self._known():
            if not entry.on_disk:
                self._behind.setdefault(entry.id, (entry, ()))
        for mail_id in await self._catch_up():
            log.error("the queue's mail %s could not be kept", mail_id)
        await self._ledger.close()

    # -- again -----------------------------------------------------------------------------------------------------

    def _again(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_at(self._clock.now() + AGAIN, self._now)

    def _now(self) -> None:
        self._timer = None
        self._start(self._once_more())

    async def _once_more(self) -> None:
        await self._load()
        if failed := await self._catch_up():
            log.error("in %s the state of so many mails still can't be written: %d", self._directory, len(failed))
            self._again()

    async def _catch_up(self) -> list[str]:
        """Write what the disk does not know. Gives the ids of those that it refuses."""
        entries = [entry for entry, _ in self._behind.values()]
        results = await asyncio.gather(*map(self._save, entries), return_exceptions=True)
        return [entry.id for entry, result in zip(entries, results, strict=True) if result is not None]

    async def _load(self) -> None:
        try:
            await self._ledger.load()
        except OSError as error:
            log.error("the queue can't be read, and its mails wait until it can: %s", error)
            self._again()

    def _opened(self, opened: Opened) -> None:
        self._take_up(opened.entries)
        known = {entry.id for entry in self._known()} | {entry.id for entry in opened.entries} | opened.unread
        if strangers := self._files.strangers(known):
            self._start(self._files.sweep(strangers, without_state=opened.fresh))

    def _lost(self) -> None:
        for entry in self._known():
            if entry.on_disk:
                self._behind.setdefault(entry.id, (entry, ()))
        if not self._closed:
            self._start(self._once_more())

    # -- both together ---------------------------------------------------------------------------------------------

    async def _save(self, entry: Entry, notifications: Sequence[Entry] = ()) -> None:
        async with AsyncExitStack() as locks:
            await locks.enter_async_context(entry.saving)
            _, earlier = self._behind.get(entry.id, (entry, ()))
            together = (*earlier, *notifications)
            for one in together:
                await locks.enter_async_context(one.saving)
            self._behind[entry.id] = entry, together
            await self._bring_up(entry, [one for one in together if one.waiting and not one.on_disk])
            del self._behind[entry.id]

    async def _bring_up(self, entry: Entry, notifications: Sequence[Entry]) -> None:
        fresh: list[Entry] = []
        changes: list[Change] = []
        waits = bool(entry.waiting)  # it may be finished by the time that this is written; that is written next
        if waits:
            changes.append(queue_tables.put(entry))
            fresh += [] if entry.on_disk else [entry]
        elif entry.on_disk:
            changes.append(queue_tables.drop(entry.id))
        if self._durable:
            changes += map(queue_tables.put, notifications)
            fresh += notifications
        if changes:
            await self._write(fresh, queue_tables.together(*changes))
        if waits:
            entry.content = None
        elif entry.on_disk:
            entry.on_disk = False
            await self._files.remove(entry.id)

    async def _write(self, entries: Sequence[Entry], change: Change) -> None:
        written: list[Entry] = []
        try:
            for entry in entries:
                await self._files.write(entry)
                written.append(entry)
            await self._ledger.write(change)
        except BaseException:
            for entry in written:
                self._files.take_back(entry.id)
            raise
        for entry in entries:
            entry.on_disk = True
