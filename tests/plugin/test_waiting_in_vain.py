"""Waiting for a mail in vain: it explains, and it refuses at once what can't be meant."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from smtp_pair import Domain, Mail, MailNotFound, Pair, Server, UnexpectedMail
from smtp_pair.config import Retry
from smtp_pair.pytest_plugin import MailNetwork

LONG = 60.0  # never waited for: the call is refused


@pytest.fixture
def unused_route() -> Iterator[str]:
    """An address where nobody listens, and nobody else can begin to."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


# -- it explains -------------------------------------------------------------------------------------------------------


def test_a_time_out_says_what_did_come(server: Server) -> None:
    """Each near miss with all that differs, the last first, its attachments named."""
    server.send("obiwan@jaku.com", subject="Dinner", attachments={"menu.pdf": b"%PDF"}, sender="leia@alderaan.test")
    server.send(["luke@jaku.com", "leia@jaku.com"], subject="Breakfast")
    with pytest.raises(MailNotFound) as failure:
        server.wait_for(to="obiwan@jaku.com", sender="leia@*", subject="Lunch", timeout=0)
    assert str(failure.value).splitlines()[:6] == [
        "no mail with to='obiwan@jaku.com', sender='leia@*', subject='Lunch' came to smtp.jaku.com within 0 s.",
        "What did come (2), the last first:",
        "  - 'Breakfast' from <sender@example.org> to <luke@jaku.com>, <leia@jaku.com>",
        "      to is <luke@jaku.com>, <leia@jaku.com>, not obiwan@jaku.com; sender is <sender@example.org>, "
        "not leia@*; subject is 'Breakfast', not 'Lunch'",
        "  - 'Dinner' from <leia@alderaan.test> to <obiwan@jaku.com>, attached: 'menu.pdf'",
        "      subject is 'Dinner', not 'Lunch'",
    ]


def test_a_time_out_where_nothing_came(server: Server) -> None:
    """It says that as well."""
    with pytest.raises(MailNotFound, match="^no mail came to smtp.jaku.com within 0 s.\nNothing else came either.$"):
        server.wait_for(timeout=0)


def test_a_time_out_after_a_mail(server: Server) -> None:
    """A mail that would do but came too early is said to have."""
    server.send("luke@jaku.com", subject="one")
    with pytest.raises(MailNotFound, match="'one' from .*\n +it is not after that mail\n"):
        server.wait_for(subject="one", after=server.messages[0], timeout=0)


def test_a_time_out_with_some_of_them(server: Server) -> None:
    """How many there were, and which of them counted; a function of the test's own is named."""
    server.send("luke@jaku.com", subject="one")
    server.send("luke@jaku.com", subject="two")

    def is_one(mail: Mail) -> bool:
        return mail.subject == "one"

    with pytest.raises(MailNotFound) as failure:
        server.wait_for_all(2, where=is_one, timeout=0)
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("1 of 2 mails with where=<function ")
    assert [line.strip() for line in lines[3:6:2]] == ["where=is_one says no", "it is one of those wanted"]


@pytest.mark.asyncio
async def test_a_time_out_of_an_asynchronous_wait(server: Server) -> None:
    """It explains as much."""
    server.send("luke@jaku.com", subject="one")
    with pytest.raises(MailNotFound, match="subject is 'one', not 'two'"):
        await server.wait_for_async(subject="two", timeout=0)


def test_a_time_out_says_what_waits_in_the_queue(mail_network: MailNetwork, unused_route: str) -> None:
    """A mail that can't be passed on is waited for in vain: the reason is told."""
    net = mail_network("a.test", routes={"b.test": unused_route}, retry=Retry(first=3600))
    net["a.test"].send("ann@b.test")
    net.settle()
    with pytest.raises(
        MailNotFound, match=r"It has mail in its own queue:\n  - <ann@b.test> .*, 1 attempts, last: 451 4.4.1"
    ):
        net["a.test"].wait_for(timeout=0)


def test_a_time_out_says_what_is_on_its_way(mail_network: MailNetwork) -> None:
    """A mail that waits on another server of the network for this one is told, with the reason."""
    net = mail_network("a.test", Domain("c.test", greylist=300), clock="manual")
    net["a.test"].send("ann@c.test")
    net.settle()
    with pytest.raises(MailNotFound) as failure:
        net["c.test"].wait_for(timeout=0)
    assert re.search(
        r"smtp.a.test has mail for c.test in its queue:\n  - <ann@c.test> .*, 1 attempts, last: 451 4.7.1 not seen",
        str(failure.value),
    )


def test_a_time_out_says_what_was_said(server: Server) -> None:
    """The last of it, a line for each thing: why a mail did not come is often there."""
    for _ in range(20):
        server.send("nobody@nowhere.test")
    with pytest.raises(MailNotFound) as failure:
        server.wait_for(timeout=0)
    lines = str(failure.value).splitlines()
    at = lines.index("What was said here:")
    assert re.fullmatch(r"  \[... \d+ lines before\]", lines[at + 1])
    assert len(lines) - at < 50
    assert lines[-1].endswith("reply: 221 2.0.0 bye")
    assert sum("reply: 550 5.1.2 no route" in line for line in lines) >= 3


