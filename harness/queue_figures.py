"""What a long queue costs: how long a start and a stop take with it, and what one more mail does.

    python -m harness.queue_figures                1,000, 10,000 and 100,000 mails
    python -m harness.queue_figures 10000

A server in durable mode, its next hop down. A figure says something beside the others of the same run alone; the suite
asserts none of them.
"""

from __future__ import annotations

import resource
import smtplib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.long_queue import fill
from harness.unruly_hop import UnrulyHop
from smtp_pair import Domain, Network, Server

SIZES = (1_000, 10_000, 100_000)
MAILS = 200
CLIENTS = 10
MAIL = b"Subject: Hello\r\n\r\nHello.\r\n"


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def send(server: Server, recipient: str, count: int) -> None:
    """So many mails, over one connection."""
    with smtplib.SMTP(server.host, server.port, local_hostname="client.example") as client:
        for _ in range(count):
            client.sendmail("ann@a.test", [recipient], MAIL)


def send_together(server: Server, recipient: str, count: int) -> None:
    """The same, over several connections at a time."""
    threads = [threading.Thread(target=send, args=(server, recipient, count // CLIENTS)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(count: int, folder: Path) -> dict[str, str]:
    """The figures of one length."""
    now = time.time()
    spool = folder / "smtp.a.test" / "spool"
    spool.mkdir(parents=True)
    due = now + 3600
    fill(spool, count, domain="dead.test", due=due, accepted=now)
    with UnrulyHop(down=True) as dead, UnrulyHop() as alive:
        routes = {"dead.test": dead.address, "far.test": alive.address}
        network = Network(Domain("a.test"), routes=routes, directory=folder, durability="durable", clock="manual")
        network.start()
        server = network.servers[0]
        figures = {"start": f"{timed(lambda: send(server, 'bob@a.test', 1)) * 1000:.0f} ms"}
        for name, recipient in (("mailbox", "bob@a.test"), ("queued", "bob@dead.test"), ("passed on", "bob@far.test")):
            alone = timed(lambda recipient=recipient: send(server, recipient, MAILS))  # type: ignore[misc]
            together = timed(lambda recipient=recipient: send_together(server, recipient, MAILS))  # type: ignore[misc]
            figures[name] = f"{alone / MAILS * 1000:.2f} ms"
            figures[f"{name}, {CLIENTS} at once"] = f"{MAILS / together:,.0f}/s"
        network.settle()
        network.clock.advance(due - network.clock.now() - 0.1)
        figures["a round of all"] = f"{timed(lambda: network.clock.advance(0.2)):.1f} s"
        figures["stop"] = f"{timed(network.stop) * 1000:.0f} ms"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
    return figures | {"memory": f"{peak:,.0f} MB"}


def main(sizes: list[int]) -> None:
    """Print a line for each length."""
    names: list[str] = []
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(count, Path(folder))
        if not names:
            names = list(figures)
            print(" | ".join(["waiting", *names]))
        print(" | ".join([f"{count:,}", *(figures[name] for name in names)]), flush=True)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or list(SIZES))
