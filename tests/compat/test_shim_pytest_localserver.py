"""pytest-localserver's face: what a suite that was written for it relies on, beyond what its own tests ask."""

from __future__ import annotations

import smtplib
import socket

import pytest

from smtp_pair.compat.pytest_localserver import Server, smtpserver

__all__ = ["smtpserver"]  # a fixture


def send(server: Server, subject: str) -> tuple[str, int]:
    with smtplib.SMTP(*server.addr, local_hostname="c.test") as client:
        assert client.sock is not None
        name: tuple[str, int] = client.sock.getsockname()[:2]
        client.sendmail("a@one.test", ["b@two.test", "c@three.test"], f"Subject: {subject}\r\n\r\nThere.\r\n")
    return name


def test_a_message_has_details(smtpserver: Server) -> None:
    """Peer, sender and recipients; the mail itself is as its client sent it."""
    client = send(smtpserver, "One")
    (message,) = smtpserver.outbox
    assert message.items() == [("Subject", "One")]
    details = message.details
    assert (details.peer, details.mailfrom, details.rcpttos) == (client, "a@one.test", ["b@two.test", "c@three.test"])


def test_the_outbox_is_one_list_to_keep_and_to_empty(smtpserver: Server) -> None:
    """Whoever holds it sees what comes later; what was taken out does not come back."""
    box = smtpserver.outbox
    assert box == []
    for subject in ("One", "Two", "Three"):
        send(smtpserver, subject)
    assert [message["Subject"] for message in box] == ["One", "Two", "Three"]
    assert box.pop(0)["Subject"] == "One"
    assert [message["Subject"] for message in box[:]] == ["Two", "Three"]
    del box[:]
    send(smtpserver, "Four")
    assert [message["Subject"] for message in smtpserver.outbox] == ["Four"]
    assert box == smtpserver.outbox


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_start_and_stop(host: str) -> None:
    """On a free port or one's own; stopped twice, started again; what came stays."""
    server = Server(host)
    started = [server.is_alive()]
    server.start()
    started += [server.is_alive(), server.accepting]
    assert started == [False, True, True]
    assert server.addr == ("127.0.0.1", server.port)
    send(server, "Before")
    server.stop(timeout=1.0)
    server.stop()
    assert (server.accepting, server.is_alive()) == (False, False)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.addr, 1)
    server.start()
    send(server, "After")
    server.stop()
    assert [message["Subject"] for message in server.outbox] == ["Before", "After"]
