"""No mail is lost and none is doubled: an account of every recipient that the servers of a network accepted.

    accepted -> delivered | forwarded | bounced | failed | ignored | dropped, or still queued

It is kept while the mails move, from what really happens (a mail put into an inbox, a mail that arrives at the next
server), so that asking costs nothing but a look at the recipients that have no end yet. A mail that one server of the
network passes on to another is looked for there, and must be the same octet for octet.

A duplicate is no loss: a next hop that took a mail and was cut off before its reply reached us gets it again
(RFC 5321 4.5.4.1, RFC 1047). Those are counted and told, and are no fault; a mail that arrives again without such an
attempt in between is.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from smtp_pair.mail import trace
from smtp_pair.mail.address import Address
from smtp_pair.mail.reply import Reply

End = Literal["delivered", "forwarded", "bounced", "failed", "ignored", "dropped"]
ENDS: Sequence[End] = ("delivered", "forwarded", "bounced", "failed", "ignored", "dropped")
"""``bounced``: it failed, and its sender is told. ``failed``: it did, and its sender wanted not to know
(NOTIFY=NEVER), or there is none. ``dropped``: somebody took it out of the queue."""

BIG = 256 << 10
"""Octets from which on a digest is made in a worker thread, beside the mail's way: only the check waits for it."""
KEPT = 1_000
"""Mails that are finished and still known, so that one that is delivered once more is noticed."""
_TOLD = 20
_HEADER = 2000
_NOTIFICATION = re.compile(rb"^Message-ID: <([0-9a-f-]+)@", re.MULTILINE)
"""A notification is a server's own, and has no trace field of it: its id is in its name."""
_EARLIER = "an earlier run in the same folder"

Digest = bytes | asyncio.Future[bytes]
Queued = Mapping[str, set[Address] | None]
"""What the servers' queues hold: the recipients of each mail that wait there; None: any of them may."""


@dataclass(slots=True)
class _Record:
    """One accepted mail on one server."""

    server: str
    sender: str
    title: str
    source: str
    ends: dict[Address, list[str]]
    open: int
    released: bool = False
    """Whether its client has the 250, and what follows is under way."""
    digest: Digest | None = None
    last: dict[Address, str] | None = None
    """What was said of the recipients at the last attempt."""
    arrived: Counter[Address] | None = None
    """How often it came to the next server of the network."""
    cut_off: Counter[Address] | None = None
    """How often the connection was lost before the next server's reply was."""


_Delivered = tuple[str, str, str, str, tuple[Address, ...]]
"""A record of a mail that was delivered at once and to all: server, sender, title, source, recipients."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the recipients of a network: :meth:`Network.assert_conserved` gives it."""

    accepted: int
    """Recipients, on all servers: one that is forwarded is accepted by two."""
    ends: Mapping[End, int]
    queued: int
    """Those that wait, or are just being tried."""
    duplicates: tuple[str, ...]
    """What was sent again because the reply to it was lost, in words."""

    def __str__(self) -> str:
        parts = [f"{count} {end}" for end, count in self.ends.items() if count]
        parts += [f"{self.queued} queued"] if self.queued else []
        return f"{self.accepted} accepted: {', '.join(parts) or 'nothing'}"


