"""Ours and stock aiosmtpd answer alike, and take the same mails, wherever the rules leave no choice; each intended
difference is a line of ``harness/differences.py``, and really there."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison import ALIKE, Comparison, Mismatch
from harness.differences import DIFFERENCES, MAILS, Difference, MailDifference
from harness.exchange import Exchange
from harness.sessions import Group, Session, session
from harness.stock import MemoryPeer, SocketPeer, Taken, our_protocol, stock_protocol
from smtp_pair import background

Play = Callable[[Session, Counter[str]], None]
Protocols = Callable[[list[Taken], asyncio.AbstractEventLoop], asyncio.Protocol]

MANY = settings(max_examples=20 * settings().max_examples)
"""A thousand sessions, four thousand on CI."""
TABLE: tuple[Difference | MailDifference, ...] = (*DIFFERENCES, *MAILS)
SESSIONS = st.randoms(use_true_random=False).map(session)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Stock logs each command that it does not know, with a traceback some of the addresses."""
    log = logging.getLogger("mail.log")
    before, log.disabled = log.disabled, True
    yield
    log.disabled = before


@pytest.fixture
def play_in_memory() -> Iterator[Play]:
    """Plays a session to both in memory; gives what was seen."""
    loop = asyncio.new_event_loop()

    def play(groups: Session, seen: Counter[str]) -> None:
        peers = []
        for protocol in (our_protocol, stock_protocol):
            mails: list[Taken] = []
            peers.append(MemoryPeer(loop, protocol(mails, loop), mails))
        try:
            Comparison(peers[0], peers[1], seen).play(groups)
        finally:
            for peer in peers:
                peer.close()

    yield play
    loop.close()


@pytest.fixture
def play_over_sockets() -> Iterator[Play]:
    """Plays a session to both over the loopback."""
    mails: tuple[list[Taken], list[Taken]] = ([], [])
    both: tuple[Protocols, Protocols] = (our_protocol, stock_protocol)
    servers = [background.run(_serve(protocol, taken)) for protocol, taken in zip(both, mails, strict=True)]

    def play(groups: Session, seen: Counter[str]) -> None:
        peers = [
            SocketPeer(server.sockets[0].getsockname()[1], taken) for server, taken in zip(servers, mails, strict=True)
        ]
        try:
            Comparison(peers[0], peers[1], seen).play(groups)
        finally:
            for peer in peers:
                peer.close()
            for taken in mails:
                taken.clear()

    yield play
    background.run(_stop(servers))


async def _serve(protocol: Protocols, mails: list[Taken]) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(partial(protocol, mails, loop), "127.0.0.1", 0)


async def _stop(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)  # sessions whose client has hung up
    await asyncio.sleep(0)


def _played(play: Play, count: settings) -> Counter[str]:
    seen: Counter[str] = Counter()

    @count
    @given(SESSIONS)
    def alike(groups: list[Group]) -> None:
        play(groups, seen)

    alike()
    return seen


def test_sessions_in_random_chunks(play_in_memory: Play) -> None:
    """Thousands of sessions, valid, invalid and out of order, in random chunks: the same codes and the same mails, but
    for the differences that are listed; and these are not most of what was seen."""
    seen = _played(play_in_memory, MANY)
    assert seen[ALIKE] > 0.75 * seen.total()
    assert len(seen) > len(DIFFERENCES) / 2, "these sessions meet most of the differences"


def test_sessions_over_sockets(play_over_sockets: Play) -> None:
    """The same over real connections."""
    seen = _played(play_over_sockets, settings())
    assert seen[ALIKE] > 0.75 * seen.total()


@pytest.mark.parametrize("difference", [pytest.param(each, id=each.name) for each in TABLE])
def test_each_difference_is_there(play_in_memory: Play, difference: Difference | MailDifference) -> None:
    """No line of the table is stale: its witness shows it, and nothing else that it could be."""
    seen: Counter[str] = Counter()
    play_in_memory(difference.witness, seen)
    assert seen[difference.name] == 1
    assert set(seen) <= {ALIKE, difference.name}


def test_the_table_is_read_as_written() -> None:
    """No two lines have a name in common, and each names its rules."""
    names = [each.name for each in TABLE]
    assert all(one != other for one, other in pairwise(sorted(names)))
    assert all(each.rule == "Guarding" or each.rule.startswith("C") for each in TABLE)


@pytest.mark.parametrize(
    "exchange",
    [
        Exchange("command", b"NOOP\r\n", 500, 250),
        Exchange("command", b"MAIL FROM:<luke@jaku.com>\r\n", 501, 250, "EHLO"),
        Exchange("command", b"RCPT TO:<luke@jaku.com>\r\n", 501, 250, "EHLO", sender=True),
        Exchange("command", b"MAIL FROM:<luke@jaku.com> SIZE=1\r\n", 501, 250, "EHLO"),
        Exchange("command", b"MAIL FROM:<luke@jaku.com> FOO\r\n", 250, 555, "EHLO"),
        Exchange("command", b"DATA\r\n", 354, 503),
        Exchange("content", b"x\r\n.\r\n", 552, 250),
        Exchange("content", b"x\r\n.\r\n", 0, 250),
        Exchange("response", b"AHZhZGVyAGRhcmtzaWRl\r\n", 535, 235),
    ],
)
def test_nothing_else_is_excused(exchange: Exchange) -> None:
    """The table does not hide a mistake of ours in what is plainly right or plainly wrong."""
    assert not [each.name for each in DIFFERENCES if each.matches(exchange)]


def test_a_mail_that_differs_is_found(play_in_memory: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees a mail that one of the two has changed."""
    monkeypatch.setattr("smtp_pair.content.unstuff", lambda wire: wire)
    mail = Group((b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<a@b>\r\n", b"DATA\r\n"), b"..\r\n.\r\n")
    with pytest.raises(Mismatch, match="different mails"):
        play_in_memory([Group((b"EHLO x\r\n",)), mail], Counter())
