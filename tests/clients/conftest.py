"""What the clients are tried on, beside the real servers: one that misbehaves, a terminal, a screen."""

from __future__ import annotations

import contextlib
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
from typing import Protocol

import pytest

import smtp_pair
from smtp_pair.network import Pair

PATIENCE = 20  # seconds until something that should happen at once is given up


@pytest.fixture
def rude_server() -> Iterator[Callable[..., StubServer]]:
    """Starts a server with replies of the test's own: `rude_server(MAIL=b"552 ...")`; None closes, b"" stays silent."""
    with contextlib.ExitStack() as running:

        def start(**replies: bytes | None) -> StubServer:
            return running.enter_context(StubServer(replies))

        yield start


CLOSE, SILENT = None, b""  # instead of a reply


class StubServer(socketserver.ThreadingTCPServer):
    """Takes mail for jaku.com, refuses the rest, and replies what the test told it to."""

    allow_reuse_address = True

    def __init__(self, replies: Mapping[str, bytes | None]) -> None:
        super().__init__(("127.0.0.1", 0), StubSession)
        self.replies = replies
        self.host, self.port = "127.0.0.1", int(self.server_address[1])
        self.commands: list[bytes] = []
        self.mails: list[bytes] = []
        """The contents that were taken."""
        self.dot = threading.Event()  # a mail's end was read
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> StubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class StubSession(socketserver.StreamRequestHandler):
    server: StubServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, EOFError):
            self.converse()

    def say(self, when: str, default: bytes) -> bytes:
        reply = self.server.replies.get(when, default)
        if reply is CLOSE:
            raise EOFError
        if reply == SILENT:
            while self.rfile.read(4096):  # until the client has enough
                pass
            raise EOFError
        self.wfile.write(reply + b"\r\n")
        return reply

    def converse(self) -> None:
        self.say("greeting", b"220 smtp.jaku.com")
        while line := self.rfile.readline():
            self.server.commands.append(line)
            verb = line[:4].upper().decode()
            if verb == "RCPT":
                self.say(verb, b"250 2.1.5 OK" if b"@jaku.com>" in line else b"550 5.1.2 no route")
            elif verb == "DATA":
                if self.say(verb, b"354 go ahead").startswith(b"354"):
                    content = self.data()
                    if self.say("dot", b"250 2.0.0 taken").startswith(b"250"):
                        self.server.mails.append(content)
            elif verb == "EHLO":
                self.say(verb, b"250-smtp.jaku.com\r\n250 SIZE 33554432")
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
        package = str(Path(smtp_pair.__path__[0]).parent)
        own = {"HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8", "PYTHONPATH": package}
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

    def interrupt(self, answer: str) -> None:
        """Press Ctrl-C, and keys and Ctrl-C again if nothing happens, as a person does: Python overlooks one that comes
        in the moment between a prompt and its wait for input, or that takes away the key just pressed."""
        for _ in range(PATIENCE // 2):
            self.type("\x03")
            if self._comes(answer, 1):
                break
            self.type("x")
            self._comes(answer, 0.2)
        self.expect(answer)

    def _comes(self, text: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while text not in self.screen[self._seen :] and self._read(deadline):
            pass
        return text in self.screen[self._seen :]

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


COMPOSE = "import sys; from smtp_pair.clients import interactive as i; sys.exit(i.run(sys.argv[1], int(sys.argv[2])))"


class AnyServer(Protocol):
    """Where a client can connect to: a server of ours, or a rude one."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


@pytest.fixture
def composing(terminal: Callable[..., Terminal], mail_pair: Pair) -> Callable[..., Terminal]:
    """The interactive client at a terminal, from vader@deathstar.com to deathstar's server."""

    def start(server: AnyServer | None = None, **environment: str) -> Terminal:
        server = server or mail_pair.deathstar
        return terminal([sys.executable, "-c", COMPOSE, server.host, str(server.port)], **environment)

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
