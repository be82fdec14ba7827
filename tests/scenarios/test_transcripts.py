"""What is recorded of real sessions: all that is said, who says it, and how it ends."""

from __future__ import annotations

import smtplib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smtp_pair import Domain, Network, Pair, Server
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.transcript import Transcript, diff, normal

OPEN = b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@jaku.com>\r\n"
SECRETS = ("AGx1a2UAczNjcjN0", "czNjcjN0", "bHVrZQ==", "s3cr3t")


@pytest.fixture
def connect() -> Iterator[Callable[[Server], socket.socket]]:
    """Connects, and has read the greeting."""
    sockets: list[socket.socket] = []

    def open_one(server: Server) -> socket.socket:
        sockets.append(socket.create_connection((server.host, server.port), 10))
        assert sockets[-1].recv(1000).startswith(b"220 ")
        return sockets[-1]

    yield open_one
    for sock in sockets:
        sock.close()


def ended(server: Server) -> Transcript:
    """The last session of a server, once nothing of it runs any more."""
    session = next(iter(server._running._house.sessions), None)  # type: ignore[union-attr]
    if session is not None:
        from smtp_pair import background

        background.run(session.ended())
    return server.transcripts[-1]


def test_both_sides_of_a_hop(mail_pair: Pair) -> None:
    """What is passed on is told by the server that took it, once; the body is the same, the trace field is told of."""
    mail_pair.jaku.send("vader@deathstar.com")
    mail = mail_pair.deathstar.wait_for(to="vader@deathstar.com")
    [first], [second] = mail_pair.jaku.transcripts, mail_pair.deathstar.transcripts
    assert (first.client, first.server, first.relayed) == ("client 1", "smtp.jaku.com", False)
    assert (second.client, second.server, second.relayed) == ("smtp.jaku.com", "smtp.deathstar.com", True)
    assert mail_pair.transcripts == [first, second]
    bodies = [event for one in (first, second) for event in one.events if event.kind == "body"]
    assert [(body.sha256, body.size, body.hops) for body in bodies] == [
        (mail.sha256, len(mail.content), 0),
        (mail.sha256, len(mail.content), 1),
    ]


def test_a_kept_connection_is_told_after_a_fresh_start(mail_pair: Pair) -> None:
    """What is said over it from then on, and nothing of before."""
    for turn in range(3):
        with mail_pair.fresh():
            mail_pair.jaku.send("vader@deathstar.com", sender=f"turn{turn}@example.org")
            mail_pair.deathstar.wait_for(to="vader@deathstar.com")
            [said] = mail_pair.deathstar.transcripts
            assert said.client == "smtp.jaku.com"
            [sender] = [line for line in said.commands if line.startswith("MAIL")]
            assert f"<turn{turn}@example.org>" in sender
            assert [one.client for one in mail_pair.jaku.transcripts] == ["client 1"]


def test_all_is_there_when_the_mail_is(mail_pair: Pair) -> None:
    """The 250 to a mail is recorded before anybody can see the mail; QUIT is, with its answer, before the client has
    it."""
    for number in range(20):
        mail_pair.jaku.send("luke@jaku.com", subject=str(number))
        assert mail_pair.jaku.transcripts[-1].replies[-2].startswith("250 2.0.0 taken as ")
        assert mail_pair.jaku.transcripts[-1].replies[-1] == "221 2.0.0 bye"


def test_under_tls_and_without_secrets(mail_network: MailNetwork) -> None:
    """Plain text after the handshake, which is noted; nothing of a password, whoever says it when."""
    network = mail_network(Domain("a.test", tls="offered", auth={"luke": "s3cr3t"}), "b.test")
    server = network["a.test"]
    with smtplib.SMTP(server.host, server.port) as client:
        client.ehlo()
        for line in (
            "AUTH LOGIN",
            "bHVrZQ==",
            "czNjcjN0",
            "AUTH PLAIN AGx1a2UAczNjcjN0",
            " AUTH PLAIN AGx1a2UAczNjcjN0",
        ):
            assert client.docmd(line)[0] >= 500  # too early
        client.starttls(context=network.client_context())
        client.ehlo()
        assert client.docmd("AUTH LOGIN")[0] == 334
        assert client.docmd("*")[0] == 501
        client.login("luke", "s3cr3t")
        client.sendmail("luke@a.test", ["leia@b.test"], "Subject: Hi\r\n\r\nText.")
    said = server.transcripts[0]
    assert said.notes[0].startswith("TLSv1.")
    assert "*" in said.commands
    assert "AUTH PLAIN ***" in said.commands
    assert "rcpt TO:<leia@b.test>" in said.commands
    assert [secret for secret in SECRETS if secret in str(network.transcripts)] == []


def test_our_own_password_is_a_secret_too(mail_network: MailNetwork) -> None:
    """What the relay says to a next hop of another network that wants one."""
    far = mail_network(Domain("far.test", auth={"luke": "s3cr3t"}, auth_required=True))
    route = {"hop": far["far.test"].address, "user": "luke", "password": "s3cr3t"}
    near = mail_network("a.test", routes={"far.test": route})
    near["a.test"].send("leia@far.test")
    far["far.test"].wait_for(to="leia@far.test")
    near.settle()
    theirs, ours = far["far.test"].transcripts[0], near["a.test"].transcripts[-1]
    assert (ours.client, ours.server) == ("smtp.a.test", "the next hop of far.test")
    assert "AUTH PLAIN ***" in ours.commands
    # a stranger to the other network: it has a number there; all else is the same from both ends
    assert theirs.client == "client 1"
    assert ours.commands == theirs.commands
    assert ours.replies == theirs.replies
    assert [secret for secret in SECRETS if secret in str(ours) + str(theirs)] == []


