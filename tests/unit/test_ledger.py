"""The state of a queue on disk: what shares a moment shares a commit, one bad change spoils no other, and a broken
database is a fault that passes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_pair import ledger
from smtp_pair.entry import Entry, Row
from smtp_pair.ledger import FILE_NAME, Ledger, Opened
from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Recipient
from smtp_pair.queue_tables import Change, drop, entries, put, together
from smtp_pair.strategies import addresses

pytestmark = pytest.mark.asyncio

LUKE, VADER = Address.parse("luke@jaku.com"), Address.parse("vader@deathstar.com")


def entry(mail_id: str, *rows: Row) -> Entry:
    return Entry(mail_id, LUKE, {"BODY": "8BITMIME"}, 12.5, list(rows or [Row(Recipient(VADER))]), None, on_disk=True)


class Queue:
    """A ledger, and what it handed over."""

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.directory = directory
        self.opened: list[Opened] = []
        self.lost = 0
        self.ledger = Ledger(directory, self.opened.append, self._lose, durable=durable)

    def _lose(self) -> None:
        self.lost += 1

    @property
    def file(self) -> Path:
        return self.directory / FILE_NAME

    def ids(self) -> list[str]:
        """What is in the database, as another process sees it."""
        return [one.id for one in ledger.read(self.directory)]

    async def aclose(self) -> None:
        await self.ledger.close()


@pytest_asyncio.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with aclosing(Queue(tmp_path / "spool")) as queue:
        yield queue


async def test_nothing_is_made_before_it_is_needed(queue: Queue) -> None:
    """No database, no folder: the start of a server waits for no disk."""
    await queue.ledger.load()
    assert not queue.directory.exists()
    assert ledger.read(queue.directory) == []
    await queue.ledger.write(put(entry("1")))
    assert queue.file.exists()
    assert queue.opened == [Opened([], frozenset(), fresh=True)]


async def test_what_is_written_is_there(queue: Queue, tmp_path: Path) -> None:
    """Written, brought up to date, dropped; and handed over to the next run, once."""
    row = Row(Recipient(VADER, {"NOTIFY": "NEVER"}), "queued", 3, 17.25, "451 4.3.0 später", warned=True)
    await queue.ledger.write(put(entry("2", row)))
    await queue.ledger.write(put(entry("1")))
    await queue.ledger.write(put(entry("3")))
    await queue.ledger.write(drop("3"))
    row.attempts = 4
    await queue.ledger.write(put(entry("2", row)))
    await queue.aclose()
    async with aclosing(Queue(queue.directory)) as again:
        await again.ledger.load()
        await again.ledger.load()
        [opened] = again.opened
        assert not opened.fresh and not opened.unread
        assert [one.id for one in opened.entries] == ["1", "2"]
        two = opened.entries[1]
        assert (two.sender, two.options, two.accepted, two.rows) == (LUKE, {"BODY": "8BITMIME"}, 12.5, [row])
        assert two.on_disk and two.content is None


class Counting:
    """Counts the transactions of a ledger."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        real = ledger._transaction

        def count(database: sqlite3.Connection, changes: list[Change]) -> None:
            self.sizes.append(len(changes))
            real(database, changes)

        monkeypatch.setattr(ledger, "_transaction", count)


