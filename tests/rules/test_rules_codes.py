"""Enhanced codes: each line of a reply has one, and it fits (C25, C26, RFC 2034, RFC 3463)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, Notes
from harness.wire import codes
from smtp_pair import Domain, Pair
from smtp_pair.pytest_plugin import MailNetwork

LINES = [
    # what is said, the code of the reply, whether it has an enhanced code
    (b"NOOP", 250, True),
    (b"EHLO", 501, False),
    (b"HELO", 501, False),
    (b"HELO client.example", 250, False),
    (b"EHLO client.example", 250, False),
    (b"HELP", 214, True),
    (b"VRFY luke", 252, True),
    (b"EXPN luke", 502, True),
    (b"NONE", 500, True),
    (b"STARTTLS", 502, True),
    (b"AUTH PLAIN", 334, False),
    (b"*", 501, True),
    (b"AUTH PLAIN =", 501, True),
    (b"RCPT TO:<leia@a.test>", 503, True),
    (b"MAIL FROM:<luke@example.org> SIZE=99999999999", 552, True),
    (b"MAIL FROM:<luke@example.org> NONE=1", 555, True),
    (b"MAIL FROM:<luke@example.org>", 250, True),
    (b"MAIL FROM:<leia@example.org>", 503, True),
    (b"RCPT TO:<vader@a.test>", 550, True),
    (b"RCPT TO:<luke@nowhere.test>", 550, True),
    (b"RCPT TO:<luke>", 501, True),
    (b"RCPT TO:<obiwan@a.test>", 250, True),
    (b"DATA", 354, False),
    (b".", 250, True),
    (b"BDAT some", 501, True),
    (b"RSET", 250, True),
    (b"QUIT", 221, True),
]


def test_c25_every_line_has_a_code_of_its_class(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """2xx, 4xx and 5xx have an enhanced code on each of their lines, and its first digit is theirs; the greeting, the
    answers to EHLO and HELO and 3xx have none. (Every reply that any test of these reads is looked at the same way.)"""
    client = wire(mail_network(Domain("a.test", users=["obiwan"], auth={"luke": "secret"}))["a.test"], hello=False)
    assert client.reply().enhanced == ""
    for line, code, enhanced in LINES:
        answer = client.ask(line)
        assert answer.code == code
        assert answer.enhanced[:1] == (str(code)[0] if enhanced else "")
        assert all(raw[:3] == b"%d" % code for raw in client.raw)
    rule.observed("one of its class, none in the greeting, EHLO, HELO, 3xx")


def test_c26_codes_of_a_mail(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """MAIL 2.1.0, RCPT 2.1.5, the mail 2.0.0, by DATA and by BDAT."""
    client = wire(mail_pair.jaku)
    for recipient in ("obiwan@jaku.com", "vader@deathstar.com"):
        assert codes(rule.reply(client.ask(b"MAIL FROM:<luke@example.org>"), to="MAIL")) == "250 2.1.0"
        assert codes(rule.reply(client.ask(f"RCPT TO:<{recipient}>".encode()), to="RCPT")) == "250 2.1.5"
        assert codes(rule.reply(client.data(b"Subject: Hello\r\n\r\n"), to="mail")) == "250 2.0.0"
    client.open("obiwan@jaku.com")
    client.say(b"BDAT 4\r\na\r\nbBDAT 0 LAST\r\n")
    assert [codes(rule.reply(answer, to="BDAT")) for answer in client.replies(2)] == ["250 2.0.0", "250 2.0.0"]
    assert codes(client.ask(b"MAIL FROM:<>")) == "250 2.1.0"


@pytest.mark.parametrize(
    "recipient", ["postmaster", "obiwan@[127.0.0.1]", "@hop.test:obiwan@jaku.com", '"o b"@jaku.com']
)
def test_c26_codes_of_recipients(mail_pair: Pair, wire: Connect, rule: Notes, recipient: str) -> None:
    """2.1.5, however the address is written."""
    client = wire(mail_pair.jaku)
    client.open()
    assert codes(rule.reply(client.ask(f"RCPT TO:<{recipient}>".encode()), to="RCPT")) == "250 2.1.5"
