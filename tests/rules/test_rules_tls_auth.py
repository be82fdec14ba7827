"""STARTTLS, and TLS from the first octet on (C67, C68; RFC 3207, RFC 8314). What AUTH answers is in
test_rules_auth.py, what real clients make of both in test_rules_tls_clients.py."""

from __future__ import annotations

import contextlib
import socket

import pytest

from harness.departures import Departures, held
from harness.rules_plugin import Connect, Notes
from harness.tls_hop import TlsHop, context
from harness.wire import codes
from smtp_pair import Domain, Network, Pair, Server, background
from smtp_pair.config import Limits, Tls
from smtp_pair.protocol import Conversation, Rules
from smtp_pair.pytest_plugin import MailNetwork

MAIL = b"MAIL FROM:<luke@example.org>"
LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"
WHOLE_MAIL = MAIL + b"\r\nRCPT TO:<obiwan@jaku.com>\r\nDATA\r\nSubject: Injected\r\n\r\n.\r\n"


def jaku(mail_network: MailNetwork, tls: Tls = "offered", limits: Limits | None = None) -> tuple[Network, Server]:
    network = mail_network(Domain("jaku.com", tls=tls, limits=limits or Limits()))
    return network, network["jaku.com"]


# -- C67: when STARTTLS is taken --------------------------------------------------------------------------------------


