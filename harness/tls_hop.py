"""A next hop that speaks TLS, well or badly, and writes down what was said to it before and after the handshake; and
certificates that nobody should trust."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType

import trustme

from smtp_pair import tls

_ANSWERS = {b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n", b"AUTH": b"235 2.7.0 welcome\r\n"}


@dataclass
class Said:
    """One connection: the command lines, with their ends, and the contents."""

    clear: list[bytes] = field(default_factory=list)
    secret: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)


class TlsHop:
    """A server on a thread of its own, for one connection at a time. ``with TlsHop(context) as hop: ...``

    ``offers`` is what EHLO says, before the handshake and after it. ``go`` answers STARTTLS; what it has besides its
    first line is injected: it comes in the clear, in the same segment. ``answers`` are to verbs, ``final`` to a mail.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *offers: str,
        go: bytes = b"220 go ahead\r\n",
        implicit: bool = False,
        answers: Mapping[bytes, bytes] | None = None,
        final: bytes = b"250 OK\r\n",
    ) -> None:
        self._context = context
        self._offers = offers
        self._go = go
        self._implicit = implicit
        self._answers = _ANSWERS | dict(answers or {})
        self._final = final
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connection: socket.socket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="TLS hop")
        self.connections: list[Said] = []

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, for a route."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> TlsHop:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        if self._connection is not None:
            with contextlib.suppress(OSError):  # closed already
                self._connection.shutdown(socket.SHUT_RDWR)
        socket.create_connection(self._listener.getsockname()).close()  # wakes the thread
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            self._connection, _ = self._listener.accept()
            if self._closing:
                self._connection.close()
                return
            said = Said()
            self.connections.append(said)
            with contextlib.suppress(OSError):  # the relay is gone, or does not like the certificate
                if not self._implicit:
                    self._talk(self._connection, said.clear, said)
                if self._implicit or said.clear[-1:] == [b"STARTTLS\r\n"]:
                    self._connection = self._context.wrap_socket(self._connection, server_side=True)
                    self._talk(self._connection, said.secret, said)
            self._connection.close()

    def _talk(self, connection: socket.socket, commands: list[bytes], said: Said) -> None:
        secure = commands is said.secret
        if self._implicit or not secure:
            connection.sendall(b"220 hop.test ESMTP\r\n")
        with connection.makefile("rb", buffering=0) as lines:  # unbuffered: what follows STARTTLS is a handshake
            while line := lines.readline():
                commands.append(line)
                verb = line.split()[0].upper()
                if verb == b"STARTTLS":
                    connection.sendall(self._go)
                    if self._go.startswith(b"220"):
                        return
                    continue
                connection.sendall(self._ehlo(secure) if verb == b"EHLO" else self._answers.get(verb, b"250 OK\r\n"))
                if verb == b"DATA":
                    said.contents.append(_content(lines))
                    connection.sendall(self._final)
                if verb == b"QUIT":
                    return

    def _ehlo(self, secure: bool) -> bytes:
        offers = ["hop.test", *self._offers] + ([] if secure else ["STARTTLS"])
        return b"".join(b"250%b%b\r\n" % (b" " if one is offers[-1] else b"-", one.encode()) for one in offers)


def _content(lines: io.RawIOBase) -> bytes:
    content = b"\r\n"
    while not content.endswith(b"\r\n.\r\n"):
        line = lines.readline()
        if not line:
            break
        content += line
    return content[2:]


# -- certificates -----------------------------------------------------------------------------------------------------


def context(*names: str, authority: trustme.CA | None = None, ended: bool = False) -> ssl.SSLContext:
    """For a server of these names, by the test authority or another one; ``ended``: valid until some years ago."""
    issuer = authority or tls._authority()
    begin, end = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)) if ended else (None, None)
    certificate = issuer.issue_cert(*names, not_before=begin, not_after=end)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


BROKEN: Mapping[str, Callable[[], ssl.SSLContext]] = {
    "expired": lambda: context("127.0.0.1", ended=True),
    "another_name": lambda: context("elsewhere.test"),
    "another_authority": lambda: context("127.0.0.1", authority=trustme.CA()),
}
"""What a server with something wrong about its certificate has, for one that is reached at 127.0.0.1."""
