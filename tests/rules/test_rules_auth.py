"""AUTH: who may, how, and what each mistake is answered with (C69; RFC 4954). Tokens and callbacks are in
test_rules_auth_callback.py."""

from __future__ import annotations

import base64

import pytest

from harness.rules_plugin import Connect, Notes
from harness.wire import Wire, codes
from smtp_pair import Domain, Pair
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.sasl import Credentials

USERS = {"luke": "f0rce", "leia": "o\u0308rgana \u2620"}
LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


PLAIN = b64("\0luke\0f0rce")


@pytest.fixture
def client(mail_network: MailNetwork, wire: Connect) -> Wire:
    """A session in the clear with a server that has users and no TLS."""
    return wire(mail_network(Domain("jaku.com", auth=USERS))["jaku.com"])


# -- where it is offered ---------------------------------------------------------------------------------------------


def test_c69_not_offered(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """502 5.5.1, and EHLO does not list it."""
    client = wire(mail_pair.jaku)
    assert "AUTH" not in client.hello().text
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + PLAIN), to="not offered")) == "502 5.5.1"


def test_c69_offered(client: Wire, rule: Notes) -> None:
    """With names and passwords EHLO offers PLAIN and LOGIN; right ones are 235 2.7.0."""
    assert "AUTH PLAIN LOGIN" in client.hello().text.split("\n")
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + PLAIN), to="right")) == "235 2.7.0"


def test_c69_before_ehlo(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """503 5.5.1."""
    client = wire(mail_network(Domain("jaku.com", auth=USERS))["jaku.com"], hello=False)
    client.reply()
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + PLAIN), to="before EHLO")) == "503 5.5.1"


@pytest.mark.parametrize("tls", ["offered", "required"])
def test_c69_needs_tls_where_there_is_tls(mail_network: MailNetwork, wire: Connect, rule: Notes, tls: str) -> None:
    """538 5.7.11 in the clear, and not offered there; in TLS both."""
    network = mail_network(Domain("jaku.com", tls=tls, auth=USERS))  # type: ignore[arg-type]  # a literal, in pieces
    client = wire(network["jaku.com"])
    assert "AUTH" not in client.hello().text
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + PLAIN), to="without TLS")) == "538 5.7.11"
    assert codes(client.ask(b"AUTH LOGIN")) == "538 5.7.11", "it asks for a password in the clear"
    client.ask(b"STARTTLS")
    client.starttls(network.client_context())
    assert "AUTH PLAIN LOGIN" in client.hello().text
    assert client.ask(b"AUTH PLAIN " + PLAIN).code == 235


def test_c69_required(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """MAIL is 530 5.7.0 until AUTH has succeeded; the mail says ESMTPA."""
    server = mail_network(Domain("jaku.com", auth=USERS, auth_required=True))["jaku.com"]
    client = wire(server)
    assert codes(rule.reply(client.ask(b"MAIL FROM:<luke@jaku.com>"), to="MAIL, where AUTH is required")) == "530 5.7.0"
    client.ask(b"AUTH PLAIN " + b64("\0luke\0wrong"))
    assert client.ask(b"MAIL FROM:<luke@jaku.com>").code == 530
    client.ask(b"AUTH PLAIN " + PLAIN)
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250
    assert b" with ESMTPA id " in server.messages[0].raw


def test_c69_only_known_users_relay(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """With users, mail for another domain is 550 5.7.1 for strangers, and taken from those who said who they are."""
    network = mail_network(Domain("jaku.com", auth=USERS), "deathstar.com")
    client = wire(network["jaku.com"])
    client.open("obiwan@jaku.com")
    refused = client.ask(b"RCPT TO:<vader@deathstar.com>")
    assert codes(rule.reply(refused, to="RCPT of another domain, without AUTH")) == "550 5.7.1"
    client.ask(b"RSET")
    assert client.ask(b"AUTH PLAIN " + PLAIN).code == 235
    client.open("vader@deathstar.com")


# -- the order -------------------------------------------------------------------------------------------------------


def test_c69_a_second_one(client: Wire, rule: Notes) -> None:
    """503 5.5.1, after EHLO and after a mail too (RFC 4954 4); after one that failed it may be tried again."""
    assert client.ask(b"AUTH PLAIN " + b64("\0luke\0wrong")).code == 535
    assert client.ask(b"AUTH PLAIN " + PLAIN).code == 235
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + PLAIN), to="a second one")) == "503 5.5.1"
    client.hello()
    assert client.ask(b"AUTH LOGIN").code == 503


