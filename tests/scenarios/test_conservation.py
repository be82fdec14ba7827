"""No mail is lost, none is doubled, on real servers; and when one is, the network says so."""

from __future__ import annotations

import smtplib
from pathlib import Path
from typing import Any

import pytest

from smtp_pair import Domain, Network, NotConserved, Retry
from smtp_pair.acceptance import Acceptance
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.smtp_client import SmtpClient
from smtp_pair.spool import Spool

NOWHERE = "127.0.0.1:9"


def ends(network: Network) -> dict[str, int]:
    """What became of the recipients; how many wait."""
    account = network.assert_conserved()
    sums = {end: count for end, count in account.ends.items() if count}
    return sums | ({"queued": account.queued} if account.queued else {})


def say(network: Network, *commands: str) -> None:
    """A mail with options of its own, to a.test."""
    server = network["a.test"]
    with smtplib.SMTP(server.host, server.port, local_hostname="client.test") as client:
        client.ehlo()
        for command in commands:
            assert client.docmd(command)[0] in (250, 354)
        client.send(b"Subject: Hi\r\n\r\nText.\r\n.\r\n")
        assert client.getreply()[0] == 250


# -- ends --------------------------------------------------------------------------------------------------------------


def test_every_recipient_has_one_end(mail_network: MailNetwork) -> None:
    """Delivered, forwarded, bounced (and the notification delivered), ignored; the sums are right."""
    network = mail_network(
        Domain("a.test", unreachable="ignore"), Domain("b.test", users=["ann"]), routes={"none.test": "."}
    )
    recipients = ["me@a.test", "ann@b.test", "nobody@b.test", "x@nowhere.test"]
    network["a.test"].send(recipients, sender="me@a.test")
    network["a.test"].wait_for_bounce("nobody@b.test")
    # ann is accepted by both servers, and so is nobody's notification by the one that wrote it.
    assert ends(network) == {"delivered": 3, "forwarded": 1, "bounced": 1, "ignored": 1}


def test_aliases_and_several_recipients_to_one_mailbox(mail_network: MailNetwork) -> None:
    """A team has as many recipients as it has members, wherever they are; one who is named twice is one."""
    team = ["me@a.test", "ann@b.test", "bob@b.test"]
    network = mail_network(Domain("a.test", aliases={"team": team}), Domain("b.test", aliases={"bob": ["ann@b.test"]}))
    network["a.test"].send(["team@a.test", "ann@b.test", "ANN@b.test", "me@a.test", "ME@a.test"])
    network.settle()
    assert set(ends(network)) == {"delivered", "forwarded"}
    assert network.assert_conserved().duplicates == ()


@pytest.mark.parametrize(("notify", "end"), [("NEVER", "failed"), ("FAILURE", "bounced"), ("SUCCESS", "failed")])
def test_a_failure_that_nobody_is_told_of(mail_network: MailNetwork, notify: str, end: str) -> None:
    """Its sender wanted not to know: that is an end. Where he wanted to, the end is the notification."""
    network = mail_network(Domain("a.test", unreachable="bounce"))
    say(network, "MAIL FROM:<me@a.test>", f"RCPT TO:<x@nowhere.test> NOTIFY={notify}", "DATA")
    network.settle()
    assert ends(network).get(end) == 1


def test_a_null_sender_is_never_told(mail_network: MailNetwork) -> None:
    """A notification that can't be delivered ends there (C83, C88)."""
    network = mail_network(Domain("a.test", unreachable="bounce"))
    network["a.test"].send("x@nowhere.test", sender="y@nowhere.test")
    network.settle()
    assert ends(network) == {"bounced": 1, "failed": 1}


def test_who_waits_is_queued_until_it_is_dropped(mail_network: MailNetwork) -> None:
    """Tried as often as one likes; dropped on purpose is an end, not a loss."""
    network = mail_network("a.test", routes={"b.test": NOWHERE}, clock="manual")
    server = network["a.test"]
    server.send(["ann@b.test", "bob@b.test"])
    assert ends(network) == {"queued": 2}
    network.clock.advance(hours=3)
    assert server.retry_now() == 2
    assert ends(network) == {"queued": 2}
    assert server.drop(server.queue[0].mail)
    assert ends(network) == {"dropped": 2}


def test_expiry_is_a_bounce(mail_network: MailNetwork) -> None:
    """With all the attempts and the warning before it."""
    network = mail_network("a.test", routes={"b.test": NOWHERE}, clock="manual")
    network["a.test"].send("ann@b.test", sender="me@a.test")
    network.clock.advance(days=6)
    # the mail itself, the warning and the notification of failure
    assert ends(network) == {"bounced": 1, "delivered": 2}


