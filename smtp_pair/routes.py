"""Which way a mail goes: recipient's domain -> Local, NextHop, NoMail, ByName or Unreachable. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from smtp_pair.mail.address import Address, domain_key


@dataclass(frozen=True, slots=True)
class Local:
    """The domain is the server's own."""

    def __str__(self) -> str:
        return "the mailbox"


TlsTowards = Literal["off", "opportunistic", "required", "implicit"]


@dataclass(frozen=True, slots=True)
class NextHop:
    """The server that takes mail for the domain."""

    host: str
    port: int
    name: str = ""
    """What people call it: its host name where it is known."""
    tls: TlsTowards = "opportunistic"
    """``opportunistic``: where it offers STARTTLS, whoever it is. ``required``: STARTTLS, and a certificate that
    proves its name (else its address). ``implicit``: the same from the first octet on. ``off``: never."""
    user: str = ""
    password: str = field(default="", repr=False)
    """With ``user``: said with AUTH, where it is offered."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.name} ({host}:{self.port})" if self.name else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NoMail:
    """The domain says that it takes no mail: a null MX (RFC 7505)."""

    def __str__(self) -> str:
        return "a domain that takes no mail"


@dataclass(frozen=True, slots=True)
class ByName:
    """The name server knows: the domain's mail exchangers are looked up for each attempt."""

    domain: str

    def __str__(self) -> str:
        return f"the mail exchangers of {self.domain}"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nothing is known about how to reach the domain."""

    def __str__(self) -> str:
        return "no route"


Destination = NextHop | NoMail
"""What can stand in a table of routes."""
Route = Local | Destination | ByName | Unreachable

LOCAL = Local()
NO_MAIL = NoMail()
UNREACHABLE = Unreachable()
_OWN_LITERALS = ("[127.0.0.1]", "[IPv6:::1]")


class Table(dict[str, Destination]):
    """The ways that all servers of a network know: they share it, for each copy of it would grow with their number."""

    def __init__(self, ways: Mapping[str, Destination]) -> None:
        super().__init__((domain_key(domain), hop) for domain, hop in ways.items())


class Routes:
    """A routing table as one server sees it. Domains match in any case; U-labels match their A-labels."""

    def __init__(
        self,
        own: Iterable[str],
        table: Mapping[str, Destination],
        *,
        by_name: bool = False,
        catch_all: bool = False,
    ) -> None:
        self._table = table if isinstance(table, Table) else Table(table)
        self._by_name = by_name
        self._catch_all = catch_all
        # A bare <postmaster> and a loopback literal are the server itself (RFC 5321 4.5.1, 4.1.3).
        self._own = frozenset(map(domain_key, (*own, "", *_OWN_LITERALS)))

    def route(self, address: Address) -> Route:
        """The way to ``address``."""
        key = address.domain_key
        if key in self._own:
            return LOCAL
        route = self._table.get(key)
        if route is not None:
            return route
        if self._catch_all:
            return LOCAL
        # an address literal is no name to be looked up
        return ByName(key) if self._by_name and not key.startswith("[") else UNREACHABLE
