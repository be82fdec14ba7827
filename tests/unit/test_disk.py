"""Files that are whole or not there; lines that are whole or not there."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair import disk
from smtp_pair.disk import AppendFile, make_folder, remove_quietly, sync_folder, write_new


def full_after(octets: int) -> Callable[[int, bytes | memoryview], int]:
    """A disk with room for so many octets: it takes a part of what does not fit, and then says that it is full."""
    write, left = os.write, octets

    def write_some(descriptor: int, data: bytes | memoryview) -> int:
        nonlocal left
        if left <= 0 and len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, bytes(data)[:left])
        left -= written
        return written

    return write_some


def no_sync(descriptor: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was fsynced, in order."""
    found: list[str] = []
    names: dict[int, str] = {}
    opener, fsync = os.open, os.fsync

    def open_and_remember(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opener(path, flags, mode)
        names[descriptor] = path.name
        return descriptor

    def sync_and_remember(descriptor: int) -> None:
        fsync(descriptor)
        found.append(names[descriptor])

    monkeypatch.setattr(os, "open", open_and_remember)
    monkeypatch.setattr(os, "fsync", sync_and_remember)
    return found


def next_descriptor() -> int:
    """The lowest that is free: the same again where nothing was left open."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


@given(st.lists(st.binary(max_size=100)), st.integers(1, 7))
def test_a_file_has_every_piece(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], at_once: int) -> None:
    """Whatever the pieces, and however few octets the system takes at a time."""
    path = tmp_path_factory.mktemp("disk") / "file"
    write = os.write
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:at_once]))
        write_new(path, pieces, durable=False)
    assert path.read_bytes() == b"".join(pieces)


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    """A name that exists is an error, and what was there stays; a link is not followed."""
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    path.write_bytes(b"mine")
    (tmp_path / "link").symlink_to(elsewhere)
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, [b"yours"], durable=False)
    assert path.read_bytes() == b"mine"
    assert not elsewhere.exists()


@pytest.mark.parametrize("room", [0, 1, 9])
def test_a_file_that_does_not_fit_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """A full disk (C43): the error is the system's, the half is gone."""
    monkeypatch.setattr(os, "write", full_after(room))
    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path / "file", [b"12345", b"67890"], durable=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_synced_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C47: what may not be on the disk is not promised."""
    monkeypatch.setattr(os, "fsync", no_sync)
    with pytest.raises(OSError, match="Input/output error"):
        write_new(tmp_path / "file", [b"12345"], durable=True)
    assert list(tmp_path.iterdir()) == []


def test_pieces_that_fail_leave_nothing(tmp_path: Path) -> None:
    """Whatever the error, the one that makes the pieces included."""

    def pieces() -> list[bytes]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_new(tmp_path / "file", (piece for made in [pieces] for piece in made()), durable=False)
    assert list(tmp_path.iterdir()) == []


def test_durable_means_synced(tmp_path: Path, synced: list[str]) -> None:
    """C47: a durable file is forced to the disk, another is left to the system."""
    write_new(tmp_path / "fast", [b"1"], durable=False)
    assert synced == []
    write_new(tmp_path / "durable", [b"1"], durable=True)
    sync_folder(tmp_path)
    assert synced == ["durable", tmp_path.name]


def test_a_durable_folder_is_there_after_a_crash(tmp_path: Path, synced: list[str]) -> None:
    """The name of each new folder is made durable in the one above it, top down; those that are there cost nothing."""
    make_folder(tmp_path / "a" / "b" / "c", durable=True)
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert synced == [tmp_path.name, "a", "b"]
    make_folder(tmp_path / "a" / "b" / "c", durable=True)
    make_folder(tmp_path / "a" / "x", durable=False)
    assert synced == [tmp_path.name, "a", "b"]
    assert (tmp_path / "a" / "x").is_dir()


def test_removing_quietly(tmp_path: Path) -> None:
    """Files and empty folders go; what is not there, or not empty, hides no failure that is being cleaned up after."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one").touch()
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "two").touch()
    remove_quietly([tmp_path / "missing", kept, folder / "one", folder])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


@pytest.fixture
def lines(tmp_path: Path) -> AppendFile:
    return AppendFile(tmp_path / "folder" / "lines")


def test_appending(tmp_path: Path, lines: AppendFile) -> None:
    """The file and its folder are made at the first line, not before; it goes on where it was, after a close too."""
    assert list(tmp_path.iterdir()) == []
    assert lines.append(b"one\n") == 0
    assert lines.append(b"two\n") == 4
    lines.close()
    lines.close()
    assert lines.append(b"three\n") == 8
    lines.close()
    assert (tmp_path / "folder" / "lines").read_bytes() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("room", [0, 1, 3])
