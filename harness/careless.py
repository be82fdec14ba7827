"""A mail server that is made wrong in one way at a time, to see whether a dialogue notices: a test that can't fail
proves nothing.

Without a wrong it keeps the rules about where a mail ends, what STARTTLS forgets, what a chunk is and where a line
ends; it stores nothing.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from smtp_pair import tls

END = b"\r\n.\r\n"
OFFERS = ("SIZE 1000000", "PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN")
MOST = 2000
"""Octets of a command line."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What the server does wrong. Nothing, unless told."""

    end: bytes = b""
    """Octets that it takes for the end of a mail, beside the right ones."""
    blind_to_nul: bool = False
    """Looks for the end of a mail as if there were no NULs in it."""
    keeps_buffer: bool = False
    """Executes in TLS what came in the clear behind STARTTLS (CVE-2011-0411)."""
    answers_in_the_clear: bool = False
    """Executes what came behind STARTTLS before the handshake."""
    keeps_state: bool = False
    """Remembers, in TLS, what was said in the clear."""
    reads_refused_chunks: bool = False
    """Takes the octets of a chunk that it refused for commands."""
    dots_end_chunks: bool = False
    """Takes a line of one dot in a chunk for the end of it."""
    cuts_lines: int = 0
    """Takes what is beyond so many octets of a line for the next one."""
    obeys_in_auth: bool = False
    """Takes what is sent in place of a response to AUTH for a command."""
    greets: str = "220 careless.example ESMTP"
    says: str = ""
    """Answers this to every command, whatever it is."""


class CarelessServer:
    """Listens on an ephemeral port of this machine, one thread for each client. A context manager."""

    def __init__(self, wrong: Wrong | None = None) -> None:
        self._wrong = wrong or Wrong()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]

    def __enter__(self) -> CarelessServer:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close alone does not wake accept
        self._listener.close()
        self._threads[0].join()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for client in self._clients:
            client.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # it waits until it is heard
        session = _Session(client, self._wrong)
        with contextlib.suppress(OSError, EOFError):
            session.serve()
        session.close()


