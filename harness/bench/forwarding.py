"""Cases: a mail for the second server of a pair is given to the first one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

from harness.bench.case import OURS, Beats, Case, Competitors, Measure, Missing, Setting
from harness.bench.load import ONWARD, Client, big_mail, digest, many, small_mail, stuffed
from harness.bench.processes import Own, own

_STUDENT, _KEPT = "smtplib in the handler", "aiosmtplib kept"
_DIRECT = "a direct send"
_ENGINES = {OURS: "pair", _STUDENT: _STUDENT, _KEPT: _KEPT}


def _servers(setting: Setting) -> dict[str, Own | Missing]:
    """All of them up, and each with a mail passed on: whatever happens once has happened."""
    servers = {
        name: Missing("left out") if setting.alone and name != OURS else own(setting, engine)
        for name, engine in _ENGINES.items()
    }
    for name, server in servers.items():
        if isinstance(server, Own):
            for mail in (small_mail(), b"Subject: x\r\n\r\n.\r\n..\r\n"):
                with Client(server.ports[0]) as client:
                    _seconds(server, mail, client)
                _check(name, server, mail)
    return servers


def _check(name: str, server: Own, mail: bytes) -> None:
    if server.ask("digest") != digest(mail):
        raise AssertionError(f"{name}: the mail that arrived is not the one that was sent")


def _seconds(server: Own, mail: bytes, client: Client) -> float:
    """From the first octet of the content until the second server has the mail."""
    count = int(server.ask("count"))
    client.begin(ONWARD)
    began = time.perf_counter_ns()
    client.ask(stuffed(mail) + b".\r\n", b"2")
    if server.ask(f"wait {count + 1}") != count + 1:
        raise AssertionError("the mail did not arrive")
    return float(server.ask("moments")[-1] - began) / 1e9


def _latency(setting: Setting) -> Competitors:
    mail = small_mail()
    times = setting.amount(30, 2)
    servers = _servers(setting)

    def median(server: Own, way: int) -> float:
        with Client(server.ports[way]) as client:
            return statistics.median(_seconds(server, mail, client) for _ in range(times)) * 1000

    def added(server: Own) -> float:
        server.ask("forget")
        return max(0.001, median(server, 0) - median(server, 1))

    ours = servers[OURS]
    assert isinstance(ours, Own)
    return {
        name: server if isinstance(server, Missing) else partial(added, server) for name, server in servers.items()
    } | {_DIRECT: partial(median, ours, 1)}


def _each(setting: Setting, measure_of: Callable[[str, Own], Measure]) -> Competitors:
    return {
        name: server if isinstance(server, Missing) else measure_of(name, server)
        for name, server in _servers(setting).items()
    }


def _rate(setting: Setting) -> Competitors:
    mails = setting.amount(1000, 8)

    def measure_of(name: str, server: Own) -> Measure:
        def measure() -> float:
            server.ask("forget")
            began = time.perf_counter_ns()
            many(setting.tools, server.ports[0], clients=4, mails=mails, kept=True, recipient=ONWARD)
            if server.ask(f"wait {mails}") != mails:
                raise AssertionError(f"{name}: not every mail arrived")
            return mails / float(server.ask("moments")[-1] - began) * 1e9

        return measure

    return _each(setting, measure_of)


def _big(setting: Setting) -> Competitors:
    mail, _ = big_mail(setting.amount(10 << 20, 20_000))

    def measure_of(name: str, server: Own) -> Measure:
        client = setting.stack.enter_context(Client(server.ports[0]))

        def measure() -> float:
            server.ask("forget")
            took = _seconds(server, mail, client)
            _check(name, server, mail)
            return len(mail) / took / 1e6

        return measure

    return _each(setting, measure_of)


CASES = (
    Case(
        "forwarding_latency",
        "time that a hop adds",
        "ms",
        _latency,
        (Beats(_STUDENT, 6), Beats(_DIRECT, 1 / 0.6)),
    ),
    Case(
        "forwarding_rate",
        "mails forwarded a second, 4 clients",
        "/s",
        _rate,
        (Beats(_STUDENT, 6), Beats(_KEPT, 3.5)),
        more_is_better=True,
    ),
    Case("forwarding_big", "a mail of 10 MiB forwarded", "MB/s", _big, (Beats(_STUDENT, 20),), more_is_better=True),
)
