"""Between the final dot and the 250: on disk, in the journal and seen; or refused with a 4xx, without a trace."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import logging
import os
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smtp_pair import journal, ledger
from smtp_pair.acceptance import BIG, Acceptance
from smtp_pair.aliases import Aliases
from smtp_pair.config import Retry
from smtp_pair.entry import Answer, Content, Entry, Outcome, Row
from smtp_pair.facts import Fact
from smtp_pair.house import Receipt
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin, Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.notifier import Notifier
from smtp_pair.routes import NextHop, Route, Routes
from smtp_pair.spool import Spool
from smtp_pair.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

pytestmark = pytest.mark.asyncio

LUKE, OBIWAN, YODA, VADER, PAIMON = map(
    Address.parse,
    ("luke@jaku.com", "obiwan@jaku.com", "yoda@jaku.com", "vader@deathstar.com", "paimon@genshinimpact.com"),
)
ORIGIN = Origin("client.example", "127.0.0.1", 4711, "ESMTP")
GIF = b"GIF89a" + bytes(range(256))


class Ids:
    """One after the other."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self, moment: float) -> str:
        return f"{int(moment)}-key-{next(self._numbers)}"

    def __contains__(self, mail_id: str) -> bool:
        return "-key-" in mail_id


class House:
    """All that an acceptance puts a mail into, real but for the next hop."""

    def __init__(self, directory: Path, clock: ManualClock, *, durable: bool = False) -> None:
        self.directory = directory / "smtp.jaku.com"
        self.inbox = Inbox("smtp.jaku.com", str)
        self.journal = Journal(self.directory)
        self.told: list[Fact] = []
        self.journal.subscribe(self.told.append)
        self.sent: list[tuple[list[str], bytes]] = []
        self.outcomes: list[Outcome] = []
        routes = Routes(["jaku.com"], {"deathstar.com": NextHop("127.0.0.1", 1)})
        retry, ids = Retry(1), Ids()
        self.spool = Spool(
            self.directory / "spool",
            retry,
            clock,
            durable=durable,
            route=routes.route,
            attempt=self.attempt,
            report=self.outcomes.append,
            notifier=Notifier("smtp.jaku.com", retry, clock, ids),
            announce=lambda notification: None,
            random=lambda: 0.5,
        )
        self.acceptance = Acceptance(
            "smtp.jaku.com",
            self.directory,
            routes=routes,
            aliases=Aliases({}, own=()),
            quota=None,
            store=Store(self.directory, "smtp.jaku.com", durable=durable),
            spool=self.spool,
            journal=self.journal,
            inbox=self.inbox,
            clock=clock,
            ids=ids,
            durable=durable,
            bounces=False,
            exists=lambda _: True,
        )

    async def attempt(self, route: Route, entry: Entry, rows: Sequence[Row], content: Content) -> Sequence[Answer]:
        self.sent.append(([str(row.recipient.address) for row in rows], await content()))
        return [Answer(Reply(250, "2.0.0", "taken"))] * len(rows)

    async def accept(self, content: bytes, *recipients: Address) -> Receipt:
        envelope = Envelope(LUKE, tuple(map(Recipient, recipients)), {"BODY": "8BITMIME"})
        taken = self.acceptance.accept(envelope, content, ORIGIN)
        return await taken if isinstance(taken, asyncio.Future) else taken

    @property
    def files(self) -> list[str]:
        """All of them, but for the database of the queue: it stays, whatever is in it."""
        found = self.directory.rglob("*") if self.directory.is_dir() else []
        files = [path for path in found if path.is_file() and not path.name.startswith("queue.sqlite")]
        return sorted(path.relative_to(self.directory).as_posix() for path in files)

    async def close(self) -> None:
        self.journal.close()
        await self.spool.close()


def a_mail(*attachments: bytes, text: str = "the text") -> bytes:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message["Date"] = "Wed, 25 May 1977 12:00:00 +0000"
    message.set_content(text)
    for number, content in enumerate(attachments, 1):
        message.add_attachment(content, "image", "gif", filename=f"{number}.gif")
    return message.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> House:
    return House(tmp_path, clock)