def test_fresh_begins_a_new_account(mail_network: MailNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """And checks the old one."""
    network = mail_network("a.test", routes={"b.test": NOWHERE})
    for _ in range(2):
        with network.fresh():
            network["a.test"].send(["ann@b.test", "me@a.test"])
            assert ends(network) == {"delivered": 1, "queued": 1}
    assert ends(network) == {}
    monkeypatch.setattr(Spool, "release", lambda spool, entry: None)
    with pytest.raises(NotConserved), network.fresh():
        network["a.test"].send("ann@b.test")
    assert [one.client for one in network.transcripts] == ["client 1"]  # to be looked at
    network._conservation.reset()


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_a_restart_loses_nothing(tmp_path: Path, durability: Any) -> None:
    """Neither of the network, whose account goes on, nor of the folder, whose mails are an earlier run's to a new one.
    What was left in a queue is the next run's to account for."""
    with Network("a.test", routes={"b.test": NOWHERE}, directory=tmp_path, durability=durability) as network:
        network["a.test"].send(["ann@b.test", "bob@b.test"])
        network.settle()
        network.stop()
        assert ends(network) == {"queued": 2}
        network.start()
        assert ends(network) == {"queued": 2}
        first = network
    with Network("a.test", "b.test", directory=tmp_path, durability=durability) as network:
        network["b.test"].wait_for(to="ann@b.test")
        network.settle()
        assert ends(network) == {"forwarded": 2, "delivered": 2}
    assert ends(first) == {"queued": 2}


# -- duplicates --------------------------------------------------------------------------------------------------------


def test_a_duplicate_after_a_lost_reply_is_no_fault(mail_network: MailNetwork) -> None:
    """The next hop has the mail, and gets it again: a loss would be worse (C79). It is told."""
    network = mail_network("a.test", "b.test", retry=Retry(0.01))
    network["b.test"].faults.drop("accepted", times=1)
    network["a.test"].send("ann@b.test", subject="Twice")
    network["b.test"].wait_for_all(2, subject="Twice")
    account = network.assert_conserved()
    assert account.ends["delivered"] == 2
    [duplicate] = account.duplicates
    assert duplicate.startswith("<ann@b.test> of 'Twice' from <sender@example.org>, ")
    assert duplicate.endswith("it came to smtp.b.test 2 times, for the reply to it was lost")


def test_the_next_exchanger_gets_it_as_well(mail_network: MailNetwork) -> None:
    """The first one has the mail and could not say so; within the same attempt it goes to the second, which passes it
    on to the first."""
    network = mail_network("a.test", "b.test", "c.test", dns=True)
    for record in ("10 smtp.b.test", "20 smtp.c.test"):
        network.dns.add("b.test", "MX", record)
    network["b.test"].faults.drop("accepted", times=1)
    network["a.test"].send("ann@b.test", subject="Twice")
    network["b.test"].wait_for_all(2, subject="Twice")
    network.settle()
    assert len(network.assert_conserved().duplicates) == 1


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_a_stop_that_comes_before_the_reply(tmp_path: Path, durability: Any) -> None:
    """The next hop has taken the mail, and the server stops before it hears that: after the restart it is sent again,
    which is a duplicate like any other."""
    with Network("a.test", "b.test", directory=tmp_path, durability=durability) as network:
        network["b.test"].faults.stall("accepted")
        network["a.test"].send("ann@b.test", subject="Twice")
        network.settle()
        assert len(network["b.test"].messages) == 1
        network.stop()
        network["b.test"].faults.clear()
        network.start()
        network["b.test"].wait_for_all(2, subject="Twice")
        network.settle()
        assert len(network.assert_conserved().duplicates) == 1


# -- faults of ours, made on purpose -----------------------------------------------------------------------------------


def test_a_mail_that_the_queue_forgets(mail_network: MailNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is lost, and named."""
    network = mail_network("a.test", "b.test")
    monkeypatch.setattr(Spool, "release", lambda spool, entry: None)
    network["a.test"].send(["ann@b.test", "me@a.test"], subject="Forgotten", sender="me@a.test")
    with pytest.raises(NotConserved, match="mail is not conserved") as failure:
        network.assert_conserved()
    assert "lost: <ann@b.test> of 'Forgotten' from <me@a.test>, " in str(failure.value)
    assert "its other recipients: <me@a.test> delivered" in str(failure.value)
    network._conservation.reset()


def test_a_mail_that_is_sent_twice(mail_network: MailNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is doubled, though each server did as it was told."""
    network = mail_network("a.test", "b.test")
    send = SmtpClient.send

    async def twice(client: SmtpClient, *mail: Any) -> Any:
        await send(client, *mail)
        return await send(client, *mail)

    monkeypatch.setattr(SmtpClient, "send", twice)
    network["a.test"].send("ann@b.test")
    with pytest.raises(NotConserved, match="doubled: <ann@b.test>"):
        network.assert_conserved()
    network._conservation.reset()


def test_a_mail_that_only_seems_to_arrive(mail_network: MailNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 250 without a mail: lost between two servers."""
    network = mail_network("a.test", "b.test")
    accept = Acceptance._account_for

    def account_for(acceptance: Acceptance, *mail: Any) -> None:
        if acceptance._hostname != "smtp.b.test":
            accept(acceptance, *mail)

    monkeypatch.setattr(Acceptance, "_account_for", account_for)
    network["a.test"].send("ann@b.test")
    with pytest.raises(NotConserved, match=r"(?s)lost: <ann@b.test>.* and smtp.b.test has not got it"):
        network.assert_conserved()
    network._conservation.reset()


@pytest.mark.parametrize("size", [10, 1 << 20], ids=["small", "big"])
def test_a_mail_that_changes_on_its_way(mail_network: MailNetwork, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """One octet is enough."""
    network = mail_network("a.test", "b.test")
    send = SmtpClient.send

    async def other(client: SmtpClient, envelope: Any, content: bytes) -> Any:
        return await send(client, envelope, content[:-3] + b"y\r\n")

    monkeypatch.setattr(SmtpClient, "send", other)
    network["a.test"].send("ann@b.test", subject="Plans", body=("x" * 70 + "\n") * (size // 70 + 1))
    with pytest.raises(NotConserved, match=r"(?s)changed: <ann@b.test> of 'Plans'.* is not what was sent"):
        network.assert_conserved()
    network._conservation.reset()
