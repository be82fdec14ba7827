"""Starting the servers that are measured, each in a process of its own, and asking them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.bench.case import Missing, Setting
from harness.bench.engines import HOST, free_port
from harness.bench.machine import node_package, postfix_tool, processor_seconds, version

_HERE = Path(__file__).parent
_NEEDS = {"aiosmtplib kept": "aiosmtplib", "smtpdfix": "smtpdfix", "session on uvloop": "uvloop"}
_PATIENCE = 20.0


class Foreign:
    """A server that is a program of somebody else's: nothing is known of it but its port and its process."""

    def __init__(self, process: subprocess.Popen[str], ports: list[int]) -> None:
        self._process = process
        self.ports = ports

    @property
    def port(self) -> int:
        """Of the only server, or of the first one."""
        return self.ports[0]

    def cpu(self) -> float:
        """Processor seconds used so far."""
        return processor_seconds(self._process.pid)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Own(Foreign):
    """A server inside a Python process of ours, which can be asked (see ``serve.py``)."""

    def ask(self, question: str) -> Any:
        """A question of ``serve.py``'s."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def cpu(self) -> float:
        """Processor seconds used so far."""
        return float(self.ask("cpu"))

    def stop(self) -> None:
        """Let it end by itself, or end it."""
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            super().stop()


def own(setting: Setting, engine: str, *options: str) -> Own | Missing:
    """A running engine of ``engines.py``; it is stopped with the setting."""
    package = _NEEDS.get(engine, "")
    if package and not version(package):
        return Missing(f"pip install {package}")
    folder = setting.folder / f"{engine} {' '.join(options)}".strip().replace(" ", "-").replace(",", "")
    folder.mkdir()
    command = [sys.executable, "-m", "harness.bench.serve", engine, str(folder), *options]
    # What it says on stderr while it is ended is nobody's business; a failure to start shows in what it does not say.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_HERE.parent.parent
    )
    assert process.stdout is not None
    server = Own(process, json.loads(process.stdout.readline() or "[]"))
    setting.stack.callback(server.stop)
    if not server.ports:
        raise RuntimeError(f"{engine} did not start")
    return server


def smtp_sink(setting: Setting) -> Foreign | Missing:
    """Postfix's smtp-sink: takes everything, keeps nothing; written in C."""
    tool = postfix_tool(setting.tools, "smtp-sink")
    if tool is None:
        return Missing("apt-get install postfix")
    command, environment = tool
    port = free_port()
    return _foreign(setting, [*command, "-u", "nobody", f"{HOST}:{port}", "1000"], port, environment)


def node_smtp_server(setting: Setting) -> Foreign | Missing:
    """Node's smtp-server, which counts."""
    folder = node_package(setting.tools, "smtp-server")
    if folder is None:
        return Missing("npm install smtp-server")
    port = free_port()
    return _foreign(setting, [_node(), str(_HERE / "smtp_server.cjs"), str(folder), str(port)], port)


def maildev(setting: Setting) -> Foreign | Missing:
    """MailDev, with each mail and its attachments in files."""
    folder = node_package(setting.tools, "maildev")
    if folder is None:
        return Missing("npm install maildev")
    port = free_port()
    kept = setting.folder / "maildev"
    options = ["--ip", HOST, "--smtp", str(port), "--disable-web", "--silent", "--mail-directory", str(kept)]
    return _foreign(setting, [_node(), str(folder / "dist" / "bin" / "maildev.js"), *options], port)


def _node() -> str:
    return shutil.which("node") or "node"


def _foreign(
    setting: Setting, command: list[str], port: int, environment: Mapping[str, str] | None = None
) -> Foreign | Missing:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=setting.folder
    )
    server = Foreign(process, [port])
    setting.stack.callback(server.stop)
    return server if wait_for_greeting(port, process) else Missing(f"{Path(command[0]).name} does not start")


def wait_for_greeting(port: int, process: subprocess.Popen[Any]) -> bool:
    """Whether a server greets; it is given time to come up, unless its process has ended."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1) as sock:
                if sock.recv(100).startswith(b"220"):
                    return True
        except OSError:
            time.sleep(0.05)
    return False
