"""The queue: what is accepted is neither lost nor sent twice, each recipient has its own fate, and no mail holds up
another."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair import spool as spool_module
from smtp_pair.config import Retry
from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import LOCAL, NO_MAIL, UNREACHABLE, NextHop, Route
from smtp_pair.spool import Entry, Outcome, Row, Spool

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

pytestmark = pytest.mark.asyncio

LUKE, VADER, TARKIN, YODA = map(
    Address.parse, ("luke@jaku.com", "vader@deathstar.com", "tarkin@deathstar.com", "yoda@dagobah.test")
)
DEATHSTAR, DAGOBAH = NextHop("127.0.0.1", 1, "smtp.deathstar.com"), NextHop("127.0.0.1", 2, "smtp.dagobah.test")
CONTENT = b"Received: x\r\nSubject: y\r\n\r\nz\xff\r\n"
TAKEN, LATER, NEVER = Reply(250, "2.0.0", "taken"), Reply(451, "4.3.0", "later"), Reply(550, "5.1.1", "never")
RETRY = Retry(first=1, factor=2, most=10, expiry=100)


class Hops:
    """Stands for the relay: what each recipient is answered, time after time, and what was attempted."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Reply | Exception]] = {}
        self.attempts: list[tuple[NextHop, list[str], bytes]] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, hop: NextHop, envelope: Envelope, content: bytes) -> Sequence[Reply]:
        self.attempts.append((hop, [str(address) for address in envelope.recipients], content))
        if self.gate is not None:
            await self.gate.wait()
        replies = []
        for address in envelope.recipients:
            answers = self.answers.get(address, [])
            answer = answers.pop(0) if len(answers) > 1 else answers[0] if answers else TAKEN
            if isinstance(answer, Exception):
                raise answer
            replies.append(answer)
        return replies


class House:
    """A spool, its hops, its routes and its clock; a new spool on the same folder with `restart`."""

    def __init__(self, directory: Path, clock: ManualClock, *, durable: bool = False) -> None:
        self.directory, self.clock, self.durable = directory / "spool", clock, durable
        self.hops = Hops()
        self.routes: dict[str, Route] = {"deathstar.com": DEATHSTAR, "dagobah.test": DAGOBAH}
        self.outcomes: list[tuple[str, str, int, str]] = []
        self.report: Callable[[Outcome], None] = lambda outcome: None
        self.spool = self.new()

    def new(self) -> Spool:
        def report(outcome: Outcome) -> None:
            address, code = str(outcome.row.recipient.address), outcome.reply.code
            self.outcomes.append((outcome.event, address, code, outcome.reply.enhanced))
            self.report(outcome)

        return Spool(
            self.directory,
            RETRY,
            self.clock,
            durable=self.durable,
            route=lambda address: self.routes.get(address.domain_key, UNREACHABLE),
            attempt=self.hops,
            report=report,
        )

    async def restart(self) -> None:
        """As after a stop."""
        await self.spool.close()
        self.crash()

    def crash(self) -> None:
        """As after kill -9: what is on the disk is all that is left."""
        self.clock.due.clear()
        self.spool = self.new()
        self.spool.load()

    def entry(self, *recipients: Address, mail_id: str = "17-a-1", sender: Address = LUKE) -> Entry:
        rows = [Row(Recipient(address)) for address in recipients]
        return Entry(mail_id, sender, {"BODY": "8BITMIME"}, self.clock.now(), rows, CONTENT)

    async def accept(self, *recipients: Address, mail_id: str = "17-a-1") -> None:
        entry = self.entry(*recipients, mail_id=mail_id)
        self.spool.commit(entry)
        self.spool.release(entry)
        await self.spool.settled()

    async def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.spool.settled()

    @property
    def tried(self) -> list[list[str]]:
        return [recipients for _, recipients, _ in self.hops.attempts]

    @property
    def files(self) -> list[str]:
        found = self.directory.rglob("*") if self.directory.is_dir() else []
        return sorted(path.relative_to(self.directory).as_posix() for path in found if path.is_file())


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> House:
    return House(tmp_path, clock)


@pytest.fixture
def durable(tmp_path: Path, clock: ManualClock) -> House:
    return House(tmp_path, clock, durable=True)


async def test_a_mail_that_is_taken_leaves_nothing(house: House) -> None:
    """The first attempt is made at once; a fast mail that it finishes never touches the disk."""
    await house.accept(VADER)
    assert house.hops.attempts == [(DEATHSTAR, ["vader@deathstar.com"], CONTENT)]
    assert house.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]
    assert (house.spool.waiting, house.clock.due, house.directory.exists()) == ([], [], False)


