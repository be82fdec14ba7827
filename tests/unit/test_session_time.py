"""How long a session lasts, by a clock that the test moves: nobody waits here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from smtp_pair.config import Limits
from smtp_pair.house import House, Receipt
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import Rules, Visit
from smtp_pair.session import Session

IDLE, WHOLE = 300.0, 3600.0
TRANSACTION = b"EHLO a\r\nMAIL FROM:<luke@a.test>\r\nRCPT TO:<leia@a.test>\r\nDATA\r\n"

pytestmark = pytest.mark.asyncio


class OpenDoor:
    def recipient(self, address: Address, visit: Visit) -> Reply:
        return reply.RECIPIENT_OK


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


class Client:
    """The other end of one session, and the time on the session's clock."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, house: House, taken: asyncio.Future[Receipt]
    ) -> None:
        self.now = loop.time()
        self.house = house
        self.taken = taken
        self._loop = loop
        self._socket = sock

    async def heard(self) -> bytes:
        """All that was said since; b"" if nothing was."""
        await turns()
        said = b""
        while True:
            try:
                more = self._socket.recv(1 << 16)
            except BlockingIOError:
                return said
            if not more:
                return said + b"<closed>"
            said += more

    async def say(self, octets: bytes) -> bytes:
        await self._loop.sock_sendall(self._socket, octets)
        return await self.heard()

    async def after(self, seconds: float) -> bytes:
        """What is said when so much time has passed."""
        self.now += seconds
        return await self.heard()


@pytest_asyncio.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    taken: asyncio.Future[Receipt] = loop.create_future()
    rules = Rules("a.test", 1 << 20, Limits(idle=IDLE, session=WHOLE, commands=10**6))
    house = House(rules, OpenDoor(), lambda *_: taken, lambda *_: None)
    made = Client(loop, ours, house, taken)
    monkeypatch.setattr(loop, "time", lambda: made.now)
    transport, session = await loop.connect_accepted_socket(lambda: Session(house, loop), theirs)
    assert (await made.heard()).startswith(b"220 ")
    with ours:
        yield made
    session.end(reply.SHUTTING_DOWN)
    await session.ended()
    transport.abort()
    await turns()
    assert not house.sessions


async def test_idle_to_the_second(client: Client) -> None:
    """C22: nothing before the time is over, 421 4.4.2 then."""
    assert await client.after(IDLE - 0.1) == b""
    assert (await client.after(0.2)).startswith(b"421 4.4.2 ")


@pytest.mark.parametrize("begun", [b"EHLO a\r\nNO", TRANSACTION, TRANSACTION.replace(b"DATA", b"BDAT 99") + b"x"])
async def test_an_octet_is_a_sign_of_life(client: Client, begun: bytes) -> None:
    """In a command, in a mail and in a chunk: from each one on the time begins anew."""
    await client.say(begun)
    for _ in range(5):
        assert await client.after(IDLE - 1) == b""
        assert await client.say(b"x") == b""
    assert (await client.after(IDLE + 1)).startswith(b"421 4.4.2 ")


async def test_a_session_to_the_second(client: Client) -> None:
    """C22: however lively, it ends; and with the reason that is the right one."""
    for _ in range(int(WHOLE / 100) - 1):
        assert await client.after(100) == b""
        assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")
    assert await client.after(99.9) == b""
    assert (await client.after(0.2)).startswith(b"421 4.4.2 this session has lasted")


async def test_our_own_time_is_not_the_client_s(client: Client) -> None:
    """While a mail is being stored nobody is idle: the client waits for us. Afterwards it has its whole time again."""
    await client.say(TRANSACTION)
    assert await client.say(b"Subject: Slow\r\n\r\n.\r\n") == b""
    for _ in range(8):
        assert await client.after(IDLE) == b""
    assert await client.after(IDLE / 2) == b""
    client.taken.set_result(Receipt(reply.stored("1"), lambda: None))
    assert (await client.heard()).startswith(b"250 2.0.0 ")
    assert await client.after(IDLE - 1) == b""
    assert (await client.after(2)).startswith(b"421 4.4.2 nothing heard")


async def test_a_mail_is_not_cut_off_by_the_end_of_a_session(client: Client) -> None:
    """One that has come whole gets its reply, however late; then the session is over."""
    await client.say(TRANSACTION)
    assert await client.say(b"Subject: Slow\r\n\r\n.\r\n") == b""
    for _ in range(int(WHOLE / IDLE) + 5):
        assert await client.after(IDLE) == b""
    client.taken.set_result(Receipt(reply.stored("1"), lambda: None))
    assert (await client.heard()).startswith(b"250 2.0.0 ")
    assert (await client.after(IDLE)).startswith(b"421 4.4.2 ")


async def test_whoever_does_not_read_is_dropped(client: Client) -> None:
    """The last word is not read either; a moment later the connection is dropped, and its slot is free."""
    with contextlib.suppress(BlockingIOError):
        while True:
            client._socket.send(b"HELP\r\n" * 100)
            await turns()
    client.now += IDLE + 1
    await turns()
    assert len(client.house.sessions) == 1, "it has not waited for the client"
    client.now += 2
    await turns()
    assert not client.house.sessions
