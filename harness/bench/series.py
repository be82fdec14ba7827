"""What the plots show: throughput against size for each engine, how long each outcome takes, cost against growth."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from harness.bench.case import Missing, Setting
from harness.bench.load import ONWARD, RECIPIENT, Client, big_mail, many, small_mail, stuffed
from harness.bench.processes import Foreign, Own, maildev, node_smtp_server, own, smtp_sink
from harness.bench.svg import Points

SIZES = (1 << 10, 1 << 13, 1 << 16, 1 << 19, 1 << 22, 10 << 20, 30 << 20)
_ROUNDS = 3


def throughput(setting: Setting) -> dict[str, Points]:
    """MB a second over one kept connection, from the first octet of the content to the 250; the best of a few."""
    engines: dict[str, Callable[[], Foreign | Missing]] = {
        "ours, nothing stored": lambda: own(setting, "session"),
        "ours, stored and decoded": lambda: own(setting, "pair"),
        "aiosmtpd, nothing stored": lambda: own(setting, "aiosmtpd"),
        "aiosmtpd, stdlib email": lambda: own(setting, "aiosmtpd, stdlib email"),
        "smtp-sink": lambda: smtp_sink(setting),
        "node smtp-server": lambda: node_smtp_server(setting),
        "maildev": lambda: maildev(setting),
    }
    up = {name: start() for name, start in engines.items()}
    servers = {name: server for name, server in up.items() if not isinstance(server, Missing)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for size in SIZES[: setting.amount(len(SIZES), 2)]:
        mail = big_mail(size)[0] if size > 1 << 12 else small_mail(size)
        on_wire = stuffed(mail) + b".\r\n"
        best = dict.fromkeys(servers, 0.0)
        for _ in range(_ROUNDS):
            for name, server in servers.items():
                best[name] = max(best[name], len(mail) / _seconds(server.port, on_wire, size) / 1e6)
        for name, figure in best.items():
            found[name].append((size, figure))
    return dict(found)


def _seconds(port: int, on_wire: bytes, size: int) -> float:
    times = max(1, min(50, (1 << 20) // size))
    with Client(port) as client:
        took = 0.0
        for _ in range(times):
            client.begin()
            began = time.perf_counter()
            client.ask(on_wire, b"2")
            took += time.perf_counter() - began
    return took / times


def outcomes(setting: Setting) -> dict[str, list[float]]:
    """Milliseconds of each of many mails, by what becomes of it: from MAIL to the last reply, or until it arrived."""
    server = own(setting, "another pair")
    assert isinstance(server, Own)
    count = setting.amount(300, 3)
    mail = stuffed(small_mail())
    found: dict[str, list[float]] = {name: [] for name in ("delivered here", "forwarded", "refused at RCPT")}
    with Client(server.ports[0]) as client:
        for _ in range(count):
            began = time.perf_counter_ns()
            client.send(mail, RECIPIENT)
            found["delivered here"].append((time.perf_counter_ns() - began) / 1e6)
            found["refused at RCPT"].append(_refusal(server.ports[0]))
            before = int(server.ask("count"))
            began = time.perf_counter_ns()
            client.send(mail, ONWARD)
            server.ask(f"wait {before + 1}")
            found["forwarded"].append((server.ask("moments")[-1] - began) / 1e6)
    return found


def _refusal(port: int) -> float:
    with Client(port) as client:  # a new one each time: who is refused too often is sent away
        client.ask(b"MAIL FROM:<obiwan@jaku.com>\r\n", b"2")
        began = time.perf_counter_ns()
        client.ask(b"RCPT TO:<luke@naboo.test>\r\n", b"550 5.1.2")
        return (time.perf_counter_ns() - began) / 1e6


def growth(setting: Setting) -> dict[str, Points]:
    """Microseconds of the processor that a stored mail costs, after so many mails, and among so many domains."""
    server = own(setting, "pair of many mails")
    assert isinstance(server, Own)
    mails: list[tuple[float, float]] = []
    taken = 0
    for upto in (1_000, 3_000, 10_000, 30_000, 100_000)[: setting.amount(5, 1)]:
        piece = setting.amount(1000, 4)
        rest = setting.amount(upto, 4) - taken - _ROUNDS * piece
        if rest > 0:
            many(setting.tools, server.port, clients=4, mails=rest, kept=True)
        mails.append((upto, statistics.median(_cost(setting, server, piece) for _ in range(_ROUNDS))))
        taken = upto
    domains: list[tuple[float, float]] = []
    for count, engine in ((2, "pair among few"), (100, "hundred domains"), (1000, "thousand domains"))[
        : setting.amount(3, 1)
    ]:
        one = own(setting, engine)
        assert isinstance(one, Own)
        costs = [_cost(setting, one, setting.amount(1000, 4)) for _ in range(4)]
        domains.append((count, statistics.median(costs[1:])))
        one.stop()
    return {"after so many mails": mails, "among so many domains": domains}


def _cost(setting: Setting, server: Own, mails: int) -> float:
    before = server.cpu()
    many(setting.tools, server.port, clients=4, mails=mails, kept=True)
    return (server.cpu() - before) / mails * 1e6