async def test_a_local_mail_is_there_when_the_client_hears_of_it(house: House) -> None:
    """C47: stored, written down and seen before the 250; told, and waiters woken, right after it."""
    content = a_mail(GIF)
    receipt = await house.accept(content, OBIWAN)
    assert str(receipt.reply) == "250 2.0.0 taken as 1000000000-key-1"
    assert house.files == [
        "ServerMSG.txt",
        "attachments/1000000000-key-1/1.gif",
        "journal.jsonl",
        "maildir/obiwan/new/1000000000-key-1.smtp.jaku.com",
    ]
    (mail,) = house.inbox.mails
    assert (mail.subject, mail.text, mail.delivered_to, mail.addressed_to) == (
        "Hello",
        "the text\n",
        (OBIWAN,),
        (OBIWAN,),
    )
    assert mail.received_at.timestamp() == 1_000_000_000
    assert mail.attachments["1.gif"].content == GIF
    assert (mail.content, mail.hops) == (content, ["smtp.jaku.com"])
    assert mail.raw.startswith(b"Return-Path: <luke@jaku.com>\r\nReceived: from client.example ([127.0.0.1])\r\n")
    assert mail.raw.count(b"Return-Path") == mail.raw.count(b"Received") == 1
    assert house.told == []
    receipt.announce()
    assert [fact.event for fact in house.told] == ["received"]


async def test_the_fact_tells_everything(house: House) -> None:
    """For programs, in the journal: who, to whom and what became of each, title, text, and each attachment."""
    receipt = await house.accept(a_mail(GIF), OBIWAN, VADER, PAIMON)
    receipt.announce()
    await house.spool.settled()
    (fact,) = journal.read(house.directory)
    assert house.told[0].line() == fact.line()
    assert (fact.event, fact.server, fact.mail, fact.moment) == (
        "received",
        "smtp.jaku.com",
        "1000000000-key-1",
        1_000_000_000,
    )
    assert fact.data == {
        "client": "client.example [127.0.0.1]:4711",
        "sender": "luke@jaku.com",
        "recipients": [
            {"address": "obiwan@jaku.com", "outcome": "delivered"},
            {"address": "vader@deathstar.com", "outcome": "queued"},
            {"address": "paimon@genshinimpact.com", "outcome": "ignored"},
        ],
        "title": "Hello",
        "date": "Wed, 25 May 1977 12:00:00 +0000",
        "size": len(a_mail(GIF)),
        "text": "the text\n",
        "attachments": [
            {
                "name": "1.gif",
                "type": "image/gif",
                "encoding": "base64",
                "size": len(GIF),
                "sha256": sha256(GIF).hexdigest(),
                "file": "attachments/1000000000-key-1/1.gif",
                "defects": [],
            }
        ],
        "defects": [],
        "file": "maildir/obiwan/new/1000000000-key-1.smtp.jaku.com",
    }
    json.dumps(fact.data)


async def test_a_mail_for_elsewhere_is_sent_after_the_250(house: House) -> None:
    """One Received on top and nothing else changed (C70, C74), no Return-Path (C71); it is no mail of this server."""
    content = a_mail(GIF)
    receipt = await house.accept(content, VADER)
    assert receipt.reply.code == 250
    assert (house.sent, house.inbox.mails) == ([], [])
    receipt.announce()
    await house.spool.settled()
    ((recipients, sent),) = house.sent
    assert recipients == ["vader@deathstar.com"]
    assert sent.endswith(content)
    head = sent[: -len(content)]
    assert head.startswith(b"Received: from client.example ")
    assert head.count(b"\r\n") == 3 and head.endswith(b"\r\n")
    assert [outcome.event for outcome in house.outcomes] == ["forwarded"]
    (fact,) = journal.read(house.directory)
    assert (fact.data["title"], fact.data["date"]) == ("Hello", "Wed, 25 May 1977 12:00:00 +0000")
    assert (fact.data["text"], fact.data["attachments"], fact.data["file"]) == ("", [], "")
    assert house.files == ["ServerMSG.txt", "journal.jsonl"]


async def test_a_mail_for_nowhere_is_only_recorded(house: House) -> None:
    """C42, with `unreachable = "ignore"`: accepted, and nothing is done with it."""
    receipt = await house.accept(a_mail(), PAIMON)
    receipt.announce()
    await house.spool.settled()
    assert receipt.reply.code == 250
    assert (house.sent, house.inbox.mails, house.files) == ([], [], ["ServerMSG.txt", "journal.jsonl"])
    assert house.told[0].data["recipients"] == [{"address": "paimon@genshinimpact.com", "outcome": "ignored"}]


async def test_one_mail_for_two_mailboxes(house: House) -> None:
    """A copy in each, one Mail for both; a recipient named twice gets one."""
    await house.accept(a_mail(), OBIWAN, YODA, Address("OBIWAN", "JAKU.com"))
    (mail,) = house.inbox.mails
    assert mail.envelope.recipients == ["obiwan@jaku.com", "yoda@jaku.com", "OBIWAN@JAKU.com"]
    assert [name for name in house.files if "maildir" in name] == [
        f"maildir/{box}/new/1000000000-key-1.smtp.jaku.com" for box in ("obiwan", "yoda")
    ]
    assert b"for <" not in mail.raw


