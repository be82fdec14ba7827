"""What a server consists of between start and stop: the only place where session, policy, spool, store, relay and
journal are put together.

session -> acceptance -> { store | spool -> relay -> the next hop's session } -> journal -> whoever waits
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smtp_pair import admission, record
from smtp_pair.acceptance import Acceptance, Ids
from smtp_pair.aliases import Aliases
from smtp_pair.books import Books
from smtp_pair.clock import Clock
from smtp_pair.config import Domain
from smtp_pair.conservation import Conservation
from smtp_pair.control import Control
from smtp_pair.dns import Resolver
from smtp_pair.entry import Entry, Outcome, Waiting
from smtp_pair.facts import Fact
from smtp_pair.fault_list import Faults
from smtp_pair.faults import Fired
from smtp_pair.house import House
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address, domain_key
from smtp_pair.mail.reply import Reply
from smtp_pair.notifier import Notifier
from smtp_pair.onward import Onward
from smtp_pair.quota import Quota
from smtp_pair.recorder import Tape
from smtp_pair.relay import Relay
from smtp_pair.routes import Routes
from smtp_pair.session import Session
from smtp_pair.smtp_client import Patience
from smtp_pair.spool import Spool
from smtp_pair.store import Store
from smtp_pair.tls import context_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """What outlives a run of a server, or is its network's."""

    config: Domain
    directory: Path
    journal: Journal
    inbox: Inbox
    tape: Tape
    faults: Faults
    cut_off: set[str]
    """Host names that a partition lies between."""
    conservation: Conservation
    clock: Clock
    ids: Ids
    random: Callable[[], float]


