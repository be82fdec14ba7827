"""A siege: a thousand peers that dribble, stall or never read, and a few honest clients that send their mail meanwhile.

    python -m harness.siege [--peers 1000] [--mails 200]

Prints what the honest ones wait for a mail, from MAIL to the 250, with the siege and without: median and 95th
percentile. The server and the peers are processes of their own, on loopback, so that what is measured is the server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

WALL = 25.0
"""Seconds after which the peers are gone, whatever came of it; the honest ones have half of that for their mails."""
WARM = 20
"""Mails that are not measured."""
HONEST = 4
"""Honest clients at the same time."""
DRIBBLE = 0.5
"""Seconds between two octets of a dribbling peer."""

ROOT = Path(__file__).parent.parent

_HELLO = b"EHLO siege.example\r\n"
_TRANSACTION = b"MAIL FROM:<peer@example.org>\r\nRCPT TO:<nobody@siege.test>\r\nDATA\r\n"
_MAIL = b"Subject: Honest\r\nFrom: honest@example.org\r\n\r\n" + b"A line of an honest mail.\r\n" * 40

_SERVER = """
import sys
from smtp_pair import Domain, Network
from smtp_pair.config import Limits

peers = int(sys.argv[1])
# Nobody is thrown out for its number or for flooding: that would end the siege.
limits = Limits(connections=peers + 100, connections_of_one=peers + 100, commands=10**9)
with Network(Domain("siege.test", limits=limits)) as network:
    server = network["siege.test"]
    print(server.port, flush=True)
    sys.stdin.readline()
    mails = server.messages
    print(sum(mail.subject == "Honest" for mail in mails), len(mails), flush=True)
"""

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Waits:
    """What honest clients waited, in seconds."""

    of_each: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.of_each)

    @property
    def of_95(self) -> float:
        """95 of 100 waited no longer."""
        return statistics.quantiles(self.of_each, n=20, method="inclusive")[-1]

    def __str__(self) -> str:
        return f"median {self.median * 1000:6.2f} ms, 95th percentile {self.of_95 * 1000:6.2f} ms"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a siege."""

    peers: int
    """Those that were connected all the time."""
    without: Waits
    under: Waits
    sent: int
    """Honest mails that got a 250."""
    arrived: int
    """Honest mails in the mailbox."""
    others: int
    """Other mails there: of the peers, none of which ever ends one."""

    def __str__(self) -> str:
        return (
            f"honest mails without a siege:   {self.without}\n"
            f"honest mails under {self.peers:>4} peers: {self.under}\n"
            f"honest mails sent {self.sent}, arrived {self.arrived}; other mails {self.others}"
        )


# -- the peers ---------------------------------------------------------------------------------------------------------


async def _dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says a mail octet by octet, and never ends it."""
    writer.write(_HELLO + _TRANSACTION)
    while b"354" not in await reader.readline():
        pass
    while True:
        await asyncio.sleep(DRIBBLE)
        writer.write(b"x")
        await writer.drain()


async def _stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Stops in the middle of a command."""
    writer.write(_HELLO + b"MAIL FROM:<pe")
    await reader.read()


async def _deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Asks and asks, and never reads an answer."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        writer.write(_HELLO * 100)
        await writer.drain()


PEERS: Sequence[Peer] = (_dribble, _stall, _deaf)


async def _narrow(port: int) -> socket.socket:
    """A connection in which little can be under way: the system's buffers would read megabytes for a deaf peer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _besiege(port: int, peer: Peer, here: Callable[[], None]) -> None:
    """One peer, which comes back when it is thrown out."""
    first = True
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(sock=await _narrow(port), limit=4096)
            try:
                await reader.readline()
                if first:
                    here()
                    first = False
                await peer(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(DRIBBLE)


async def _attack(port: int, peers: int) -> None:
    """All of them, for as long as the process lives; says so when everybody has come."""
    count = 0

    def here() -> None:
        nonlocal count
        count += 1
        if count == peers:
            print("here", flush=True)

    async with asyncio.timeout(WALL):
        await asyncio.gather(*(_besiege(port, PEERS[number % len(PEERS)], here) for number in range(peers)))


# -- the honest ones ---------------------------------------------------------------------------------------------------


async def _honest(port: int, mails: int) -> list[float]:
    """Sends mails, one after the other and each on a connection of its own; gives what each one took."""
    waits = []
    for _ in range(mails):
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = partial(_reply, reader)
        await said(b"220")
        for command, code in (
            (b"EHLO honest.example\r\n", b"250"),
            (b"MAIL FROM:<honest@example.org>\r\n", b"250"),
            (b"RCPT TO:<obiwan@siege.test>\r\n", b"250"),
            (b"DATA\r\n", b"354"),
            (_MAIL + b".\r\n", b"250"),
        ):
            writer.write(command)
            await said(code)
        waits.append(time.perf_counter() - began)
        writer.write(b"QUIT\r\n")
        await said(b"221")
        writer.close()
        await writer.wait_closed()
    return waits


async def _reply(reader: asyncio.StreamReader, code: bytes) -> None:
    line = b"   -"
    while line[3:4] == b"-":
        line = await reader.readline()
        if not line.startswith(code):
            raise ConnectionError(f"{code.decode()} was expected, not {line!r}")


async def _all_honest(port: int, mails: int) -> Waits:
    each = [mails // HONEST + (number < mails % HONEST) for number in range(HONEST)]
    async with asyncio.timeout(WALL / 2):
        return Waits([wait for waits in await asyncio.gather(*(_honest(port, n) for n in each)) for wait in waits])


# -- the whole ---------------------------------------------------------------------------------------------------------


@contextmanager
def _process(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A Python of the checkout's, which ends in any case."""
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the siege came to an end too early")
    return line


def _raise_limit_of_files() -> None:
    """Each connection is an open file, on either side; the processes inherit the limit."""
    if os.name == "posix":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def run(peers: int, mails: int = 200) -> Report:
    """Besiege a server of its own. Raises TimeoutError where the honest ones are not served in time."""
    _raise_limit_of_files()
    with _process("-c", _SERVER, peers) as server:
        port = int(_line(server))
        asyncio.run(_all_honest(port, WARM))
        without = asyncio.run(_all_honest(port, mails))
        with _process("-m", "harness.siege", "--attack", port, "--peers", peers) as attackers:
            _line(attackers)
            under = asyncio.run(_all_honest(port, mails))
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.flush()
        honest, everything = map(int, _line(server).split())
    return Report(peers, without, under, WARM + 2 * mails, honest, everything - honest)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.siege", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", type=int, default=1000)
    parser.add_argument("--mails", type=int, default=200)
    parser.add_argument("--attack", type=int, metavar="PORT", help=argparse.SUPPRESS)  # what the peers' process is told
    asked = parser.parse_args(words)
    if asked.attack is not None:
        with contextlib.suppress(TimeoutError, KeyboardInterrupt):
            asyncio.run(_attack(asked.attack, asked.peers))
        return 0
    report = run(asked.peers, asked.mails)
    print(report)
    return int(report.arrived != report.sent or report.others > 0)


if __name__ == "__main__":
    sys.exit(main())
