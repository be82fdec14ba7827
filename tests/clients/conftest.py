"""What the clients are tried on: two servers that know each other, a server that misbehaves, a terminal, a screen."""

from __future__ import annotations

import email
import email.policy
import fcntl
import os
import select
import shutil
import signal
import socketserver
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import smtp_pair

PATIENCE = 20  # seconds until something that should happen at once is given up


@pytest.fixture
def pair(stub_pair):
    """Two running servers, jaku.com's and deathstar.com's, as `mail_pair` gives them."""
    return stub_pair


@pytest.fixture
def stub_pair() -> Iterator[SimpleNamespace]:
    jaku, deathstar = StubServer("jaku.com"), StubServer("deathstar.com")
    jaku.routes["deathstar.com"], deathstar.routes["jaku.com"] = deathstar, jaku
    with jaku, deathstar:
        yield SimpleNamespace(jaku=jaku, deathstar=deathstar)


@pytest.fixture
def rude_server() -> Iterator[Callable[..., StubServer]]:
    """Starts a server with replies of the test's own: `rude_server(MAIL=b"552 ...")`; None closes, b"" stays silent."""
    running: list[StubServer] = []

    def start(**replies: bytes | None) -> StubServer:
        running.append(StubServer("jaku.com", replies))
        return running[-1].__enter__()

    yield start
    for server in running:
        server.__exit__()


CLOSE, SILENT = None, b""  # instead of a reply


class StubServer(socketserver.ThreadingTCPServer):
    """Just enough of a server: takes its own domain's mail, hands a known domain's on, refuses the rest."""

    allow_reuse_address = True

    def __init__(self, domain: str, replies: Mapping[str, bytes | None] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), StubSession)
        self.domain, self.replies = domain, dict(replies or {})
        self.host, self.port = self.server_address[0], self.server_address[1]
        self.routes: dict[str, StubServer] = {}
        self.commands: list[bytes] = []
        self.dot = threading.Event()  # a mail's end was read
        self.messages: list[SimpleNamespace] = []
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> StubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def rcpt(self, address: str) -> bytes:
        domain = address.rpartition("@")[2]
        known = domain == self.domain or domain in self.routes
        return b"250 2.1.5 OK" if known else f"550 5.1.2 no route to {domain}".encode()

    def accept(self, sender: str, recipients: list[str], content: bytes) -> None:
        for domain, server in {self.domain: self, **self.routes}.items():
            own = [each for each in recipients if each.rpartition("@")[2] == domain]
            if own and server is self:
                self.store(sender, own, content)
            elif own:
                server.accept(sender, own, content)

    def store(self, sender: str, recipients: list[str], content: bytes) -> None:
        message = email.message_from_bytes(content, policy=email.policy.default)
        attachments = [
            SimpleNamespace(filename=part.get_filename(), content=part.get_payload(decode=True))
            for part in message.iter_attachments()
        ]
        envelope = SimpleNamespace(sender=sender, recipients=recipients)
        with self._arrived:
            self.messages.append(
                SimpleNamespace(
                    envelope=envelope, message=message, subject=message["Subject"], content=content, attachments=attachments
                )
            )
            self._arrived.notify_all()

    def wait_for(self, *, to: str, subject: str, timeout: float = PATIENCE) -> SimpleNamespace:
        def found() -> list[SimpleNamespace]:
            return [each for each in self.messages if to in each.envelope.recipients and each.subject == subject]

        with self._arrived:
            assert self._arrived.wait_for(found, timeout), f"no mail to {to} called {subject!r} in {self.messages}"
            return found()[0]


