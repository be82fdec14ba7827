"""Addresses: what is one, and whose it is (C27, C29 to C36, RFC 5321 4.1.2)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, Notes, Way
from harness.wire import codes
from smtp_pair import Domain, Pair
from smtp_pair.mail.address import NULL_PATH
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def test_c27_unknown_user(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Where users are named, in any case, 550 5.1.1 for others; where none are, every name is a mailbox."""
    network = mail_network(Domain("a.test", users=["obiwan"]), "b.test")
    client = wire(network["a.test"])
    client.open("OBIWAN@a.test", '"obiwan"@A.TEST')
    for name in ("vader", "obiwan.kenobi", "obi", "obiwan+x", '"obiwan "'):
        assert codes(rule.reply(client.ask(f"RCPT TO:<{name}@a.test>".encode()))) == "550 5.1.1"
    wire(network["b.test"]).open("vader@b.test")


@pytest.mark.parametrize(
    "name",
    [
        "vader%deathstar.com",
        "deathstar.com!vader",
        "/etc/passwd",
        "|/bin/cat",
        "|cat",
        "a!b%c",
        '"../../../etc/passwd"',
        "~root",
        "`id`",
        "$HOME",
        '"vader@deathstar.com"',
        '"@deathstar.com:vader"',
        '"vader@deathstar.com,"',
        '"|sh -c x"',
        '"a/b"',
    ],
)
def test_c29_plain_characters(mail_pair: Pair, wire: Connect, rule: Notes, name: str) -> None:
    """They are the name of a mailbox here: mail for it goes nowhere else, and never out of the server's folder."""
    client = wire(mail_pair.jaku)
    client.open()
    assert rule.reply(client.ask(f"RCPT TO:<{name}@jaku.com>".encode())).code == 250
    client.data(LETTER)
    mail_pair.settle()
    [mail] = mail_pair.jaku.messages
    assert mail.envelope.recipients[0].local == name.strip('"')
    folders = list((mail_pair.jaku.directory / "maildir").iterdir())
    assert mail.path.resolve().parent.parent == folders[0].resolve() and len(folders) == 1
    assert mail_pair.deathstar.messages == []


@pytest.mark.parametrize("route", ["@deathstar.com:", "@deathstar.com,@b.test:", "@[192.0.2.1]:"])
def test_c30_source_route_is_stripped(mail_pair: Pair, wire: Connect, rule: Notes, route: str) -> None:
    """It is taken and dropped: the mail goes where the address itself says, and the route is in no envelope."""
    client = wire(mail_pair.jaku)
    client.open(sender=f"{route}luke@example.org")
    assert rule.reply(client.ask(f"RCPT TO:<{route}obiwan@jaku.com>".encode())).code == 250
    client.data(LETTER)
    mail_pair.settle()
    [mail] = mail_pair.jaku.messages
    assert (mail.envelope.sender, mail.envelope.recipients) == ("luke@example.org", ["obiwan@jaku.com"])
    assert mail_pair.deathstar.messages == []


@pytest.mark.parametrize("route", ["@jaku.com:", "@jaku.com,@b.test:"])
def test_c30_source_route_opens_no_relay(mail_pair: Pair, wire: Connect, rule: Notes, route: str) -> None:
    """A way through this server leads to a domain without a route no more than none does."""
    client = wire(mail_pair.jaku)
    client.open()
    refused = client.ask(f"RCPT TO:<{route}paimon@genshinimpact.com>".encode())
    assert codes(rule.reply(refused, to="to nowhere")) == "550 5.1.2"


def test_c31_case(way: Way, wire: Connect, rule: Notes) -> None:
    """A domain in any case is the same; the name before it keeps its own on the way, and is one mailbox."""
    name, domain = way.recipient.split("@")
    client = wire(way.start)
    client.open(sender="LuKe@EXAMPLE.org")
    for recipient in (f"{name.title()}@{domain.upper()}", f"{name.upper()}@{domain.title()}"):
        assert rule.reply(client.ask(f"RCPT TO:<{recipient}>".encode())).code == 250
    client.data(LETTER)
    [mail] = way.mails
    assert [address.local for address in mail.envelope.recipients] == [name.title(), name.upper()]
    assert mail.envelope.sender.local == "LuKe"
    assert [folder.name for folder in (way.end.directory / "maildir").iterdir()] == [name]


