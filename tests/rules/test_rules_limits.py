"""Where a server stops being patient: idle clients, a stop, errors, commands, connections (C22 to C24), and a header
that does not end (C54)."""

from __future__ import annotations

import contextlib
import select
import socket
from dataclasses import asdict
from typing import Any

import pytest

from harness.departures import Departures, held
from harness.rules_plugin import Connect, Notes
from harness.wire import Wire, codes
from smtp_pair import Domain, Network, Server
from smtp_pair.config import Limits
from smtp_pair.mail import multipart
from smtp_pair.pytest_plugin import MailNetwork

MAIL = b"MAIL FROM:<luke@example.org>"
RCPT = b"RCPT TO:<obiwan@jaku.com>"
LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"
OF_ONE_ADDRESS = "127.0.0.2"


def jaku(mail_network: MailNetwork, **limits: Any) -> Server:
    return mail_network(Domain("jaku.com", limits=Limits(**limits)))["jaku.com"]


def test_the_defaults() -> None:
    """RFC 5321 wants 100 recipients (4.5.3.1.8) and five minutes (4.5.3.2.7); the others leave room for whatever a test
    does on purpose. A new limit is to be looked at here, and to have a test that goes over it."""
    assert asdict(Limits()) == {
        "connections": 1000,
        "connections_of_one": 500,
        "commands": 10_000,
        "recipients": 1000,
        "errors": 20,
        "idle": 300.0,
        "handshake": 300.0,
        "session": 3600.0,
        "header": 1 << 20,
        "connect": 30.0,
        "reply": 300.0,
        "final": 600.0,
        "depth": multipart.DEPTH_LIMIT,
        "parts": multipart.PART_LIMIT,
    }


# -- C22: time --------------------------------------------------------------------------------------------------------

STATES = pytest.mark.parametrize(
    "said",
    [
        b"",
        b"EHLO client.example",
        b"NOOP\r\nNOO",
        MAIL + b"\r\n" + RCPT,
        MAIL + b"\r\n" + RCPT + b"\r\nDATA\r\nSubject: Never",
        MAIL + b"\r\n" + RCPT + b"\r\nBDAT 1000\r\nSubject: Never",
        b"AUTH LOGIN",
    ],
    ids=["at_once", "hello", "half_a_line", "transaction", "data", "bdat", "auth"],
)


def in_state(client: Wire, said: bytes) -> None:
    """Say these lines one after the other and read the replies; the last is left unfinished where it is data."""
    for line in said.split(b"\r\n") if said else []:
        whole = line not in (b"NOO", b"Subject: Never")
        client.say(line + (b"\r\n" if whole else b""))
        if whole and not line.startswith(b"BDAT"):
            client.reply()


@STATES
def test_c22_idle(mail_network: MailNetwork, wire: Connect, rule: Notes, said: bytes) -> None:
    """421 4.4.2 and the end, wherever the client has come to a stop; what it began is not delivered."""
    server = mail_network(Domain("jaku.com", auth={"luke": "f0rce"}, limits=Limits(idle=0.2)))["jaku.com"]
    client = wire(server)
    in_state(client, said)
    assert codes(rule.reply(client.reply(), to="idle")) == "421 4.4.2"
    client.expect_close()
    assert server.messages == []


