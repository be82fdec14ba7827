"""One attempt at one next hop: an envelope and a content in, a reply for each recipient out.

Nothing is raised: a hop that can't be reached is a reply too (451 4.4.1), so that whoever asked has one thing to look
at. Whether to try again is the reply's first digit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from smtp_pair.entry import Content
from smtp_pair.mail import reply
from smtp_pair.mail.envelope import Envelope
from smtp_pair.mail.errors import DeliveryError
from smtp_pair.mail.reply import Reply
from smtp_pair.recorder import Tape
from smtp_pair.routes import NextHop
from smtp_pair.smtp_client import Broken, Patience, SmtpClient

AT_ONCE = 10
"""Connections to one next hop at the same time."""
KEEP = 5.0
"""Seconds that an idle connection is kept for the next mail."""


class Relay:
    """The connections of one server to its next hops. Used on the event loop's thread only."""

    def __init__(
        self,
        hostname: str,
        patience: Patience | None = None,
        tape: Tape | None = None,
        cut_off: Collection[str] = frozenset(),
    ) -> None:
        self._hostname = hostname
        self._tape = tape
        self._cut_off = cut_off  # names of hosts that a partition of the network lies between
        self._patience = patience or Patience()
        self._hops: dict[NextHop, _Hop] = {}

    async def attempt(self, hop: NextHop, envelope: Envelope, content: Content) -> Sequence[Reply]:
        """Send the mail to the hop, once. The replies are in the order of the envelope's recipients. The content is
        read when there is a connection for it. Raises OSError when it can't be."""
        lane = self._hops.get(hop)
        if lane is None:
            lane = self._hops[hop] = _Hop()
        failures = lane.failures
        async with lane.room:
            if lane.failures != failures and lane.failure is not None:
                # It could not be reached while this mail stood in line, which may be long: that is an answer for all
                # that stand there, or a hop that never answers would hold each of them up in turn.
                return [lane.failure] * len(envelope.forward_paths)
            try:
                return await self._send(hop, lane, envelope, content)
            except DeliveryError as error:
                return [error.reply] * len(envelope.forward_paths)

    def passes_on_dsn(self, hop: NextHop) -> bool:
        """Whether the hop, when it was last talked to, offered to notify senders itself (DSN, RFC 3461)."""
        lane = self._hops.get(hop)
        return lane is not None and lane.offers_dsn

    def unreached(self, hop: NextHop) -> Reply | None:
        """Why the hop could not be reached, the last time; None once it could."""
        lane = self._hops.get(hop)
        return lane.failure if lane is not None else None

    async def _send(self, hop: NextHop, lane: _Hop, envelope: Envelope, content: Content) -> Sequence[Reply]:
        self._find_way(hop)
        client = lane.take()
        if client is not None:
            # A kept connection may have been closed by the other side while it was idle: that says nothing about the
            # mail, and a new connection decides.
            try:
                replies = await self._over(client, lane, envelope, content)
                if not all(answer.code == 421 for answer in replies):
                    return replies
            except Broken:
                pass
        try:
            self._find_way(hop)  # a partition may be what broke the kept one
            client = await SmtpClient.connect(hop, self._hostname, self._patience, self._tape)
            if hop.name in self._cut_off:  # while it said hello: the hop did not know yet whom to cut
                client.abort()
                self._find_way(hop)
        except DeliveryError as error:
            lane.failures += 1
            lane.failure = error.reply
            raise
        lane.failure = None
        lane.offers_dsn = "DSN" in client.offers
        return await self._over(client, lane, envelope, content)

    def _find_way(self, hop: NextHop) -> None:
        """Raises DeliveryError when there is none."""
        if hop.name in self._cut_off:
            raise DeliveryError(reply.no_answer(str(hop), "the network is partitioned"))

    async def _over(self, client: SmtpClient, lane: _Hop, envelope: Envelope, content: Content) -> Sequence[Reply]:
        try:
            replies = await client.send(envelope, await content())
        except BaseException:
            client.abort()
            raise
        if client.usable and all(answer.temporary for answer in replies):
            await client.close()  # it may take no more mails in this session (OpenSMTPD: 100), but in another one
        else:
            lane.give_back(client)
        return replies

    def let_go(self, name: str) -> None:
        """Keep no connection to the host of that name."""
        for hop, lane in self._hops.items():
            if hop.name == name:
                for client in lane.clear():
                    client.abort()

    async def close(self) -> None:
        """Part from every hop."""
        lanes, self._hops = self._hops, {}
        for lane in lanes.values():
            for client in lane.clear():
                await client.close()


class _Hop:
    """The connections to one hop: how many may be open, and which are free."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(AT_ONCE)
        self.failures = 0
        """How often it could not be reached."""
        self.failure: Reply | None = None
        """Why, the last time; None once it could."""
        self.offers_dsn = False
        self._free: list[tuple[SmtpClient, float]] = []
        """With the moment since when; the one that was used last is taken first."""
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> SmtpClient | None:
        while self._free:
            client, _ = self._free.pop()
            if not client.gone:
                return client
            client.abort()
        return None

    def give_back(self, client: SmtpClient) -> None:
        if not client.usable:
            client.abort()
            return
        loop = asyncio.get_running_loop()
        self._free.append((client, loop.time()))
        if self._timer is None:
            self._timer = loop.call_later(KEEP, self._expire)

    def clear(self) -> list[SmtpClient]:
        free, self._free = self._free, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return [client for client, _ in free]

    def _expire(self) -> None:
        """One timer for all: it is moved on when it rings, not at each mail."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._free and self._free[0][1] + KEEP <= loop.time():
            self._free.pop(0)[0].abort()
        if self._free:
            self._timer = loop.call_at(self._free[0][1] + KEEP, self._expire)
