"""Who is told what became of a mail: by the outcome, by what was asked for, and never a null sender."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from smtp_pair.config import Retry
from smtp_pair.entry import Answer, Entry, Event, Outcome, Row
from smtp_pair.mail import bounce
from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.notifier import Notifier
from smtp_pair.routes import LOCAL, NextHop

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

LUKE = Address.parse("luke@jaku.com")
HOP = NextHop("127.0.0.1", 25, "smtp.far.test")
TAKEN, LATER, NEVER = Reply(250, "2.0.0", "taken"), Reply(451, "4.3.0", "later"), Reply(550, "5.1.1", "never")
ORIGINAL = b"Received: x\r\nSubject: Hello\r\n\r\nHello.\r\n"
REPLIES: dict[Event, Reply] = {"delivered": TAKEN, "forwarded": TAKEN, "deferred": LATER, "failed": NEVER}


class Ids:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self, moment: float) -> str:
        return f"n-{next(self._numbers)}"


@pytest.fixture
def notifier(clock: ManualClock) -> Notifier:
    return Notifier("smtp.jaku.com", Retry(1, warn=100, expiry=1000), clock, Ids())


def entry(clock: ManualClock, *, sender: Address = LUKE, **options: str) -> Entry:
    return Entry("m-1", sender, options, clock.now(), [], ORIGINAL)


def outcome(about: Entry, event: Event, name: str = "bob", *, notifies: bool = False, **options: str) -> Outcome:
    row = Row(Recipient(Address.parse(f"{name}@far.test"), options))
    route = LOCAL if event == "delivered" else HOP
    answer = Answer(REPLIES[event], None if route is LOCAL else HOP, notifies)
    return Outcome(about, row, route, answer, event)


def told(notifier: Notifier, *outcomes: Outcome) -> list[tuple[str, list[str]]]:
    """The action of each notification, and the names in it."""
    return [(reports[0].action, [report.address.local for report in reports]) for reports in notifier.reports(outcomes)]


@pytest.mark.parametrize(
    ("notify", "event", "action"),
    [
        (None, "failed", "failed"),
        (None, "delivered", None),
        (None, "forwarded", None),
        (None, "deferred", "delayed"),
        ("NEVER", "failed", None),
        ("NEVER", "deferred", None),
        ("FAILURE", "failed", "failed"),
        ("FAILURE", "deferred", None),
        ("DELAY", "deferred", "delayed"),
        ("DELAY", "failed", None),
        ("SUCCESS", "delivered", "delivered"),
        ("SUCCESS", "forwarded", "relayed"),
        ("SUCCESS", "failed", None),
        ("SUCCESS,FAILURE,DELAY", "failed", "failed"),
    ],
)
def test_by_the_outcome_and_the_wish(
    notifier: Notifier, clock: ManualClock, notify: str | None, event: Event, action: str | None
) -> None:
    """RFC 3461 4.1; without a wish of failures and delays, as ever (C86)."""
    about = entry(clock)
    clock.advance(100)
    one = outcome(about, event) if notify is None else outcome(about, event, NOTIFY=notify)
    assert told(notifier, one) == ([(action, ["bob"])] if action else [])


@pytest.mark.parametrize("event", ["failed", "deferred", "delivered", "forwarded"])
def test_nobody_is_nobody(notifier: Notifier, clock: ManualClock, event: Event) -> None:
    """A null sender is told nothing, whatever was asked for (C83)."""
    about = entry(clock, sender=NULL_PATH)
    clock.advance(1000)
    assert told(notifier, outcome(about, event, NOTIFY="SUCCESS,FAILURE,DELAY")) == []


def test_late_is_told_once_and_not_too_early(notifier: Notifier, clock: ManualClock) -> None:
    """After `warn`, once for each recipient."""
    about = entry(clock)
    first = outcome(about, "deferred", "first")
    clock.advance(99)
    assert told(notifier, first) == []
    clock.advance(1)
    assert told(notifier, first) == [("delayed", ["first"])]
    second = outcome(about, "deferred", "second")
    assert told(notifier, first, second) == [("delayed", ["second"])]


def test_a_hop_that_tells_itself(notifier: Notifier, clock: ManualClock) -> None:
    """Where the next hop offers DSN, it, or one after it, tells of a success; of failures here we tell."""
    about = entry(clock)
    passed = outcome(about, "forwarded", notifies=True, NOTIFY="SUCCESS")
    failed = outcome(about, "failed", "eve", notifies=True, NOTIFY="FAILURE")
    assert told(notifier, passed, failed) == [("failed", ["eve"])]


def test_one_for_each_kind(notifier: Notifier, clock: ManualClock) -> None:
    """All that failed in one, in their order, all that were served in another (C85)."""
    about = entry(clock)
    outcomes = [
        outcome(about, "forwarded", "a", NOTIFY="SUCCESS"),
        outcome(about, "failed", "b"),
        outcome(about, "failed", "c"),
        outcome(about, "forwarded", "d", NOTIFY="SUCCESS"),
        outcome(about, "failed", "e", NOTIFY="NEVER"),
    ]
    assert told(notifier, *outcomes) == [("failed", ["b", "c"]), ("relayed", ["a", "d"])]


def test_ready_for_the_spool(notifier: Notifier, clock: ManualClock) -> None:
    """A mail from nobody to the sender, about which nobody is to be told (C82), due at once."""
    about = entry(clock, ENVID="my+20id")
    [reports] = notifier.reports([outcome(about, "failed", ORCPT="rfc822;b@far.test")])
    written = notifier.write(about, reports, ORIGINAL)
    assert (written.id, written.sender, written.options, written.accepted) == ("n-1", "", {}, clock.now())
    [row] = written.rows
    assert (row.recipient.address, row.notify, row.due) == (LUKE, frozenset(), clock.now())
    assert written.content is not None and not written.on_disk
    status = bounce.read(written.content)
    assert status is not None
    assert (status.reporting_mta, status.envelope_id) == ("smtp.jaku.com", "my id")
    [failed] = status.recipients
    assert (failed.remote_mta, failed.original_recipient) == ("smtp.far.test", "b@far.test")


@pytest.mark.parametrize(
    ("ret", "event", "whole"), [("FULL", "failed", True), ("HDRS", "failed", False), ("FULL", "forwarded", False)]
)
def test_how_much_comes_back(notifier: Notifier, clock: ManualClock, ret: str, event: Event, whole: bool) -> None:
    """RET is about failures alone (RFC 3461 6.2); without it the header is enough."""
    about = entry(clock, RET=ret)
    [reports] = notifier.reports([outcome(about, event, NOTIFY="SUCCESS,FAILURE")])
    content = notifier.write(about, reports, ORIGINAL).content
    assert content is not None
    assert (ORIGINAL in content) is whole
    assert b"Subject: Hello\r\n" in content


@pytest.mark.parametrize(
    ("sender", "original", "options"),
    [
        (LUKE, ORIGINAL, {}),
        (LUKE, b"Subject: \xc3\xa9\r\n\r\n", {"BODY": "8BITMIME"}),
        (Address.parse("lücke@jaku.com"), ORIGINAL, {"BODY": "8BITMIME", "SMTPUTF8": ""}),
    ],
)
def test_what_it_needs_of_a_hop(
    notifier: Notifier, clock: ManualClock, sender: Address, original: bytes, options: dict[str, str]
) -> None:
    """8BITMIME for the header of an 8-bit mail, SMTPUTF8 for a sender beyond ASCII; else nothing."""
    about = entry(clock, sender=sender)
    [reports] = notifier.reports([outcome(about, "failed")])
    assert notifier.write(about, reports, original).options == options
