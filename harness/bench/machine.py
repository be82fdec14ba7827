"""What figures were measured on, and where the tools of peers lie that are no Python packages."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("smtp-pair", "aiosmtpd", "smtpdfix", "pytest-localserver", "aiosmtplib", "pybase64", "uvloop", "pytest")
_NODE_PACKAGES = ("smtp-server", "maildev")
_STATUS_LINE = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


def description(tools: Path) -> dict[str, Any]:
    """The machine, the versions of everything that takes part, the time."""
    versions = {name: version(name) for name in _PACKAGES}
    node = shutil.which("node")
    if node is not None:
        versions["node"] = _said(node, "--version").lstrip("v")
    versions |= {name: _node_version(tools, name) for name in _NODE_PACKAGES}
    postfix = shutil.which("postconf", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if postfix is not None:
        versions["Postfix"] = _said(postfix, "-d", "-h", "mail_version")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "commit": _said("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "",
        "versions": {name: one for name, one in versions.items() if one},
    }


def version(package: str) -> str:
    """The version of an installed Python package; "" where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def node_package(tools: Path, name: str) -> Path | None:
    """The folder of a package of npm's, where node and it are there."""
    folder = tools / "node" / "node_modules" / name
    return folder if shutil.which("node") and folder.is_dir() else None


def postfix_tool(tools: Path, name: str) -> tuple[list[str], dict[str, str]] | None:
    """The command and the environment of one of Postfix's test programs: installed, or unpacked from its package."""
    installed = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if installed is not None:
        return [installed], dict(os.environ)
    unpacked = tools / "postfix" / "usr" / "sbin" / name
    if not unpacked.is_file():
        return None
    return [str(unpacked)], {**os.environ, "LD_LIBRARY_PATH": str(tools / "postfix" / "usr" / "lib" / "postfix")}


def processor_seconds(process: int) -> float:
    """What another process has used of the processors. Raises OSError where the system does not tell (not Linux)."""
    tasks = Path(f"/proc/{process}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def memory() -> dict[str, int]:
    """Octets of this process's memory: VmRSS, VmHWM (the peak) and VmSize; all 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return dict.fromkeys(("VmRSS", "VmHWM", "VmSize"), 0)
    return {name: int(kilobytes) << 10 for name, kilobytes in _STATUS_LINE.findall(status)}


def forget_peak() -> None:
    """Let VmHWM begin again at VmRSS."""
    Path("/proc/self/clear_refs").write_text("5")


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout.strip()
    except OSError:
        return ""


def _node_version(tools: Path, name: str) -> str:
    folder = node_package(tools, name)
    found = re.search(r'"version": "([^"]+)"', (folder / "package.json").read_text()) if folder else None
    return found[1] if found else ""


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()
