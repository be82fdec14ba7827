"""AUTH with a callback: tokens, what it is given, and what happens when it fails (C69; RFC 7628)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable

import pytest

from harness.rules_plugin import Connect, Notes
from harness.wire import Wire, codes
from smtp_pair import Domain
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.sasl import Credentials

TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=="
LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


PLAIN = b64("\0luke\0f0rce")


def bearer(credentials: Credentials) -> bool:
    """What a test's own callback may be."""
    return credentials.user == "luke@jaku.com" and credentials.secret == TOKEN


@pytest.fixture
def tokens(mail_network: MailNetwork, wire: Connect) -> Wire:
    """A session with a server that has a callback."""
    return wire(mail_network(Domain("jaku.com", auth=bearer))["jaku.com"])


def test_c69_a_callback_knows_tokens_too(tokens: Wire, rule: Notes) -> None:
    """With a callback OAUTHBEARER and XOAUTH2 are offered as well."""
    offers = tokens.hello().text.split("\n")
    assert "AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2" in offers
    rule.observed("offered: PLAIN LOGIN, with a callback OAUTHBEARER XOAUTH2 too")


# -- OAUTHBEARER and XOAUTH2 -----------------------------------------------------------------------------------------

XOAUTH2 = f"user=luke@jaku.com\x01auth=Bearer {TOKEN}\x01\x01"
OAUTHBEARER = f"n,a=luke@jaku.com,\x01host=jaku.com\x01port=587\x01auth=Bearer {TOKEN}\x01\x01"
EITHER = pytest.mark.parametrize(("mechanism", "right"), [(b"XOAUTH2", XOAUTH2), (b"OAUTHBEARER", OAUTHBEARER)])


@EITHER
@pytest.mark.parametrize("at_once", [True, False])
def test_c69_tokens(tokens: Wire, rule: Notes, mechanism: bytes, right: str, at_once: bool) -> None:
    """The callback is given the token, which came with the command or after an empty 334."""
    if not at_once:
        assert (tokens.ask(b"AUTH " + mechanism).code, tokens.raw) == (334, [b"334 \r\n"])
    answer = tokens.ask((b"AUTH " + mechanism + b" " if at_once else b"") + b64(right))
    assert codes(rule.reply(answer, to="right")) == "235 2.7.0"


@EITHER
@pytest.mark.parametrize("spoil", [lambda s: s.replace("ya29", "old"), lambda s: s.replace(f"Bearer {TOKEN}", "")])
@pytest.mark.parametrize("answered_with", [b"AQ==", b"", b"=", b"*", b"!"])
def test_c69_a_wrong_token(
    tokens: Wire, rule: Notes, mechanism: bytes, right: str, spoil: Callable[[str], str], answered_with: bytes
) -> None:
    """334 with the error in JSON, and 535 5.7.8 after whatever the client answers to that (RFC 7628 3.2.3), or 501 if
    that is ``*``; an empty token only asks for the error (RFC 7628 4.3)."""
    challenge = tokens.ask(b"AUTH " + mechanism + b" " + b64(spoil(right)))
    assert challenge.code == 334
    assert base64.b64decode(challenge.text).startswith(b'{"status":')
    final = tokens.ask(answered_with)
    if answered_with == b"*":
        assert codes(final) == "501 5.7.0"
    else:
        assert codes(final) == "535 5.7.8"
    rule.reply(final, to="wrong token, and * to the error" if answered_with == b"*" else "wrong token, after the error")
    assert tokens.ask(b"AUTH " + mechanism + b" " + b64(right)).code == 235


@pytest.mark.parametrize(
    ("mechanism", "said"),
    [
        *(
            (b"XOAUTH2", said)
            for said in ("", "luke", "user=luke@jaku.com", "user=luke\x01auth=Basic x\x01\x01", "auth=Bearer x")
        ),
        *(
            (b"OAUTHBEARER", said)
            for said in ("", "n,,", "n,a=luke,\x01host=x\x01\x01", "p=tls,,\x01auth=Bearer x\x01\x01", "x")
        ),
    ],
)
def test_c69_no_token(tokens: Wire, rule: Notes, mechanism: bytes, said: str) -> None:
    """501 5.5.2 for what is base64 and no response of the mechanism."""
    answer = tokens.ask(b"AUTH " + mechanism + b" " + (b64(said) or b"="))
    assert codes(rule.reply(answer, to="no response of the mechanism")) == "501 5.5.2"
    assert tokens.ask(b"NOOP").code == 250


# -- the callback ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines", [[b"AUTH PLAIN " + PLAIN], [b"AUTH PLAIN", PLAIN], [b"AUTH LOGIN", b64("luke"), b64("f0rce")]]
)
def test_c69_a_callback_that_raises(
    mail_network: MailNetwork, wire: Connect, rule: Notes, caplog: pytest.LogCaptureFixture, lines: list[bytes]
) -> None:
    """451 4.3.0 and nothing of the exception; its traceback is in the log, the password is not; the exchange is over,
    and the session and the server go on."""
    broken = [True]

    def callback(credentials: Credentials) -> bool:
        if broken.pop():
            raise RuntimeError(f"the directory of {credentials.user} is down")
        return True

    server = mail_network(Domain("jaku.com", auth=callback))["jaku.com"]
    client = wire(server)
    with caplog.at_level(logging.ERROR, "smtp_pair"):
        for line in lines[:-1]:
            assert client.ask(line).code == 334
        answer = rule.reply(client.ask(lines[-1]), to="a callback that raises")
    assert codes(answer) == "451 4.3.0"
    assert "directory" not in answer.text
    assert "RuntimeError: the directory of luke is down" in caplog.text
    assert not [word for word in (*lines[-1].decode().split()[2:], PLAIN.decode(), "f0rce") if word in caplog.text]
    broken.append(False)
    assert client.ask(b"AUTH PLAIN " + PLAIN).code == 235
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250


def test_c69_what_a_callback_is_given(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Mechanism, name, secret and, where it differs from the name, whom the client wants to act as; never an empty
    secret, which would be an anonymous bind to a directory. Its repr does not show the secret."""
    given: list[Credentials] = []

    def callback(credentials: Credentials) -> bool:
        given.append(credentials)
        return False

    client = wire(mail_network(Domain("jaku.com", auth=callback))["jaku.com"])
    for said in ("leia\0luke\0f0rce", "luke\0luke\0f0rce", "\0luke\0"):
        assert client.ask(b"AUTH PLAIN " + b64(said)).code == 535
    assert [client.ask(line).code for line in (b"AUTH LOGIN", b64("luke"))] == [334, 334]
    assert codes(rule.reply(client.ask(b""), to="wrong")) == "535 5.7.8"
    assert given == [Credentials("PLAIN", "luke", "f0rce", "leia"), Credentials("PLAIN", "luke", "f0rce")]
    assert "f0rce" not in repr(given)
