"""The mails of a queue on disk: one file each, as it is sent on. What is to become of them is in the ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path

from smtp_pair.disk import in_thread, make_folder, sync_folder, write_new
from smtp_pair.entry import Entry

log = logging.getLogger(__name__)

LOST = "lost"
"""The folder of mails whose state is gone with the database that held it."""
_FOLDER = "mail"
_READERS = 8  # at the same time: the worker threads serve other queues too


class MailFiles:
    """The folder of one queue's mails. Used on the event loop's thread only."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        self._spool = directory
        self._directory = mail_file(directory, "").parent
        self._lost = directory / LOST
        self._durable = durable
        self._room = asyncio.Semaphore(_READERS)
        self._old: tuple[Path, ...] = ()
        self._finished: list[Path] = []
        self._next: asyncio.Task[None] | None = None
        """Removes those that are finished by then; while one is under way, the next ones gather."""
        self._removing = asyncio.Lock()

    async def write(self, entry: Entry) -> None:
        """Write a mail down. Raises OSError, and then nothing of it is left."""
        await in_thread(self._write, entry)

    async def read(self, mail_id: str) -> bytes:
        """What was written. Raises OSError."""
        async with self._room:
            return await in_thread(self._path(mail_id).read_bytes)

    async def remove(self, mail_id: str) -> None:
        """Remove a mail that is finished; one that can't be removed goes with the next start."""
        self._finished.append(self._path(mail_id))
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._remove_finished())
        await asyncio.shield(self._next)

    async def _remove_finished(self) -> None:
        async with self._removing:
            paths, self._finished, self._next = self._finished, [], None
            await in_thread(_remove_each, paths)

    def take_back(self, mail_id: str) -> None:
        """Remove a mail that was refused after all, at once."""
        _remove_each([self._path(mail_id)])

    async def look(self) -> None:
        """See what an earlier run left, before this one adds anything."""
        if self._directory.is_dir():
            self._old = await in_thread(self._found)

    def strangers(self, known: Collection[str]) -> list[Path]:
        """What an earlier run left, and nobody knows."""
        old, self._old = self._old, ()
        return [path for path in old if path.stem not in known]

    async def sweep(self, strangers: Collection[Path], *, without_state: bool) -> None:
        """Deal with mails that have no state. Where the ledger has been kept, a crash came before their 250, or after
        their end: they go. ``without_state``: the ledger itself is gone, and nothing accepted is ever thrown away; they
        are put aside, for a person to look at."""
        try:
            await in_thread(self._put_aside if without_state else _remove, strangers)
        except OSError:
            log.exception("what an earlier run left in %s stays there", self._directory)

    # -- in a worker thread -------------------------------------------------------------------------------------------

    def _path(self, mail_id: str) -> Path:
        return mail_file(self._spool, mail_id)

    def _write(self, entry: Entry) -> None:
        assert entry.content is not None
        make_folder(self._directory, durable=self._durable)
        path = self._path(entry.id)
        write_new(path, [entry.content], durable=self._durable)
        if self._durable:
            try:
                sync_folder(self._directory)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def _found(self) -> tuple[Path, ...]:
        try:
            return tuple(self._directory.glob("*.eml"))
        except OSError:
            log.exception("%s can't be read", self._directory)
            return ()

    def _put_aside(self, paths: Collection[Path]) -> None:
        log.error("mails that have lost their state are put aside in %s: %d", self._lost, len(paths))
        self._lost.mkdir(exist_ok=True)
        for path in paths:
            path.rename(self._lost / path.name)


def _remove_each(paths: Collection[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            log.exception("%s could not be removed", path)


def _remove(paths: Collection[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def mail_file(directory: Path, mail_id: str) -> Path:
    """Where the spool in that folder keeps a mail."""
    return directory / _FOLDER / f"{mail_id}.eml"
