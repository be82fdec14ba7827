"""Domains that know each other: started together, stopped together, each one's recipients a hop away for the others.

:class:`Pair` is the network of the two of the original, jaku.com and deathstar.com.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

from smtp_pair import background, tls
from smtp_pair.clock import Clock, ManualClock, SystemClock
from smtp_pair.config import (
    PATIENT_RETRY,
    QUICK_RETRY,
    Domain,
    Durability,
    Retry,
    check_together,
    is_loopback,
)
from smtp_pair.conservation import Account, Conservation, Queued, report
from smtp_pair.disk import remove_quietly
from smtp_pair.dns import Resolver
from smtp_pair.dns_server import DnsServer
from smtp_pair.folder import Folder, Given
from smtp_pair.journal import Listener
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError, NotConserved, NotRunning
from smtp_pair.mail.message import Mail
from smtp_pair.mail_ids import MailIds
from smtp_pair.partition import Partition, unite
from smtp_pair.recorder import Recorder
from smtp_pair.routes import Destination, NextHop, Table
from smtp_pair.server import Server
from smtp_pair.transcript import Transcript
from smtp_pair.wiring import hop_to, name_server, route, told

_STALLED = 0.25
"""Seconds of real time for everything else, once a fault stalls something."""
N = TypeVar("N", bound="Network")
RouteTo = str | Destination | Mapping[str, str]
"""A way to a domain: ``"HOST:PORT"``, ``"."`` for one that takes no mail, or more about it."""


class Network:
    """Some mail domains, each with a server of its own; all know the way to one another.

    ``domains`` are names, or :class:`~smtp_pair.config.Domain` values where more is to be said. ``routes`` are ways to
    domains beside these, ``{"third.test": "127.0.0.1:2525"}``; beyond this machine only with ``allow_remote``.
    ``directory`` holds a folder for each server, made with the first mail; a function is called for it then. Without
    one there is a temporary one, which goes at the end of the ``with`` (or with the network). ``host`` is where to
    listen: an address of this machine's loopback, or ``localhost`` for IPv4 and IPv6. ``durability`` and ``retry`` are
    for the domains that name none. ``clock="manual"`` gives a :attr:`clock` that the test moves; ``seed`` repeats what
    is left to chance (the jitter of retries, faults with a probability). ``dns=True`` gives a name server, :attr:`dns`,
    which all ask; ``dns="127.0.0.1:5353"`` asks that one.

    Raises ConfigError for what can't be, at once; :meth:`start` raises StartError.
    """

    def __init__(
        self,
        *domains: Domain | str,
        routes: Mapping[str, RouteTo] | None = None,
        directory: Given | None = None,
        host: str = "127.0.0.1",
        durability: Durability = "fast",
        retry: Retry | None = None,
        clock: Literal["system", "manual"] = "system",
        seed: int | None = None,
        dns: bool | str = False,
        allow_remote: bool = False,
    ) -> None:
        if not domains:
            raise ConfigError("a network needs a domain")
        # Under a manual clock nobody waits for real, so it may as well be as patient as a real server.
        patience = retry or (PATIENT_RETRY if clock == "manual" else QUICK_RETRY)
        configs = [told(domain, durability, patience) for domain in domains]
        check_together(configs)
        for config in configs:
            if config.tls != "off":  # what would be missing at the start is said now
                tls.context_for(config.certificate, config.hostname, config.name)
            if config.catch_all and dns:
                raise ConfigError(f"catch_all: {config.name} can't take what a name server may know the way to (dns)")
        if clock not in ("system", "manual"):
            raise ConfigError(f"clock: {clock!r} is none of system, manual")
        self._configs = configs
        self._routes = dict(route(domain, to, allow_remote) for domain, to in (routes or {}).items())
        beyond = not is_loopback(host)
        for config in configs:
            if beyond and config.auth is None:
                raise ConfigError(f"host: anyone can reach {host!r}; {config.name} needs auth, or it relays for all")
        self._folder = Folder(directory, self)
        self._host = host.lower()
        self._clock: Clock = ManualClock(self._settled, background.run) if clock == "manual" else SystemClock()
        self._random = random.Random(seed)
        self._seed = seed
        self._unsettled: set[asyncio.Task[None]] = set()
        self._allow_remote = allow_remote
        self._dns = DnsServer() if dns is True else None
        self._name_server = name_server(dns, allow_remote=allow_remote)
        self._ids = MailIds()
        self._recorder = Recorder()
        self._conservation = Conservation(self._ids.__contains__)
        self.conserving = True
        """Whether :meth:`fresh` ends with :meth:`assert_conserved`, as the fixtures do."""
        self._emptied_at = -1
        """How many mails had been named when all was empty; -1: it may not be."""
        self._servers: dict[str, Server] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()
        self._running = False
        self._process = 0

    # -- its servers ---------------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """The folder that holds the servers' folders. A temporary one is made with the first mail, or when it is asked
        for here. Raises NotRunning where there is none and the network does not run."""
        if self._running:
            return self._folder.make()
        if self._folder.known is None:
            raise NotRunning("a network that was given no directory has none before it is started")
        return self._folder.known

    @property
    def servers(self) -> tuple[Server, ...]:
        """All of them, in the order given; none before the first start."""
        return tuple(self._servers.values())

    @property
    def routes(self) -> Mapping[str, Destination]:
        """The ways to domains that are not its servers' own, as they were given."""
        return dict(self._routes)

    def __getitem__(self, name: str) -> Server:
        """The server of a domain, by the domain's name or the server's own."""
        key = domain_key(name)
        for server in self._servers.values():
            if key in (domain_key(server.domain), server.hostname.lower()):
                return server
        known = ", ".join(config.name for config in self._configs)
        raise KeyError(f"no server for {name!r}; there are {known}" + ("" if self._servers else ", none started yet"))

    def __iter__(self) -> Iterator[Server]:
        return iter(self.servers)

    def __len__(self) -> int:
        return len(self._configs)

    def client_context(self) -> ssl.SSLContext:
        """A new TLS context for a client: it trusts the certificates of the servers of this network."""
        return tls.client_context()

    def subscribe(self, listener: Listener) -> None:
        """Tell ``listener`` of every :class:`~smtp_pair.facts.Fact` of every server, on the servers' thread."""
        self._listeners.append(listener)
        for server in self.servers:
            server.subscribe(listener)

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self: N) -> N:
        """Start all servers, or none. Raises StartError, which names the port or folder at fault."""
        with self._lock:
            if not self._running:
                self._start()
        return self

    def _start(self) -> None:
        missing = self._folder.check()
        servers = self._servers or {config.name: self._server_of(config) for config in self._configs}
        bound: list[Server] = []
        try:
            if self._dns is not None:
                self._dns.bind()
            for server in servers.values():
                server.bind()
                bound.append(server)
        except BaseException:
            for server in bound:
                server.unbind()
            if self._dns is not None:
                self._dns.unbind()
            remove_quietly(missing)
            self._folder.remove_temporary()
            raise
        hops = {server: hop_to(server.config, server.host, server.port) for server in servers.values()}
        own: dict[str, Destination] = {
            domain_key(name): hop for server, hop in hops.items() for name in (server.domain, server.hostname)
        }
        self._recorder.ports = frozenset(server.port for server in servers.values())
        self._recorder.names = {
            (hop.host, hop.port): f"the next hop of {domain}"
            for domain, hop in self._routes.items()
            if isinstance(hop, NextHop)
        }
        resolver = self._resolver({server.hostname.lower(): hop for server, hop in hops.items()})
        # Where the network has a name server of its own, that one knows the way to its domains too, and may be made to
        # forget it.
        table = Table(self._routes if self._dns is not None else {**self._routes, **own})
        self._servers = servers
        self._process = os.getpid()
        self._running = True
        self._emptied_at = -1
        _running.add(self)
        try:
            if self._dns is not None:
                self._dns.introduce((server.domain, server.hostname) for server in servers.values())
                background.run(self._dns.open())
            for server in servers.values():
                server.open(table, resolver)
        except BaseException:
            self.stop()
            raise

    def _resolver(self, hops: Mapping[str, NextHop]) -> Resolver | None:
        if self._dns is None and self._name_server is None:
            return None
        host, port = (self._dns.host, self._dns.port) if self._dns is not None else self._name_server or ("", 0)
        # Under a manual clock a wait for an answer is real, and a test has better things to do.
        patience = 0.2 if self._dns is not None else 5.0
        return Resolver(
            host, port, hops=hops, allow_remote=self._allow_remote, random=self._random.random, patience=patience
        )

    def _server_of(self, config: Domain) -> Server:
        server = Server(
            config,
            self._folder,
            bind=self._host,
            clock=self._clock,
            ids=self._ids,
            random=self._random.random,
            recorder=self._recorder,
            conservation=self._conservation,
            seed=self._seed,
        )
        server.more_to_explain = partial(self._on_its_way, config.name)
        server.renewed = self._renew
        for listener in self._listeners:
            server.subscribe(listener)
        return server

    def _renew(self, hostname: str) -> None:
        for server in self.servers:
            server.let_go(hostname)

    def stop(self) -> None:
        """Stop all servers. A second stop does nothing, nor does one in a forked child, for they run in its parent."""
        background.refuse_own_thread()
        with self._lock:
            if self._running and self._process == os.getpid():
                used = [server for server in self._servers.values() if not server.close_unused()]
                if used or self._dns is not None:
                    background.run(self._close(used))
            self._running = False
            _running.discard(self)

    async def _close(self, servers: Iterable[Server]) -> None:
        await asyncio.gather(*(server.close() for server in servers))
        if self._dns is not None:
            await self._dns.close()
        await asyncio.gather(*self._unsettled, return_exceptions=True)
        await self._conservation.settled()  # what it has to say is asked for after the stop as well

    def __enter__(self: N) -> N:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.remove_temporary()

    # -- time ----------------------------------------------------------------------------------------------------------

    @property
    def clock(self) -> ManualClock:
        """The clock that ``clock="manual"`` put in the test's hand. Raises ConfigError for any other network."""
        if not isinstance(self._clock, ManualClock):
            raise ConfigError('this network goes by the machine\'s time; start it with clock="manual" to move it')
        return self._clock

    @property
    def dns(self) -> DnsServer:
        """The name server that ``dns=True`` gave the network. Raises ConfigError for any other network."""
        if self._dns is None:
            raise ConfigError("this network has no name server; start it with dns=True")
        return self._dns

    # -- between servers ---------------------------------------------------------------------------------------------

    def partition(self, first: str, second: str) -> Partition:
        """Let no mail pass between two of the domains, either way, until :meth:`heal` (or the end of a ``with``).

        Each one's mail for the other waits with ``451 4.4.1``; connections between the two break, but one with a mail
        that is just being taken is left to end. Clients are not concerned. After it is healed, what waits is tried
        when it is due: at once with ``server.retry_now()``, or when the clock is moved.

        Raises ConfigError for two that are one, KeyError for a domain that is not in the network.
        """
        ends = self[first], self[second]
        if ends[0] is ends[1]:
            raise ConfigError(f"partition: {first!r} and {second!r} are the same server")
        partition = Partition(ends, lambda: self.heal(first, second))
        background.run(partition.begin())
        return partition

    def heal(self, *names: str) -> None:
        """End the partition between two domains, or, without names, every one. Raises ConfigError for other numbers of
        names, KeyError for a domain that is not in the network."""
        if len(names) not in (0, 2):
            raise ConfigError(f"heal: {', '.join(names)}: give two domains, or none for all")
        background.run(unite([self[name] for name in names] or self.servers))

    # -- between tests -------------------------------------------------------------------------------------------------

    def assert_conserved(self, *, timeout: float = 5.0) -> Account:
        """Raises NotConserved, which names recipient and mail, where one that a server accepted is lost, doubled or
        changed on its way to another. Else each has ended as exactly one of delivered, forwarded, bounced, failed
        (where its sender wanted no notification, or there is none), ignored and dropped, or is still queued; the sums
        are what this gives.

        First the attempts under way are awaited, up to ``timeout`` seconds: one that takes longer is in the queue.
        What was sent again because a next hop's reply was lost is a duplicate, and allowed (RFC 5321 4.5.4.1).
        """
        if not self._conservation.at_rest:
            faults = (
                background.run(self._conservation.unaccounted(self._settled, self._held, timeout))
                if self._running
                else self._conservation.check(self._held(True))
            )
            if faults:
                raise NotConserved(report(faults, self._conservation.account))
        return self._conservation.account

    def _held(self, settled: bool) -> Queued:
        return {mail: who for server in self.servers for mail, who in server.held(settled=settled).items()}

    def _on_its_way(self, domain: str) -> list[str]:
        """What the other servers have for that domain, in lines."""
        told = []
        for server in self.servers:
            if server.domain != domain and (waiting := server.queued(domain)):
                told += [f"{server.hostname} has mail for {domain} in its queue:", *(f"  - {one}" for one in waiting)]
        return told

    @property
    def transcripts(self) -> list[Transcript]:
        """What was said on all servers, in the order in which the sessions began."""
        return sorted((one for server in self.servers for one in server.transcripts), key=lambda one: one.began)

    def settle(self) -> None:
        """Wait until nothing moves: on no server is a mail being accepted, or an attempt to pass one on under way."""
        background.run(self._settled())

    async def _settled(self) -> None:
        """Wait for all that ends by itself: what a fault stalls does not, and is left as it is after a moment."""
        if not any(server.misbehaves for server in self.servers):
            await self._all_settled()
            return
        stalled = asyncio.Event()
        for server in self.servers:
            server.faults.stall_began.add(stalled.set)
            if server.faults.stalled:
                stalled.set()
        work = asyncio.create_task(self._all_settled())
        waiting = asyncio.create_task(stalled.wait())
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for server in self.servers:
            server.faults.stall_began.discard(stalled.set)
        await asyncio.wait({work}, timeout=_STALLED)
        if work.done():
            work.result()
        else:
            self._unsettled.add(work)
            work.add_done_callback(self._unsettled.discard)

    async def _all_settled(self) -> None:
        # A mail that is passed on moves again, on the next server: until a whole round finds nothing in motion.
        while any([await server.settled() for server in self.servers]):
            pass

    @contextmanager
    def fresh(self: N) -> Iterator[N]:
        """The running network with empty inboxes, and emptied again at the end, the files of those mails included.
        Faults are taken back, but for those of the configuration, which count from the beginning; partitions are
        healed.

        For hypothesis, which calls a test many times with one network: ``with mail_pair_session.fresh() as pair:``.
        It ends with :meth:`assert_conserved`. After a failure the mails and transcripts stay to be looked at, until the
        next time.
        """
        self._forget()
        yield self
        if self.conserving:
            self.assert_conserved()
        self._forget()

    def _forget(self) -> None:
        for server in self.servers:
            server.forget_faults()
        if any(server.cut_off for server in self.servers):
            self.heal()
        if self._emptied_at != self._ids.count or any(server.has_spoken for server in self.servers):
            mails = background.run(self._empty())
            for server, forgotten in mails.items():
                server.remove(forgotten)

    async def _empty(self) -> dict[Server, list[Mail]]:
        await self._settled()
        mails = {server: await server.forget() for server in self.servers}
        # A mail that is just being tried stays where it is, and will have to go the next time.
        self._emptied_at = -1 if any(server.has_queue for server in self.servers) else self._ids.count
        for server in self.servers:
            server.forget_sessions()
        self._recorder.reset()
        self._conservation.reset()
        return mails


