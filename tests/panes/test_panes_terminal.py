"""`smtp-pair up --tui` and `demo --tui` as a user meets them: a process, a real terminal, keys and signals."""

from __future__ import annotations

import os
import select
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.processes import FREE_PORTS, PATIENCE, command, environment, run

if sys.platform == "win32":
    pytest.skip("there is no pty", allow_module_level=True)

import fcntl
import pty
import struct
import termios

HIDE, SHOW, ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?25l", b"\x1b[?25h", b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, folder: Path, *words: object, **more: str) -> None:
        self.main, self.end = pty.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.modes = termios.tcgetattr(self.end)
        self.process = subprocess.Popen(
            command(*words),
            cwd=folder,
            env=environment(TERM="xterm-256color", COLUMNS="120", LINES="40", **more),
            stdin=self.end,
            stdout=self.end,
            stderr=self.end,
            start_new_session=True,
        )
        self.output = b""

    def expect(self, text: str) -> None:
        """Read until that was written. (What Textual draws again, it draws in pieces: a word is safe.)"""
        end = time.monotonic() + PATIENCE
        while text.encode() not in self.output:
            ready, _, _ = select.select([self.main], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} was not shown: {self.output[-3000:]!r}"
            self.output += os.read(self.main, 65536)

    def type(self, keys: str) -> None:
        os.write(self.main, keys.encode())

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, "it does not stop"
            if select.select([self.main], [], [], 0.05)[0]:
                self.output += os.read(self.main, 65536)
        while select.select([self.main], [], [], 0)[0]:
            self.output += os.read(self.main, 65536)
        return self.process.returncode

    def is_sane(self) -> bool:
        """Whether the terminal is as it was: its modes, the first screen, the cursor."""
        return (
            termios.tcgetattr(self.end) == self.modes
            and self.output.rfind(LEAVE_SCREEN) > self.output.rfind(ENTER_SCREEN)
            and self.output.rfind(SHOW) > self.output.rfind(HIDE)
        )

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.main)
        os.close(self.end)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[list[Terminal]]:
    """Terminals that are closed at the end."""
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        one.close()


def up(terminal: list[Terminal], folder: Path, *words: object) -> Terminal:
    started = Terminal(folder, "up", "--tui", "--ready-file", folder / "ready", *FREE_PORTS, *words)
    terminal.append(started)
    started.expect("quit")
    return started


@pytest.mark.parametrize("by", ["q", "\x03", signal.SIGINT, signal.SIGTERM])
def test_it_stops_and_leaves_the_terminal_sane(
    terminal: list[Terminal], tmp_path: Path, by: str | signal.Signals
) -> None:
    """q, Ctrl-C, SIGINT and SIGTERM: exit code 0, the servers stopped, the terminal as before, one line that stays."""
    one = up(terminal, tmp_path)
    if isinstance(by, signal.Signals):
        one.process.send_signal(by)
    else:
        one.type(by)
    assert one.ended() == 0
    assert one.is_sane() and b"stopped; the mails are in" in one.output
    assert not (tmp_path / "ready").exists()


def test_a_signal_before_the_panes_stand_is_not_lost(terminal: list[Terminal], tmp_path: Path) -> None:
    """A supervisor may change its mind as soon as the servers are ready."""
    one = Terminal(tmp_path, "up", "--tui", "--ready-file", tmp_path / "ready", *FREE_PORTS)
    terminal.append(one)
    while not (tmp_path / "ready").exists():
        assert one.process.poll() is None
    one.process.send_signal(signal.SIGTERM)
    assert one.ended() == 0
    assert termios.tcgetattr(one.end) == one.modes and b"stopped; the mails are in" in one.output


def test_a_network_from_a_configuration(terminal: list[Terminal], tmp_path: Path) -> None:
    """Each of its domains has a pane."""
    text = "".join(f'[[domain]]\nname = "{name}.test"\nport = 0\n' for name in "abcd")
    (tmp_path / "four.toml").write_text(text)
    one = Terminal(tmp_path, "up", "--tui", "--config", "four.toml")
    terminal.append(one)
    for name in ("a.test", "b.test", "c.test", "d.test", "client", "quit"):
        one.expect(name)
    one.type("q")
    assert one.ended() == 0 and one.is_sane()


def test_a_mail_is_sent_and_kept(terminal: list[Terminal], tmp_path: Path) -> None:
    """s: the scripted mail goes to the real servers, is seen, and lies in their folders afterwards."""
    one = up(terminal, tmp_path)
    one.type("s")
    one.expect("accepted: vader@deathstar.com")
    one.type("q")
    assert one.ended() == 0
    assert list((tmp_path / "smtp.jaku.com/maildir/obiwan/new").iterdir())


def test_what_a_mail_says_to_the_terminal_never_gets_there(terminal: list[Terminal], tmp_path: Path) -> None:
    """Not one octet of an escape sequence in its title, its text or a command, while it is listed and while it is
    open."""
    one = up(terminal, tmp_path)
    port = int((tmp_path / "ready").read_text().split()[2])
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.docmd("NOOP \x1b]0;owned\x07")
        text = b"Subject: =?utf-8?q?Evil_=1B]0;owned=07?=\r\n\r\n\x1b]0;owned\x07\x9b31mPayload\r\n"
        client.sendmail("a@b.test", ["obiwan@jaku.com"], text)
    one.expect("Evil")
    one.type("\r")
    one.expect("Payload")
    for page in ("2", "4"):
        one.type(page)
    one.expect("obiwan/new")
    one.type("\x03")
    assert one.ended() == 0
    assert b"\x1b]0;owned" not in one.output and b"\x1b]0;owned".replace(b"\x1b", b"\x9d") not in one.output
    assert b"\\x1b]0;owned" in one.output


def test_the_demo_in_panes(terminal: list[Terminal], tmp_path: Path) -> None:
    """It runs at once, says its verdict in the client's pane, and again after the panes are left, with the code 0."""
    one = Terminal(tmp_path, "demo", "--tui", TMPDIR=str(tmp_path))
    terminal.append(one)
    one.expect("All three outcomes are right")
    one.type("q")
    assert one.ended() == 0
    assert one.is_sane() and b"All three outcomes are right, and every digest is equal." in one.output
    assert not list(tmp_path.iterdir())


def test_without_a_terminal_there_are_lines(tmp_path: Path) -> None:
    """Piped, or on a dumb terminal, --tui shows what the command shows without it."""
    done = run("demo", "--tui", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert "jaku      │ ready" in done.stdout and "every digest is equal" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("words", [["up", *FREE_PORTS], ["demo"]])
def test_a_missing_extra_is_one_line(words: list[str], tmp_path: Path) -> None:
    """It names what to install; exit code 2, and no file more than before."""
    (tmp_path / "hidden").mkdir()
    hide = "import importlib.util as util\nfind = util.find_spec\n"
    hide += "util.find_spec = lambda name, package=None: None if name == 'textual' else find(name, package)\n"
    (tmp_path / "hidden" / "sitecustomize.py").write_text(hide)
    done = subprocess.run(
        command(*words, "--tui"),
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": f"{tmp_path / 'hidden'}{os.pathsep}{environment()['PYTHONPATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"smtp-pair {words[0]}: --tui needs Textual: pip install 'smtp-pair[tui]'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["hidden"]
