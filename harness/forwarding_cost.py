"""What the queue and our client cost for a forwarded mail, without a server of ours at either end.

    python -m harness.forwarding_cost

Processor time: the least of many short series, so that a busy machine does not show. The next hop is a few lines in the
same loop, and is counted as well.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from smtp_pair.clock import SystemClock
from smtp_pair.config import Retry
from smtp_pair.entry import Entry, Outcome, Row
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Recipient
from smtp_pair.notifier import Notifier
from smtp_pair.onward import Onward
from smtp_pair.relay import Relay
from smtp_pair.routes import NextHop
from smtp_pair.spool import Spool

SERIES, MAILS = 60, 200
CONTENT = b"Subject: Hello\r\n\r\n" + b"You will never find a more wretched hive.\r\n" * 20
_HELLO = b"250-hop\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 DSN\r\n"
_GROUP = b"250 2.1.0 sender taken\r\n250 2.1.5 recipient taken\r\n354 send the mail\r\n"


class _Hop(asyncio.Protocol):
    """Answers a pipelined group as it comes, and looks at nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.max_size = 1 << 16  # type: ignore[attr-defined]
        self._transport = transport
        transport.write(b"220 hop ESMTP\r\n")

    def data_received(self, octets: bytes) -> None:
        if octets.startswith(b"EHLO"):
            self._transport.write(_HELLO)
        elif octets.startswith(b"MAIL"):
            self._transport.write(_GROUP)
        elif octets.endswith(b"\r\n.\r\n"):
            self._transport.write(b"250 2.0.0 taken\r\n")


class _Ids:
    def new(self, moment: float) -> str:
        raise AssertionError("nobody is notified here")


def _told(outcome: Outcome) -> None:
    assert outcome.event == "forwarded", outcome


async def measure() -> dict[int, float]:
    """Microseconds a mail, by how many are on their way at once."""
    server = await asyncio.get_running_loop().create_server(_Hop, "127.0.0.1", 0)
    hop = NextHop("127.0.0.1", server.sockets[0].getsockname()[1])
    retry, clock, relay = Retry(60.0), SystemClock(), Relay("smtp.jaku.com")
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(
            Path(folder),
            retry,
            clock,
            durable=False,
            route=lambda address: hop,
            attempt=Onward("smtp.jaku.com", relay, None, _nowhere).attempt,
            report=_told,
            notifier=Notifier("smtp.jaku.com", retry, clock, _Ids()),
            announce=lambda notification: None,
            random=lambda: 0.5,
        )
        figures = {at_once: await _least(spool, at_once, time.process_time) for at_once in (4, 1)}
        await spool.close()
    await relay.close()
    server.close()
    return figures


async def _nowhere(*_: object) -> NoReturn:
    raise AssertionError("nothing is delivered here")


async def _least(spool: Spool, at_once: int, used: Callable[[], float]) -> float:
    recipient, sender = Recipient(Address("vader", "deathstar.com")), Address("obiwan", "jaku.com")
    least = float("inf")
    for _ in range(SERIES):
        began = used()
        for number in range(0, MAILS, at_once):
            for more in range(at_once):
                spool.release(Entry(f"m{number + more}", sender, {}, 1.0, [Row(recipient)], CONTENT))
            await spool.settled()
        least = min(least, (used() - began) / MAILS * 1e6)
    return least


if __name__ == "__main__":
    for at_once, microseconds in asyncio.run(measure()).items():
        print(f"{at_once} at once: {microseconds:.0f} us of processor time a mail")
