"""A program in namespaces of its own, of which nothing is left when it ends.

It is the first process of a PID namespace: when that one dies, the kernel ends all others in it, those that made
themselves daemons included. It dies with us, however we end. In its mount namespace /etc and /var can't be written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_PREPARATION = """set -e
mount --make-rprivate /
for folder in /etc /var; do
    mount --rbind $folder $folder
    mount -o remount,bind,ro $folder
done
"""
_NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@cache
def why_not() -> str:
    """Why no program can be run in this way here; "" where it can."""
    if os.environ.get("SMTP_PAIR_NO_TARGETS"):
        return "SMTP_PAIR_NO_TARGETS is set"
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root, to run with users and a mount namespace of its own"
    for tool in ("unshare", "setpriv", "nsenter"):
        if shutil.which(tool) is None:
            return f"needs {tool} (Linux; Debian's util-linux)"
    done = subprocess.run(["unshare", *_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"can't make namespaces: {done.stderr.strip()}"


class Boxed:
    """A running program; ``shell`` are lines of sh that prepare its mounts, ``log`` is where it says what it says."""

    def __init__(self, command: Sequence[str], log: Path, *, shell: str = "") -> None:
        # sh remains the first process: one that changes its user would be forgotten by --kill-child (prctl(2)).
        script = f'{_PREPARATION}{shell}\n"$@" &\nwait $!'
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "sh", "-c", script, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                start_new_session=True,  # Ctrl-C is for us alone: we end it in our own order
            )

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def run(self, *command: str, patience: float) -> subprocess.CompletedProcess[str]:
        """Run another program in its namespaces, to the end."""
        first = self._first()
        enter = ["nsenter", f"--target={first}", "--mount", "--pid", *command]
        return subprocess.run(enter, capture_output=True, text=True, check=False, timeout=patience)

    def processes(self) -> int:
        """How many processes are in its PID namespace."""
        first = self._first()
        space = os.readlink(f"/proc/{first}/ns/pid")
        count = 0
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                count += entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == space
        return count

    def stop(self) -> None:
        """End it and all that it started; when this returns, none of them is there any more."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError, IndexError):
                # Not unshare: that one waits until the namespace is empty, and so do we.
                os.kill(self._first(), signal.SIGKILL)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _first(self) -> int:
        """The namespace's first process, as we number it. Raises IndexError where it has ended."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0])
