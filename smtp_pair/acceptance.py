"""What becomes of a mail between its final dot and the 250, and right after it.

    the mail -> its files (store, spool) -> one fact (journal) -> 250 -> told to whoever waits, sent on

Everything that can fail comes before the 250: a mail is on disk and in the journal, or it is refused with a 4xx and
nothing of it is left.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from smtp_pair.aliases import Aliases
from smtp_pair.clock import Clock
from smtp_pair.disk import remove_quietly
from smtp_pair.facts import Fact
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal
from smtp_pair.mail import reply, trace
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin, Recipient
from smtp_pair.mail.header import heading
from smtp_pair.mail.message import Attachments, Mail
from smtp_pair.mail.reply import Reply
from smtp_pair.quota import Quota
from smtp_pair.routes import LOCAL, NextHop, Routes
from smtp_pair.session import Receipt
from smtp_pair.spool import Entry, Row, Spool
from smtp_pair.store import Store, Stored

log = logging.getLogger(__name__)

BIG = 256 << 10
"""Octets from which on a mail is stored in a worker thread: decoding it would hold up every other session."""
_TEXT_KEPT = 64 << 10
_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Ids(Protocol):
    """Gives mails their names, and knows those it gave (``network.py``)."""

    def new(self, moment: float) -> str: ...
    def __contains__(self, mail_id: str) -> bool: ...


Way = tuple[Recipient, Address]
"""A recipient that the mail goes to, and the address that the client named it by: an alias, or the same."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail that has come whole, sorted by what is to become of it."""

    id: str
    moment: float
    envelope: Envelope
    origin: Origin
    content: bytes
    received: bytes
    """The Received field of this hop."""
    here: tuple[Way, ...]
    onward: tuple[Way, ...]
    nowhere: tuple[Way, ...]

    @property
    def mailboxes(self) -> list[str]:
        """The mailboxes on this server, each once."""
        return list(dict.fromkeys(recipient.address.mailbox for recipient, _ in self.here))

    @property
    def head(self) -> bytes:
        """The trace fields that final delivery puts on top."""
        return trace.return_path(self.envelope.sender) + self.received

    @property
    def octets(self) -> int:
        """What it takes in a mailbox."""
        return len(self.head) + len(self.content)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is on disk of it."""

    stored: Stored | None
    entry: Entry | None


class Acceptance:
    """Takes the mails of one server over. Used on the event loop's thread only."""

    def __init__(
        self,
        hostname: str,
        directory: Path,
        *,
        routes: Routes,
        aliases: Aliases,
        quota: Quota | None,
        store: Store,
        spool: Spool,
        journal: Journal,
        inbox: Inbox,
        clock: Clock,
        ids: Ids,
        durable: bool,
    ) -> None:
        self._hostname = hostname
        self._directory = directory
        self._routes = routes
        self._aliases = aliases
        self._quota = quota
        self._store = store
        self._spool = spool
        self._journal = journal
        self._inbox = inbox
        self._clock = clock
        self._ids = ids
        self._durable = durable
        self._under_way: set[asyncio.Task[Receipt]] = set()

    def accept(self, envelope: Envelope, content: bytes, origin: Origin) -> Receipt | asyncio.Future[Receipt]:
        """Take the mail over: at once, or by and by where the disk is waited for. Never raises."""
        try:
            if trace.hops(content) >= trace.HOP_LIMIT:
                return Receipt(reply.TOO_MANY_HOPS, _nothing)
            incoming = self._sort(envelope, content, origin)
            full = self._reserve(incoming)
            if full is not None:
                return Receipt(full, _nothing)
            if self._durable or len(content) > BIG:
                task = asyncio.get_running_loop().create_task(self._accept_in_thread(incoming))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                return task
        except Exception as error:
            log.exception("%s could not take a mail", self._hostname)
            return _refusal(error)
        try:
            return self._finish(incoming, self._keep(incoming))
        except Exception as error:
            log.exception("%s could not take a mail", self._hostname)
            return self._failed(incoming, error)

    async def settled(self) -> bool:
        """Wait until no mail is being taken over; whether there was any."""
        waited = bool(self._under_way)
        while self._under_way:
            await asyncio.gather(*self._under_way)
            # From Python 3.12 on that waits for nothing where all have ended, and they leave the set in the next turn.
            await asyncio.sleep(0)
        return waited

    async def _accept_in_thread(self, incoming: Incoming) -> Receipt:
        try:
            kept = await asyncio.get_running_loop().run_in_executor(None, self._keep, incoming)
            return self._finish(incoming, kept)
        except Exception as error:
            log.exception("%s could not take a mail", self._hostname)
            return self._failed(incoming, error)

    def _failed(self, mail: Incoming, error: Exception) -> Receipt:
        self._settle(mail, stored=False)
        return _refusal(error)

    def _sort(self, envelope: Envelope, content: bytes, origin: Origin) -> Incoming:
        moment = self._clock.now()
        mail_id = self._ids.new(moment)
        here: list[Way] = []
        onward: list[Way] = []
        nowhere: list[Way] = []
        for way in self._aliases.expand(envelope.forward_paths):
            route = self._routes.route(way[0].address)
            aliased = way[0].address != way[1]
            # An alias that leads nowhere was accepted with its other targets: the spool fails it by itself.
            onto = here if route is LOCAL else onward if isinstance(route, NextHop) or aliased else nowhere
            onto.append(way)
        received = trace.received(self._hostname, mail_id, envelope, origin, moment)
        return Incoming(
            mail_id, moment, envelope, origin, content, received, tuple(here), tuple(onward), tuple(nowhere)
        )

    def _reserve(self, mail: Incoming) -> Reply | None:
        """Count the mail against its mailboxes. A reply: one of them is full, and none gets it, for all recipients
        share the answer; the client tries again, and is told at RCPT which one."""
        if self._quota is None:
            return None
        for recipient, _ in mail.here:
            if not self._quota.has_room(recipient.address.mailbox, mail.octets):
                return reply.mailbox_full(recipient.address)
        self._quota.reserve(mail.mailboxes, mail.octets)
        return None

    def _settle(self, mail: Incoming, *, stored: bool) -> None:
        if self._quota is not None:
            self._quota.settle(mail.mailboxes, mail.octets, stored=stored)

    # -- the disk: in any thread -----------------------------------------------------------------------------------

    def _keep(self, mail: Incoming) -> Kept:
        stored = None
        if mail.here:
            stored = self._store.deliver(mail.id, mail.head, mail.content, mail.mailboxes)
        entry = None
        if mail.onward:
            rows = [Row(recipient) for recipient, _ in mail.onward]
            whole = mail.received + mail.content
            entry = Entry(mail.id, mail.envelope.sender, mail.envelope.options, mail.moment, rows, whole)
            try:
                self._spool.commit(entry)
            except BaseException:
                remove_quietly(stored.files if stored else ())
                raise
        return Kept(stored, entry)

    # -- the record, and what follows: on the loop's thread ----------------------------------------------------------

    def _finish(self, mail: Incoming, kept: Kept) -> Receipt:
        try:
            fact = self._fact(mail, kept.stored)
            delivered = self._mail(mail, kept.stored) if kept.stored is not None else None
            self._journal.keep(fact)
        except BaseException:
            remove_quietly(kept.stored.files if kept.stored else ())
            if kept.entry is not None:
                self._spool.withdraw(kept.entry)
            raise
        self._settle(mail, stored=True)
        if delivered is not None:
            self._inbox.put(delivered)

        def announce() -> None:
            self._journal.tell(fact)
            if kept.stored is not None:
                self._inbox.wake()
            if kept.entry is not None:
                self._spool.release(kept.entry)

        return Receipt(reply.stored(mail.id), announce)

    def _mail(self, mail: Incoming, stored: Stored) -> Mail:
        return Mail(
            mail.id,
            self._hostname,
            mail.envelope,
            tuple(recipient.address for recipient, _ in mail.here),
            tuple(dict.fromkeys(named for _, named in mail.here)),
            datetime.fromtimestamp(mail.moment, UTC),
            stored.subject,
            stored.text,
            Attachments(stored.attachments),
            stored.defects,
            stored.path,
            stored.path.read_bytes,
            self._ids.__contains__,
        )

    def _fact(self, mail: Incoming, stored: Stored | None) -> Fact:
        outcomes = [(mail.here, "delivered"), (mail.onward, "queued"), (mail.nowhere, "ignored")]
        told = stored if stored is not None else heading(mail.content)
        text = stored.text if stored is not None else ""
        cut = f"\n[... {len(text) - _TEXT_KEPT:,} more characters in the raw mail]" if len(text) > _TEXT_KEPT else ""
        data: dict[str, Any] = {
            "client": f"{mail.origin.helo} [{mail.origin.host}]:{mail.origin.port}",
            "sender": mail.envelope.sender,
            "recipients": [
                {"address": recipient.address, "outcome": outcome}
                | ({"alias": named} if named != recipient.address else {})
                for ways, outcome in outcomes
                for recipient, named in ways
            ],
            "title": told.subject,
            "date": told.date,
            "size": len(mail.content),
            "text": text[:_TEXT_KEPT] + cut,
            "attachments": self._attachments(stored),
            "defects": list(stored.defects) if stored is not None else [],
            "file": self._relative(stored.path) if stored is not None else "",
        }
        return Fact("received", mail.moment, self._hostname, mail.id, data)

    def _attachments(self, stored: Stored | None) -> list[dict[str, Any]]:
        return [
            {
                "name": attachment.filename,
                "type": attachment.content_type,
                "encoding": attachment.encoding,
                "size": attachment.size,
                "sha256": attachment.sha256,
                "file": self._relative(attachment.path),
                "defects": list(attachment.defects),
            }
            for attachment in (stored.attachments if stored is not None else ())
        ]

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._directory).as_posix()


def _refusal(error: Exception) -> Receipt:
    """A fault of ours: the client is to try again, and learns nothing else of it (C43)."""
    full = isinstance(error, OSError) and error.errno in _NO_SPACE
    return Receipt(reply.NO_SPACE if full else reply.OUR_FAULT, _nothing)


def _nothing() -> None:
    """What is to be done after a refusal."""