def test_c69_in_a_transaction(client: Wire, rule: Notes) -> None:
    """503 5.5.1, after MAIL and after RCPT; the transaction goes on."""
    client.open()
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + PLAIN), to="in a transaction")) == "503 5.5.1"
    client.ask(b"RCPT TO:<obiwan@jaku.com>")
    assert client.ask(b"AUTH PLAIN").code == 503
    assert client.data(LETTER).code == 250


# -- PLAIN and LOGIN -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    ["\0luke\0f0rce", "luke\0luke\0f0rce", "\0leia\0o\u0308rgana \u2620"],
    ids=["rfc4616", "acting_as_oneself", "utf8"],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_c69_plain(client: Wire, rule: Notes, said: str, at_once: bool) -> None:
    """RFC 4616: [authorisation identity] NUL name NUL password, in the command or after an empty 334."""
    if at_once:
        answer = client.ask(b"AUTH PLAIN " + b64(said))
    else:
        challenge = client.ask(b"auth plain")
        assert (challenge.code, client.raw) == (334, [b"334 \r\n"])
        answer = client.ask(b64(said))
    assert codes(rule.reply(answer, to="right")) == "235 2.7.0"


@pytest.mark.parametrize("first", [b"", b" " + b64("luke"), b" =", b"  " + b64("luke")])
def test_c69_login(client: Wire, rule: Notes, first: bytes) -> None:
    """Name and password are asked for one after the other, the name not if it came with the command."""
    challenge = client.ask(b"AUTH LOGIN" + first)
    if first == b"":
        assert (challenge.code, base64.b64decode(challenge.text)) == (334, b"Username:")
        challenge = client.ask(b64("luke"))
    assert (challenge.code, base64.b64decode(challenge.text)) == (334, b"Password:")
    answer = client.ask(b64("f0rce"))
    assert codes(rule.reply(answer, to="wrong" if first == b" =" else "right")) == (
        "535 5.7.8" if first == b" =" else "235 2.7.0"
    )


@pytest.mark.parametrize(
    "said",
    [
        "\0luke\0wrong",
        "\0vader\0f0rce",
        "\0luke\0",
        "\0vader\0",
        "leia\0luke\0f0rce",
        "\0Luke\0f0rce",
        "\0luke\0f0rce ",
    ],
)
def test_c69_wrong(client: Wire, rule: Notes, said: str) -> None:
    """535 5.7.8: a wrong password, an unknown name, no password at all, or one's own password to act as another."""
    assert codes(rule.reply(client.ask(b"AUTH PLAIN " + b64(said)), to="wrong")) == "535 5.7.8"
    assert client.ask(b"AUTH PLAIN " + PLAIN).code == 235


def test_c69_guessing_ends(client: Wire, rule: Notes) -> None:
    """Wrong passwords are errors of the client: at the 20th 421 4.7.0 ends the session (C24)."""
    for _ in range(19):
        assert client.ask(b"AUTH PLAIN " + b64("\0luke\0wrong")).code == 535
    assert (
        codes(rule.reply(client.ask(b"AUTH PLAIN " + b64("\0luke\0wrong")), to="wrong, again and again")) == "421 4.7.0"
    )
    client.expect_close()


