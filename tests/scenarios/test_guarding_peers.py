"""Peers that mean no good, on both sides of a server: browsers that were sent here, clients that flood and never read,
next hops that do not stop talking."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket

import pytest

from harness.departures import Departures, held
from harness.tls_hop import TlsHop, context
from harness.wire import Wire
from smtp_pair import Domain, Pair, Server, background
from smtp_pair.config import Limits, Retry
from smtp_pair.journal import read
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.session import Session

SMTP_IN_IT = (
    b"EHLO attacker.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<obiwan@jaku.com>\r\n"
    b"DATA\r\nSubject: From a browser\r\n\r\n.\r\nQUIT\r\n"
)


def answers(server: Server, octets: bytes) -> list[bytes]:
    """All that the server says until it closes, without its greeting; the octets go out at once."""
    with socket.create_connection((server.host, server.port), timeout=15) as client:
        client.sendall(octets)
        said = b""
        with contextlib.suppress(ConnectionError):
            while more := client.recv(1 << 16):
                said += more
    greeting, *rest = said.splitlines()
    assert greeting.startswith(b"220 ")
    return rest


# -- HTTP (the cross-protocol attack) ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        *(b"%b / HTTP/1.1" % verb for verb in b"GET POST PUT HEAD OPTIONS DELETE PATCH TRACE CONNECT".split()),
        b"get / HTTP/1.0",
        b"POST /" + b"a" * 20_000 + b" HTTP/1.1",
        b"GET /" + b"a" * 600 + b" HTTP/1.1",
        b"PROPFIND / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET /",
        b"POST",
    ],
    ids=lambda first: first[:12].decode().strip(),
)
def test_an_http_request_is_dropped(mail_pair: Pair, first: bytes) -> None:
    """One reply, 421, and the end: its header and its body, which are the attacker's, are never executed, though they
    come in the same segment."""
    request = first + b"\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(SMTP_IN_IT) + SMTP_IN_IT
    [answer] = answers(mail_pair.jaku, request)
    assert answer.startswith(b"421 4.7.0 ")
    mail_pair.settle()
    assert mail_pair.jaku.messages == []
    assert not mail_pair.jaku.directory.exists()


def test_nor_one_in_tls(mail_network: MailNetwork) -> None:
    """Browsers speak TLS too."""
    network = mail_network(Domain("jaku.com", tls="implicit"))
    server = network["jaku.com"]
    client = Wire(server.host, server.port, tls=network.client_context())
    with contextlib.closing(client):
        client.reply()
        client.say(b"POST / HTTP/1.1\r\n\r\n" + SMTP_IN_IT)
        assert client.reply().code == 421
        client.expect_close()
    assert server.messages == []


def test_a_handshake_in_the_clear(mail_pair: Pair) -> None:
    """A client that begins with TLS where nobody speaks it yet gets an error, not a mail."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n" + b"QUIT\r\n"
    *errors, last = answers(mail_pair.jaku, hello)
    assert errors
    assert all(answer.startswith(b"50") for answer in errors)
    assert last.startswith(b"221 ")


# -- clients that flood ------------------------------------------------------------------------------------------------


def memory(session: Session) -> int:
    """Octets that a session holds for its client, in both directions."""

    async def look() -> int:
        transport = session._writer.transport
        unread = len(session._unread) + len(session._reader._buffer)  # type: ignore[attr-defined]
        return unread + transport.get_write_buffer_size() + sum(map(len, session._unsent))

    return background.run(look())


def the_session(server: Server) -> Session:
    assert server._running is not None
    [session] = server._running._house.sessions
    return session


@pytest.mark.parametrize("command", [b"EHLO a\r\n", b"HELP\r\n", b"x\r\n", b"NOOP " + b"x" * 500 + b"\r\n"])
def test_whoever_does_not_read_fills_no_memory(mail_network: MailNetwork, command: bytes) -> None:
    """A client pipelines as much as goes in, and reads nothing: it is no longer read from, little is held for it, the
    honest ones are served meanwhile, and nothing was lost of what it may still read."""
    limits = Limits(commands=10**9, errors=10**9)
    server = mail_network(Domain("jaku.com", limits=limits))["jaku.com"]
    with narrow(server) as flood:
        flood.recv(1000)
        flood.setblocking(False)
        flooding = the_session(server)
        sent = blocked = 0
        group = command * 1000
        while blocked < 3:  # full, and still full after others were served
            try:
                sent += flood.send(group[sent % len(group) :])
                blocked = 0
            except BlockingIOError:
                blocked += 1
                server.send("obiwan@jaku.com", subject="Honest")
        assert memory(flooding) < 512 << 10
        assert {mail.subject for mail in server.messages} == {"Honest"}
        flood.setblocking(True)
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        flood.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: flood.recv(1 << 16), b""))
    assert said.count(b"\r\n") >= sent // len(command)


