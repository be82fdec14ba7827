"""A next hop that offers what it is told, takes every mail and writes down every octet of it; for tests of a relay."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import BinaryIO

GREETING = b"220 hop.test ESMTP\r\n"
_ANSWERS = {b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}


class ScriptedHop:
    """A server with a thread for each connection. ``with ScriptedHop("PIPELINING") as hop: ...``

    Nothing in it is strict: what a relay says has to be looked at by the test.
    """

    def __init__(self, *offers: str) -> None:
        self._hello = ["hop.test", *offers]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._closing = False
        self._threads = [threading.Thread(target=self._serve, name="scripted hop")]
        self.commands: list[bytes] = []
        """Every command line, with its end."""
        self.contents: list[bytes] = []
        """What came after DATA, as it went over the wire, with its end."""

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, for a route."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def said(self, verb: bytes) -> list[bytes]:
        """The commands of that verb."""
        return [line for line in self.commands if line.upper().startswith(verb)]

    def __enter__(self) -> ScriptedHop:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        socket.create_connection(self._listener.getsockname()).close()  # wakes the first thread
        self._threads[0].join()
        for connection in self._connections:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._answer, args=[connection], name="scripted hop"))
            self._threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as said, contextlib.suppress(OSError):  # the relay may go
            self._talk(connection, said)

    def _talk(self, connection: socket.socket, said: BinaryIO) -> None:
        connection.sendall(GREETING)
        while line := said.readline():
            self.commands.append(line)
            verb = line[:4].upper()
            connection.sendall(self._ehlo() if verb == b"EHLO" else _ANSWERS.get(verb, b"250 OK\r\n"))
            if verb == b"DATA":
                self.contents.append(_content(said))
                connection.sendall(b"250 OK\r\n")
            if verb == b"QUIT":
                return

    def _ehlo(self) -> bytes:
        *lines, last = self._hello
        return b"".join(b"250-%b\r\n" % line.encode() for line in lines) + b"250 %b\r\n" % last.encode()


def _content(said: BinaryIO) -> bytes:
    content = b"\r\n"
    while not content.endswith(b"\r\n.\r\n"):
        line = said.readline()
        if not line:
            break
        content += line
    return content[2:]
