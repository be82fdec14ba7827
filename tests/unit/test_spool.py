"""The queue: what is accepted is neither lost nor sent twice, each recipient has its own fate, and no mail holds up
another. What the disk may do wrong is in test_keeper.py, the rules on the wire in tests/rules."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smtp_pair.config import Retry
from smtp_pair.entry import Answer, Content, Entry, Outcome, Row
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.notifier import Notifier
from smtp_pair.routes import LOCAL, UNREACHABLE, NextHop, Route
from smtp_pair.spool import AT_ONCE, Spool

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

pytestmark = pytest.mark.asyncio

LUKE, VADER, TARKIN, YODA = map(
    Address.parse, ("luke@jaku.com", "vader@deathstar.com", "tarkin@deathstar.com", "yoda@dagobah.test")
)
DEATHSTAR, DAGOBAH = NextHop("127.0.0.1", 1, "smtp.deathstar.com"), NextHop("127.0.0.1", 2, "smtp.dagobah.test")
CONTENT = b"Received: x\r\nSubject: y\r\n\r\nz\xff\r\n"
TAKEN, LATER, NEVER = Reply(250, "2.0.0", "taken"), Reply(451, "4.3.0", "later"), Reply(550, "5.1.1", "never")
RETRY = Retry(first=1, factor=2, most=10, expiry=100, warn=1000)


class Ids:
    """Names in a row: n-1, n-2 ..."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self, moment: float) -> str:
        return f"n-{next(self._numbers)}"


