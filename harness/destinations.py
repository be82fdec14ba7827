"""Where a mail goes, and what is expected of it there: written once, in meanings, for every client that sends it.

A client hands its mail to one server, *here*; the other server of the pair is *there*. Addresses are templates:
``{here}`` and ``{there}`` are the two domains. Two more servers lie beyond: wall.test, where nobody has a mailbox but
``nobody``, and slow.test, which takes no mail the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from smtp_pair.mail.address import Address


class Meaning(Enum):
    """What becomes of a recipient."""

    DELIVERED = "taken, and in its mailbox here when the client is told so"
    FORWARDED = "taken, and handed on at once to the other server, which has it in its mailbox"
    REFUSED = "refused for good while the client is there, and nothing of the mail is kept anywhere"
    BOUNCED = "taken, refused for good by the next server, and its sender told so"
    DELAYED = "taken, refused for now by the next server, and in its mailbox after another attempt"


DELIVERED, FORWARDED, REFUSED, BOUNCED, DELAYED = Meaning

NO_ROUTE = "550 5.1.2"
"""The code and the enhanced code of our refusal."""
WALL, SLOW = "wall.test", "slow.test"
"""The domains of the two servers that lie beyond."""


class Serving(Protocol):
    """What an address says of a server."""

    @property
    def domain(self) -> str: ...
    @property
    def hostname(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Some recipients, as they are written, and what becomes of each."""

    id: str
    """Its name in the ids of tests: ``pytest -k local`` finds it by this."""
    meanings: Mapping[str, Meaning]

    def at(self, here: Serving, there: Serving) -> dict[str, Meaning]:
        """The recipients of a mail that is handed to ``here``."""
        domains = {
            "here": here.domain,
            "there": there.domain,
            "HERE": here.domain.upper(),
            "THERE": there.domain.upper(),
            "here_host": here.hostname,
            "there_host": there.hostname,
        }
        return {template.format_map(domains): meaning for template, meaning in self.meanings.items()}


def crowd(recipients: Mapping[str, Meaning], size: int) -> dict[str, Meaning]:
    """``size`` recipients for each one, in the same domain; the same becomes of all of them."""
    several = dict(recipients)
    for text, meaning in recipients.items():
        address = Address.parse(text)
        several |= {str(Address(f"{n}.{address.local}", address.domain)): meaning for n in range(2, size + 1)}
    return several


LOCAL = Destination("local", {"obiwan@{here}": DELIVERED})
FORWARD = Destination("forward", {"vader@{there}": FORWARDED})
UNREACHABLE = Destination("unreachable", {"paimon@genshinimpact.com": REFUSED})

PLAIN = (LOCAL, FORWARD, UNREACHABLE)
"""The three outcomes of the original."""

VARIANTS = (
    Destination("local-in_capitals", {"ObiWan@{HERE}": DELIVERED}),
    Destination("local-quoted", {'"obi wan"@{here}': DELIVERED}),
    Destination("local-path_as_name", {'"../../obiwan"@{here}': DELIVERED}),
    Destination("local-host_as_domain", {"obiwan@{here_host}": DELIVERED}),
    Destination("local-literal", {"obiwan@[127.0.0.1]": DELIVERED}),
    Destination("local-three_at_once", {f"{name}@{{here}}": DELIVERED for name in ("obiwan", "leia", "luke")}),
    Destination("forward-in_capitals", {"Vader@{THERE}": FORWARDED}),
    Destination("forward-quoted", {'"darth vader"@{there}': FORWARDED}),
    Destination("forward-host_as_domain", {"vader@{there_host}": FORWARDED}),
    Destination("forward-three_at_once", {f"{name}@{{there}}": FORWARDED for name in ("vader", "tarkin", "r2.d2")}),
    Destination("unreachable-subdomain", {"obiwan@old.{here}": REFUSED}),
    Destination("unreachable-longer_name", {"vader@{there}.test": REFUSED}),
    Destination("unreachable-foreign_literal", {"obiwan@[192.0.2.1]": REFUSED}),
    Destination("unreachable-percent_hack", {"vader%{there}@genshinimpact.com": REFUSED}),
    Destination(
        "unreachable-three_at_once", {f"{name}@genshinimpact.com": REFUSED for name in ("paimon", "amber", "a")}
    ),
)
"""The same outcomes for recipients that are written in another way, or that are several."""

ONE_OF_EACH = Destination("one_of_each", {**LOCAL.meanings, **FORWARD.meanings, **UNREACHABLE.meanings})
"""The scripted client's mail: three recipients in three domains, in one transaction."""
TWO_OF_EACH = Destination(
    "two_of_each",
    {
        "paimon@genshinimpact.com": REFUSED,
        "vader@{there}": FORWARDED,
        "obiwan@{here}": DELIVERED,
        "tarkin@{THERE}": FORWARDED,
        "amber@nowhere.test": REFUSED,
        '"obi wan"@{HERE}': DELIVERED,
    },
)
"""Six recipients, in no order."""

MIXED = (ONE_OF_EACH, TWO_OF_EACH)

BEYOND = (
    Destination("bounce", {f"tarkin@{WALL}": BOUNCED}),
    Destination(
        "bounce-one_of_three", {f"tarkin@{WALL}": BOUNCED, "vader@{there}": FORWARDED, "obiwan@{here}": DELIVERED}
    ),
    Destination("delay", {f"yoda@{SLOW}": DELAYED}),
)
"""What another server decides after ours has taken the mail."""
