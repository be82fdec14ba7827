"""Who may enter: what a server says to a recipient. Pure; the answer is a reply."""

from __future__ import annotations

from smtp_pair.config import Domain
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import LOCAL, UNREACHABLE, Routes


class Policy:
    """The rules of one domain."""

    def __init__(self, domain: Domain, routes: Routes) -> None:
        self._routes = routes
        self._refuses_unreachable = domain.unreachable == "refuse"
        # postmaster always exists (RFC 5321 4.5.1)
        self._users = None if domain.users is None else {"postmaster", *(user.casefold() for user in domain.users)}

    def recipient(self, address: Address) -> Reply:
        """May mail for ``address`` come in?"""
        route = self._routes.route(address)
        if route is LOCAL and self._users is not None and address.mailbox not in self._users:
            return reply.no_such_user(address)
        if route is UNREACHABLE and self._refuses_unreachable:
            return reply.no_route(address)
        return reply.RECIPIENT_OK
