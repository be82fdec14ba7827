"""The disk in step with the queue: the mail and its state together or neither, and what the disk refuses is not lost
but written when it can be."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from smtp_pair import ledger
from smtp_pair.entry import Entry, Row
from smtp_pair.keeper import AGAIN, Keeper
from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Recipient

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

pytestmark = pytest.mark.asyncio

LUKE, VADER, YODA = map(Address.parse, ("luke@jaku.com", "vader@deathstar.com", "yoda@dagobah.test"))
CONTENT = b"Subject: x\r\n\r\nx\r\n"


class Desk:
    """A keeper, the queue that it keeps, and the disk as another process sees it."""

    def __init__(self, directory: Path, clock: ManualClock, *, durable: bool = True) -> None:
        self.directory = directory
        self.clock = clock
        self.known: dict[str, Entry] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.keeper = Keeper(
            directory, clock, durable=durable, take_up=self.take_up, known=self.known.values, start=self.start
        )

    def take_up(self, entries: list[Entry]) -> None:
        self.known |= {entry.id: entry for entry in entries}

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    async def settled(self) -> None:
        while self.tasks:
            await self.tasks.pop()

    async def later(self, seconds: float = AGAIN) -> None:
        self.clock.advance(seconds)
        await self.settled()

    def entry(self, mail_id: str, *recipients: Address, sender: Address = LUKE) -> Entry:
        rows = [Row(Recipient(address)) for address in recipients or (VADER,)]
        self.known[mail_id] = Entry(mail_id, sender, {}, 1.0, rows, CONTENT)
        return self.known[mail_id]

    @property
    def on_disk(self) -> dict[str, list[str]]:
        """What waits, by its state: recipients for each mail. Every state has its mail, every mail its state."""
        states = {entry.id: [row.recipient.address for row in entry.waiting] for entry in ledger.read(self.directory)}
        assert sorted(states) == sorted(path.stem for path in (self.directory / "mail").glob("*.eml"))
        return {mail_id: list(map(str, recipients)) for mail_id, recipients in states.items()}


@pytest_asyncio.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path / "spool", clock)
    yield desk
    await desk.keeper.close()


def failing(real: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The system's call, of which the one of that number fails; all of them for 0."""
    calls = itertools.count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        if at in (0, next(calls)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("name", ["write", "open", "fsync", "mkdir"])
async def test_a_commit_that_fails_leaves_nothing(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """C43, C47: wherever the disk fails, at each call of the system in turn: an error, and nothing that a later run
    would send; the next commit is made."""
    for at in itertools.count(1):
        desk = Desk(tmp_path / str(at) / "spool", clock)
        failed = False
        with monkeypatch.context() as patched:
            patched.setattr(os, name, failing(getattr(os, name), at))
            try:
                await desk.keeper.commit(desk.entry("1"))
            except OSError as error:
                failed = error.errno == errno.ENOSPC
        if failed:
            assert not desk.directory.exists() or desk.on_disk == {}
            await desk.keeper.commit(desk.entry("2"))
        assert len(desk.on_disk) == 1
        await desk.keeper.close()
        if not failed:
            assert at > 1
            break


async def test_a_commit_whose_state_fails_leaves_nothing(desk: Desk) -> None:
    """The mail was written, its state can't be: the mail goes."""
    desk.directory.mkdir()
    (desk.directory / "queue.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(OSError):
        await desk.keeper.commit(desk.entry("1"))
    assert list((desk.directory / "mail").iterdir()) == []
    (desk.directory / "queue.sqlite").unlink()
    desk.known.clear()


async def test_what_the_disk_refuses_is_written_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The state of a mail that was accepted before: it goes on in memory, one line in the log says so, and the disk is
    asked again until it has it; without anybody else's doing."""
    entry = desk.entry("1", VADER, YODA)
    await desk.keeper.commit(entry)
    entry.rows[0].status = "forwarded"
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "_transaction", failing(ledger._transaction, 0))
        await desk.keeper.save(entry)
        assert "the state of 1 can't be written, and is tried again" in caplog.text
        assert desk.on_disk == {"1": [VADER, YODA]}
        await desk.later()
        assert desk.on_disk == {"1": [VADER, YODA]}
    await desk.later()
    assert desk.on_disk == {"1": [YODA]}
    assert desk.clock.due == []
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(lines) == 2


async def test_a_finished_mail_that_can_not_be_removed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not be sent again by the next run: its end is written when that can be, at the latest at the stop."""
    for mail_id in ("1", "2"):
        await desk.keeper.commit(desk.entry(mail_id))
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "_transaction", failing(ledger._transaction, 0))
        for entry in desk.known.values():
            entry.rows[0].status = "forwarded"
            await desk.keeper.save(entry)
    desk.known.clear()
    assert len(desk.on_disk) == 2
    await desk.keeper.close()
    assert desk.on_disk == {}


async def test_a_notification_waits_for_its_cause(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure and the notification about it are written together, or not at all; later they are written together,
    and not the notification where it has been delivered meanwhile."""
    first, second = desk.entry("1"), desk.entry("2")
    notices = [desk.entry(f"n{number}", LUKE, sender=NULL_PATH) for number in (1, 2)]
    for entry in (first, second):
        await desk.keeper.commit(entry)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "_transaction", failing(ledger._transaction, 0))
        for entry, notice in zip((first, second), notices, strict=True):
            entry.rows[0].status = "failed"
            await desk.keeper.save(entry, [notice])
            del desk.known[entry.id]
    assert desk.on_disk == {"1": [VADER], "2": [VADER]}
    notices[0].rows[0].status = "delivered"
    await desk.keeper.save(notices[0])
    del desk.known["n1"]
    await desk.later()
    assert desk.on_disk == {"n2": [LUKE]}


async def test_attempts_that_end_together(desk: Desk) -> None:
    """Two hops answer at the same moment, while the state of the first is being written: the disk ends where the queue
    does, with nothing left behind."""
    for number in range(20):
        entry = desk.entry(str(number), VADER, YODA)
        await desk.keeper.commit(entry)
        entry.rows[0].status = "forwarded"
        first = asyncio.ensure_future(desk.keeper.save(entry))
        for _ in range(number):
            await asyncio.sleep(0)
        entry.rows[1].status = "forwarded"
        await asyncio.gather(first, desk.keeper.save(entry))
        del desk.known[entry.id]
    assert desk.on_disk == {}


async def test_a_database_that_vanishes_is_written_anew(desk: Desk) -> None:
    """Somebody removes it while it is in use: with the next change all that is known is written into a new one."""
    for mail_id in ("1", "2", "3"):
        await desk.keeper.commit(desk.entry(mail_id))
    for file in desk.directory.glob("queue.sqlite*"):
        file.unlink()
    desk.known["3"].rows[0].status = "forwarded"
    await desk.keeper.save(desk.known.pop("3"))
    await desk.settled()
    assert desk.on_disk == {"1": [VADER], "2": [VADER]}


async def restarted(desk: Desk) -> Desk:
    await desk.keeper.close()
    again = Desk(desk.directory, desk.clock)
    await again.keeper.load()
    await again.settled()
    return again


async def test_a_crash_before_the_state(desk: Desk) -> None:
    """A mail without a state was never promised: the next run removes it, and none that it writes itself meanwhile."""
    await desk.keeper.commit(desk.entry("1"))
    (desk.directory / "mail" / "2.eml").write_bytes(CONTENT)
    again = await restarted(desk)
    assert list(again.known) == ["1"]
    assert again.on_disk == {"1": [VADER]}
    await again.keeper.close()


async def test_a_database_that_is_lost(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Where the state of the mails is gone, the mails are not: they are put aside, and the log says where."""
    await desk.keeper.commit(desk.entry("1"))
    await desk.keeper.close()
    (desk.directory / "queue.sqlite").unlink()
    again = Desk(desk.directory, desk.clock)
    await again.keeper.load()
    assert (desk.directory / "mail" / "1.eml").exists()
    await again.keeper.commit(again.entry("2"))
    await again.settled()
    assert again.on_disk == {"2": [VADER]}
    assert (desk.directory / "lost" / "1.eml").read_bytes() == CONTENT
    assert "mails that have lost their state are put aside in" in caplog.text
    await again.keeper.close()


async def test_a_database_that_is_broken_at_the_start(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once at the start; its mails are kept, and taken up when it is whole again, by and by."""
    await desk.keeper.commit(desk.entry("1"))
    await desk.keeper.close()
    file = desk.directory / "queue.sqlite"
    whole = file.read_bytes()
    file.write_bytes(b"garbage" * 1000)
    again = Desk(desk.directory, desk.clock)
    await again.keeper.load()
    assert "the queue can't be read, and its mails wait until it can" in caplog.text
    await again.later()
    assert again.known == {}
    file.write_bytes(whole)
    await again.later()
    assert list(again.known) == ["1"]
    assert again.on_disk == {"1": [VADER]}
    await again.keeper.close()


@pytest.mark.parametrize("durable", [True, False])
async def test_what_is_only_in_memory_is_written_at_the_end(tmp_path: Path, clock: ManualClock, durable: bool) -> None:
    """A fast mail that was under way, a thousand of them: one or two commits, not one each."""
    desk = Desk(tmp_path / "spool", clock, durable=durable)
    for number in range(300):
        desk.entry(str(number))
    await desk.keeper.close()
    assert len(desk.on_disk) == 300
