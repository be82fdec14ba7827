"""Somebody's own server: it runs already, and is told nothing by us."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from harness.targets.place import Delivered, Place, TargetError

_PATIENCE = 30.0
_TICK = 0.01


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where it is, and what of it can be seen."""

    host: str
    port: int
    domain: str
    """The domain that it serves; every local part must be a mailbox."""
    neighbour: int = 0
    """The port of this machine at which it hands on mail for deathstar.com; 0: it does not."""
    maildir: Path | None = None
    """Where it delivers the mail for its domain, each copy with Delivered-To or X-Original-To; None: unseen."""


class External(Place):
    """What can be asked of it: the replies, and what comes out of it where we may look."""

    kind = "external"

    def __init__(self, elsewhere: Elsewhere) -> None:
        self.elsewhere = elsewhere
        self.host, self.port, self.domain = elsewhere.host, elsewhere.port, elsewhere.domain
        self.hostname = ""  # unknown: it need not call itself what we would call it
        self.shows_mailboxes = elsewhere.maildir is not None
        self.expected = 0
        """How many copies are to come into its Maildir."""
        self._old: set[Path] = set()
        self.forget()

    def settle(self) -> None:
        """Wait until as many copies are in its Maildir as should be. Its queue can't be seen."""
        until = time.monotonic() + _PATIENCE
        while self.shows_mailboxes and len(self._files()) < self.expected:
            if time.monotonic() > until:
                raise TargetError(f"{self.address}: {len(self._files())} of {self.expected} mails are there")
            time.sleep(_TICK)

    def delivered(self) -> list[Delivered]:
        """What came into its Maildir since it was forgotten."""
        mails = []
        for path in self._files():
            raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            mails.append(Delivered(_recipient(raw), raw))
        return mails

    def forget(self) -> None:
        """Look no more at what is in its Maildir. It is not ours to remove."""
        self._old |= set(self._files())

    def _files(self) -> list[Path]:
        folder = self.elsewhere.maildir
        return [] if folder is None else sorted(set(folder.glob("new/*")) - self._old)


def _recipient(raw: bytes) -> str:
    for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() in (b"delivered-to", b"x-original-to", b"envelope-to"):
            return value.strip().decode("utf-8", "replace")
    raise TargetError(f"the mail does not say for whom it is: {raw[:500]!r}")
