"""Cases: small mails. What counts is the server's processor time for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from harness.bench.case import OURS, AtMost, Beats, Case, Competitors, Measure, Missing, Setting
from harness.bench.engines import Handler, counting_house
from harness.bench.load import Client, digest, many, small_mail, stuffed
from harness.bench.processes import Foreign, Own, node_smtp_server, own, smtp_sink
from harness.bench.serve import Seen

Server = tuple[str, Callable[[], Foreign | Missing]]

_GO = Missing("go-smtp needs a Go toolchain")
_ODD = b"Subject: x\r\n\r\n.\r\n..\r\n.dots\r\n\r\n"
"""A mail whose dots are doubled on the wire."""


def _exact(server: Foreign) -> None:
    """What is sent is what arrives."""
    if isinstance(server, Own):
        for mail in (_ODD, small_mail()):
            count = int(server.ask("count"))
            with Client(server.port) as client:
                client.send(stuffed(mail))
            server.ask(f"wait {count + 1}")
            if server.ask("digest") != digest(mail):
                raise AssertionError("the mail that arrived is not the one that was sent")


def _load(setting: Setting, server: Foreign, clients: int, mails: int, kept: bool) -> Measure:
    """Microseconds of the server's processor for each mail."""

    def measure() -> float:
        before = server.cpu()
        many(setting.tools, server.port, clients=clients, mails=mails, kept=kept)
        return (server.cpu() - before) / mails * 1e6

    return measure


def _beside(
    setting: Setting, servers: Iterable[Server], clients: int, kept: bool = True
) -> dict[str, Measure | Missing]:
    mails = setting.amount(2000, 4)
    found: dict[str, Measure | Missing] = {}
    for name, start in servers:
        server = Missing("left out") if setting.alone and name != OURS else start()
        if isinstance(server, Missing):
            found[name] = server
        else:
            if name != "smtpdfix":  # which keeps no octets
                _exact(server)
            found[name] = _load(setting, server, clients, mails, kept)
    return found


def _small(setting: Setting, clients: int) -> Competitors:
    servers: list[Server] = [
        (OURS, partial(own, setting, "session")),
        ("aiosmtpd no-op", partial(own, setting, "aiosmtpd")),
        ("ours on uvloop", partial(own, setting, "session on uvloop")),
        ("node smtp-server", partial(node_smtp_server, setting)),
        ("smtp-sink", partial(smtp_sink, setting)),
    ]
    return {**_beside(setting, servers, clients), "go-smtp": _GO}


def _stored(setting: Setting) -> Competitors:
    servers: list[Server] = [
        (OURS, partial(own, setting, "pair")),
        ("aiosmtpd, a file each", partial(own, setting, "aiosmtpd, a file each")),
    ]
    return _beside(setting, servers, 4)


def _connections(setting: Setting) -> Competitors:
    servers: list[Server] = [
        (OURS, partial(own, setting, "session")),
        ("aiosmtpd no-op", partial(own, setting, "aiosmtpd")),
        ("smtpdfix", partial(own, setting, "smtpdfix")),
        ("smtp-sink", partial(smtp_sink, setting)),
    ]
    return _beside(setting, servers, 4, kept=False)


def _debug(setting: Setting) -> Competitors:
    """How many times slower with the root logger at DEBUG, the records made and thrown away."""
    mails = setting.amount(1000, 4)

    def slower(engine: str) -> Measure:
        loads = []
        for options in ((), ("--debug",)):
            server = own(setting, engine, *options)
            assert isinstance(server, Own)
            loads.append(_load(setting, server, 4, mails, kept=True))
        usual, debugging = loads
        return lambda: 1 / usual() * debugging()

    return {OURS: slower("session")} | ({} if setting.alone else {"aiosmtpd no-op": slower("aiosmtpd")})


# -- without sockets -------------------------------------------------------------------------------------------------


def _memory(setting: Setting) -> Competitors:
    """Sessions on transports that are only memory: nothing but our own code, and asyncio's, is measured."""
    from aiosmtpd.smtp import SMTP

    from harness.memory_transport import MemoryClient
    from smtp_pair.session import Session

    count = setting.amount(300, 3)
    loop = asyncio.new_event_loop()
    setting.stack.callback(loop.close)
    seen, stock = Seen(), Seen()
    house = counting_house(seen)
    handler = Handler(stock)
    mail = small_mail()
    parts = (b"MAIL FROM:<obiwan@jaku.com>\r\n", b"RCPT TO:<luke@jaku.com>\r\n", b"DATA\r\n", mail + b".\r\n")

    def measure_of(make: Callable[[], asyncio.Protocol], into: Seen) -> Measure:
        def measure() -> float:
            with MemoryClient(loop, make()) as client:
                client.say(b"EHLO client.bench.test\r\n")
                said = b""
                began = time.process_time()
                for _ in range(count):
                    said = client.say(*parts)
                ended = time.process_time()
            if said.count(b"\r\n") != len(parts) or into.content() != mail:
                raise AssertionError(f"the mail was not taken as it was sent: {said!r}")
            return (ended - began) / count * 1e6

        return measure

    return {
        OURS: measure_of(lambda: Session(house, loop), seen),
        "aiosmtpd no-op": measure_of(lambda: SMTP(handler, hostname="smtp.bench.test", loop=loop), stock),
    }


CASES = (
    Case(
        "mock_transport",
        "a small mail, transport in memory, processor time",
        "us",
        _memory,
        (Beats("aiosmtpd no-op", 3),),
        rounds=21,
    ),
    *(
        Case(
            f"small_mails_{clients}",
            f"small mails, {clients} kept connections, nothing stored, server CPU a mail",
            "us",
            partial(_small, clients=clients),
            (Beats("aiosmtpd no-op", 3),),
        )
        for clients in (4, 16)
    ),
    Case(
        "small_mails_stored",
        "small mails, 4 kept connections, stored and journaled, server CPU a mail",
        "us",
        _stored,
        (Beats("aiosmtpd, a file each", 2),),
    ),
    Case(
        "connection_each",
        "small mails, a connection each, 4 clients, server CPU a mail",
        "us",
        _connections,
        (Beats("aiosmtpd no-op", 2.5), Beats("smtpdfix", 2.5)),
    ),
    Case("debug_logging", "root logger at DEBUG: how many times slower", "x", _debug, (AtMost(1.2),)),
)