class Hops:
    """Stands for the relay: what each recipient is answered, time after time, and what was attempted."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Reply | Exception]] = {}
        self.attempts: list[tuple[Route, list[str], bytes]] = []
        self.gate: asyncio.Event | None = None
        self.mails: list[str] = []
        self.unreached: dict[str, Reply] = {}

    async def __call__(self, route: Route, entry: Entry, rows: Sequence[Row], content: Content) -> Sequence[Answer]:
        addresses = [row.recipient.address for row in rows]
        self.attempts.append((route, [str(address) for address in addresses], await content()))
        self.mails.append(entry.id)
        if self.gate is not None:
            await self.gate.wait()
        if unreached := [self.unreached[address] for address in addresses if address in self.unreached]:
            return [Answer(reply, reached=False) for reply in unreached]
        answers = []
        for address in addresses:
            replies = self.answers.get(address, [])
            reply = replies.pop(0) if len(replies) > 1 else replies[0] if replies else TAKEN
            if isinstance(reply, Exception):
                raise reply
            answers.append(Answer(reply, route if isinstance(route, NextHop) else None))
        return answers


class House:
    """A spool, its hops, its routes and its clock; a new spool on the same folder with `restart`."""

    def __init__(self, directory: Path, clock: ManualClock, *, durable: bool = False, retry: Retry = RETRY) -> None:
        self.directory, self.clock, self.durable, self.retry = directory / "spool", clock, durable, retry
        self.hops = Hops()
        self.ids = Ids()
        self.routes: dict[str, Route] = {"deathstar.com": DEATHSTAR, "dagobah.test": DAGOBAH, "jaku.com": LOCAL}
        self.cut_short: list[str] = []
        self.outcomes: list[tuple[str, str, int, str]] = []
        self.announced: list[Entry] = []
        self.report: Callable[[Outcome], None] = lambda outcome: None
        self.spool = self.new()

    def new(self) -> Spool:
        def report(outcome: Outcome) -> None:
            address, reply = str(outcome.row.recipient.address), outcome.reply
            self.outcomes.append((outcome.event, address, reply.code, reply.enhanced))
            self.report(outcome)

        return Spool(
            self.directory,
            self.retry,
            self.clock,
            durable=self.durable,
            route=lambda address: self.routes.get(address.domain_key, UNREACHABLE),
            attempt=self.hops,
            report=report,
            notifier=Notifier("smtp.jaku.com", self.retry, self.clock, self.ids),
            announce=self.announced.append,
            random=lambda: 0.5,
            cut_short=lambda entry, rows: self.cut_short.extend(str(row.recipient.address) for row in rows),
        )

    async def restart(self) -> None:
        """As after a stop."""
        await self.spool.close()
        await self.crash()

    async def crash(self) -> None:
        """As after kill -9: what is on the disk is all that is left."""
        self.clock.due.clear()
        self.let_go()
        self.spool = self.new()
        await self.spool.load()

    def let_go(self) -> None:
        """As the system closes the files of a process that is gone."""
        self.spool._keeper._ledger._discard()

    def entry(self, *recipients: Address, mail_id: str = "17-a-1", sender: Address = LUKE) -> Entry:
        rows = [Row(Recipient(address)) for address in recipients]
        return Entry(mail_id, sender, {"BODY": "8BITMIME"}, self.clock.now(), rows, CONTENT)

    async def accept(self, *recipients: Address, mail_id: str = "17-a-1", sender: Address = LUKE) -> None:
        entry = self.entry(*recipients, mail_id=mail_id, sender=sender)
        await self.spool.commit(entry)
        self.spool.release(entry)
        await self.spool.settled()

    async def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.spool.settled()

    @property
    def tried(self) -> list[list[str]]:
        return [recipients for _, recipients, _ in self.hops.attempts]

    @property
    def mails(self) -> list[str]:
        """The mails on disk."""
        return sorted(path.stem for path in self.directory.rglob("*.eml"))


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> Iterator[House]:
    house = House(tmp_path, clock)
    yield house
    house.let_go()


@pytest.fixture
def durable(tmp_path: Path, clock: ManualClock) -> Iterator[House]:
    house = House(tmp_path, clock, durable=True)
    yield house
    house.let_go()


async def test_a_mail_that_is_taken_leaves_nothing(house: House) -> None:
    """The first attempt is made at once; a fast mail that it finishes never touches the disk."""
    await house.accept(VADER)
    assert house.hops.attempts == [(DEATHSTAR, ["vader@deathstar.com"], CONTENT)]
    assert house.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]
    assert (house.spool.waiting, house.clock.due, house.directory.exists()) == ([], [], False)
    await house.spool.close()
    assert not house.directory.exists()


async def test_a_durable_mail_is_on_disk_before_it_is_promised(durable: House) -> None:
    """C47: commit writes the mail and its state; when all have it, both go."""
    entry = durable.entry(VADER)
    await durable.spool.commit(entry)
    assert durable.mails == ["17-a-1"]
    assert (durable.directory / "mail" / "17-a-1.eml").read_bytes() == CONTENT
    assert durable.hops.attempts == []
    durable.spool.release(entry)
    await durable.spool.settled()
    assert durable.mails == []
    assert durable.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]
    await durable.restart()
    assert durable.spool.waiting == []


async def test_a_mail_is_tried_again_after_growing_delays(house: House) -> None:
    """C76: 4xx is put off for longer each time, up to the limit; at last it is taken."""
    house.hops.answers[VADER] = [*[LATER] * 7, TAKEN]
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
    assert house.mails == []


async def test_a_permanent_refusal_is_told_and_forgotten(house: House) -> None:
    """C76: 5xx fails at once: the sender's notification is a mail of its own, and nothing else is left."""
    house.hops.answers[VADER] = [NEVER]
    await house.accept(VADER)
    assert house.outcomes == [
        ("failed", "vader@deathstar.com", 550, "5.1.1"),
        ("delivered", "luke@jaku.com", 250, "2.0.0"),
    ]
    route, recipients, content = house.hops.attempts[1]
    assert (route, recipients) == (LOCAL, ["luke@jaku.com"])
    assert b"Final-Recipient: rfc822; vader@deathstar.com\r\n" in content
    assert [entry.id for entry in house.announced] == ["n-1"]
    assert (house.spool.waiting, house.clock.due, house.mails) == ([], [], [])


