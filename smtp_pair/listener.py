"""Listening sockets, bound by the caller: the port is known, and a client can connect, before the loop has moved."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from smtp_pair.acceptor import Acceptor, Arrive
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
    """The port of a server, which may be shut without being given up: nobody else gets it meanwhile. In any thread."""

    def __init__(self, sockets: list[socket.socket], whose: str, acceptor: Callable[[], Acceptor]) -> None:
        self.port: int = sockets[0].getsockname()[1]
        """The TCP port."""
        self.shut = False
        """Whether connections are refused."""
        self._sockets = sockets  # which listen; while it is shut, they only keep the port
        self._whose = whose
        self._acceptor = acceptor
        self._arrive: Arrive | None = None
        self._lock = threading.Lock()

    def open(self, arrive: Arrive) -> None:
        """Give the connections that come to ``arrive``, from now on; unless it is shut."""
        with self._lock:
            self._arrive = arrive
            self._take_connections()

    def shut_or_reopen(self, *, shut: bool) -> None:
        """Refuse connections, or answer again, at the same port. Raises StartError when somebody else was quick enough
        to take it."""
        with self._lock:
            if shut == self.shut or not self._sockets:
                return
            if shut:
                places = [sock.getsockname()[:2] for sock in self._sockets]
                self._close()
                self._sockets = [_socket(host, port, self._whose, listens=False) for host, port in places]
            else:
                try:
                    for sock in self._sockets:
                        sock.listen(_BACKLOG)
                except OSError as error:
                    raise _cannot_listen(self._whose, self._sockets[0].getsockname(), error) from None
            self.shut = shut
            self._take_connections()

    def close(self) -> None:
        """Give the port up. When this returns nobody comes any more."""
        with self._lock:
            self._close()

    def _take_connections(self) -> None:
        if self._arrive is not None and not self.shut:
            for sock in self._sockets:
                self._acceptor().open(sock, self._arrive)

    def _close(self) -> None:
        for sock in self._sockets:
            if self._arrive is None or self.shut:
                sock.close()
            else:
                self._acceptor().close(sock)
        self._sockets = []


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
        raise _cannot_listen(whose, (host, port), error) from None
    return sock


def _cannot_listen(whose: str, place: tuple[Any, ...], error: OSError) -> StartError:
    host, port = place[:2]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    why = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return StartError(error.errno, f"{whose} can't listen on {where}: {why}")
