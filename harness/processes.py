"""smtp-pair's commands as processes of their own, for the suite: run to the end, or watched while they run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import smtp_pair

ROOT = Path(smtp_pair.__path__[0]).parent
PATIENCE = 30.0  # seconds until something that should happen at once is given up
FREE_PORTS = ("--port", "jaku.com=0", "--port", "deathstar.com=0")


def command(*words: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "smtp_pair", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    dropped = ("NO_COLOR", "FORCE_COLOR", "DISPLAY", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


class Up:
    """`smtp-pair up`; its console is read line by line."""

    def __init__(self, folder: Path, words: tuple[object, ...], more: dict[str, str]) -> None:
        self.folder, self.ready_file, self._errors = folder, folder / "ready", folder / "errors"
        self.console = ""
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                command("up", "--ready-file", self.ready_file, *words),
                cwd=folder,
                env=environment(**more),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        # A console that says nothing more ends the process, and with it every wait for a line.
        self._patience = threading.Timer(PATIENCE, self.process.kill)
        self._patience.start()

    @property
    def servers(self) -> dict[str, str]:
        """HOST:PORT of each domain, as the ready file has them."""
        lines = [line.split(" ") for line in self.ready_file.read_text().splitlines()]
        return {domain: f"{host}:{port}" for domain, host, port in lines}

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def expect(self, text: str) -> str:
        """The next line of the console with a text in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.console += line
            if text in line:
                return line.rstrip("\n")
        raise AssertionError(f"{text!r} did not appear on the console:\n{self.console}\n{self.errors}")

    def stop(self, *numbers: int) -> int:
        """Send signals; the exit code, with the rest of the console read."""
        assert self.process.stdout is not None
        for number in numbers or (signal.SIGTERM,):
            self.process.send_signal(number)
        self.console += self.process.stdout.read()
        return self.process.wait()

    def close(self) -> None:
        self._patience.cancel()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def run(*words: object, cwd: Path, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        text=True,
        encoding="utf-8",
        check=False,
    )


@contextmanager
def servers(folder: Path) -> Iterator[Callable[..., Up]]:
    """Starts servers in a folder, on free ports unless it is told otherwise, and waits until they are ready."""
    with ExitStack() as at_the_end:

        def start(*words: object, **more: str) -> Up:
            up = Up(folder, words or FREE_PORTS, more)
            at_the_end.callback(up.close)
            up.expect("Ctrl-C stops")
            return up

        yield start
