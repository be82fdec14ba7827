"""Octets above 127: kept, announced, and never sent to a next hop that takes none (C60 to C62, RFC 6152)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, MakeHop, Notes, Way
from harness.wire import codes
from smtp_pair import Pair, Server, journal
from smtp_pair.pytest_plugin import MailNetwork

ASCII = b"Subject: Hello\r\n\r\nHello.\r\n"
EIGHT_BIT = b"Subject: Hello\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe \xff\xfe\x80.\r\n"


def failures(server: Server) -> list[tuple[str, str]]:
    """What the journal says of recipients that failed for good: each with the codes of its reply."""
    facts = [fact for fact in journal.read(server.directory) if fact.event == "failed"]
    return [(fact.data["recipient"], " ".join(fact.data["reply"].split()[:2])) for fact in facts]


@pytest.mark.parametrize("parameters", ["BODY=8BITMIME", "BODY=7BIT", "body=8bitmime", ""])
def test_c60_octets_are_kept(way: Way, wire: Connect, rule: Notes, parameters: str) -> None:
    """BODY is taken, and 8-bit octets arrive whatever it said."""
    client = wire(way.start)
    assert rule.reply(client.ask(f"MAIL FROM:<luke@example.org> {parameters}".encode()), to="MAIL").code == 250
    client.ask(f"RCPT TO:<{way.recipient}>".encode())
    client.data(EIGHT_BIT)
    assert [mail.content for mail in way.mails] == [EIGHT_BIT]


@pytest.mark.parametrize("value", ["=8BIT", "=BINARYMIME", "=", "", "=8BITMIME BODY=7BIT"])
def test_c60_other_bodies(mail_pair: Pair, wire: Connect, rule: Notes, value: str) -> None:
    """BODY says 7BIT or 8BITMIME, once: all else is 501 5.5.4 (BINARYMIME is not offered)."""
    answer = wire(mail_pair.jaku).ask(f"MAIL FROM:<luke@example.org> BODY{value}".encode())
    assert codes(rule.reply(answer, to="MAIL with another BODY")) == "501 5.5.4"


@pytest.mark.parametrize(
    ("content", "parameters", "announced"),
    [
        (EIGHT_BIT, "", True),
        (EIGHT_BIT, "BODY=7BIT", True),
        (EIGHT_BIT, "BODY=8BITMIME", True),
        (ASCII, "BODY=8BITMIME", True),
        (ASCII, "", False),
    ],
)
def test_c60_the_next_hop_is_told(
    mail_network: MailNetwork,
    wire: Connect,
    rule: Notes,
    next_hop: MakeHop,
    content: bytes,
    parameters: str,
    announced: bool,
) -> None:
    """8-bit mail goes on with BODY=8BITMIME, whatever the client said of it."""
    hop = next_hop("8BITMIME")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open("x@far.test", parameters=parameters)
    rule.reply(client.data(content), to="mail")
    network.settle()
    assert hop.contents[0].endswith(content + b".\r\n")
    assert (b"BODY=8BITMIME" in hop.said(b"MAIL")[0]) == announced


@pytest.mark.parametrize("parameters", ["", "BODY=8BITMIME"])
def test_c61_next_hop_takes_no_8_bit(
    mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, parameters: str
) -> None:
    """The mail is taken, and fails with 5.6.3, which the journal says; the hop is told nothing of it. A mail that is
    ASCII goes there, without BODY."""
    hop = next_hop("PIPELINING", "SIZE")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open("x@far.test", "y@far.test", sender="luke@a.test", parameters=parameters)
    assert client.data(EIGHT_BIT).code == 250
    network.settle()
    assert failures(network["a.test"]) == [("x@far.test", "554 5.6.3"), ("y@far.test", "554 5.6.3")]
    assert (hop.said(b"MAIL"), hop.contents) == ([], [])
    client.open("x@far.test", parameters=parameters)
    client.data(ASCII)
    network.settle()
    assert b"BODY" not in hop.said(b"MAIL")[0]
    assert hop.contents[0].endswith(ASCII + b".\r\n")
    rule.observed("failed: 554 5.6.3")


def test_c61_our_own_field_is_ascii(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop) -> None:
    """A client that calls itself something beyond ASCII does not make an 8-bit mail of a 7-bit one: the Received field
    names it in ASCII."""
    hop = next_hop()
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.hello("rechner-müller".encode())
    client.open("x@far.test")
    client.data(ASCII)
    network.settle()
    assert hop.contents[0].isascii()
    assert failures(network["a.test"]) == []
    rule.observed("forwarded where it is ASCII")


@pytest.mark.parametrize("parameters", ["SMTPUTF8", "SMTPUTF8 BODY=8BITMIME", "SMTPUTF8 BODY=7BIT"])
def test_c62_smtputf8_implies_8bitmime(way: Way, wire: Connect, rule: Notes, parameters: str) -> None:
    """Both are offered; with SMTPUTF8 the header and the body may be UTF-8, whatever BODY says."""
    content = "Subject: Grüße, 星\r\nX-Ünder: ä\r\n\r\nGrüße.\r\n".encode()
    client = wire(way.start)
    assert {"SMTPUTF8", "8BITMIME"} <= set(client.hello().text.split("\n"))
    client.open(way.recipient, parameters=parameters)
    assert codes(rule.reply(client.data(content))) == "250 2.0.0"
    [mail] = way.mails
    assert mail.content == content
    assert mail.subject == "Grüße, 星"
    assert b"with UTF8SMTP id" in mail.raw
