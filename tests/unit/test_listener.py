"""Listening sockets: the port is known and taken when the call returns, on both address families for localhost."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from smtp_pair import listener
from smtp_pair.acceptor import Acceptor
from smtp_pair.listener import Door, listen
from smtp_pair.mail.errors import StartError


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ports(sockets: list[socket.socket]) -> list[tuple[str, int]]:
    return [sock.getsockname()[:2] for sock in sockets]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", pytest.param("::1", marks=needs_ipv6)])
def test_a_client_can_connect_at_once(opened: ExitStack, host: str) -> None:
    """Before any loop has moved: the backlog holds it."""
    (sock,) = (opened.enter_context(one) for one in listen(host, 0, "smtp.a.test"))
    assert sock.getsockname()[0] == host
    assert sock.getsockname()[1] > 0
    with socket.create_connection(sock.getsockname()[:2], timeout=30) as client:
        assert client.getpeername()[:2] == sock.getsockname()[:2]


def test_a_socket_is_one_that_asyncio_does_right_by(opened: ExitStack) -> None:
    """proto is TCP's, not 0: with 0 asyncio leaves Nagle's algorithm on, and each mail takes 43 ms; it never blocks."""
    (sock,) = (opened.enter_context(one) for one in listen("127.0.0.1", 0, "smtp.a.test"))
    assert sock.proto == socket.IPPROTO_TCP
    assert sock.getblocking() is False


@needs_ipv6
def test_localhost_is_both_families_on_one_port(opened: ExitStack) -> None:
    """Whichever of the two a client's machine means by the name."""
    sockets = [opened.enter_context(sock) for sock in listen("localhost", 0, "smtp.a.test")]
    (first, port), second = ports(sockets)
    assert (first, second) == ("127.0.0.1", ("::1", port))
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, port), timeout=30) as client:
            assert client.getpeername()[:2] == (address, port)


def test_a_port_in_use_is_named(opened: ExitStack) -> None:
    """At once, with the host, the port and the system's number; nothing is left open."""
    (taken,) = (opened.enter_context(one) for one in listen("127.0.0.1", 0, "smtp.a.test"))
    port = taken.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(StartError) as refused:
            listen(host, port, "smtp.b.test")
        assert str(refused.value) == f"smtp.b.test can't listen on 127.0.0.1:{port}: the port is in use"
        assert refused.value.errno == errno.EADDRINUSE


@needs_ipv6
def test_a_port_that_is_free_on_one_family_only(opened: ExitStack) -> None:
    """A port that was asked for is refused, and given up on the other family; one that was not is chosen again."""
    (taken,) = (opened.enter_context(one) for one in listen("::1", 0, "smtp.a.test"))
    port = taken.getsockname()[1]
    with pytest.raises(StartError, match=rf"can't listen on \[::1\]:{port}: the port is in use"):
        listen("localhost", port, "smtp.b.test")
    (free,) = (opened.enter_context(one) for one in listen("127.0.0.1", port, "smtp.b.test"))
    assert free.getsockname()[1] == port


def test_a_free_port_is_looked_for_until_both_families_have_it(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that was free on IPv4 alone is given up again; after so many it is an error, not an endless search."""
    made: list[socket.socket] = []
    real, refuse = listener._socket, 3

    def scarce(host: str, port: int, whose: str) -> socket.socket:
        nonlocal refuse
        if host == "::1" and refuse:
            refuse -= 1
            raise StartError(errno.EADDRINUSE, "the port is in use")
        made.append(real("127.0.0.1", port if host != "::1" else 0, whose))
        return made[-1]

    monkeypatch.setattr(listener, "_socket", scarce)
    sockets = [opened.enter_context(sock) for sock in listen("localhost", 0, "smtp.a.test")]
    assert sockets == made[-2:]
    assert [sock.fileno() for sock in made[:-2]] == [-1] * 3
    refuse = 1000
    with pytest.raises(StartError, match="in use"):
        listen("localhost", 0, "smtp.a.test")
    assert all(sock.fileno() == -1 for sock in made if sock not in sockets)


@pytest.mark.parametrize("reason", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_machine_without_ipv6(opened: ExitStack, monkeypatch: pytest.MonkeyPatch, reason: int) -> None:
    """localhost is IPv4 there."""
    real = listener._socket

    def ipv4_only(host: str, port: int, whose: str) -> socket.socket:
        if host == "::1":
            raise StartError(reason, "no IPv6")
        return real(host, port, whose)

    monkeypatch.setattr(listener, "_socket", ipv4_only)
    (sock,) = (opened.enter_context(one) for one in listen("localhost", 0, "smtp.a.test"))
    assert sock.getsockname()[0] == "127.0.0.1"


def test_an_address_that_is_not_ours() -> None:
    """Is named with the system's reason (192.0.2.0/24 is for documentation, RFC 5737)."""
    with pytest.raises(StartError, match=r"smtp.a.test can't listen on 192.0.2.1:0: .+"):
        listen("192.0.2.1", 0, "smtp.a.test")


def test_old_connections_do_not_block_a_restart() -> None:
    """The port can be taken again although a connection to it lingers (TIME_WAIT)."""
    (sock,) = listen("127.0.0.1", 0, "smtp.a.test")
    address = sock.getsockname()
    with closing(socket.create_connection(address, timeout=30)) as client:
        sock.setblocking(True)
        accepted, _ = sock.accept()
        accepted.close()  # our side closes first: it is the one that lingers
        assert client.recv(1) == b""
    sock.close()
    (again,) = listen("127.0.0.1", address[1], "smtp.a.test")
    assert again.getsockname() == address
    again.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port can't be bound twice, or is shared")
def test_a_door_that_somebody_else_has_opened() -> None:
    """A port that is shut is only kept from those who ask nicely: it is named, and can be opened once it is free."""

    def acceptor() -> Acceptor:
        raise AssertionError("nobody is to arrive")

    door = Door(listen("127.0.0.1", 0, "smtp.a.test"), "smtp.a.test", acceptor)
    door.shut_or_reopen(shut=True)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", door.port))
        other.listen()
        with pytest.raises(StartError, match=f"smtp.a.test can't listen on 127.0.0.1:{door.port}: the port is in use"):
            door.shut_or_reopen(shut=False)
        assert door.shut
    door.shut_or_reopen(shut=False)
    with closing(socket.create_connection(("127.0.0.1", door.port), timeout=30)):
        door.close()