class _Session:
    def __init__(self, client: socket.socket, wrong: Wrong) -> None:
        self._socket, self._wrong = client, wrong
        self._unread = b""
        self._hello = self._sender = self._secure = self._known = self._chunks = False
        self._recipients = 0

    def serve(self) -> None:
        self._say(self._wrong.greets)
        while True:
            line = self._line()
            if self._wrong.says:
                self._say("354 go on" if line.upper() == b"DATA" else self._wrong.says)
                continue
            if len(line) > MOST:
                self._say("500 5.5.2 too long")
                continue
            verb = line.upper().partition(b" ")[0].partition(b":")[0]
            command: Callable[[bytes], None] | None = getattr(self, f"_{verb.decode('ascii', 'replace').lower()}", None)
            if command is None or not verb.isalpha() or verb in (b"SAY", b"LINE", b"MORE"):
                self._say("500 5.5.1 what?")
            else:
                command(line)
            if verb == b"QUIT":
                return

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    # -- octets ---------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\r\n")

    def _more(self) -> None:
        more = self._socket.recv(1 << 16)
        if not more:
            raise EOFError
        self._unread += more

    def _line(self) -> bytes:
        cut = self._wrong.cuts_lines
        while (end := self._unread.find(b"\r\n")) < 0 and not (cut and len(self._unread) >= cut):
            self._more()
        if cut and not 0 <= end < cut:
            line, self._unread = self._unread[:cut], self._unread[cut:]
        else:
            line, self._unread = self._unread[:end], self._unread[end + 2 :]
        return line

    # -- commands -------------------------------------------------------------------------------------------------

    def _ehlo(self, line: bytes) -> None:
        self._hello, self._sender, self._recipients, self._chunks = True, False, 0, False
        offers = [*OFFERS, "AUTH PLAIN LOGIN", *([] if self._secure else ["STARTTLS"])]
        self._say(
            "\r\n".join(["250-careless.example", *(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"])
        )

    def _noop(self, line: bytes) -> None:
        self._say("250 2.0.0 yes")

    def _rset(self, line: bytes) -> None:
        self._sender, self._recipients, self._chunks = False, 0, False
        self._say("250 2.0.0 forgotten")

    def _quit(self, line: bytes) -> None:
        self._say("221 2.0.0 bye")

    def _vrfy(self, line: bytes) -> None:
        self._say("252 2.5.0 who knows")

    def _mail(self, line: bytes) -> None:
        right = self._hello and not self._sender
        self._sender = self._sender or right
        self._say("250 2.1.0 yes" if right else "503 5.5.1 no")

    def _rcpt(self, line: bytes) -> None:
        if not self._sender:
            self._say("503 5.5.1 no")
        elif b".invalid" in line:
            self._say("550 5.1.2 no")
        else:
            self._recipients += 1
            self._say("250 2.1.5 yes")

    def _data(self, line: bytes) -> None:
        if not self._recipients or self._chunks:
            self._say("503 5.5.1 no")
            return
        self._say("354 go on")
        self._unread = b"\r\n" + self._unread  # a dot may be all that there is
        while (end := self._end()) < 0:
            self._more()
        self._unread = self._unread[end:]
        self._sender, self._recipients = False, 0
        self._say("250 2.0.0 yes")

    def _end(self) -> int:
        """Where a mail has ended; -1: not yet."""
        found = [self._unread.find(END) + len(END) if END in self._unread else -1]
        if self._wrong.end and self._wrong.end in self._unread:
            found.append(self._unread.find(self._wrong.end) + len(self._wrong.end))
        if self._wrong.blind_to_nul and (match := re.search(rb"\r?\0*\n\0*\.\0*\r\0*\n", self._unread)):
            found.append(match.end())
        return min((end for end in found if end >= 0), default=-1)

    def _bdat(self, line: bytes) -> None:
        match = re.fullmatch(rb"(?i)BDAT ([0-9]{1,20})( LAST)?", line)
        if match is None:
            self._say("501 5.5.4 no")
            return
        if not self._recipients and self._wrong.reads_refused_chunks:
            self._say("503 5.5.1 no")
            return
        size = int(match[1])
        while len(self._unread) < size:
            if self._wrong.dots_end_chunks and END in self._unread:
                break
            self._more()
        if self._wrong.dots_end_chunks and END in self._unread:
            size = min(size, self._unread.find(END) + len(END))
        self._unread = self._unread[size:]
        if not self._recipients:
            self._say("503 5.5.1 no")
            return
        self._chunks = not match[2]
        if match[2]:
            self._sender, self._recipients = False, 0
        self._say("250 2.0.0 yes")

    def _starttls(self, line: bytes) -> None:
        if self._secure:
            self._say("503 5.5.1 again?")
            return
        self._say("220 2.0.0 go on")
        if self._wrong.answers_in_the_clear and b"\r\n" in self._unread:
            self._line()
            self._say("250 2.0.0 yes")
        if not self._wrong.keeps_buffer:
            self._unread = b""
        context: ssl.SSLContext = tls.server_context("careless.example")
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._secure = True
        if not self._wrong.keeps_state:
            self._hello, self._sender, self._recipients = False, False, 0

    def _auth(self, line: bytes) -> None:
        if self._known or self._sender or not self._hello:
            self._say("503 5.5.1 no")
            return
        response = line.split(b" ")[2] if line.count(b" ") > 1 else b""
        if not response:
            self._say("334 ")
            if self._wrong.obeys_in_auth:
                return
            response = self._line()
        self._known = re.fullmatch(rb"[A-Za-z0-9+/]{8,}=*", response) is not None
        self._say("235 2.7.0 welcome" if self._known else "501 5.5.2 no")
