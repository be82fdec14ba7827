"""The server under test, as far as a dialogue has to know it. Values."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Tls = Literal["", "starttls", "implicit"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A server, and the addresses that mean something to it. Where a name is empty, its placeholder has a stand-in: an
    address in the domain, or one that can't exist (``.invalid``, RFC 2606)."""

    host: str
    port: int
    domain: str
    user: str = ""
    unknown: str = ""
    route: str = ""
    nomail: str = ""
    nowhere: str = "paimon@nowhere.invalid"
    sender: str = "luke@example.org"
    client: str = "client.example"
    hostname: str = ""
    """"": what it says in its greeting."""
    name: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = ""
    """Whether all is said in TLS, and how that begins. A dialogue sees a session that begins with its greeting."""
    enhanced: bool = False
    """Whether its replies have enhanced codes before EHLO has said so."""

    @property
    def values(self) -> Mapping[str, str]:
        """What the placeholders stand for (``placeholders.NAMES``); ``hostname`` and ``size`` are seen on the wire."""
        user = self.user or f"postmaster@{self.domain}"
        return {
            "domain": self.domain,
            "shouted": self.domain.upper(),
            "user": user,
            "local": user.rpartition("@")[0],
            "unknown": self.unknown or f"no-such-user@{self.domain}",
            "route": self.route or self.nowhere,
            "nowhere": self.nowhere,
            "nomail": self.nomail or self.nowhere,
            "sender": self.sender,
            "client": self.client,
            "hostname": self.hostname,
            "name": self.name,
            "password": self.password,
            "plain": _base64(f"\0{self.name}\0{self.password}"),
            "name64": _base64(self.name),
            "password64": _base64(self.password),
            "size": "0",
        }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
