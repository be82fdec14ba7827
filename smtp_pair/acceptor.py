"""Takes connections for servers that may never get one.

A selector of its own watches the listening sockets, and the event loop watches that selector, as one descriptor. One
socket more or less is said to the selector by whoever starts or stops a server, in his own thread: to say it to the
loop would take two threads and a turn of the loop, which is longer than all else that a start and a stop do.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import selectors
import socket
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

Arrive = Callable[[socket.socket], None]
"""Given each connection, on the loop's thread; it is theirs to close."""

_AT_ONCE = 100
"""Connections taken from one socket before others have their turn."""
_PAUSE = 1.0
"""Seconds that a socket is left alone when there is no descriptor, or no memory, for another connection."""
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """The listening sockets of one loop. Made before the loop runs; :meth:`open` and :meth:`close` in any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, nested: bool | None = None) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._tasks: dict[socket.socket, asyncio.Task[None]] = {}
        # A selector is watched by another where it is a descriptor itself: epoll's and kqueue's are, Windows' is not.
        self._nested = hasattr(self._selector, "fileno") if nested is None else nested
        if self._nested:
            loop.add_reader(self._selector, self._ready)

    def open(self, sock: socket.socket, arrive: Arrive) -> None:
        """Give the connections to a listening socket to ``arrive``, from now on. Raises OSError."""
        if self._nested:
            with self._lock:
                self._selector.register(sock, selectors.EVENT_READ, arrive)
        else:
            self._loop.call_soon_threadsafe(self._begin, sock, arrive)

    def close(self, sock: socket.socket) -> None:
        """Close a listening socket, opened or not. When this returns nothing arrives any more."""
        if self._nested:
            with self._lock:
                self._unwatch(sock)
                sock.close()
        elif self._on_loop():
            self._end(sock)
        else:
            asyncio.run_coroutine_threadsafe(self._end_soon(sock), self._loop).result()

    def dispose(self) -> None:
        """The loop is ending."""
        if self._nested:
            self._loop.remove_reader(self._selector)
        self._selector.close()

    # -- as one descriptor of the loop -------------------------------------------------------------------------------

    def _ready(self) -> None:
        with self._lock:
            for key, _ in self._selector.select(0):
                assert isinstance(key.fileobj, socket.socket)
                self._accept(key.fileobj, key.data)

    def _accept(self, sock: socket.socket, arrive: Arrive) -> None:
        for _ in range(_AT_ONCE):
            try:
                wire, _ = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # gone before it was taken
            except OSError as error:
                if error.errno not in _USED_UP:
                    log.exception("a connection could not be taken")
                    return
                log.error("no connection can be taken for %g s: %s", _PAUSE, error.strerror)
                self._unwatch(sock)
                self._loop.call_later(_PAUSE, self._again, sock, arrive)
                return
            _hand_over(wire, arrive)

    def _again(self, sock: socket.socket, arrive: Arrive) -> None:
        with self._lock:
            if sock.fileno() >= 0:  # not closed meanwhile
                self._selector.register(sock, selectors.EVENT_READ, arrive)

    def _unwatch(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0 and sock in self._selector.get_map():
            self._selector.unregister(sock)

    # -- or as a task for each: Windows ------------------------------------------------------------------------------

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _begin(self, sock: socket.socket, arrive: Arrive) -> None:
        if sock.fileno() >= 0:  # not closed meanwhile
            self._tasks[sock] = self._loop.create_task(self._serve(sock, arrive))

    async def _serve(self, sock: socket.socket, arrive: Arrive) -> None:
        while True:
            try:
                wire, _ = await self._loop.sock_accept(sock)
            except OSError as error:
                if sock.fileno() < 0:
                    return
                log.error("no connection can be taken for %g s: %s", _PAUSE, error.strerror)
                await asyncio.sleep(_PAUSE)
            else:
                _hand_over(wire, arrive)

    def _end(self, sock: socket.socket) -> None:
        task = self._tasks.pop(sock, None)
        if task is not None:
            task.cancel()
        sock.close()

    async def _end_soon(self, sock: socket.socket) -> None:
        self._end(sock)
        await asyncio.sleep(0)


def _hand_over(wire: socket.socket, arrive: Arrive) -> None:
    try:
        arrive(wire)
    except Exception:
        log.exception("a connection could not be served")
        wire.close()
