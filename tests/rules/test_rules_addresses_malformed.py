"""What is no address, and what no path (C29, C30, C33, C34, C38, C39, RFC 5321 4.1.2)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, Notes
from harness.wire import codes
from smtp_pair import Pair


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


@pytest.mark.parametrize("route", ["@:", "jaku.com:", "@a..b:", "@a.test,b.test:", "@a.test,:", "@a.test"])
def test_c30_what_is_no_source_route(mail_pair: Pair, wire: Connect, rule: Notes, route: str) -> None:
    """501 5.1.3."""
    client = wire(mail_pair.jaku)
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{route}obiwan@jaku.com>".encode()), to="malformed")) == "501 5.1.3"


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


@pytest.mark.parametrize("address", ["obiwan", '"obiwan"', "postmaster@", "root"])
def test_c34_nobody_else_lacks_a_domain(mail_pair: Pair, wire: Connect, rule: Notes, address: str) -> None:
    """501 5.1.3: only postmaster needs none; as a sender nobody does without (501 5.1.7)."""
    client = wire(mail_pair.jaku)
    for sender in (address, "postmaster"):
        assert codes(client.ask(f"MAIL FROM:<{sender}>".encode())) == "501 5.1.7"
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{address}>".encode()), to="another without a domain")) == "501 5.1.3"


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