def test_an_append_is_whole_or_undone(
    tmp_path: Path, lines: AppendFile, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """A full disk in the middle of a line: the lines before it stay, and the next one follows them."""
    lines.append(b"one\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full_after(room))
        with pytest.raises(OSError, match="No space left"):
            lines.append(b"lost\n")
    lines.append(b"two\n")
    lines.close()
    assert (tmp_path / "folder" / "lines").read_bytes() == b"one\ntwo\n"


def test_an_append_can_be_taken_back(tmp_path: Path, lines: AppendFile) -> None:
    """The last one, by the size before it."""
    lines.append(b"one\n")
    lines.take_back(lines.append(b"two\n"))
    lines.append(b"three\n")
    lines.close()
    assert (tmp_path / "folder" / "lines").read_bytes() == b"one\nthree\n"
    lines.take_back(0)  # closed: nothing to take back, and no error
    assert (tmp_path / "folder" / "lines").read_bytes() == b"one\nthree\n"


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"", b""),
        (b"one\n", b"one\n"),
        (b"one\ntw", b"one\n"),
        (b"on", b""),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"x" * 200_000, b""),
        (b"x" * 65_535 + b"\n", b"x" * 65_535 + b"\n"),
        (b"\n" + b"x" * 65_536, b"\n"),
    ],
)
def test_a_line_that_a_crash_cut_goes(tmp_path: Path, left: bytes, kept: bytes) -> None:
    """It would make one line with the next, and neither could be read."""
    path = tmp_path / "lines"
    path.write_bytes(left)
    lines = AppendFile(path)
    assert lines.append(b"next\n") == len(kept)
    lines.close()
    assert path.read_bytes() == kept + b"next\n"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """The system's own error, each time, and no descriptor is left open."""
    (tmp_path / "folder").touch()
    before = next_descriptor()
    lines = AppendFile(tmp_path / "folder" / "lines")
    for _ in range(2):
        with pytest.raises(OSError, match="folder"):
            lines.append(b"one\n")
    lines.close()
    assert next_descriptor() == before


def test_a_file_that_cannot_be_mended_is_not_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened and mended anew by the next append."""
    path = tmp_path / "lines"
    path.write_bytes(b"cut")
    lines = AppendFile(path)
    before = next_descriptor()
    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", lambda *_: no_sync(0))
        with pytest.raises(OSError, match="Input/output error"):
            lines.append(b"next\n")
    assert next_descriptor() == before
    lines.append(b"next\n")
    lines.close()
    assert path.read_bytes() == b"next\n"


def test_a_folder_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    """Until it is given up; then nothing of the lock is left, nor the folder if it is empty."""
    give_up = disk.lock(tmp_path / "a" / "b")
    with pytest.raises(BlockingIOError):
        disk.lock(tmp_path / "a" / "b")
    give_up()
    assert [path.name for path in (tmp_path / "a").iterdir()] == []
    give_up = disk.lock(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "mail").touch()
    give_up()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["mail"]


def test_threads_share_the_syncs_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come while a folder is being synced wait for the next sync, all for the same: the one under way may
    have begun before their names were there."""
    begun, go_on = threading.Event(), threading.Event()
    syncs: list[int] = []

    def fsync(descriptor: int) -> None:
        syncs.append(descriptor)
        begun.set()
        assert go_on.wait(10)

    monkeypatch.setattr(os, "fsync", fsync)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(sync_folder, tmp_path)
        assert begun.wait(10)
        others = [pool.submit(sync_folder, tmp_path) for _ in range(7)]
        while disk._syncs[str(tmp_path)].asked < 8:
            assert not any(other.done() for other in others)
        go_on.set()
        for future in [first, *others]:
            future.result(10)
    assert len(syncs) == 2
    assert not disk._syncs


def test_a_shared_sync_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes a sync that failed for one that was done: each that shared it tries by itself, and is told."""
    begun, go_on = threading.Event(), threading.Event()

    def fsync(descriptor: int) -> None:
        begun.set()
        assert go_on.wait(10)
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "fsync", fsync)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(sync_folder, tmp_path) for _ in range(4)]
        assert begun.wait(10)
        go_on.set()
        errors = [future.exception(10) for future in futures]
    assert [type(error) for error in errors] == [OSError] * 4
    assert not disk._syncs
