"""The session: who speaks when, and what is said to what (C1 to C17, RFC 5321 3.1, 4.1)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, Notes
from harness.wire import codes
from smtp_pair import Domain, Pair
from smtp_pair.pytest_plugin import MailNetwork

MAIL = b"MAIL FROM:<luke@example.org>"
RCPT = b"RCPT TO:<obiwan@jaku.com>"
LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def test_c1_greeting(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """The first words are 220 and the server's own name."""
    greeting = rule.reply(wire(mail_pair.jaku, hello=False).reply())
    assert codes(greeting) == "220"
    assert greeting.text.split()[0] == "smtp.jaku.com"


def test_c2_ehlo_offers_the_extensions(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """EHLO: a line with the server's name, then a line for each extension, all of one code and without enhanced
    codes."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    hello = rule.reply(client.ask(b"EHLO client.example"), to="EHLO")
    assert codes(hello) == "250"
    name, *offers = hello.text.split("\n")
    assert name.split()[0] == "smtp.jaku.com"
    assert set(offers) == {
        "SIZE 33554432",
        "8BITMIME",
        "SMTPUTF8",
        "PIPELINING",
        "CHUNKING",
        "ENHANCEDSTATUSCODES",
        "DSN",
        "HELP",
    }
    assert all(line[:4] == (b"250 " if line is client.raw[-1] else b"250-") for line in client.raw)


def test_c2_helo_offers_nothing(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """HELO: one line; and mail can be sent after it."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    hello = rule.reply(client.ask(b"HELO client.example"), to="HELO")
    assert (codes(hello), hello.text, len(client.raw)) == ("250", "smtp.jaku.com", 1)
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250


@pytest.mark.parametrize(
    "line", [b"EHLO", b"HELO", b"EHLO ", b"HELO   ", b"EHLO \x07", b"EHLO a\x00b", b"HELO \x1b[2J"]
)
def test_c2_hello_wants_a_name(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """Without a name, or with a control in it: 501, and nobody has said hello."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    assert codes(rule.reply(client.ask(line), to="EHLO without a name")) == "501"
    assert client.ask(MAIL).code == 503


@pytest.mark.parametrize("name", [b"client.example", b"[127.0.0.1]", b"[IPv6:::1]", b"a", b"a_b", b"two words"])
def test_c2_hello_takes_any_name(mail_pair: Pair, wire: Connect, rule: Notes, name: bytes) -> None:
    """What a client calls itself is no reason to refuse it (4.1.4)."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    assert rule.reply(client.ask(b"EHLO " + name), to="EHLO").code == 250


def test_c3_mail_before_ehlo(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """503 5.5.1."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    assert codes(rule.reply(client.ask(MAIL))) == "503 5.5.1"


def test_c4_rcpt_before_mail(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """503 5.5.1."""
    assert codes(rule.reply(wire(mail_pair.jaku).ask(RCPT))) == "503 5.5.1"


def test_c5_data_without_a_recipient(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """503 5.5.1: before MAIL, after it, and where every recipient was refused; no 354, so no content."""
    client = wire(mail_pair.jaku)
    assert codes(rule.reply(client.ask(b"DATA"))) == "503 5.5.1"
    assert client.ask(MAIL).code == 250
    assert codes(rule.reply(client.ask(b"DATA"))) == "503 5.5.1"
    assert client.ask(b"RCPT TO:<paimon@genshinimpact.com>").code == 550
    assert codes(rule.reply(client.ask(b"DATA"))) == "503 5.5.1"
    assert client.ask(RCPT).code == 250
    assert client.data(LETTER).code == 250


def test_c6_second_mail(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """503 5.5.1, before and after RCPT; the first transaction goes on as if nothing had been said."""
    client = wire(mail_pair.jaku)
    client.ask(MAIL)
    assert codes(rule.reply(client.ask(b"MAIL FROM:<vader@example.org>"))) == "503 5.5.1"
    client.ask(RCPT)
    assert codes(rule.reply(client.ask(b"MAIL FROM:<vader@example.org>"))) == "503 5.5.1"
    client.data(LETTER)
    assert [mail.envelope.sender for mail in mail_pair.jaku.messages] == ["luke@example.org"]


@pytest.mark.parametrize("verb", [b"EHLO", b"HELO"])
def test_c7_another_ehlo_ends_the_transaction(mail_pair: Pair, wire: Connect, rule: Notes, verb: bytes) -> None:
    """EHLO and HELO inside a transaction are answered, and what was said of the mail is gone."""
    client = wire(mail_pair.jaku)
    client.open("leia@jaku.com", sender="vader@example.org")
    assert rule.reply(client.ask(verb + b" again.example"), to=verb.decode()).code == 250
    assert client.ask(RCPT).code == 503
    client.open("obiwan@jaku.com")
    client.data(LETTER)
    assert [mail.envelope.recipients for mail in mail_pair.jaku.messages] == [["obiwan@jaku.com"]]


def test_c7_a_refused_ehlo_changes_nothing(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """After an EHLO that was answered 501 the transaction is as it was (4.1.4)."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    rule.reply(client.ask(b"EHLO"), to="EHLO without a name")
    assert client.data(LETTER).code == 250


def test_c8_rset_clears_all(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """250 2.0.0; sender, recipients and parameters are gone, EHLO is not."""
    client = wire(mail_pair.jaku)
    client.open("léia@jaku.com", sender="vader@example.org", parameters="SMTPUTF8 BODY=8BITMIME RET=HDRS")
    assert codes(rule.reply(client.ask(b"RSET"))) == "250 2.0.0"
    assert client.ask(RCPT).code == 503
    assert client.ask(b"DATA").code == 503
    client.open("obiwan@jaku.com")
    assert client.ask("RCPT TO:<léia@jaku.com>".encode()).code == 553, "SMTPUTF8 is still in force"
    client.data(LETTER)
    [mail] = mail_pair.jaku.messages
    assert (mail.envelope.sender, mail.envelope.recipients) == ("luke@example.org", ["obiwan@jaku.com"])
    assert dict(mail.envelope.options) == {}


def test_c8_rset_at_any_time(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """Before EHLO, between mails and twice it does nothing, and is answered 250; it has no argument."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    assert rule.reply(client.ask(b"RSET")).code == 250
    assert client.ask(MAIL).code == 503
    client.hello()
    assert [rule.reply(client.ask(b"RSET")).code for _ in range(2)] == [250, 250]
    client.ask(MAIL)
    assert codes(rule.reply(client.ask(b"RSET now"), to="with an argument")) == "501 5.5.4"
    assert client.ask(RCPT).code == 250


def test_c9_noop(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """250 at any time, with and without an argument, and nothing changes."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    for line in (b"NOOP", b"NOOP RSET", b"NOOP  \xc3\xa9 !"):
        assert codes(rule.reply(client.ask(line))) == "250 2.0.0"
    client.hello()
    client.ask(MAIL)
    client.ask(b"NOOP")
    client.ask(RCPT)
    client.ask(b"NOOP RSET")
    assert client.data(LETTER).code == 250


def test_c10_vrfy_never_leaks_users(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """252, word for word the same for one who exists and one who does not, before EHLO too."""
    client = wire(mail_network(Domain("a.test", users=["obiwan"]))["a.test"], hello=False)
    client.reply()
    lines = (b"VRFY obiwan", b"VRFY vader", b"VRFY <obiwan@a.test>", b"VRFY nobody@b.test", b"VRFY postmaster")
    replies = {rule.reply(client.ask(line)) for line in lines}
    assert len(replies) == 1
    assert replies.pop().code == 252
    assert codes(rule.reply(client.ask(b"VRFY"), to="without an argument")) == "501 5.5.4"


def test_c11_expn(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """502 5.5.1, whatever is asked for."""
    client = wire(mail_pair.jaku)
    for line in (b"EXPN staff", b"EXPN", b"EXPN postmaster"):
        assert codes(rule.reply(client.ask(line))) == "502 5.5.1"


def test_c12_help(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """214, with and without an argument; it names the commands that there are."""
    client = wire(mail_pair.jaku)
    for line in (b"HELP", b"HELP MAIL", b"HELP nothing"):
        answer = rule.reply(client.ask(line))
        assert answer.code == 214
        assert {"EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "QUIT"} <= set(answer.text.split())


def test_c13_quit(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """221 2.0.0, then the connection is closed; what was sent after it is not looked at."""
    client = wire(mail_pair.jaku)
    client.say(b"QUIT\r\n" + MAIL + b"\r\n")
    assert codes(rule.reply(client.reply())) == "221 2.0.0"
    client.expect_close()
    rule.observed("closes the connection")


@pytest.mark.parametrize("last", [MAIL, RCPT, b"BDAT 7\r\nHello\r\n"], ids=["mail", "rcpt", "bdat"])
def test_c13_quit_delivers_nothing(mail_pair: Pair, wire: Connect, rule: Notes, last: bytes) -> None:
    """QUIT inside a transaction, however far it has come, ends it without a mail."""
    client = wire(mail_pair.jaku)
    lines = [MAIL, RCPT, last]
    for line in lines[: lines.index(last) + 1]:
        client.say(line.removesuffix(b"\r\n") + b"\r\n")
        assert client.reply().code == 250
    rule.reply(client.ask(b"QUIT"))
    client.expect_close()
    mail_pair.settle()
    assert mail_pair.jaku.messages == []


def test_c13_quit_has_no_argument(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """With one it is refused, and the session goes on."""
    client = wire(mail_pair.jaku)
    assert codes(rule.reply(client.ask(b"QUIT now"), to="with an argument")) == "501 5.5.4"
    assert client.ask(b"NOOP").code == 250


def test_c14_any_case(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """Verbs, FROM: and TO:, the names of parameters and their keywords."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    for line in (
        b"eHlO client.example",
        b"mail from:<luke@example.org> size=100 body=8bitMime ret=Full envId=x",
        b"rCPt tO:<obiwan@jaku.com> Notify=success,Failure orcpt=RFC822;x",
        b"nooP",
        b"dATA",
    ):
        assert client.ask(line).code == (354 if line == b"dATA" else 250)
    client.say(LETTER + b".\r\n")
    assert client.reply().code == 250
    assert client.ask(b"quit").code == 221
    rule.observed("the same")


@pytest.mark.parametrize(
    "line",
    [
        b"FOO",
        b"",
        b" ",
        b" NOOP",
        b"NOOPS",
        b"N",
        b"MAILFROM:<a@b.test>",
        b"EHLO\tclient.example",
        b"TURN",
        b"\xff\xfe",
    ],
)
def test_c15_unknown_verb(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """500 5.5.1, or 5.5.2, and the session goes on where it was."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    assert codes(rule.reply(client.ask(line))) in ("500 5.5.1", "500 5.5.2")
    assert client.data(LETTER).code == 250


def test_c16_data_with_an_argument(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """501 5.5.4: no 354, so no content; the transaction is still open."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    assert codes(rule.reply(client.ask(b"DATA now"))) == "501 5.5.4"
    assert client.data(LETTER).code == 250
