"""Addresses: what is one, and whose it is (C27, C29 to C36, C38, C39, RFC 5321 4.1.2)."""

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


@pytest.mark.parametrize(
    "address",
    [
        "vader@deathstar.com@jaku.com",
        "a@b@c@jaku.com",
        "@jaku.com",
        "@@jaku.com",
        '"a"b@jaku.com',
        'a"b"@jaku.com',
        "a b@jaku.com",
        ".a@jaku.com",
        "a.@jaku.com",
        "a..b@jaku.com",
        '"a@jaku.com',
        "a(b)@jaku.com",
        "a,b@jaku.com",
    ],
)
def test_c29_two_ats_and_other_mistakes(mail_pair: Pair, wire: Connect, rule: Notes, address: str) -> None:
    """501 5.1.3 to RCPT, 501 5.1.7 to MAIL."""
    client = wire(mail_pair.jaku)
    assert codes(rule.reply(client.ask(f"MAIL FROM:<{address}>".encode()), to="MAIL, malformed")) == "501 5.1.7"
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{address}>".encode()), to="malformed")) == "501 5.1.3"


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


@pytest.mark.parametrize("route", ["@:", "jaku.com:", "@a..b:", "@a.test,b.test:", "@a.test,:", "@a.test"])
def test_c30_what_is_no_source_route(mail_pair: Pair, wire: Connect, rule: Notes, route: str) -> None:
    """501 5.1.3."""
    client = wire(mail_pair.jaku)
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{route}obiwan@jaku.com>".encode()), to="malformed")) == "501 5.1.3"


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
    "literal",
    [
        "[]",
        "[1.2.3]",
        "[1.2.3.256]",
        "[127.0.0.1",
        "127.0.0.1]",
        "[::1]",
        "[IPv6:]",
        "[IPv6:::1::]",
        "[x:y]",
        "[ 127.0.0.1]",
        "[127.0.0.1]x",
        "[127.0.0.1].test",
        "[IPv6:127.0.0.1]",
        "[[127.0.0.1]]",
        "[\u0661.0.0.1]",
    ],
)
def test_c33_what_is_no_literal(mail_pair: Pair, wire: Connect, rule: Notes, literal: str) -> None:
    """501 5.1.3 to RCPT, 501 5.1.7 to MAIL."""
    client = wire(mail_pair.jaku)
    sender = client.ask(f"MAIL FROM:<luke@{literal}> SMTPUTF8".encode())
    assert codes(rule.reply(sender, to="MAIL, malformed")) == "501 5.1.7"
    client.open(parameters="SMTPUTF8")
    assert codes(rule.reply(client.ask(f"RCPT TO:<obiwan@{literal}>".encode()), to="malformed")) == "501 5.1.3"


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


@pytest.mark.parametrize("address", ["obiwan", '"obiwan"', "postmaster@", "root"])
def test_c34_nobody_else_lacks_a_domain(mail_pair: Pair, wire: Connect, rule: Notes, address: str) -> None:
    """501 5.1.3: only postmaster needs none; as a sender nobody does without (501 5.1.7)."""
    client = wire(mail_pair.jaku)
    for sender in (address, "postmaster"):
        assert codes(client.ask(f"MAIL FROM:<{sender}>".encode())) == "501 5.1.7"
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{address}>".encode()), to="another without a domain")) == "501 5.1.3"


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


@pytest.mark.parametrize(
    "char", [b"\x00", b"\x01", b"\x07", b"\t", b"\x1b", b"\x1f", b"\x7f", b"\xc2\x85", b"\r", b"\xc2\x9b"]
)
@pytest.mark.parametrize(
    "address", [b"obi%bwan@jaku.com", b'"obi%bwan"@jaku.com', b"obiwan@ja%bku.com", b"@a%b.test:a@jaku.com"]
)
def test_c38_control_characters(mail_pair: Pair, wire: Connect, rule: Notes, char: bytes, address: bytes) -> None:
    """501 5.1.3 to RCPT, 501 5.1.7 to MAIL, in quotes, in the domain and in a source route too."""
    client = wire(mail_pair.jaku)
    written = address % char
    assert codes(rule.reply(client.ask(b"MAIL FROM:<%b> SMTPUTF8" % written), to="MAIL")) == "501 5.1.7"
    client.open(parameters="SMTPUTF8")
    assert codes(rule.reply(client.ask(b"RCPT TO:<%b>" % written), to="RCPT")) == "501 5.1.3"


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "jaku.com.",
        ".jaku.com",
        "jaku..com",
        "-jaku.com",
        "jaku-.com",
        "ja ku.com",
        "jaku.com:25",
        "ja/ku",
        "a,b",
        "j%ku.com",
        "<jaku.com",
        "jaku.com\\",
        "*",
        "\u3002",
        "jaku\u3002",
        "ja\u2028ku.com",
        "\uff3b127.0.0.1\uff3d",
    ],
)
def test_c39_malformed_domain(mail_pair: Pair, wire: Connect, rule: Notes, domain: str) -> None:
    """Empty, with a dot at its end, or otherwise none: 501 5.1.3 for a recipient, 501 5.1.7 for a sender."""
    client = wire(mail_pair.jaku)
    sender = client.ask(f"MAIL FROM:<luke@{domain}> SMTPUTF8".encode())
    assert codes(rule.reply(sender, to="MAIL")) == "501 5.1.7"
    client.open(parameters="SMTPUTF8")
    assert codes(rule.reply(client.ask(f"RCPT TO:<luke@{domain}>".encode()), to="RCPT")) == "501 5.1.3"


@pytest.mark.parametrize(
    "line", [b"RCPT TO:obiwan@jaku.com", b"RCPT TO:<obiwan@jaku.com", b"RCPT TO:", b"RCPT <obiwan@jaku.com>", b"RCPT"]
)
def test_c39_malformed_command(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """Without brackets or TO: it is 501, 5.1.3 or 5.5.4."""
    client = wire(mail_pair.jaku)
    client.open()
    assert codes(rule.reply(client.ask(line), to="no path")) in ("501 5.1.3", "501 5.5.4")
    assert client.ask(b"DATA").code == 503