async def test_a_notification_that_fails_is_dropped(house: House) -> None:
    """C83, C88: nobody is told of it; the outcome is the record."""
    house.hops.answers = {VADER: [NEVER], LUKE: [NEVER]}
    await house.accept(VADER)
    assert house.outcomes[1:] == [("failed", "luke@jaku.com", 550, "5.1.1")]
    assert (house.spool.waiting, house.clock.due, len(house.announced)) == ([], [], 1)


async def test_each_recipient_has_its_own_fate(house: House) -> None:
    """C77: what one has, it is not sent again, whatever becomes of the others; 5xx of one fails only that one."""
    house.hops.answers = {TARKIN: [LATER, TAKEN], YODA: [NEVER]}
    await house.accept(VADER, TARKIN, YODA)
    assert sorted(house.tried[:2]) == [["vader@deathstar.com", "tarkin@deathstar.com"], ["yoda@dagobah.test"]]
    assert sorted(house.outcomes) == [
        ("deferred", "tarkin@deathstar.com", 451, "4.3.0"),
        ("delivered", "luke@jaku.com", 250, "2.0.0"),
        ("failed", "yoda@dagobah.test", 550, "5.1.1"),
        ("forwarded", "vader@deathstar.com", 250, "2.0.0"),
    ]
    await house.later(1)
    assert house.tried[3:] == [["tarkin@deathstar.com"]]
    assert house.outcomes[4:] == [("forwarded", "tarkin@deathstar.com", 250, "2.0.0")]
    assert house.mails == []


async def test_one_copy_for_each_hop(house: House) -> None:
    """C40: recipients of one hop go together, in their order; a hop that is slow does not hold up another."""
    house.hops.gate = asyncio.Event()
    house.spool.release(house.entry(VADER, YODA, TARKIN))
    for _ in range(5):
        await asyncio.sleep(0)
    assert [(route, recipients) for route, recipients, _ in house.hops.attempts] == [
        (DEATHSTAR, ["vader@deathstar.com", "tarkin@deathstar.com"]),
        (DAGOBAH, ["yoda@dagobah.test"]),
    ]
    house.hops.gate.set()
    assert await house.spool.settled() is True
    assert await house.spool.settled() is False


async def test_a_mail_expires(house: House) -> None:
    """C80: tried until the next attempt would come too late, then failed with 4.4.7 and what was last answered."""
    house.hops.answers[VADER] = [LATER]
    await house.accept(VADER)
    while house.clock.due:
        await house.later(house.clock.next_in)
    *deferred, failed, told = house.outcomes
    assert failed == ("failed", "vader@deathstar.com", 451, "4.4.7")
    assert told == ("delivered", "luke@jaku.com", 250, "2.0.0")
    assert {outcome[:3] for outcome in deferred} == {("deferred", "vader@deathstar.com", 451)}
    assert 90 <= house.clock.now() - 1_000_000_000 <= 100
    assert b"last: 451 4.3.0 later" in house.hops.attempts[-1][2]


