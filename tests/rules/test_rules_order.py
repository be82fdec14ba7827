"""The order of commands (RFC 5321 4.1.4): every verb in every state, against what the standards say of each."""

from __future__ import annotations

import base64

import pytest

from harness.rules_plugin import Connect
from harness.wire import Wire, codes
from smtp_pair import Domain, Network, Server
from smtp_pair.protocol import ORDER, State
from smtp_pair.pytest_plugin import MailNetwork

PLAIN = base64.b64encode(b"\0luke\0secret")
LINES = {
    "EHLO": b"EHLO again.example",
    "HELO": b"HELO again.example",
    "STARTTLS": b"STARTTLS",
    "AUTH": b"AUTH PLAIN " + PLAIN,
    "MAIL": b"MAIL FROM:<second@example.org>",
    "RCPT": b"RCPT TO:<second@a.test>",
    "DATA": b"DATA",
    "BDAT": b"BDAT 4\r\nab",  # with ask's own CRLF its octets are four
    "RSET": b"RSET",
    "NOOP": b"NOOP",
    "HELP": b"HELP",
    "VRFY": b"VRFY second",
    "EXPN": b"EXPN second",
    "QUIT": b"QUIT",
}
MISTAKES = {
    "EHLO": b"EHLO",
    "HELO": b"HELO",
    "STARTTLS": b"STARTTLS now",
    "AUTH": b"AUTH NONE",
    "MAIL": b"MAIL FROM:second@example.org",
    "RCPT": b"RCPT TO:<>",
    "DATA": b"DATA now",
    "BDAT": b"BDAT some",
    "RSET": b"RSET now",
    "VRFY": b"VRFY",
    "QUIT": b"QUIT now",
}
"""Each of them is refused wherever it is said."""
TO_REACH = {
    "START": [],
    "READY": [b"EHLO client.example"],
    "MAIL": [b"EHLO client.example", b"MAIL FROM:<first@example.org>"],
    "RCPT": [b"EHLO client.example", b"MAIL FROM:<first@example.org>", b"RCPT TO:<first@a.test>"],
    "BDAT": [b"EHLO client.example", b"MAIL FROM:<first@example.org>", b"RCPT TO:<first@a.test>", b"BDAT 4\r\nab"],
}
EVERYWHERE = pytest.mark.parametrize("state", TO_REACH)


def has_its_place(verb: str, state: str) -> bool:
    """Whether the verb may be said there: the standards in our words, and not the product's table."""
    if verb in ("EHLO", "HELO", "RSET", "NOOP", "HELP", "VRFY", "EXPN", "QUIT"):
        return True  # at any time (4.1.4, 4.1.1.10); EHLO does what RSET does
    if state == "START":
        return False  # a session begins with EHLO (4.1.4)
    where = {
        "STARTTLS": {"READY"},  # ours: a transaction that is open would be lost with it (RFC 3207 4.2)
        "AUTH": {"READY"},  # not during a mail transaction (RFC 4954 4)
        "MAIL": {"READY"},  # no nested transactions (4.1.4)
        "RCPT": {"MAIL", "RCPT"},  # repeated, after MAIL (3.3)
        "DATA": {"RCPT"},  # after a recipient (3.3), not after BDAT (RFC 3030 2)
        "BDAT": {"RCPT", "BDAT"},  # in the place of DATA, repeated (RFC 3030 2)
    }
    return state in where[verb]


def after(verb: str, state: str) -> str:
    """The state that follows the verb where it has its place."""
    if verb in ("EHLO", "HELO"):
        return "READY"  # the state exactly as after RSET (4.1.4)
    if verb == "RSET":
        return "START" if state == "START" else "READY"  # no EHLO is lost by it, none is made up (4.1.1.5)
    if verb == "STARTTLS":
        return "START"  # nothing that was said before counts (RFC 3207 4.2)
    if verb == "DATA":
        return "READY"  # the mail is taken, all buffers are empty (4.1.1.4)
    return {"MAIL": "MAIL", "RCPT": "RCPT", "BDAT": "BDAT"}.get(verb, state)


def state_of(client: Wire, server: Server) -> str:
    """Where the session is, told by what the server lets happen next."""
    mail = client.ask(b"MAIL FROM:<probe@example.org>").code == 250
    if client.ask(b"RCPT TO:<probe@a.test>").code == 250:
        client.data(b"Subject: Probe\r\n\r\n")
        recipients = server.messages[-1].envelope.recipients
        assert recipients[-1] == "probe@a.test"
        return "RCPT" if len(recipients) > 1 else "READY" if mail else "MAIL"
    return "BDAT" if client.ask(b"BDAT 0 LAST").code == 250 else "START"


@pytest.fixture
def network(mail_network: MailNetwork) -> Network:
    """AUTH is offered by one of the two, STARTTLS by the other: with both, AUTH would wait for TLS."""
    return mail_network(Domain("a.test", auth={"luke": "secret"}), Domain("tls.test", tls="offered"))


def reached(wire: Connect, server: Server, state: str) -> Wire:
    client = wire(server, hello=False)
    client.reply()
    for line in TO_REACH[state]:
        assert client.ask(line.replace(b"@a.test", b"@" + server.domain.encode())).code == 250
    return client


def test_every_verb_and_state_is_walked() -> None:
    """The table of the product has no row and no column that is not walked here."""
    assert set(ORDER) == set(LINES)
    assert [state.name for state in State] == list(TO_REACH)


@EVERYWHERE
@pytest.mark.parametrize("verb", [verb for verb in LINES if verb != "STARTTLS"])
def test_every_verb_in_every_state(network: Network, wire: Connect, verb: str, state: str) -> None:
    """What has its place is done, what has not is answered 503 5.5.1 and changes nothing."""
    server = network["a.test"]
    client = reached(wire, server, state)
    answer = client.ask(LINES[verb])
    if not has_its_place(verb, state):
        assert codes(answer) == "503 5.5.1"
        assert state_of(client, server) == state
        return
    assert answer.code == {"AUTH": 235, "DATA": 354, "VRFY": 252, "EXPN": 502, "HELP": 214, "QUIT": 221}.get(verb, 250)
    if verb == "QUIT":
        client.expect_close()
        return
    if verb == "DATA":
        client.say(b"\r\n.\r\n")
        assert client.reply().code == 250
    assert state_of(client, server) == after(verb, state)


@EVERYWHERE
def test_starttls_in_every_state(network: Network, wire: Connect, state: str) -> None:
    """STARTTLS has its place between EHLO and MAIL; after it the session begins anew."""
    client = reached(wire, network["tls.test"], state)
    answer = client.ask(b"STARTTLS")
    if has_its_place("STARTTLS", state):
        assert answer.code == 220
        client.starttls(network.client_context())
        assert client.ask(b"MAIL FROM:<luke@example.org>").code == 503
    else:
        assert codes(answer) == "503 5.5.1"


@EVERYWHERE
@pytest.mark.parametrize("verb", [verb for verb in MISTAKES if verb != "STARTTLS"])
def test_a_mistake_changes_nothing(network: Network, wire: Connect, verb: str, state: str) -> None:
    """A command with a wrong argument is refused, and the session is where it was."""
    server = network["a.test"]
    client = reached(wire, server, state)
    assert client.ask(MISTAKES[verb]).permanent
    assert state_of(client, server) == state
