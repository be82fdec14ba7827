"""What all sessions of a server share, and what they hand over and get."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smtp_pair.fault_list import Faults
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import Doorkeeper, Rules
from smtp_pair.recorder import Tape

if TYPE_CHECKING:
    from smtp_pair.session import Session


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a server says to a mail, and what is to be done once that is written."""

    reply: Reply
    announce: Callable[[], None]


Accept = Callable[[Envelope, bytes, Origin], "Receipt | asyncio.Future[Receipt]"]


@dataclass(frozen=True, slots=True)
class House:
    """What every session of a server shares."""

    rules: Rules
    door: Doorkeeper
    accept: Accept
    """Take a mail over, at once or by and by. Never raises."""
    refused: Callable[[str, Address, str, Reply], None]
    """Told of each recipient that was refused: the client, the sender, the recipient as asked for, the reply."""
    tls: ssl.SSLContext | None = None
    """What STARTTLS begins."""
    implicit: bool = False
    """Whether TLS begins by itself, before the greeting (RFC 8314 3)."""
    faults: Faults = field(default_factory=lambda: Faults("nobody"))
    accept_in_trouble: Callable[[Envelope, bytes, Origin, OSError], Receipt | asyncio.Future[Receipt]] | None = None
    """Take a mail over as ``accept``, and meet that error on the way."""
    sessions: set[Session] = field(default_factory=set)
    peers: Counter[str] = field(default_factory=Counter)
    """How many sessions each address has."""
    tape: Tape = field(default_factory=Tape)
    """Records what is said."""
