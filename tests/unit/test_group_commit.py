"""Group commit: nobody waits for a group to fill, what fails is one mail's alone, and no 250 comes before the disk."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smtp_pair import group_commit, journal
from smtp_pair.group_commit import LARGEST, Groups
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.store import Delivery, Store
from tests.unit.test_acceptance import GIF, LUKE, OBIWAN, ORIGIN, YODA, House, a_mail, failing

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

FULL = errno.ENOSPC


def lying_in(folder: Path) -> list[str]:
    """Every file of a mail, by its path from there."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# -- who goes with whom ------------------------------------------------------------------------------------------------


class Disk:
    """Takes groups of numbers, each when it is told to."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.groups: list[list[int]] = []
        self.results: list[tuple[list[int], list[int | Exception]]] = []
        self.done = asyncio.Event()
        self.wanted = 0

    def work(self, group: list[int]) -> list[int | Exception]:
        self.groups.append(group)
        self.came.release()
        assert self.go.acquire(timeout=20)
        if -1 in group:
            raise RuntimeError("ours")
        return [-number for number in group]

    def finished(self, group: list[int], results: list[int | Exception]) -> None:
        self.results.append((group, results))
        if sum(len(group) for group, _ in self.results) == self.wanted:
            self.done.set()

    async def has(self) -> None:
        """Wait until a group has come."""
        assert await asyncio.to_thread(self.came.acquire, timeout=20)


@pytest.mark.asyncio
async def test_those_that_come_meanwhile_go_together() -> None:
    """The first goes at once, alone; what comes while it is away goes next, in its order; no group is too large."""
    disk = Disk()
    groups = Groups(disk.work, disk.finished, at_once=1)
    groups.add(0)
    await disk.has()
    for number in range(1, LARGEST + 3):
        groups.add(number)
    disk.wanted = LARGEST + 3
    disk.go.release(3)
    await asyncio.wait_for(disk.done.wait(), 20)
    assert disk.groups == [[0], [*range(1, LARGEST + 1)], [LARGEST + 1, LARGEST + 2]]
    assert [results for _, results in disk.results] == [[-number for number in group] for group in disk.groups]


@pytest.mark.asyncio
async def test_a_fault_of_ours_leaves_nobody_waiting() -> None:
    """Each of the group is told, and the next one is taken as ever."""
    disk = Disk()
    groups = Groups(disk.work, disk.finished, at_once=1)
    groups.add(-1)
    groups.add(1)
    await disk.has()
    groups.add(2)
    disk.wanted = 3
    disk.go.release(2)
    await asyncio.wait_for(disk.done.wait(), 20)
    (bad, told), good = disk.results
    assert bad == [-1, 1] and [str(error) for error in told] == ["ours", "ours"]
    assert good == ([2], [-2])


# -- the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["write", "open", "rename", "fsync", "mkdir", "close"])
def test_one_that_fails_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """C43: wherever the disk fails once, at each call in turn: of what failed nothing is left, all else is there."""
    monkeypatch.setattr(group_commit, "_SYNCERS", 1)  # so that the calls have an order
    boxes = ("obiwan", "yoda", "obiwan", "vader")
    failures = []
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        in_store = Store(folder, "smtp.a.test", durable=True)
        for box in boxes:  # the folders are there
            in_store.deliver(f"0-{box}-1", b"", b"x", [box])
        before = lying_in(folder)
        deliveries = [Delivery(f"17-a-{n}", b"", a_mail(GIF), [box]) for n, box in enumerate(boxes)]
        with monkeypatch.context() as patched:
            patched.setattr(os, name, failing(getattr(os, name), at, FULL))
            results = in_store.deliver_together(deliveries)
        failed = [isinstance(result, OSError) for result in results]
        expected = [*before]
        for delivery, bad in zip(deliveries, failed, strict=True):
            if not bad:
                (box,) = delivery.mailboxes
                expected += [f"maildir/{box}/new/{delivery.mail_id}.smtp.a.test"]
                expected += [f"attachments/{delivery.mail_id}/1.gif"]
        assert lying_in(folder) == sorted(expected), (name, at)
        if not any(failed):
            break
        failures.append(failed)
    assert len(failures) >= 4
    assert [True, False, False, False] in failures and [False, False, False, True] in failures
    if name == "fsync":
        assert [True, False, True, False] in failures  # they share the folder that can't be synced


def test_a_fault_of_ours_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread it happens in, it is no success, and nothing is left."""
    in_store = Store(tmp_path, "smtp.a.test", durable=True)
    in_store.deliver("0-a-1", b"", b"x", ["obiwan"])
    before = lying_in(tmp_path)

    def fail(_: int) -> None:
        raise RuntimeError("ours")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(RuntimeError, match="ours"):
            in_store.deliver_together([Delivery(f"17-a-{n}", b"", b"x", ["obiwan"]) for n in range(9)])
    assert lying_in(tmp_path) == before


