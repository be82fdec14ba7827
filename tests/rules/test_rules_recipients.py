"""Recipients and relaying: who is served, who may relay, where nothing leads (C28, C37, C40 to C42)."""

from __future__ import annotations

import base64
from collections import Counter

import pytest

from harness.rules_plugin import Connect, MakeHop, Notes
from harness.wire import Wire, codes
from smtp_pair import Domain, Pair, Server, journal
from smtp_pair.config import Limits
from smtp_pair.mail.address import NULL_PATH
from smtp_pair.mail.reply import Reply
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def rcpt(client: Wire, recipient: str) -> Reply:
    return client.ask(f"RCPT TO:<{recipient}>".encode())


def outcomes(server: Server) -> dict[str, str]:
    """What the journal says became of each recipient of the server's mails."""
    facts = [fact for fact in journal.read(server.directory) if fact.event == "received"]
    return {each["address"]: each["outcome"] for fact in facts for each in fact.data["recipients"]}


def test_c28_only_those_who_are_known_relay(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Where there are passwords, a stranger's mail for a domain that is routed is 550 5.7.1, whatever the way the
    address is written; mail for the server's own domain is taken. After AUTH both are."""
    network = mail_network(Domain("a.test", auth={"luke": "secret"}), "b.test")
    client = wire(network["a.test"])
    client.open("obiwan@a.test", "postmaster", sender="luke@a.test")
    for recipient in ("vader@b.test", "vader@B.TEST", "vader@smtp.b.test", "@a.test:vader@b.test", '"vader"@b.test'):
        assert codes(rule.reply(rcpt(client, recipient))) == "550 5.7.1"
    client.ask(b"RSET")
    assert client.ask(b"AUTH PLAIN " + base64.b64encode(b"\0luke\0secret")).code == 235
    client.open("obiwan@a.test")
    assert codes(rule.reply(rcpt(client, "vader@b.test"), to="after AUTH")) == "250 2.1.5"
    client.data(LETTER)
    network.settle()
    assert len(network["b.test"].messages) == 1


def test_c28_a_stranger_learns_nothing_of_routes(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """A domain that nothing leads to is 550 5.1.2 (C42) for a stranger too."""
    client = wire(mail_network(Domain("a.test", auth={"luke": "secret"}))["a.test"])
    client.open()
    assert codes(rule.reply(rcpt(client, "vader@nowhere.test"), to="no route")) == "550 5.1.2"


@pytest.mark.parametrize("count", [100, 1000])
def test_c37_hundred_recipients(mail_pair: Pair, wire: Connect, rule: Notes, count: int) -> None:
    """100 recipients and more are taken, here and a hop away; each has the mail once."""
    client = wire(mail_pair.jaku)
    client.open()
    recipients = [f"r{number}@{'jaku.com' if number % 2 else 'deathstar.com'}" for number in range(count)]
    client.say("".join(f"RCPT TO:<{recipient}>\r\n" for recipient in recipients).encode())
    assert {codes(rule.reply(answer)) for answer in client.replies(count)} == {"250 2.1.5"}
    assert client.data(LETTER).code == 250
    mail_pair.settle()
    for server in mail_pair:
        [mail] = server.messages
        expected = [recipient for recipient in recipients if recipient.endswith(server.domain)]
        assert list(mail.delivered_to) == expected
        assert len(list((server.directory / "maildir").iterdir())) == len(expected)


def test_c37_past_the_limit(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """452 4.5.3 to the first recipient too many, and to each after it; those before it have their mail, and the next
    transaction begins at none."""
    server = mail_network(Domain("a.test", limits=Limits(recipients=3)))["a.test"]
    client = wire(server)
    for _ in range(2):
        client.open(*(f"r{number}@a.test" for number in range(3)))
        for number in range(3, 6):
            assert codes(rule.reply(rcpt(client, f"r{number}@a.test"), to="past the limit")) == "452 4.5.3"
        assert client.data(LETTER).code == 250
    assert [mail.delivered_to for mail in server.messages] == [("r0@a.test", "r1@a.test", "r2@a.test")] * 2


def test_c37_refused_ones_do_not_count(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """The limit is of recipients that were taken."""
    client = wire(mail_network(Domain("a.test", users=["obiwan"], limits=Limits(recipients=1)))["a.test"])
    client.open()
    assert [rcpt(client, f"r{number}@a.test").code for number in range(3)] == [550] * 3
    assert rule.reply(rcpt(client, "obiwan@a.test")).code == 250


def test_c40_each_its_own_reply(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop) -> None:
    """Recipients of all kinds in one transaction, pipelined: each has its own reply, in its place; those that were
    taken have the mail, once for each domain."""
    far = next_hop("PIPELINING")
    network = mail_network(
        Domain("a.test", users=["obiwan", "leia"]), "b.test", routes={"far.test": far.address, "null.test": "."}
    )
    expected = {
        "vader@b.test": "250 2.1.5",
        "luke@a.test": "550 5.1.1",
        "obiwan@a.test": "250 2.1.5",
        "one@far.test": "250 2.1.5",
        "paimon@nowhere.test": "550 5.1.2",
        "a@b@c.test": "501 5.1.3",
        "x@null.test": "556 5.1.10",
        "leia@A.TEST": "250 2.1.5",
        "tarkin@b.test": "250 2.1.5",
        "two@far.test": "250 2.1.5",
    }
    client = wire(network["a.test"])
    client.open()
    client.say("".join(f"RCPT TO:<{recipient}>\r\n" for recipient in expected).encode())
    answers = client.replies(len(expected))
    assert [codes(rule.reply(answer)) for answer in answers] == list(expected.values())
    assert client.data(LETTER).code == 250
    network.settle()
    assert [mail.delivered_to for mail in network["a.test"].messages] == [("obiwan@a.test", "leia@A.TEST")]
    assert [mail.delivered_to for mail in network["b.test"].messages] == [("vader@b.test", "tarkin@b.test")]
    assert Counter(line[:4] for line in far.commands) == {b"EHLO": 1, b"MAIL": 1, b"RCPT": 2, b"DATA": 1}
    assert len(far.contents) == 1


def test_c40_named_twice(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A recipient that is named twice is answered twice, and its mailbox has one copy."""
    client = wire(mail_pair.jaku)
    client.open()
    for recipient in ("obiwan@jaku.com", "obiwan@jaku.com", "ObiWan@JAKU.com"):
        assert codes(rule.reply(rcpt(client, recipient))) == "250 2.1.5"
    client.data(LETTER)
    assert len(list((mail_pair.jaku.directory / "maildir" / "obiwan" / "new").iterdir())) == 1


@pytest.mark.parametrize("recipient", ["x@null.test", "x@NULL.test", "postmaster@null.test", "@a.test:x@null.test"])
def test_c41_null_mx(mail_network: MailNetwork, wire: Connect, rule: Notes, recipient: str) -> None:
    """556 5.1.10, also where mail without a route would be taken; a subdomain is another domain."""
    network = mail_network("a.test", Domain("b.test", unreachable="ignore"), routes={"null.test": "."})
    for server in network:
        client = wire(server)
        client.open()
        assert codes(rule.reply(rcpt(client, recipient))) == "556 5.1.10"
        assert client.ask(b"DATA").code == 503
        assert rcpt(client, "x@sub.null.test").code == (550 if server.domain == "a.test" else 250)


def test_c42_no_route_is_refused(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """550 5.1.2 at RCPT, and the others are served."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    for domain in ("genshinimpact.com", "sub.jaku.com", "jaku.com.test", "com", "xn--nxasmq6b.test"):
        assert codes(rule.reply(rcpt(client, f"paimon@{domain}"), to="RCPT")) == "550 5.1.2"
    client.data(LETTER)
    assert outcomes(mail_pair.jaku) == {"obiwan@jaku.com": "delivered"}


def test_c42_no_route_is_ignored(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """With unreachable="ignore" the mail is taken, recorded, and lies and goes nowhere."""
    network = mail_network(Domain("a.test", unreachable="ignore"), "b.test")
    server = network["a.test"]
    client = wire(server)
    client.open()
    assert codes(rule.reply(rcpt(client, "paimon@nowhere.test"), to='RCPT with unreachable = "ignore"')) == "250 2.1.5"
    assert client.data(LETTER).code == 250
    network.settle()
    assert outcomes(server) == {"paimon@nowhere.test": "ignored"}
    assert server.messages == network["b.test"].messages == []
    assert {path.name for path in server.directory.rglob("*") if path.is_file()} == {"journal.jsonl", "ServerMSG.txt"}


def test_c42_no_route_is_bounced(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """With unreachable="bounce" the mail is taken, and its sender is told, from the null path, with 5.1.2."""
    network = mail_network(Domain("a.test", unreachable="bounce"))
    server = network["a.test"]
    client = wire(server)
    client.open(sender="luke@a.test")
    assert codes(rule.reply(rcpt(client, "paimon@nowhere.test"), to='RCPT with unreachable = "bounce"')) == "250 2.1.5"
    assert client.data(LETTER).code == 250
    network.settle()
    [mail] = server.messages
    assert (mail.envelope.sender, mail.envelope.recipients) == (NULL_PATH, ["luke@a.test"])
    assert b"\nStatus: 5.1.2\r\n" in mail.content
