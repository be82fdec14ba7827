"""Quotas: how much a mailbox holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from smtp_pair.quota import Quota
from smtp_pair.store import mailbox_folder


@pytest.fixture
def quota(tmp_path: Path) -> Quota:
    return Quota(tmp_path, 100)


def put(directory: Path, mailbox: str, octets: int, part: str = "new", name: str = "1") -> Path:
    path = mailbox_folder(directory, mailbox) / part / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(octets))
    return path


@pytest.mark.parametrize(("octets", "room"), [(1, True), (100, True), (101, False)])
def test_an_empty_mailbox(quota: Quota, octets: int, room: bool) -> None:
    """Holds as much as it is told, and not an octet more; it need not exist yet."""
    assert quota.has_room("luke", octets) is room


def test_what_is_there_already(quota: Quota, tmp_path: Path) -> None:
    """Counts, read or unread, from an earlier run too; what is half-written does not, nor another mailbox."""
    put(tmp_path, "luke", 30)
    put(tmp_path, "luke", 30, "cur", "2:2,S")
    put(tmp_path, "luke", 30, "tmp", "3")
    put(tmp_path, "leia", 90)
    assert quota.has_room("luke", 40)
    assert not quota.has_room("luke", 41)


def test_mails_add_up(quota: Quota) -> None:
    """What was stored is counted without looking at the disk each time."""
    for _ in range(2):
        quota.reserve(["luke", "leia"], 30)
        quota.settle(["luke", "leia"], 30, stored=True)
    quota._measure = lambda mailbox: 60  # type: ignore[method-assign]
    assert quota.has_room("luke", 40)
    assert not quota.has_room("leia", 41)
    assert quota.has_room("han", 40)


def test_what_is_being_stored_counts(quota: Quota, tmp_path: Path) -> None:
    """Two big mails at the same time: the second is not let in because the disk does not show the first one yet."""
    assert quota.has_room("luke", 60)
    quota.reserve(["luke"], 60)
    assert quota.has_room("luke", 40)
    assert not quota.has_room("luke", 41)
    put(tmp_path, "luke", 60)
    quota.settle(["luke"], 60, stored=True)
    assert not quota.has_room("luke", 41)
    assert quota.has_room("luke", 40)


def test_what_was_not_stored_does_not(quota: Quota) -> None:
    """A mail that failed leaves its room to others."""
    quota.reserve(["luke"], 100)
    assert not quota.has_room("luke", 1)
    quota.settle(["luke"], 100, stored=False)
    assert quota.has_room("luke", 100)


def test_a_reader_makes_room(quota: Quota, tmp_path: Path) -> None:
    """Before it says no, it looks whether mails were removed."""
    path = put(tmp_path, "luke", 80)
    assert not quota.has_room("luke", 21)
    path.unlink()
    assert quota.has_room("luke", 100)


def test_a_name_that_is_a_path(quota: Quota, tmp_path: Path) -> None:
    """Is measured where it is stored, and never anywhere else."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "big").write_bytes(bytes(1000))
    put(tmp_path, "../..", 50)
    assert quota.has_room("../..", 50)
    assert not quota.has_room("../..", 51)