def test_c67_not_offered(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """EHLO does not list it, and the command is 502 5.5.1."""
    client = wire(mail_pair.jaku)
    assert "STARTTLS" not in client.hello().text
    assert codes(rule.reply(client.ask(b"STARTTLS"), to="not offered")) == "502 5.5.1"


def test_c67_offered(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """EHLO lists it, the command is 220, and what follows is encrypted."""
    network, server = jaku(mail_network)
    client = wire(server)
    assert "STARTTLS" in client.hello().text.split("\n")
    assert rule.reply(client.ask(b"STARTTLS"), to="offered").code == 220
    client.starttls(network.client_context())
    client.hello()
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250
    [mail] = server.messages
    assert b" with ESMTPS id " in mail.raw


def test_c67_has_no_argument(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """501 5.5.4, and the session goes on in the clear."""
    client = wire(jaku(mail_network)[1])
    assert codes(rule.reply(client.ask(b"STARTTLS now"), to="with an argument")) == "501 5.5.4"
    assert client.ask(b"NOOP").code == 250


def test_c67_before_ehlo(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """503 5.5.1: it has not been offered yet."""
    client = wire(jaku(mail_network)[1], hello=False)
    client.reply()
    assert codes(rule.reply(client.ask(b"STARTTLS"), to="before EHLO")) == "503 5.5.1"


def test_c67_in_a_transaction(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """503 5.5.1, after MAIL and after RCPT; the transaction goes on."""
    _, server = jaku(mail_network)
    client = wire(server)
    assert client.ask(MAIL).code == 250
    assert codes(rule.reply(client.ask(b"STARTTLS"), to="in a transaction")) == "503 5.5.1"
    assert client.ask(b"RCPT TO:<obiwan@jaku.com>").code == 250
    assert codes(rule.reply(client.ask(b"STARTTLS"), to="in a transaction")) == "503 5.5.1"
    assert client.data(LETTER).code == 250
    assert len(server.messages) == 1


def test_c67_required(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Without TLS MAIL is 530 5.7.0; NOOP, EHLO and QUIT are not."""
    network, server = jaku(mail_network, "required")
    client = wire(server)
    assert codes(rule.reply(client.ask(MAIL), to="MAIL, where TLS is required")) == "530 5.7.0"
    assert client.ask(b"NOOP").code == 250
    assert client.ask(b"STARTTLS").code == 220
    client.starttls(network.client_context())
    client.hello()
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250
    assert wire(server).ask(b"QUIT").code == 221


def test_c67_implicit(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """TLS from the first octet on: the greeting is encrypted, STARTTLS is not offered, and 503 all the same."""
    network, server = jaku(mail_network, "implicit")
    client = wire(server, tls=network.client_context())
    assert "STARTTLS" not in client.hello().text
    assert codes(rule.reply(client.ask(b"STARTTLS"), to="in TLS")) == "503 5.5.1"
    client.open("obiwan@jaku.com")
    assert client.data(LETTER).code == 250
    assert b" with ESMTPS id " in server.messages[0].raw


def test_c67_implicit_is_not_spoken_in_the_clear(mail_network: MailNetwork, rule: Notes) -> None:
    """A client that does not begin with a handshake is dropped, unheard."""
    _, server = jaku(mail_network, "implicit")
    with socket.create_connection((server.host, server.port), timeout=15) as client:
        client.sendall(b"EHLO client.example\r\n" + WHOLE_MAIL)
        assert b"250" not in until_closed(client)
    assert server.messages == []
    rule.observed("closes the connection of a client that speaks in the clear where TLS is implicit")


@pytest.mark.parametrize("tls", ["offered", "implicit"])
@pytest.mark.parametrize("what", ["nothing", "garbage", "half_a_hello", "hang_up"])
def test_c67_a_handshake_that_fails(mail_network: MailNetwork, rule: Notes, tls: Tls, what: str) -> None:
    """Whoever has begun TLS and does not go on with it is dropped, and holds no slot any longer: the only one there is
    serves the next client."""
    network, server = jaku(mail_network, tls, Limits(connections=1, idle=0.5))
    with Departures.watched() as departures:
        with socket.create_connection((server.host, server.port), timeout=15) as client:
            if tls == "offered":
                client.sendall(b"EHLO client.example\r\nSTARTTLS\r\n")
                until(client, b"220 2.0.0")
            client.sendall(
                {"garbage": b"\x16garbage\r\n" * 10, "half_a_hello": b"\x16\x03\x01\x02\x00\x01"}.get(what, b"")
            )
            if what != "hang_up":
                until_closed(client)
        departures.wait()
    assert held(server) == 0
    rule.observed("closes the connection when the handshake fails")
    with socket.create_connection((server.host, server.port), timeout=15) as client:
        if tls == "implicit":
            client = network.client_context().wrap_socket(client, server_hostname="localhost")
        until(client, b"220 smtp.jaku.com")
        client.close()


# -- C68: what is forgotten at the upgrade ----------------------------------------------------------------------------


def test_c68_ehlo_is_needed_again(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """After the handshake MAIL is 503 5.5.1 until EHLO, and the name of the first EHLO is forgotten."""
    network, server = jaku(mail_network)
    client = wire(server, hello=False)
    client.reply()
    client.hello(b"in-the-clear.example")
    client.ask(b"STARTTLS")
    client.starttls(network.client_context())
    assert codes(rule.reply(client.ask(MAIL), to="MAIL after the handshake")) == "503 5.5.1"
    client.hello(b"encrypted.example")
    client.open("obiwan@jaku.com")
    client.data(LETTER)
    [mail] = server.messages
    assert b"from encrypted.example " in mail.raw
    assert b"in-the-clear.example" not in mail.raw


def test_c68_not_offered_again(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """In TLS EHLO does not list STARTTLS, and a second one is 503 5.5.1."""
    network, server = jaku(mail_network)
    client = wire(server)
    client.ask(b"STARTTLS")
    client.starttls(network.client_context())
    assert "STARTTLS" not in client.hello().text
    assert codes(rule.reply(client.ask(b"STARTTLS"), to="a second STARTTLS")) == "503 5.5.1"
    assert client.ask(b"NOOP").code == 250


@pytest.mark.parametrize(
    "injected", [b"EHLO evil.example\r\n", b"NOOP\r\n", WHOLE_MAIL, b"EHLO evil.example\r\n" + WHOLE_MAIL]
)
def test_c68_commands_in_the_clear_are_dropped(
    mail_network: MailNetwork, wire: Connect, rule: Notes, injected: bytes
) -> None:
    """What comes in the segment of STARTTLS, after it, is never executed: anybody could have put it there
    (CVE-2011-0411)."""
    network, server = jaku(mail_network)
    client = wire(server)
    client.say(b"STARTTLS\r\n" + injected)
    assert client.reply().code == 220
    client.starttls(network.client_context())
    assert client.ask(MAIL).code == 503, "the injected EHLO counts"
    assert client.hello(b"client.example").text.startswith("smtp.jaku.com")
    assert client.ask(b"RSET").text.startswith("reset"), "there is a reply to what was injected"
    client.open("obiwan@jaku.com")
    client.data(LETTER)
    assert [mail.subject for mail in server.messages] == ["Hello"]
    rule.observed("commands sent after STARTTLS in the clear are dropped")


def test_c68_commands_in_every_buffer_are_dropped(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """More than is looked at in one piece, and all of it received before the handshake: what waits behind that piece is
    dropped as well."""
    network, server = jaku(mail_network)
    client = wire(server)
    received(server, b"STARTTLS\r\n" + b"NOOP\r\n" * 15_000 + b"EHLO evil.example\r\n" + WHOLE_MAIL)
    assert client.reply().code == 220
    client.starttls(network.client_context())
    assert client.ask(MAIL).code == 503
    client.hello()
    assert client.ask(b"RSET").text.startswith("reset")
    assert server.messages == []
    rule.observed("commands sent after STARTTLS in the clear are dropped")


def received(server: Server, octets: bytes) -> None:
    """As if its only client had sent these, and the system had given them out at once."""

    async def receive() -> None:
        assert server._running is not None
        [session] = server._running._house.sessions
        session.data_received(octets)

    background.run(receive())


def test_c68_nothing_is_remembered(rule: Notes) -> None:
    """The conversation itself begins anew: no name, no protocol, no offers."""
    talk = Conversation(Rules("a.test", 1000, Limits(), starttls=True), door=None)  # type: ignore[arg-type]  # unused
    for line in (b"EHLO in-the-clear.example", b"STARTTLS"):
        talk.command(line)
    talk.secured()
    assert (talk.client, talk.with_protocol, talk.authenticating) == ("", "SMTP", False)
    rule.observed("the name of the client is forgotten")


def test_c68_a_flood_in_the_clear_is_not_executed(mail_network: MailNetwork, rule: Notes) -> None:
    """More than a buffer holds: then the flood is taken for a handshake, and that is the end."""
    _, server = jaku(mail_network)
    with socket.create_connection((server.host, server.port), timeout=15) as client:
        client.sendall(b"EHLO client.example\r\nSTARTTLS\r\n")
        until(client, b"220 2.0.0")
        with contextlib.suppress(ConnectionError):
            client.sendall(b"NOOP\r\n" * 100_000 + WHOLE_MAIL)
        assert b"250" not in until_closed(client)
    assert server.messages == []
    rule.observed("commands sent after STARTTLS in the clear are dropped")


def test_c68_replies_in_the_clear_are_dropped(mail_network: MailNetwork, rule: Notes) -> None:
    """Towards a next hop: what comes in the segment of its 220, after it, is not taken for the reply to the EHLO in
    TLS; nor are extensions that were offered in the clear believed any longer."""
    injected = b"250-evil.example\r\n250-SIZE 7\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n250 OK\r\n"
    with TlsHop(context("127.0.0.1"), go=b"220 go ahead\r\n" + injected) as hop:
        network = mail_network("jaku.com", routes={"hop.test": {"hop": hop.address, "tls": "required"}})
        network["jaku.com"].send("leia@hop.test", subject="Onward", sender="luke@jaku.com")
        network.settle()
    [said] = hop.connections
    assert said.clear == [b"EHLO smtp.jaku.com\r\n", b"STARTTLS\r\n"]
    assert said.secret[:2] == [b"EHLO smtp.jaku.com\r\n", b"MAIL FROM:<luke@jaku.com>\r\n"]
    assert len(said.contents) == 1
    rule.observed("replies that come after the 220 to STARTTLS in the clear are dropped")


def until(client: socket.socket, words: bytes) -> bytes:
    """Read up to the line that begins so."""
    said = b""
    while words not in said or not said.endswith(b"\r\n"):
        more = client.recv(1 << 16)
        assert more, f"closed after {said!r}"
        said += more
    return said


def until_closed(client: socket.socket) -> bytes:
    """Read all that is left; a reset ends it too."""
    said = b""
    try:
        while more := client.recv(1 << 16):
            said += more
    except ConnectionError:
        pass
    return said