@dataclass(slots=True)
class Conservation:
    """The account of one network. Used on the event loop's thread, but for reading."""

    ours: Callable[[str], bool]
    """Whether the network gave out a mail's id."""
    _open: dict[str, _Record] = field(default_factory=dict)
    _closed: dict[str, _Record | _Delivered] = field(default_factory=dict)
    _accepted: int = 0
    _ends: Counter[End] = field(default_factory=Counter)
    _faults: list[str] = field(default_factory=list)
    _duplicates: list[str] = field(default_factory=list)
    _settling: set[asyncio.Task[None]] = field(default_factory=set)
    _comparing: set[asyncio.Task[None]] = field(default_factory=set)

    def accepted(
        self,
        server: str,
        mail_id: str,
        sender: str,
        title: str,
        source: str,
        *,
        delivered: Collection[Address] = (),
        ignored: Collection[Address] = (),
        pending: Collection[Address] = (),
        content: bytes | None = None,
    ) -> None:
        """A server has taken a mail over. ``content`` is given where it is to go on: it must arrive as it is."""
        if not pending and not ignored:  # most mails: all of it has happened
            there = tuple(delivered)
            self._accepted += len(there)
            self._ends["delivered"] += len(there)
            self._close(mail_id, (server, sender, title, source, there))
            return
        ends: dict[Address, list[str]] = {address: ["delivered"] for address in delivered}
        here = len(ends)
        for address in ignored:
            ends[address] = ["ignored"]
        settled = len(ends)
        for address in pending:
            ends[address] = []
        record = _Record(server, sender, title, source, ends, len(ends) - settled)
        self._accepted += len(ends)
        self._ends["delivered"] += here
        self._ends["ignored"] += settled - here
        if record.open:
            if content is not None:
                record.digest = _digest(content, trace.split(content, self.ours)[1])
            self._open[mail_id] = record
        else:
            record.released = True
            self._close(mail_id, record)

    def released(self, mail_id: str) -> None:
        """Its client has the 250: from here on it is in the queue, or it has an end."""
        record = self._open.get(mail_id)
        if record is not None:
            record.released = True

    def ended(self, mail_id: str, recipient: Address, end: End, server: str) -> None:
        """What became of a recipient."""
        record = self._known(mail_id)
        if record is None:  # accepted by an earlier run, in the same folder
            record = self._open[mail_id] = _Record(server, "", "", _EARLIER, {recipient: []}, 1, True)
            self._accepted += 1
        ends = record.ends.setdefault(recipient, [])
        ends.append(end)
        if len(ends) > 1:
            self._fault("doubled", recipient, mail_id, record, f"it has ended as {' and as '.join(ends)}")
            return
        self._ends[end] += 1
        record.open -= 1
        if record.open <= 0 and self._open.pop(mail_id, None) is not None:
            self._close(mail_id, record)

    def attempted(self, mail_id: str, recipient: Address, said: Reply, *, next_server: str, forwarded: bool) -> None:
        """A server has tried to pass a mail on. ``next_server`` is the server of the network that it was to go to;
        "": a stranger, of whom nobody knows what he got."""
        record = self._known(mail_id)
        if record is None:
            return
        record.last = record.last or {}
        record.last[recipient] = str(said)
        if forwarded:
            if next_server and record.source != _EARLIER and not (record.arrived and record.arrived[recipient]):
                why = f"{record.server} passed it on, and {next_server} has not got it"
                self._fault("lost", recipient, mail_id, record, why)
        elif said.code == 421 or said.enhanced == "4.4.2":
            self.cut_short(mail_id, recipient)

    def cut_short(self, mail_id: str, recipient: Address) -> None:
        """An attempt has ended before the reply was heard: it may have arrived all the same, and will come again."""
        record = self._known(mail_id)
        if record is not None:
            record.cut_off = record.cut_off or Counter()
            record.cut_off[recipient] += 1

    def arrived(self, server: str, content: bytes, recipients: Iterable[Address]) -> None:
        """A server of the network has brought a mail to another one, which has accepted it."""
        hops, begins = trace.split(content, self.ours)
        named_by = _NOTIFICATION.search(content, 0, _HEADER) if not hops else None
        mail_id = hops[-1].mail_id if hops else named_by[1].decode() if named_by else ""
        record = self._known(mail_id)
        if record is None:
            return
        record.arrived = record.arrived or Counter()
        named = tuple(dict.fromkeys(recipients))
        if record.digest is not None:
            self._compare(record, _digest(content, begins), mail_id, named[0], server)
        for recipient in named:
            record.arrived[recipient] += 1
            times, cut_off = record.arrived[recipient], record.cut_off[recipient] if record.cut_off else 0
            if times > 1 + cut_off:
                self._fault("doubled", recipient, mail_id, record, f"it came to {server} {times} times")
            elif times > 1:
                self._duplicates.append(
                    f"<{recipient}> of {_mail(mail_id, record)}: it came to {server} {times} times, for the reply to "
                    "it was lost"
                )

    def check(self, queued: Queued) -> list[str]:
        """What is wrong, in words; nothing: every recipient has one end, or waits."""
        lost = []
        for mail_id, record in tuple(self._open.items()):
            waiting = queued.get(mail_id, set())
            if not record.released or waiting is None:
                continue
            for recipient, ends in record.ends.items():
                if not ends and recipient not in waiting:
                    why = f"{record.server} accepted it, and has neither passed it on nor kept it"
                    lost.append(_fault("lost", recipient, mail_id, record, why))
        return [*self._faults, *lost]

    @property
    def at_rest(self) -> bool:
        """Whether there is nothing to await and nothing to look into: every recipient has its end."""
        return not (self._open or self._faults or self._comparing)

    @property
    def account(self) -> Account:
        """The sums."""
        queued = sum(record.open for record in tuple(self._open.values()))
        ends = {end: self._ends[end] for end in ENDS}
        return Account(self._accepted, ends, queued, tuple(self._duplicates))

    def reset(self) -> None:
        """Forget all of it."""
        self._open.clear()
        self._closed.clear()
        self._accepted = 0
        self._ends.clear()
        self._faults.clear()
        self._duplicates.clear()

    def _compare(self, record: _Record, arrived: Digest, mail_id: str, recipient: Address, server: str) -> None:
        sent = record.digest
        if isinstance(sent, bytes) and isinstance(arrived, bytes):
            if sent != arrived:
                self._fault("changed", recipient, mail_id, record, f"what came to {server} is not what was sent")
            return

        async def compare() -> None:
            both = [one if isinstance(one, bytes) or one is None else await one for one in (sent, arrived)]
            if both[0] != both[1]:
                self._fault("changed", recipient, mail_id, record, f"what came to {server} is not what was sent")

        task = asyncio.get_running_loop().create_task(compare())
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)

    async def unaccounted(
        self,
        settle: Callable[[], Coroutine[None, None, None]],
        held: Callable[[bool], Queued],
        timeout: float,  # noqa: ASYNC109
    ) -> list[str]:
        """What is wrong once nothing moves, or after so many seconds. ``held`` tells what the queues hold, and is told
        whether that is certain."""
        settling = asyncio.get_running_loop().create_task(settle())
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        # Not cancelled when it takes too long: that would cancel the attempts themselves.
        done, _ = await asyncio.wait({settling}, timeout=timeout)
        await self.settled()
        return self.check(held(bool(done)))

    async def settled(self) -> None:
        """Wait until every mail that arrived was compared."""
        await asyncio.gather(*self._comparing)

    def _known(self, mail_id: str) -> _Record | None:
        record = self._open.get(mail_id) or self._closed.get(mail_id)
        if isinstance(record, tuple):
            server, sender, title, source, addresses = record
            ends = {address: ["delivered"] for address in addresses}
            record = self._closed[mail_id] = _Record(server, sender, title, source, ends, 0, True)
        return record

    def _close(self, mail_id: str, record: _Record | _Delivered) -> None:
        self._closed[mail_id] = record
        if len(self._closed) > KEPT:
            del self._closed[next(iter(self._closed))]

    def _fault(self, what: str, recipient: Address, mail_id: str, record: _Record, why: str) -> None:
        self._faults.append(_fault(what, recipient, mail_id, record, why))