class Running:
    """The parts of a server, put together. Used on the event loop's thread only."""

    def __init__(
        self, place: Place, routes: Routes, resolver: Resolver | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        config, directory, journal = place.config, place.directory, place.journal
        assert config.retry is not None  # its server has seen to that
        durable = config.durability == "durable"
        self._loop = loop
        self._hostname = config.hostname
        self._directory = directory
        self._journal = journal
        self._books = Books(config.hostname, place.conservation, place.tape.recorder.is_ours)
        self._clock = place.clock
        limits = config.limits
        self._relay = Relay(
            config.hostname, Patience(limits.connect, limits.reply, limits.final), place.tape, place.cut_off
        )
        aliases = Aliases(
            {local: map(Address.parse, targets) for local, targets in config.aliases.items()},
            own=(domain_key(config.name), domain_key(config.hostname)),
        )
        quota = Quota(directory, config.quota) if config.quota is not None else None
        onward = Onward(
            config.hostname,
            self._relay,
            resolver,
            lambda entry, rows, content: self._acceptance.deliver(entry, rows, content),  # it is made of the spool
        )
        self.spool = Spool(
            directory / "spool",
            config.retry,
            place.clock,
            durable=durable,
            route=routes.route,
            attempt=onward.attempt,
            report=self._report,
            notifier=Notifier(config.hostname, config.retry, place.clock, place.ids),
            announce=self._announce,
            random=place.random,
            dropped=self._books.dropped,
            cut_short=self._books.cut_short,
        )
        policy = admission.policy(config, routes, aliases, quota, place.clock)
        self._acceptance = Acceptance(
            config.hostname,
            directory,
            routes=routes,
            aliases=aliases,
            quota=quota,
            store=Store(directory, config.hostname, durable=durable, limits=config.limits),
            spool=self.spool,
            journal=journal,
            inbox=place.inbox,
            exists=policy.exists,
            clock=place.clock,
            ids=place.ids,
            durable=durable,
            bounces=config.unreachable == "bounce",
            conservation=place.conservation,
            relay=place.tape.recorder.relay,
        )
        tls = context_for(config.certificate, config.hostname, config.name) if config.tls != "off" else None
        self._house = House(
            admission.rules(config),
            policy,
            self._acceptance.accept,
            self._refused,
            tls,
            implicit=config.tls == "implicit",
            faults=place.faults,
            accept_in_trouble=self._acceptance.accept,
            tape=place.tape,
        )
        place.faults.told = self._fault
        # What outlives the server is what somebody may want to look after while it runs.
        self._control = Control(directory / "spool", self.spool) if durable else None
        self._opening: asyncio.Task[None] | None = None
        self._arriving: set[asyncio.Task[None]] = set()

    def open(self, listen: Callable[[], None]) -> None:
        self._opening = self._loop.create_task(self._open(listen))

    async def _open(self, listen: Callable[[], None]) -> None:
        await self.spool.load()
        if self._control is not None:
            await self._control.open()
        listen()

    async def opened(self) -> None:
        if self._opening is not None:
            await self._opening

    def welcome(self, wire: socket.socket) -> None:
        arriving = self._loop.create_task(self._welcome(wire))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arriving.discard)

    async def _welcome(self, wire: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._session, wire)
        except OSError:
            wire.close()  # the client has left again
        except Exception:
            wire.close()
            log.exception("%s could not serve a connection", self._hostname)

    async def cut(self, hostname: str | None = None) -> None:
        """Break the connections that come from that host, or all."""
        await asyncio.gather(*self._arriving)
        for session in tuple(self._house.sessions):
            if hostname in (None, session.helo):
                session.cut()

    def let_go(self, hostname: str) -> None:
        """Keep no connection to that host."""
        self._relay.let_go(hostname)

    def _session(self) -> Session:
        return Session(self._house, self._loop)

    async def waiting(self) -> list[Waiting]:
        await self.opened()  # what an earlier run left is taken up then
        return self.spool.waiting

    async def settled(self) -> bool:
        await self.opened()
        accepting = await self._acceptance.settled()
        return await self.spool.settled() or accepting

    async def close(self) -> None:
        await asyncio.gather(*self._arriving)
        sessions = tuple(self._house.sessions)
        for session in sessions:
            session.end(reply.SHUTTING_DOWN)
        for session in sessions:
            await session.ended()
        await self._acceptance.settled()
        if self._control is not None:
            await self._control.close()
        await self.spool.close()
        await self._relay.close()
        while self._house.sessions:  # noqa: ASYNC110  # transports close at the loop's next turn
            await asyncio.sleep(0)

    def _announce(self, notification: Entry) -> None:
        """A notification is a mail that this server has taken over, from itself."""
        self._books.announced(notification)
        recipients = [{"address": row.recipient.address, "outcome": "queued"} for row in notification.rows]
        self._tell(
            record.received(
                self._hostname,
                notification.id,
                notification.accepted,
                client="this server itself",
                sender=notification.sender,
                recipients=recipients,
                content=notification.content or b"",
                stored=None,
                directory=self._directory,
            )
        )

    def _report(self, outcome: Outcome) -> None:
        self._books.concluded(outcome)
        data = {
            "recipient": outcome.row.recipient.address,
            "next_hop": str(outcome.route),
            "reply": str(outcome.reply),
            "attempts": outcome.row.attempts,
        }
        if outcome.event == "deferred":
            data["again"] = outcome.row.due
        self._tell(Fact(outcome.event, self._clock.now(), self._hostname, outcome.entry.id, data))

    def _refused(self, client: str, sender: Address, recipient: str, answer: Reply) -> None:
        data = {"client": client, "sender": sender, "recipient": recipient, "reply": str(answer)}
        self._tell(Fact("refused", self._clock.now(), self._hostname, "", data))

    def _fault(self, fired: Fired) -> None:
        self._tell(Fact("fault", self._clock.now(), self._hostname, "", fired.data))

    def _tell(self, fact: Fact) -> None:
        try:
            self._journal.keep(fact)
        except OSError:
            log.exception("%s could not write down: %s", self._hostname, fact)
        self._journal.tell(fact)
