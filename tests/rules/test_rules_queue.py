"""The queue: what is tried again and when, each recipient by itself, through restarts, and nobody in another one's way
(C76 to C81). The clock is moved by hand; what a next hop may do wrong besides is in tests/scenarios."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from harness.rules_plugin import Connect, Notes
from harness.sending import RECIPIENT, SENDER, Sending, sending
from harness.unruly_hop import CLOSE, UnrulyHop
from smtp_pair import Domain, Network, journal
from smtp_pair.config import PATIENT_RETRY, Durability
from smtp_pair.pytest_plugin import MailNetwork

LATER, NEVER = b"451 4.3.0 later", b"550 5.1.1 nobody"


@pytest.fixture
def hop() -> Iterator[UnrulyHop]:
    with UnrulyHop() as hop:
        yield hop


@pytest.fixture
def mail(mail_network: MailNetwork, hop: UnrulyHop) -> Sending:
    return sending(mail_network, hop)


def patient(mail_network: MailNetwork, hop: UnrulyHop, durability: Durability = "fast") -> Sending:
    """As patient as `smtp-pair up`."""
    routes = {"far.test": hop.address}
    return Sending(mail_network("a.test", routes=routes, clock="manual", durability=durability), hop)


# -- C76: again, or not ----------------------------------------------------------------------------------------------


def test_c76_after_growing_times(mail_network: MailNetwork, hop: UnrulyHop, rule: Notes) -> None:
    """4xx: 1 s, 2 s, 4 s ... up to 30 minutes, each a little more or less; not a moment earlier, and until it is
    taken."""
    mail = patient(mail_network, hop)
    hop.always("RCPT", LATER)
    mail.send()
    mail.network.settle()
    clock = mail.network.clock
    delays = []
    for attempt in range(1, 16):
        [waiting] = mail.server.queue
        assert (waiting.attempts, len(hop.said("RCPT"))) == (attempt, attempt)
        delays.append(waiting.due - clock.now())
        clock.advance(delays[-1] - 0.001)
        assert len(hop.said("RCPT")) == attempt
        hop.behaves() if attempt == 15 else None
        clock.advance(0.002)
    assert mail.server.queue == []
    assert len(hop.taken) == 1
    plain = [min(2.0**number, 30 * 60) for number in range(15)]
    assert delays == [pytest.approx(delay, rel=PATIENT_RETRY.jitter, abs=0.01) for delay in plain]
    assert len({delay / exact for delay, exact in zip(delays, plain, strict=True)}) > 5, "they are all alike"
    rule.observed("4xx: again after 1 s, 2 s, 4 s ... 30 min, and a little more or less")


def test_c76_no_connection_is_tried_again(mail_network: MailNetwork, rule: Notes) -> None:
    """A hop that can't be reached is no refusal."""
    with UnrulyHop(down=True) as hop:
        mail = patient(mail_network, hop)
        mail.send()
        mail.network.clock.advance(minutes=1)
        [waiting] = mail.server.queue
        assert waiting.attempts in (6, 7)
        hop.up()
        mail.network.clock.advance(minutes=2)
        assert len(hop.taken) == 1
    rule.observed("no connection: again")


@pytest.mark.parametrize("phase", ["greeting", "MAIL", "RCPT", "DATA", "dot"])
def test_c76_a_refusal_is_told_at_once(mail: Sending, rule: Notes, phase: str) -> None:
    """5xx is for good: one attempt, and the sender knows before any time has passed."""
    mail.hop.says(phase, NEVER)
    mail.send()
    mail.network.settle()
    assert mail.server.queue == []
    [failed] = mail.told().recipients
    assert (failed.status, len(mail.hop.conversations)) == ("5.1.1", 1)
    mail.network.clock.advance(days=6)
    assert len(mail.hop.conversations) == 1
    rule.observed("5xx: the sender is told at once")


def test_c76_late_is_told_once(mail_network: MailNetwork, hop: UnrulyHop, rule: Notes) -> None:
    """After four hours the sender is told that it takes long, once, and that it goes on; the mail arrives."""
    mail = patient(mail_network, hop)
    hop.always("RCPT", LATER)
    mail.send()
    mail.network.clock.advance(hours=3.9)
    assert mail.server.messages == []
    mail.network.clock.advance(hours=20)
    [delayed] = mail.told().recipients
    assert (delayed.action, delayed.status, delayed.recipient) == ("delayed", "4.3.0", RECIPIENT)
    assert delayed.will_retry_until
    hop.behaves()
    mail.network.clock.advance(hours=1)
    assert len(hop.taken) == 1
    assert len(mail.notifications) == 1
    rule.observed("after 4 h: told that it is late, once")


# -- C77, C78: each by itself, by the first digit ----------------------------------------------------------------------


