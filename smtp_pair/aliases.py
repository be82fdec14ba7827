"""Other names: an address of the domain that stands for one or more others, here or elsewhere (RFC 5321 3.9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Recipient


class Aliases:
    """The aliases of one domain: local part, in any case, to addresses."""

    def __init__(self, table: Mapping[str, Iterable[Address]], own: Iterable[str]) -> None:
        self._table = {local.casefold(): tuple(targets) for local, targets in table.items()}
        self._domains = frozenset(own)

    def __contains__(self, address: Address) -> bool:
        return bool(self._table) and address.domain_key in self._domains and address.mailbox in self._table

    def expand(self, recipients: Iterable[Recipient]) -> tuple[tuple[Recipient, Address], ...]:
        """Each recipient that a mail really goes to, once, with the address that the client named it by.

        An alias of an alias is followed. One that leads back to itself means the mailbox of that name there: nothing
        is lost, and nothing goes round.
        """
        found: dict[tuple[str, str], tuple[Recipient, Address]] = {}
        for recipient in recipients:
            seen: set[Address] = set()
            waiting = [recipient.address]
            while waiting:
                address = waiting.pop(0)
                if address in self and address not in seen:
                    seen.add(address)
                    waiting += self._table[address.mailbox]
                else:
                    key = address.local, address.domain_key
                    found.setdefault(key, (Recipient(address, recipient.options), recipient.address))
        return tuple(found.values())
