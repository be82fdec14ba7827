"""The servers that the dialogues are played to, each set up in several ways, so that it has what they need: houses.

What a house has is what ``wire_scripts/needs.py`` names; what EHLO tells is not said here again.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.targets.catalogue import DAEMONS
from harness.targets.daemon import Daemon, free_port
from harness.targets.place import Site
from harness.wire_scripts.subject import Subject
from smtp_pair import Domain, Limits, Network, background

OURS, STOCK = "ours", "aiosmtpd"
TITLES: Mapping[str, str] = {
    OURS: "ours",
    "postfix": "Postfix",
    "exim": "Exim",
    "opensmtpd": "OpenSMTPD",
    STOCK: "stock aiosmtpd",
}
"""Who there is, and what people call it."""

HERE, THERE, NOWHERE = "a.test", "b.test", "null.test"
USER, NAME, PASSWORD = "obiwan", "luke", "secret"
SMALL = 100_000
"""Octets of the largest mail, where there is to be one that can be sent in a moment."""


@dataclass(frozen=True, slots=True)
class House:
    """One way to set up a server."""

    name: str
    has: frozenset[str]
    start: Callable[[], AbstractContextManager[tuple[str, int]]]
    """Where it listens, while it runs."""

    @contextmanager
    def open(self) -> Iterator[Subject]:
        """The server, as a dialogue has to know it."""
        with self.start() as (host, port):
            yield Subject(
                host,
                port,
                HERE,
                user=f"{USER}@{HERE}",
                unknown=f"vader@{HERE}",
                route=f"leia@{THERE}",
                nomail=f"x@{NOWHERE}",
                name=NAME,
                password=PASSWORD,
            )


def houses(server: str) -> Sequence[House]:
    """The houses of a server (``TITLES``), the plainest one first. None of those that others wrote refuses a mail for a
    bare CR or LF as ``harness/targets`` sets them up."""
    if server == OURS:
        return _OURS
    if server == STOCK:
        return (House("plain", frozenset(), _stock),)
    return tuple(
        House(name, has, partial(_daemon, DAEMONS[server], Site(HERE, {THERE: free_port()}, users, size, tls)))
        for name, has, users, size, tls in (
            ("plain", frozenset({"route", "normalising"}), (), 32 << 20, False),
            ("small", frozenset({"users", "route", "normalising"}), (USER,), SMALL, DAEMONS[server].speaks_tls),
        )
    )


def why_not(server: str) -> str:
    """Why a server can't be started here; "" where it can."""
    return DAEMONS[server].why_not() if server in DAEMONS else ""


# -- ours --------------------------------------------------------------------------------------------------------------


@contextmanager
def _network(domain: Domain) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory() as folder:
        network = Network(domain, THERE, routes={NOWHERE: "."}, directory=Path(folder) / "mail")
        with network:
            yield network[HERE].host, network[HERE].port


def _ours(name: str, has: str, domain: Domain) -> House:
    return House(name, frozenset(has.split(", ")), partial(_network, domain))


_OURS = (
    _ours("plain", "users, route, null mx, normalising", Domain(HERE, users=[USER])),
    _ours("small", "users, route, null mx, strict", Domain(HERE, users=[USER], size=SMALL, bare_newline="reject")),
    _ours("secured", "users, route, null mx, normalising", Domain(HERE, users=[USER], tls="offered")),
    _ours("known", "users, stranger, auth, normalising", Domain(HERE, users=[USER], auth={NAME: PASSWORD})),
    _ours("impatient", "impatient", Domain(HERE, limits=Limits(idle=0.3))),
)

# -- others' -----------------------------------------------------------------------------------------------------------


@contextmanager
def _daemon(kind: type[Daemon], site: Site) -> Iterator[tuple[str, int]]:
    """Nobody listens where it hands on mail: what it takes for there is taken, and that is all that is looked at."""
    with kind(site) as daemon:
        yield daemon.host, daemon.port


@contextmanager
def _stock() -> Iterator[tuple[str, int]]:
    from aiosmtpd.handlers import Sink
    from aiosmtpd.smtp import SMTP

    async def serve() -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: SMTP(Sink(), hostname=f"smtp.{HERE}", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
        )

    server = background.run(serve())
    try:
        host, port = server.sockets[0].getsockname()
        yield host, port
    finally:

        async def stop() -> None:
            server.close()
            others = [task for task in asyncio.all_tasks() if "SMTP._handle_client" in repr(task)]
            await asyncio.gather(*others, return_exceptions=True)

        background.run(stop())
