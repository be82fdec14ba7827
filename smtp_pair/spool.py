"""Accepted and not finished: mails that wait for a next hop, or for room in a mailbox.

    commit -> attempt -> done            (2xx: delivered here, or forwarded)
                      -> put off         (4xx or no answer: again after a growing delay, until it expires)
                      -> failed          (5xx, or expired: its sender is notified)

Committing is the promise: in durable mode the mail is on disk, file and folder, and its state in the ledger, before the
250, and both survive a restart. In fast mode they reach the disk with the first attempt that does not finish the mail.

A notification is a mail like any other. It enters in the same commit in which the recipient it tells of is marked as
failed, so that a crash can neither lose nor double it.

What goes one way stands in line there, and waits for nothing that goes another. Each mail has an attempt of its own,
and what goes wrong with one is told in the log and put off. Only where nobody can be reached is that the answer for all
that stand in line: else one that never answers would hold each of them up in turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from smtp_pair.agenda import Agenda
from smtp_pair.clock import Clock
from smtp_pair.config import Retry
from smtp_pair.entry import Answer, Content, Entry, Event, Outcome, Row, Waiting
from smtp_pair.keeper import Keeper
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.bounce import Report
from smtp_pair.routes import LOCAL, Route

log = logging.getLogger(__name__)

Attempt = Callable[[Route, Entry, Sequence[Row], Content], Awaitable[Sequence[Answer]]]
"""Try to hand a mail on, once; an answer for each of the rows. The content is read when it is its turn: of thousands
that wait for one next hop, few are in memory."""


AT_ONCE = 50
"""Mails on one way that are being tried, or whose attempt is being written down, at the same time. The others stand in
line, and are neither tasks nor in memory."""
_TOGETHER = 500
"""Mails whose state is written down together."""
_OUR_FAULT = "spool: attempt of %s: a fault of ours, it is tried again"


@dataclass(slots=True)
class _Line:
    """Mails whose time has come, on one way."""

    mails: deque[Entry] = field(default_factory=deque)
    served_by: int = 0
    """So many tasks."""


class Notifier(Protocol):
    """Who writes the notifications that the outcomes of an attempt call for (``notifier.py``)."""

    def reports(self, outcomes: Sequence[Outcome]) -> list[list[Report]]: ...
    def write(self, about: Entry, reports: Sequence[Report], content: bytes) -> Entry: ...


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
        dropped: Callable[[Entry], None] = lambda entry: None,
        cut_short: Callable[[Entry, Sequence[Row]], None] = lambda entry, rows: None,
    ) -> None:
        self._retry = retry
        self._clock = clock
        self._route = route
        self._attempt = attempt
        self._report = report
        self._notifier = notifier
        self._announce = announce
        self._random = random
        self._dropped = dropped
        self._cut_short = cut_short
        self._entries: dict[str, Entry] = {}
        self._agenda: Agenda[tuple[str, Route]] = Agenda(clock, self._due)
        self._lines: dict[Route, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempting: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._keeper = Keeper(
            directory, clock, durable=durable, take_up=self._take_up, known=self._entries.values, start=self._task
        )

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

    def held(self) -> dict[str, set[Address]]:
        """The mails that are not finished, by their ids, and their recipients that wait."""
        return {entry.id: {row.recipient.address for row in entry.waiting} for entry in tuple(self._entries.values())}

    async def load(self) -> None:
        """Take up what an earlier run left."""
        await self._keeper.load()

    async def commit(self, entry: Entry) -> None:
        """Make the mail the spool's own. Raises OSError when it can't be kept; then nothing is left of it."""
        await self._keeper.commit(entry)

    async def withdraw(self, entry: Entry) -> None:
        """Take a commit back: the mail is refused after all."""
        if entry.on_disk:
            try:
                await self._keeper.remove(entry)
            except OSError:
                log.exception("spool: %s was refused and could not be removed", entry.id)

    def release(self, entry: Entry) -> None:
        """Begin with the first attempts."""
        self._entries[entry.id] = entry
        for route in self._routes(entry):
            self._start(entry, route)

    def conclude(self, outcomes: Sequence[Outcome], content: bytes) -> None:
        """Tell the sender, where he asked for it, of recipients that were served without the spool."""
        for reports in self._notifier.reports(outcomes):
            self._task(self._enter(self._notifier.write(outcomes[0].entry, reports, content)))

    async def _enter(self, notification: Entry) -> None:
        try:
            await self._keeper.commit(notification)
        except OSError:
            log.exception("spool: the notification %s goes on in memory", notification.id)
        self._begin(notification)

    def _begin(self, notification: Entry) -> None:
        self._announce(notification)
        self.release(notification)

    async def retry_now(self, mail_id: str = "") -> int:
        """Try what waits at once: that mail, or all. How many recipients that are."""
        chosen = [entry for entry in self._entries.values() if mail_id in ("", entry.id)]
        for entry in chosen:
            for route in self._routes(entry):
                if self._agenda.call_off((entry.id, route)):  # else it is being tried already
                    self._start(entry, route)
        return sum(len(entry.waiting) for entry in chosen)

    async def drop(self, mail_id: str) -> bool:
        """Forget a mail, without telling anybody; whether there was one that is not just being tried. Raises OSError
        when it can't be removed from the disk at once."""
        entry = self._entries.get(mail_id)
        if entry is None or any((mail_id, route) not in self._agenda for route in self._routes(entry)):
            return False
        for route in self._routes(entry):
            self._agenda.call_off((mail_id, route))
        del self._entries[mail_id]
        self._dropped(entry)
        await self._keeper.remove(entry)
        return True

    async def clear(self) -> None:
        """Forget all mails, without telling anybody; those that are just being tried stay."""
        await asyncio.gather(*map(self.drop, tuple(self._entries)))

    async def close(self) -> None:
        """Stop; what is not finished stays on disk."""
        self._closed = True
        self._agenda.clear()
        for line in self._lines.values():
            line.mails.clear()
        for task in self._attempting:
            task.cancel()
        await self.settled()
        await self._keeper.close()

    async def settled(self) -> bool:
        """Wait until no attempt is under way; whether there was any."""
        waited = bool(self._tasks)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            # From Python 3.12 on that waits for nothing where all have ended, and they leave the set in the next turn.
            await asyncio.sleep(0)
        return waited

    # -- attempts --------------------------------------------------------------------------------------------------

    def _route_of(self, row: Row) -> Route:
        return self._route(row.recipient.address)

    def _routes(self, entry: Entry) -> list[Route]:
        return list(dict.fromkeys(map(self._route_of, entry.waiting)))

    def _take_up(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.id in self._entries:
                continue
            if not entry.waiting:  # all of it was done, but for its end
                self._task(self._keeper.save(entry))
                continue
            self._entries[entry.id] = entry
            due: dict[Route, float] = {}
            for row in entry.waiting:
                route = self._route_of(row)
                due[route] = min(row.due, due.get(route, row.due))
            for route, moment in due.items():
                self._later(entry, route, moment)

    def _later(self, entry: Entry, route: Route, due: float) -> None:
        if not self._closed:
            self._agenda.put((entry.id, route), due)

    def _due(self, key: tuple[str, Route]) -> None:
        mail_id, route = key
        self._start(self._entries[mail_id], route)

    def _start(self, entry: Entry, route: Route) -> None:
        if self._closed:
            return
        line = self._lines.get(route)
        if line is None:
            line = self._lines[route] = _Line()
        line.mails.append(entry)
        if line.served_by < AT_ONCE:
            line.served_by += 1
            self._task(self._serve(route, line))

    async def _serve(self, route: Route, line: _Line) -> None:
        """Try the mails of a line, one after the other."""
        try:
            while line.mails:
                await self._try(line.mails.popleft(), route, line)
        finally:
            line.served_by -= 1
            if not line.served_by:
                del self._lines[route]

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what nobody waits for, but at the end; what goes wrong there is told in the log."""
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, entry: Entry, route: Route, line: _Line) -> None:
        try:
            rows = self._rows(entry, route)
            answers = await self._answers(entry, route, rows) if rows else []  # none: what is known is yet to be saved
            if answers is None:
                return
            await self._take(entry, route, rows, answers)
            if answers and not any(answer.reached for answer in answers):
                await self._answer_all(line, route, answers[0])
        except Exception:
            log.exception(_OUR_FAULT, entry.id)
            self._later(entry, route, self._clock.now() + self._retry.delay(1))

    def _rows(self, entry: Entry, route: Route) -> list[Row]:
        return [row for row in entry.waiting if self._route_of(row) == route]

    async def _answer_all(self, line: _Line, route: Route, answer: Answer) -> None:
        """The way is closed: that is the answer for all that stood in line meanwhile."""
        stood, line.mails = line.mails, deque()
        while stood:
            some = [stood.popleft() for _ in range(min(len(stood), _TOGETHER))]
            await asyncio.gather(*(self._take_answer(entry, route, answer) for entry in some))

    async def _take_answer(self, entry: Entry, route: Route, answer: Answer) -> None:
        try:
            rows = self._rows(entry, route)
            await self._take(entry, route, rows, [answer] * len(rows))
        except Exception:
            log.exception(_OUR_FAULT, entry.id)
            self._later(entry, route, self._clock.now() + self._retry.delay(1))

    async def _take(self, entry: Entry, route: Route, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
        outcomes = [self._decide(entry, row, route, answer) for row, answer in zip(rows, answers, strict=True)]
        await self._conclude(entry, route, outcomes)

    async def _answers(self, entry: Entry, route: Route, rows: Sequence[Row]) -> Sequence[Answer] | None:
        """What came of an attempt; None: the spool was closed meanwhile. Only the attempt itself is ever cut short, for
        what a next hop has taken must be written down."""
        task = asyncio.current_task()
        assert task is not None
        self._attempting.add(task)
        try:
            try:
                answers = await self._attempt(route, entry, rows, partial(self._keeper.read, entry))
            finally:
                self._attempting.discard(task)
            if len(answers) == len(rows):
                return answers
            log.error("spool: attempt of %s: %d answers for %d recipients", entry.id, len(answers), len(rows))
        except asyncio.CancelledError:
            if not self._closed:
                raise
            self._cut_short(entry, rows)
            return None
        except Exception:
            # Whatever went wrong here is ours, and no reason to lose a mail or to hold up the others.
            log.exception("spool: attempt of %s failed", entry.id)
        return [Answer(reply.OUR_FAULT)] * len(rows)

    async def _conclude(self, entry: Entry, route: Route, outcomes: Sequence[Outcome]) -> None:
        """Write down what came of an attempt, tell it, and see to what follows."""
        notifications = await self._notifications(entry, outcomes)
        await self._keeper.save(entry, notifications)
        waiting = [outcome.row.due for outcome in outcomes if outcome.event == "deferred"]
        if waiting:
            self._later(entry, route, min(waiting))
        if not entry.waiting:
            self._entries.pop(entry.id, None)
        for outcome in outcomes:
            self._tell(outcome)
        for notification in notifications:
            self._begin(notification)

    async def _notifications(self, entry: Entry, outcomes: Sequence[Outcome]) -> list[Entry]:
        reports = self._notifier.reports(outcomes)
        if not reports:
            return []
        try:
            content = await self._keeper.read(entry)
        except OSError:
            log.exception("spool: %s can't be read, and its sender is told without it", entry.id)
            content = b""
        try:
            return [self._notifier.write(entry, some, content) for some in reports]
        except Exception:
            log.exception("spool: no notification about %s could be written", entry.id)
            return []

    def _tell(self, outcome: Outcome) -> None:
        try:
            self._report(outcome)
        except Exception:
            log.exception("spool: what became of %s could not be told", outcome.entry.id)

    def _decide(self, entry: Entry, row: Row, route: Route, answer: Answer) -> Outcome:
        row.attempts += 1
        row.last = str(answer.reply)
        event: Event = "deferred"
        if answer.reply.accepted:
            row.status = event = "delivered" if route is LOCAL else "forwarded"
        elif answer.reply.permanent:
            row.status = event = "failed"
        else:
            # A little more or less each time: mails put off together do not come back together.
            vague = 1 + self._retry.jitter * (2 * self._random() - 1)
            row.due = self._clock.now() + self._retry.delay(row.attempts) * vague
            if row.due > entry.accepted + self._retry.expiry:
                row.status = event = "failed"
                answer = replace(answer, reply=reply.expired(answer.reply))
        return Outcome(entry, row, route, answer, event)


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception:
        log.exception("spool: a fault of ours")
