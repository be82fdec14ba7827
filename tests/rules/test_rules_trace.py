"""Trace: Received at each hop, Return-Path at the end, nothing else changed, nothing goes round for ever (C70 to
C75)."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.rules_plugin import Connect, MakeHop, Notes, Way
from harness.wire import Wire, codes
from smtp_pair import Domain, Pair, journal
from smtp_pair.mail.trace import HOP_LIMIT, PASS_LIMIT
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\nReceived: by nobody; once\r\n\r\nHello.\r\n"
RECEIVED = re.compile(
    rb"Received: from (?P<helo>\S+) \(\[(?P<host>[^\]]+)\]\)\r\n\tby (?P<by>\S+) \(smtp-pair\) with (?P<protocol>\S+)"
    rb" id (?P<id>[^\s;]+)(?:\r\n\tfor <(?P<for>[^>]*)>)?; (?P<date>[^\r\n]+)\r\n"
)


def received(raw: bytes, at: int = 0) -> list[re.Match[bytes]]:
    """The Received fields from there on, one right after the other, top first."""
    found: list[re.Match[bytes]] = []
    while match := RECEIVED.match(raw, found[-1].end() if found else at):
        found.append(match)
    return found


def return_paths(raw: bytes) -> list[bytes]:
    header = raw[: raw.find(b"\r\n\r\n") + 2]
    return re.findall(rb"(?im)^return-path:.*\r$", header)


# -- C70, C71 --------------------------------------------------------------------------------------------------------


def test_c70_one_for_each_hop(way: Way, wire: Connect, rule: Notes) -> None:
    """A Received field of each server's own on top of the others: who handed the mail over and from where, to whom,
    how, the id that the client was told, the recipient, the time with its zone."""
    client = wire(way.start)
    client.open(way.recipient)
    before = datetime.now(UTC).replace(microsecond=0)
    reply = rule.reply(client.data(LETTER))
    [mail] = way.mails
    fields = received(mail.raw, mail.raw.index(b"Received:"))[::-1]
    assert [field["by"].decode() for field in fields] == list(dict.fromkeys((way.start.hostname, way.end.hostname)))
    assert (fields[0]["helo"], fields[0]["host"]) == (b"client.example", b"127.0.0.1")
    assert fields[0]["id"].decode() == reply.text.split()[-1]
    assert fields[-1]["id"].decode() == mail.id
    for field in fields:
        assert (field["protocol"], field["for"]) == (b"ESMTP", way.recipient.encode())
        moment = parsedate_to_datetime(field["date"].decode())
        assert moment.utcoffset() == timedelta(0)
        assert before <= moment <= datetime.now(UTC)
    if len(fields) > 1:
        assert fields[1]["helo"].decode() == way.start.hostname
    assert mail.raw.endswith(LETTER)
    rule.observed("Received: from .. by .. with ESMTP id .. for ..; date, a field for each hop")


@pytest.mark.parametrize(
    ("hello", "parameters", "protocol"),
    [
        (b"HELO there.example", "", b"SMTP"),
        (b"EHLO there.example", "", b"ESMTP"),
        (b"EHLO there.example", "SMTPUTF8", b"UTF8SMTP"),
        (b"EHLO [127.0.0.1]", "BODY=8BITMIME", b"ESMTP"),
        (b"EHLO [IPv6:::1]", "", b"ESMTP"),
    ],
)
def test_c70_the_way_it_came(
    mail_pair: Pair, wire: Connect, rule: Notes, hello: bytes, parameters: str, protocol: bytes
) -> None:
    """SMTP after HELO, ESMTP after EHLO, UTF8SMTP with SMTPUTF8 (RFC 6531 4.3), and the name that the client gave."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    assert client.ask(hello).code == 250
    client.open("obiwan@jaku.com", parameters=parameters)
    client.data(LETTER)
    [mail] = mail_pair.jaku.messages
    [field] = received(mail.raw, mail.raw.index(b"Received:"))
    assert (field["helo"], field["protocol"]) == (hello.split()[1], protocol)
    rule.observed(f"with {protocol.decode()}")


