"""Group commit: what is to be on the disk before somebody is answered goes there together with what came meanwhile.

    the first ones -> at the disk, at once
    those that come while they are there gather -> together, as soon as one is back

Nobody waits for a group to fill. The files of a group are written, then all are synced, then all get their names, then
each folder is synced once, however many of them it holds. What fails is one mail's alone: the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Generic, TypeVar

from smtp_pair.disk import in_thread, remove_quietly, sync_folder, write_new, write_unsynced

T = TypeVar("T")
R = TypeVar("R")

LARGEST = 32
"""Mails in a group: it holds their files open."""
_AT_ONCE = 2  # groups: while one is at the disk, the loop has the other
_SYNCERS = 4  # of a group, at the same time
_HELD = 4  # files that one mail may hold open in it; what it has besides is synced by itself


class Files:
    """The files of one mail on their way to the disk. All of them are kept, or none is left."""

    def __init__(self, *, durable: bool) -> None:
        self._durable = durable
        self._open: list[int] = []
        self._to_rename: list[tuple[str, str]] = []
        self._folders_first: list[str] = []
        self._folders_last: list[str] = []
        self.made: list[str] = []
        """What was made for this mail alone, in order, as long as it has not got another name."""
        self.error: Exception | None = None

    def write(self, path: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Write a file that must not exist yet. Raises OSError."""
        if not self._durable:
            write_new(path, pieces, durable=False)
        elif len(self._open) < _HELD:
            self._open.append(write_unsynced(path, pieces))
        else:
            write_new(path, pieces, durable=True)
        self.made.append(path)

    def keep_names_in(self, folder: str) -> None:
        """What is in the folder now keeps its name, before any file is renamed."""
        self._folders_first.append(folder)

    def rename(self, path: str, to: str) -> None:
        """Give a file that was written here its name when it is safe; that name is kept as well."""
        self._to_rename.append((path, to))
        folder = os.path.dirname(to)
        if folder not in self._folders_last:
            self._folders_last.append(folder)

    def undo(self) -> None:
        """Remove all that was made. Quietly: this must not hide why."""
        while self._open:
            with contextlib.suppress(OSError):
                os.close(self._open.pop())
        remove_quietly(reversed(self.made))

    def _sync(self) -> None:
        while self._open:
            descriptor = self._open.pop()
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _name(self) -> None:
        for path, to in self._to_rename:
            os.rename(path, to)
            self.made[self.made.index(path)] = to


def commit(group: Sequence[Files], *, durable: bool) -> None:
    """Bring the files of each to where they belong; with ``durable``, on the disk. What failed has its ``error``, and
    nothing of it is left."""
    try:
        if durable:
            _sync(group)
            _sync_folders(group, lambda files: files._folders_first)
        _each(group, Files._name)
        if durable:
            _sync_folders(group, lambda files: files._folders_last)
    except BaseException:  # a fault of ours: nobody knows how far they came
        for files in group:
            files.undo()
        raise
    for files in group:
        if files.error is not None:
            files.undo()


def _sync(group: Sequence[Files]) -> None:
    """Several at the same time: file systems that keep a journal write it once for all who wait for it."""
    shares = [group[first::_SYNCERS] for first in range(min(_SYNCERS, len(group)))]
    others = [work for work in map(_in_another_thread, shares[1:]) if work is not None]
    try:
        _each(shares[0], Files._sync)
    finally:
        wait(others)
    for work in others:
        work.result()


def _in_another_thread(share: Sequence[Files]) -> Future[None] | None:
    try:
        return _pool().submit(_each, share, Files._sync)
    except RuntimeError:  # at the interpreter's exit there are no more threads
        _each(share, Files._sync)
        return None


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that sync and wait for no other thread: the loop's own may all be waiting for these."""
    return ThreadPoolExecutor(_AT_ONCE * (_SYNCERS - 1), thread_name_prefix="smtp-pair-sync")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has no threads


def _each(group: Sequence[Files], step: Callable[[Files], None]) -> None:
    for files in group:
        if files.error is None:
            try:
                step(files)
            except OSError as error:
                files.error = error


def _sync_folders(group: Sequence[Files], folders: Callable[[Files], Iterable[str]]) -> None:
    failed: dict[str, Exception | None] = {}
    for files in group:
        for folder in folders(files):
            if files.error is not None:
                break
            if folder not in failed:
                try:
                    sync_folder(folder)
                    failed[folder] = None
                except OSError as error:
                    failed[folder] = error
            files.error = failed[folder]


class Groups(Generic[T, R]):
    """Gathers what is to go to the disk together. Used on the event loop's thread only.

    ``work`` does it in a worker thread, with a result for each: an exception for one that failed. ``done`` gets the
    results, on the loop's thread; neither of them raises.
    """

    def __init__(
        self,
        work: Callable[[list[T]], list[R | Exception]],
        done: Callable[[list[T], list[R | Exception]], None],
        *,
        at_once: int = _AT_ONCE,
    ) -> None:
        self._work = work
        self._done = done
        self._waiting: list[T] = []
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None] | None] = set()

    def add(self, item: T) -> None:
        """Take it to the disk: now, or with those that come until a group that is there has come back."""
        self._waiting.append(item)
        if len(self._tasks) < self._at_once:
            self._tasks.add(asyncio.get_running_loop().create_task(self._run()))

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                try:
                    results = await in_thread(self._work, group)
                except Exception as error:  # noqa: BLE001 - whoever waits must not wait for good
                    results = [error] * len(group)
                self._done(group, results)
        finally:  # in the same turn: who comes in the next must not count on this one
            self._tasks.discard(asyncio.current_task())