@pytest.mark.parametrize("answer", [RuntimeError("poison"), OSError("disk"), ValueError("x")])
async def test_a_poisoned_mail_holds_nothing_up(
    house: House, answer: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """C81: an attempt that fails for a fault of ours is put off like any other, told in the log, and the next mail
    is sent."""
    house.hops.answers[VADER] = [answer, TAKEN]
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

    async def silent(route: Route, entry: Entry, rows: Sequence[Row], content: Content) -> Sequence[Answer]:
        return [Answer(TAKEN)]

    house.spool._attempt = silent
    await house.accept(VADER, TARKIN)
    assert {outcome[0] for outcome in house.outcomes} == {"deferred"}
    assert len(house.clock.due) == 1


@pytest.mark.parametrize("name", ["_answers", "_decide"])
async def test_a_fault_around_an_attempt_forgets_no_mail(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Wherever it is, the mail is tried again: none waits without a time at which it is due."""

    def fail(*_: object) -> object:
        raise RuntimeError("ours")

    with monkeypatch.context() as patched:
        patched.setattr(house.spool, name, fail)
        await house.accept(VADER)
    assert "attempt of 17-a-1: a fault of ours, it is tried again" in caplog.text
    assert len(house.clock.due) == 1
    await house.later(1)
    assert house.outcomes[-1] == ("forwarded", "vader@deathstar.com", 250, "2.0.0")
    assert house.spool.waiting == []


async def test_a_fault_after_an_attempt_sends_nothing_twice(durable: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next hop has taken is known: it is only written down by and by."""

    async def fail(*_: object) -> None:
        raise RuntimeError("ours")

    with monkeypatch.context() as patched:
        patched.setattr(durable.spool, "_conclude", fail)
        await durable.accept(VADER)
    assert durable.mails == ["17-a-1"]
    await durable.later(1)
    assert durable.tried == [["vader@deathstar.com"]]
    assert (durable.spool.waiting, durable.mails, durable.clock.due) == ([], [], [])


async def test_whoever_is_told_may_fail(house: House) -> None:
    """A report that fails does not lose the retry."""

    def fail(outcome: Outcome) -> None:
        raise RuntimeError("report")

    house.report = fail
    house.hops.answers[VADER] = [LATER, TAKEN]
    await house.accept(VADER)
    await house.later(1)
    assert [event for event, *_ in house.outcomes] == ["deferred", "forwarded"]


@pytest.mark.parametrize("fast", [True, False])
async def test_what_waits_survives_a_stop(tmp_path: Path, clock: ManualClock, fast: bool) -> None:
    """In fast mode too: a stop writes down what it finds under way, and the next run goes on where it was."""
    house = House(tmp_path, clock, durable=not fast)
    house.hops.answers[TARKIN] = [LATER, LATER, TAKEN]
    await house.accept(VADER, TARKIN)
    await house.later(1)
    before = house.spool.waiting
    await house.restart()
    assert house.spool.waiting == before
    [waiting] = before
    assert (waiting.mail, waiting.sender, waiting.recipient, waiting.attempts) == ("17-a-1", LUKE, TARKIN, 2)
    assert house.clock.next_in == pytest.approx(2)
    await house.later(2)
    assert house.hops.attempts[-1] == (DEATHSTAR, ["tarkin@deathstar.com"], CONTENT)
    assert house.outcomes[-1][0] == "forwarded"
    assert house.mails == []
    house.let_go()


async def test_a_stop_in_the_middle_of_an_attempt_loses_nothing(house: House) -> None:
    """C79: the attempt is broken off, the mail is written down and sent by the next run (a duplicate is allowed)."""
    house.hops.gate = asyncio.Event()
    house.spool.release(house.entry(VADER))
    await asyncio.sleep(0)
    await house.restart()
    assert house.outcomes == []
    assert house.mails == ["17-a-1"]
    house.hops.gate.set()
    await house.later(0)
    assert house.outcomes == [("forwarded", "vader@deathstar.com", 250, "2.0.0")]


async def test_what_is_committed_survives_a_crash(durable: House) -> None:
    """C80: from the commit on, whatever the process was doing."""
    await durable.spool.commit(durable.entry(VADER, YODA))
    await durable.crash()
    await durable.later(0)
    assert sorted(durable.outcomes) == [
        ("forwarded", "vader@deathstar.com", 250, "2.0.0"),
        ("forwarded", "yoda@dagobah.test", 250, "2.0.0"),
    ]
    assert durable.mails == []


async def test_the_state_of_each_recipient_survives_a_crash(durable: House) -> None:
    """C77: who has it, and when the others are due, is on the disk after each attempt."""
    durable.hops.answers[TARKIN] = [LATER, TAKEN]
    await durable.accept(VADER, TARKIN)
    await durable.crash()
    await durable.later(0.9)
    assert len(durable.tried) == 1
    await durable.later(0.2)
    assert durable.tried[1:] == [["tarkin@deathstar.com"]]


async def test_a_notification_enters_with_the_failure(durable: House) -> None:
    """A crash right after an attempt finds both or neither: no second notification, and none lost."""
    durable.hops.answers = {VADER: [NEVER], LUKE: [LATER]}
    await durable.accept(VADER)
    assert durable.mails == ["n-1"]
    await durable.crash()
    assert [(waiting.mail, waiting.recipient) for waiting in durable.spool.waiting] == [("n-1", LUKE)]
    durable.hops.answers.clear()
    await durable.later(2)
    assert durable.tried[2:] == [["luke@jaku.com"]]
    assert durable.mails == []


async def test_a_withdrawn_mail_leaves_nothing(durable: House) -> None:
    """It was refused after all: the client will send it again."""
    entry = durable.entry(VADER)
    await durable.spool.commit(entry)
    await durable.spool.withdraw(entry)
    assert durable.mails == []
    await durable.spool.withdraw(entry)
    await durable.crash()
    assert durable.spool.waiting == []


async def test_a_crash_before_the_state_leaves_nothing(durable: House) -> None:
    """A mail that was written, and whose state was not, was never promised: the next run removes it, and no other."""
    durable.hops.answers[YODA] = [LATER]
    await durable.accept(YODA)
    (durable.directory / "mail" / "17-a-2.eml").write_bytes(CONTENT)
    await durable.crash()
    await durable.spool.settled()
    assert durable.mails == ["17-a-1"]


async def test_a_waiting_mail_is_not_held_in_memory(house: House) -> None:
    """Once it lies on the disk, it is read from there when it is sent."""
    house.hops.answers[VADER] = [LATER, TAKEN]
    entry = house.entry(VADER)
    house.spool.release(entry)
    await house.spool.settled()
    assert entry.content is None
    await house.later(1)
    assert house.hops.attempts[-1][2] == CONTENT


async def test_a_mail_whose_file_is_gone_is_put_off(house: House) -> None:
    """It may come back (a disk that is mounted again): no crash, no loss of the others."""
    house.hops.answers[VADER] = [LATER, TAKEN]
    await house.accept(VADER)
    file = house.directory / "mail" / "17-a-1.eml"
    file.rename(house.directory / "elsewhere")
    await house.later(1)
    assert house.outcomes[-1] == ("deferred", "vader@deathstar.com", 451, "4.3.0")
    (house.directory / "elsewhere").rename(file)
    await house.later(2)
    assert house.outcomes[-1][0] == "forwarded"


async def test_now(house: House) -> None:
    """`smtp-pair queue` tries what waits at once: that mail, or all; what is not there is nothing."""
    house.hops.answers = {VADER: [LATER], YODA: [LATER, TAKEN]}
    await house.accept(VADER)
    await house.accept(YODA, TARKIN, mail_id="17-a-2")
    assert await house.spool.retry_now("17-a-2") == 1
    await house.spool.settled()
    assert house.outcomes[-1] == ("forwarded", "yoda@dagobah.test", 250, "2.0.0")
    assert await house.spool.retry_now("17-a-9") == 0
    house.hops.answers.clear()
    assert await house.spool.retry_now() == 1
    await house.spool.settled()
    assert (house.spool.waiting, house.clock.due) == ([], [])


async def test_dropped(house: House) -> None:
    """A mail that is dropped is gone, on disk too, and nobody is told; one that is just being tried is not dropped."""
    house.hops.answers[VADER] = [LATER]
    await house.accept(VADER)
    house.hops.gate = asyncio.Event()
    await house.spool.retry_now()
    await asyncio.sleep(0)
    assert await house.spool.drop("17-a-1") is False
    house.hops.gate.set()
    await house.spool.settled()
    assert await house.spool.drop("17-a-1") is True
    assert await house.spool.drop("17-a-1") is False
    assert (house.spool.waiting, house.clock.due, house.mails, house.announced) == ([], [], [], [])
    await house.restart()
    assert house.spool.waiting == []


async def test_cleared(house: House) -> None:
    """Between two tests nothing is left of what waited."""
    house.hops.answers = {VADER: [LATER], YODA: [LATER]}
    for number in range(20):
        await house.accept(VADER, YODA, mail_id=f"17-a-{number}")
    await house.spool.clear()
    assert (house.spool.waiting, house.clock.due, house.mails) == ([], [], [])


async def test_nothing_starts_after_a_close(house: House) -> None:
    """Timers that were due are called off; what comes too late is written down, and waits for the next run."""
    house.hops.answers[VADER] = [LATER]
    await house.accept(VADER)
    await house.spool.close()
    await house.later(1000)
    assert len(house.tried) == 1
    assert house.clock.due == []


async def test_thousands_for_one_hop_hold_no_other_up(house: House) -> None:
    """While as many mails as you like wait for a hop that says nothing, one for another hop goes at once."""
    house.hops.gate = gate = asyncio.Event()
    for number in range(3000):
        house.spool.release(house.entry(VADER, mail_id=f"17-a-{number}"))
    for _ in range(10):
        await asyncio.sleep(0)
    house.hops.gate = None
    house.spool.release(house.entry(YODA, mail_id="17-b-1"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert house.outcomes == [("forwarded", "yoda@dagobah.test", 250, "2.0.0")]
    gate.set()
    await house.spool.settled()
    assert len(house.outcomes) == 3001


UNREACHED = Reply(451, "4.4.1", "nobody answers")


async def test_what_stands_in_line_is_no_task(house: House) -> None:
    """Of the mails that are due on one way, as many are tried at once as there is room for; the others wait as what
    they are, and come in their order."""
    house.hops.gate = asyncio.Event()
    before = len(asyncio.all_tasks())
    for number in range(3 * AT_ONCE):
        house.spool.release(house.entry(VADER, mail_id=f"17-a-{number}"))
    await asyncio.sleep(0)
    assert len(house.hops.attempts) == AT_ONCE
    assert len(asyncio.all_tasks()) - before <= AT_ONCE
    house.hops.gate.set()
    await house.spool.settled()
    assert house.hops.mails == [f"17-a-{number}" for number in range(3 * AT_ONCE)]
    assert house.spool.waiting == []


async def test_nobody_there_is_the_answer_for_all_in_line(house: House) -> None:
    """Whoever stands in line when the way turns out to be closed is put off with the same answer, untried; what goes
    another way is not touched, and each comes again by itself."""
    house.hops.gate = asyncio.Event()
    house.hops.unreached = {VADER: UNREACHED}
    for number in range(2 * AT_ONCE):
        house.spool.release(house.entry(VADER, mail_id=f"17-a-{number}"))
    house.spool.release(house.entry(YODA, mail_id="17-b"))
    house.hops.gate.set()
    await house.spool.settled()
    assert sum(recipients == [VADER] for _, recipients, _ in house.hops.attempts) == AT_ONCE
    assert [outcome for outcome in house.outcomes if outcome[0] == "forwarded"] == [
        ("forwarded", "yoda@dagobah.test", 250, "2.0.0")
    ]
    waiting = house.spool.waiting
    assert len(waiting) == 2 * AT_ONCE
    assert {(one.attempts, one.last) for one in waiting} == {(1, str(UNREACHED))}
    house.hops.unreached.clear()
    await house.later(RETRY.delay(1))
    assert house.spool.waiting == []


async def test_a_stop_leaves_what_stands_in_line(tmp_path: Path, clock: ManualClock) -> None:
    """It is neither tried nor lost."""
    house = House(tmp_path, clock, durable=True)
    house.hops.gate = asyncio.Event()
    for number in range(AT_ONCE + 5):
        entry = house.entry(VADER, mail_id=f"17-a-{number}")
        await house.spool.commit(entry)
        house.spool.release(entry)
    await house.restart()
    assert house.cut_short == [str(VADER)] * AT_ONCE  # who had reached the hop, for all that is known here
    assert len(house.hops.attempts) == AT_ONCE
    house.hops.gate.set()
    await house.later(0)
    assert house.spool.waiting == []
    assert len(house.outcomes) == AT_ONCE + 5
    await house.spool.close()
