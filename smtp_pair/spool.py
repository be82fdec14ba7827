"""Accepted and not finished: mails that wait for a next hop.

    commit -> attempt -> taken           (2xx: forwarded)
                      -> put off         (4xx or no answer: again after a growing delay, until it expires)
                      -> failed          (5xx or expired: kept under ``failed/``, recorded)

Committing is the promise: in durable mode the mail is on disk, file and folder, before the 250, and survives a
restart. In fast mode it reaches the disk with the first attempt that does not finish it.

On disk a mail is two files that an operator can read: ``spool/<id>.eml``, as it is sent on, and ``spool/<id>.json``,
its envelope with a row for each recipient.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from smtp_pair.clock import Clock, Handle
from smtp_pair.config import Retry
from smtp_pair.disk import make_folder, sync_folder, write_new
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address, parse_path
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import NO_MAIL, NextHop, Route

log = logging.getLogger(__name__)

Status = Literal["queued", "forwarded", "failed"]
_STATUSES: tuple[Status, ...] = get_args(Status)
Attempt = Callable[[NextHop, Envelope, bytes], Awaitable[Sequence[Reply]]]


@dataclass(slots=True)
class Row:
    """One recipient of a spooled mail."""

    recipient: Recipient
    status: Status = "queued"
    attempts: int = 0
    due: float = 0.0
    """When it is tried next, in seconds since the epoch."""
    last: str = ""
    """The reply to the last attempt."""


@dataclass(slots=True)
class Entry:
    """One spooled mail."""

    id: str
    sender: Address
    options: Mapping[str, str]
    accepted: float
    rows: list[Row]
    content: bytes | None
    """The mail as it is sent on; None once it lies on disk alone."""
    on_disk: bool = False

    def envelope(self, rows: Iterable[Row]) -> Envelope:
        """The envelope for some of the recipients."""
        return Envelope(self.sender, tuple(row.recipient for row in rows), self.options)

    @property
    def waiting(self) -> list[Row]:
        """The recipients that are neither forwarded nor failed."""
        return [row for row in self.rows if row.status == "queued"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to, for one recipient."""

    entry: Entry
    row: Row
    hop: NextHop | None
    reply: Reply
    event: Literal["forwarded", "deferred", "failed"]


