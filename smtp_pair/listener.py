"""Listening sockets, bound by the caller: the port is known, and a client can connect, before the loop has moved."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Sequence

from smtp_pair.mail.errors import StartError

_BACKLOG = 1024
_TRIES = 32


def listen(host: str, port: int, whose: str) -> list[socket.socket]:
    """Sockets that listen on ``host``; for ``localhost`` on IPv4 and, where the machine has it, IPv6, on one port.

    Raises StartError, at once, that names the port and what is wrong with it.
    """
    if host != "localhost":
        return [_socket(host, port, whose)]
    first = _socket("127.0.0.1", port, whose)
    for attempt in range(_TRIES):
        try:
            return [first, _socket("::1", first.getsockname()[1], whose)]
        except StartError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]  # the machine has no IPv6
            if port or attempt == _TRIES - 1:
                first.close()
                raise
        first.close()  # the free port was free on IPv4 only: try another
        first = _socket("127.0.0.1", 0, whose)
    raise AssertionError("unreachable: the last round returns or raises")


class Door:
    """The port of a running server, which may be shut without being given up: nobody else gets it meanwhile. On the
    event loop's thread only."""

    def __init__(
        self, make: Callable[[], asyncio.BaseProtocol], whose: str, is_down: Callable[[], bool], cut: Callable[[], None]
    ) -> None:
        self._make = make
        self._whose = whose
        self._is_down = is_down
        self._cut = cut
        self._open: list[asyncio.Server] = []
        self._kept: list[socket.socket] = []

    @property
    def shut(self) -> bool:
        """Whether connections are refused."""
        return bool(self._kept)

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """Answer at these sockets, which listen; unless nobody is to."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            self._open.append(await loop.create_server(self._make, sock=sock, backlog=_BACKLOG))
        await self.follow()

    async def follow(self) -> None:
        """Be open, or shut, as it ought to be now."""
        if self._is_down() and not self.shut:
            self._shut()
            self._cut()
        elif self.shut and not self._is_down():
            await self._reopen()

    def close(self) -> None:
        """Give the port up."""
        for server in self._open:
            server.close()
        for sock in self._kept:
            sock.close()
        self._open, self._kept = [], []

    def _shut(self) -> None:
        """Refuse connections from now on. Raises StartError when somebody else was quick enough to take the port."""
        places = [sock.getsockname()[:2] for server in self._open for sock in server.sockets]
        self.close()
        self._kept = [_socket(host, port, self._whose, listens=False) for host, port in places]

    async def _reopen(self) -> None:
        """Answer again, at the same port."""
        kept, self._kept = self._kept, []
        for sock in kept:
            sock.listen(_BACKLOG)
        await self.open(kept)


def _socket(host: str, port: int, whose: str, *, listens: bool = True) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # With proto=0 asyncio leaves Nagle's algorithm on, and each mail takes 43 ms instead of one.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise StartError(error.errno, f"{whose}: no socket: {error.strerror}") from None
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections must not block a restart
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        if listens:
            sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        why = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise StartError(error.errno, f"{whose} can't listen on {place}: {why}") from None
    return sock
