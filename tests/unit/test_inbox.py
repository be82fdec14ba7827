"""Waiting for a mail: woken and not polled, from a thread or an event loop, and told what did come."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.inbox import Inbox, Wanted, describe
from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.mail.errors import MailNotFound, UnexpectedMail
from smtp_pair.mail.message import Attachment, Attachments, Mail

PATIENCE = 30.0  # for what comes at once


def a_mail(
    subject: str = "Hello", *, to: str = "vader@deathstar.com", sender: str = "luke@jaku.com", **more: Any
) -> Mail:
    recipients = tuple(map(Address.parse, to.split()))
    settings: dict[str, Any] = {
        "id": "1",
        "hostname": "smtp.deathstar.com",
        "envelope": Envelope(Address.parse(sender) if sender else NULL_PATH, tuple(map(Recipient, recipients))),
        "delivered_to": recipients,
        "addressed_to": recipients,
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
        "subject": subject,
        "text": "",
        "attachments": Attachments(),
        "defects": (),
        "path": Path("mail"),
        "_read": lambda: b"",
        "_ours": lambda mail_id: False,
    }
    return Mail(**settings | more)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox("smtp.deathstar.com", lambda: "The queue is empty.")


def deliver(inbox: Inbox, *mails: Mail) -> None:
    for mail in mails:
        inbox.put(mail)
    inbox.wake()


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Wanted(), True),
        (Wanted(to="vader@deathstar.com"), True),
        (Wanted(to="vader@DEATHSTAR.com"), True),
        (Wanted(to="Vader@deathstar.com"), False),
        (Wanted(to="vader@*"), True),
        (Wanted(to="*@deathstar.com"), True),
        (Wanted(to="v*r@death*"), True),
        (Wanted(to="*"), True),
        (Wanted(to="vader@deathstar"), False),
        (Wanted(to="vader@deathstar.com*x"), False),
        (Wanted(to="v?der@deathstar.com"), False),
        (Wanted(to="[v]ader@deathstar.com"), False),
        (Wanted(to="vader@deathstar_com"), False),
        (Wanted(sender="luke@jaku.com"), True),
        (Wanted(sender="*@jaku.com"), True),
        (Wanted(sender="leia@jaku.com"), False),
        (Wanted(sender=""), False),
        (Wanted(subject="Hello there"), True),
        (Wanted(subject="Hello"), False),
        (Wanted(subject=re.compile("there$")), True),
        (Wanted(subject=re.compile("^there")), False),
        (Wanted(where=lambda mail: mail.subject.startswith("Hello")), True),
        (Wanted(where=lambda mail: None), False),
        (Wanted(to="vader@*", sender="luke@*", subject="Hello there"), True),
        (Wanted(to="vader@*", sender="leia@*"), False),
    ],
)
def test_matching(wanted: Wanted, matches: bool) -> None:
    """Addresses with the domain in any case and * as the only wildcard; a subject exact or as a pattern; a function."""
    assert (wanted.differences(a_mail("Hello there")) == []) is matches


def test_any_of_several_recipients_matches() -> None:
    """A mail to two is found by either; one that an alias led here, by the alias too."""
    mail = a_mail(to="vader@deathstar.com tarkin@deathstar.com", addressed_to=(Address.parse("all@deathstar.com"),))
    for to in ("vader@*", "tarkin@*", "all@deathstar.com"):
        assert Wanted(to=to).differences(mail) == []


def test_the_null_sender_and_a_bare_postmaster() -> None:
    """C34, C36: both are found by what they are."""
    assert Wanted(sender="").differences(a_mail(sender="")) == []
    assert Wanted(to="postmaster").differences(a_mail(delivered_to=(Address("postmaster", ""),))) == []


@given(st.text(max_size=10), st.text(max_size=10))
def test_an_address_matches_itself(local: str, domain: str) -> None:
    """Whatever characters it has: brackets, stars, dots and backslashes are no pattern for it."""
    address = Address(local, f"{domain}.test")
    assert Wanted(to=address).differences(a_mail(delivered_to=(address,))) == []


@pytest.mark.parametrize(
    ("arguments", "error", "advice"),
    [
        ({"to": "vader"}, ValueError, r"did you mean 'vader@\*'"),
        ({"to": ""}, ValueError, "is not an address"),
        ({"to": 7}, TypeError, "to= takes an address"),
        ({"sender": "luke"}, ValueError, r"did you mean 'luke@\*', or '' \(the null one\)"),
        ({"sender": "<>"}, ValueError, "sender='<>'"),
        ({"sender": ["luke@jaku.com"]}, TypeError, "sender= takes"),
        ({"subject": 7}, TypeError, "subject= takes a text or a compiled pattern"),
        ({"where": "x"}, TypeError, "where= takes a function"),
        ({"after": "1"}, TypeError, "after= takes a mail"),
    ],
)
def test_a_wrong_argument_is_refused_when_given(arguments: dict[str, Any], error: type[Exception], advice: str) -> None:
    """With what to do about it, not after five seconds of waiting."""
    with pytest.raises(error, match=advice):
        Wanted(**arguments)


def test_what_is_there_already_is_found(inbox: Inbox) -> None:
    """At once, the oldest first, without any patience."""
    first, second = a_mail("one"), a_mail("two")
    deliver(inbox, first, second)
    assert inbox.wait_for(Wanted(), 1, 0) == [first]
    assert inbox.wait_for(Wanted(subject="two"), 1, 0) == [second]
    assert inbox.wait_for(Wanted(), 2, 0) == [first, second]


def test_mails_is_a_copy(inbox: Inbox) -> None:
    """What a test does with the list changes nothing here."""
    deliver(inbox, a_mail())
    inbox.mails.clear()
    assert len(inbox.mails) == 1


def test_after_looks_at_later_mails_only(inbox: Inbox) -> None:
    """Also when the one before was there before the wait, or has been cleared away since."""
    first, second, third = a_mail("one"), a_mail("two"), a_mail("three")
    deliver(inbox, first, second)
    assert inbox.wait_for(Wanted(after=first), 1, 0) == [second]
    with pytest.raises(MailNotFound):
        inbox.wait_for(Wanted(after=second), 1, 0)
    inbox.clear()
    deliver(inbox, third)
    assert inbox.wait_for(Wanted(after=second), 1, 0) == [third]


def waiting(inbox: Inbox, subject: str, count: int = 1) -> tuple[ThreadPoolExecutor, Future[list[Mail]]]:
    """A thread that waits; it has looked at what there is when this returns."""
    looked = threading.Event()

    def where(mail: Mail) -> bool:
        looked.set()
        return re.fullmatch(subject, mail.subject) is not None

    deliver(inbox, a_mail("before"))
    pool = ThreadPoolExecutor(1)
    future = pool.submit(inbox.wait_for, Wanted(where=where), count, PATIENCE)
    assert looked.wait(PATIENCE)
    return pool, future


def test_a_waiting_thread_is_woken(inbox: Inbox) -> None:
    """By `wake`, when the client has its 250, and not before; a mail that is not wanted does not end the wait."""
    pool, future = waiting(inbox, "two")
    with pool:
        deliver(inbox, a_mail("one"))
        mail = a_mail("two")
        inbox.put(mail)
        inbox.wake()
        assert future.result(PATIENCE) == [mail]


def test_several_mails_are_gathered(inbox: Inbox) -> None:
    """In their order, over as many wakings as it takes, and through a clearing."""
    mails = [a_mail(f"{number}") for number in range(3)]
    pool, future = waiting(inbox, "[0-9]", 3)
    with pool:
        deliver(inbox, mails[0], mails[1])
        deliver(inbox, mails[2])
        assert future.result(PATIENCE) == mails


def test_every_waiter_is_woken(inbox: Inbox) -> None:
    """Each for its own mail."""
    both = [waiting(inbox, subject) for subject in ("one", "two")]
    one, two = a_mail("one"), a_mail("two")
    deliver(inbox, two, one)
    assert [future.result(PATIENCE) for _, future in both] == [[one], [two]]
    for pool, _ in both:
        pool.shutdown()


def test_the_predicate_runs_in_the_test_s_thread_and_outside_the_lock(inbox: Inbox) -> None:
    """So that it may look at the inbox itself, take its time, and fail the test."""
    threads: list[threading.Thread] = []

    def where(mail: Mail) -> bool:
        threads.append(threading.current_thread())
        return len(inbox.mails) == 1

    deliver(inbox, a_mail())
    assert inbox.wait_for(Wanted(where=where), 1, 0)
    assert threads == [threading.current_thread()]

    def fail(mail: Mail) -> bool:
        raise AssertionError("the test's own")

    with pytest.raises(AssertionError, match="the test's own"):
        inbox.wait_for(Wanted(where=fail), 1, 0)


def test_a_wait_in_vain_says_what_came(inbox: Inbox) -> None:
    """What was wanted, what did come, the last first, and how each differs; and what else the server knows."""
    gif = Attachment("plan.gif", "image/gif", "base64", Path("1.gif"), 1, "", (), lambda: b"")
    deliver(inbox, a_mail("one"), a_mail("two", sender="leia@jaku.com", attachments=Attachments([gif])))
    with pytest.raises(MailNotFound) as missed:
        inbox.wait_for(Wanted(to="vader@*", sender="leia@jaku.com", subject="Two"), 1, 0)
    assert str(missed.value).split("\n") == [
        "no mail with to='vader@*', sender='leia@jaku.com', subject='Two' came to smtp.deathstar.com within 0 s.",
        "What did come (2), the last first:",
        "  - 'two' from <leia@jaku.com> to <vader@deathstar.com>, attached: 'plan.gif'",
        "      subject is 'two', not 'Two'",
        "  - 'one' from <luke@jaku.com> to <vader@deathstar.com>",
        "      sender is <luke@jaku.com>, not leia@jaku.com; subject is 'one', not 'Two'",
        "The queue is empty.",
    ]


def test_a_wait_in_vain_for_several(inbox: Inbox) -> None:
    """Says how many there were; of many mails it shows the last ones."""
    deliver(inbox, *(a_mail(f"{number}") for number in range(12)))
    with pytest.raises(MailNotFound) as missed:
        inbox.wait_for(Wanted(subject=re.compile("^1")), 4, 0)
    lines = str(missed.value).split("\n")
    assert lines[0] == "3 of 4 mails with subject=re.compile('^1') came to smtp.deathstar.com within 0 s."
    assert lines[3] == "      it is one of those wanted"
    assert "  ... and 2 more" in lines


def test_a_wait_in_vain_where_nothing_came() -> None:
    """Says that too, and nothing where nothing else is known."""
    with pytest.raises(MailNotFound) as missed:
        Inbox("smtp.a.test", lambda: "").wait_for(Wanted(), 1, 0)
    assert str(missed.value) == "no mail came to smtp.a.test within 0 s.\nNothing else came either."


@pytest.mark.parametrize("count", [0, -1])
def test_a_wait_is_for_one_mail_or_more(inbox: Inbox, count: int) -> None:
    """Waiting for none would end in vain or too early."""
    with pytest.raises(ValueError, match="assert_no_mail"):
        inbox.wait_for(Wanted(), count, 0)
    with pytest.raises(ValueError, match="assert_no_mail"):
        asyncio.run(inbox.wait_for_async(Wanted(), count, 0))


def test_no_mail(inbox: Inbox) -> None:
    """A mail that is there, or comes within the time, is unexpected; another is not."""
    inbox.assert_none(Wanted(), 0)
    deliver(inbox, a_mail("one"))
    inbox.assert_none(Wanted(subject="two"), 0)
    with pytest.raises(UnexpectedMail) as unexpected:
        inbox.assert_none(Wanted(subject="one"), PATIENCE)
    assert str(unexpected.value) == (
        "smtp.deathstar.com has a mail with subject='one', and should not: "
        "'one' from <luke@jaku.com> to <vader@deathstar.com>"
    )


def test_clearing(inbox: Inbox) -> None:
    """Gives what was forgotten, and what comes next is all there is."""
    one, two = a_mail("one"), a_mail("two")
    deliver(inbox, one)
    assert inbox.clear() == [one]
    assert inbox.clear() == inbox.mails == []
    deliver(inbox, two)
    assert inbox.wait_for(Wanted(), 1, 0) == [two]


def test_a_waiter_keeps_its_place_when_the_inbox_is_cleared(inbox: Inbox) -> None:
    """It misses no mail that comes after."""
    pool, future = waiting(inbox, "two")
    with pool:
        deliver(inbox, a_mail("one"))
        inbox.clear()
        two = a_mail("two")
        deliver(inbox, two)
        assert future.result(PATIENCE) == [two]


def in_a_loop(work: Callable[[], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await work()

    return asyncio.run(run())


def test_waiting_in_an_event_loop(inbox: Inbox) -> None:
    """Is woken from another thread, does not block the loop, and leaves nothing behind."""

    async def work() -> list[Mail]:
        waiter = asyncio.ensure_future(inbox.wait_for_async(Wanted(subject="two"), 1, PATIENCE))
        await asyncio.sleep(0)
        assert not waiter.done()
        await asyncio.to_thread(deliver, inbox, a_mail("one"))
        await asyncio.to_thread(deliver, inbox, a_mail("two"))
        return await waiter

    (mail,) = in_a_loop(work)
    assert mail.subject == "two"
    assert inbox._listeners == set()


def test_waiting_in_an_event_loop_in_vain(inbox: Inbox) -> None:
    """Finds what is there without any patience, and else says the same as in a thread."""
    deliver(inbox, a_mail("one"))
    assert in_a_loop(lambda: inbox.wait_for_async(Wanted(), 1, 0)) == inbox.mails
    with pytest.raises(MailNotFound, match=r"no mail with subject='two' came .* within 0 s.\nWhat did come \(1\)"):
        in_a_loop(lambda: inbox.wait_for_async(Wanted(subject="two"), 1, 0))
    assert inbox._listeners == set()


def test_a_waiter_whose_loop_is_closed_harms_nobody(inbox: Inbox) -> None:
    """A test that was torn down in the middle of a wait: the other waiters are woken all the same."""
    closed = asyncio.new_event_loop()
    closed.close()
    woken: list[str] = []

    def listener() -> None:
        closed.call_soon_threadsafe(print)

    inbox._listeners = {listener, lambda: woken.append("other")}
    deliver(inbox, a_mail())
    assert woken == ["other"]


def test_a_mail_in_a_line() -> None:
    """With several recipients, no sender, and what is attached, names that are missing included."""
    nameless = Attachment(None, "image/gif", "base64", Path("1.gif"), 1, "", (), lambda: b"")
    mail = a_mail(to="a@b.c d@e.f", sender="", attachments=Attachments([nameless]))
    assert describe(mail) == "'Hello' from <> to <a@b.c>, <d@e.f>, attached: None"