def narrow(server: Server) -> socket.socket:
    """A connection in which little can be under way: the system's own buffers hold megabytes else."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client.settimeout(15)
    client.connect((server.host, server.port))
    return client


def test_a_flood_of_commands_gives_others_their_turn(mail_network: MailNetwork) -> None:
    """Between one group of replies and the next everybody else is served: an honest command is answered while a client
    has thousands of commands left."""
    server = mail_network(Domain("jaku.com", limits=Limits(commands=10**9)))["jaku.com"]
    turns: list[int] = []
    with socket.create_connection((server.host, server.port), timeout=15) as flood:
        flood.recv(1000)
        session = the_session(server)

        async def count() -> None:
            """How much of the flood is left, at each turn of the loop."""
            flood.setblocking(False)
            flood.send(b"NOOP\r\n" * 8000)
            while len(turns) < 40:
                await asyncio.sleep(0)
                turns.append(len(session._unread))

        background.run(count())
    between = [before - after for before, after in itertools.pairwise(turns) if before > after]
    assert len(between) >= 20, "it went through without a pause"
    assert max(between) <= len(b"NOOP\r\n") * 101


def test_a_dribbling_client_holds_nobody_up(mail_pair: Pair) -> None:
    """Its mail comes octet by octet; fifty others are through before its end, and it arrives all the same."""
    server = mail_pair.jaku
    slow = b"EHLO a\r\nMAIL FROM:<slow@example.org>\r\nRCPT TO:<obiwan@jaku.com>\r\nDATA\r\n"
    with socket.create_connection((server.host, server.port), timeout=15) as client, client.makefile("rb") as said:
        client.sendall(slow)
        while not said.readline().startswith(b"354"):
            pass
        for number, octet in enumerate(b"Subject: Slow\r\n\r\nx\r\n.\r\n"):
            client.sendall(bytes([octet]))
            if number < 20:
                server.send("obiwan@jaku.com", subject=f"{number}")
        assert said.readline().startswith(b"250 ")
    assert [mail.subject for mail in server.messages] == [*map(str, range(20)), "Slow"]


def test_peers_that_leave_at_any_time(mail_pair: Pair) -> None:
    """Hung up or reset after each octet of a session: nothing is counted as open afterwards, and no half mail came."""
    session = b"EHLO a\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<obiwan@jaku.com>\r\nDATA\r\nSubject: x\r\n\r\n.\r"
    places = [*range(0, len(session), 3), len(session)]
    with Departures.watched() as departures:
        for place in places:
            client = socket.create_connection((mail_pair.jaku.host, mail_pair.jaku.port), timeout=15)
            if place % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
            client.sendall(session[:place])
            client.close()
        departures.wait(len(places))
    assert held(mail_pair.jaku) == 0
    assert mail_pair.jaku.messages == []


# -- next hops that do not stop talking --------------------------------------------------------------------------------

LINE = b"250-" + b"x" * 506 + b"\r\n"
_FILL = (1 << 15) - 50 * len(LINE)


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        (LINE * 63 + b"250 OK\r\n", "forwarded"),
        (LINE * 64 + b"250 OK\r\n", "deferred"),
        (LINE * 100_000, "deferred"),
        (b"250 " + b"x" * 32_000 + b"\r\n", "forwarded"),
        (b"250 " + b"x" * 33_000 + b"\r\n", "deferred"),
        (b"250 " + b"x" * 10_000_000, "deferred"),
    ],
    ids=["long", "too_long", "endless", "a_long_line", "a_line_too_long", "an_endless_line"],
)
def test_a_reply_that_does_not_end(mail_network: MailNetwork, answer: bytes, event: str) -> None:
    """32,768 octets of a next hop's reply are read; of a longer one no more is kept, the connection is dropped, and the
    mail put off."""
    with TlsHop(context("127.0.0.1"), answers={b"MAIL": answer}) as hop:
        network = mail_network(
            "jaku.com", routes={"hop.test": {"hop": hop.address, "tls": "off"}}, retry=Retry(first=3600)
        )
        network["jaku.com"].send("leia@hop.test")
        network.settle()
        _, fact = read(network["jaku.com"].directory)
        network.stop()
    assert fact.event == event
    assert len(fact.data["reply"]) < 1000
    assert len(hop.connections[0].contents) == (event == "forwarded")


def test_a_hop_that_speaks_unasked(mail_network: MailNetwork) -> None:
    """What it says after its reply to a mail would be taken for the reply to the next one's MAIL: that one goes over
    another connection, and both arrive."""
    with TlsHop(context("127.0.0.1"), final=b"250 OK\r\n250 OK\r\n550 no\r\n") as hop:
        network = mail_network("jaku.com", routes={"hop.test": {"hop": hop.address, "tls": "off"}})
        for _ in range(3):
            network["jaku.com"].send("leia@hop.test")
            network.settle()
        facts = read(network["jaku.com"].directory)
        network.stop()
    assert [fact.event for fact in facts] == ["received", "forwarded"] * 3
    assert [len(said.contents) for said in hop.connections] == [1, 1, 1]
