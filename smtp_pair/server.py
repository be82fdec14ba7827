"""One mail server, as a test looks at it: where it is, what came, what waits, what was said, what it does wrong.

What it consists of while it runs is in ``running.py``."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from smtp_pair import background, journal, settings
from smtp_pair.acceptance import Ids
from smtp_pair.clock import Clock
from smtp_pair.config import Domain
from smtp_pair.conservation import Conservation, Queued
from smtp_pair.disk import lock
from smtp_pair.dns import Resolver
from smtp_pair.entry import Waiting
from smtp_pair.facts import Fact
from smtp_pair.fault_list import Faults
from smtp_pair.folder import Folder
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal, Listener
from smtp_pair.listener import Door, listen
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import NotRunning, StartError
from smtp_pair.mail.message import Mail
from smtp_pair.mail.reply import Reply
from smtp_pair.recorder import Follower, Recorder, Tape
from smtp_pair.routes import Destination, NextHop, Routes
from smtp_pair.running import Place, Running
from smtp_pair.store import remove
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
        folder: Folder,
        *,
        bind: str,
        clock: Clock,
        ids: Ids,
        random: Callable[[], float],
        recorder: Recorder,
        conservation: Conservation,
        seed: int | None = None,
    ) -> None:
        if config.retry is None or config.durability is None:
            raise ValueError("a server is told by its network how patient and how durable it is")
        self.config = config
        """What it was told."""
        self._seed = seed
        self.cut_off: set[str] = set()
        """Host names that a partition lies between; the network's to change."""
        self._folder = folder
        self._bind = bind
        self._clock = clock
        self._ids = ids
        self._random = random
        self._durable = config.durability == "durable"
        self._door: Door | None = None
        self._port = 0
        self._unlock: Callable[[], None] | None = None
        # Made when they are needed: most servers of most tests never get a connection.
        self._ways: tuple[Mapping[str, Destination], Resolver | None] | None = None
        """What it was told of the ways to other domains; None: it does not run."""
        self._running: Running | None = None
        self._made_journal: Journal | None = None
        self._made_inbox: Inbox | None = None
        self._made_tape: Tape | None = None
        self._made_faults: Faults | None = None
        self._recorder = recorder
        self._conservation = conservation
        self._left: Queued = {}
        """What was in the queue when it stopped: from then on another run may take it up."""
        self.renewed: Callable[[str], None] = lambda hostname: None
        """Told when connections that are kept to it have to begin anew; the network's to set."""
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

    @property
    def directory(self) -> Path:
        """Its folder; not there before the first mail."""
        return self._folder.path / self.hostname

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

    @property
    def facts(self) -> list[Fact]:
        """What has happened here, as its journal has it, oldest first; nothing before the first mail. Raises OSError
        or ValueError when the journal can't be read."""
        if self._made_journal is None:
            return []
        try:
            return journal.read(self.directory)
        except FileNotFoundError:
            return []

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

    def _started(self) -> Running:
        with background.making:
            if self._running is None:
                if self._ways is None:
                    raise NotRunning(f"{self.hostname} is not running")
                table, resolver = self._ways
                own = [self.domain, self.hostname]
                routes = Routes(own, table, by_name=resolver is not None, catch_all=self.config.catch_all)
                self._running = Running(self._place(), routes, resolver, background.loop())
            return self._running

    def _place(self) -> Place:
        return Place(
            self.config,
            self.directory,
            self._journal,
            self._inbox,
            self._tape,
            self.faults,
            self.cut_off,
            self._conservation,
            self._clock,
            self._ids,
            self._random,
        )

    @property
    def faults(self) -> Faults:
        """What it does wrong, and has done: ``server.faults.reject("RCPT", "451 4.3.0", times=2)``."""
        with background.making:
            if self._made_faults is None:
                self._made_faults = Faults.of(self.config, self._seed)
                self._made_faults.changed = self._open_or_shut
                self._made_faults.renewed = lambda: self.renewed(self.hostname)
            return self._made_faults

    def forget_faults(self) -> None:
        """Those of the configuration, as on the first day; nothing was seen."""
        if self._made_faults is not None:
            self._made_faults.start_over()

    @property
    def misbehaves(self) -> bool:
        """Whether there is any fault, or a session that one stalls."""
        faults = self._made_faults
        return bool(self.config.faults) or (faults is not None and bool(faults.active or faults.stalled))

    @property
    def _tape(self) -> Tape:
        with background.making:
            if self._made_tape is None:
                self._made_tape = Tape(self.hostname, self._recorder)
            return self._made_tape

    @property
    def _journal(self) -> Journal:
        with background.making:
            if self._made_journal is None:
                self._made_journal = Journal(self.directory)
            return self._made_journal

    @property
    def _inbox(self) -> Inbox:
        with background.making:
            if self._made_inbox is None:
                self._made_inbox = Inbox(self.hostname, self._explain)
            return self._made_inbox

    # -- what people ask of it ---------------------------------------------------------------------------------------

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

    def settings(self, framework: str, *, user: str | None = None, password: str = "") -> Any:
        """What "django", "flask-mail", "fastapi-mail", "smtplib", "aiosmtplib" or, as environment variables, "env" is
        to be told so that it sends its mail here, over TLS where the server has it, logged in as ``user`` (None: the
        first one of ``auth``; "": nobody). Raises ConfigError for any other name, and where that can't be told."""
        place = self.host, self.port, self.directory.parent
        return settings.of(framework, self.config, *place, user=user, password=password)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` of each :class:`~smtp_pair.facts.Fact` from now on, on the servers' thread; call what
        comes back to stop it. For consoles and reports; a test waits with :meth:`wait_for`."""
        return self._journal.subscribe(listener)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Tell ``follower`` what is said in the sessions that begin from now on (:class:`~smtp_pair.recorder.Said`), on
        the servers' thread; call what comes back to stop it. Afterwards :attr:`transcripts` has it, whole."""
        return self._tape.follow(follower)

    # -- start and stop: the network's to call -------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the port and, where mail outlives a run, the folder. Raises StartError, at once.

        From here on clients can connect, though nobody answers yet.
        """
        # After a stop the same port is wanted again: clients were told it.
        sockets = listen(self._bind, self._port or self.config.port, self.hostname)
        self._door = Door(sockets, self.hostname, background.acceptor)
        self._port = self._door.port
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
        self._stop_listening()
        self._give_up_folder()

    def _listen(self) -> None:
        if self._door is not None:
            if self.config.faults or self._made_faults is not None:
                self._door.shut_or_reopen(shut=self.faults.is_down)
            self._door.open(self._arrive)

    def _arrive(self, wire: socket.socket) -> None:
        self._started().welcome(wire)

    def _stop_listening(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            door.close()

    def _give_up_folder(self) -> None:
        unlock, self._unlock = self._unlock, None
        if unlock is not None:
            unlock()

    def open(self, table: Mapping[str, Destination], resolver: Resolver | None = None) -> None:
        """Begin to answer. Does not wait: the listening socket keeps early clients in its backlog."""
        self._ways = table, resolver
        if self._durable or self._left_a_queue():
            background.loop().call_soon_threadsafe(self._started().open, self._listen)
        else:
            self._listen()

    def _left_a_queue(self) -> bool:
        """Whether an earlier run has left something in its folder."""
        known = self._folder.known
        return known is not None and os.path.isdir(f"{known}/{self.hostname}/spool")

    def close_unused(self) -> bool:
        """Stop, if nobody ever came and there is nothing to be waited for; whether that was so. Called in any thread
        but the servers' loop's."""
        if self._is_used():
            return False
        self._stop_listening()  # from here on nobody comes any more
        with background.making:
            if self._is_used():
                return False
            self._ways = None
        self._closed()
        return True

    def _is_used(self) -> bool:
        return self._running is not None

    async def close(self) -> None:
        """Stop: no new connection, the open ones are told 421, mails being accepted are accepted, the rest of the
        queue stays on disk. Called on the servers' loop."""
        running = self._running
        if running is not None:
            await running.opened()
        self._stop_listening()
        with background.making:
            self._ways = self._running = None
        if running is not None:
            await running.close()
            self._left = running.spool.held()
        self._closed()

    def _closed(self) -> None:
        if self._made_journal is not None:
            self._made_journal.close()
        self._give_up_folder()

    def _open_or_shut(self) -> None:
        door, shut = self._door, self.faults.is_down
        if door is None or door.shut == shut:
            return
        door.shut_or_reopen(shut=shut)
        running = self._running  # asked only now, when nobody comes any more who would be the first
        if shut and running is not None:
            background.run_or_begin(running.cut())

    async def cut(self, hostname: str) -> None:
        """Break the connections that come from that host. Called on the servers' loop."""
        if self._running is not None:
            await self._running.cut(hostname)

    def let_go(self, hostname: str) -> None:
        """Keep no connection to that host: the next mail for it begins a session. From any thread."""
        if self._running is not None:
            background.loop().call_soon_threadsafe(self._running.let_go, hostname)

    async def settled(self) -> bool:
        """Wait until no mail is being accepted and no attempt to pass one on is under way; whether there was any."""
        return self._running is not None and await self._running.settled()

    def held(self, *, settled: bool) -> Queued:
        """What its queue holds, for the account. Not ``settled``: attempts are under way, and which recipients wait is
        not certain."""
        if self._running is None:
            return self._left
        return {mail_id: waiting if settled else None for mail_id, waiting in self._running.spool.held().items()}

    @property
    def has_queue(self) -> bool:
        """Whether anything waits here; as :attr:`queue`, on the servers' loop."""
        return self._running is not None and bool(self._running.spool.waiting)

    async def forget(self) -> list[Mail]:
        """Empty the queue, and the inbox of what :attr:`messages` shows; gives that. Called on the servers' loop."""
        if self._running is not None:
            await self._running.spool.clear()
        return self._inbox.clear() if self._made_inbox is not None else []

    def remove(self, mails: Iterable[Mail]) -> None:
        """Remove the files of mails that were delivered here."""
        for mail in mails:
            remove(self.directory, mail)

    @property
    def has_spoken(self) -> bool:
        """Whether there is anything for :meth:`forget_sessions` to forget."""
        return self._made_tape is not None and self._made_tape.count > 0

    def forget_sessions(self) -> None:
        """Forget what was said. Called on the servers' loop."""
        if self._made_tape is not None:
            self._made_tape.clear()

    def _explain(self) -> str:
        """What a wait that ended in vain should know besides: what is still under way, and what was said last."""
        told = [] if self._ways is not None else [f"{self.hostname} is not running."]
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
