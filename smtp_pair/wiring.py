"""What the servers of a network are told of each other and of the rest of the world, from its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from smtp_pair import checks
from smtp_pair.config import Domain, Durability, Retry, destination
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import Destination, NextHop, TlsTowards


@lru_cache(maxsize=256)
def _plain(name: str, durability: Durability, retry: Retry) -> Domain:
    """A domain of which nothing is said but its name: tests start the same ones again and again, and checking every
    setting takes as long as binding the port."""
    return Domain(name, durability=durability, retry=retry)


def told(domain: Domain | str, durability: Durability, retry: Retry) -> Domain:
    """The domain, with what its network says where it says nothing itself."""
    if isinstance(domain, str):
        return _plain(domain, durability, retry)
    return replace(domain, durability=domain.durability or durability, retry=domain.retry or retry)


def route(domain: str, to: object, allow_remote: bool) -> tuple[str, Destination]:
    """A way to a domain. Raises ConfigError."""
    try:
        return domain_key(checks.domain_name(domain)), destination(to, allow_remote=allow_remote)
    except ConfigError as error:
        raise ConfigError(f"routes: {domain}: {error}") from None


def name_server(dns: bool | str, *, allow_remote: bool) -> tuple[str, int] | None:
    """The address of the name server to ask; None where there is none, or the network's own. Raises ConfigError."""
    if isinstance(dns, bool):
        return None
    try:
        hop = destination(dns, allow_remote=allow_remote)
    except ConfigError as error:
        raise ConfigError(f"dns: {error}") from None
    if not isinstance(hop, NextHop):
        raise ConfigError(f"dns: {dns!r} is not HOST:PORT")
    return hop.host, hop.port


def hop_to(config: Domain, host: str, port: int) -> NextHop:
    """How the other servers of a network reach the one of that domain."""
    host = "127.0.0.1" if host == "localhost" else host
    towards: TlsTowards = config.tls if config.tls in ("required", "implicit") else "opportunistic"
    user, password = "", ""
    if config.auth_required and isinstance(config.auth, Mapping):
        user, password = next(iter(config.auth.items()))
    return NextHop(host, port, config.hostname, towards, user, password)
