"""One attempt: whose reply was never heard is told at once, for the next hop may get the mail in the same attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from smtp_pair.entry import Entry, Row
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import NO_OPTIONS, Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.onward import Onward
from smtp_pair.relay import Relay
from smtp_pair.routes import NextHop

HOP = NextHop("127.0.0.1", 9)
RECIPIENTS = [Address.parse(f"{name}@b.test") for name in ("ann", "bob")]

pytestmark = pytest.mark.asyncio


class Answering:
    """In the place of a relay: no real hop can be made to say each of these at will."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = replies

    async def attempt(self, *_: object) -> Sequence[Reply]:
        return self._replies

    def passes_on_dsn(self, hop: NextHop) -> bool:
        return False

    def unreached(self, hop: NextHop) -> Reply | None:
        return None


@pytest.mark.parametrize(
    ("said", "unheard"),
    [
        (reply.connection_broke("smtp.b.test", "closed by the other side"), True),
        (reply.SHUTTING_DOWN, True),
        (reply.OUR_FAULT, False),
        (reply.stored("m-key-1"), False),
        (reply.no_answer("smtp.b.test", "refused"), False),
    ],
    ids=str,
)
async def test_whose_reply_was_never_heard(said: Reply, unheard: bool) -> None:
    """The conversation broke off, or was ended by the hop: whether it has the mail, nobody knows."""
    told: list[Address] = []
    onward = Onward(
        "smtp.a.test",
        cast("Relay", Answering(said, reply.OUR_FAULT)),
        None,
        lambda *_: pytest.fail("it is not for here"),
        lambda entry, rows: told.extend(row.recipient.address for row in rows),
    )
    rows = [Row(Recipient(address, NO_OPTIONS), due=0.0) for address in RECIPIENTS]
    entry = Entry("m-key-1", RECIPIENTS[0], NO_OPTIONS, 0.0, rows, b"")
    await onward.attempt(HOP, entry, rows, lambda: pytest.fail("nobody reads it"))
    assert told == (RECIPIENTS[:1] if unheard else [])