@pytest.mark.parametrize(("tls", "auth", "protocol"), [(1, 0, b"ESMTPS"), (0, 1, b"ESMTPA"), (1, 1, b"ESMTPSA")])
def test_c70_encrypted_and_known(
    mail_network: MailNetwork, wire: Connect, rule: Notes, tls: int, auth: int, protocol: bytes
) -> None:
    """An S for TLS, an A for AUTH (RFC 3848)."""
    network = mail_network(Domain("a.test", tls="offered" if tls else "off", auth={"luke": "secret"}))
    client = wire(network["a.test"])
    if tls:
        assert client.ask(b"STARTTLS").code == 220
        client.starttls(network.client_context())
        client.hello()
    if auth:
        assert client.ask(b"AUTH PLAIN " + base64.b64encode(b"\0luke\0secret")).code == 235
    client.open("obiwan@a.test")
    client.data(LETTER)
    [mail] = network["a.test"].messages
    [field] = received(mail.raw, mail.raw.index(b"Received:"))
    assert field["protocol"] == protocol
    rule.observed(f"with {protocol.decode()}")


@pytest.mark.parametrize("helo", [b"a;b", b"x) by evil (y", b"(comment)", b"<>", b"\xc3\xa9", b'"q"'])
def test_c70_a_name_is_no_more_than_a_name(mail_pair: Pair, wire: Connect, rule: Notes, helo: bytes) -> None:
    """What a client calls itself can't add to the field or break it, and the field stays one that is understood."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    if client.ask(b"EHLO " + helo).code != 250:
        rule.observed("or the name is refused")
        assert client.ask(b"EHLO there.example").code == 250
    client.open("obiwan@jaku.com")
    client.data(LETTER)
    [mail] = mail_pair.jaku.messages
    [field] = received(mail.raw, mail.raw.index(b"Received:"))
    assert not set(field["helo"]) & set(b'();<>"\\\t ')
    rule.observed("a name's odd characters are replaced")


@pytest.mark.parametrize("route", ["obiwan@jaku.com leia@jaku.com", "vader@deathstar.com tarkin@deathstar.com"])
def test_c70_for_names_no_one_of_several(mail_pair: Pair, wire: Connect, rule: Notes, route: str) -> None:
    """With two recipients no field says `for`: one would learn of the other, a blind copy."""
    client = wire(mail_pair.jaku)
    client.open(*route.split())
    client.data(LETTER)
    mail_pair.settle()
    [mail] = mail_pair.jaku.messages + mail_pair.deathstar.messages
    fields = received(mail.raw, mail.raw.index(b"Received:"))
    assert fields and [field["for"] for field in fields] == [None] * len(fields)
    rule.observed("no `for` with two recipients")


@pytest.mark.parametrize("sender", ["luke@example.org", "", '"odd one"@example.org'])
def test_c71_one_return_path(way: Way, wire: Connect, rule: Notes, sender: str) -> None:
    """The first line of a delivered mail is its one Return-Path, with the reverse-path of the envelope, `<>` for the
    null one; a hop between adds none."""
    client = wire(way.start)
    client.open(way.recipient, sender=sender)
    client.data(LETTER)
    [mail] = way.mails
    assert mail.raw.startswith(b"Return-Path: <%b>\r\nReceived: " % sender.encode())
    assert len(return_paths(mail.raw)) == 1
    rule.observed("one Return-Path, on top")


def test_c71_no_hop_adds_one(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop) -> None:
    """What is passed on begins with Received."""
    hop = next_hop("PIPELINING")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open("x@far.test")
    client.data(LETTER)
    network.settle()
    [content] = hop.contents
    assert content.startswith(b"Received: ") and b"Return-Path" not in content
    rule.observed("none on the way")


# -- C72, C73 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hops", "expected"), [(98, "250 2.0.0"), (99, "250 2.0.0"), (100, "554 5.4.6"), (500, "554 5.4.6")]
)
@pytest.mark.parametrize("name", [b"Received", b"RECEIVED", b"received"])
def test_c72_hundred_hops(mail_pair: Pair, wire: Connect, rule: Notes, hops: int, expected: str, name: bytes) -> None:
    """A mail that has come through 100 servers is refused after its end, and the session goes on; one of 99 is not.
    Whoever wrote them, and in whatever case. What looks like one in the body does not count."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    field = name + b": from x\r\n\tby y;\r\n received: no field; now\r\n"
    reply = rule.reply(
        client.data(field * hops + b"Subject: x\r\n\r\n" + b"Received: in the body\r\n" * 200), to=f"{hops} hops"
    )
    assert codes(reply) == expected
    assert len(mail_pair.jaku.messages) == (expected[0] == "2")
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250