def test_many_files_of_one_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a mail has, a few are open at the same time; all are synced."""
    opened: set[int] = set()
    most = 0
    real_open, real_close = os.open, os.close

    def opens(path: Path | str, *arguments: int) -> int:
        nonlocal most
        descriptor = real_open(path, *arguments)
        opened.add(descriptor)
        most = max(most, len(opened))
        return descriptor

    def closes(descriptor: int) -> None:
        opened.discard(descriptor)
        real_close(descriptor)

    boxes = [f"box{n}" for n in range(60)]
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opens)
        patched.setattr(os, "close", closes)
        Store(tmp_path, "smtp.a.test", durable=True).deliver("17-a-1", b"", a_mail(*[GIF] * 60), boxes)
    assert not opened
    assert most <= 6
    assert len(lying_in(tmp_path)) == 120


# -- to the 250 --------------------------------------------------------------------------------------------------------


class Gate:
    """Holds the syncs of a disk up until it is opened, and counts those that are through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.synced = 0
        self._lock = threading.Lock()
        self._real = os.fsync
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.reached.set()
        assert self.open.wait(20)
        self._real(descriptor)
        with self._lock:
            self.synced += 1


def envelope() -> Envelope:
    return Envelope(LUKE, (Recipient(OBIWAN),))


@pytest.mark.asyncio
async def test_no_250_before_the_disk_has_it(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C47: while the disk is busy nobody is answered, nothing is seen or recorded, and `settled`, which the end of a
    server waits for, waits; then all that came are taken over in the order in which they came."""
    house = House(tmp_path, clock, durable=True)
    assert (await house.accept(a_mail(), OBIWAN)).reply.code == 250  # the folders are there
    gate = Gate(monkeypatch)
    first = house.acceptance.accept(envelope(), a_mail(text="1"), ORIGIN)
    assert isinstance(first, asyncio.Future)
    assert await asyncio.to_thread(gate.reached.wait, 20)
    others = [house.acceptance.accept(envelope(), a_mail(text=str(n)), ORIGIN) for n in range(2, 12)]
    settled = asyncio.ensure_future(house.acceptance.settled())
    await asyncio.sleep(0)
    assert not first.done() and not settled.done()
    assert len(house.inbox.mails) == len(journal.read(house.directory)) == 1
    seen: list[int] = []
    first.add_done_callback(lambda _: seen.append(gate.synced))
    gate.open.set()
    assert await settled is True
    assert seen[0] >= 2  # its file, and the folder with its name
    assert gate.synced == 2 + 10 + 1  # one sync of the folder for all the others
    assert {(await taken).reply.code for taken in (first, *others) if isinstance(taken, asyncio.Future)} == {250}
    assert [mail.text for mail in house.inbox.mails[1:]] == [f"{n}\n" for n in range(1, 12)]
    facts = journal.read(house.directory)
    assert [fact.mail for fact in facts] == [mail.id for mail in house.inbox.mails]
    await house.close()


@pytest.mark.asyncio
async def test_one_bad_mail_among_good_ones(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """C43: a broken mailbox, a fault that a test asked for, a mail that goes on as well: each has its own answer."""
    house = House(tmp_path, clock, durable=True)
    box = house.directory / "maildir" / "yoda"
    box.parent.mkdir(parents=True)
    box.write_bytes(b"no folder")
    to = [(OBIWAN,), (YODA,), (OBIWAN, YODA), (OBIWAN,)]
    with caplog.at_level(logging.CRITICAL):
        taken = [
            house.acceptance.accept(Envelope(LUKE, tuple(map(Recipient, ways))), a_mail(text=str(n)), ORIGIN)
            for n, ways in enumerate(to)
        ]
        trouble = OSError(FULL, "full")
        taken.append(house.acceptance.accept(envelope(), a_mail(text="4"), ORIGIN, trouble))
        receipts = [await one for one in taken if isinstance(one, asyncio.Future)]
    assert [receipt.reply.code for receipt in receipts] == [250, 451, 451, 250, 452]
    assert [mail.text for mail in house.inbox.mails] == ["0\n", "3\n"]
    assert len(list((house.directory / "maildir" / "obiwan").rglob("*.com"))) == 2
    assert len(journal.read(house.directory)) == 2
    await house.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("at", range(1, 8))
async def test_a_record_that_fails(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    """C43: where the record of a group can't be written, each is recorded by itself: whoever is told 250 is in both
    files, and whoever is not is in neither, and in no mailbox."""
    house = House(tmp_path, clock, durable=True)
    await house.accept(a_mail(), OBIWAN)
    real = os.write
    calls = 0

    def write(descriptor: int, octets: bytes) -> int:
        nonlocal calls
        if threading.current_thread() is threading.main_thread():  # the loop's: the record
            calls += 1
            if calls in (1, at):
                raise OSError(FULL, os.strerror(FULL))
        return real(descriptor, octets)

    with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
        patched.setattr(os, "write", write)
        taken = [house.acceptance.accept(envelope(), a_mail(text=str(n)), ORIGIN) for n in range(3)]
        receipts = [await one for one in taken if isinstance(one, asyncio.Future)]
    codes = [receipt.reply.code for receipt in receipts]
    assert codes.count(250) == (3 if at == 1 else 2)
    good = [f"{n}\n" for n, code in enumerate(codes) if code == 250]
    assert [mail.text for mail in house.inbox.mails[1:]] == good
    assert [fact.data["text"] for fact in journal.read(house.directory)[1:]] == good
    assert (house.directory / "ServerMSG.txt").read_text().count("Mail:  ") == len(good) + 1
    assert len(list((house.directory / "maildir" / "obiwan" / "new").iterdir())) == len(good) + 1
    await house.close()