async def test_a_mail_that_goes_round_in_circles(house: House) -> None:
    """C72: 100 Received fields are 554 5.4.6, and nothing of it is kept; 99 are taken."""
    assert (await house.accept(b"Received: x\r\n" * 99 + a_mail(), OBIWAN)).reply.code == 250
    receipt = await house.accept(b"Received: x\r\n" * 100 + a_mail(), OBIWAN)
    assert (receipt.reply.code, receipt.reply.enhanced) == (554, "5.4.6")
    receipt.announce()
    assert len(house.inbox.mails) == len(house.told) + 1 == 1


async def test_a_long_text_is_cut_in_the_record_alone(house: House) -> None:
    """The journal stays readable; the mail has all of it."""
    await house.accept(a_mail(text="x" * 200_000), OBIWAN)
    (fact,) = journal.read(house.directory)
    assert fact.data["text"].endswith("\n[... 134,465 more characters in the raw mail]")
    assert len(fact.data["text"]) < 70_000
    assert house.inbox.mails[0].text == "x" * 200_000 + "\n"


@pytest.mark.parametrize(("durable", "size"), [(False, BIG + 1), (True, 10)])
async def test_a_mail_that_waits_for_the_disk_holds_nobody_up(
    tmp_path: Path, clock: ManualClock, durable: bool, size: int
) -> None:
    """A big or durable mail is stored in a worker thread; `settled` waits for it."""
    house = House(tmp_path, clock, durable=durable)
    content = a_mail(text="x" * size)
    taken = house.acceptance.accept(Envelope(LUKE, (Recipient(OBIWAN),)), content, ORIGIN)
    assert isinstance(taken, asyncio.Future)
    assert house.inbox.mails == []
    assert await house.acceptance.settled() is True
    assert await house.acceptance.settled() is False
    assert (await taken).reply.code == 250
    assert house.inbox.mails[0].content == content


def failing(real: Callable[..., object], at: int, number: int) -> Callable[..., object]:
    """The system's call, of which the one of that number fails."""
    calls = 0

    def call(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize(("number", "code", "enhanced"), [(errno.ENOSPC, 452, "4.3.1"), (errno.EIO, 451, "4.3.0")])
@pytest.mark.parametrize(("name", "durable"), [("write", False), ("write", True), ("open", False), ("fsync", True)])
async def test_no_250_where_the_disk_fails(
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    durable: bool,
    number: int,
    code: int,
    enhanced: str,
) -> None:
    """C43, C47: at each call of the system in turn: 452 4.3.1 when it is full, 451 4.3.0 for any other fault, nothing
    of the fault in the reply, and nothing of the mail anywhere: no file, no line, no mail to be seen or sent."""
    replies: list[Reply] = []
    house = House(tmp_path, clock)
    for at in itertools.count(1):
        house = House(tmp_path / str(at), clock, durable=durable)
        with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
            patched.setattr(os, name, failing(getattr(os, name), at, number))
            receipt = await house.accept(a_mail(GIF), OBIWAN, VADER)
        if receipt.reply.accepted:
            break
        replies.append(receipt.reply)
        receipt.announce()
        await house.spool.settled()
        assert [path for path in house.files if (house.directory / path).stat().st_size] == []
        assert not any("maildir" in path or "attachments" in path or "spool" in path for path in house.files)
        assert (house.inbox.mails, house.told, house.sent, house.spool.waiting) == ([], [], [], [])
        assert ledger.read(house.directory / "spool") == []
        # and the next mail is taken
        assert (await house.accept(a_mail(GIF), OBIWAN, VADER)).reply.code == 250
        await house.close()
    assert len(replies) >= 1
    assert {(answer.code, answer.enhanced) for answer in replies} == {(code, enhanced)}
    assert all(os.strerror(number) not in answer.text for answer in replies)
    await house.close()


async def test_a_fault_of_ours_is_passing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """C43: 451 4.3.0 for whatever goes wrong here, and none of it in the reply; the files that were written go."""

    def fail(*_: object) -> Any:
        raise RuntimeError("secret")

    victim: object
    for name, victim in (("_sort", house.acceptance), ("keep", house.journal), ("_fact", house.acceptance)):
        with monkeypatch.context() as patched:
            patched.setattr(victim, name, fail)
            receipt = await house.accept(a_mail(GIF), OBIWAN, VADER)
        assert receipt.reply is reply.OUR_FAULT
        receipt.announce()
        assert house.files == []
    assert house.inbox.mails == []


async def test_a_listener_that_fails_holds_nothing_up(house: House) -> None:
    """The mail is told to the others and sent on all the same."""

    def fail(fact: Fact) -> None:
        raise RuntimeError("listener")

    house.journal._listeners.insert(0, fail)
    (await house.accept(a_mail(), OBIWAN, VADER)).announce()
    await house.spool.settled()
    assert len(house.told) == len(house.sent) == 1