def test_a_handshake_that_fails(mail_network: MailNetwork) -> None:
    """It is noted, with the reason."""
    server = mail_network(Domain("a.test", tls="offered"))["a.test"]
    with smtplib.SMTP(server.host, server.port) as client:
        with pytest.raises(ssl.SSLError):
            client.starttls(context=ssl.create_default_context())
    [note] = ended(server).notes
    assert note.startswith("no TLS: ")
    assert "UNKNOWN_CA" in note


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (b"", "the client hung up"),
        (OPEN + b"DATA\r\n", "the client hung up in the middle of a mail"),
        (OPEN + b"BDAT 9\r\nx", "the client hung up in the middle of a mail"),
    ],
    ids=["between commands", "in DATA", "in BDAT"],
)
def test_a_client_that_hangs_up(
    server: Server, connect: Callable[[Server], socket.socket], words: bytes, note: str
) -> None:
    """Without QUIT; where it was is told."""
    sock = connect(server)
    sock.sendall(words)
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(1000):
        pass
    assert ended(server).notes == [note]


@pytest.fixture
def server(mail_pair: Pair) -> Server:
    return mail_pair.jaku


def test_a_connection_that_is_reset(server: Server, connect: Callable[[Server], socket.socket]) -> None:
    """The system's word for it."""
    sock = connect(server)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert ended(server).notes == ["the connection was lost: Connection reset by peer"]


def test_a_stop_is_told(mail_pair: Pair, connect: Callable[[Server], socket.socket]) -> None:
    """421 is among the replies: what is said last is there after the stop."""
    connect(mail_pair.jaku)
    mail_pair.stop()
    assert mail_pair.jaku.transcripts[-1].replies[-1].startswith("421 4.3.2 ")


def test_garbage(server: Server, connect: Callable[[Server], socket.socket]) -> None:
    """Any octets, as they came; shown without harm."""
    sock = connect(server)
    sock.sendall(b"\x00\xff\x1b[2J\r\nQUIT\r\n")
    while sock.recv(1000):
        pass
    said = ended(server)
    assert said.commands[0].encode("utf-8", "surrogateescape") == b"\x00\xff\x1b[2J"
    assert r"send: \x00\udcff\x1b[2J" in str(said)


def test_nobody_there(mail_network: MailNetwork) -> None:
    """A next hop that can't be reached has no side of its own to tell."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        network = mail_network("a.test", routes={"b.test": f"127.0.0.1:{closed.getsockname()[1]}"}, clock="manual")
        network["a.test"].send("ann@b.test")
        network.settle()
    said = network["a.test"].transcripts[-1]
    assert (said.client, said.server) == ("smtp.a.test", "the next hop of b.test")
    assert said.notes == ["no connection: Connection refused"]


@pytest.mark.parametrize("fault", ["NOOP drop", "NOOP reject 451", "NOOP delay 0.01", "NOOP garbage"])
def test_a_command_that_meets_a_fault(server: Server, connect: Callable[[Server], socket.socket], fault: str) -> None:
    """The command is told, and before what became of it: also where it got no answer."""
    server.faults.add(fault)
    client = connect(server)
    client.sendall(b"NOOP\r\n")
    client.recv(1000)
    client.close()
    said = [event.text for event in ended(server).events[1:3]]
    assert said[0] == "NOOP" and said[1].startswith("fault: NOOP ")


def test_a_mail_that_meets_a_fault(server: Server) -> None:
    """What a client sent before the connection was dropped at the dot is told, and kept."""
    server.faults.drop("dot")
    with pytest.raises(smtplib.SMTPServerDisconnected), smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("a@b.test", ["luke@jaku.com"], "Subject: x\r\n\r\nx\r\n")
    body, note = ended(server).events[-2:]
    assert (body.kind, body.content) == ("body", b"Subject: x\r\n\r\nx\r\n")
    assert note.text == "fault: dot drop"


def test_the_same_seed_gives_the_same_transcript(tmp_path: Path) -> None:
    """Delivery, a deferral, retries that take hours, a bounce: two runs differ in nothing but what the normal form
    leaves out."""

    def run(name: str) -> list[Transcript]:
        domains = (Domain("a.test", unreachable="bounce"), Domain("b.test", greylist=3600, users=["ann"]))
        with Network(*domains, directory=tmp_path / name, clock="manual", seed=7) as network:
            with smtplib.SMTP(network["a.test"].host, network["a.test"].port) as client:
                recipients = ["me@a.test", "ann@b.test", "bob@b.test", "x@nowhere.test"]
                client.sendmail("me@a.test", recipients, "Subject: Hi\r\n\r\nText.")
            network.clock.advance(hours=12)
            assert network["b.test"].wait_for(to="ann@b.test").hops == ["smtp.a.test", "smtp.b.test"]
            assert len(network["a.test"].messages) == 3
            return network.transcripts

    one, two = run("one"), run("two")
    assert diff(one, two) == ""
    assert str(one) != str(two)
    assert any("451 4.7.1" in line for line in normal(one))