async def test_what_gathers_shares_a_commit(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group commit: while one is under way, all that come go together into the next."""
    counting = Counting(monkeypatch)
    await asyncio.gather(*(queue.ledger.write(put(entry(str(number)))) for number in range(100)))
    assert counting.sizes == [100]
    first = asyncio.ensure_future(queue.ledger.write(put(entry("first"))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(first, *(queue.ledger.write(put(entry(f"b{number}"))) for number in range(50)))
    assert counting.sizes == [100, 1, 50]
    assert len(queue.ids()) == 151


async def test_one_bad_change_spoils_no_other(queue: Queue) -> None:
    """The others of its commit are kept, and its own part is not: all of it, or nothing."""

    def bad(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO nowhere VALUES (1)")

    results = await asyncio.gather(
        queue.ledger.write(put(entry("1"))),
        queue.ledger.write(together(put(entry("2")), bad)),
        queue.ledger.write(put(entry("3", Row(Recipient(VADER), attempts=1 << 80)))),
        queue.ledger.write(put(entry("4"))),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), OSError, OSError, type(None)]
    assert queue.ids() == ["1", "4"]


async def test_a_change_that_breaks_here_leaves_nobody_waiting(queue: Queue) -> None:
    """Whatever a change raises, those who wait are told, and the next is made."""

    def broken(database: sqlite3.Connection) -> None:
        raise RuntimeError("ours")

    results = await asyncio.gather(
        queue.ledger.write(put(entry("1"))), queue.ledger.write(broken), return_exceptions=True
    )
    assert all(isinstance(result, OSError) for result in results)
    await queue.ledger.write(put(entry("2")))
    assert "2" in queue.ids()


@pytest.mark.parametrize("garbage", [b"garbage" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000, b"\x00" * 4096])
async def test_a_broken_file(queue: Queue, garbage: bytes) -> None:
    """Neither read nor overwritten; each change is refused. When it is gone, or whole again, all goes on by itself, and
    what was in it is handed over then."""
    await queue.ledger.write(put(entry("1")))
    await queue.aclose()
    whole = queue.file.read_bytes()
    queue.file.write_bytes(garbage)
    async with aclosing(Queue(queue.directory)) as again:
        with pytest.raises(OSError, match=r"queue\.sqlite"):
            await again.ledger.load()
        for _ in range(2):
            with pytest.raises(OSError):
                await again.ledger.write(put(entry("2")))
        assert queue.file.read_bytes() == garbage
        assert again.opened == []
        queue.file.write_bytes(whole)
        await again.ledger.write(put(entry("3")))
        [opened] = again.opened
        assert [one.id for one in opened.entries] == ["1"]
        assert again.ids() == ["1", "3"]


async def test_a_file_that_vanishes(queue: Queue) -> None:
    """A database that somebody removes while it is in use is noticed with the next change, which is kept in a new one;
    and whoever knows what was in the old one is told."""
    await queue.ledger.write(put(entry("1")))
    for file in queue.directory.iterdir():
        file.unlink()
    await queue.ledger.write(put(entry("2")))
    assert queue.ids() == ["2"]
    assert (queue.lost, len(queue.opened)) == (1, 1)
    await queue.ledger.write(put(entry("3")))
    assert queue.lost == 1


async def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    """A file where the folder should be: an error, and then none when it is gone."""
    (tmp_path / "spool").write_bytes(b"")
    async with aclosing(Queue(tmp_path / "spool")) as queue:
        with pytest.raises(OSError):
            await queue.ledger.write(put(entry("1")))
        (tmp_path / "spool").unlink()
        await queue.ledger.write(put(entry("1")))
        assert queue.ids() == ["1"]


async def test_somebody_else_writes(queue: Queue) -> None:
    """`smtp-pair queue` may hold the database for a moment: it is waited for."""
    await queue.ledger.write(put(entry("1")))
    with closing(sqlite3.connect(queue.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(queue.ledger.write(put(entry("2"))))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        other.execute("ROLLBACK")
        await waiting
    assert queue.ids() == ["1", "2"]


BAD = [
    ("UPDATE mail SET sender = 'x y@@' WHERE id = '1'", ()),
    ("UPDATE mail SET options = ? WHERE id = '1'", (b"\xff",)),
    ("UPDATE mail SET options = '[1]' WHERE id = '1'", ()),
    ("UPDATE mail SET options = '{' WHERE id = '1'", ()),
    ("UPDATE mail SET accepted = 'soon' WHERE id = '1'", ()),
    ("UPDATE recipient SET address = '<>' WHERE mail = '1'", ()),
    ("UPDATE recipient SET address = x'ff' WHERE mail = '1'", ()),
    ("UPDATE recipient SET options = '7' WHERE mail = '1'", ()),
    ("UPDATE recipient SET status = 'lost' WHERE mail = '1'", ()),
    ("UPDATE recipient SET attempts = 'many' WHERE mail = '1'", ()),
    ("UPDATE recipient SET due = 'never' WHERE mail = '1'", ()),
    ("UPDATE recipient SET last = x'00' WHERE mail = '1'", ()),
]


@pytest.mark.parametrize(("statement", "values"), BAD, ids=range(len(BAD)))
async def test_a_state_that_can_not_be_read(
    queue: Queue, statement: str, values: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """It is named, in the log and to whoever would else remove its mail, and the others are handed over (C81)."""
    await asyncio.gather(*(queue.ledger.write(put(entry(mail_id))) for mail_id in ("1", "2")))
    await queue.ledger.write(lambda database: database.execute(statement, values))
    await queue.aclose()
    async with aclosing(Queue(queue.directory)) as again:
        await again.ledger.load()
        [opened] = again.opened
    assert ([one.id for one in opened.entries], opened.unread) == (["2"], frozenset({"1"}))
    assert "the queue's mail 1 can't be taken up" in caplog.text


@pytest.mark.parametrize("durable", [True, False])
async def test_it_is_as_durable_as_it_was_told(tmp_path: Path, durable: bool) -> None:
    """WAL in both modes; synced at each commit in durable mode, left to the system in fast mode."""
    async with aclosing(Queue(tmp_path / "spool", durable=durable)) as queue:
        told: list[object] = []
        await queue.ledger.write(put(entry("1")))
        assert queue.ledger._database is not None
        for pragma in ("journal_mode", "synchronous"):
            told += queue.ledger._database.execute(f"PRAGMA {pragma}").fetchone()
        assert told == ["wal", 2 if durable else 0]


async def test_applied_by_somebody_else(queue: Queue) -> None:
    """A change to the queue of a server that does not run."""
    await queue.ledger.write(put(entry("1")))
    await queue.aclose()
    ledger.apply(queue.directory, drop("1"))
    assert queue.ids() == []
    queue.file.write_bytes(b"garbage" * 1000)
    with pytest.raises(OSError):
        ledger.apply(queue.directory, drop("1"))
    with pytest.raises(OSError):
        ledger.read(queue.directory)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
rows = st.builds(
    Row,
    st.builds(Recipient, addresses(utf8=True), st.dictionaries(texts, texts, max_size=2)),
    st.sampled_from(["queued", "delivered", "forwarded", "failed"]),
    st.integers(0, 1000),
    st.floats(0, 4e9),
    texts,
    st.booleans(),
)


@settings(max_examples=100)
@given(st.just(NULL_PATH) | addresses(utf8=True), st.dictionaries(texts, texts, max_size=3), st.lists(rows, max_size=4))
async def test_the_state_survives_the_database(sender: Address, options: dict[str, str], kept: list[Row]) -> None:
    """Any addresses, options and replies are the same again, quotes, case and all."""
    one = Entry("17-a-1", sender, options, 12.5, kept, None, on_disk=True)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        ledger._set_up(database, durable=False)
        put(one)(database)
        [again], unread = entries(database)
    assert not unread
    assert (again.sender, again.options, again.accepted, again.rows) == (sender, options, 12.5, kept)
    assert [(row.recipient.address.local, row.recipient.address.domain) for row in again.rows] == [
        (row.recipient.address.local, row.recipient.address.domain) for row in kept
    ]
