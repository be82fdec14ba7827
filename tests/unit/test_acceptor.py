"""Connections are taken, in both ways in which a system lets us; nobody arrives at a socket that was closed."""

from __future__ import annotations

import asyncio
import errno
import logging
import queue
import selectors
import socket
import threading
from collections.abc import Iterator

import pytest

from smtp_pair import acceptor as module
from smtp_pair.acceptor import Acceptor
from smtp_pair.listener import listen

PATIENCE = 30.0
WAYS = [
    pytest.param(
        True,
        marks=pytest.mark.skipif(
            not hasattr(selectors.DefaultSelector, "fileno"), reason="this system's selector is no descriptor"
        ),
        id="one descriptor",
    ),
    pytest.param(False, id="a task each"),
]


@pytest.fixture(params=WAYS)
def acceptor(request: pytest.FixtureRequest) -> Iterator[Acceptor]:
    """One whose loop runs on a thread of its own."""
    loop = asyncio.new_event_loop()
    made = Acceptor(loop, nested=request.param)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    made.dispose()
    loop.close()


class Door:
    """A listening socket, and who arrived at it."""

    def __init__(self) -> None:
        (self.sock,) = listen("127.0.0.1", 0, "smtp.a.test")
        self.place = self.sock.getsockname()
        self.arrived: queue.Queue[tuple[socket.socket, str]] = queue.Queue()

    def arrive(self, wire: socket.socket) -> None:
        """Note whose thread it is on."""
        self.arrived.put((wire, threading.current_thread().name))

    def knock(self) -> socket.socket:
        """A client."""
        return socket.create_connection(self.place, PATIENCE)

    def answer(self) -> str:
        """Let one in, and wave it off; the thread it was let in by."""
        wire, thread = self.arrived.get(timeout=PATIENCE)
        wire.close()
        return thread


@pytest.fixture
def door(acceptor: Acceptor) -> Iterator[Door]:
    made = Door()
    yield made
    acceptor.close(made.sock)


def test_connections_arrive_on_the_loop(acceptor: Acceptor, door: Door) -> None:
    """Those that came before the socket was opened, and those that come after it."""
    with door.knock():
        acceptor.open(door.sock, door.arrive)
        with door.knock():
            threads = {door.answer(), door.answer()}
    assert threads - {threading.current_thread().name} == threads


def test_each_socket_has_its_own(acceptor: Acceptor, door: Door) -> None:
    """And closing one leaves the others open."""
    other = Door()
    acceptor.open(door.sock, door.arrive)
    acceptor.open(other.sock, other.arrive)
    with other.knock():
        other.answer()
    acceptor.close(other.sock)
    with door.knock():
        door.answer()
    assert other.arrived.empty()


def test_nobody_arrives_after_the_close(acceptor: Acceptor, door: Door) -> None:
    """When it returns the port is free, from whichever thread it was called; a second close does nothing."""
    acceptor.open(door.sock, door.arrive)
    with door.knock():
        door.answer()

    async def close() -> None:
        acceptor.close(door.sock)

    asyncio.run_coroutine_threadsafe(close(), acceptor._loop).result(PATIENCE)
    acceptor.close(door.sock)
    with pytest.raises(ConnectionRefusedError):
        door.knock()
    assert door.arrived.empty()


def test_one_that_is_closed_at_once(acceptor: Acceptor, door: Door) -> None:
    """On the loop's own thread nothing comes in between: it is never watched."""

    async def open_and_close() -> None:
        acceptor.open(door.sock, door.arrive)
        acceptor.close(door.sock)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run_coroutine_threadsafe(open_and_close(), acceptor._loop).result(PATIENCE)


def test_one_that_was_never_opened_is_closed(acceptor: Acceptor, door: Door) -> None:
    """As when a start fails half-way."""
    acceptor.close(door.sock)
    assert door.sock.fileno() == -1


def test_whoever_cannot_be_served_is_hung_up_on(
    acceptor: Acceptor, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in the log, and the next one is served."""
    once = iter([True])

    def fail_once(wire: socket.socket) -> None:
        if next(once, False):
            raise RuntimeError("broken")
        door.arrive(wire)

    acceptor.open(door.sock, fail_once)
    with door.knock() as client:
        assert client.recv(1) == b""
    with door.knock():
        door.answer()
    assert "could not be served" in caplog.text


class OutOfDescriptors(socket.socket):
    """A listening socket that can give no connection for a while."""

    failures = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.mark.parametrize("acceptor", WAYS[:1], indirect=True)
@pytest.mark.parametrize("closed", [False, True])
def test_no_descriptor_is_left(
    acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, closed: bool
) -> None:
    """The socket is left alone for a while, instead of being asked without end, and asked again then; it may be closed
    in the meantime."""
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    caplog.set_level(logging.ERROR)
    plain = Door()
    scarce = OutOfDescriptors(fileno=plain.sock.detach())
    scarce.setblocking(False)
    scarce.failures = 2
    acceptor.open(scarce, plain.arrive)
    with plain.knock():
        if closed:
            acceptor.close(scarce)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.02), acceptor._loop).result(PATIENCE)  # it is asked again
        else:
            plain.answer()
            acceptor.close(scarce)
            assert caplog.text.count("Too many open files") == 2
    assert "Traceback" not in caplog.text
