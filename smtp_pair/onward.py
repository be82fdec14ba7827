"""One attempt to hand a spooled mail on, whichever way its recipients' domain lies: an answer for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from smtp_pair.entry import Answer, Content, Entry, Row
from smtp_pair.mail import reply
from smtp_pair.mail.errors import DeliveryError
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import ByName, Local, NextHop, NoMail, Route, Unreachable

if TYPE_CHECKING:
    from smtp_pair.dns import Resolver
    from smtp_pair.relay import Relay

Deliver = Callable[[Entry, Sequence[Row], Content], Awaitable[Sequence[Reply]]]
"""Put a mail into mailboxes of this server."""


class Onward:
    """The ways of one server. Used on the event loop's thread only."""

    def __init__(
        self,
        hostname: str,
        relay: Relay,
        resolver: Resolver | None,
        deliver: Deliver,
        cut_short: Callable[[Entry, Sequence[Row]], None] = lambda entry, rows: None,
    ) -> None:
        self._hostname = hostname
        self._relay = relay
        self._resolver = resolver
        self._deliver = deliver
        self._cut_short = cut_short  # told of those whom a hop may have served without our hearing of it

    async def attempt(self, route: Route, entry: Entry, rows: Sequence[Row], content: Content) -> Sequence[Answer]:
        """Try it, once. Raises OSError when the mail can't be read."""
        match route:
            case NextHop():
                return await self._at(route, entry, rows, content)
            case Local():
                return list(map(Answer, await self._deliver(entry, rows, content)))
            case ByName():
                return await self._by_name(route, entry, rows, content)
            case NoMail():
                return [Answer(reply.no_mail_there(row.recipient.address)) for row in rows]
            case Unreachable():
                return [Answer(reply.no_route(row.recipient.address)) for row in rows]

    async def _at(self, hop: NextHop, entry: Entry, rows: Sequence[Row], content: Content) -> Sequence[Answer]:
        try:
            replies = await self._relay.attempt(hop, entry.envelope(rows), content)
        except asyncio.CancelledError:  # this server stops
            self._cut_short(entry, rows)
            raise
        self._cut_short(entry, [row for row, said in zip(rows, replies, strict=False) if _broke_off(said)])
        notifies = self._relay.passes_on_dsn(hop)
        unreached = self._relay.unreached(hop)
        return [Answer(answer, hop, notifies, reached=answer is not unreached) for answer in replies]

    async def _by_name(self, route: ByName, entry: Entry, rows: Sequence[Row], content: Content) -> Sequence[Answer]:
        """Try the domain's exchangers in order, each with the recipients that those before could not take for now."""
        assert self._resolver is not None
        try:
            hops = await self._resolver.exchangers(route.domain, self._hostname)
        except DeliveryError as error:
            return [Answer(error.reply, reached=False)] * len(rows)
        answers: dict[int, Answer] = {}
        reached = False
        for hop in hops:
            left = [number for number in range(len(rows)) if number not in answers or answers[number].reply.temporary]
            if not left:
                break
            theirs = await self._at(hop, entry, [rows[number] for number in left], content)
            answers |= zip(left, theirs, strict=True)
            reached = reached or any(answer.reached for answer in theirs)
        return [replace(answers[number], reached=reached) for number in range(len(rows))]


def _broke_off(said: Reply) -> bool:
    """Whether that stands for a conversation that ended early: of a mail that was sent, the hop's own word is not
    known."""
    return said.code == 421 or said.enhanced == "4.4.2"
