"""Who may enter: what a server says to a recipient. The answer is a reply; nothing is read, written or awaited."""

from __future__ import annotations

from collections.abc import Callable

from smtp_pair.aliases import Aliases
from smtp_pair.config import Domain
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import Visit
from smtp_pair.routes import LOCAL, NO_MAIL, UNREACHABLE, Routes

HasRoom = Callable[[str, int], bool]
Knows = Callable[[str, Address, Address], bool]


class Policy:
    """The rules of one domain. ``has_room`` (mailbox, octets) and ``knows`` (client, sender, recipient) are asked
    where there is a quota and a greylist."""

    def __init__(
        self,
        domain: Domain,
        routes: Routes,
        aliases: Aliases,
        *,
        has_room: HasRoom | None = None,
        knows: Knows | None = None,
    ) -> None:
        self._routes = routes
        self._aliases = aliases
        self._has_room = has_room
        self._knows = knows
        self._refuses_unreachable = domain.unreachable == "refuse"
        self._relays_for_all = domain.auth is None
        # postmaster always exists (RFC 5321 4.5.1)
        self._users = None if domain.users is None else {"postmaster", *(user.casefold() for user in domain.users)}

    def recipient(self, address: Address, visit: Visit) -> Reply:
        """May mail for ``address`` come in?"""
        refusal = self._refusal(address, visit)
        if refusal is None and self._knows is not None and not visit.user:
            # Last, so that only mail that would be taken is asked to come again.
            refusal = None if self._knows(visit.host, visit.sender, address) else reply.GREYLISTED
        return refusal or reply.RECIPIENT_OK

    def _refusal(self, address: Address, visit: Visit) -> Reply | None:
        route = self._routes.route(address)
        if route is LOCAL:
            return self._local_refusal(address, visit)
        if route is NO_MAIL:
            return reply.no_mail_there(address)
        if route is UNREACHABLE:
            return reply.no_route(address) if self._refuses_unreachable else None
        return None if self._relays_for_all or visit.user else reply.RELAY_DENIED

    def exists(self, address: Address) -> bool:
        """Whether an address of this server's own has a mailbox."""
        return self._users is None or address.mailbox in self._users

    def _local_refusal(self, address: Address, visit: Visit) -> Reply | None:
        if address in self._aliases:
            return None
        if not self.exists(address):
            return reply.no_such_user(address)
        if self._has_room is not None and not self._has_room(address.mailbox, max(1, visit.size)):
            return reply.mailbox_full(address)
        return None