def test_c72_the_hundredth_hop_is_ours(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A mail of 99 hops is taken, and refused by the next server, which it reaches with 100: its sender is told
    once."""
    client = wire(mail_pair.jaku)
    client.open("vader@deathstar.com", sender="luke@jaku.com")
    assert client.data(b"Received: x\r\n" * (HOP_LIMIT - 1) + b"\r\n").code == 250
    mail_pair.settle()
    assert mail_pair.deathstar.messages == []
    [notification] = mail_pair.jaku.messages
    status = notification.delivery_status
    assert status is not None
    assert [(one.recipient, one.status) for one in status.recipients] == [("vader@deathstar.com", "5.4.6")]
    rule.observed("at the next server: a notification, 5.4.6")


@pytest.mark.parametrize(("passes", "expected"), [(PASS_LIMIT - 1, "250 2.0.0"), (PASS_LIMIT, "554 5.4.6")])
def test_c72_the_same_server_again(mail_pair: Pair, wire: Connect, rule: Notes, passes: int, expected: str) -> None:
    """A server knows its own fields, and refuses a mail that it has seen five times; another server's do not count."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    field = b"Received: from x ([127.0.0.1])\r\n\tby smtp.%b.com (smtp-pair) with ESMTP id x; y\r\n"
    content = field % b"jaku" * passes + field % b"elsewhere" * 20 + b"\r\n" + field % b"jaku" * 20
    assert codes(rule.reply(client.data(content), to=f"seen {passes} times")) == expected


LOOP = {"team@a.test": ["team@b.test"]}, {"team@b.test": ["team@a.test"]}


def test_c73_an_alias_loop(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """team at a is team at b is team at a: the mail goes round until a server has seen it too often, then its sender is
    told, once, and nothing waits anywhere."""
    network = mail_network(Domain("a.test", aliases=LOOP[0]), Domain("b.test", aliases=LOOP[1]))
    client = wire(network["a.test"])
    client.open("team@a.test", sender="luke@a.test")
    assert client.data(LETTER).code == 250
    network.settle()
    [notification] = network["a.test"].messages
    assert network["b.test"].messages == []
    assert notification.delivered_to == ("luke@a.test",)
    assert notification.envelope.sender == ""
    status = notification.delivery_status
    assert status is not None
    [failed] = status.recipients
    assert (failed.action, failed.status) == ("failed", "5.4.6")
    assert [server.queue for server in network] == [[], []]
    taken = [fact for server in network for fact in journal.read(server.directory) if fact.event == "received"]
    assert len(taken) <= 2 * PASS_LIMIT + 2
    rule.observed("ends with one notification, 5.4.6")


def test_c73_a_loop_that_branches(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """With two ways back to where it came from there would be twice as many mails each time: it ends before it fills
    the world."""
    network = mail_network(
        Domain("a.test", aliases={"team@a.test": ["team@b.test", "team@c.test"]}),
        *(Domain(name, aliases={f"team@{name}": ["team@a.test"]}) for name in ("b.test", "c.test")),
    )
    client = wire(network["a.test"])
    client.open("team@a.test", sender="luke@a.test")
    assert client.data(LETTER).code == 250
    network.settle()
    assert all(mail.delivery_status is not None for mail in network["a.test"].messages)
    assert 0 < len(network["a.test"].messages) <= 2**PASS_LIMIT
    assert [server.queue for server in network] == [[], [], []]
    rule.observed("does not fill the world where it branches")


def test_c73_a_loop_of_a_null_sender(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Nobody is told of a mail that has no sender: it ends without a word, in the journal alone."""
    network = mail_network(Domain("a.test", aliases=LOOP[0]), Domain("b.test", aliases=LOOP[1]))
    client = wire(network["a.test"])
    client.open("team@a.test", sender="")
    assert client.data(LETTER).code == 250
    network.settle()
    assert [server.messages for server in network] == [[], []]
    assert [server.queue for server in network] == [[], []]
    failed = [fact for server in network for fact in journal.read(server.directory) if fact.event == "failed"]
    assert [fact.data["reply"][:9] for fact in failed] == ["554 5.4.6"]
    rule.observed("without a sender: ends without a word")


def test_c73_a_loop_with_a_way_out(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Whoever is in such a team besides is not told: he has the mail. Its sender is told once."""
    here, there = LOOP
    network = mail_network(
        Domain("a.test", aliases=here),
        Domain("b.test", aliases={"team@b.test": [*there["team@b.test"], "leia@b.test"]}),
    )
    client = wire(network["a.test"])
    client.open("team@a.test", sender="luke@a.test")
    assert client.data(LETTER).code == 250
    network.settle()
    assert len(network["a.test"].messages) == 1
    assert {mail.delivered_to for mail in network["b.test"].messages} == {("leia@b.test",)}
    assert all(mail.content == LETTER for mail in network["b.test"].messages)
    rule.observed("others in it have the mail")


# -- C74, C75 --------------------------------------------------------------------------------------------------------

ODD = st.lists(
    st.sampled_from(
        [b"X-Odd:\t  two  spaces ", b" folded", b"\t", b".", b"..", b"Received: x", b"\xff\x00\x7f", b"x" * 1500, b""]
    )
    | st.binary(max_size=30).map(lambda octets: octets.replace(b"\r", b"").replace(b"\n", b"")),
    max_size=12,
)


def test_c74_nothing_is_changed(mail_network: MailNetwork, rule: Notes) -> None:
    """Through three servers: below the trace fields every octet is the one that was sent, in header and body."""
    network = mail_network(
        Domain("a.test", aliases={"x@a.test": ["x@b.test"]}),
        Domain("b.test", aliases={"x@b.test": ["x@c.test"]}),
        "c.test",
    )

    @settings(max_examples=30)
    @given(ODD)
    def check(lines: list[bytes]) -> None:
        content = b"".join(line + b"\r\n" for line in lines)
        with network.fresh():
            client = Wire(network["a.test"].host, network["a.test"].port)
            client.reply()
            client.hello()
            client.open("x@a.test", parameters="BODY=8BITMIME")
            assert (
                client.data(b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)).code
                == 250
            )
            client.close()
            network.settle()
            [mail] = network["c.test"].messages
            assert mail.content == content
            head = mail.raw[: len(mail.raw) - len(content)]
            fields = received(head, head.index(b"Received:"))
            assert [field["by"] for field in fields] == [b"smtp.c.test", b"smtp.b.test", b"smtp.a.test"]
            assert head == b"Return-Path: <luke@example.org>\r\n" + b"".join(field[0] for field in fields)

    check()
    rule.observed("three hops: the same octets below the trace fields")


def test_c75_nobody_is_revealed(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """Four recipients, at two servers: no mail names another one than the header did, and no Bcc is added or read."""
    client = wire(mail_pair.jaku)
    names = ["obiwan@jaku.com", "hidden1@jaku.com", "vader@deathstar.com", "hidden2@deathstar.com"]
    client.open(*names)
    content = b"To: obiwan@jaku.com\r\nSubject: x\r\n\r\nx\r\n"
    client.data(content)
    mail_pair.settle()
    mails = mail_pair.jaku.messages + mail_pair.deathstar.messages
    assert sorted(len(mail.delivered_to) for mail in mails) == [2, 2]
    for mail in mails:
        head = mail.raw[: -len(content)]
        assert mail.raw.endswith(content)
        assert not re.search(rb"hidden|vader|bcc", head, re.IGNORECASE)
    rule.observed("no recipient is named")


def test_c75_an_alias_is_not_taken_apart(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Who is behind an alias is not told to those who are."""
    network = mail_network(
        Domain("a.test", aliases={"team@a.test": ["ann@a.test", "bob@b.test", "eve@b.test"]}), "b.test"
    )
    client = wire(network["a.test"])
    client.open("team@a.test")
    client.data(LETTER)
    network.settle()
    for server in network:
        [mail] = server.messages
        head = mail.raw[: -len(LETTER)]
        assert not re.search(rb"ann|bob|eve", head)
    rule.observed("an alias's members are not named")
