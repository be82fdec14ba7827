"""Networks of our own servers and others': all know the way to one another, by ports that are chosen beforehand."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.stage import held_port
from harness.targets.catalogue import DAEMONS, EMBEDDED
from harness.targets.daemon import Daemon, free_port
from harness.targets.ours import Ours
from harness.targets.place import Place, Site

if TYPE_CHECKING:
    from smtp_pair import Network

LOOP = "loop.test"
"""Each server thinks that the next one has its mail, and the last one that the first has."""


def refused_by(domain: str) -> str:
    """A domain for which the others go to the server of this one, which will not have its mail."""
    return f"not.{domain}"


@dataclass(frozen=True, slots=True)
class Mixed:
    """Running servers, by their domains."""

    places: Mapping[str, Place]

    def __getitem__(self, domain: str) -> Place:
        return self.places[domain]

    @property
    def domains(self) -> Sequence[str]:
        return list(self.places)

    def settle(self) -> None:
        """Wait until no mail is on its way anywhere: what one hands on, another may hand on in turn."""
        while any(self._moves(place) for place in self.places.values()):
            for place in self.places.values():
                place.settle()

    @staticmethod
    def _moves(place: Place) -> bool:
        if isinstance(place, Daemon):
            return bool(place.queued())
        assert isinstance(place, Ours)
        place.network.settle()
        return bool(place.server.queue)


@contextmanager
def mixed(kinds: Mapping[str, str], folder: Path, *, patience: float = 60.0) -> Iterator[Mixed]:
    """Start servers: domains and, by the names of the catalogue, who serves them; exactly one is ours.

    Raises TargetError where one does not come up; all that were started are stopped in any case.
    """
    from smtp_pair import Domain, Network

    [own] = [domain for domain, kind in kinds.items() if kind == EMBEDDED]
    with ExitStack() as running:
        held = held_port()
        running.callback(held.close)
        ports = {domain: _port(held) if domain == own else free_port() for domain in kinds}
        order = list(kinds)
        next_of = dict(zip(order, [*order[1:], order[0]], strict=True))
        places: dict[str, Place] = {}
        for domain in order:
            others = [each for each in order if each != domain]
            routes = {each: ports[each] for each in others}
            routes |= {refused_by(each): ports[each] for each in others}
            routes[LOOP] = ports[next_of[domain]]
            if domain == own:
                addresses = {name: f"127.0.0.1:{port}" for name, port in routes.items()}
                network: Network = running.enter_context(
                    Network(Domain(domain, port=ports[domain]), routes=addresses, directory=folder)
                )
                places[domain] = Ours(network, network[domain])
            else:
                daemon = DAEMONS[kinds[domain]](Site(domain, routes), ports[domain])
                daemon.patience = patience
                places[domain] = running.enter_context(daemon)
        yield Mixed(places)


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port