_running: set[Network] = set()


@atexit.register
def _stop_all() -> None:
    """Whoever forgets to stop a network loses no mail that waits in a queue."""
    for network in tuple(_running):
        network.stop()


class Pair(Network):
    """The network of two: ``jaku`` and ``deathstar``, on free ports. Other domains may take their places.

    ``with smtp_pair.Pair() as pair: ...``; the keyword arguments are :class:`Network`'s.
    """

    def __init__(
        self,
        jaku: Domain | str = "jaku.com",
        deathstar: Domain | str = "deathstar.com",
        *,
        directory: Given | None = None,
        host: str = "127.0.0.1",
        routes: Mapping[str, RouteTo] | None = None,
        durability: Durability = "fast",
        retry: Retry | None = None,
        clock: Literal["system", "manual"] = "system",
        seed: int | None = None,
        dns: bool | str = False,
        allow_remote: bool = False,
    ) -> None:
        super().__init__(
            jaku,
            deathstar,
            routes=routes,
            directory=directory,
            host=host,
            durability=durability,
            retry=retry,
            clock=clock,
            seed=seed,
            dns=dns,
            allow_remote=allow_remote,
        )

    @property
    def jaku(self) -> Server:
        """The first of the two servers. Raises NotRunning before the first start."""
        return self._server(0)

    @property
    def deathstar(self) -> Server:
        """The second of the two servers. Raises NotRunning before the first start."""
        return self._server(1)

    def _server(self, number: int) -> Server:
        if not self.servers:
            raise NotRunning("the pair has no servers before it is started: with Pair() as pair: ...")
        return self.servers[number]