def test_c77_each_has_a_state(mail: Sending, rule: Notes) -> None:
    """One of three is taken, one put off, one refused: only the one that was put off is tried again, and of the other
    two nothing is said any more."""
    mail.hop.says("RCPT", b"250 OK", LATER, NEVER)
    mail.send("one@far.test", "two@far.test", "three@far.test")
    mail.network.settle()
    assert [waiting.recipient for waiting in mail.server.queue] == ["two@far.test"]
    mail.until_nothing_waits()
    assert [one.recipients for one in mail.hop.taken] == [
        [b"RCPT TO:<one@far.test>"],
        [b"RCPT TO:<two@far.test>"],
    ]
    assert [status.recipient for status in mail.told().recipients] == ["three@far.test"]
    rule.observed("each recipient has the mail once, or its sender is told")


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_c77_through_a_restart(mail_network: MailNetwork, hop: UnrulyHop, rule: Notes, durability: Durability) -> None:
    """Whoever has it is known after a restart too."""
    mail = patient(mail_network, hop, durability)
    hop.says("RCPT", b"250 OK", LATER)
    mail.send("one@far.test", "two@far.test")
    mail.network.settle()
    mail.network.stop()
    mail.network.start()
    mail.network.clock.advance(1.2)
    assert [one.recipients for one in hop.taken] == [[b"RCPT TO:<one@far.test>"], [b"RCPT TO:<two@far.test>"]]
    rule.observed("after a restart too")


def test_c77_several_hops(mail_network: MailNetwork, hop: UnrulyHop, rule: Notes) -> None:
    """Recipients at two hops, of which one is down: the other has its mail at once, and once."""
    with UnrulyHop(down=True) as dead:
        network = mail_network("a.test", routes={"far.test": hop.address, "dead.test": dead.address}, clock="manual")
        mail = Sending(network, hop)
        mail.send("one@far.test", "two@dead.test", "three@far.test")
        network.settle()
        assert [one.recipients for one in hop.taken] == [[b"RCPT TO:<one@far.test>", b"RCPT TO:<three@far.test>"]]
        network.clock.advance(hours=1)
        assert [waiting.recipient for waiting in mail.server.queue] == ["two@dead.test"]
        dead.up()
        network.clock.advance(hours=1)
        assert [one.recipients for one in dead.taken] == [[b"RCPT TO:<two@dead.test>"]]
        assert len(hop.taken) == 1
    rule.observed("a hop that is down holds up its own recipients alone")


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (b"450 5.1.1 nobody", "deferred"),
        (b"499 what", "deferred"),
        (b"452 5.0.0", "deferred"),
        (b"421 2.0.0 fine", "deferred"),
        (b"550 4.2.1 later", "failed"),
        (b"500", "failed"),
        (b"599 2.1.5 well", "failed"),
        (b"553-4.4.4 a\r\n553 4.4.4 b", "failed"),
        (b"250 5.1.1 no", "forwarded"),
        (b"299 4.0.0 hm", "forwarded"),
    ],
)
@pytest.mark.parametrize("phase", ["RCPT", "dot"])
def test_c78_the_first_digit_decides(mail: Sending, rule: Notes, phase: str, said: bytes, event: str) -> None:
    """Whatever the other digits, the enhanced code and the words say."""
    mail.hop.says(phase, said)
    mail.send()
    mail.network.settle()
    assert mail.events()[0] == event
    rule.observed(f"{said[:1].decode()}xx with anything behind it: {event}")


# -- C79, C80: nothing is lost ---------------------------------------------------------------------------------------


def test_c79_dropped_after_the_dot(mail: Sending, rule: Notes) -> None:
    """The hop had it all, and hung up before it said so: it is sent again, the same octets. Twice is allowed, never is
    not."""
    mail.hop.says("dot", CLOSE)
    mail.send()
    mail.network.settle()
    assert [waiting.recipient for waiting in mail.server.queue] == [RECIPIENT]
    mail.until_nothing_waits()
    first, second = mail.hop.came
    assert first.content == second.content
    assert mail.hop.taken == [second]
    assert mail.notifications == []
    rule.observed("sent again")


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_c80_survives_a_restart(mail_network: MailNetwork, hop: UnrulyHop, rule: Notes, durability: Durability) -> None:
    """What waits is sent by the next run, as it was, when it was due; the times go on growing."""
    mail = patient(mail_network, hop, durability)
    hop.always("RCPT", LATER)
    mail.send("one@far.test")
    mail.send("two@far.test")
    mail.network.clock.advance(minutes=10)
    before = mail.server.queue
    mail.network.stop()
    mail.network.start()
    assert mail.server.queue == before
    hop.behaves()
    mail.network.clock.advance(max(one.due for one in before) - mail.network.clock.now() - 0.001)
    assert len(hop.taken) == 1
    mail.network.clock.advance(0.002)
    assert sorted(one.recipients[0] for one in hop.taken) == [b"RCPT TO:<one@far.test>", b"RCPT TO:<two@far.test>"]
    assert all(one.content.endswith(b"\r\nhello\r\n") for one in hop.taken)
    assert not list((mail.server.directory / "spool").rglob("*.eml"))
    rule.observed("sent by the next run")