# -- what is malformed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", [b"CRAM-MD5", b"PLAINX", b"XOAUTH2", b"PLAIN\tx", b"\xff"])
def test_c69_unknown_mechanism(client: Wire, rule: Notes, mechanism: bytes) -> None:
    """504 5.5.4 for one that is not offered, those for tokens included where there are only passwords."""
    answer = client.ask(b"AUTH " + mechanism)
    if mechanism == b"\xff":
        assert answer.code == 501
    else:
        assert codes(rule.reply(answer, to="unknown mechanism")) == "504 5.5.4"
    assert client.ask(b"AUTH").code == 501
    rule.reply(client.ask(b"AUTH"), to="no mechanism")
    assert client.ask(b"AUTH PLAIN " + PLAIN).code == 235


@pytest.mark.parametrize(
    "response",
    [b"not-base64!", b"AAA", b"A===", b"AGx1a2UAc2VjcmV0=", b"AGx1a2U AHNlY3JldA==", b"\xff\xfe", b"AGx1\x00a2UA"],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_c69_not_base64(client: Wire, rule: Notes, response: bytes, at_once: bool) -> None:
    """501 5.5.2, and the exchange is over: the next line is a command again."""
    if not at_once:
        assert client.ask(b"AUTH PLAIN").code == 334
    answer = client.ask((b"AUTH PLAIN " if at_once else b"") + response)
    assert codes(rule.reply(answer, to="not base64")) == "501 5.5.2"
    assert client.ask(b"NOOP").code == 250


@pytest.mark.parametrize("said", ["luke\0f0rce", "\0\0f0rce", "a\0b\0c\0d", "", "luke"])
def test_c69_base64_that_says_nothing(client: Wire, rule: Notes, said: str) -> None:
    """501 5.5.2 for what is base64 and no response of PLAIN; ``=`` is the empty one (RFC 4954 4)."""
    answer = client.ask(b"AUTH PLAIN " + (b64(said) or b"="))
    assert codes(rule.reply(answer, to="no response of the mechanism")) == "501 5.5.2"
    client.ask(b"AUTH PLAIN")
    assert codes(client.ask(b64(said))) == "501 5.5.2"
    assert client.ask(b"NOOP").code == 250


@pytest.mark.parametrize(
    "before", [[b"AUTH PLAIN"], [b"AUTH LOGIN"], [b"AUTH LOGIN", b64("luke")], [b"AUTH LOGIN " + b64("luke")]]
)
def test_c69_cancelled(client: Wire, rule: Notes, before: list[bytes]) -> None:
    """``*`` is 501, wherever a response was asked for, and the next line is a command."""
    for line in before:
        assert client.ask(line).code == 334
    assert codes(rule.reply(client.ask(b"*"), to="*")) == "501 5.7.0"
    assert client.ask(b"NOOP").code == 250


def test_c69_a_line_of_12288_octets(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """A token may be long (RFC 4954 4): 12,288 octets with CRLF are a line, in the command and after 334; one more is
    500 5.5.2, and its tail no command."""
    seen: list[str] = []

    def callback(credentials: Credentials) -> bool:
        seen.append(credentials.secret)
        return True

    server = mail_network(Domain("jaku.com", auth=callback))["jaku.com"]
    for before in (b"AUTH PLAIN ", b""):
        room = 12288 - 2 - len(before)
        response = b64("\0luke\0" + "x" * (room // 4 * 3 - 6))
        fill = b" " * (room - len(response)) if before else b""
        for more, expected in ((b"", 235), (b"x" * (1 + room - len(response) - len(fill)), 500)):
            client = wire(server)
            if not before:
                assert client.ask(b"AUTH PLAIN").code == 334
            answer = client.ask(before + fill + response + more)
            assert answer.code == expected
            if expected == 500:
                assert codes(rule.reply(answer, to="12,289 octets")) == "500 5.5.2"
                assert client.ask(b"NOOP").code == 250
    assert len(seen) == 2
    assert all(len(secret) > 9000 for secret in seen)
