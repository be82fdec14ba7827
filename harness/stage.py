"""Where a scenario is played: a server that is given the mail, a neighbour, and two servers beyond.

``here`` serves jaku.com, whoever wrote it; all others are ours, so that what it hands on is seen arriving.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.destinations import SLOW, WALL
from harness.targets.catalogue import EMBEDDED
from harness.targets.daemon import Daemon
from harness.targets.external import Elsewhere, External
from harness.targets.ours import Ours
from harness.targets.place import LOOPBACK, Place, Site

if TYPE_CHECKING:
    from smtp_pair import Domain, Network

HERE, THERE = "jaku.com", "deathstar.com"
GREYLISTED = 0.2  # seconds that slow.test has a mail wait


@dataclass(frozen=True, slots=True)
class Stage:
    """Running servers without a mail."""

    target: str
    here: Place
    there: Place
    beyond: Sequence[Place] = ()

    def settle(self, *, copies_there: int) -> None:
        """Wait until nothing moves any more."""
        for place in (self.here, self.there, *self.beyond):
            if isinstance(place, External):
                place.settle()
            elif isinstance(place, Ours) and isinstance(self.here, External) and place is self.there and copies_there:
                place.server.wait_for_all(copies_there, timeout=30)  # its queue is out of sight
            place.settle()

    def turned(self) -> Stage:
        """The same with the two servers in each other's place."""
        return Stage(self.target, self.there, self.here, self.beyond)


def beyond(**ports: int) -> list[Domain]:
    """The two domains that lie beyond."""
    from smtp_pair import Domain

    return [
        Domain(WALL, users=["nobody"], port=ports.get(WALL, 0)),
        Domain(SLOW, greylist=GREYLISTED, port=ports.get(SLOW, 0)),
    ]


def embedded(network: Network) -> Stage:
    """All servers ours."""
    here, there, *others = (Ours(network, server) for server in network)
    return Stage(EMBEDDED, here, there, others)


class Neighbourhood:
    """Ports for the servers around one that is told them once, at its start; ours come and go behind them."""

    def __init__(self) -> None:
        self._held = {domain: held_port() for domain in (THERE, WALL, SLOW)}
        self.ports = {domain: sock.getsockname()[1] for domain, sock in self._held.items()}

    @property
    def site(self) -> Site:
        """What the server in the middle is to serve."""
        return Site(HERE, {**self.ports, f"smtp.{THERE}": self.ports[THERE]})

    @contextmanager
    def around(self, target: str, middle: Place, folder: Path) -> Iterator[Stage]:
        """Ours, new and empty, and the one in the middle."""
        from smtp_pair import Domain, Network

        domains = [Domain(THERE, port=self.ports[THERE]), *beyond(**self.ports)]
        with Network(*domains, routes={middle.domain: middle.address}, directory=folder) as network:
            there, *others = (Ours(network, server) for server in network)
            yield Stage(target, middle, there, others)

    def close(self) -> None:
        """Give the ports back."""
        for sock in self._held.values():
            sock.close()


def held_port() -> socket.socket:
    """A port that nobody is given by chance, and that a server of ours can still take (SO_REUSEADDR on both)."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, 0))
    return sock


class Target:
    """A server that others wrote, for as long as the session lasts: started when it is first needed, and again where a
    test has left it with mail that does not move."""

    def __init__(self, kind: type[Daemon]) -> None:
        self._kind = kind
        self._neighbourhood = Neighbourhood()
        self._daemon: Daemon | None = None

    @contextmanager
    def stage(self, folder: Path) -> Iterator[Stage]:
        """The server with empty mailboxes, and new neighbours whose files are in the folder."""
        if self._daemon is not None and (self._kind.holds_grudges or self._daemon.box.ended or self._daemon.queued()):
            self._daemon.stop()
            self._daemon = None
        if self._daemon is None:
            self._daemon = self._kind(self._neighbourhood.site).__enter__()
        self._daemon.forget()
        with self._neighbourhood.around(self._kind.kind, self._daemon, folder) as stage:
            yield stage

    def close(self) -> None:
        """Stop it."""
        if self._daemon is not None:
            self._daemon.stop()
        self._neighbourhood.close()


class ExternalTarget:
    """Somebody's own server."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self._external = External(elsewhere)

    @contextmanager
    def stage(self, folder: Path) -> Iterator[Stage]:
        """The server as it is, and a neighbour of ours at the port that it was told."""
        from smtp_pair import Domain, Network

        external = self._external
        external.forget()
        there = Domain(THERE, port=external.elsewhere.neighbour)
        with Network(there, routes={external.domain: external.address}, directory=folder) as network:
            yield Stage("external", external, Ours(network, network[THERE]))
