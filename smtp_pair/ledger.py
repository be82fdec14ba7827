"""The state of a queue on disk: one SQLite database, in which everything written at the same moment shares one commit.

A commit costs a sync of the disk, whatever is in it; so while one is under way the next changes gather, and go together
(group commit). The database is opened at the first change, or at the start where there is one already; what it holds is
handed over then. A database that fails is closed, and opened anew for the next change: when the cause is gone, all goes
on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from smtp_pair.background import in_thread
from smtp_pair.disk import make_folder
from smtp_pair.entry import Entry, Row
from smtp_pair.mail.address import Address, parse_path
from smtp_pair.mail.envelope import NO_OPTIONS, Recipient

log = logging.getLogger(__name__)

FILE_NAME = "queue.sqlite"
Change = Callable[[sqlite3.Connection], object]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, options TEXT NOT NULL, accepted REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recipient (
    mail TEXT NOT NULL, number INTEGER NOT NULL, address TEXT NOT NULL, options TEXT NOT NULL, status TEXT NOT NULL,
    attempts INTEGER NOT NULL, due REAL NOT NULL, last TEXT NOT NULL, warned INTEGER NOT NULL,
    PRIMARY KEY (mail, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wish (number INTEGER PRIMARY KEY, what TEXT NOT NULL, mail TEXT NOT NULL);
"""
_PUT_MAIL = "INSERT OR REPLACE INTO mail VALUES (?, ?, ?, ?)"
_PUT_ROW = "INSERT OR REPLACE INTO recipient VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


# -- changes ------------------------------------------------------------------------------------------------------


def put(entry: Entry) -> Change:
    """Write the mail down, its rows as they are now; or bring it up to date."""
    mail = (entry.id, entry.sender, _options(entry.options), entry.accepted)
    rows = [
        (
            entry.id,
            number,
            row.recipient.address,
            _options(row.recipient.options),
            row.status,
            row.attempts,
            row.due,
            row.last,
            row.warned,
        )
        for number, row in enumerate(entry.rows)
    ]

    def change(database: sqlite3.Connection) -> None:
        database.execute(_PUT_MAIL, mail)
        database.executemany(_PUT_ROW, rows)

    return change


def drop(mail_id: str) -> Change:
    """Forget the mail."""

    def change(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM recipient WHERE mail = ?", (mail_id,))
        database.execute("DELETE FROM mail WHERE id = ?", (mail_id,))

    return change


def together(*changes: Change) -> Change:
    """All of the changes, or none."""

    def change(database: sqlite3.Connection) -> None:
        for one in changes:
            one(database)

    return change


# -- the database ---------------------------------------------------------------------------------------------------


class Ledger:
    """The database of one queue. Used on the event loop's thread only; the disk is waited for in worker threads."""

    def __init__(self, directory: Path, take_up: Callable[[list[Entry]], None], *, durable: bool) -> None:
        self._path = directory / FILE_NAME
        self._take_up = take_up
        self._durable = durable
        self._pending: list[tuple[Change, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._database: sqlite3.Connection | None = None
        self._handed_over = False

    @property
    def exists(self) -> bool:
        """Whether there is a database, from this run or an earlier one."""
        return self._path.exists()

    async def write(self, change: Change) -> None:
        """Make a change, and return when it is kept. Raises OSError, and then nothing of it is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((change, done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        await done

    async def load(self) -> bool:
        """Hand over what an earlier run left; whether that could be done."""
        if self.exists:
            try:
                await self.write(lambda database: None)
            except OSError as error:
                log.error("%s can't be read, its mails wait until it can: %s", self._path, error)
                return False
        return True

    async def close(self) -> None:
        """Finish what is pending, and close."""
        if self._task is not None:
            await self._task
        database, self._database = self._database, None
        if database is not None:
            await in_thread(database.close)

    async def _run(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            changes = [change for change, _ in batch]
            failed, left = await in_thread(self._commit, changes)
            if left is not None:
                self._handed_over = True
                self._take_up(left)
            for (_, done), error in zip(batch, failed, strict=True):
                if done.cancelled():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        self._task = None

    # -- in a worker thread, one at a time ---------------------------------------------------------------------------

    def _commit(self, changes: list[Change]) -> tuple[list[OSError | None], list[Entry] | None]:
        """What went wrong with each of the changes; and, when the database was opened first, what it held."""
        left = None
        try:
            if self._database is None:
                self._database = _open(self._path, durable=self._durable)
                left = None if self._handed_over else _entries(self._database)
            return self._all_or_each(self._database, changes), left
        except (sqlite3.Error, OSError, ValueError) as error:
            self._discard()
            return [_os_error(error, self._path)] * len(changes), None

    def _all_or_each(self, database: sqlite3.Connection, changes: list[Change]) -> list[OSError | None]:
        try:
            _transaction(database, changes)
        except sqlite3.Error:
            if len(changes) == 1:
                raise
        else:
            return [None] * len(changes)
        failed: list[OSError | None] = []
        for change in changes:  # one that can't be made is no reason to refuse the others
            try:
                _transaction(database, [change])
                failed.append(None)
            except sqlite3.Error as error:
                failed.append(_os_error(error, self._path))
        if None not in failed:
            self._discard()
        return failed

    def _discard(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()


def _open(path: Path, *, durable: bool) -> sqlite3.Connection:
    make_folder(path.parent, durable=durable)
    database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _transaction(database: sqlite3.Connection, changes: Iterable[Change]) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        for change in changes:
            change(database)
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _os_error(error: Exception, path: Path) -> OSError:
    if isinstance(error, OSError):
        return error
    full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
    return OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path))


def read(directory: Path) -> list[Entry]:
    """The queue in a spool's folder, oldest first, whether or not its server runs. Raises OSError."""
    path = directory / FILE_NAME
    if not path.exists():
        return []
    try:
        with contextlib.closing(_open(path, durable=False)) as database:
            return _entries(database)
    except sqlite3.Error as error:
        raise _os_error(error, path) from None


def _entries(database: sqlite3.Connection) -> list[Entry]:
    rows: dict[str, list[Any]] = {}
    for mail_id, *row in database.execute("SELECT * FROM recipient ORDER BY mail, number"):
        rows.setdefault(mail_id, []).append(row)
    entries = []
    for mail in database.execute("SELECT * FROM mail ORDER BY accepted, id"):
        try:
            mail_id, sender, options, accepted = mail
            entries.append(_entry(mail_id, sender, options, accepted, rows.get(mail_id, [])))
        except (ValueError, TypeError):  # one that can't be read is no reason to leave the others
            log.exception("the queue's mail %s can't be taken up", mail[0])
    return entries


def _entry(mail_id: str, sender: str, options: str, accepted: float, rows: list[Any]) -> Entry:
    kept = [
        Row(Recipient(_address(address), _parsed(wishes)), status, attempts, due, last, bool(warned))
        for _, address, wishes, status, attempts, due, last, warned in rows
    ]
    return Entry(mail_id, _address(sender), _parsed(options), accepted, kept, content=None, on_disk=True)


def _options(options: Any) -> str:
    return json.dumps(dict(options)) if options else ""


def _parsed(options: str) -> Any:
    return json.loads(options) if options else NO_OPTIONS


def _address(text: str) -> Address:
    return parse_path(f"<{text}>", utf8=True)[0]
