"""A mail server that others wrote, with its configuration, its queue and its mailboxes in one temporary folder."""

from __future__ import annotations

import os
import shutil
import smtplib
import socket
import tempfile
import time
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from harness.targets import boxed
from harness.targets.place import LOOPBACK, Delivered, Place, Site, TargetError
from smtp_pair import tls

PATIENCE = 30.0
"""Seconds until a server that should be up, or at rest, is given up; a failure, not a measurement."""
UNPACKED = Path(__file__).parent.parent.parent / ".tox" / "targets"
"""Where install_targets.sh puts what it unpacks."""
_TICK = 0.005  # seconds between two looks at a queue: another program's disk tells us nothing by itself
_KICK = 0.25  # seconds until mails that wait are tried again, then twice as long, and so on
_ATTEMPTS = 3  # somebody else may take a free port before the server does


class Daemon(Place):
    """A context manager: running from its beginning to its end, whatever happens in between."""

    package: ClassVar[str]
    """Debian's name of it."""
    speaks_tls: ClassVar[bool] = True
    """Whether it can do what a site with TLS asks for."""
    holds_grudges: ClassVar[bool] = False
    """Whether it is slow to try a neighbour again that was gone for a moment, so that it must be started anew."""

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        self.domain, self.hostname, self.host = site.domain, site.hostname, LOOPBACK
        self.port = self._wanted = port
        self.patience = PATIENCE
        """Seconds that it may take to come to rest."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"smtp-pair-{self.kind}-"))
        self._box: boxed.Boxed | None = None

    # -- what each of them says ----------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """What it lacks on this machine, in words; "" where it can be started."""

    @abstractmethod
    def configure(self) -> None:
        """Write what it reads, and make the folders that it needs, for :attr:`port`."""

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Which one it is, as it says itself: ``3.7.11``."""

    @abstractmethod
    def launch(self) -> boxed.Boxed:
        """Start it, in the foreground."""

    @abstractmethod
    def queued(self) -> list[Path]:
        """The files of mails that it has not done with."""

    @abstractmethod
    def kick(self) -> None:
        """Have it try again, now, what waits."""

    @abstractmethod
    def recipient_of(self, raw: bytes) -> str:
        """For whom a mail in the mailboxes is."""

    # -- what they have in common --------------------------------------------------------------------------------------

    @classmethod
    def why_not(cls) -> str:
        """Why it can't be started here; "" where it can."""
        return boxed.why_not() or cls.missing()

    @property
    def certificate(self) -> Path:
        """Its key and certificate; no file where the site has no TLS."""
        return self.folder / "certificate.pem"

    def write_certificate(self, uid: int, gid: int) -> None:
        """For its user's eyes alone; nothing where the site has no TLS."""
        if self.site.tls:
            tls.write_certificate(self.certificate, self.hostname)
            os.chown(self.certificate, uid, gid)

    @property
    def log(self) -> Path:
        """What it said."""
        return self.folder / "log"

    @property
    def box(self) -> boxed.Boxed:
        """Its processes. Raises TargetError where it does not run."""
        if self._box is None:
            raise TargetError(f"{self.kind} does not run")
        return self._box

    @property
    def maildir(self) -> Path:
        """All mailboxes in one: each recipient's copy is a file, and says whose it is."""
        return self.folder / "mail" / "box"

    def __enter__(self) -> Daemon:
        try:
            self.folder.chmod(0o755)  # it runs as other users
            for attempt in range(1, _ATTEMPTS + 1):
                self.port = self._wanted or free_port()
                self.configure()
                self._box = self.launch()
                if self._came_up():
                    return self
                self._box.stop()
                if attempt == _ATTEMPTS:
                    raise TargetError(f"{self.kind} did not come up:\n{self.said()}")
        except BaseException:
            self.stop()
            raise
        raise AssertionError("not reached")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, and remove its folder."""
        if self._box is not None:
            self._box.stop()
            self._box = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _came_up(self) -> bool:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not self.box.ended:
            try:
                with smtplib.SMTP(self.host, self.port, local_hostname="client.example", timeout=PATIENCE) as client:
                    return client.ehlo()[0] == 250 and self.hostname.encode() in (client.ehlo_resp or b"")
            except (OSError, smtplib.SMTPException):
                time.sleep(_TICK)
        return False

    def said(self) -> str:
        """The end of its log, for whoever wants to know why."""
        try:
            return self.log.read_text("utf-8", "replace")[-6000:]
        except OSError as error:
            return str(error)

    def settle(self) -> None:
        """Wait until its queue is empty; what waits for another attempt has it soon."""
        until = time.monotonic() + self.patience
        wait = _KICK
        kick = time.monotonic() + wait
        empty = 0
        while empty < 2:  # a file that is moved from folder to folder may be missed once
            empty = 0 if self.queued() else empty + 1
            now = time.monotonic()
            if now > until:
                raise TargetError(f"{self.kind} did not come to rest, {len(self.queued())} wait:\n{self.said()}")
            if not empty:
                time.sleep(_TICK)
            if now > kick:
                self.kick()
                wait *= 2
                kick = time.monotonic() + wait

    def delivered(self) -> list[Delivered]:
        """What lies in its mailboxes."""
        mails = []
        for path in sorted(self.maildir.glob("new/*")):
            raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            mails.append(Delivered(self.recipient_of(raw), raw))
        return mails

    def forget(self) -> None:
        """Empty its mailboxes."""
        for path in self.maildir.glob("new/*"):
            path.unlink()


def files_under(*folders: Path) -> list[Path]:
    """The files in folders that are in use: what vanishes while it is looked at is not there (pathlib would raise)."""
    return [Path(where, name) for folder in folders for where, _, names in os.walk(folder) for name in names]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def field(raw: bytes, name: bytes) -> str:
    """The value of the first field of that name. Raises TargetError where there is none."""
    for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.lower().startswith(name.lower() + b":"):
            return line.partition(b":")[2].strip().decode("utf-8", "replace")
    raise TargetError(f"no {name.decode()} in {raw[:1000]!r}")
