"""A delivered mail, as a test looks at it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import overload

from smtp_pair.mail import bounce, trace
from smtp_pair.mail.address import Address
from smtp_pair.mail.bounce import DeliveryStatus
from smtp_pair.mail.envelope import Envelope, Origin


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment, decoded. The file's name on disk is the server's own; what the mail called it is ``filename``."""

    filename: str | None
    """The name in the mail, decoded (RFC 2231, RFC 2047), None where it has none. Never to be used as a path."""
    content_type: str
    encoding: str
    """The Content-Transfer-Encoding it came in: ``base64``, ``quoted-printable``, ``7bit`` ..."""
    path: Path
    """Where the decoded bytes lie."""
    size: int
    """Octets, decoded."""
    sha256: str
    """Hex digest of the decoded octets."""
    defects: tuple[str, ...]
    """What was wrong with its MIME, in words; empty where nothing was."""
    _read: Callable[[], bytes] = field(repr=False, compare=False)

    @property
    def content(self) -> bytes:
        """The decoded octets. Raises OSError when the file is gone."""
        return self._read()


class Attachments(Sequence[Attachment]):
    """The attachments of a mail, in order; also by name: ``mail.attachments["plan.gif"]`` (the first of that name)."""

    def __init__(self, items: Iterable[Attachment] = ()) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, key: int | str) -> Attachment: ...
    @overload
    def __getitem__(self, key: slice) -> Attachments: ...
    def __getitem__(self, key: int | str | slice) -> Attachment | Attachments:
        if isinstance(key, slice):
            return Attachments(self._items[key])
        if isinstance(key, int):
            return self._items[key]
        for item in self._items:
            if item.filename == key:
                return item
        raise KeyError(f"no attachment is named {key!r}; there are {[item.filename for item in self._items]}")

    def __contains__(self, key: object) -> bool:
        return key in self._items or any(item.filename == key for item in self._items if isinstance(key, str))

    def __iter__(self) -> Iterator[Attachment]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Attachments({list(self._items)!r})"


@dataclass(frozen=True, slots=True, eq=False)
class Mail:
    """One accepted transaction, as one server delivered it; a Maildir copy for each mailbox, one Mail for them all."""

    id: str
    """The server's own name for it: the ``id`` of its Received field, the folder of its attachments."""
    hostname: str
    """The server that delivered it."""
    envelope: Envelope
    """Sender and recipients as this server accepted them, those that it passed on included."""
    delivered_to: tuple[Address, ...]
    """The recipients that have their mailbox on this server."""
    addressed_to: tuple[Address, ...]
    """What the sender called them: the same, but for aliases."""
    received_at: datetime
    """When it was accepted, in UTC."""
    subject: str
    """The decoded title; "" where there is none."""
    text: str
    """The decoded text: the first text/plain part, else the first text/html part as it is, else ""."""
    attachments: Attachments
    defects: tuple[str, ...]
    """What was wrong with its MIME, in words, those of its attachments included."""
    path: Path
    """The raw mail in the first recipient's Maildir."""
    _read: Callable[[], bytes] = field(repr=False)
    _ours: Callable[[str], bool] = field(repr=False)
    origin: Origin | None = field(default=None, repr=False)
    """Who handed it to this server; None where it had to wait here for room in a mailbox."""

    @property
    def raw(self) -> bytes:
        """The mail as stored: our trace fields on top. Raises OSError when the file is gone."""
        return self._read()

    @property
    def content(self) -> bytes:
        """The mail as the first client sent it, line ends normalised: raw without the fields this network added."""
        raw = self.raw
        return raw[trace.split(raw, self._ours)[1] :]

    @property
    def hops(self) -> list[str]:
        """The servers of this network that it came through, first to last."""
        return [hop.hostname for hop in trace.split(self.raw, self._ours)[0]]

    @property
    def message(self) -> EmailMessage:
        """The mail as the standard library parses it (a new object each time)."""
        return BytesParser(policy=policy.default).parsebytes(self.raw)

    @property
    def delivery_status(self) -> DeliveryStatus | None:
        """What the mail says as a delivery status notification (RFC 3464); None where it is none."""
        return bounce.read(self.raw)

    @property
    def sha256(self) -> str:
        """Hex digest of ``content``: the same at every hop."""
        return hashlib.sha256(self.content).hexdigest()

    def __repr__(self) -> str:
        to = ", ".join(self.delivered_to)
        return f"<Mail {self.subject!r} from <{self.envelope.sender}> to <{to}> at {self.hostname}, id {self.id}>"
