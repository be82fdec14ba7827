"""What is sent to the servers, and by whom: Postfix's smtp-source where it is installed, else clients of our own."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.bench.engines import HOST
from harness.bench.machine import postfix_tool

SENDER, RECIPIENT = "obiwan@jaku.com", "luke@jaku.com"
ONWARD = "vader@deathstar.com"
_PIECE = 1 << 16


class Client:
    """A client that says one command at a time, and is in nobody's way: a blocking socket."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=120)
        self._socket.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        self._expect(b"2")
        self.ask(b"EHLO client.bench.test\r\n", b"2")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, line: bytes, expected: bytes) -> bytes:
        """Say a line; the reply, which has to begin so."""
        self._socket.sendall(line)
        return self._expect(expected)

    def begin(self, recipient: str = RECIPIENT, sender: str = SENDER) -> None:
        """Everything before the content."""
        self.ask(f"MAIL FROM:<{sender}>\r\n".encode(), b"2")
        self.ask(f"RCPT TO:<{recipient}>\r\n".encode(), b"2")
        self.ask(b"DATA\r\n", b"3")

    def send(self, stuffed: bytes, recipient: str = RECIPIENT, sender: str = SENDER) -> None:
        """Send a mail, whose dots are doubled already."""
        self.begin(recipient, sender)
        self.ask(stuffed + b".\r\n", b"2")

    def _expect(self, expected: bytes) -> bytes:
        said = b""
        while not said.endswith(b"\n") or said[said.rfind(b"\n", 0, -1) + 4 :][:1] == b"-":
            more = self._socket.recv(_PIECE)
            if not more:
                raise ConnectionError(f"the server has left; it said {said!r}")
            said += more
        if not said.startswith(expected):
            raise ConnectionError(f"the server says {said!r}")
        return said


def stuffed(content: bytes) -> bytes:
    """With its dots doubled, for the wire."""
    return content.replace(b"\r\n.", b"\r\n..")


def small_mail(octets: int = 1000) -> bytes:
    """A mail of plain text, as most tests send."""
    header = b"From: obiwan@jaku.com\r\nTo: luke@jaku.com\r\nSubject: Welcome\r\n\r\n"
    line = b"You will never find a more wretched hive of scum and villainy.\r\n"
    return header + (line * (octets // len(line) + 1))[: max(0, octets - len(header) - 2)] + b"\r\n"


def big_mail(octets: int) -> tuple[bytes, bytes]:
    """A mail of about so many octets with one attachment, and the attachment. Its text has lines that need stuffing."""
    attachment = random.Random(octets).randbytes(max(1, (octets - 600) * 57 // 78))
    encoded = base64.encodebytes(attachment).replace(b"\n", b"\r\n")
    mail = (
        b"From: obiwan@jaku.com\r\nTo: luke@jaku.com\r\nSubject: Plans\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="=_bench"\r\n\r\n'
        b"--=_bench\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nHere they are.\r\n.\r\n..dots\r\n"
        b"--=_bench\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="plans.bin"\r\n\r\n' + encoded + b"\r\n--=_bench--\r\n"
    )
    return mail, attachment


def digest(octets: bytes) -> str:
    """As servers are asked for it."""
    return hashlib.sha256(octets).hexdigest()


def many(
    tools: Path, port: int, *, clients: int, mails: int, kept: bool, recipient: str = RECIPIENT, octets: int = 1000
) -> None:
    """Send so many mails by so many clients at once; with a connection for each mail, or one each that is kept."""
    tool = postfix_tool(tools, "smtp-source")
    if tool is None:
        _by_threads(port, stuffed(small_mail(octets)), clients, mails, kept, recipient)
        return
    command, environment = tool
    options = ["-s", str(clients), "-m", str(mails), "-l", str(octets), "-f", SENDER, "-t", recipient]
    if kept:
        options.append("-d")
    subprocess.run([*command, *options, f"{HOST}:{port}"], env=environment, check=True, timeout=300)


def _by_threads(port: int, mail: bytes, clients: int, mails: int, kept: bool, recipient: str) -> None:
    failures: list[Exception] = []

    def one(count: int) -> None:
        try:
            for piece in [count] if kept else [1] * count:
                with Client(port) as client:
                    for _ in range(piece):
                        client.send(mail, recipient)
        except Exception as error:  # noqa: BLE001  # raised again below, in the thread that asked
            failures.append(error)

    threads = [threading.Thread(target=one, args=(count,)) for count in shares(mails, clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def shares(total: int, parts: int) -> Sequence[int]:
    """A total in parts as equal as can be."""
    return [total * (number + 1) // parts - total * number // parts for number in range(parts)]
