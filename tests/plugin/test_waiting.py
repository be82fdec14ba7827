"""Waiting for a mail: it wakes, and it finds."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from smtp_pair import Domain, Mail, MailNotFound, Pair, Server, UnexpectedMail
from smtp_pair.pytest_plugin import MailNetwork

LONG = 60.0  # never waited for: what is awaited comes


class OnFirstWait(Protocol):
    """What the fixture ``waits`` gives."""

    timeouts: list[float]
    gate: threading.Event


def subjects(mails: list[Mail]) -> list[str]:
    return [mail.subject for mail in mails]


# -- it wakes ----------------------------------------------------------------------------------------------------------


def test_wait_for_wakes(server: Server, waits: OnFirstWait, sent_meanwhile: Callable[..., None]) -> None:
    """A waiter sleeps until a mail comes, and not one moment of its time-out: it waits at most once for each mail
    that comes, each time for all the time that is left, and looks at each mail once."""
    server.send("luke@jaku.com", subject="there already")
    looked_at: list[str] = []

    def wanted(mail: Mail) -> bool:
        looked_at.append(mail.subject)
        return mail.subject == "the one"

    sent_meanwhile(waits.gate, "a near miss", "the one")
    assert server.wait_for(where=wanted, timeout=LONG).subject == "the one"
    assert looked_at == ["there already", "a near miss", "the one"]
    assert 1 <= len(waits.timeouts) <= 2
    assert all(timeout > LONG / 2 for timeout in waits.timeouts)


def test_wait_for_needs_no_timer(server: Server, waits: OnFirstWait, sent_meanwhile: Callable[..., None]) -> None:
    """With no end to the time-out a waiter is woken all the same."""
    sent_meanwhile(waits.gate, "the one")
    assert server.wait_for(timeout=float("inf")).subject == "the one"
    assert len(waits.timeouts) == 1


@pytest.mark.asyncio
async def test_wait_for_async_wakes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop of the test sets one timer, for the time-out itself; it goes on meanwhile, and a waiter is woken once
    for each mail."""
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    stock = loop.call_at

    def call_at(when: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
        timers.append(when - loop.time())
        return stock(when, *args, **more)

    monkeypatch.setattr(loop, "call_at", call_at)
    waiting = asyncio.ensure_future(server.wait_for_async(subject="the one", timeout=LONG))
    await loop.run_in_executor(None, lambda: server.send("luke@jaku.com", subject="a near miss"))
    assert not waiting.done()
    await loop.run_in_executor(None, lambda: server.send("luke@jaku.com", subject="the one"))
    assert (await waiting).subject == "the one"
    assert len(timers) == 1 and timers[0] > LONG / 2


@pytest.mark.asyncio
async def test_many_wait_at_the_same_time(server: Server) -> None:
    """Each gets the mail it waits for, whatever the order in which they come."""
    titles = [f"mail {number}" for number in range(10)]
    waiting = [asyncio.ensure_future(server.wait_for_async(subject=title, timeout=LONG)) for title in titles]
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    for title in reversed(titles):
        await loop.run_in_executor(None, lambda title=title: server.send("luke@jaku.com", subject=title))  # type: ignore[misc]
    assert subjects(await asyncio.gather(*waiting)) == titles


def test_a_wait_leaves_nothing_behind(server: Server) -> None:
    """Once a wait has ended, well or in vain, the server holds on to nothing of the loop it was on."""
    server.send("luke@jaku.com")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(server.wait_for_async(timeout=LONG))
    with pytest.raises(MailNotFound):
        loop.run_until_complete(server.wait_for_async(subject="another", timeout=0))
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None


@pytest.mark.asyncio
async def test_the_asynchronous_twins_wake(mail_network: MailNetwork) -> None:
    """For several mails, for a notification, and for none at all, each while the loop of the test goes on."""
    net = mail_network(Domain("a.test", unreachable="bounce"))
    server, loop = net["a.test"], asyncio.get_running_loop()
    several = asyncio.ensure_future(server.wait_for_all_async(2, to="luke@a.test", timeout=LONG))
    told = asyncio.ensure_future(server.wait_for_bounce_async("*@nowhere.test", status="5.1.2", timeout=LONG))
    await asyncio.sleep(0)
    for title in ("one", "two"):
        await loop.run_in_executor(None, lambda title=title: server.send("luke@a.test", subject=title))  # type: ignore[misc]
    assert subjects(await several) == ["one", "two"]
    assert not told.done()
    await loop.run_in_executor(None, lambda: server.send("x@nowhere.test", sender="me@a.test"))
    status = (await told).delivery_status
    assert status is not None
    assert status.recipients[0].recipient == "x@nowhere.test"
    unwanted = asyncio.ensure_future(server.assert_no_mail_async(subject="three", within=LONG))
    await asyncio.sleep(0)
    await loop.run_in_executor(None, lambda: server.send("luke@a.test", subject="three"))
    with pytest.raises(UnexpectedMail, match="'three' from"):
        await unwanted


# -- it finds ----------------------------------------------------------------------------------------------------------


def test_what_is_there_already_counts(server: Server) -> None:
    """The first that matches, oldest first, without waiting."""
    for title in ("one", "two", "three"):
        server.send("luke@jaku.com", subject=title)
    assert server.wait_for(timeout=0).subject == "one"
    assert server.wait_for(subject=re.compile("^t"), timeout=0).subject == "two"
    assert subjects(server.wait_for_all(2, subject=re.compile("e$"), timeout=0)) == ["one", "three"]


def test_wait_for_all_waits_for_so_many(
    server: Server, waits: OnFirstWait, sent_meanwhile: Callable[..., None]
) -> None:
    """Those that are there and those to come, in their order."""
    server.send("luke@jaku.com", subject="one")
    sent_meanwhile(waits.gate, "other", "two", "three", "four")
    found = server.wait_for_all(3, where=lambda mail: mail.subject != "other", timeout=LONG)
    assert subjects(found) == ["one", "two", "three"]


def test_after_leaves_out_what_came_before(
    server: Server, waits: OnFirstWait, sent_meanwhile: Callable[..., None]
) -> None:
    """``after=`` a mail finds later ones only, there already or still to come."""
    for title in ("again", "again"):
        server.send("luke@jaku.com", subject=title)
    first = server.wait_for(subject="again")
    second = server.wait_for(subject="again", after=first, timeout=0)
    assert [first, second] == server.messages
    sent_meanwhile(waits.gate, "other", "again")
    assert server.wait_for(subject="again", after=second, timeout=LONG) is server.messages[3]
    server.assert_no_mail(after=server.messages[3])


def test_where_is_called_in_the_callers_thread(
    server: Server, waits: OnFirstWait, sent_meanwhile: Callable[..., None]
) -> None:
    """A test's own function needs no lock, and what it raises is the test's."""
    threads = []

    def wanted(mail: Mail) -> bool:
        threads.append(threading.current_thread())
        return True

    sent_meanwhile(waits.gate, "one")
    server.wait_for(where=wanted, timeout=LONG)
    assert threads == [threading.current_thread()]
    with pytest.raises(ZeroDivisionError):
        server.wait_for(where=lambda mail: 1 / 0, timeout=LONG)


@pytest.mark.asyncio
async def test_where_is_called_on_the_callers_loop(server: Server) -> None:
    """In an asynchronous test too, so it may use what belongs to that loop."""
    here = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(
        server.wait_for_async(where=lambda _: asyncio.get_running_loop() is here, timeout=LONG)
    )
    await here.run_in_executor(None, lambda: server.send("luke@jaku.com"))
    await waiting


def greets(mail: Mail) -> bool:
    return mail.text == "Hello.\n"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"to": "luke@JAKU.com"}, True),
        ({"to": "LUKE@jaku.com"}, False),
        ({"to": "*@jaku.com"}, True),
        ({"to": "lu*@*"}, True),
        ({"to": "*"}, True),
        ({"to": "luk?@jaku.com"}, False),
        ({"sender": "sender@example.org"}, True),
        ({"sender": "*@EXAMPLE.org"}, True),
        ({"sender": ""}, False),
        ({"subject": "Grüße"}, True),
        ({"subject": "Grü"}, False),
        ({"subject": re.compile("Grü")}, True),
        ({"where": greets}, True),
        ({"to": "luke@jaku.com", "subject": "other"}, False),
    ],
    ids=lambda value: "where" if "where" in str(value) else str(value),  # an id must be the same in each xdist worker
)
def test_what_matches(server: Server, wanted: dict[str, Any], found: bool) -> None:
    """Addresses with the domain in any case and ``*`` for anything; subjects whole or by a pattern; all given ones
    have to match."""
    server.send("luke@jaku.com", subject="Grüße", body="Hello.")
    if found:
        assert server.wait_for(**wanted, timeout=0) is server.messages[0]
        with pytest.raises(UnexpectedMail, match="smtp.jaku.com has a mail with .*, and should not: 'Grüße' from"):
            server.assert_no_mail(**wanted)
    else:
        server.assert_no_mail(**wanted)
        with pytest.raises(MailNotFound):
            server.wait_for(**wanted, timeout=0)


def test_assert_no_mail_looks_for_a_while(
    server: Server, waits: OnFirstWait, sent_meanwhile: Callable[..., None]
) -> None:
    """With ``within=`` a mail that is still to come is found, and the wait ends with it."""
    server.assert_no_mail()
    sent_meanwhile(waits.gate, "one")
    with pytest.raises(
        UnexpectedMail, match=r"^smtp.jaku.com has a mail, and should not: 'one' from <sender@example.org>"
    ):
        server.assert_no_mail(within=LONG)


def test_a_fresh_pair_makes_nobody_miss_a_mail(mail_pair: Pair, waits: OnFirstWait) -> None:
    """Who waits while the mailboxes are emptied keeps its place: the next mail is found."""
    jaku = mail_pair.jaku
    jaku.send("luke@jaku.com", subject="old")

    def work() -> None:
        assert waits.gate.wait(LONG)
        with mail_pair.fresh():
            jaku.send("luke@jaku.com", subject="new")
            done.wait(LONG)

    done = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert jaku.wait_for(subject="new", timeout=LONG).subject == "new"
    finally:
        done.set()
        thread.join()
    assert jaku.messages == []
