"""Writing files so that they are whole or not there, and appending lines so that they are whole or not there; and a
folder that belongs to one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do what waits for the disk in a worker thread. At the interpreter's exit there are none any more: then it is done
    here, where it holds up nobody but the last to leave."""
    try:
        waiting = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    except RuntimeError:
        return work(*arguments)
    return await waiting


def write_new(path: Path | str, pieces: Iterable[bytes | memoryview], *, durable: bool) -> None:
    """Write a file that must not exist yet. Raises OSError, and then leaves nothing behind."""
    descriptor = write_unsynced(path, pieces)
    try:
        try:
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise


def write_unsynced(path: Path | str, pieces: Iterable[bytes | memoryview]) -> int:
    """The same, but the file stays open: gives its descriptor, to be synced and closed."""
    descriptor = os.open(path, _NEW, 0o644)
    try:
        for piece in pieces:
            _write_all(descriptor, piece)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise
    return descriptor


def replace(path: Path, pieces: Iterable[bytes | memoryview], *, durable: bool) -> None:
    """Write a file that may be there already, whole or cut off by a crash. Raises OSError, and then leaves it as it
    was."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    write_new(fresh, pieces, durable=durable)
    os.replace(fresh, path)


def make_folder(path: Path, *, durable: bool) -> None:
    """Make a folder, and those above it, where it is missing."""
    if path.is_dir():
        return
    missing = [path, *(parent for parent in path.parents if not parent.exists())]
    path.mkdir(parents=True, exist_ok=True)
    if durable:
        for folder in reversed(missing):
            sync_folder(folder.parent)


def sync_folder(path: Path | str) -> None:
    """Make the names in a folder durable; where the system can't (Windows), its own promise has to do.

    A sync covers every name that was there when it began: threads that come while one is under way share the next.
    """
    with _syncing:
        shared = _syncs.setdefault(str(path), _SharedSync())
        shared.users += 1
        shared.asked += 1
        ticket = shared.asked
    try:
        shared.cover(ticket, path)
    finally:
        with _syncing:
            shared.users -= 1
            if not shared.users:
                del _syncs[str(path)]


class _SharedSync:
    """The syncs of one folder that are wanted at the same moment."""

    def __init__(self) -> None:
        self.users = 0
        self.asked = 0
        self._done = 0
        self._lock = threading.Lock()

    def cover(self, ticket: int, path: Path | str) -> None:
        with self._lock:
            if self._done >= ticket:
                return
            asked = self.asked  # all of them had their names in the folder by now
            _sync(path)
            self._done = asked


_syncs: dict[str, _SharedSync] = {}
_syncing = threading.Lock()


def _forget_syncs() -> None:
    """In a forked child nobody syncs, and a lock that was held stays so for ever."""
    global _syncing
    _syncing = threading.Lock()
    _syncs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_syncs)


def _sync(folder: Path | str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_quietly(paths: Iterable[Path | str]) -> None:
    """Remove files and empty folders that may be there: cleaning up after a failure must not hide the failure."""
    for path in paths:
        with contextlib.suppress(OSError):
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)


def lock(folder: Path) -> Callable[[], None]:
    """Take a folder, made where it is missing, for this process; call what comes back to give it up.

    An empty folder goes when it is given up. The system lets go for a process that dies; where it has no such locks
    (Windows, some network file systems) the folder is not guarded. Raises BlockingIOError when the folder is taken,
    any other OSError when it can't be written.
    """
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, _APPEND, 0o644)
        except FileNotFoundError:
            if folder.is_dir():
                raise
            continue  # whoever gave it up has just removed it
        try:
            _take(descriptor)
            if _is_at(descriptor, path):
                return lambda: _give_up(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # opened before it was given up and taken after it was removed: not the folder's lock now


def _take(descriptor: int) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # this file system has no locks


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _give_up(descriptor: int, path: Path) -> None:
    remove_quietly([path])  # while it is locked: afterwards it may be somebody else's
    os.close(descriptor)
    remove_quietly([path.parent])


class AppendFile:
    """A file of lines that only grows, opened at the first append, an append whole or undone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def append(self, octets: bytes) -> int:
        """Append, or raise OSError with the file as it was. Gives the size before, for :meth:`take_back`."""
        if self._descriptor < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, _APPEND, 0o644)
            try:
                _mend(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        before = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            _write_all(self._descriptor, octets)
        except OSError:
            self.take_back(before)
            raise
        return before

    def take_back(self, size: int) -> None:
        """Undo the last append."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        """Close; a later append opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _mend(descriptor: int) -> None:
    """A last line that an earlier run could not finish goes: it would make one line with the next."""
    size = end = os.lseek(descriptor, 0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        os.lseek(descriptor, start, os.SEEK_SET)
        piece = os.read(descriptor, end - start)
        if (newline := piece.rfind(b"\n")) >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)


def _write_all(descriptor: int, octets: bytes | memoryview) -> None:
    written = os.write(descriptor, octets)
    if written < len(octets):  # a nearly full disk, or more than the system takes at once
        rest = memoryview(octets)
        while written < len(rest):
            written += os.write(descriptor, rest[written:])
