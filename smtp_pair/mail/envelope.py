"""The envelope: who sends, who is to receive, and what was asked for on the way (RFC 5321 2.3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from smtp_pair.mail.address import Address

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path with the parameters of its own RCPT command; a parameter without a value has ``""``."""

    address: Address
    options: Mapping[str, str] = field(default_factory=lambda: NO_OPTIONS)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reverse-path, forward-paths and the parameters of MAIL. The content travels beside it, as bytes."""

    sender: Address
    """The reverse-path; the null one (``MAIL FROM:<>``) is :data:`~smtp_pair.mail.address.NULL_PATH`, and falsy."""
    forward_paths: tuple[Recipient, ...]
    options: Mapping[str, str] = field(default_factory=lambda: NO_OPTIONS)
    """What MAIL asked for: ``{"BODY": "8BITMIME", "SMTPUTF8": ""}``. SIZE is not kept: it was about one transfer."""

    @property
    def recipients(self) -> list[Address]:
        """The addresses of all accepted recipients, in the order of their RCPT commands."""
        return [path.address for path in self.forward_paths]

    @property
    def smtputf8(self) -> bool:
        """Whether the client announced an internationalised mail (RFC 6531)."""
        return "SMTPUTF8" in self.options


@dataclass(frozen=True, slots=True)
class Origin:
    """Who handed a mail over: what the Received field tells of the client (RFC 5321 4.4)."""

    helo: str
    """What the client called itself."""
    host: str
    """The address it came from."""
    port: int
    protocol: str
    """What the Received field calls the way it came: ``SMTP``, ``ESMTP``, ``ESMTPS``, ``ESMTPA`` ... (RFC 3848)."""
