"""What is asked of a connection itself."""

from __future__ import annotations

import asyncio
import smtplib
import socket

import pytest

from smtp_pair import Domain, Network, Pair, StartError, background
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.session import Session
from smtp_pair.smtp_client import SmtpClient


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that servers accepted, as asyncio handed them out."""
    sockets: list[socket.socket] = []
    stock = Session.connection_made

    def connection_made(session: Session, transport: asyncio.BaseTransport) -> None:
        sockets.append(transport.get_extra_info("socket"))
        stock(session, transport)

    monkeypatch.setattr(Session, "connection_made", connection_made)
    return sockets


def nodelay(sock: socket.socket) -> bool:
    async def look() -> bool:  # on the loop's thread, to which the socket belongs
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    return background.run(look())


@pytest.fixture
def both_families(mail_network: MailNetwork) -> Network:
    """A network that listens on IPv4 and IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error.strerror}")
    return mail_network("a.test", host="localhost")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_delay_on_accepted_connections(both_families: Network, accepted: list[socket.socket], host: str) -> None:
    """TCP_NODELAY is on for a connection that was accepted, in both families: where Nagle's algorithm is left on, each
    mail takes 43 ms instead of one."""
    with smtplib.SMTP(host, both_families["a.test"].port, local_hostname="client.example") as client:
        assert client.noop()[0] == 250
        (sock,) = accepted
        assert sock.family == (socket.AF_INET6 if ":" in host else socket.AF_INET)
        assert nodelay(sock)


def test_no_delay_towards_the_next_server(mail_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection on which a mail is passed on has it on as well, at both ends."""
    seen: list[bool] = []
    stock = SmtpClient.send

    async def send(client: SmtpClient, *args: object) -> object:
        sock = client._connection.transport.get_extra_info("socket")
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
        return await stock(client, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(SmtpClient, "send", send)
    mail_pair.jaku.send("vader@deathstar.com")
    mail_pair.deathstar.wait_for()
    assert seen == [True]


def test_a_port_belongs_to_one_server(mail_pair: Pair, mail_network: MailNetwork) -> None:
    """Two servers never share a port: who asks for one that is taken is told so."""
    taken = mail_pair.jaku.port
    with pytest.raises(StartError, match=f"smtp.a.test can't listen on 127.0.0.1:{taken}: the port is in use"):
        mail_network(Domain("a.test", port=taken))