def _digest(content: bytes, begins: int) -> Digest:
    """What two contents are compared by."""
    octets = memoryview(content)[begins:]
    if len(octets) <= BIG:
        return _sha256(octets)
    return asyncio.get_running_loop().run_in_executor(None, _sha256, octets)


def _sha256(octets: memoryview) -> bytes:
    return hashlib.sha256(octets).digest()


def _mail(mail_id: str, record: _Record) -> str:
    title = repr(record.title) if record.title else "a mail"
    return f"{title} from <{record.sender}>, {mail_id} on {record.server}"


def _fault(what: str, recipient: Address, mail_id: str, record: _Record, why: str) -> str:
    others = [f"<{one}> {' and '.join(ends) or 'has no end'}" for one, ends in record.ends.items() if one != recipient]
    said = (record.last or {}).get(recipient)
    last = [f"      what was said of it last: {said}"] if said else []
    rest = [f"      its other recipients: {', '.join(others)}"] if others else []
    return "\n".join(
        [
            f"  {what}: <{recipient}> of {_mail(mail_id, record)}",
            f"      {why}",
            f"      it came from {record.source}",
            *last,
            *rest,
        ]
    )


def report(faults: Sequence[str], account: Account) -> str:
    """The faults for people."""
    more = [f"  ... and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []
    head = f"mail is not conserved ({account}):"
    return "\n".join([head, *faults[:_TOLD], *more])