@pytest.mark.parametrize("quoted", ['"obiwan"', '"obi\\wan"', '"\\o\\b\\i\\w\\a\\n"', "ObiWan"])
def test_c32_quotes_are_not_part_of_a_name(mail_pair: Pair, wire: Connect, rule: Notes, quoted: str) -> None:
    """Quoted, with and without pairs, it is the same mailbox."""
    client = wire(mail_pair.jaku)
    client.open()
    assert rule.reply(client.ask(f"RCPT TO:<{quoted}@jaku.com>".encode())).code == 250
    client.data(LETTER)
    [mail] = mail_pair.jaku.messages
    assert mail.envelope.recipients[0].mailbox == "obiwan"
    assert (mail_pair.jaku.directory / "maildir" / "obiwan").is_dir()


@pytest.mark.parametrize("name", ['"obi wan"', '"a\\"b"', '"a\\\\b"', '"a>b"', '"<>"', '"a@b"', '""', '" "', '"a..b"'])
def test_c32_what_needs_quotes(mail_pair: Pair, wire: Connect, rule: Notes, name: str) -> None:
    """Spaces, quotes, backslashes, brackets, dots anywhere: a name like any other, also a hop away."""
    client = wire(mail_pair.jaku)
    client.open(sender=f"{name}@example.org")
    for domain in ("jaku.com", "deathstar.com"):
        assert rule.reply(client.ask(f"RCPT TO:<{name}@{domain}>".encode())).code == 250
    client.data(LETTER)
    mail_pair.settle()
    for server in mail_pair:
        [mail] = server.messages
        assert mail.delivered_to == (f"{name}@{server.domain}",)
        assert mail.envelope.sender == f"{name}@example.org"


@pytest.mark.parametrize("literal", ["[127.0.0.1]", "[IPv6:::1]", "[ipv6:0:0:0:0:0:0:0:1]", "[IPv6:::0001]"])
def test_c33_own_literals(mail_pair: Pair, wire: Connect, rule: Notes, literal: str) -> None:
    """The loopback addresses are this host."""
    client = wire(mail_pair.jaku)
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<obiwan@{literal}>".encode()), to="its own")) == "250 2.1.5"
    client.data(LETTER)
    assert [mail.delivered_to for mail in mail_pair.jaku.messages] == [(f"obiwan@{literal}",)]


@pytest.mark.parametrize("literal", ["[192.0.2.1]", "[127.0.0.2]", "[IPv6:2001:db8::1]", "[IPv6:::ffff:127.0.0.1]"])
def test_c33_foreign_literals(mail_pair: Pair, wire: Connect, rule: Notes, literal: str) -> None:
    """Mail for them is refused, 550 5.1.2: nobody makes this server connect to an address of theirs."""
    client = wire(mail_pair.jaku)
    client.open(sender=f"luke@{literal}")
    assert codes(rule.reply(client.ask(f"RCPT TO:<obiwan@{literal}>".encode()), to="another's")) == "550 5.1.2"


@pytest.mark.parametrize(
    "address", ["postmaster", "Postmaster", '"postmaster"', "POSTMASTER@a.test", "postmaster@smtp.a.test"]
)
def test_c34_postmaster(mail_network: MailNetwork, wire: Connect, rule: Notes, address: str) -> None:
    """postmaster exists without being named among the users, in any case, with and without the domain."""
    server = mail_network(Domain("a.test", users=["obiwan"]))["a.test"]
    client = wire(server)
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{address}>".encode()))) == "250 2.1.5"
    client.data(LETTER)
    assert [mail.delivered_to[0].mailbox for mail in server.messages] == ["postmaster"]


def test_c35_null_path_receives_nothing(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """RCPT TO:<> is 501 5.1.3, and no recipient."""
    client = wire(mail_pair.jaku)
    client.open()
    assert codes(rule.reply(client.ask(b"RCPT TO:<>"))) == "501 5.1.3"
    assert client.ask(b"DATA").code == 503


def test_c36_null_path_sends(way: Way, wire: Connect, rule: Notes) -> None:
    """MAIL FROM:<> is taken; the sender is the null path, on every hop, and Return-Path: <> says so."""
    client = wire(way.start)
    assert codes(rule.reply(client.ask(b"MAIL FROM:<>"))) == "250 2.1.0"
    client.ask(f"RCPT TO:<{way.recipient}>".encode())
    client.data(LETTER)
    [mail] = way.mails
    assert mail.envelope.sender == NULL_PATH == ""
    assert mail.raw.startswith(b"Return-Path: <>\r\n")