def test_c22_one_deadline_for_a_session(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Whoever sends an octet now and then is never idle, and is told 421 4.4.2 all the same when the session has lasted
    long enough."""
    client = wire(jaku(mail_network, session=0.5))
    while not select.select([client._socket], [], [], 0.02)[0]:
        client.say(b"N")
    assert codes(rule.reply(client.reply(), to="session too long")) == "421 4.4.2"


# -- C23: a stop ------------------------------------------------------------------------------------------------------


@STATES
def test_c23_stop(mail_network: MailNetwork, wire: Connect, rule: Notes, said: bytes) -> None:
    """421 4.3.2 and the end, wherever the client is; what it began is not delivered."""
    network = mail_network(Domain("jaku.com", auth={"luke": "f0rce"}))
    client = wire(network["jaku.com"])
    in_state(client, said)
    network.stop()
    assert codes(rule.reply(client.reply(), to="stop")) == "421 4.3.2"
    client.expect_close()
    assert network["jaku.com"].messages == []


@pytest.mark.parametrize("tls", ["offered", "implicit"])
def test_c23_stop_in_tls(mail_network: MailNetwork, wire: Connect, rule: Notes, tls: Any) -> None:
    """The same; and the stop does not wait for clients that do not close their side of TLS."""
    network = mail_network(Domain("jaku.com", tls=tls))
    client = wire(network["jaku.com"], tls=network.client_context() if tls == "implicit" else None)
    if tls == "offered":
        client.ask(b"STARTTLS")
        client.starttls(network.client_context())
        client.hello()
    network.stop()
    assert codes(rule.reply(client.reply(), to="stop")) == "421 4.3.2"


def test_c23_stop_before_the_client_speaks(mail_network: MailNetwork, rule: Notes) -> None:
    """A stop waits neither for a handshake that does not come nor for a client that reads nothing."""
    network: Network = mail_network(Domain("jaku.com", tls="implicit"), "deathstar.com")
    with contextlib.ExitStack() as clients:
        for server in network:
            for _ in range(3):
                client = clients.enter_context(socket.create_connection((server.host, server.port), timeout=15))
                if server.domain == "deathstar.com":
                    client.recv(1000)
                    client.sendall(b"HELP\r\n" * 5000)
        network.stop()
    rule.observed("a stop waits for no client")


# -- C24: too many ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [b"WHAT", b"RCPT TO:<leia@jaku.com>", b"MAIL FROM:<@>", b"x" * 600, b"\xff", b"DATA now"]
)
def test_c24_too_many_errors(mail_network: MailNetwork, wire: Connect, rule: Notes, wrong: bytes) -> None:
    """The last one that is allowed is answered with 421 4.7.0, and that is the end; those before it with their own
    codes. Transactions and what is right in between do not begin a new count."""
    client = wire(jaku(mail_network, errors=3))
    assert client.ask(wrong).code in range(500, 600)
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250
    assert client.ask(wrong).code in range(500, 600)
    assert client.ask(b"NOOP").code == 250, "it ended one error too early"
    assert codes(rule.reply(client.ask(wrong), to="errors")) == "421 4.7.0"
    client.expect_close()


def test_c24_what_is_put_off_is_no_error(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """A client that is told to come again has done nothing wrong."""
    client = wire(jaku(mail_network, errors=1, recipients=1))
    client.open("obiwan@jaku.com")
    for _ in range(5):
        assert client.ask(RCPT).code == 452
    assert client.data(LETTER).code == 250
    rule.observed("replies of 4xx count as no errors")


def test_c24_too_many_commands(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """421 4.7.0 to the first one over the limit; a mail begins a new count."""
    client = wire(jaku(mail_network, commands=5))
    client.open("obiwan@jaku.com")  # with EHLO, three
    assert client.data(LETTER).code == 250
    for _ in range(5):
        assert client.ask(b"NOOP").code == 250
    assert codes(rule.reply(client.ask(b"NOOP"), to="commands")) == "421 4.7.0"
    client.expect_close()


def test_c24_too_many_commands_in_one_group(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Pipelined, the limit is the same; what comes after it is not executed."""
    server = jaku(mail_network, commands=5)
    client = wire(server)
    client.say(b"NOOP\r\n" * 10 + MAIL + b"\r\n" + RCPT + b"\r\nDATA\r\n" + LETTER + b".\r\n")
    assert [codes(each) for each in client.replies(5)] == ["250 2.0.0"] * 4 + ["421 4.7.0"]
    client.expect_close()
    assert server.messages == []
    rule.observed("commands, in one group: 421 4.7.0")


def test_c24_too_many_connections(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """421 4.7.0 instead of a greeting; who is there goes on, and when one leaves, another is let in."""
    server = jaku(mail_network, connections=2)
    with Departures.watched() as departures:
        first, second = wire(server), wire(server)
        third = wire(server, hello=False)
        assert codes(rule.reply(third.reply(), to="connections")) == "421 4.7.0"
        third.expect_close()
        departures.wait()
        assert first.ask(b"NOOP").code == second.ask(b"NOOP").code == 250
        assert second.ask(b"QUIT").code == 221
        departures.wait()
    assert held(server) == 1
    assert wire(server, hello=False).reply().code == 220


def test_c24_too_many_connections_of_one(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """421 4.7.0 for the address that has too many; others are served."""
    server = jaku(mail_network, connections_of_one=1)
    wire(server)
    second = wire(server, hello=False)
    assert codes(rule.reply(second.reply(), to="connections of one address")) == "421 4.7.0"
    try:
        elsewhere = socket.create_connection((server.host, server.port), 15, source_address=(OF_ONE_ADDRESS, 0))
    except OSError as error:
        pytest.skip(f"this machine has no second address of its own: {error.strerror}")
    with elsewhere:
        assert elsewhere.recv(1000).startswith(b"220 ")


def test_c24_a_connection_that_breaks_counts_no_more(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Hung up, reset, or lost in the middle of a mail: the slot is free."""
    server = jaku(mail_network, connections=1)
    for said in (b"", MAIL + b"\r\n" + RCPT + b"\r\nDATA\r\nSubject: Never"):
        with Departures.watched() as departures:
            client = wire(server)
            in_state(client, said)
            client.close()
            departures.wait()
        assert held(server) == 0
    assert wire(server, hello=False).reply().code == 220
    rule.observed("a connection that breaks counts no more")


# -- the header of a mail ---------------------------------------------------------------------------------------------

LIMIT = 1000
FIELD = b"Subject: Hello\r\n"


def header_of(octets: int) -> bytes:
    """A header block of so many octets; the line that ends it is not counted."""
    return FIELD + b"X-Fill: " + b"x" * (octets - len(FIELD) - len(b"X-Fill: \r\n")) + b"\r\n"


@pytest.mark.parametrize("by", ["DATA", "BDAT"])
@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (header_of(LIMIT) + b"\r\n", "250 2.0.0"),
        (header_of(LIMIT) + b"\r\n" + b"body\r\n" * 500, "250 2.0.0"),
        (header_of(LIMIT), "250 2.0.0"),
        (b"\r\n" + b"body\r\n" * 500, "250 2.0.0"),
        (header_of(LIMIT + 1) + b"\r\n", "552 5.3.4"),
        (header_of(LIMIT + 1) + b"\r\n" + b"body\r\n" * 500, "552 5.3.4"),
        (b"X: y\r\n" * 500, "552 5.3.4"),
    ],
    ids=["at_it", "at_it_with_a_body", "at_it_alone", "no_header", "over_it", "over_it_with_a_body", "no_end"],
)
def test_c54_a_header_that_does_not_end(
    mail_network: MailNetwork, wire: Connect, rule: Notes, by: str, mail: bytes, expected: str
) -> None:
    """552 5.3.4 after the mail for a header block over the limit; nothing of it is kept, and the session goes on. A
    mail without a header may be as long as it likes."""
    server = jaku(mail_network, header=LIMIT)
    client = wire(server)
    client.open("obiwan@jaku.com")
    if by == "DATA":
        answer = client.data(mail)
    else:
        client.say(b"BDAT %d LAST\r\n" % len(mail) + mail)
        answer = client.reply()
    assert codes(answer) == expected
    if answer.code == 552:
        rule.reply(answer, to="header too big")
        assert not server.directory.exists()
    else:
        rule.observed("a header block of the size allowed is taken")
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250