def test_a_wait_that_is_meant_to_be_in_vain_costs_no_explanation(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no mail is what the test wants, nobody looks at what was said."""
    monkeypatch.setattr(server._tape, "transcripts", lambda *_: pytest.fail("looked at"))
    server.assert_no_mail(within=0)
    asyncio.run(server.assert_no_mail_async(within=0))


def test_a_time_out_of_a_wait_for_a_notification(mail_network: MailNetwork) -> None:
    """It says what was wanted in the caller's own words, and what the notifications that came say instead."""
    a_test = mail_network(Domain("a.test", unreachable="bounce"))["a.test"]
    a_test.send("you@b.test", sender="me@a.test")
    a_test.send("me@a.test", subject="Hello")
    a_test.wait_for_bounce("you@b.test", status="5.1.2")
    with pytest.raises(MailNotFound) as failure:
        a_test.wait_for_bounce("you@*", status="4.4.7", timeout=0)
    lines = str(failure.value).splitlines()
    assert lines[0] == (
        "no notification with recipient='you@*', action='failed', status='4.4.7' came to smtp.a.test within 0 s."
    )
    assert {line.strip() for line in lines[3:6:2]} == {
        "it says <you@b.test> failed 5.1.2",
        "it is no notification",
    }


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"recipient": "you"}, r"recipient='you' is not an address; did you mean 'you@\*'\?"),
        ({"action": "fail"}, "action='fail' is none of failed, delayed, delivered, relayed, expanded"),
        ({"status": "5.1"}, "status='5.1' is no enhanced code such as '5.1.1'"),
    ],
)
def test_what_no_notification_says(server: Server, named: dict[str, Any], why: str) -> None:
    """It is refused at once, not waited for."""
    with pytest.raises(ValueError, match=why):
        server.wait_for_bounce(**named, timeout=LONG)


@pytest.mark.asyncio
async def test_each_wait_has_an_asynchronous_twin_that_explains(server: Server) -> None:
    """With the same words."""
    server.send("luke@jaku.com", subject="one")
    for wait in (
        server.wait_for_async(subject="two", timeout=0),
        server.wait_for_bounce_async("luke@jaku.com", timeout=0),
    ):
        with pytest.raises(MailNotFound, match="no (mail|notification) with "):
            await wait
    with pytest.raises(MailNotFound, match="1 of 2 mails came"):
        await server.wait_for_all_async(2, timeout=0)
    with pytest.raises(UnexpectedMail, match="has a mail with subject='one', and should not: 'one' from"):
        await server.assert_no_mail_async(subject="one")


def test_a_failure_reads_as_one() -> None:
    """In a report of pytest a mail that did not come, or should not have, is a failed assertion, not an error of the
    tool."""
    assert issubclass(MailNotFound, AssertionError)
    assert issubclass(UnexpectedMail, AssertionError)


# -- it refuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"to": "vader"}, ValueError, r"to='vader' is not an address; did you mean 'vader@\*'\?"),
        ({"to": ""}, ValueError, "to='' is not an address"),
        ({"to": ["vader@deathstar.com"]}, TypeError, "to= takes an address or a pattern"),
        ({"sender": "luke"}, ValueError, r"sender='luke' is not an address; did you mean 'luke@\*'"),
        ({"sender": None, "to": 5}, TypeError, "to= takes an address"),
        ({"subject": b"Hi"}, TypeError, "subject= takes a text or a compiled pattern, not b'Hi'"),
        ({"where": "subject"}, TypeError, "where= takes a function of the mail, not 'subject'"),
        ({"after": "subject"}, TypeError, "after= takes a mail, not 'subject'"),
        ({"timeout": "5"}, (TypeError, ValueError), "'5' is not a number of seconds"),
        ({"timeout": None}, (TypeError, ValueError), "None is not a number of seconds"),
        ({"timeout": -1}, ValueError, "-1 is not a number of seconds"),
        ({"timeout": float("nan")}, ValueError, "nan is not a number of seconds"),
        ({"tittle": "Hi"}, TypeError, "unexpected keyword argument 'tittle'"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_at_once(
    server: Server, wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Not after the time-out, and not only when the first mail comes: where nothing is there to be compared."""
    arguments = {"timeout": LONG} | wrong
    for wait in (server.wait_for, lambda **given: server.wait_for_all(2, **given)):
        with pytest.raises(error, match=message):
            wait(**arguments)
    with pytest.raises(error, match=message):
        asyncio.run(server.wait_for_async(**arguments))
    if "timeout" not in wrong:
        with pytest.raises(error, match=message):
            server.assert_no_mail(within=LONG, **wrong)


def test_other_calls_that_cannot_be_meant(mail_pair: Pair) -> None:
    """No mails to wait for, words in the wrong place, a mail of the other server."""
    with pytest.raises(ValueError, match="assert_no_mail"):
        mail_pair.jaku.wait_for_all(0, timeout=LONG)
    with pytest.raises(TypeError, match="positional argument"):
        mail_pair.jaku.wait_for("luke@jaku.com")  # type: ignore[call-arg]
    mail_pair.jaku.send("luke@jaku.com")
    with pytest.raises(ValueError, match="after= is a mail of smtp.jaku.com, and this is smtp.deathstar.com"):
        mail_pair.deathstar.wait_for(after=mail_pair.jaku.messages[0], timeout=LONG)
