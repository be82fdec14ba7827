"""Plays a fuzzer's scripts to a server over the loopback: with TLS, and with clients that are gone in every way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from itertools import pairwise
from pathlib import Path
from typing import Self

from harness.findings import Finding, Watch
from harness.rehearsal import Rehearsal
from harness.scripts import Action, Script
from harness.wire import Wire
from smtp_pair import Domain, Network, background
from smtp_pair.config import Limits
from smtp_pair.house import House
from smtp_pair.mail import reply
from smtp_pair.mail.reply import Reply

PATIENCE = 10.0
"""Seconds until a reply that is due, or the end of a session, does not come any more."""
FORGET = 100
"""Scripts after which the mails that they have left are removed."""
_LINGER = struct.pack("ii", 1, 0)


class SocketTrial:
    """A running server, watched. ``implicit``: it speaks TLS from the first octet on."""

    def __init__(self, *, implicit: bool = False) -> None:
        self._implicit = implicit
        self._network = Network(
            Domain(
                "jaku.com",
                tls="implicit" if implicit else "offered",
                auth={"vader": "darkside"},
                unreachable="ignore",
                size=2000,
                limits=Limits(errors=10, commands=100, recipients=4),
            )
        )
        self._context = self._network.client_context()
        self._watch = Watch()
        self._played = 0

    def __enter__(self) -> Self:
        self._network.start()
        self._server = self._network["jaku.com"]
        self._watch.__enter__()
        background.loop().set_exception_handler(self._watch.uncaught)
        self._honest()
        return self

    def __exit__(self, *_: object) -> None:
        background.loop().set_exception_handler(None)
        self._watch.__exit__()
        self._network.__exit__(None, None, None)

    @property
    def _house(self) -> House:
        assert self._server._running is not None
        return self._server._running._house

    def play(self, script: Script) -> None:
        """Raises Finding. A server that expects TLS gets the script with it, and without."""
        self._play(("TLS", *script) if self._implicit else script)
        if self._implicit:
            self._play(script)

    def _play(self, script: Script) -> None:
        before = background.run(self._open())
        try:
            _Client(self._server.port, self._house, self._context).play(script)
        finally:
            left = background.run(self._left(before))
        self._watch.look()
        if left:
            raise Finding(f"the client is gone, and there is still {left}")
        self._honest()
        if left := background.run(self._left(before)):
            raise Finding(f"of an honest client there is still {left}")
        self._played += 1
        if self._played % FORGET == 0:
            with self._network.fresh():
                pass

    def _honest(self) -> None:
        context = self._context if self._implicit else None
        client = Wire(self._server.host, self._server.port, tls=context, patience=PATIENCE)
        try:
            client.reply()
            client.hello()
            client.open("luke@jaku.com")
            said = client.data(b"Subject: x\r\n\r\nx\r\n")
            client.ask(b"QUIT")
            client.expect_close()
        finally:
            client.close()
        if said.code != 250:
            raise Finding(f"an honest client is told {said}")

    async def _left(self, before: tuple[int, int]) -> str:
        """Wait until no session, task or socket is left; what is, when that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                # No event tells of it.
                while self._house.sessions or self._house.peers or await self._more(before):  # noqa: ASYNC110
                    await asyncio.sleep(0.0005)
                return ""
        return f"{self._house.sessions}, {self._house.peers}, {asyncio.all_tasks()}, before {before}"

    async def _more(self, before: tuple[int, int]) -> bool:
        return any(now > then for now, then in zip(await self._open(), before, strict=True))

    async def _open(self) -> tuple[int, int]:
        """How many tasks there are, and how many sockets."""
        return len(asyncio.all_tasks()), _sockets()


def _sockets() -> int:
    """How many sockets the process has open; 0 where it can't be known."""
    folder = Path("/proc/self/fd")
    links = []
    for link in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(OSError):  # that of the listing itself
            links.append(os.readlink(link))
    return sum(link.startswith("socket:") for link in links)


class _Client:
    """One script's client, and the rehearsal of what it has to be told."""

    def __init__(self, port: int, house: House, context: ssl.SSLContext) -> None:
        self._rehearsal = Rehearsal(house.rules, house.door, lambda *_: reply.stored("it"))
        self._implicit = house.implicit
        self._context = context
        self._secure = False
        self._unread = b""
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def _handshake(self) -> bool:
        """Whether the server waits for one."""
        return self._rehearsal.handshake or (self._implicit and not self._secure)

    def play(self, script: Script) -> None:
        """Raises Finding."""
        try:
            if not self._handshake:
                self._compare()
            for action, following in pairwise((*script, "half close", "hang up")):
                if not self._do(action, following):
                    return
        except OSError as error:
            raise Finding(f"the connection: {error}") from error
        finally:
            self._socket.close()

    def _do(self, action: Action, following: Action) -> bool:
        """Whether there can be another action."""
        if isinstance(action, bytes):
            return self._say(action, gone=following in ("hang up", "reset"))
        if action == "TLS":
            return self._start_tls() if self._handshake else True
        if action == "half TLS":
            self._socket.sendall(self._hello() if self._handshake else b"")
            return not self._handshake
        if action == "half close" and not self._secure and not self._handshake:
            self._socket.shutdown(socket.SHUT_WR)
            self._rehearsal.hear_no_more()
            self._compare()
        if action == "reset":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        return False

    def _start_tls(self) -> bool:
        self._socket = self._context.wrap_socket(self._socket, server_hostname="localhost")
        self._secure = True
        self._rehearsal.secured()
        if self._implicit:
            self._compare()
        return True

    def _hello(self) -> bytes:
        """The first half of a handshake."""
        sent = ssl.MemoryBIO()
        talk = self._context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            talk.do_handshake()
        hello = sent.read()
        return hello[: len(hello) // 2]

    def _say(self, octets: bytes, *, gone: bool) -> bool:
        no_tls = self._handshake
        self._rehearsal.hear(octets)
        self._socket.sendall(octets)
        if no_tls or gone:
            return gone and not no_tls
        self._compare()
        return not self._rehearsal.over

    def _compare(self) -> None:
        """Read the replies that are due, and where it is over the end."""
        for due in self._rehearsal.due():
            said = self._reply()
            if said != due and (said.code, said.enhanced, "taken as") != (due.code, due.enhanced, due.text[:8]):
                raise Finding(f"it says {said}, and {due} is due")
        # With TLS there is no half close: the server lingers for a moment, until its client has read its last word.
        if self._rehearsal.over and (more := self._unread + (b"" if self._secure else self._receive())):
            raise Finding(f"it says {more!r}, and nothing is due but the end")

    def _reply(self) -> Reply:
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            while b"\n" not in self._unread:
                more = self._receive()
                if not more:
                    raise Finding("it has closed, and a reply is due")
                self._unread += more
            line, _, self._unread = self._unread.partition(b"\n")
            lines.append(line + b"\n")
        return Reply.parse(lines)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except TimeoutError:
            raise Finding(f"nothing is said for {PATIENCE:g} s") from None
