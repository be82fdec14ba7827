"""What the spool holds: a mail that was accepted and is not finished, with a row for each recipient."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import NextHop, Route

Status = Literal["queued", "delivered", "forwarded", "failed"]
Event = Literal["delivered", "forwarded", "deferred", "failed"]
Content = Callable[[], Awaitable[bytes]]
"""Reads a mail, when it is wanted. Raises OSError."""


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
    warned: bool = False
    """Whether its sender was told that it takes long."""

    @property
    def notify(self) -> frozenset[str]:
        """What the sender wants to be told (RFC 3461 4.1): some of SUCCESS, FAILURE, DELAY; NEVER is none of them."""
        wishes = self.recipient.options.get("NOTIFY", "FAILURE,DELAY")
        return frozenset(wishes.split(",")) - {"NEVER"}


@dataclass(slots=True)
class Entry:
    """One spooled mail."""

    id: str
    sender: Address
    options: Mapping[str, str]
    accepted: float
    """When, in seconds since the epoch."""
    rows: list[Row]
    content: bytes | None
    """The mail as it is sent on, this hop's Received field on top; None once it lies on disk alone."""
    on_disk: bool = False
    failed: tuple[str, tuple[Address, ...]] | None = field(default=None, repr=False, compare=False)
    """Of a notification of failure: the id of the mail that failed, and for whom."""
    _saving: asyncio.Lock | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def saving(self) -> asyncio.Lock:
        """Held while the disk is brought up to date: attempts at several next hops end when they like."""
        if self._saving is None:  # of most that wait, nothing is saved for hours
            self._saving = asyncio.Lock()
        return self._saving

    @property
    def being_saved(self) -> bool:
        """Whether somebody holds it."""
        return self._saving is not None and self._saving.locked()

    def envelope(self, rows: Iterable[Row]) -> Envelope:
        """The envelope for some of the recipients."""
        return Envelope(self.sender, tuple(row.recipient for row in rows), self.options)

    @property
    def waiting(self) -> list[Row]:
        """The recipients that are not finished."""
        return [row for row in self.rows if row.status == "queued"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one recipient when the mail was to be handed on."""

    reply: Reply
    hop: NextHop | None = None
    """Who said it, or could not be reached; None: this server itself."""
    notifies: bool = False
    """Whether that hop tells senders itself what becomes of the mail (it offers DSN, RFC 3461)."""
    reached: bool = True
    """Whether there was anybody to say it. Where there was not, no other mail would fare better."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to, for one recipient."""

    entry: Entry
    row: Row
    route: Route
    answer: Answer
    event: Event

    @property
    def reply(self) -> Reply:
        """What was said."""
        return self.answer.reply


@dataclass(frozen=True, slots=True)
class Waiting:
    """One recipient that is still to be served: a line of ``server.queue``."""

    mail: str
    """The mail's id on this server."""
    recipient: Address
    sender: Address
    next_hop: str
    attempts: int
    due: float
    """When it is tried next, in seconds since the epoch."""
    last: str
    """The reply to the last attempt; "" before the first has ended."""
