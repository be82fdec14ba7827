"""kill -9 at any moment, in durable mode: what was answered with 250 is there afterwards, whole; and once, where it
can be known that it was there already."""

from __future__ import annotations

import os
import random
import re
import smtplib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.processes import PATIENCE, Up, servers
from harness.unruly_hop import UnrulyHop
from smtp_pair import journal, ledger

ROUNDS = int(os.environ.get("SMTP_PAIR_CRASH_ROUNDS", "3"))
CLIENTS = 3
RECIPIENTS = ("obiwan@jaku.com", "vader@deathstar.com", "boba@far.test", "leia@jaku.com")
CONFIG = """
[[domain]]
name = "jaku.com"
port = 0
retry = { first = "0.1 s", most = "1 s" }
[[domain]]
name = "deathstar.com"
port = 0
[routes]
"far.test" = { hop = "HOP", tls = "off" }
"""
_TOKEN = re.compile(rb"^Subject: (\S+)\r$", re.MULTILINE)


@dataclass
class Sent:
    """What clients have handed over, in every round."""

    seed: random.Random
    promised: dict[bytes, tuple[bytes, list[str]]] = field(default_factory=dict)
    """The mails that were answered with 250, by their titles: content and recipients."""
    contents: dict[bytes, bytes] = field(default_factory=dict)
    """All of them."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def load(self, host: str, port: int) -> None:
        """Send mails until the server is gone."""
        try:
            with smtplib.SMTP(host, port, local_hostname="client.example", timeout=PATIENCE) as client:
                while True:
                    self._one(client)
        except (OSError, smtplib.SMTPException):
            return

    def _one(self, client: smtplib.SMTP) -> None:
        with self.lock:
            title = b"%d" % len(self.contents)
            size = self.seed.choice((10, 1000, 100_000, 400_000))  # the last one is stored in a worker thread
            lines = b"".join(b"%b %d\r\n" % (title, number) for number in range(size // 20))
            content = b"Subject: %b\r\n\r\n%b.\r\n" % (title, lines)
            recipients = self.seed.sample(RECIPIENTS, self.seed.randint(1, len(RECIPIENTS)))
            self.contents[title] = content
        assert client.sendmail("luke@jaku.com", recipients, content) == {}
        with self.lock:
            self.promised[title] = content, recipients
        self.ended.release()


class Life:
    """The servers' folder, through all of its rounds."""

    def __init__(self, folder: Path, start: Callable[..., Up], hop: UnrulyHop, seed: int) -> None:
        self.data = folder / "data"
        self._config = folder / "config.toml"
        self._config.write_text(CONFIG.replace("HOP", hop.address))
        self._start = start
        self._hop = hop
        self._random = random.Random(seed)
        self.sent = Sent(self._random)

    def up(self) -> Up:
        return self._start("--config", self._config, "--data", self.data, "--host", "127.0.0.1")

    def round(self) -> None:
        """Load, and a kill somewhere in it."""
        up = self.up()
        host, port = up.servers["jaku.com"].split(":")
        clients = [threading.Thread(target=self.sent.load, args=(host, int(port))) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(self._random.randint(1, 40)):
            assert self.sent.ended.acquire(timeout=PATIENCE)
        threading.Event().wait(self._random.random() * 0.02)  # anywhere in what a mail takes
        up.process.kill()
        up.process.wait()
        for client in clients:
            client.join()

    def end(self) -> None:
        """Once more, until nothing waits."""
        up = self.up()
        spool = self.data / "smtp.jaku.com" / "spool"
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.05)):
            if not ledger.read(spool):
                break
            pause.wait(0.05)
        assert up.stop() == 0
        assert up.errors == ""
        assert ledger.read(spool) == []
        assert list(spool.rglob("*.eml")) == []

    def copies(self, mailbox: str) -> Counter[bytes]:
        """How often each mail lies in a mailbox. No file there is anything but a whole mail."""
        user, domain = mailbox.split("@")
        if domain == "far.test":
            return Counter(map(self._title, (mail.content for mail in self._hop.taken)))
        found = (self.data / f"smtp.{domain}" / "maildir" / user / "new").glob("*")
        return Counter(map(self._title, (path.read_bytes() for path in found)))

    def _title(self, raw: bytes) -> bytes:
        match = _TOKEN.search(raw)
        assert match is not None, f"no whole mail: {raw[:300]!r}"
        assert raw.endswith(b"\r\n" + self.sent.contents[match[1]]), f"no whole mail: {raw[:300]!r} .. {raw[-100:]!r}"
        return match[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    with servers(tmp_path) as start:
        yield start


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(50, marks=pytest.mark.slow)])
def test_nothing_promised_is_lost(tmp_path: Path, start: Callable[..., Up], rounds: int) -> None:
    """Mails of some octets and of some hundred thousand, to mailboxes here, at the next server, which dies too, and
    at a hop that lives on: after each round's kill, and at last a run that is let be, each mail that was answered
    with 250 is with each of its recipients, whole. In a mailbox of the server that promised it, it is once; passed on
    it may be twice where the kill came before the hop's answer was written down."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with UnrulyHop() as hop:
        life = Life(tmp_path, start, hop, seed)
        for _ in range(rounds):
            life.round()
        life.end()
        twice = 0
        for mailbox in RECIPIENTS:
            copies = life.copies(mailbox)
            promised = {title for title, (_, to) in life.sent.promised.items() if mailbox in to}
            assert promised - copies.keys() == set(), f"lost: {mailbox}"
            again = [title for title, count in copies.items() if count > 1]
            if mailbox.endswith("@jaku.com"):
                assert again == []
            twice += sum(copies[title] - 1 for title in again)
        assert twice <= rounds * 2 * 10, "more than could be under way"
    assert len(life.sent.promised) >= rounds
    for server in ("jaku.com", "deathstar.com"):
        assert journal.read(life.data / f"smtp.{server}")
    print(f"{len(life.sent.promised)} of {len(life.sent.contents)} mails promised, {twice} copies twice")
