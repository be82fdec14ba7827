"""A recorded session said again, to the same server and to others."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smtp_pair import Domain, Server
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.replay import ReplayError, load, replay
from smtp_pair.transcript import Transcript, diff, dumps

MAIL = "Subject: Hi\r\n\r\n.a line with a dot\r\n"


@pytest.fixture
def server(mail_network: MailNetwork) -> Server:
    return mail_network(Domain("a.test", tls="offered", auth={"luke": "secret"}))["a.test"]


def send(server: Server, *, tls: bool = False) -> Transcript:
    from smtp_pair.tls import client_context

    with smtplib.SMTP(server.host, server.port, local_hostname="client.test") as client:
        if tls:
            client.starttls(context=client_context())
        client.sendmail("me@a.test", ["you@a.test"], MAIL)
    return server.transcripts[-1]


def say(server: Server, *groups: bytes) -> Transcript:
    """Groups of octets, each sent when something was answered to the one before."""
    with socket.create_connection((server.host, server.port), 10) as sock:
        for group in groups:
            sock.recv(1 << 16)
            sock.sendall(group)
        while sock.recv(1 << 16):
            pass
    return server.transcripts[-1]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "TLS"])
def test_the_same_is_said_and_answered(server: Server, tls: bool) -> None:
    """To the same server: no difference, and a second mail of the same octets; under TLS too."""
    before = send(server, tls=tls)
    after = replay(before, server.host, server.port)
    assert diff(before, after) == ""
    first, second = server.messages
    assert first.content == second.content == MAIL.encode()
    assert server.transcripts[-1].client == "client 2"


def test_a_pipelined_group_stays_one(server: Server) -> None:
    """It is said at once, and its replies come together."""
    before = say(
        server,
        b"EHLO x\r\n",
        b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@a.test>\r\nRCPT TO:<y@a.test>\r\nDATA\r\n",
        b"Hi\r\n.\r\nQUIT\r\n",
    )
    after = replay(before, server.host, server.port)
    assert diff(before, after) == ""
    assert [mail.content for mail in server.messages] == [b"Hi\r\n"] * 2


def test_chunks_are_chunks_again(server: Server) -> None:
    """BDAT: each with the octets it had."""
    group = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@a.test>\r\nBDAT 5\r\nHi\r\n.BDAT 5 LAST\r\nHo!\r\nQUIT\r\n"
    before = say(server, b"EHLO x\r\n", group)
    after = replay(before, server.host, server.port)
    assert diff(before, after) == ""
    assert [mail.content for mail in server.messages] == [b"Hi\r\n.Ho!\r\n"] * 2


def test_another_server_may_answer_otherwise(server: Server, mail_network: MailNetwork) -> None:
    """The difference shows where; a mail that is not wanted is not sent."""
    before = send(server)
    other = mail_network(Domain("a.test", hostname="smtp.a.test", users=["me"], auth={"luke": "secret"}, tls="offered"))
    after = replay(before, other["a.test"].host, other["a.test"].port)
    changes = [line for line in diff(before, after).splitlines()[2:] if line[0] in "+-"]
    assert changes[:2] == ["-  reply: 250 2.1.5 recipient taken", "+  reply: 550 5.1.1 no such user here: <you@a.test>"]
    assert after.notes == ["the mail is not wanted"]
    assert other["a.test"].messages == []


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], tuple[str, int]]]:
    """A server that says one thing, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def start(words: bytes) -> tuple[str, int]:
            def serve() -> None:
                client, _ = listener.accept()
                with client:
                    client.sendall(words)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(1 << 16):
                        pass

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            host, port = listener.getsockname()
            return host, port

        threads: list[threading.Thread] = []
        yield start
        for thread in threads:
            thread.join()


def test_a_server_that_hangs_up(server: Server, answering: Callable[[bytes], tuple[str, int]]) -> None:
    """The transcript goes as far as it came, and says why."""
    after = replay(send(server), *answering(b"220 other\r\n250-half"))
    assert after.replies == ["220 other"]
    assert after.notes == ["the server hung up"]


def test_a_server_that_says_nothing(server: Server) -> None:
    """The wait has an end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        after = replay(send(server), *silent.getsockname(), timeout=0.01)
    assert after.notes == ["no reply within 0.01 s"]


def test_secrets_can_not_be_said_again(server: Server) -> None:
    """They are not there; nothing is said at all."""
    from smtp_pair.tls import client_context

    with smtplib.SMTP(server.host, server.port) as client:
        client.starttls(context=client_context())
        client.login("luke", "secret")
    with pytest.raises(ReplayError, match="'AUTH PLAIN ...' can't be said again: secrets are not kept"):
        replay(server.transcripts[-1], server.host, server.port)
    assert len(server.transcripts) == 1


def test_what_is_not_kept_can_not_be_said_again(server: Server) -> None:
    """A body that was too big, a line that was too long, a mail whose line ends were mended after it came in chunks."""
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("me@a.test", ["you@a.test"], MAIL + "x" * 70_000)
    mended = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@a.test>\r\nBDAT 3 LAST\r\nHi\nQUIT\r\n"
    said = [server.transcripts[-1], say(server, b"X" * 3000 + b"\r\nQUIT\r\n"), say(server, b"EHLO x\r\n", mended)]
    for one, why in zip(said, ("octets, was not kept: it is too big", "not kept whole", "were mended"), strict=True):
        with pytest.raises(ReplayError, match=why):
            replay(one, server.host, server.port)


def test_from_a_folder_of_results(server: Server, tmp_path: Path) -> None:
    """As a failing test keeps them: with the bodies that are there."""
    before = send(server)
    (tmp_path / "transcript.jsonl").write_bytes(dumps([before]))
    [folded] = load(tmp_path)
    with pytest.raises(ReplayError, match="was not kept"):
        replay(folded, server.host, server.port)
    [body] = [event for event in before.events if event.kind == "body"]
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / f"{body.sha256}.eml").write_bytes(MAIL.encode())
    [whole] = load(tmp_path)
    assert diff(before, replay(whole, server.host, server.port)) == ""


def test_nobody_listens(server: Server) -> None:
    """An OSError, as of any client."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
    with pytest.raises(ConnectionRefusedError):
        replay(send(server), *address)
