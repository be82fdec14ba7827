"""What becomes of a mail between its final dot and the 250, and right after it.

    the mail -> its files (store, spool) -> one fact (journal) -> 250 -> told to whoever waits, sent on

Everything that can fail comes before the 250: a mail is on disk and in the journal, or it is refused with a 4xx and
nothing of it is left.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from smtp_pair import record
from smtp_pair.aliases import Aliases
from smtp_pair.clock import Clock
from smtp_pair.conservation import Conservation
from smtp_pair.disk import in_thread, remove_quietly
from smtp_pair.entry import Answer, Content, Entry, Outcome, Row
from smtp_pair.facts import Fact
from smtp_pair.group_commit import Groups
from smtp_pair.house import Receipt
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal
from smtp_pair.mail import reply, trace
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin, Recipient
from smtp_pair.mail.message import Attachments, Mail
from smtp_pair.mail.reply import Reply
from smtp_pair.quota import Quota
from smtp_pair.routes import LOCAL, ByName, NextHop, Routes
from smtp_pair.spool import Spool
from smtp_pair.store import Delivery, Store, Stored

log = logging.getLogger(__name__)

BIG = 256 << 10
"""Octets from which on a mail is stored in a worker thread: decoding it would hold up every other session."""
_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Ids(Protocol):
    """Gives mails their names, and knows those it gave (``network.py``)."""

    def new(self, moment: float) -> str: ...
    def __contains__(self, mail_id: str) -> bool: ...


Way = tuple[Recipient, Address]
"""A recipient that the mail goes to, and the address that the client named it by: an alias, or the same."""


@dataclass(slots=True)
class Incoming:
    """A mail that has come whole, sorted by what is to become of it. (Not frozen: that takes three times as long.)"""

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
    entry: Entry | None
    """What the spool is to hold: the mail with a row for each recipient in ``onward``."""
    full: int
    """How many of ``onward`` are recipients here whose mailbox is full."""
    trouble: OSError | None = None
    """What a test wants the disk to say."""

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

    @property
    def only_for_full_mailboxes(self) -> bool:
        """Whether there is no room for it anywhere. Where others still get the mail, those wait in the spool (C43)."""
        return bool(self.full) and not self.here and not self.nowhere and self.full == len(self.onward)


Waiting = tuple[Incoming, asyncio.Future[Receipt]]
"""A mail that goes to the disk with others, and what its client waits for."""


class Ready(NamedTuple):
    """A mail that lies where it belongs, and has only to be recorded."""

    mail: Incoming
    stored: Stored | None
    delivered: Mail | None
    fact: Fact


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
        exists: Callable[[Address], bool],
        clock: Clock,
        ids: Ids,
        durable: bool,
        bounces: bool,
        conservation: Conservation | None = None,
        relay: Callable[[tuple[str, int]], str] = lambda _: "",
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
        self._exists = exists
        self._clock = clock
        self._ids = ids
        self._durable = durable
        self._bounces = bounces
        self._conservation = conservation or Conservation(ids.__contains__)
        self._relay = relay  # the server of the network at the other end of a connection
        self._under_way: set[asyncio.Future[Receipt]] = set()
        self._groups = Groups(self._store_group, self._finish_group)

    def accept(
        self, envelope: Envelope, content: bytes, origin: Origin, trouble: OSError | None = None
    ) -> Receipt | asyncio.Future[Receipt]:
        """Take the mail over: at once, or by and by where the disk is waited for. Never raises. ``trouble`` is what
        the disk says when all but the record of it is written."""
        try:
            if trace.goes_round(content, self._hostname):
                return Receipt(reply.TOO_MANY_HOPS, _nothing)
            incoming = self._sort(envelope, content, origin, trouble)
            if incoming.only_for_full_mailboxes:
                return Receipt(reply.mailbox_full(incoming.onward[0][0].address), _nothing)
            if self._quota is not None:
                self._quota.reserve(incoming.mailboxes, incoming.octets)
        except Exception as error:
            log.exception("%s could not take a mail", self._hostname)
            return _refusal(error)
        if len(content) <= BIG and self._durable and incoming.here:
            receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
            self._under_way.add(receipt)
            self._groups.add((incoming, receipt))
            return receipt
        if len(content) <= BIG and not self._durable:
            return self._accept_at_once(incoming)
        task = asyncio.get_running_loop().create_task(self._accept_by_and_by(incoming))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def settled(self) -> bool:
        """Wait until no mail is being taken over; whether there was any."""
        waited = bool(self._under_way)
        while self._under_way:
            await asyncio.gather(*self._under_way)
            # From Python 3.12 on that waits for nothing where all have ended, and they leave the set in the next turn.
            await asyncio.sleep(0)
        return waited

    def _accept_at_once(self, mail: Incoming) -> Receipt:
        stored: Stored | None = None
        try:
            stored = self._store_here(mail)
            return self._finish(mail, stored)  # in fast mode, committing to the spool costs nothing yet
        except Exception as error:  # noqa: BLE001 - told by _undo
            return self._undo(mail, stored, error)

    async def _accept_by_and_by(self, mail: Incoming) -> Receipt:
        """A mail that is to hold up no other: it is big, or goes to the spool alone, which has groups of its own."""
        try:
            stored = await in_thread(self._store_here, mail)
        except Exception as error:  # noqa: BLE001 - told by _undo
            return self._undo(mail, None, error)
        return await self._commit(mail, stored)

    async def _commit(self, mail: Incoming, stored: Stored | None) -> Receipt:
        committed = False
        try:
            if mail.entry is not None:
                await self._spool.commit(mail.entry)
                committed = True
            return self._finish(mail, stored)
        except Exception as error:  # noqa: BLE001 - told by _undo
            if committed and mail.entry is not None:
                await self._spool.withdraw(mail.entry)
            return self._undo(mail, stored, error)

    def _finish_group(self, group: Sequence[Waiting], results: Sequence[Stored | Exception]) -> None:
        """Those that stay here are taken over together; whatever goes on as well is committed to the spool first."""
        ready: list[tuple[Ready, asyncio.Future[Receipt]]] = []
        for (mail, receipt), stored in zip(group, results, strict=True):
            if isinstance(stored, Exception):
                self._answer(receipt, self._undo(mail, None, stored))
            elif mail.entry is not None:
                task = asyncio.get_running_loop().create_task(self._commit(mail, stored))
                task.add_done_callback(partial(self._committed, receipt))
            else:
                try:
                    ready.append((self._ready(mail, stored), receipt))
                except Exception as error:  # noqa: BLE001 - told by _undo
                    self._answer(receipt, self._undo(mail, stored, error))
        errors = self._journal.keep_together([one.fact for one, _ in ready]) if ready else []
        for (one, receipt), unkept in zip(ready, errors, strict=True):
            try:
                if unkept is not None:
                    raise unkept
                answer = self._conclude(one)
            except Exception as fault:  # noqa: BLE001 - told by _undo
                answer = self._undo(one.mail, one.stored, fault)
            self._answer(receipt, answer)

    def _committed(self, receipt: asyncio.Future[Receipt], commit: asyncio.Task[Receipt]) -> None:
        if commit.cancelled():
            self._under_way.discard(receipt)
            receipt.cancel()
        else:
            self._answer(receipt, commit.result())

    def _answer(self, receipt: asyncio.Future[Receipt], answer: Receipt) -> None:
        self._under_way.discard(receipt)
        if not receipt.done():
            receipt.set_result(answer)

    def _undo(self, mail: Incoming, stored: Stored | None, error: Exception) -> Receipt:
        log.error("%s could not take a mail", self._hostname, exc_info=error)
        remove_quietly(stored.files if stored is not None else ())
        self._settle(mail, stored=False)
        return _refusal(error)

    def _settle(self, mail: Incoming, *, stored: bool) -> None:
        if self._quota is not None:
            self._quota.settle(mail.mailboxes, mail.octets, stored=stored)

    def _has_room(self, address: Address, octets: int) -> bool:
        return self._quota is None or self._quota.has_room(address.mailbox, octets)

    async def deliver(self, entry: Entry, rows: Sequence[Row], read: Content) -> list[Reply]:
        """Put a spooled mail into mailboxes of this server; a reply for each of the rows. Raises OSError when it can't
        be read."""
        content = await read()
        head = trace.return_path(entry.sender)
        octets = len(head) + len(content)
        # A notification goes to whoever the client said that it was: nobody has looked whether there is such a one.
        known = [row for row in rows if self._exists(row.recipient.address)]
        with_room = [row for row in known if self._has_room(row.recipient.address, octets)]
        if with_room:
            try:
                await self._deliver(entry, with_room, head, content)
            except OSError as error:
                log.exception("%s could not deliver %s", self._hostname, entry.id)
                return [_refusal(error).reply] * len(rows)

        def answer(row: Row) -> Reply:
            if row in with_room:
                return reply.stored(entry.id)
            return (reply.mailbox_full if row in known else reply.no_such_user)(row.recipient.address)

        return list(map(answer, rows))

    async def _deliver(self, entry: Entry, rows: Sequence[Row], head: bytes, content: bytes) -> None:
        addresses = tuple(row.recipient.address for row in rows)
        mailboxes = list(dict.fromkeys(address.mailbox for address in addresses))
        octets = len(head) + len(content)
        if self._quota is not None:
            self._quota.reserve(mailboxes, octets)
        done = False
        try:
            stored = await in_thread(lambda: self._store.deliver(entry.id, head, content, mailboxes, again=True))
            done = True
        finally:
            if self._quota is not None:
                self._quota.settle(mailboxes, octets, stored=done)
        moment = self._clock.now()
        self._inbox.put(self._mail(entry.id, moment, entry.envelope(rows), addresses, addresses, stored))
        self._inbox.wake()

    def _sort(self, envelope: Envelope, content: bytes, origin: Origin, trouble: OSError | None) -> Incoming:
        moment = self._clock.now()
        mail_id = self._ids.new(moment)
        received = trace.received(self._hostname, mail_id, envelope, origin, moment)
        octets = len(trace.return_path(envelope.sender)) + len(received) + len(content)
        here: list[Way] = []
        full: list[Way] = []
        onward: list[Way] = []
        nowhere: list[Way] = []
        for way in self._aliases.expand(envelope.forward_paths):
            address, named = way[0].address, way[1]
            route = self._routes.route(address)
            if route is LOCAL:
                onto = here if self._has_room(address, octets) else full
            else:
                # An alias that leads nowhere was accepted with its other targets: the spool fails it by itself.
                failing = self._bounces or address != named
                onto = onward if isinstance(route, NextHop | ByName) or failing else nowhere
            onto.append(way)
        queued = (*onward, *full)
        rows = [Row(recipient, due=moment) for recipient, _ in queued]
        entry = Entry(mail_id, envelope.sender, envelope.options, moment, rows, received + content) if rows else None
        ways = tuple(here), queued, tuple(nowhere)
        return Incoming(mail_id, moment, envelope, origin, content, received, *ways, entry, len(full), trouble)

    # -- the disk: in any thread -----------------------------------------------------------------------------------

    def _store_here(self, mail: Incoming) -> Stored | None:
        return self._store.deliver(mail.id, mail.head, mail.content, mail.mailboxes) if mail.here else None

    def _store_group(self, group: Sequence[Waiting]) -> list[Stored | Exception]:
        deliveries = [Delivery(mail.id, mail.head, mail.content, mail.mailboxes) for mail, _ in group]
        return self._store.deliver_together(deliveries)

    # -- the record, and what follows: on the loop's thread ----------------------------------------------------------

    def _finish(self, mail: Incoming, stored: Stored | None) -> Receipt:
        ready = self._ready(mail, stored)
        self._journal.keep(ready.fact)  # the last that can fail
        return self._conclude(ready)

    def _ready(self, mail: Incoming, stored: Stored | None) -> Ready:
        if mail.trouble is not None:
            raise mail.trouble
        delivered: Mail | None = None
        if stored is not None:
            addresses = tuple(recipient.address for recipient, _ in mail.here)
            named = tuple(dict.fromkeys(named for _, named in mail.here))
            delivered = self._mail(mail.id, mail.moment, mail.envelope, addresses, named, stored, mail.origin)
        return Ready(mail, stored, delivered, self._fact(mail, stored))

    def _conclude(self, ready: Ready) -> Receipt:
        mail, stored, delivered, fact = ready
        self._settle(mail, stored=True)
        if delivered is not None:
            self._inbox.put(delivered)
        self._account_for(mail, fact)
        receipt = reply.stored(mail.id)

        def announce() -> None:
            self._journal.tell(fact)
            if stored is not None:
                self._inbox.wake()
            if mail.entry is not None:
                self._spool.release(mail.entry)
                self._conservation.released(mail.id)
            self._tell_of_success(mail, receipt)

        return Receipt(receipt, announce)

    def _account_for(self, mail: Incoming, fact: Fact) -> None:
        """No recipient is lost from here on."""
        if self._relay((mail.origin.host, mail.origin.port)):
            self._conservation.arrived(self._hostname, mail.content, mail.envelope.recipients)
        self._conservation.accepted(
            self._hostname,
            mail.id,
            mail.envelope.sender,
            fact.data["title"],
            fact.data["client"],
            delivered=[recipient.address for recipient, _ in mail.here],
            ignored=[recipient.address for recipient, _ in mail.nowhere],
            pending=[recipient.address for recipient, _ in mail.onward],
            content=mail.content,
        )

    def _tell_of_success(self, mail: Incoming, receipt: Reply) -> None:
        """For those senders who asked to be told of what was delivered here (NOTIFY=SUCCESS, RFC 3461 4.1)."""
        asked = [recipient for recipient, _ in mail.here if "NOTIFY" in recipient.options]
        rows = [row for row in (Row(recipient, "delivered") for recipient in asked) if "SUCCESS" in row.notify]
        if rows:
            entry = Entry(mail.id, mail.envelope.sender, mail.envelope.options, mail.moment, rows, None)
            outcomes = [Outcome(entry, row, LOCAL, Answer(receipt), "delivered") for row in rows]
            self._spool.conclude(outcomes, mail.received + mail.content)

    def _mail(
        self,
        mail_id: str,
        moment: float,
        envelope: Envelope,
        delivered_to: tuple[Address, ...],
        addressed_to: tuple[Address, ...],
        stored: Stored,
        origin: Origin | None = None,
    ) -> Mail:
        return Mail(
            mail_id,
            self._hostname,
            envelope,
            delivered_to,
            addressed_to,
            datetime.fromtimestamp(moment, UTC),
            stored.subject,
            stored.text,
            Attachments(stored.attachments),
            stored.defects,
            stored.path,
            stored.path.read_bytes,
            self._ids.__contains__,
            origin,
        )

    def _fact(self, mail: Incoming, stored: Stored | None) -> Fact:
        outcomes = ((mail.here, "delivered"), (mail.onward, "queued"), (mail.nowhere, "ignored"))
        return record.received(
            self._hostname,
            mail.id,
            mail.moment,
            client=f"{mail.origin.helo} [{mail.origin.host}]:{mail.origin.port}",
            sender=mail.envelope.sender,
            recipients=(
                {"address": recipient.address, "outcome": outcome}
                | ({"alias": named} if named != recipient.address else {})
                for ways, outcome in outcomes
                for recipient, named in ways
            ),
            content=mail.content,
            stored=stored,
            directory=self._directory,
        )


def _refusal(error: Exception) -> Receipt:
    """A fault of ours: the client is to try again, and learns nothing else of it (C43)."""
    full = isinstance(error, OSError) and error.errno in _NO_SPACE
    return Receipt(reply.NO_SPACE if full else reply.OUR_FAULT, _nothing)


def _nothing() -> None:
    """What is to be done after a refusal."""
