"""A folder belongs to one process at a time, also where that is not easy to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from smtp_pair.disk import lock


def test_a_lock_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened before the first gave it up, locked after: that file is the folder's lock no more, and another is made."""
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")
    first = lock(tmp_path)
    taken: list[int] = []
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        taken.append(descriptor)
        if len(taken) == 1:
            first()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    second = lock(tmp_path)
    assert len(taken) == 2
    assert (tmp_path / "lock").exists()
    with pytest.raises(BlockingIOError):
        lock(tmp_path)
    second()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the folder is not guarded, and the servers start all the same."""
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")

    def flock(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    first, second = lock(tmp_path), lock(tmp_path)
    first()
    second()
