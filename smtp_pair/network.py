"""Domains that know each other: started together, stopped together, each one's recipients a hop away for the others.

:class:`Pair` is the network of the two of the original, jaku.com and deathstar.com.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from smtp_pair import background
from smtp_pair.clock import Clock, SystemClock
from smtp_pair.config import QUICK_RETRY, Domain, Durability, Retry, check_together, next_hop
from smtp_pair.journal import Listener
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import NextHop
from smtp_pair.server import Server

N = TypeVar("N", bound="Network")


class Network:
    """Some mail domains, each with a server of its own; all know the way to one another.

    ``domains`` are names, or :class:`~smtp_pair.config.Domain` values where more is to be said. ``routes`` are ways to
    domains beside these, ``{"third.test": "127.0.0.1:2525"}``; beyond this machine only with ``allow_remote``.
    ``directory`` holds a folder for each server; without one there is a temporary one, removed at the stop. ``host`` is
    where to listen (``localhost``: IPv4 and IPv6). ``durability`` and ``retry`` are for the domains that name none.

    Raises ConfigError for what can't be, at once; :meth:`start` raises StartError.
    """

    def __init__(
        self,
        *domains: Domain | str,
        routes: Mapping[str, str | NextHop] | None = None,
        directory: Path | str | None = None,
        host: str = "127.0.0.1",
        durability: Durability = "fast",
        retry: Retry = QUICK_RETRY,
        allow_remote: bool = False,
    ) -> None:
        if not domains:
            raise ConfigError("a network needs a domain")
        configs = [Domain(domain) if isinstance(domain, str) else domain for domain in domains]
        check_together(configs)
        self._configs = [
            replace(config, durability=config.durability or durability, retry=config.retry or retry)
            for config in configs
        ]
        self._routes = {
            domain_key(domain): to if isinstance(to, NextHop) else next_hop(to, allow_remote=allow_remote)
            for domain, to in (routes or {}).items()
        }
        self._given = Path(directory) if directory is not None else None
        self._host = host
        self._clock: Clock = SystemClock()
        self._ids = _Ids()
        self._directory: Path | None = None
        self._servers: dict[str, Server] = {}
        self._listeners: list[Listener] = []
        self._running = False

    # -- its servers ---------------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """The folder that holds the servers' folders. A temporary one is made at the first start."""
        if self._directory is None:
            raise ConfigError("a network without a directory of its own has one only while it runs")
        return self._directory

    @property
    def servers(self) -> tuple[Server, ...]:
        """All of them, in the order given; none before the first start."""
        return tuple(self._servers.values())

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

    def subscribe(self, listener: Listener) -> None:
        """Tell ``listener`` of every :class:`~smtp_pair.facts.Fact` of every server, on the servers' thread."""
        self._listeners.append(listener)
        for server in self.servers:
            server.subscribe(listener)

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self: N) -> N:
        """Start all servers, or none. Raises StartError, which names the port or folder at fault."""
        if self._running:
            return self
        folder = self._make_folder()
        if not self._servers:
            for config in self._configs:
                server = Server(
                    config, folder / config.hostname, bind=self._host, clock=self._clock, ids=self._ids
                )
                self._servers[config.name] = server
                for listener in self._listeners:
                    server.subscribe(listener)
        bound: list[Server] = []
        try:
            for server in self.servers:
                server.bind()
                bound.append(server)
        except BaseException:
            for server in bound:
                server.unbind()
            self._remove_folder()
            raise
        table = self._routes | {
            domain_key(name): NextHop("127.0.0.1" if server.host == "localhost" else server.host, server.port, server.hostname)
            for server in self.servers
            for name in (server.domain, server.hostname)
        }
        for server in self.servers:
            server.open(table)
        self._running = True
        return self

    def stop(self) -> None:
        """Stop all servers. A second stop does nothing."""
        if not self._running:
            return
        self._running = False
        background.run(self._close())
        self._remove_folder()

    async def _close(self) -> None:
        await asyncio.gather(*(server.close() for server in self.servers))

    def __enter__(self: N) -> N:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # -- between tests -------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until nothing moves: no mail is being accepted, no attempt to pass one on is under way, on any server."""
        background.run(self._settled())

    async def _settled(self) -> None:
        for _ in range(2 * len(self._configs)):  # a mail that is passed on moves again, on the next server
            for server in self.servers:
                await server.settled()

    @contextmanager
    def fresh(self: N) -> Iterator[N]:
        """The running network with empty inboxes, and emptied again at the end, the files of those mails included.

        For hypothesis, which calls a test many times with one network: ``with mail_pair_session.fresh() as pair:``.
        """
        self.settle()
        for server in self.servers:
            server.forget()
        try:
            yield self
        finally:
            self.settle()
            for server in self.servers:
                for mail in server.forget():
                    server.remove_files(mail)

    # -- the folder ----------------------------------------------------------------------------------------------------

    def _make_folder(self) -> Path:
        raise NotImplementedError

    def _remove_folder(self) -> None:
        raise NotImplementedError
