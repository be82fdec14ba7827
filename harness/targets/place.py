"""What every server can be asked for, whoever wrote it: where it listens, and what lies in its mailboxes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from smtp_pair.mail.address import Address
from smtp_pair.mail.errors import AddressError

LOOPBACK = "127.0.0.1"
FIELD = re.compile(rb"([!-9;-~]+):[ \t]?((?:.*\r\n)(?:[ \t].*\r\n)*)")


class TargetError(AssertionError):
    """A server that did not come up, or that did not come to rest; the text has what it said."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a server is to serve: a domain in which every local part is a mailbox, unless told, and the ways to others.

    Whatever lies in no domain of these is refused; a client on this machine is a stranger that may name those.
    """

    domain: str
    routes: Mapping[str, int] = field(default_factory=dict)
    """Domains, and the port of this machine's loopback at which a server takes their mail."""
    users: tuple[str, ...] = ()
    """The only local parts that are mailboxes, where some are named; postmaster is one of them then."""
    size: int = 32 << 20
    """Octets of the largest mail."""
    tls: bool = False
    """Whether STARTTLS is offered, with a certificate for tests."""

    @property
    def hostname(self) -> str:
        """What the server calls itself."""
        return f"smtp.{self.domain}"

    @property
    def names(self) -> tuple[str, ...]:
        """The domains of addresses that are its own: its domain, its name and the address that it listens at."""
        return self.domain, self.hostname, f"[{LOOPBACK}]"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A mail as it lies in one recipient's mailbox."""

    recipient: str
    """As the mailbox's server names it; :func:`same_mailbox` compares it."""
    raw: bytes
    """With CRLF, however the mailbox keeps lines."""

    def trace(self, content: bytes) -> list[tuple[str, str]]:
        """The fields above the content as its client sent it, top first, names in lower case. Raises AssertionError
        where the content is not there, octet for octet, or where above it there is anything but fields."""
        assert self.raw.endswith(content), _first_difference(self.raw, content)
        head = self.raw[: len(self.raw) - len(content)]
        fields = [(name.decode().lower(), _unfolded(value)) for name, value in FIELD.findall(head)]
        assert b"".join(match[0] for match in FIELD.finditer(head)) == head, f"no header fields: {head!r}"
        return fields


class Place(ABC):
    """A running server, and all that can be asked of any."""

    domain: str
    hostname: str
    """What it calls itself; "" where nobody knows."""
    host: str
    port: int
    kind: str
    """Its name in ``catalogue.py``."""
    shows_mailboxes: bool = True
    """Whether :meth:`delivered` can tell what lies in them."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until nothing moves: what was taken is in a mailbox, elsewhere, or bounced. Raises TargetError."""

    @abstractmethod
    def delivered(self) -> list[Delivered]:
        """What lies in its mailboxes, once for each of them."""

    @abstractmethod
    def forget(self) -> None:
        """Empty its mailboxes."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"


def same_mailbox(address: str) -> tuple[str, str]:
    """What addresses have in common that are written in different ways: the local part without quotes, in its case
    (RFC 5321 2.4), and the domain in lower case."""
    try:
        parsed = Address.parse(address)
    except AddressError:  # `obi wan@jaku.com`: some write the local part without its quotes
        local, _, domain = address.rpartition("@")
        return local, domain.lower()
    return parsed.local, parsed.domain.lower()


def _unfolded(value: bytes) -> str:
    return " ".join(value.decode("utf-8", "replace").split())


def _first_difference(raw: bytes, content: bytes) -> str:
    """Where the end of a mail is not the content that was sent, read from the back."""
    pairs = zip(reversed(raw), reversed(content), strict=False)
    place = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(raw), len(content)))
    at, sent_at = len(raw) - place, len(content) - place
    shown = slice(max(0, at - 60), at + 20), slice(max(0, sent_at - 60), sent_at + 20)
    return f"{place:,} octets from the end it has {raw[shown[0]]!r} and not {content[shown[1]]!r}"
