"""The parameters of MAIL and RCPT: those of the extensions, and no others (C17, C86, RFC 5321 4.1.1.11, RFC 3461)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, MakeHop, Notes
from harness.wire import codes
from smtp_pair import Pair
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"
DSN_OF_MAIL = {
    "RET=FULL": "RET=FULL",
    "RET=HDRS": "RET=HDRS",
    "ret=hdrs": "RET=HDRS",
    "ENVID=QQ314159": "ENVID=QQ314159",
    "envid=+41+2Bx+3D": "ENVID=+41+2Bx+3D",
    f"ENVID={'e' * 100}": f"ENVID={'e' * 100}",
    "RET=HDRS ENVID=x": "RET=HDRS ENVID=x",
    "ENVID=x RET=FULL": "RET=FULL ENVID=x",
}
DSN_OF_RCPT = {
    "NOTIFY=NEVER": "NOTIFY=NEVER",
    "notify=never": "NOTIFY=NEVER",
    "NOTIFY=SUCCESS": "NOTIFY=SUCCESS",
    "NOTIFY=FAILURE,DELAY": "NOTIFY=FAILURE,DELAY",
    "NOTIFY=delay,Success,FAILURE": "NOTIFY=DELAY,SUCCESS,FAILURE",
    "ORCPT=rfc822;Bob@Example.org": "ORCPT=rfc822;Bob@Example.org",
    "ORCPT=rfc822;Bob+40example.org": "ORCPT=rfc822;Bob+40example.org",
    "ORCPT=x-other;1+2B1+3D2": "ORCPT=x-other;1+2B1+3D2",
    "ORCPT=utf-8;b\\x{FC}b@example.org": "ORCPT=utf-8;b\\x{FC}b@example.org",
    f"ORCPT=rfc822;{'o' * 493}": f"ORCPT=rfc822;{'o' * 493}",
    "NOTIFY=FAILURE ORCPT=rfc822;b@c.test": "NOTIFY=FAILURE ORCPT=rfc822;b@c.test",
}
BAD_OF_MAIL = [
    "RET",
    "RET=",
    "RET=ALL",
    "RET=FULL,HDRS",
    "RET=FULL RET=FULL",
    "ENVID",
    "ENVID=",
    "ENVID=a=b",
    "ENVID=a+b",
]
BAD_OF_MAIL += ["ENVID=+4", "ENVID=+4g", "ENVID=+aa", "ENVID=é", f"ENVID={'e' * 101}", "ENVID=a ENVID=a"]
BAD_OF_RCPT = [
    "NOTIFY",
    "NOTIFY=",
    "NOTIFY=NEVER,SUCCESS",
    "NOTIFY=SUCCESS,NEVER",
    "NOTIFY=NEVER,NEVER",
    "NOTIFY=ALWAYS",
]
BAD_OF_RCPT += [
    "NOTIFY=SUCCESS,",
    "NOTIFY=,SUCCESS",
    "NOTIFY=SUCCESS;DELAY",
    "NOTIFY=DELAY NOTIFY=DELAY",
    "ORCPT",
    "ORCPT=",
]
BAD_OF_RCPT += [
    "ORCPT=rfc822",
    "ORCPT=rfc822;",
    "ORCPT=;a@b",
    "ORCPT=rfc822;a+b@c",
    "ORCPT=rfc822;a=b",
    "ORCPT=rf c;a@b",
]
BAD_OF_RCPT += ["ORCPT=r\u00e9;a@b", "ORCPT=utf-8;\u00e9@b", "ORCPT=rfc822;\u00e9@b", f"ORCPT=rfc822;{'o' * 494}"]
BAD_OF_RCPT += ["ORCPT=rfc822;a ORCPT=rfc822;a"]


@pytest.mark.parametrize(
    "word", ["FOO", "FOO=1", "X-SIZE=1", "SIZES=1", "AUTH=<>", "NOTIFY=NEVER", "ORCPT=rfc822;a", "BY=1;R"]
)
@pytest.mark.parametrize("before", ["", "SIZE=100 ", "BODY=8BITMIME RET=FULL "])
def test_c17_unknown_parameter_of_mail(mail_pair: Pair, wire: Connect, rule: Notes, word: str, before: str) -> None:
    """555 5.5.4: one that nobody knows, one of RCPT, one of an extension that is not offered; and no transaction is
    open."""
    client = wire(mail_pair.jaku)
    answer = client.ask(f"MAIL FROM:<luke@example.org> {before}{word}".encode())
    assert codes(rule.reply(answer)) == "555 5.5.4"
    assert client.ask(b"RCPT TO:<obiwan@jaku.com>").code == 503


@pytest.mark.parametrize(
    "word", ["FOO", "FOO=1", "SIZE=1", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL", "ENVID=x", "RRVS=1"]
)
def test_c17_unknown_parameter_of_rcpt(mail_pair: Pair, wire: Connect, rule: Notes, word: str) -> None:
    """555 5.5.4, and no recipient."""
    client = wire(mail_pair.jaku)
    client.open()
    for before in ("", "NOTIFY=NEVER "):
        answer = client.ask(f"RCPT TO:<obiwan@jaku.com> {before}{word}".encode())
        assert codes(rule.reply(answer)) == "555 5.5.4"
    assert client.ask(b"DATA").code == 503


def test_c17_after_helo_all_are_unknown(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """HELO offers no extension, so there are none of its parameters, also where EHLO came before it."""
    client = wire(mail_pair.jaku)
    client.ask(b"HELO client.example")
    for word in ("SIZE=1", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL", "ENVID=x"):
        assert codes(rule.reply(client.ask(f"MAIL FROM:<luke@example.org> {word}".encode()))) == "555 5.5.4"
    client.open()
    for word in ("NOTIFY=NEVER", "ORCPT=rfc822;a"):
        assert codes(rule.reply(client.ask(f"RCPT TO:<obiwan@jaku.com> {word}".encode()))) == "555 5.5.4"


@pytest.mark.parametrize(
    "word", ["=", "=1", "-X=1", "F_O=1", "é=1", "SIZE=1=1", "BODY==8BITMIME", "ENVID=\x07", "(x)", "<x>"]
)
def test_c17_malformed_parameter(mail_pair: Pair, wire: Connect, rule: Notes, word: str) -> None:
    """What is no parameter at all is 501, and a control character too."""
    client = wire(mail_pair.jaku)
    for line in (f"MAIL FROM:<luke@example.org> {word}", f"MAIL FROM:<luke@example.org>{word}"):
        assert rule.reply(client.ask(line.encode()), to="malformed").code == 501
    client.open()
    assert rule.reply(client.ask(f"RCPT TO:<obiwan@jaku.com> {word}".encode()), to="malformed").code == 501


@pytest.mark.parametrize("words", DSN_OF_MAIL)
def test_c86_of_mail(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, words: str) -> None:
    """RET and ENVID are taken, and passed on as they were to a hop that offers DSN; to another nothing of them is."""
    with_dsn, without = next_hop("PIPELINING", "DSN"), next_hop("PIPELINING")
    network = mail_network("a.test", routes={"far.test": with_dsn.address, "old.test": without.address})
    client = wire(network["a.test"])
    client.open("x@far.test", "x@old.test", parameters=words)
    rule.reply(client.data(LETTER))
    network.settle()
    assert with_dsn.said(b"MAIL") == [f"MAIL FROM:<luke@example.org> {DSN_OF_MAIL[words]}\r\n".encode()]
    assert without.said(b"MAIL") == [b"MAIL FROM:<luke@example.org>\r\n"]


@pytest.mark.parametrize("words", DSN_OF_RCPT)
def test_c86_of_rcpt(mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, words: str) -> None:
    """NOTIFY and ORCPT are those of their own recipient, there and at the next hop that offers DSN."""
    with_dsn, without = next_hop("PIPELINING", "DSN"), next_hop("PIPELINING")
    network = mail_network("a.test", routes={"far.test": with_dsn.address, "old.test": without.address})
    client = wire(network["a.test"])
    client.open("plain@far.test")
    for recipient in ("x@far.test", "x@old.test"):
        assert rule.reply(client.ask(f"RCPT TO:<{recipient}> {words}".encode())).code == 250
    client.data(LETTER)
    network.settle()
    own = f"RCPT TO:<x@far.test> {DSN_OF_RCPT[words]}\r\n".encode()
    assert with_dsn.said(b"RCPT") == [b"RCPT TO:<plain@far.test>\r\n", own]
    assert without.said(b"RCPT") == [b"RCPT TO:<x@old.test>\r\n"]


@pytest.mark.parametrize("words", BAD_OF_MAIL)
def test_c86_bad_values_of_mail(mail_pair: Pair, wire: Connect, rule: Notes, words: str) -> None:
    """501 5.5.4, and no transaction is open."""
    client = wire(mail_pair.jaku)
    answer = client.ask(f"MAIL FROM:<luke@example.org> {words}".encode())
    assert codes(rule.reply(answer, to="a bad value")) == "501 5.5.4"
    assert client.ask(b"RCPT TO:<obiwan@jaku.com>").code == 503


@pytest.mark.parametrize("words", BAD_OF_RCPT)
def test_c86_bad_values_of_rcpt(mail_pair: Pair, wire: Connect, rule: Notes, words: str) -> None:
    """501 5.5.4, and no recipient; NEVER stands alone."""
    client = wire(mail_pair.jaku)
    client.open()
    answer = client.ask(f"RCPT TO:<obiwan@jaku.com> {words}".encode())
    assert codes(rule.reply(answer, to="a bad value")) == "501 5.5.4"
    assert client.ask(b"DATA").code == 503


def test_c86_original_recipient_in_utf8(
    mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop
) -> None:
    """ORCPT=utf-8;... may be beyond ASCII where SMTPUTF8 is in force (RFC 6533 3)."""
    hop = next_hop("DSN", "SMTPUTF8", "8BITMIME")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    client.open(parameters="SMTPUTF8")
    assert rule.reply(client.ask("RCPT TO:<x@far.test> ORCPT=utf-8;é@b.test".encode())).code == 250
    client.data(LETTER)
    network.settle()
    assert hop.said(b"RCPT") == ["RCPT TO:<x@far.test> ORCPT=utf-8;é@b.test\r\n".encode()]
