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
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smtp_pair.disk import in_thread, make_folder, sync_folder
from smtp_pair.entry import Entry
from smtp_pair.queue_tables import SCHEMA, Change, entries

log = logging.getLogger(__name__)

T = TypeVar("T")

FILE_NAME = "queue.sqlite"
_CAN_NOT = (sqlite3.Error, ValueError, TypeError, OverflowError)  # the disk can't, or what is to be written can't be


@dataclass(frozen=True, slots=True)
class Opened:
    """What a database held when it was opened."""

    entries: list[Entry]
    unread: frozenset[str]
    """The ids of mails whose state can't be read."""
    fresh: bool
    """Whether it was made then."""


class Ledger:
    """The database of one queue. Used on the event loop's thread only; the disk is waited for in worker threads.

    ``take_up`` is given what an earlier run left, once, when the database is opened first. ``lost`` is called when a
    database that was in use is no longer there: all that is known has to be written down anew.
    """

    def __init__(
        self,
        directory: Path,
        take_up: Callable[[Opened], None],
        lost: Callable[[], None],
        *,
        durable: bool,
    ) -> None:
        self._path = directory / FILE_NAME
        self._take_up = take_up
        self._lost = lost
        self._durable = durable
        self._pending: list[tuple[Change, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._database: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        """What the database was when it was opened last."""
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

    async def load(self) -> None:
        """Hand over what an earlier run left. Raises OSError when it can't be read."""
        if self.exists and not self._handed_over:
            await self.write(_nothing)

    async def close(self) -> None:
        """Finish what is pending, and close."""
        if self._task is not None:
            await self._task
        database, self._database = self._database, None
        if database is not None:
            await in_thread(_close, database)

    async def _run(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                try:
                    opened, errors = await in_thread(self._commit, [change for change, _ in batch])
                except Exception as error:  # whoever waits must not wait for good
                    log.exception("%s: a fault of ours", self._path)
                    opened, errors = None, [_os_error(error, self._path)] * len(batch)
                self._tell(opened)
                for (_, done), failed in zip(batch, errors, strict=True):
                    if done.cancelled():
                        continue
                    if failed is None:
                        done.set_result(None)
                    else:
                        done.set_exception(failed)
        finally:
            self._task = None

    def _tell(self, opened: Opened | None) -> None:
        try:
            if opened is not None and not self._handed_over:
                self._handed_over = True
                self._take_up(opened)
            elif opened is not None and opened.fresh:
                log.error("%s was there and is gone; it is written anew", self._path)
                self._lost()
        except Exception:  # what was written is written
            log.exception("%s: a fault of ours", self._path)

    # -- in a worker thread, one at a time ---------------------------------------------------------------------------

    def _commit(self, changes: list[Change]) -> tuple[Opened | None, list[OSError | None]]:
        """Make the changes, in one transaction. Gives what was found when the database had to be opened for it, and
        what went wrong with each change."""
        try:
            opened = self._opened()
            assert self._database is not None
            return opened, self._all_or_each(self._database, changes)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._discard()
            return None, [_os_error(error, self._path)] * len(changes)

    def _opened(self) -> Opened | None:
        if self._database is not None:
            if _is_at(self._file, self._path):
                return None
            self._discard()  # what is written to a file that was removed is lost
        make_folder(self._path.parent, durable=self._durable)
        database = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            fresh = _set_up(database, durable=self._durable)
            if self._durable and fresh:
                sync_folder(self._path.parent)
            opened = Opened(*(([], frozenset()) if self._handed_over else entries(database)), fresh)
            self._file = self._path.stat()
        except BaseException:
            _close(database)
            raise
        self._database = database
        return opened

    def _all_or_each(self, database: sqlite3.Connection, changes: list[Change]) -> list[OSError | None]:
        try:
            _transaction(database, changes)
        except _CAN_NOT as error:
            if len(changes) == 1:
                failed: list[OSError | None] = [_os_error(error, self._path)]
            else:  # one that can't be made is no reason to refuse the others
                failed = [self._failure(database, change) for change in changes]
        else:
            return [None] * len(changes)
        if None not in failed:
            self._discard()
        return failed

    def _failure(self, database: sqlite3.Connection, change: Change) -> OSError | None:
        try:
            _transaction(database, [change])
        except _CAN_NOT as error:
            return _os_error(error, self._path)
        return None

    def _discard(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            _close(database)


def _nothing(database: sqlite3.Connection) -> None:
    """A change that changes nothing: the database is opened for it."""


def _close(database: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # a broken one can't be brought up to date, and all is kept in its WAL
        database.close()


def _is_at(file: os.stat_result | None, path: Path) -> bool:
    try:
        return file is not None and os.path.samestat(file, path.stat())
    except FileNotFoundError:
        return False


def _set_up(database: sqlite3.Connection, *, durable: bool) -> bool:
    """Make it ready; whether it was made only now."""
    database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")  # first: the change to WAL is synced too
    database.execute("PRAGMA journal_mode = WAL")
    fresh = not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'mail'").fetchall()
    if fresh:
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    return fresh


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
    return _by_itself(directory, lambda database: entries(database)[0]) or []


def apply(directory: Path, change: Change) -> None:
    """Make a change to the queue in the folder of a server that does not run. Raises OSError."""
    _by_itself(directory, lambda database: _transaction(database, [change]))


def _by_itself(directory: Path, work: Callable[[sqlite3.Connection], T]) -> T | None:
    path = directory / FILE_NAME
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as database:
            _set_up(database, durable=True)
            return work(database)
    except sqlite3.Error as error:
        raise _os_error(error, path) from None