class StubSession(socketserver.StreamRequestHandler):
    server: StubServer

    def handle(self) -> None:
        try:
            self.converse()
        except (ConnectionError, EOFError):
            pass

    def say(self, when: str, default: bytes) -> bytes:
        reply = self.server.replies.get(when, default)
        if reply is CLOSE:
            raise EOFError
        if reply is SILENT:
            while self.rfile.read(4096):  # until the client has enough
                pass
            raise EOFError
        self.wfile.write(reply + b"\r\n")
        return reply

    def converse(self) -> None:
        sender, recipients = "", []
        self.say("greeting", b"220 smtp." + self.server.domain.encode())
        while line := self.rfile.readline():
            self.server.commands.append(line)
            verb, argument = line[:4].upper().decode(), line.partition(b"<")[2].partition(b">")[0].decode()
            if verb == "MAIL":
                sender, recipients = argument, []
                self.say(verb, b"250 2.1.0 OK")
            elif verb == "RCPT":
                if self.say(verb, self.server.rcpt(argument)).startswith(b"25"):
                    recipients.append(argument)
            elif verb == "DATA":
                if self.say(verb, b"354 go ahead").startswith(b"354"):
                    content = self.data()
                    if self.say("dot", b"250 2.0.0 taken").startswith(b"250"):
                        self.server.accept(sender, recipients, content)
            elif verb == "EHLO":
                self.say(verb, b"250-smtp.%b\r\n250 SIZE 33554432" % self.server.domain.encode())
            elif verb == "QUIT":
                self.say(verb, b"221 2.0.0 bye")
                return
            else:
                self.say(verb, b"250 2.0.0 OK")

    def data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line.removeprefix(b"."))
        self.server.dot.set()
        return b"".join(lines)


# A program that leads a session gets the terminal at its standard input as its own: then Ctrl-C reaches it.
OWN_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the suite was started with
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A program at a pseudo-terminal: `type` what a person types, `expect` what a person sees."""

    def __init__(self, command: list[str], home: Path, environment: Mapping[str, str]) -> None:
        self.screen, self._seen = "", 0
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "INPUTRC")}
        own = {"HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(smtp_pair.__path__[0]).parent)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=home,
            env={**inherited, **own, **environment},
            start_new_session=True,
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def answer(self, question: str, answer: str) -> None:
        self.expect(question)
        self.type(f"{answer}\r")

    def expect(self, text: str) -> str:
        """Wait until `text` appears after what was expected before; gives all up to its end."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen[self._seen :]:
            assert self._read(deadline), f"{text!r} did not appear; the screen since the last one:\n{self.screen}"
        begin, self._seen = self._seen, self.screen.index(text, self._seen) + len(text)
        return self.screen[begin : self._seen]

    def exit_code(self) -> int:
        """Wait for the program's end."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            output = os.read(self._master, 65536)
        except OSError:  # Linux says so at the end
            return False
        self.screen += output.decode("utf-8", "replace")
        return bool(output)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts a program at a terminal, in a home folder of its own: `terminal(["python", ...])`."""
    opened: list[Terminal] = []

    def start(command: list[str], **environment: str) -> Terminal:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        opened.append(Terminal(command, home, environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def compose_command(host: str, port: int) -> list[str]:
    program = "import sys; from smtp_pair.clients import interactive; sys.exit(interactive.run(sys.argv[1], int(sys.argv[2])))"
    return [sys.executable, "-c", program, host, str(port)]


@pytest.fixture
def composing(terminal: Callable[..., Terminal], pair: Any) -> Callable[..., Terminal]:
    """The interactive client at a terminal, from vader@deathstar.com to deathstar's server."""

    def start(server: Any = None, **environment: str) -> Terminal:
        server = server or pair.deathstar
        return terminal(compose_command(server.host, server.port), **environment)

    return start


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen of the tests' own, without a window manager."""
    for program in ("Xvfb", "xdotool"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: the file dialogue is not tried")
    pytest.importorskip("tkinter", reason="this Python has no tkinter: the file dialogue is not tried")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with open(reading, encoding="ascii") as numbers:
        number = numbers.readline().strip() if select.select([reading], [], [], PATIENCE)[0] else ""
    try:
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def window(display: str) -> Callable[..., None]:
    """Waits for the dialogue, then acts as its user: `window("type", "/a/path")`, `window("key", "Return")`."""

    def xdotool(*arguments: str) -> str:
        environment = {**os.environ, "DISPLAY": display}
        done = subprocess.run(
            ["xdotool", *arguments], check=True, env=environment, timeout=PATIENCE, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def act(*action: str) -> None:
        found = xdotool("search", "--sync", "--onlyvisible", "--name", "^Attach a file$").split()[0]
        xdotool("windowfocus", "--sync", found)  # there is no window manager to do it
        if action:
            xdotool(*action)

    return act
