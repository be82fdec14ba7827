"""A connection that never blocks for longer than it is told: octets out, replies in, TLS in between."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field

from harness.wire_scripts.expectation import Answer, Came, Closed, Improper, Nothing
from harness.wire_scripts.subject import Tls

LINE_LIMIT = 512
"""Octets of a line of a reply, CRLF included (RFC 5321 4.5.3.1.5)."""
LONGEST_REPLY = 1 << 16
"""Octets of a reply; one that is longer has no end."""
MOST_HEARD = 4 << 20
"""Octets that a server may say without being asked to; whoever says more is stopped listening to."""
_ALERT = re.compile(rb"\x15\x03[\0-\x04]\0\x02..", re.DOTALL)
"""An alert of TLS, in the clear: how a server closes that was sent no handshake (RFC 8446 6.2)."""
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n]*))?\r\n", re.DOTALL)


def trusting_context() -> ssl.SSLContext:
    """For whoever the server is: what is looked at is what it says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(
    host: str, port: int, patience: float, deadline: float, *, tls: Tls = "", context: ssl.SSLContext | None = None
) -> Connection:
    """A connection whose next reply is the greeting; in TLS if so told. Raises OSError where there is none.

    RFC 3207 4.2: at the upgrade both sides forget what was said, so what follows is a session from its beginning. Its
    greeting is the one that was heard in the clear."""
    connection = Connection(host, port, patience, deadline)
    if not tls:
        return connection
    try:
        greeting = connection.greeted_and_asked_for_tls() if tls == "starttls" else b""
        if wrong := connection.start_tls(context or trusting_context()):
            raise OSError(wrong)
    except OSError:
        connection.close()
        raise
    connection.heard += greeting
    return connection


@dataclass(slots=True)
class Connection:
    """One connection to HOST:PORT. Raises OSError where there is none within ``patience`` seconds."""

    host: str
    port: int
    patience: float
    deadline: float
    """When all has to be over, of ``time.monotonic``."""
    heard: bytearray = field(default_factory=bytearray, init=False)
    """What came and was not yet looked at."""
    over: bool = field(default=False, init=False)
    """Whether the server has closed."""
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._socket = socket.create_connection((self.host, self.port), max(0.01, self._until() - time.monotonic()))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)

    def _until(self) -> float:
        return min(self.deadline, time.monotonic() + self.patience)

    # -- out -----------------------------------------------------------------------------------------------------

    def send(self, octets: bytes) -> int:
        """Send these, listening all the while: a server that answers before it has read all must not wait for us. How
        many could not be sent; that is no error, for what the server says of it tells more."""
        view = memoryview(octets)
        until = self._until()
        while view and not self.over:
            left = until - time.monotonic()
            if left <= 0:
                break
            readable, writable, _ = select.select([self._socket], [self._socket], [], left)
            if readable:
                self._hear()
            if writable:
                try:
                    # no more than a record of TLS: what was refused has to be offered again as it was
                    view = view[self._socket.send(view[: 1 << 14]) :]
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                    continue
                except OSError:
                    break
        return len(view)

    def start_tls(self, context: ssl.SSLContext) -> str:
        """Begin TLS; what went wrong, "" where nothing did."""
        if self.heard:  # RFC 3207 4.2: nothing is said between the 220 and the handshake
            return f"octets in the clear before the handshake: {bytes(self.heard[:80])!r}"
        self._socket.settimeout(max(0.01, self._until() - time.monotonic()))
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=self.host)
        except (OSError, ValueError) as error:
            self.over = True
            return f"no TLS: {error}"
        self._socket.setblocking(False)
        return ""

    def greeted_and_asked_for_tls(self) -> bytes:
        """The octets of the greeting; STARTTLS was answered with 220. Raises OSError where it was not."""
        greeting = self.answer()[1]
        for line, code in ((b"EHLO client.example\r\n", 250), (b"STARTTLS\r\n", 220)):
            self.send(line)
            came, _ = self.answer()
            if not (isinstance(came, Answer) and came.code == code):
                raise OSError(f"no TLS: {came} to {line.split()[0].decode()}")
        return greeting

    def half_close(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break it: the server gets a reset, not an end."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.over = True
        self._socket.close()

    # -- in ------------------------------------------------------------------------------------------------------

    def answer(self, seconds: float | None = None) -> tuple[Came, bytes]:
        """The next reply, or what came instead, and its octets; waits for it for so many seconds, else for
        ``patience``."""
        until = self._until() if seconds is None else min(self.deadline, time.monotonic() + seconds)
        raw, texts, code = b"", [], 0
        while True:
            line = self._line(until)
            if not line.endswith(b"\n"):
                return self._unfinished(raw + line)
            raw += line
            match = _LINE.fullmatch(line)
            if match is None:
                return Improper(raw, "not 250 TEXT and CRLF"), raw
            if code and code != int(match[1]):
                return Improper(raw, "two codes"), raw
            if len(line) > LINE_LIMIT:
                return Improper(raw, f"a line of {len(line)} octets"), raw
            code = int(match[1])
            texts.append((match[3] or b"").decode("utf-8", "backslashreplace"))
            if match[2] != b"-":
                return Answer(code, tuple(texts)), raw
            if len(raw) > LONGEST_REPLY:
                return Improper(raw, "it does not end"), raw

    def _unfinished(self, raw: bytes) -> tuple[Came, bytes]:
        if raw and not (self.over and _ALERT.fullmatch(raw)):
            return Improper(raw, "it ends in the middle" if self.over else "it does not go on"), raw
        return (Closed() if self.over else Nothing()), b""

    def _line(self, until: float) -> bytes:
        """One line with its LF; less where no more comes."""
        while (end := self.heard.find(b"\n")) < 0 and not self.over and len(self.heard) < MOST_HEARD:
            left = until - time.monotonic()
            waiting = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
            if left <= 0 or not (waiting or select.select([self._socket], [], [], left)[0]):
                break
            self._hear()
        end = len(self.heard) if end < 0 else end + 1
        line = bytes(self.heard[:end])
        del self.heard[:end]  # which is cheap, at the front
        return line

    def _hear(self) -> None:
        try:
            more = self._socket.recv(1 << 16)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except OSError:
            more = b""
        if more and len(self.heard) < MOST_HEARD:
            self.heard += more
        else:
            self.over = True
