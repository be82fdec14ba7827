"""A command that comes alone is answered from where it came in, all else by the session's loop: nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.memory_transport import MemoryClient
from harness.stock import our_house
from smtp_pair.config import Limits
from smtp_pair.session import Session

MANY = settings(max_examples=4 * settings().max_examples)
LIMITS = Limits(errors=3, commands=12)
LINES = (
    b"EHLO client.example\r\n",
    b"HELO client.example\r\n",
    b"EHLO\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<a@b.example\n",
    b"mail from:<>\r\n",
    b"RCPT TO:<c@d.example>\r\n",
    b"RCPT TO:<nobody@d.example>\n",
    b"RSET\r\n",
    b"RSET x\r\n",
    b"NOOP\r\n",
    b"NOOP \xff\r\n",
    b"NOOP \r \r\n",
    b"MAIL " + b"x" * 13_000 + b"\r\n",
    b"VRFY x\r\n",
    b"AUTH PLAIN\r\n",
    b"*\r\n",
    b"\r\n",
    b"BDAT 6\r\n",
    b"GET / HTTP/1.1\r\n",
    b"QUIT\r\n",
)

Way = Callable[[MemoryClient, Sequence[bytes]], bytes]


def alone(client: MemoryClient, lines: Sequence[bytes]) -> bytes:
    return client.say(*lines)


def in_one_turn(client: MemoryClient, lines: Sequence[bytes]) -> bytes:
    """As TLS hands on what came in several records."""

    def all_of_them() -> None:
        for line in lines:
            client._protocol.data_received(line)

    client._do(all_of_them)
    return client.said()


def together(client: MemoryClient, lines: Sequence[bytes]) -> bytes:
    return client.say(b"".join(lines))


def in_pieces(client: MemoryClient, lines: Sequence[bytes]) -> bytes:
    octets = b"".join(lines)
    return client.say(*(octets[at : at + 17] for at in range(0, len(octets), 17)))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def heard(loop: asyncio.AbstractEventLoop, say: Way, lines: Sequence[bytes]) -> tuple[bytes, bool, list[str]]:
    """All that the session says, whether it is over, and which recipients were told of as refused."""
    refused: list[str] = []
    house = replace(our_house([], limits=LIMITS), refused=lambda *told: refused.append(told[2]))
    with MemoryClient(loop, Session(house, loop)) as client:
        client.said()
        said = say(client, lines)
        return said, client.transport.ended or client.transport.is_closing(), refused


@MANY
@given(st.lists(st.sampled_from(LINES), max_size=16))
@example([LINES[0], LINES[3], LINES[2], LINES[2], LINES[3], LINES[2]])
@example([LINES[8]] * 14)
def test_a_command_alone_is_answered_as_in_a_group(loop: asyncio.AbstractEventLoop, lines: list[bytes]) -> None:
    """The same words in the same order, the same end, the same recipients told of, however the commands come in."""
    expected = heard(loop, together, lines)
    for way in (alone, in_one_turn, in_pieces):
        assert heard(loop, way, lines) == expected, way.__name__


def test_who_reads_nothing_is_told_nothing_more(loop: asyncio.AbstractEventLoop) -> None:
    """Commands one by one from a client that does not read fill no memory with the replies to them."""
    house = our_house([])
    with MemoryClient(loop, Session(house, loop)) as client:
        client.say(LINES[0])
        client.transport.get_write_buffer_size = lambda: 1 << 20  # type: ignore[method-assign]
        client._do(client._protocol.pause_writing)
        told = client.say(*[b"NOOP\r\n"] * 50)
        assert told.count(b"\r\n") == 1
        del client.transport.get_write_buffer_size
        client._do(client._protocol.resume_writing)
        assert client.said().count(b"\r\n") == 49


def test_the_answer_is_there_before_the_loop_turns(loop: asyncio.AbstractEventLoop) -> None:
    """What makes it quick: nothing is woken up for it."""
    with MemoryClient(loop, Session(our_house([]), loop)) as client:
        client.say(LINES[0])
        client._protocol.data_received(LINES[3])
        assert client.said().startswith(b"250 2.1.0")
