"""Names looked up: a domain's mail exchangers, as next hops in the order in which they are to be tried (RFC 5321 5.1).

Raises ConfigError where the extra ``dns`` (dnspython) is not installed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from smtp_pair.mail import reply
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError, DeliveryError
from smtp_pair.routes import NextHop

if TYPE_CHECKING:
    import dns.asyncresolver

PORT = 25
MOST = 10
"""Exchangers tried for one domain: who lists hundreds does not mean it well."""


class Resolver:
    """Asks one name server. Used on the event loop's thread only.

    ``hops`` tells, for the host names of this network, what there is to know beyond their address: port, TLS. A hop
    beyond this machine is refused unless ``allow_remote``. ``random`` mixes exchangers of one preference.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        hops: Mapping[str, NextHop],
        allow_remote: bool,
        random: Callable[[], float],
        patience: float = 5.0,
    ) -> None:
        self._resolver = _resolver(host, port, patience)
        self._hops = hops
        self._allow_remote = allow_remote
        self._random = random

    async def exchangers(self, domain: str, asking: str) -> list[NextHop]:
        """The next hops for a domain, best first; never empty. ``asking`` is the host name of who asks: where it is
        among the exchangers itself, only those before it are of use, or mail would go round (RFC 5321 5.1).

        Raises DeliveryError with the reply that stands for what was found instead: 550 5.1.2 for a domain that is not
        there, 556 5.1.10 for one that takes no mail (RFC 7505), 451 4.4.3 while the name server does not say.
        """
        answers = await self._records(domain, "MX")
        if answers is None:
            names = [domain]  # no MX: the domain's own host is its exchanger (RFC 5321 5.1)
        else:
            ranked = sorted((record.preference, self._random(), record.exchange.to_text(True)) for record in answers)
            own = min((rank for rank, _, name in ranked if name.lower() == asking.lower()), default=1 << 16)
            names = [name for rank, _, name in ranked if rank < own]
            if not names:
                raise DeliveryError(reply.leads_back(domain))
            if names in ([""], ["."]):
                raise DeliveryError(reply.null_mx(domain))
        hops: list[NextHop] = []
        unsaid: DeliveryError | None = None
        for name in names[:MOST]:
            try:
                hops += await self._hops_of(name)
            except DeliveryError as error:
                unsaid = error
        if hops:
            return hops
        raise unsaid or DeliveryError(reply.no_exchanger(domain))

    async def _hops_of(self, name: str) -> list[NextHop]:
        known = self._hops.get(domain_key(name))
        found = []
        for kind in ("A", "AAAA"):
            for record in await self._records(name, kind) or ():
                address = record.address
                if not self._allow_remote and not ipaddress.ip_address(address).is_loopback:
                    raise DeliveryError(reply.not_on_this_machine(name))
                found.append(replace(known, host=address) if known is not None else NextHop(address, PORT, name))
        return found

    async def _records(self, name: str, kind: str) -> list[Any] | None:
        """The records; None where the name has none of that kind. Raises DeliveryError."""
        import dns.exception
        import dns.resolver

        try:
            answer = await self._resolver.resolve(f"{name}.", kind, search=False)
        except dns.resolver.NoAnswer:
            return None
        except dns.resolver.NXDOMAIN:
            raise DeliveryError(reply.no_such_domain(name)) from None
        except dns.exception.DNSException as error:
            raise DeliveryError(reply.dns_trouble(name, type(error).__name__)) from None
        return list(answer)


def _resolver(host: str, port: int, patience: float) -> dns.asyncresolver.Resolver:
    try:
        import dns.asyncresolver
        import dns.nameserver
    except ImportError:
        raise ConfigError("dns: needs a package that is not there: pip install 'smtp-pair[dns]'") from None
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port)]
    resolver.timeout = resolver.lifetime = patience
    resolver.cache = None
    return resolver
