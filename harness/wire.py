"""A client that sends exactly the octets it is told to, and keeps all that was said: for tests of what goes over the
wire.

    client.say(b"MAIL FROM:<luke@a.test>\\r\\nRCPT TO:<leia@a.test>\\r\\n")
    assert client.reply() == ...                           the replies are read one by one, whole
    assert client.ask(b"NOOP").code == 250                 a line and its reply

Every reply is looked at as it is read: CRLF at each end, 512 octets at most (C21), one code, one enhanced code of its
class on every line or on none (C25). What is wrong, or does not come in time, is a WireError that shows the whole
conversation.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator

from smtp_pair.mail.reply import LINE_LIMIT, Reply

PATIENCE = 15.0
"""Seconds that a server may take to say something; a failure, not a measurement."""
NAME = b"client.example"

_SHOWN = 300  # octets of one piece in a conversation that is shown
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])([ -])(?:([0-9]\.[0-9]{1,3}\.[0-9]{1,3}) )?[^\x00-\x1f\x7f]*\r\n")


class WireError(AssertionError):
    """The server said what it must not, or nothing; the text shows the conversation."""


class Wire:
    """One connection to a server. Blocking; for one thread."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None, patience: float = PATIENCE) -> None:
        self._said: list[tuple[str, bytes]] = []
        self._unread = b""
        self.raw: list[bytes] = []
        """The lines of the last reply, as they came."""
        self._socket = socket.create_connection((host, port), patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.starttls(tls)

    # -- what the client does ------------------------------------------------------------------------------------------

    def say(self, octets: bytes, *, cuts: Iterable[int] = ()) -> None:
        """Send exactly these octets; cut at these places, each piece in a write of its own."""
        self._said.append(("C", octets))
        start = 0
        try:
            for end in [*sorted(set(cuts)), len(octets)]:
                self._socket.sendall(octets[start:end])
                start = end
        except OSError as error:
            raise self._error(f"nothing can be sent: {error}") from None

    def ask(self, line: bytes) -> Reply:
        """Send a line, CRLF is added, and read the reply."""
        self.say(line + b"\r\n")
        return self.reply()

    def hello(self, name: bytes = NAME) -> Reply:
        """EHLO, and its reply, which has to be 250."""
        return self._must(self.ask(b"EHLO " + name), 250)

    def open(self, *recipients: str, sender: str = "luke@example.org", parameters: str = "") -> None:
        """Begin a transaction: MAIL and RCPT, all of which have to be accepted."""
        self._must(self.ask(f"MAIL FROM:<{sender}> {parameters}".rstrip().encode()), 250)
        for recipient in recipients:
            self._must(self.ask(f"RCPT TO:<{recipient}>".encode()), 250)

    def data(self, content: bytes, *, end: bytes = b".\r\n") -> Reply:
        """DATA, its 354, then the content as it is and its end; the reply to the mail."""
        self._must(self.ask(b"DATA"), 354)
        self.say(content + end)
        return self.reply()

    def starttls(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        """Begin TLS, now."""
        if self._unread:
            raise self._error(f"octets came before the handshake: {self._unread!r}")
        self._said.append(("-", b"TLS"))
        self._socket = context.wrap_socket(self._socket, server_hostname=name)

    def half_close(self) -> None:
        """Say that there is nothing more to come, and go on listening."""
        self._said.append(("C", b"<no more>"))
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection: the server gets a reset, not an end."""
        self._said.append(("C", b"<reset>"))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    # -- what the server says ------------------------------------------------------------------------------------------

    def reply(self) -> Reply:
        """The next reply, whole."""
        self.raw = list(self._lines())
        self._said.append(("S", b"".join(self.raw)))
        self._look_at(self.raw)
        return Reply.parse(self.raw)

    def replies(self, count: int) -> list[Reply]:
        """The next replies."""
        return [self.reply() for _ in range(count)]

    def expect_close(self) -> None:
        """The server says nothing more and closes; without a reset, which could cost the client its last reply."""
        if self._unread or (more := self._receive()):
            raise self._error(f"the connection should be closed, and this came: {self._unread or more!r}")
        self._said.append(("S", b"<closed>"))

    def _lines(self) -> Iterator[bytes]:
        line = b"   -"
        while line[3:4] == b"-":
            while (end := self._unread.find(b"\n")) < 0:
                more = self._receive()
                if not more:
                    raise self._error(f"the connection was closed where a reply should be, after {self._unread!r}")
                self._unread += more
            line, self._unread = self._unread[: end + 1], self._unread[end + 1 :]
            yield line

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except TimeoutError:
            raise self._error(f"nothing came for {self._socket.gettimeout():g} s") from None
        except OSError as error:
            raise self._error(f"the connection broke: {error}") from None

    def _look_at(self, lines: list[bytes]) -> None:
        matches = [_REPLY_LINE.fullmatch(line) for line in lines]
        starts = {(match[1], match[3]) for match in matches if match is not None}
        if None in matches or len(starts) != 1 or any(len(line) > LINE_LIMIT for line in lines):
            raise self._error(f"no proper reply: {lines!r}")
        [(code, enhanced)] = starts
        if enhanced is not None and enhanced[:1] != code[:1]:
            raise self._error(f"the enhanced code's class is not that of the reply: {lines!r}")

    def _must(self, reply: Reply, code: int) -> Reply:
        if reply.code != code:
            raise self._error(f"{code} was expected, not {reply}")
        return reply

    # -- for people ----------------------------------------------------------------------------------------------------

    @property
    def conversation(self) -> str:
        """All that was said, a line for each piece."""
        return "\n".join(f"{who}: {_shown(octets)}" for who, octets in self._said)

    def _error(self, why: str) -> WireError:
        return WireError(f"{why}\n{self.conversation}")


def codes(reply: Reply) -> str:
    """The code and the enhanced code of a reply: ``550 5.1.1``."""
    return f"{reply.code} {reply.enhanced}".rstrip()


def _shown(octets: bytes) -> str:
    text = repr(octets[:_SHOWN])[2:-1]
    return f"{text} ... {len(octets):,} octets" if len(octets) > _SHOWN else text
