"""Cases: what a server costs that does nothing, and what one costs that has done much."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from harness.bench.case import OURS, AtMost, Beats, Case, Competitors, Measure, Setting
from harness.bench.load import many
from harness.bench.processes import Own, own
from smtp_pair.entry import Answer
from smtp_pair.mail import reply

_PROJECT = Path(__file__).parent.parent.parent
_IDLE = """
import gc, json, os, threading
from contextlib import ExitStack
from harness.bench.engines import Handler, controller
from harness.bench.machine import memory
from harness.bench.serve import Seen
from smtp_pair.network import Network
def state():
    gc.collect()
    fds = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    return [memory()["VmRSS"] / 1024, fds, threading.active_count()]
def servers(n):
    {servers}
kept = [servers(3)]
before = state()
kept.append(servers({count}))
import time; time.sleep(0.1)
print(json.dumps([(after - was) / {count} for after, was in zip(state(), before)]), flush=True)
os._exit(0)
"""
_SERVERS = {
    OURS: "return Network(*[f'd{k}.of{n}.test' for k in range(n)]).start()",
    "Controller": "return [controller(Handler(Seen()), ExitStack()) for _ in range(n)]",
}


def _idle(setting: Setting, which: int) -> Competitors:
    """Of the resident memory, descriptors and threads of a process, what each of many idle servers has added."""
    count = setting.amount(200, 5)

    def measure_of(servers: str) -> Measure:
        program = _IDLE.replace("{servers}", servers).replace("{count}", str(count))

        def measure() -> float:
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, check=True)
            return float(json.loads(done.stdout)[which])

        return measure

    return {name: measure_of(servers) for name, servers in _SERVERS.items()}


def _mails(setting: Setting) -> Competitors:
    """A mail's cost for a server that has taken 100,000 before, in costs for one that has taken 1,000."""
    count = setting.amount(1000, 4)
    young, old = own(setting, "pair"), own(setting, "another pair")
    assert isinstance(young, Own)
    assert isinstance(old, Own)
    many(setting.tools, young.port, clients=4, mails=count, kept=True)
    for _ in range(10):
        many(setting.tools, old.port, clients=4, mails=setting.amount(10_000, 4), kept=True)

    def cost(server: Own) -> float:
        before = server.cpu()
        many(setting.tools, server.port, clients=4, mails=count, kept=True)
        return server.cpu() - before

    return {OURS: lambda: 1 / cost(young) * cost(old)}


def _queue(setting: Setting) -> Competitors:
    """A mail's cost that is put off, with 100,000 that wait already, in costs where 1,000 do."""
    queues = [_Queue(setting.folder / name, setting.amount(many_, 5)) for name, many_ in (("1", 1_000), ("2", 100_000))]
    short, long = queues
    for queue in queues:
        setting.stack.callback(queue.close)
    more = setting.amount(300, 2)
    return {OURS: lambda: 1 / short.put_off(more) * long.put_off(more)}


class _Ids:
    def new(self, moment: float) -> str:
        raise AssertionError("nobody is notified here")


class _Queue:
    """A spool whose next hop is never ready."""

    def __init__(self, folder: Path, waiting: int) -> None:
        from smtp_pair.clock import SystemClock
        from smtp_pair.config import Retry
        from smtp_pair.notifier import Notifier
        from smtp_pair.routes import NextHop
        from smtp_pair.spool import Spool

        self._loop = asyncio.new_event_loop()
        self._count = 0
        retry, clock = Retry(first=86_400.0, most=86_400.0), SystemClock()
        hop = NextHop("127.0.0.1", 1)
        self._spool = Spool(
            folder,
            retry,
            clock,
            durable=False,
            route=lambda address: hop,
            attempt=self._attempt,
            report=lambda outcome: None,
            notifier=Notifier("smtp.jaku.com", retry, clock, _Ids()),
            announce=lambda notification: None,
            random=lambda: 0.5,
        )
        while self._count < waiting:
            self.put_off(min(1000, waiting - self._count))

    async def _attempt(self, *_: object) -> list[Answer]:
        return [Answer(reply.OUR_FAULT)]

    def put_off(self, count: int) -> float:
        """Seconds that so many more mails take."""
        began = time.process_time()
        self._loop.run_until_complete(self._put_off(count))
        return time.process_time() - began

    async def _put_off(self, count: int) -> None:
        from smtp_pair.entry import Entry, Row
        from smtp_pair.mail.address import Address
        from smtp_pair.mail.envelope import Recipient

        recipient = Recipient(Address("vader", "deathstar.com"))
        for _ in range(count):
            self._count += 1
            sender = Address("obiwan", "jaku.com")
            entry = Entry(f"m{self._count}", sender, {}, time.time(), [Row(recipient)], b"Subject: x\r\n\r\nx\r\n")
            await self._spool.commit(entry)
            self._spool.release(entry)
            await self._spool.settled()

    def close(self) -> None:
        """Nothing more is tried."""
        self._loop.run_until_complete(self._spool.close())
        self._loop.close()


def _domains(setting: Setting) -> Competitors:
    """A mail's cost for one of 1,000 domains, in costs for one of two."""
    few, thousand = own(setting, "pair"), own(setting, "thousand domains")
    assert isinstance(few, Own)
    assert isinstance(thousand, Own)
    count = setting.amount(1000, 4)

    def cost(server: Own) -> float:
        before = server.cpu()
        many(setting.tools, server.port, clients=4, mails=count, kept=True)
        return server.cpu() - before

    return {OURS: lambda: 1 / cost(few) * cost(thousand)}


CASES = (
    Case(
        "memory_idle",
        "resident memory of an idle server",
        "KiB",
        partial(_idle, which=0),
        (AtMost(4), Beats("Controller", 10)),
        rounds=3,
    ),
    Case("fds_idle", "descriptors of an idle server", "", partial(_idle, which=1), (AtMost(1),), rounds=1),
    Case("threads_idle", "threads of an idle server", "", partial(_idle, which=2), (AtMost(0),), rounds=1),
    Case("growth_mails", "a mail's cost after 100,000 / after 1,000", "x", _mails, (AtMost(1.2),)),
    Case("growth_queue", "a mail's cost with 100,000 waiting / with 1,000", "x", _queue, (AtMost(1.2),)),
    Case("growth_domains", "a mail's cost among 1,000 domains / of two", "x", _domains, (AtMost(1.2),)),
)
