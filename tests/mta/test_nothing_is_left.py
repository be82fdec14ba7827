"""A server that others wrote leaves no process and no folder, whatever becomes of the test; and while it runs it writes
nowhere else."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.targets.catalogue import DAEMONS
from harness.targets.daemon import Daemon
from harness.targets.place import Site

pytestmark = [pytest.mark.mta, pytest.mark.parametrize("kind", DAEMONS)]
ROOT = Path(__file__).parent.parent.parent
SITE = Site("jaku.com")

# A pytest of its own, outside the checkout's tests, so that what it does can go wrong. It says where the server's
# folder is, and then does what it is told.
INNER = """
from harness.targets.catalogue import DAEMONS
from harness.targets.place import Site

def test_it(tmp_path):
    with DAEMONS["{kind}"](Site("jaku.com")) as server:
        print("FOLDER", server.folder, flush=True)
        {then}
"""


@pytest.fixture(autouse=True)
def here(kind: str) -> None:
    if reason := DAEMONS[kind].why_not():
        pytest.skip(f"{kind}: {reason}")


def left(folder: Path) -> list[str]:
    """The command lines of running processes that name the folder: the first one of a server's namespace does, and all
    others end with it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(folder) in line:
                found.append(line)
    return found


class Run:
    """A pytest that plays INNER."""

    def __init__(self, folder: Path, kind: str, then: str) -> None:
        test = folder / "test_inner.py"
        test.write_text(INNER.format(kind=kind, then=then))
        command = [
            *("env", "--default-signal=INT"),  # whoever runs us in the background has it ignored
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-s",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(folder),
            str(test),
        ]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if "FOLDER" in line:
                break
        try:
            [name] = said.rpartition("FOLDER")[2].split()
        except ValueError:
            self.end()
            raise AssertionError(f"it did not start:\n{said}") from None
        self.folder = Path(name)

    def end(self, number: int = 0) -> int:
        if number:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def runs(tmp_path: Path, kind: str) -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.process.kill()
        run.process.communicate()


def test_after_a_failure(kind: str, tmp_path: Path, runs: list[Run]) -> None:
    """A test that fails while the server runs."""
    runs.append(Run(tmp_path, kind, "assert 0"))
    assert runs[0].end() == 1
    assert left(runs[0].folder) == []
    assert not runs[0].folder.exists()


def test_after_an_interrupt(kind: str, tmp_path: Path, runs: list[Run]) -> None:
    """Ctrl-C while a test waits."""
    runs.append(Run(tmp_path, kind, "__import__('threading').Event().wait(60)"))
    assert left(runs[0].folder), "it should run by now"
    assert runs[0].end(signal.SIGINT) == 2
    assert left(runs[0].folder) == []
    assert not runs[0].folder.exists()


def test_after_a_kill(kind: str, tmp_path: Path, runs: list[Run]) -> None:
    """A pytest that is killed can remove nothing, but none of the server's processes outlives it."""
    runs.append(Run(tmp_path, kind, "__import__('threading').Event().wait(60)"))
    runs[0].end(signal.SIGKILL)
    until = time.monotonic() + 30
    while there := left(runs[0].folder):  # the kernel ends them, after that of pytest
        assert time.monotonic() < until, there
        time.sleep(0.01)
    subprocess.run(["rm", "-r", str(runs[0].folder)], check=True)


def snapshot() -> dict[str, tuple[int, int]]:
    """Every file under /etc and /var, with its size and the moment it was last changed."""
    found: dict[str, tuple[int, int]] = {}
    for top in ("/etc", "/var/spool", "/var/lib", "/var/mail"):
        for folder, _, names in os.walk(top):
            for name in names:
                with contextlib.suppress(OSError):
                    status = os.lstat(os.path.join(folder, name))
                    found[os.path.join(folder, name)] = (status.st_size, status.st_ctime_ns)
    return found


def test_nothing_else_is_touched(kind: str) -> None:
    """Under /etc, and where Debian's packages have their spools and state, there is nothing new, and nothing that the
    server could write."""
    before = snapshot()
    server: Daemon
    with DAEMONS[kind](SITE) as server:
        with smtplib.SMTP(server.host, server.port, local_hostname="client.example") as client:
            assert client.sendmail("a@example.org", ["b@jaku.com"], "Subject: x\n\nx\n") == {}
        server.settle()
        assert len(server.delivered()) == 1
        assert server.box.run("touch", "/etc/passwd", patience=10).returncode != 0
        assert server.box.run("touch", "/var/tmp/x", patience=10).returncode != 0
    after = snapshot()
    names = ("postfix", "exim", "opensmtpd", "smtpd", "mail")
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert [path for path in sorted(changed) if any(name in path for name in names)] == []


def test_one_that_does_not_come_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has what the server said, and nothing of it is left."""
    monkeypatch.setattr(DAEMONS[kind], "configure", lambda self: None)
    server = DAEMONS[kind](SITE)
    with pytest.raises((AssertionError, OSError)), server:
        pass
    assert not server.folder.exists()
