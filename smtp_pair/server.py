"""One running domain: the only place where session, policy, spool, store, relay and journal are put together.

session -> acceptance -> { store | spool -> relay -> the next hop's session } -> journal -> whoever waits
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from smtp_pair import background, record, settings
from smtp_pair.acceptance import Acceptance, Ids
from smtp_pair.aliases import Aliases
from smtp_pair.books import Books
from smtp_pair.clock import Clock
from smtp_pair.config import Domain
from smtp_pair.conservation import Conservation, Queued
from smtp_pair.control import Control
from smtp_pair.disk import lock
from smtp_pair.dns import Resolver
from smtp_pair.entry import Entry, Outcome, Waiting
from smtp_pair.facts import Fact
from smtp_pair.greylist import Greylist
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal, Listener
from smtp_pair.listener import listen
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address, domain_key
from smtp_pair.mail.errors import NotRunning, StartError
from smtp_pair.mail.reply import Reply
from smtp_pair.notifier import Notifier
from smtp_pair.onward import Onward
from smtp_pair.policy import Policy
from smtp_pair.protocol import Rules
from smtp_pair.quota import Quota
from smtp_pair.recorder import Recorder, Tape
from smtp_pair.relay import Relay
from smtp_pair.routes import Destination, NextHop, Routes
from smtp_pair.sasl import MECHANISMS, PASSWORD_MECHANISMS, passwords
from smtp_pair.session import House, Session
from smtp_pair.smtp_client import Patience
from smtp_pair.spool import Spool
from smtp_pair.store import Store, remove
from smtp_pair.tls import server_context
from smtp_pair.transcript import Transcript, render
from smtp_pair.waits import Waits

log = logging.getLogger(__name__)

_WAITING = 10
"""Mails in a queue that a wait in vain shows."""
_SAID = 40
"""Lines of conversation that a wait in vain shows."""


class Server(Waits):
    """One mail server. A :class:`~smtp_pair.network.Network` makes, starts and stops it."""

    def __init__(
        self,
        config: Domain,
        directory: Path,
        *,
        bind: str,
        clock: Clock,
        ids: Ids,
        random: Callable[[], float],
        recorder: Recorder,
        conservation: Conservation,
    ) -> None:
        if config.retry is None or config.durability is None:
            raise ValueError("a server is told by its network how patient and how durable it is")
        self.config = config
        """What it was told."""
        self.directory = directory
        """Its folder; not there before the first mail."""
        self._bind = bind
        self._clock = clock
        self._ids = ids
        self._random = random
        self._retry = config.retry
        self._durable = config.durability == "durable"
        self._sockets: list[socket.socket] = []
        self._port = 0
        self._unlock: Callable[[], None] | None = None
        self._journal = Journal(directory)
        self._inbox = Inbox(config.hostname, self._explain)
        self._tape = Tape(config.hostname, recorder)
        self._conservation = conservation
        self._running: _Running | None = None
        self._left: Queued = {}
        """What was in the queue when it stopped: from then on another run may take it up."""
        self.more_to_explain: Callable[[], list[str]] = list
        """What the network knows of mail on its way here, in lines."""

    # -- where it is -------------------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The address to connect to."""
        return self._bind

    @property
    def port(self) -> int:
        """The TCP port. Raises NotRunning before the first start."""
        if not self._port:
            raise NotRunning(f"{self.hostname} has no port before its network is started")
        return self._port

    @property
    def address(self) -> str:
        """``host:port``."""
        return str(NextHop(self.host, self.port))

    @property
    def hostname(self) -> str:
        """What it calls itself: ``smtp.jaku.com``."""
        return self.config.hostname

    @property
    def domain(self) -> str:
        """The domain of its mailboxes: ``jaku.com``."""
        return self.config.name

    def __repr__(self) -> str:
        return f"<Server {self.hostname} at {self.address if self._port else 'no port yet'}>"

    # -- what waits, and what was said ---------------------------------------------------------------------------------

    @property
    def queue(self) -> list[Waiting]:
        """What waits here for a next hop or for room in a mailbox, oldest mail first; a copy.

        Raises NotRunning for a server that does not run; what one left on disk is what :func:`smtp_pair.ledger.read`
        reads.
        """
        return background.run(self._started().waiting())

    @property
    def transcripts(self) -> list[Transcript]:
        """What was said in its last sessions (64 of them), in the order in which they began: with its clients, and as
        a client with next hops that are not of this network. What is said between two servers of the network is the
        answering one's to tell. Every word is there before its consequences: once a client has its 250, so has this."""
        return self._tape.transcripts(self._content_of, self._ids.__contains__)

    @property
    def transcripts_dropped(self) -> int:
        """How many sessions there were before those in :attr:`transcripts`."""
        return self._tape.dropped

    def _content_of(self, mail_id: str) -> tuple[int, str] | None:
        """Size and digest of what was sent, for the mails that are here."""
        for mail in reversed(self._inbox.mails):
            if mail.id == mail_id:
                try:
                    return len(mail.content), mail.sha256
                except OSError:
                    return None
        return None

    def retry_now(self, mail_id: str = "") -> int:
        """Try what waits at once, whenever it would be due: that mail, or all. How many recipients that are."""
        return background.run(self._started().spool.retry_now(mail_id))

    def drop(self, mail_id: str) -> bool:
        """Forget a waiting mail, without telling anybody. False: there is none of that id, or it is just being
        tried."""
        return background.run(self._started().spool.drop(mail_id))

    def _started(self) -> _Running:
        if self._running is None:
            raise NotRunning(f"{self.hostname} is not running")
        return self._running

    def send(
        self,
        to: str | Iterable[str],
        *,
        subject: str = "",
        body: str = "",
        attachments: Mapping[str, bytes] | Iterable[Path | str] = (),
        sender: str = "sender@example.org",
    ) -> dict[str, Reply]:
        """Send a mail to this server, as a client would; the reply to each recipient, by its address.

        ``attachments`` are ``{name: octets}`` or paths of files; they travel in base64. Raises ClientError for an
        argument that can't be, or when the server takes no mail at all.
        """
        from smtp_pair.clients.quick import send

        return send(self.host, self.port, to, subject=subject, body=body, attachments=attachments, sender=sender)

    def settings(self, framework: str) -> dict[str, Any]:
        """What "django", "flask-mail", "fastapi-mail" or "smtplib" is to be told so that it sends its mail here. Raises
        ConfigError for any other name."""
        return settings.of(framework, self.host, self.port)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` of each :class:`~smtp_pair.facts.Fact` from now on, on the servers' thread; call what
        comes back to stop it. For consoles and reports; a test waits with :meth:`wait_for`."""
        return self._journal.subscribe(listener)

    # -- start and stop: the network's to call -------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the port and, where mail outlives a run, the folder. Raises StartError, at once.

        From here on clients can connect, though nobody answers yet.
        """
        # After a stop the same port is wanted again: clients were told it.
        self._sockets = listen(self._bind, self._port or self.config.port, self.hostname)
        self._port = self._sockets[0].getsockname()[1]
        if self._durable:
            try:
                self._unlock = lock(self.directory)
            except OSError as error:
                self.unbind()
                taken = isinstance(error, BlockingIOError)
                why = "another server is using this folder" if taken else f"can't be written: {error.strerror}"
                raise StartError(error.errno, f"{self.directory}: {why}") from None

    def unbind(self) -> None:
        """Give the port and the folder up again: another server of the network could not start."""
        for sock in self._sockets:
            sock.close()
        self._sockets = []
        self._give_up_folder()

    def _give_up_folder(self) -> None:
        unlock, self._unlock = self._unlock, None
        if unlock is not None:
            unlock()

    def open(self, table: Mapping[str, Destination], resolver: Resolver | None = None) -> None:
        """Begin to answer. Does not wait: the listening socket keeps early clients in its backlog."""
        loop = background.loop()
        routes = Routes([self.domain, self.hostname], table, by_name=resolver is not None)
        self._running = _Running(self, routes, resolver, loop)
        loop.call_soon_threadsafe(self._running.open, self._sockets)
        self._sockets = []

    async def close(self) -> None:
        """Stop: no new connection, the open ones are told 421, mails being accepted are accepted, the rest of the
        queue stays on disk. Called on the servers' loop."""
        running, self._running = self._running, None
        if running is not None:
            await running.close()
            self._left = running.spool.held()
        self._journal.close()
        self._give_up_folder()

    async def settled(self) -> bool:
        """Wait until no mail is being accepted and no attempt to pass one on is under way; whether there was any."""
        return self._running is not None and await self._running.settled()

    def held(self, *, settled: bool) -> Queued:
        """What its queue holds, for the account. Not ``settled``: attempts are under way, and which recipients wait is
        not certain."""
        if self._running is None:
            return self._left
        return {mail_id: waiting if settled else None for mail_id, waiting in self._running.spool.held().items()}

    def forget(self) -> None:
        """Empty the queue, and the inbox of what :attr:`messages` shows, and remove the files of those mails."""
        background.run(self._started().spool.clear())
        for mail in self._inbox.clear():
            remove(self.directory, mail)
        self._tape.clear()

    def _explain(self) -> str:
        """What a wait that ended in vain should know besides: what is still under way, and what was said last."""
        told = [] if self._running is not None else [f"{self.hostname} is not running."]
        waiting = self.queued()
        if waiting:
            told += ["It has mail in its own queue:", *(f"  - {one}" for one in waiting[:_WAITING])]
            told += [f"  ... and {len(waiting) - _WAITING} more"] if len(waiting) > _WAITING else []
        told += self.more_to_explain()
        said = render(self.transcripts, _SAID, brief=True)
        told += ["What was said here:", *(f"  {line}".rstrip() for line in said.split("\n"))] if said else []
        return "\n".join(told)

    def queued(self, domain: str = "") -> list[str]:
        """The mails in its queue, or those for one domain, each in a line for people."""
        waiting = self._running.spool.waiting if self._running is not None else []
        return [_in_the_queue(one) for one in waiting if domain_key(domain) in ("", one.recipient.domain_key)]


def _in_the_queue(one: Waiting) -> str:
    return f"<{one.recipient}> ({one.mail}), {one.attempts} attempts, last: {one.last or 'under way'}"


class _Running:
    """The parts of a server between start and stop; on the loop's thread."""

    def __init__(
        self, server: Server, routes: Routes, resolver: Resolver | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        config, directory, journal = server.config, server.directory, server._journal
        self._loop = loop
        self._hostname = config.hostname
        self._directory = directory
        self._journal = journal
        self._books = Books(config.hostname, server._conservation, server._tape.recorder.is_ours)
        self._clock = server._clock
        limits = config.limits
        self._relay = Relay(config.hostname, Patience(limits.connect, limits.reply, limits.final), server._tape)
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
            server._retry,
            server._clock,
            durable=server._durable,
            route=routes.route,
            attempt=onward.attempt,
            report=self._report,
            notifier=Notifier(config.hostname, server._retry, server._clock, server._ids),
            announce=self._announce,
            random=server._random,
            dropped=self._books.dropped,
        )
        self._acceptance = Acceptance(
            config.hostname,
            directory,
            routes=routes,
            aliases=aliases,
            quota=quota,
            store=Store(directory, config.hostname, durable=server._durable, limits=config.limits),
            spool=self.spool,
            journal=journal,
            inbox=server._inbox,
            clock=server._clock,
            ids=server._ids,
            durable=server._durable,
            bounces=config.unreachable == "bounce",
            conservation=server._conservation,
            relay=server._tape.recorder.relay,
        )
        tls = server_context(config.hostname, config.name) if config.tls != "off" else None
        self._house = House(
            _rules(config),
            _policy(config, routes, aliases, quota, server._clock),
            self._acceptance.accept,
            self._refused,
            tls,
            implicit=config.tls == "implicit",
            tape=server._tape,
        )
        # What outlives the server is what somebody may want to look after while it runs.
        self._control = Control(directory / "spool", self.spool) if server._durable else None
        self._opening: asyncio.Task[list[asyncio.Server]] | None = None

    def open(self, sockets: list[socket.socket]) -> None:
        self._opening = self._loop.create_task(self._open(sockets))

    async def _open(self, sockets: list[socket.socket]) -> list[asyncio.Server]:
        await self.spool.load()
        if self._control is not None:
            await self._control.open()
        return [await self._loop.create_server(self._session, sock=sock, backlog=1024) for sock in sockets]

    def _session(self) -> Session:
        return Session(self._house, self._loop)

    async def waiting(self) -> list[Waiting]:
        if self._opening is not None:
            await self._opening  # what an earlier run left is taken up then
        return self.spool.waiting

    async def settled(self) -> bool:
        if self._opening is not None:
            await self._opening
        accepting = await self._acceptance.settled()
        return await self.spool.settled() or accepting

    async def close(self) -> None:
        if self._opening is not None:
            for server in await self._opening:
                server.close()
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

    def _tell(self, fact: Fact) -> None:
        try:
            self._journal.keep(fact)
        except OSError:
            log.exception("%s could not write down: %s", self._hostname, fact)
        self._journal.tell(fact)


def _policy(config: Domain, routes: Routes, aliases: Aliases, quota: Quota | None, clock: Clock) -> Policy:
    """Who may enter, by the configuration; the quota and the greylist are asked only where there are any."""
    return Policy(
        config,
        routes,
        aliases,
        has_room=quota.has_room if quota is not None else None,
        knows=Greylist(config.greylist, clock.now).knows if config.greylist else None,
    )


def _rules(config: Domain) -> Rules:
    """What the protocol has to know of the configuration."""
    mechanisms = () if config.auth is None else MECHANISMS if callable(config.auth) else PASSWORD_MECHANISMS
    auth = config.auth or {}
    return Rules(
        config.hostname,
        config.size,
        config.limits,
        starttls=config.tls in ("offered", "required"),
        tls_required=config.tls == "required",
        mechanisms=tuple(mechanisms),
        auth_required=config.auth_required,
        authenticate=auth if callable(auth) else passwords(auth),
        reject_bare_newline=config.bare_newline == "reject",
    )