async def test_a_durable_mail_is_on_disk_before_it_is_promised(durable: House) -> None:
    """C47: commit writes the mail and its envelope; when all have it, both go."""
    entry = durable.entry(VADER)
    durable.spool.commit(entry)
    assert durable.files == ["17-a-1.eml", "17-a-1.json"]
    assert (durable.directory / "17-a-1.eml").read_bytes() == CONTENT
    assert durable.hops.attempts == []
    durable.spool.release(entry)
    await durable.spool.settled()
    assert durable.files == []
    assert durable.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]


async def test_a_durable_mail_is_synced(durable: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """C47: the mail, its envelope, and the folders with a new name in them, are forced to the disk."""
    synced: list[str] = []
    names: dict[int, str] = {}
    opener, fsync = os.open, os.fsync

    def open_and_remember(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opener(path, flags, mode)
        names[descriptor] = path.name
        return descriptor

    def sync_and_remember(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(names[descriptor])

    monkeypatch.setattr(os, "open", open_and_remember)
    monkeypatch.setattr(os, "fsync", sync_and_remember)
    durable.spool.commit(durable.entry(VADER))
    assert synced == [durable.directory.parent.name, "17-a-1.eml", "17-a-1.new", "spool"]


async def test_a_mail_is_tried_again_after_growing_delays(house: House) -> None:
    """C76: 4xx is put off for longer each time, up to the limit; at last it is taken."""
    house.hops.answers["vader@deathstar.com"] = [*[LATER] * 7, TAKEN]
    await house.accept(VADER)
    delays = []
    while house.clock.due:
        delays.append(house.clock.next_in)
        await house.later(delays[-1] - 0.001)
        tried = len(house.tried)
        await house.later(0.002)
        assert len(house.tried) == tried + 1
    assert delays == pytest.approx([1, 2, 4, 8, 10, 10, 10], abs=0.01)
    assert [event for event, *_ in house.outcomes] == ["deferred"] * 7 + ["forwarded"]
    assert house.files == []


async def test_a_permanent_refusal_is_not_tried_again(house: House) -> None:
    """C76: 5xx fails at once; the mail is kept aside, with what was answered."""
    house.hops.answers["vader@deathstar.com"] = [NEVER]
    await house.accept(VADER)
    assert house.outcomes == [("failed", "vader@deathstar.com", 550, "5.1.1")]
    assert house.files == ["failed/17-a-1.eml", "failed/17-a-1.json"]
    assert (house.directory / "failed" / "17-a-1.eml").read_bytes() == CONTENT
    state = json.loads((house.directory / "failed" / "17-a-1.json").read_bytes())
    assert state["recipients"][0]["last"] == "550 5.1.1 never"
    assert (house.spool.waiting, house.clock.due) == ([], [])


async def test_each_recipient_has_its_own_fate(house: House) -> None:
    """C77: what one has, it is not sent again, whatever becomes of the others; 5xx of one fails only that one."""
    house.hops.answers = {"tarkin@deathstar.com": [LATER, TAKEN], "yoda@dagobah.test": [NEVER]}
    await house.accept(VADER, TARKIN, YODA)
    assert sorted(house.tried) == [["vader@deathstar.com", "tarkin@deathstar.com"], ["yoda@dagobah.test"]]
    assert sorted(house.outcomes) == [
        ("deferred", "tarkin@deathstar.com", 451, "4.3.0"),
        ("failed", "yoda@dagobah.test", 550, "5.1.1"),
        ("forwarded", "vader@deathstar.com", 250, "2.0.0"),
    ]
    await house.later(1)
    assert house.tried[2:] == [["tarkin@deathstar.com"]]
    assert house.outcomes[3:] == [("forwarded", "tarkin@deathstar.com", 250, "2.0.0")]
    assert house.files == ["failed/17-a-1.eml", "failed/17-a-1.json"]


async def test_one_copy_for_each_hop(house: House) -> None:
    """C40: recipients of one hop go together, in their order; a hop that is slow does not hold up another."""
    house.hops.gate = asyncio.Event()
    entry = house.entry(VADER, YODA, TARKIN)
    house.spool.commit(entry)
    house.spool.release(entry)
    for _ in range(3):
        await asyncio.sleep(0)
    assert [(hop, recipients) for hop, recipients, _ in house.hops.attempts] == [
        (DEATHSTAR, ["vader@deathstar.com", "tarkin@deathstar.com"]),
        (DAGOBAH, ["yoda@dagobah.test"]),
    ]
    house.hops.gate.set()
    assert await house.spool.settled() is True
    assert await house.spool.settled() is False


async def test_a_mail_expires(house: House) -> None:
    """C80: tried until the next attempt would come too late, then failed with 5.4.7 and what was last answered."""
    house.hops.answers["vader@deathstar.com"] = [LATER]
    await house.accept(VADER)
    while house.clock.due:
        await house.later(house.clock.next_in)
    assert house.outcomes[-1] == ("failed", "vader@deathstar.com", 554, "5.4.7")
    assert {outcome[:3] for outcome in house.outcomes[:-1]} == {("deferred", "vader@deathstar.com", 451)}
    assert 90 <= house.clock.now() - 1_000_000_000 <= 100
    state = json.loads((house.directory / "failed" / "17-a-1.json").read_bytes())
    assert state["recipients"][0]["last"].endswith("last: 451 4.3.0 later")
    assert len(house.tried) == state["recipients"][0]["attempts"] == len(house.outcomes)


@pytest.mark.parametrize(
    ("route", "code", "enhanced"), [(UNREACHABLE, 550, "5.1.2"), (LOCAL, 550, "5.1.2"), (NO_MAIL, 556, "5.1.10")]
)
async def test_a_recipient_without_a_way_fails(house: House, route: Route, code: int, enhanced: str) -> None:
    """The routes have changed since it was accepted: it fails, told and kept aside, and the others go on."""
    house.routes["deathstar.com"] = route
    await house.accept(VADER, YODA)
    assert sorted(house.outcomes) == [
        ("failed", "vader@deathstar.com", code, enhanced),
        ("forwarded", "yoda@dagobah.test", 250, "2.0.0"),
    ]
    assert house.files == ["failed/17-a-1.eml", "failed/17-a-1.json"]


@pytest.mark.parametrize("answer", [RuntimeError("poison"), OSError("disk"), ValueError("x")])
async def test_a_poisoned_mail_holds_nothing_up(
    house: House, answer: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """C81: an attempt that fails for a fault of ours is put off like any other, told in the log, and the next mail
    is sent."""
    house.hops.answers["vader@deathstar.com"] = [answer, TAKEN]
    with caplog.at_level(logging.ERROR):
        await house.accept(VADER)
        await house.accept(YODA, mail_id="17-a-2")
    assert house.outcomes == [
        ("deferred", "vader@deathstar.com", 451, "4.3.0"),
        ("forwarded", "yoda@dagobah.test", 250, "2.0.0"),
    ]
    assert "attempt of 17-a-1 failed" in caplog.text
    await house.later(1)
    assert house.outcomes[2:] == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]


async def test_an_attempt_that_answers_for_too_few_is_a_fault_of_ours(house: House) -> None:
    """Nobody is taken to have a mail for which there is no answer."""

    async def silent(hop: NextHop, envelope: Envelope, content: bytes) -> Sequence[Reply]:
        return [TAKEN]

    house.spool._attempt = silent
    await house.accept(VADER, TARKIN)
    assert {outcome[0] for outcome in house.outcomes} == {"deferred"}
    assert len(house.clock.due) == 1


async def test_whoever_is_told_may_fail(house: House) -> None:
    """A report that fails does not lose the retry."""

    def fail(outcome: Outcome) -> None:
        raise RuntimeError("report")

    house.report = fail
    house.hops.answers["vader@deathstar.com"] = [LATER, TAKEN]
    await house.accept(VADER)
    await house.later(1)
    assert [event for event, *_ in house.outcomes] == ["deferred", "forwarded"]


async def test_what_waits_survives_a_stop(house: House) -> None:
    """In fast mode too: a stop writes down what it finds under way, and the next run goes on where it was."""
    house.hops.answers["tarkin@deathstar.com"] = [LATER, LATER, TAKEN]
    await house.accept(VADER, TARKIN)
    await house.later(1)
    await house.restart()
    (entry,) = house.spool.waiting
    assert (entry.id, entry.sender, entry.options) == ("17-a-1", LUKE, {"BODY": "8BITMIME"})
    assert [(row.recipient.address, row.status, row.attempts) for row in entry.rows] == [
        (VADER, "forwarded", 1),
        (TARKIN, "queued", 2),
    ]
    assert house.clock.next_in == pytest.approx(2)
    await house.later(2)
    assert house.hops.attempts[-1] == (DEATHSTAR, ["tarkin@deathstar.com"], CONTENT)
    assert house.outcomes[-1][0] == "forwarded"
    assert house.files == []


async def test_a_stop_in_the_middle_of_an_attempt_loses_nothing(house: House) -> None:
    """C79: the attempt is broken off, the mail is written down and sent by the next run (a duplicate is allowed)."""
    house.hops.gate = asyncio.Event()
    entry = house.entry(VADER)
    house.spool.commit(entry)
    house.spool.release(entry)
    await asyncio.sleep(0)
    await house.restart()
    assert house.outcomes == []
    assert house.files == ["17-a-1.eml", "17-a-1.json"]
    house.hops.gate.set()
    await house.later(0)
    assert house.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]


async def test_what_is_committed_survives_a_crash(durable: House) -> None:
    """C80: from the commit on, whatever the process was doing."""
    durable.spool.commit(durable.entry(VADER, YODA))
    durable.crash()
    await durable.later(0)
    assert sorted(durable.outcomes) == [
        ("forwarded", "vader@deathstar.com", 250, "2.0.0"),
        ("forwarded", "yoda@dagobah.test", 250, "2.0.0"),
    ]
    assert durable.files == []


async def test_the_state_of_each_recipient_survives_a_crash(durable: House) -> None:
    """C77: who has it, and when the others are due, is on the disk after each attempt."""
    durable.hops.answers["tarkin@deathstar.com"] = [LATER, TAKEN]
    await durable.accept(VADER, TARKIN)
    durable.crash()
    await durable.later(0.9)
    assert len(durable.tried) == 1
    await durable.later(0.2)
    assert durable.tried[1:] == [["tarkin@deathstar.com"]]


async def test_a_withdrawn_mail_leaves_nothing(durable: House) -> None:
    """It was refused after all: the client will send it again."""
    entry = durable.entry(VADER)
    durable.spool.commit(entry)
    durable.spool.withdraw(entry)
    assert durable.files == []
    durable.spool.withdraw(entry)
    durable.crash()
    assert durable.spool.waiting == []


BAD_STATES: list[Any] = [
    None,
    [],
    {},
    "x",
    {"sender": "luke@jaku.com", "options": {}, "accepted": 0},
    {"sender": "not an address", "options": {}, "accepted": 0, "recipients": []},
    {"sender": "", "options": [], "accepted": 0, "recipients": []},
    *(
        {
            "sender": "",
            "options": {},
            "accepted": 0,
            "recipients": [
                {"address": "a@b.c", "options": {}, "status": "queued", "attempts": 0, "due": 0, "last": ""} | broken
            ],
        }
        for broken in ({"address": 7}, {"status": "lost"}, {"attempts": "x"}, {"due": None}, {"options": None})
    ),
]


BAD_FILES = [b"", b"{", b"\xff", b"[" * 100_000, *(json.dumps(bad).encode() for bad in BAD_STATES)]


@pytest.mark.parametrize("octets", BAD_FILES, ids=range(len(BAD_FILES)))
async def test_a_file_that_cannot_be_read_is_left(
    durable: House, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays where it is, the log names it, and the mails beside it are sent (C81)."""
    durable.spool.commit(durable.entry(VADER, mail_id="17-a-2"))
    for name in ("17-a-1.json", "17-a-3.json"):
        (durable.directory / name).write_bytes(octets)
        (durable.directory / name).with_suffix(".eml").write_bytes(CONTENT)
    with caplog.at_level(logging.ERROR):
        durable.crash()
    await durable.later(0)
    assert durable.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]
    assert durable.files == ["17-a-1.eml", "17-a-1.json", "17-a-3.eml", "17-a-3.json"]
    assert (durable.directory / "17-a-1.json").read_bytes() == octets
    assert "17-a-1.json can't be taken up" in caplog.text
    assert "17-a-3.json can't be taken up" in caplog.text


async def test_a_state_without_its_mail_is_left(durable: House, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is invented."""
    durable.spool.commit(durable.entry(VADER))
    (durable.directory / "17-a-1.eml").unlink()
    with caplog.at_level(logging.ERROR):
        durable.crash()
    assert durable.spool.waiting == []
    assert durable.files == ["17-a-1.json"]
    assert "17-a-1.eml is missing" in caplog.text


async def test_a_run_that_ended_before_it_could_tidy_up(durable: House) -> None:
    """What was all forwarded goes, what failed is put aside, even when half of that was done."""
    for mail_id, status in (("17-a-1", "forwarded"), ("17-a-2", "failed"), ("17-a-3", "failed")):
        entry = durable.entry(VADER, mail_id=mail_id)
        durable.spool.commit(entry)
        path = durable.directory / f"{mail_id}.json"
        path.write_text(path.read_text().replace('"queued"', f'"{status}"'))
    (durable.directory / "failed").mkdir()
    (durable.directory / "17-a-3.eml").rename(durable.directory / "failed" / "17-a-3.eml")
    durable.crash()
    await durable.later(1000)
    assert (durable.hops.attempts, durable.outcomes) == ([], [])
    assert durable.files == [f"failed/17-a-{number}.{ending}" for number in (2, 3) for ending in ("eml", "json")]


def failing(real: Callable[..., object], at: int) -> Callable[..., object]:
    """The system's call, of which the one of that number fails."""
    calls = 0

    def call(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("name", ["write", "open", "fsync", "replace", "mkdir"])
async def test_a_commit_that_fails_leaves_nothing(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """C43, C47: wherever the disk fails, at each call of the system in turn: an error, and nothing that a later run
    would send."""
    at = 0
    while True:
        at += 1
        house = House(tmp_path / str(at), clock, durable=True)
        with monkeypatch.context() as patched:
            patched.setattr(os, name, failing(getattr(os, name), at))
            try:
                house.spool.commit(house.entry(VADER))
            except OSError as error:
                failed = error.errno
            else:
                break
        assert failed == errno.ENOSPC
        assert house.files == []
    assert at > 1
    assert len(house.files) == 2


@pytest.mark.parametrize("name", ["write", "open", "replace"])
async def test_a_disk_that_fails_later_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A fast mail whose state can't be written stays in memory and is sent from there."""
    house.hops.answers["vader@deathstar.com"] = [LATER, LATER, TAKEN]
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(os, name, failing(lambda *_: None, 1))
        await house.accept(VADER)
    assert "17-a-1 could not be written" in caplog.text
    assert house.files == []
    await house.later(1)
    assert house.files == ["17-a-1.eml", "17-a-1.json"]
    await house.later(2)
    assert [content for _, _, content in house.hops.attempts] == [CONTENT] * 3
    assert house.outcomes[-1][0] == "forwarded"
    assert house.files == []


async def test_a_mail_whose_file_is_gone_is_put_off(house: House) -> None:
    """It may come back (a disk that is mounted again): no crash, no loss of the others."""
    house.hops.answers["vader@deathstar.com"] = [LATER, TAKEN]
    await house.accept(VADER)
    (house.directory / "17-a-1.eml").rename(house.directory / "elsewhere")
    await house.later(1)
    assert house.outcomes[-1] == ("deferred", "vader@deathstar.com", 451, "4.3.0")
    (house.directory / "elsewhere").rename(house.directory / "17-a-1.eml")
    await house.later(2)
    assert house.outcomes[-1][0] == "forwarded"


async def test_a_waiting_mail_is_not_held_in_memory(house: House) -> None:
    """Once it lies on the disk, it is read from there when it is sent."""
    house.hops.answers["vader@deathstar.com"] = [LATER, TAKEN]
    await house.accept(VADER)
    assert house.spool.waiting[0].content is None
    await house.later(1)
    assert house.hops.attempts[-1][2] == CONTENT


async def test_nothing_starts_after_a_close(house: House) -> None:
    """Timers that were due are called off."""
    house.hops.answers["vader@deathstar.com"] = [LATER]
    await house.accept(VADER)
    await house.spool.close()
    await house.later(1000)
    assert len(house.tried) == 1
    assert house.clock.due == []


addresses = st.builds(Address, st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12), st.just("a.test"))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.just(NULL_PATH) | addresses,
    st.dictionaries(texts, texts, max_size=3),
    st.lists(
        st.builds(
            Row,
            st.builds(Recipient, addresses, st.dictionaries(texts, texts, max_size=2)),
            st.sampled_from(["queued", "forwarded", "failed"]),
            st.integers(0, 1000),
            st.floats(0, 4e9),
            texts,
        ),
        min_size=1,
        max_size=4,
    ),
)
async def test_the_state_survives_its_file(sender: Address, options: dict[str, str], rows: list[Row]) -> None:
    """Any addresses, options and replies: JSON that any program can read gives the same state again."""
    entry = Entry("17-a-1", sender, options, 12.5, rows, CONTENT)
    octets = spool_module._to_json(entry)
    assert octets.isascii()
    again = spool_module._from_json("17-a-1", json.loads(octets))
    assert (again.sender, again.options, again.accepted, again.rows) == (sender, options, 12.5, rows)
    assert [(row.recipient.address.local, row.recipient.address.domain) for row in again.rows] == [
        (row.recipient.address.local, row.recipient.address.domain) for row in rows
    ]
