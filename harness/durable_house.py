"""A server in durable mode whose disk a test may spoil, and what lies on it; for tests of what the disk does wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.unruly_hop import UnrulyHop
from smtp_pair import Domain, Network, Reply, Server, ledger

SENDER = "ann@a.test"
LATER = b"451 4.3.0 later"
KINDS = {"mailbox": "bob@a.test", "queue": "bob@far.test"}
"""Where a mail is to be stored."""


class House:
    """A durable server, a next hop that puts everything off until it is told to take it, and what lies on its disk."""

    def __init__(self, network: Network, hop: UnrulyHop) -> None:
        self.network = network
        self.server: Server = network["a.test"]
        self.hop = hop
        hop.always("RCPT", LATER)

    def send(self, recipient: str, body: str = "hello") -> Reply:
        return self.server.send(
            recipient, subject="Hello", body=body, sender=SENDER, attachments={"a.bin": b"x" * 999}
        )[recipient]

    @property
    def mails(self) -> list[str]:
        """The files that hold a mail or a part of one, wherever they lie; those of `tmp` too."""
        found = [path for path in self.server.directory.rglob("*") if path.is_file()]
        places = ("maildir", "attachments", "mail", "lost")
        return sorted(
            path.relative_to(self.server.directory).parts[0] for path in found if set(places) & set(path.parts)
        )

    @property
    def waiting(self) -> list[str]:
        return [
            row.recipient.address for entry in ledger.read(self.server.directory / "spool") for row in entry.waiting
        ]

    def works(self, recipient: str) -> None:
        """All is well: the next mail is taken, and arrives once, as does what waited before."""
        passed_on = len(self.hop.taken) + len(self.server.queue) + recipient.endswith("far.test")
        here = len(self.server.messages) + recipient.endswith("@a.test")
        assert self.send(recipient).code == 250
        self.hop.behaves()
        self.network.clock.advance(hours=1)
        assert self.server.queue == []
        assert (len(self.hop.taken), len(self.server.messages)) == (passed_on, here)
        assert self.waiting == []
        assert not list((self.server.directory / "spool").rglob("*.eml"))


@contextmanager
def a_house(folder: Path) -> Iterator[House]:
    with (
        UnrulyHop() as hop,
        Network(
            Domain("a.test", durability="durable"), routes={"far.test": hop.address}, directory=folder, clock="manual"
        ) as network,
    ):
        network.settle()
        yield House(network, hop)


def one_line(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """The log says it, once for each mail: whose fault it was, and what the system calls it."""
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1, [record.getMessage() for record in said]
    text = said[0].getMessage() + str(said[0].exc_info[1] if said[0].exc_info else "")
    assert all(word in text for word in words), text
