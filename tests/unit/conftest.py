"""Time that a test moves by hand, and a next hop that says what a test tells it to."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from smtp_pair.routes import NextHop


@dataclass
class ManualClock:
    """Stands still until it is moved."""

    moment: float = 1_000_000_000.0
    due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> float:
        return self.moment

    def call_at(self, moment: float, callback: Callable[[], None]) -> _Handle:
        entry = moment, next(self._numbers), callback
        self.due.append(entry)
        return _Handle(self, entry)

    def advance(self, seconds: float) -> None:
        """Move on; what falls due is called, in its order."""
        end = self.moment + seconds
        while self.due and min(self.due)[0] <= end:
            entry = min(self.due)
            self.due.remove(entry)
            self.moment = max(self.moment, entry[0])
            entry[2]()
        self.moment = end

    @property
    def next_in(self) -> float:
        """Seconds until something falls due."""
        return min(self.due)[0] - self.moment


@dataclass
class _Handle:
    clock: ManualClock
    entry: tuple[float, int, Callable[[], None]]

    def cancel(self) -> None:
        if self.entry in self.clock.due:
            self.clock.due.remove(self.entry)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


CLOSE, SILENT, RESET = b"<close>", b"<silent>", b"<reset>"
"""What a scripted hop does instead of replying."""

Says = bytes | Sequence[bytes]


class ScriptedHop:
    """A server whose every reply is the test's: ``ScriptedHop({"RCPT": [b"250 a", b"550 b"], "dot": CLOSE})``.

    The keys are "greeting", "dot" (after the content) and the verbs. A list has a reply for each time, its last one
    for all that follow. ``said`` is every command; ``mails`` the contents that were answered with a 2xx to the dot.
    """

    def __init__(self, replies: Mapping[str, Says] | None = None, offers: Sequence[str] = ("PIPELINING",)) -> None:
        self._offers = offers
        self._replies = dict(replies or {})
        self._times: dict[str, int] = {}
        self.said: list[list[bytes]] = []
        """The commands of each connection."""
        self.mails: list[bytes] = []
        """Contents as they came, dots and all, that were taken."""
        self.silent = asyncio.Event()
        """It has come to where it says nothing."""
        self.waiting = 0
        """How many connections have."""
        self._go_on = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.sessions: list[asyncio.Task[None]] = []
        self._server: asyncio.Server
        self.hop = NextHop("127.0.0.1", 0, "hop.test")

    async def start(self) -> ScriptedHop:
        self._server = await asyncio.start_server(self._session, "127.0.0.1", 0, limit=1 << 26)
        self.hop = NextHop("127.0.0.1", self._server.sockets[0].getsockname()[1], "hop.test", tls="off")
        return self

    async def stop(self) -> None:
        self._server.close()
        for task in self.sessions:
            task.cancel()
        await asyncio.gather(*self.sessions, return_exceptions=True)

    def say(self, when: str, says: Says | None) -> None:
        """What to reply from now on; None: as a hop does that minds its business."""
        self._times.pop(when, None)
        if says is None:
            self._replies.pop(when, None)
        else:
            self._replies[when] = says

    def go_on(self) -> None:
        """Say what is usual wherever it was silent."""
        self._go_on.set()

    def hang_up(self, last_words: bytes = b"") -> None:
        """Close every connection, as a server does with idle ones."""
        for writer in self._writers:
            writer.write(last_words)
            writer.close()

    @property
    def connections(self) -> int:
        return len(self.said)

    def verbs(self, connection: int = -1) -> list[str]:
        """The verbs of a connection, in order."""
        return [line[:4].upper().decode() for line in self.said[connection]]

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.sessions.append(task)
        self._writers.add(writer)
        commands: list[bytes] = []
        self.said.append(commands)
        try:
            await self._say(writer, "greeting", b"220 hop.test")
            sender, recipients = False, 0
            while line := await reader.readline():
                commands.append(line.rstrip(b"\r\n"))
                verb = line[:4].upper().decode("latin-1").strip()
                default = b"250 2.0.0 OK"
                if verb == "EHLO":
                    offers = [b"250-%b" % one.encode() for one in self._offers]
                    default = b"\r\n".join([b"250-hop.test", *offers, b"250 X"])
                elif (verb == "RCPT" and not sender) or (verb == "DATA" and not recipients):
                    default = b"503 5.5.1 not yet"
                elif verb == "DATA":
                    default = b"354 go ahead"
                said = await self._say(writer, verb, default)
                if verb == "QUIT":
                    return
                if verb in ("MAIL", "RSET"):
                    sender, recipients = verb == "MAIL" and said.startswith(b"2"), 0
                elif verb == "RCPT":
                    recipients += said.startswith(b"2")
                elif verb == "DATA" and said.startswith(b"354"):
                    content = await _content(reader)
                    sender, recipients = False, 0
                    if re.match(rb"2[0-9][0-9] ", await self._say(writer, "dot", b"250 2.0.0 taken")):
                        self.mails.append(content)
        except (ConnectionError, EOFError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _say(self, writer: asyncio.StreamWriter, when: str, default: bytes) -> bytes:
        says = self._replies.get(when, default)
        if not isinstance(says, bytes):
            number = self._times.get(when, 0)
            self._times[when] = number + 1
            says = says[min(number, len(says) - 1)]
        if says == CLOSE:
            raise EOFError
        if says == RESET:
            writer.transport.abort()
            raise EOFError
        if says == SILENT:
            self.waiting += 1
            self.silent.set()
            await self._go_on.wait()
            says = default
        writer.write(says + b"\r\n")
        await writer.drain()
        return says


async def _content(reader: asyncio.StreamReader) -> bytes:
    lines: list[bytes] = []
    while (line := await reader.readline()) != b".\r\n":
        if not line:
            raise EOFError
        lines.append(line)
    return b"".join(lines)


@pytest_asyncio.fixture
async def pass_time() -> Callable[[float], Awaitable[None]]:
    """Lets so many seconds pass on the running loop, at once, for whoever waits when nothing moves any more."""
    loop = asyncio.get_running_loop()
    ahead = 0.0
    real = loop.time

    async def pass_seconds(seconds: float) -> None:
        nonlocal ahead
        for _ in range(20):  # what was written before is read, and what follows from it is done
            await asyncio.sleep(0)
        ahead += seconds

    loop.time = lambda: real() + ahead  # type: ignore[method-assign]  # the loop is this test's alone
    return pass_seconds


@pytest_asyncio.fixture
async def scripted_hop() -> AsyncIterator[Callable[..., object]]:
    """Starts scripted hops: ``hop = await scripted_hop({"RCPT": b"550 no"})``."""
    running: list[ScriptedHop] = []

    async def start(
        replies: Mapping[str, Says] | None = None,
        offers: Sequence[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE"),
    ) -> ScriptedHop:
        running.append(await ScriptedHop(replies, offers).start())
        return running[-1]

    yield start
    for hop in running:
        await hop.stop()
