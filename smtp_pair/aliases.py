"""Other names: an address of the domain that stands for one or more others, here or elsewhere (RFC 5321 3.9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Recipient

_SELF = ("", "[127.0.0.1]", "[::1]")
"""What means the server itself, besides its names: a bare <postmaster>, and the loopback literals (see routes.py)."""


class Aliases:
    """The aliases of one domain: local part, in any case, to addresses."""

    def __init__(self, table: Mapping[str, Iterable[Address]], own: Iterable[str]) -> None:
        self._table = {local.casefold(): tuple(targets) for local, targets in table.items()}
        self._domains = frozenset((*own, *_SELF))

    def __contains__(self, address: Address) -> bool:
        return bool(self._table) and address.domain_key in self._domains and address.mailbox in self._table

    def expand(self, recipients: Sequence[Recipient]) -> tuple[tuple[Recipient, Address], ...]:
        """Each recipient that a mail really goes to, once, with the address that the client named it by."""
        if not self._table and len(recipients) == 1:
            return ((recipients[0], recipients[0].address),)
        found: dict[tuple[str, str], tuple[Recipient, Address]] = {}
        for recipient in recipients:
            for address in self._ends(recipient.address):
                key = address.local, address.domain_key
                found.setdefault(key, (Recipient(address, recipient.options), recipient.address))
        return tuple(found.values())

    def _ends(self, address: Address) -> Iterator[Address]:
        """Where an address leads, in order. An alias of an alias is followed, and one that is come upon twice is
        followed once. One that leads back to itself means the mailbox of that name there: nothing is lost, and nothing
        goes round."""
        above: set[str] = set()  # the aliases that led to the one that is looked at
        followed: set[str] = set()
        waiting = [(address, False)]
        while waiting:
            one, done = waiting.pop()
            name = one.mailbox
            if done:
                above.discard(name)
            elif one not in self or name in above:
                yield one
            elif name not in followed:
                followed.add(name)
                above.add(name)
                waiting.append((one, True))
                waiting += [(target, False) for target in reversed(self._table[name])]
