"""Accepted and not finished: mails that wait for a next hop, or for room in a mailbox.

    commit -> attempt -> done            (2xx: delivered here, or forwarded)
                      -> put off         (4xx or no answer: again after a growing delay, until it expires)
                      -> failed          (5xx, or expired: its sender is notified)

Committing is the promise: in durable mode the mail is on disk, file and folder, and its state in the ledger, before the
250, and both survive a restart. In fast mode they reach the disk with the first attempt that does not finish the mail.

A notification is a mail like any other. It enters in the same commit in which the recipient it tells of is marked as
failed, so that a crash can neither lose nor double it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from smtp_pair import ledger
from smtp_pair.background import in_thread
from smtp_pair.clock import Clock, Handle
from smtp_pair.config import Retry
from smtp_pair.disk import make_folder, sync_folder, write_new
from smtp_pair.entry import Entry, Event, Outcome, Row, Waiting
from smtp_pair.ledger import Change, Ledger
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import LOCAL, Route

log = logging.getLogger(__name__)

Attempt = Callable[[Route, Entry, Sequence[Row], bytes], Awaitable[Sequence[Reply]]]
"""Try to hand a mail on, once; a reply for each of the rows."""
_MAILS = "mail"


class Notifier(Protocol):
    """Who writes the notifications that the outcomes of an attempt call for (``notifier.py``)."""

    def notifications(self, outcomes: Sequence[Outcome], content: bytes) -> list[Entry]: ...


class Spool:
    """The queue of one server. Used on the event loop's thread only."""

    def __init__(
        self,
        directory: Path,
        retry: Retry,
        clock: Clock,
        *,
        durable: bool,
        route: Callable[[Address], Route],
        attempt: Attempt,
        report: Callable[[Outcome], None],
        notifier: Notifier,
        announce: Callable[[Entry], None],
        random: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._retry = retry
        self._clock = clock
        self._durable = durable
        self._route = route
        self._attempt = attempt
        self._report = report
        self._notifier = notifier
        self._announce = announce
        self._random = random
        self._ledger = Ledger(directory, self._take_up, durable=durable)
        self._entries: dict[str, Entry] = {}
        self._timers: dict[tuple[str, Route], Handle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts: set[asyncio.Future[Sequence[Reply]]] = set()
        self._closed = False

    # -- from outside ------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> list[Waiting]:
        """What is still to be served, oldest mail first."""
        return [
            Waiting(
                entry.id,
                row.recipient.address,
                entry.sender,
                str(self._route_of(row)),
                row.attempts,
                row.due,
                row.last,
            )
            for entry in tuple(self._entries.values())
            for row in entry.waiting
        ]

    async def commit(self, entry: Entry) -> None:
        """Make the mail the spool's own. Raises OSError when it can't be kept; then nothing is left of it."""
        if self._durable:
            await self._write([entry], ledger.put(entry))

    async def withdraw(self, entry: Entry) -> None:
        """Take a commit back: the mail is refused after all."""
        if entry.on_disk:
            try:
                await self._remove(entry)
            except OSError:
                log.exception("spool: %s was refused and could not be removed", entry.id)

    def release(self, entry: Entry) -> None:
        """Begin with the first attempts."""
        self._entries[entry.id] = entry
        for route in self._routes(entry.waiting):
            self._start(entry, route)

    def conclude(self, outcomes: Sequence[Outcome], content: bytes) -> None:
        """Tell the sender, where he asked for it, of recipients that were served without the spool."""
        for notification in self._notifier.notifications(outcomes, content):
            self._task(self._enter(notification))

    async def _enter(self, notification: Entry) -> None:
        try:
            await self.commit(notification)
        except OSError:
            log.exception("spool: the notification %s could not be kept", notification.id)
        self._begin(notification)

    def _begin(self, notification: Entry) -> None:
        self._announce(notification)
        self.release(notification)

    async def load(self) -> None:
        """Take up what an earlier run left."""
        if await self._ledger.load():
            await in_thread(self._sweep, set(self._entries))

    def _sweep(self, known: set[str]) -> None:
        """Remove mails without a state: a crash came before their 250, or after their end."""
        for path in (self._directory / _MAILS).glob("*.eml"):
            if path.stem not in known:
                path.unlink(missing_ok=True)

    async def retry_now(self, mail_id: str = "") -> int:
        """Try what waits at once: that mail, or all. How many recipients that are."""
        chosen = [entry for entry in self._entries.values() if mail_id in ("", entry.id)]
        for entry in chosen:
            for route in self._routes(entry.waiting):
                if (entry.id, route) in self._timers:  # else it is being tried already
                    self._timers[entry.id, route].cancel()
                    self._start(entry, route)
        return sum(len(entry.waiting) for entry in chosen)

    async def drop(self, mail_id: str) -> bool:
        """Forget a mail, without telling anybody; whether there was one that is not just being tried."""
        entry = self._entries.get(mail_id)
        if entry is None or any((mail_id, route) not in self._timers for route in self._routes(entry.waiting)):
            return False
        for route in self._routes(entry.waiting):
            self._timers.pop((mail_id, route)).cancel()
        del self._entries[mail_id]
        if entry.on_disk:
            await self._remove(entry)
        return True

    async def clear(self) -> None:
        """Forget all mails, without telling anybody; those that are just being tried stay."""
        for mail_id in tuple(self._entries):
            await self.drop(mail_id)

    async def close(self) -> None:
        """Stop; what is not finished stays on disk."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entry in self._entries.values():
            try:
                await self._save(entry)
            except OSError:
                log.exception("spool: %s could not be kept", entry.id)
        await self._ledger.close()

    async def settled(self) -> bool:
        """Wait until no attempt is under way; whether there was any."""
        waited = bool(self._tasks)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        return waited

    # -- attempts --------------------------------------------------------------------------------------------------

    def _route_of(self, row: Row) -> Route:
        return self._route(row.recipient.address)

    def _routes(self, rows: Iterable[Row]) -> list[Route]:
        return list(dict.fromkeys(map(self._route_of, rows)))

    def _take_up(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.id in self._entries:
                continue
            self._entries[entry.id] = entry
            for route in self._routes(entry.waiting):
                self._later(entry, route, min(row.due for row in entry.waiting if self._route_of(row) == route))

    def _later(self, entry: Entry, route: Route, due: float) -> None:
        self._timers[entry.id, route] = self._clock.call_at(due, lambda: self._start(entry, route))

    def _start(self, entry: Entry, route: Route) -> None:
        self._timers.pop((entry.id, route), None)
        self._task(self._try(entry, route))

    def _task(self, work: Awaitable[None]) -> None:
        if self._closed:
            return
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, entry: Entry, route: Route) -> None:
        rows = [row for row in entry.waiting if self._route_of(row) == route]
        if not rows:
            return
        content = b""
        try:
            content = await self._content(entry)
            replies = await self._replies(entry, route, rows, content)
        except OSError:
            log.exception("spool: %s can't be read", entry.id)
            replies = [reply.OUR_FAULT] * len(rows)
        if replies is not None:
            outcomes = [self._decide(entry, row, route, answer) for row, answer in zip(rows, replies, strict=True)]
            await self._conclude(entry, route, outcomes, content)

    async def _replies(self, entry: Entry, route: Route, rows: Sequence[Row], content: bytes) -> Sequence[Reply] | None:
        """What came of an attempt; None: the spool was closed meanwhile. Only the attempt itself is ever cut short, for
        what a next hop has taken must be written down."""
        try:
            attempt = asyncio.ensure_future(self._attempt(route, entry, rows, content))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
            return await attempt
        except asyncio.CancelledError:
            return None
        except Exception:
            # Whatever went wrong here is ours, and no reason to lose a mail or to hold up the others.
            log.exception("spool: attempt of %s failed", entry.id)
            return [reply.OUR_FAULT] * len(rows)

    async def _content(self, entry: Entry) -> bytes:
        if entry.content is not None:
            return entry.content
        return await in_thread(self._file(entry).read_bytes)

    async def _conclude(self, entry: Entry, route: Route, outcomes: Sequence[Outcome], content: bytes) -> None:
        """Write down what came of an attempt, tell it, and see to what follows."""
        notifications = self._notifier.notifications(outcomes, content)
        try:
            await self._save(entry, notifications)
        except OSError:
            # It goes on in memory, and is written with the next attempt that can be.
            log.exception("spool: the state of %s could not be written", entry.id)
        for outcome in outcomes:
            self._report(outcome)
        waiting = [outcome.row for outcome in outcomes if outcome.event == "deferred"]
        if waiting and not self._closed:
            self._later(entry, route, min(row.due for row in waiting))
        if not entry.waiting:
            self._entries.pop(entry.id, None)
        for notification in notifications:
            self._begin(notification)

    def _decide(self, entry: Entry, row: Row, route: Route, answer: Reply) -> Outcome:
        now = self._clock.now()
        row.attempts += 1
        row.last = str(answer)
        event: Event = "deferred"
        expired = False
        if answer.accepted:
            row.status = event = "delivered" if route is LOCAL else "forwarded"
        else:
            # A little more or less each time: mails put off together do not come back together.
            row.due = now + self._retry.delay(row.attempts) * (1 + self._retry.jitter * (2 * self._random() - 1))
            expired = not answer.permanent and row.due > entry.accepted + self._retry.expiry
            if answer.permanent or expired:
                row.status = event = "failed"
        return Outcome(entry, row, route, reply.expired(answer) if expired else answer, event, expired)

    # -- the disk --------------------------------------------------------------------------------------------------

    def _file(self, entry: Entry) -> Path:
        return self._directory / _MAILS / f"{entry.id}.eml"

    async def _save(self, entry: Entry, notifications: Sequence[Entry] = ()) -> None:
        """Bring the disk up to what is known, the notifications with it: all of it, or nothing."""
        async with entry.saving:
            fresh: list[Entry] = []
            changes: list[Change] = []
            if entry.waiting:
                changes.append(ledger.put(entry))
                fresh += [] if entry.on_disk else [entry]
            elif entry.on_disk:
                changes.append(ledger.drop(entry.id))
            if self._durable:
                changes += map(ledger.put, notifications)
                fresh += notifications
            if changes:
                await self._write(fresh, ledger.together(*changes))
            if entry.waiting:
                entry.content = None
            elif entry.on_disk:
                self._unlink(entry)

    async def _write(self, entries: Sequence[Entry], change: Change) -> None:
        """The mails first, then their state: a state without a mail would promise what is not there."""
        try:
            for entry in entries:
                await in_thread(self._write_mail, entry)
            await self._ledger.write(change)
        except BaseException:
            for entry in entries:
                self._unlink(entry)
            raise
        for entry in entries:
            entry.on_disk = True

    def _write_mail(self, entry: Entry) -> None:
        assert entry.content is not None
        path = self._file(entry)
        make_folder(path.parent, durable=self._durable)
        write_new(path, [entry.content], durable=self._durable)
        if self._durable:
            sync_folder(path.parent)

    async def _remove(self, entry: Entry) -> None:
        await self._ledger.write(ledger.drop(entry.id))
        self._unlink(entry)

    def _unlink(self, entry: Entry) -> None:
        try:
            self._file(entry).unlink(missing_ok=True)
        except OSError:
            log.exception("spool: %s could not be removed", self._file(entry))
        entry.on_disk = False