class Spool:
    """The queue of one server. Used on the event loop's thread only, but for :meth:`commit`."""

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
    ) -> None:
        self._directory = directory
        self._retry = retry
        self._clock = clock
        self._durable = durable
        self._route = route
        self._attempt = attempt
        self._report = report
        self._entries: dict[str, Entry] = {}
        self._timers: dict[tuple[str, NextHop | None], Handle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def waiting(self) -> list[Entry]:
        """What is not finished, oldest first."""
        return list(self._entries.values())

    def commit(self, entry: Entry) -> None:
        """Make the mail the spool's own. Raises OSError when it can't be kept; then nothing is left of it."""
        if self._durable:
            self._write(entry)

    def withdraw(self, entry: Entry) -> None:
        """Take a commit back: the mail is refused after all."""
        if entry.on_disk:
            try:
                self._remove(entry)
            except OSError:
                log.exception("spool: %s was refused and could not be removed", entry.id)

    def release(self, entry: Entry) -> None:
        """Begin with the first attempts."""
        self._entries[entry.id] = entry
        for hop in self._hops(entry.waiting):
            self._start(entry, hop)

    def load(self) -> None:
        """Take up what an earlier run left. A file that can't be read is left where it is, and told in the log."""
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.glob("*.json")):
            try:
                entry = _from_json(path.stem, json.loads(path.read_bytes()))
                if not entry.waiting:  # that run ended before it could tidy up
                    self._save(entry)
                    continue
                if not self._eml(entry).is_file():
                    raise FileNotFoundError(f"{self._eml(entry)} is missing")
            except Exception:
                log.exception("spool: %s can't be taken up", path)
                continue
            self._entries[entry.id] = entry
            for hop in self._hops(entry.waiting):
                due = min(row.due for row in entry.waiting if self._hop(row) == hop)
                self._later(entry, hop, due)

    async def close(self) -> None:
        """Stop; what is not finished stays on disk."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entry in self._entries.values():
            try:
                self._save(entry)
            except OSError:
                log.exception("spool: %s could not be kept", entry.id)

    async def settled(self) -> bool:
        """Wait until no attempt is under way; whether there was any."""
        waited = bool(self._tasks)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            # From Python 3.12 on that waits for nothing where all have ended, and they leave the set in the next turn.
            await asyncio.sleep(0)
        return waited

    # -- attempts --------------------------------------------------------------------------------------------------

    def _hop(self, row: Row) -> NextHop | None:
        """Where the recipient goes now; None: nowhere (the routes have changed since)."""
        route = self._route(row.recipient.address)
        return route if isinstance(route, NextHop) else None

    def _hops(self, rows: Iterable[Row]) -> list[NextHop | None]:
        return list(dict.fromkeys(map(self._hop, rows)))

    def _later(self, entry: Entry, hop: NextHop | None, due: float) -> None:
        key = entry.id, hop
        if key in self._timers:
            self._timers[key].cancel()
        self._timers[key] = self._clock.call_at(due, lambda: self._start(entry, hop))

    def _start(self, entry: Entry, hop: NextHop | None) -> None:
        self._timers.pop((entry.id, hop), None)
        if self._closed:
            return
        task = asyncio.get_running_loop().create_task(self._try(entry, hop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, entry: Entry, hop: NextHop | None) -> None:
        rows = [row for row in entry.waiting if self._hop(row) == hop]
        if not rows:
            return
        try:
            answered = list(zip(rows, await self._replies(entry, hop, rows), strict=True))
        except Exception:
            # Whatever went wrong here is ours, and no reason to lose a mail or to hold up the others.
            log.exception("spool: attempt of %s failed", entry.id)
            answered = [(row, reply.OUR_FAULT) for row in rows]
        outcomes = [self._decide(entry, row, hop, answer) for row, answer in answered]
        try:
            self._save(entry)
        except OSError:
            log.exception("spool: the state of %s could not be written", entry.id)
        for outcome in outcomes:
            try:
                self._report(outcome)
            except Exception:
                log.exception("spool: what became of %s could not be told", entry.id)
        waiting = [row for row in rows if row.status == "queued"]
        if waiting:
            self._later(entry, hop, min(row.due for row in waiting))
        elif not entry.waiting:
            self._entries.pop(entry.id, None)

    async def _replies(self, entry: Entry, hop: NextHop | None, rows: Sequence[Row]) -> Sequence[Reply]:
        if hop is None:
            return [self._no_way(row.recipient.address) for row in rows]
        content = entry.content
        if content is None:
            content = await asyncio.get_running_loop().run_in_executor(None, self._eml(entry).read_bytes)
        return await self._attempt(hop, entry.envelope(rows), content)

    def _no_way(self, address: Address) -> Reply:
        return reply.no_mail_there(address) if self._route(address) is NO_MAIL else reply.no_route(address)

    def _decide(self, entry: Entry, row: Row, hop: NextHop | None, answer: Reply) -> Outcome:
        row.attempts += 1
        row.due = self._clock.now() + self._retry.delay(row.attempts)
        if not answer.accepted and not answer.permanent and row.due > entry.accepted + self._retry.expiry:
            answer = reply.expired(answer)
        row.last = str(answer)
        if answer.accepted:
            row.status = "forwarded"
            return Outcome(entry, row, hop, answer, "forwarded")
        if answer.permanent:
            row.status = "failed"
            return Outcome(entry, row, hop, answer, "failed")
        return Outcome(entry, row, hop, answer, "deferred")

    # -- the disk --------------------------------------------------------------------------------------------------

    def _eml(self, entry: Entry) -> Path:
        return self._directory / f"{entry.id}.eml"

    def _json(self, entry: Entry) -> Path:
        return self._directory / f"{entry.id}.json"

    def _write(self, entry: Entry) -> None:
        """The mail first, then its state: a state without a mail would promise what is not there."""
        assert entry.content is not None
        make_folder(self._directory, durable=self._durable)
        write_new(self._eml(entry), [entry.content], durable=self._durable)
        entry.on_disk = True
        try:
            self._write_state(entry)
        except BaseException:
            self._remove(entry)
            raise

    def _write_state(self, entry: Entry) -> None:
        fresh = self._directory / f"{entry.id}.new"
        fresh.unlink(missing_ok=True)
        write_new(fresh, [_to_json(entry)], durable=self._durable)
        os.replace(fresh, self._json(entry))
        if self._durable:
            sync_folder(self._directory)

    def _save(self, entry: Entry) -> None:
        """Bring the disk up to what is known: finished mails go, failed ones are kept aside."""
        failed = any(row.status == "failed" for row in entry.rows)
        if not entry.waiting and not failed:
            if entry.on_disk:
                self._remove(entry)
            return
        if not entry.on_disk:
            self._write(entry)
        else:
            self._write_state(entry)
        entry.content = None
        if not entry.waiting:
            self._set_aside(entry)

    def _set_aside(self, entry: Entry) -> None:
        aside = self._directory / "failed"
        make_folder(aside, durable=self._durable)
        for path in (self._eml(entry), self._json(entry)):
            with contextlib.suppress(FileNotFoundError):  # an earlier run came as far as this
                os.replace(path, aside / path.name)

    def _remove(self, entry: Entry) -> None:
        for ending in ("json", "new", "eml"):
            (self._directory / f"{entry.id}.{ending}").unlink(missing_ok=True)
        entry.on_disk = False


def _to_json(entry: Entry) -> bytes:
    rows = [
        {
            "address": row.recipient.address,
            "options": dict(row.recipient.options),
            "status": row.status,
            "attempts": row.attempts,
            "due": row.due,
            "last": row.last,
        }
        for row in entry.rows
    ]
    head = {"sender": entry.sender, "options": dict(entry.options), "accepted": entry.accepted, "recipients": rows}
    return json.dumps(head, indent=1).encode("ascii") + b"\n"


def _from_json(mail_id: str, state: dict[str, Any]) -> Entry:
    """Raises whatever the text of a file that is not ours leads to."""
    rows = [
        Row(
            Recipient(_address(row["address"]), _texts(row["options"])),
            _status(row["status"]),
            int(row["attempts"]),
            float(row["due"]),
            str(row["last"]),
        )
        for row in state["recipients"]
    ]
    sender, options, accepted = _address(state["sender"]), _texts(state["options"]), float(state["accepted"])
    return Entry(mail_id, sender, options, accepted, rows, content=None, on_disk=True)


def _address(text: str) -> Address:
    return parse_path(f"<{text}>", utf8=True)[0]


def _status(text: str) -> Status:
    for status in _STATUSES:
        if text == status:
            return status
    raise ValueError(f"{text!r} is no status")


def _texts(options: dict[str, str]) -> dict[str, str]:
    return {str(name): str(value) for name, value in options.items()}