def test_c80_what_is_too_old_is_given_up(mail_network: MailNetwork, hop: UnrulyHop, rule: Notes) -> None:
    """After five days, a restart in their middle, the sender is told 4.4.7 with what was said last; not a day
    earlier."""
    mail = patient(mail_network, hop)
    hop.always("RCPT", LATER)
    mail.send()
    mail.network.clock.advance(days=2)
    mail.network.stop()
    mail.network.start()
    mail.network.clock.advance(days=2.9)
    assert len(mail.server.queue) == 1
    mail.network.clock.advance(days=0.2)
    assert mail.server.queue == []
    delayed, failed = (mail.delivery_status for mail in mail.notifications)
    assert delayed is not None and delayed.recipients[0].action == "delayed"
    assert failed is not None
    [status] = failed.recipients
    assert (status.action, status.status) == ("failed", "4.4.7")
    assert status.diagnostic.endswith("last: 451 4.3.0 later")
    rule.observed("after 5 d: the sender is told, 4.4.7")


# -- C81: nobody in another one's way --------------------------------------------------------------------------------


def spoil(network: Network, what: str) -> None:
    """Do so to the first mail of a.test's queue, which does not run."""
    spool = network["a.test"].directory / "spool"
    with closing(sqlite3.connect(spool / "queue.sqlite", isolation_level=None)) as database:
        [(first,)] = database.execute("SELECT id FROM mail ORDER BY id LIMIT 1").fetchall()
        if what == "its file is gone":
            (spool / "mail" / f"{first}.eml").unlink()
        elif what == "its file is a folder":
            (spool / "mail" / f"{first}.eml").unlink()
            (spool / "mail" / f"{first}.eml").mkdir()
        elif what == "its state is garbage":
            database.execute("UPDATE mail SET options = ?, accepted = ? WHERE id = ?", (b"\xff{", "soon", first))
        else:
            database.execute("UPDATE recipient SET address = ?, status = ? WHERE mail = ?", ("x y@@", "lost", first))


@pytest.mark.mail_losses("its state is made unreadable")
@pytest.mark.parametrize(
    "what", ["its file is gone", "its file is a folder", "its state is garbage", "its recipient is garbage"]
)
def test_c81_one_spoiled_mail(
    mail_network: MailNetwork, hop: UnrulyHop, rule: Notes, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The mails beside it are sent, and new ones; it is named in the log, and not thrown away."""
    mail = patient(mail_network, hop, "durable")
    hop.always("RCPT", LATER)
    for number in range(3):
        mail.send(f"r{number}@far.test")
    mail.network.settle()
    mail.network.stop()
    spoil(mail.network, what)
    hop.behaves()
    mail.network.start()
    mail.network.clock.advance(minutes=1)
    mail.send("new@far.test")
    mail.network.settle()
    assert sorted(one.recipients[0] for one in hop.taken) == [
        b"RCPT TO:<%b@far.test>" % name for name in (b"new", b"r1", b"r2")
    ]
    spoiled = next(fact.mail for fact in journal.read(mail.server.directory) if fact.event == "deferred")
    assert spoiled in caplog.text
    if "garbage" in what:
        assert (mail.server.directory / "spool" / "mail" / f"{spoiled}.eml").exists()
    rule.observed("a spoiled mail: the others are sent")


def test_c81_a_dead_domain(mail_network: MailNetwork, hop: UnrulyHop, wire: Connect, rule: Notes) -> None:
    """200 mails for a hop that is down, due again and again: a mail for another one goes at once, at its first attempt,
    and the dead one is knocked at a few times, not 200 times, for each of their rounds."""
    with UnrulyHop(down=True) as dead:
        network = mail_network("a.test", routes={"far.test": hop.address, "dead.test": dead.address}, clock="manual")
        mail = Sending(network, hop)
        client = wire(mail.server)
        for number in range(200):
            client.open(f"r{number}@dead.test", sender=SENDER)
            assert client.data(b"\r\n").code == 250
        mail.send()
        network.settle()
        assert [one.recipients for one in hop.taken] == [[b"RCPT TO:<bob@far.test>"]]
        assert len(mail.server.queue) == 200
        network.clock.advance(1.2)
        mail.send()
        network.settle()
        assert len(hop.taken) == 2
    rule.observed("200 mails for a dead domain: another one's goes at once")


def test_c81_a_hop_that_says_nothing(mail_network: MailNetwork, rule: Notes) -> None:
    """A hop that takes connections and says nothing holds up its own mails alone."""
    with UnrulyHop() as silent, UnrulyHop() as hop:
        silent.always("greeting", b"<silent>")
        routes = {"far.test": hop.address, "silent.test": silent.address}
        network = mail_network(Domain("a.test"), routes=routes)
        server = network["a.test"]
        for number in range(30):
            server.send(f"r{number}@silent.test", sender=SENDER)
        server.send("x@a.test", sender=SENDER)
        server.send(RECIPIENT, sender=SENDER)
        hop.wait_for_mail()
        assert len(hop.taken) == 1
        assert len(server.messages) == 1
        assert len(silent.conversations) <= 10
    rule.observed("a hop that says nothing: another one's mail goes at once")
