"""Addresses beyond ASCII (C63 to C66, RFC 6531)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, MakeHop, Notes, Way
from harness.wire import codes
from smtp_pair import Domain, Pair, Server, journal
from smtp_pair.pytest_plugin import MailNetwork

ASCII = b"Subject: Hello\r\n\r\nHello.\r\n"
UTF8_HEADER = "Subject: Grüße\r\n\r\nHello.\r\n".encode()
UTF8_BODY = "Subject: Hello\r\n\r\nGrüße.\r\n".encode()
ADDRESSES = [
    "léia@jaku.com",
    "leia@jakü.com",
    "莱娅@jaku.com",
    '"lé ia"@jaku.com',
    "leia@例え.テスト",
    "\U0001f600@jaku.com",
]


def fates(server: Server) -> list[tuple[str, str, str]]:
    """What the journal says became of recipients at the next hop: event, recipient, codes of the reply."""
    facts = [fact for fact in journal.read(server.directory) if fact.event in ("forwarded", "deferred", "failed")]
    return [(fact.event, fact.data["recipient"], " ".join(fact.data["reply"].split()[:2])) for fact in facts]


@pytest.mark.parametrize("address", ADDRESSES)
def test_c63_without_smtputf8(mail_pair: Pair, wire: Connect, rule: Notes, address: str) -> None:
    """550 5.6.7 to MAIL, 553 5.6.7 to RCPT; with the parameter the sender is taken."""
    client = wire(mail_pair.jaku)
    for parameters in ("", " BODY=8BITMIME", " SIZE=1 RET=FULL"):
        answer = client.ask(f"MAIL FROM:<{address}>{parameters}".encode())
        assert codes(rule.reply(answer, to="MAIL")) == "550 5.6.7"
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{address}>".encode()), to="RCPT")) == "553 5.6.7"
    client.ask(b"RSET")
    assert client.ask(f"MAIL FROM:<{address}> SMTPUTF8".encode()).code == 250


def test_c63_with_smtputf8(way: Way, wire: Connect, rule: Notes) -> None:
    """With the parameter both may be beyond ASCII, and they arrive as they were written."""
    name, domain = way.recipient.split("@")
    client = wire(way.start)
    recipient = f"{name}-星-é@{domain}"
    client.open(sender="lüke@bücher.test", parameters="SMTPUTF8")
    assert codes(rule.reply(client.ask(f"RCPT TO:<{recipient}>".encode()), to="RCPT with SMTPUTF8")) == "250 2.1.5"
    client.data(ASCII)
    [mail] = way.mails
    assert (mail.envelope.sender, mail.envelope.recipients) == ("lüke@bücher.test", [recipient])
    assert mail.raw.startswith("Return-Path: <lüke@bücher.test>\r\n".encode())


@pytest.mark.parametrize("value", ["SMTPUTF8=", "SMTPUTF8=1", "SMTPUTF8 SMTPUTF8", "XSMTPUTF8", "ENVID=SMTPUTF8"])
def test_c63_the_parameter_itself(mail_pair: Pair, wire: Connect, rule: Notes, value: str) -> None:
    """It has no value and is given once (RFC 6531 3.4); what only looks like it is not it."""
    client = wire(mail_pair.jaku)
    answer = client.ask(f"MAIL FROM:<léia@jaku.com> {value}".encode())
    assert codes(answer) in ("501 5.5.4", "555 5.5.4", "550 5.6.7")
    rule.reply(answer, to="MAIL, no such parameter") if answer.code == 555 else rule.reply(answer, to="MAIL")


def test_c63_after_helo(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """HELO offers nothing, so there is no SMTPUTF8."""
    client = wire(mail_pair.jaku)
    client.ask(b"HELO client.example")
    answer = client.ask("MAIL FROM:<léia@jaku.com> SMTPUTF8".encode())
    assert codes(rule.reply(answer, to="MAIL after HELO")) == "555 5.5.4"


@pytest.mark.parametrize(
    "offers",
    [
        pytest.param(["PIPELINING", "8BITMIME"], id="8bitmime"),
        pytest.param(["PIPELINING"], id="old"),
        pytest.param([], id="oldest"),
    ],
)
@pytest.mark.parametrize(
    ("sender", "recipient", "content"),
    [
        ("luke@a.test", "é@far.test", ASCII),
        ("lüke@a.test", "x@far.test", ASCII),
        ("luke@a.test", "x@far.test", UTF8_HEADER),
        ("", "é@far.test", ASCII),
    ],
    ids=["recipient", "sender", "header", "null_sender"],
)
def test_c64_next_hop_lacks_smtputf8(
    mail_network: MailNetwork,
    wire: Connect,
    rule: Notes,
    next_hop: MakeHop,
    offers: list[str],
    sender: str,
    recipient: str,
    content: bytes,
) -> None:
    """Mail with an address or a header beyond ASCII is taken, and fails with 5.6.7, which the journal says; the hop is
    told nothing of it, whatever else it lacks."""
    hop = next_hop(*offers)
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open(recipient, sender=sender, parameters="SMTPUTF8")
    assert client.data(content).code == 250
    network.settle()
    assert fates(network["a.test"]) == [("failed", recipient, "553 5.6.7")]
    assert (hop.said(b"MAIL"), hop.contents) == ([], [])
    rule.observed("failed: 553 5.6.7")


@pytest.mark.parametrize("content", [ASCII, UTF8_BODY], ids=["ascii", "body"])
def test_c64_what_needs_no_smtputf8(
    mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, content: bytes
) -> None:
    """Mail that was announced as internationalised and has nothing of it in its addresses and its header goes to such
    a hop without the parameter."""
    hop = next_hop("8BITMIME")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open("x@far.test", parameters="SMTPUTF8")
    client.data(content)
    network.settle()
    assert [event for event, _, _ in fates(network["a.test"])] == ["forwarded"]
    assert b"SMTPUTF8" not in hop.said(b"MAIL")[0]
    assert hop.contents[0].endswith(content + b".\r\n")
    rule.observed("forwarded where nothing needs it")


def test_c64_next_hop_with_smtputf8(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop) -> None:
    """A hop that offers it is told SMTPUTF8, and the addresses as they are."""
    hop = next_hop("SMTPUTF8", "8BITMIME")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open("é@far.test", sender="lüke@a.test", parameters="SMTPUTF8")
    client.data(UTF8_HEADER)
    network.settle()
    assert hop.said(b"MAIL")[0].startswith("MAIL FROM:<lüke@a.test>".encode())
    assert b" SMTPUTF8" in hop.said(b"MAIL")[0]
    assert hop.said(b"RCPT") == ["RCPT TO:<é@far.test>\r\n".encode()]
    assert hop.contents[0].endswith(UTF8_HEADER + b".\r\n")
    rule.observed("forwarded where it is offered")


@pytest.mark.parametrize(
    "octets",
    [
        b"\xff",
        b"\xe9",
        b"\x80",
        b"\xc3",
        b"\xc0\xae",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
    ],
    ids=["ff", "latin_1", "tail", "cut", "overlong_dot", "overlong_slash", "surrogate", "too_high", "five"],
)
@pytest.mark.parametrize(
    "address", [b"l%bia@jaku.com", b"leia@jak%b.com", b'"l%b"@jaku.com'], ids=["name", "domain", "quoted"]
)
def test_c65_invalid_utf8(mail_pair: Pair, wire: Connect, rule: Notes, address: bytes, octets: bytes) -> None:
    """501 to MAIL and to RCPT, with and without SMTPUTF8."""
    client = wire(mail_pair.jaku)
    written = address % octets
    for parameters in (b"", b" SMTPUTF8"):
        answer = client.ask(b"MAIL FROM:<%b>%b" % (written, parameters))
        assert codes(rule.reply(answer, to="MAIL")) == "501 5.5.2"
    for announced in ("", "SMTPUTF8"):
        client.open(parameters=announced)
        assert codes(rule.reply(client.ask(b"RCPT TO:<%b>" % written), to="RCPT")) == "501 5.5.2"
        client.ask(b"RSET")


SPELLINGS = [
    "bücher.test",
    "BÜCHER.TEST",
    "xn--bcher-kva.test",
    "XN--Bcher-KVA.test",
    "bu\u0308cher.test",
    "bücher\uff0etest",
]


@pytest.mark.parametrize("written", ["bücher.test", "xn--bcher-kva.test", "BÜCHER.test"])
def test_c66_a_domain_of_ours(mail_network: MailNetwork, wire: Connect, rule: Notes, written: str) -> None:
    """However the domain is written in the configuration and in the address, it is the server's own."""
    server = mail_network(Domain(written, hostname="smtp.a.test"))[written]
    client = wire(server)
    client.open(parameters="SMTPUTF8")
    for domain in SPELLINGS:
        assert codes(rule.reply(client.ask(f"RCPT TO:<x@{domain}>".encode()))) == "250 2.1.5"
    client.data(ASCII)
    [mail] = server.messages
    assert len(mail.envelope.recipients) == len(SPELLINGS)
    assert len(mail.delivered_to) == 1, "it is one mailbox"


@pytest.mark.parametrize("written", ["bücher.test", "xn--bcher-kva.test"])
def test_c66_a_route(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, written: str) -> None:
    """A route in U-labels is one in A-labels; A-labels need no SMTPUTF8, here and at the next hop."""
    hop = next_hop("SMTPUTF8", "8BITMIME")
    network = mail_network("a.test", routes={written: hop.address})
    client = wire(network["a.test"])
    client.open(parameters="SMTPUTF8")
    for domain in SPELLINGS:
        assert codes(rule.reply(client.ask(f"RCPT TO:<x@{domain}>".encode()))) == "250 2.1.5"
    assert client.ask(b"RCPT TO:<x@xn--bcher-xyz.test>").code == 550
    client.ask(b"RSET")
    client.open("x@xn--bcher-kva.test")
    client.data(ASCII)
    network.settle()
    assert hop.said(b"RCPT") == [b"RCPT TO:<x@xn--bcher-kva.test>\r\n"]
    assert b"SMTPUTF8" not in hop.said(b"MAIL")[0]
