"""Cases: a mail for the second server of a pair is given to the first one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

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
                _seconds(server, server.ports[0], mail)
                _check(name, server, mail)
    return servers


def _check(name: str, server: Own, mail: bytes) -> None:
    if server.ask("digest") != digest(mail):
        raise AssertionError(f"{name}: the mail that arrived is not the one that was sent")


def _seconds(server: Own, port: int, mail: bytes, client: Client | None = None) -> float:
    """From the first octet of the content until the second server has the mail."""
    count = int(server.ask("count"))
    client = client or Client(port)
    client.begin(ONWARD)
    began = time.perf_counter_ns()
    client.ask(stuffed(mail) + b".\r\n", b"2")
    if server.ask(f"wait {count + 1}") != count + 1:
        raise AssertionError("the mail did not arrive")
    return float(server.ask("moments")[-1] - began) / 1e9


def _latency(setting: Setting) -> Competitors:
    mail = small_mail()
    times = setting.amount(30, 2)
    direct_of_ours: list[float] = []

    def added(name: str, server: Own) -> Measure:
        clients = [setting.stack.enter_context(Client(port)) for port in server.ports]

        def median(way: int) -> float:
            return statistics.median(_seconds(server, server.ports[way], mail, clients[way]) for _ in range(times))

        def measure() -> float:
            server.ask("forget")
            forwarded, direct = median(0) * 1000, median(1) * 1000
            if name == OURS:
                direct_of_ours.append(direct)
            return max(0.001, forwarded - direct)

        return measure

    found: dict[str, Measure | Missing] = {
        name: server if isinstance(server, Missing) else added(name, server)
        for name, server in _servers(setting).items()
    }
    ours = found[OURS]
    assert not isinstance(ours, Missing)
    # Whoever is asked second repeats what was measured with the first: both are of the same mails.
    found[_DIRECT] = lambda: direct_of_ours[-1] if direct_of_ours else ours() * 0 + direct_of_ours[-1]
    return found


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
            return mails / (server.ask("moments")[-1] - began) * 1e9

        return measure

    return _each(setting, measure_of)


def _big(setting: Setting) -> Competitors:
    mail, _ = big_mail(setting.amount(10 << 20, 20_000))

    def measure_of(name: str, server: Own) -> Measure:
        client = setting.stack.enter_context(Client(server.ports[0]))

        def measure() -> float:
            server.ask("forget")
            took = _seconds(server, server.ports[0], mail, client)
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
    Case(
        "forwarding_big", "a mail of 10 MiB forwarded", "MB/s", _big, (Beats(_STUDENT, 20),), more_is_better=True
    ),
)
