"""Clients that say anything, in any pieces, and are gone at any moment: every reply that is due comes, in order, and no
other octet; nothing is raised, logged as an error or left over; and the next client is served.

Bounded; ``tox run -e fuzz -- --minutes 5`` goes on for as long as it is told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import copy
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import fuzz
from harness.findings import Finding
from harness.fuzz_memory import MemoryTrial
from harness.fuzz_sockets import SocketTrial
from harness.scripts import ENDINGS, FRAGMENTS, Script, script, shortest
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import ORDER, Conversation
from smtp_pair.session import Session

MANY = settings(max_examples=10 * settings().max_examples)
"""Five hundred scripts, two thousand on CI."""

made = st.randoms(use_true_random=False).map(script)
# Pieces of a session that hypothesis puts together by itself, for it learns which of them lead to something new.
_octets = st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=20))
composed = st.builds(
    lambda pieces, ends: (*pieces, *ends),
    st.lists(st.lists(_octets, min_size=1, max_size=4).map(b"".join), max_size=12),
    st.lists(st.sampled_from(ENDINGS), max_size=1),
)


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryTrial]:
    with MemoryTrial() as trial:
        yield trial


@pytest.fixture(scope="module", params=[False, True], ids=["STARTTLS", "implicit TLS"])
def sockets(request: pytest.FixtureRequest) -> Iterator[SocketTrial]:
    with SocketTrial(implicit=request.param) as trial:
        yield trial


@MANY
@given(st.one_of(made, composed))
def test_any_client_in_memory(memory: MemoryTrial, script: Script) -> None:
    """Sessions in memory: every octet that is said was due."""
    memory.play(script)


@given(made)
def test_any_client_over_sockets(sockets: SocketTrial, script: Script) -> None:
    """A server over the loopback, with TLS, half closes and resets: the same; and no task or socket is left."""
    sockets.play(script)


GREETED = b"EHLO x\r\n"


@pytest.mark.parametrize(
    "script",
    [
        (GREETED, b"STARTTLS\r\n", b"\x16\x03\x01\x00\x05hello"),
        (GREETED, b"STARTTLS\r\nEHLO y\r\n", "TLS", b"MAIL FROM:<a@b>\r\n"),
        (GREETED, b"STARTTLS\r\n", "TLS", b"STARTTLS\r\n", GREETED, b"STARTTLS\r\n"),
        (GREETED, b"STARTTLS\r\n", "TLS", GREETED, b"AUTH PLAIN AHZhZGVyAGRhcmtzaWRl\r\n", "reset"),
        (GREETED, b"STARTTLS\r\n", "hang up"),
        (GREETED, b"STARTTLS\r\n", "half close"),
        (GREETED, b"STARTTLS\r\n", "reset"),
        (GREETED, b"STARTTLS\r\n", "half TLS"),
        ("half TLS",),
        ("hang up",),
        ("reset",),
        (GREETED, b"STARTTLS\r\n", "TLS", b"MAIL FROM:<a@b>\r\n", "hang up"),
        (GREETED, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", b"DATA\r\n", b"x\r\n.\r", "half close"),
        (GREETED, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", b"DATA\r\n", b"x\r\n.\r\n", "reset"),
        (GREETED, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n", GREETED),
        (GREETED, b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nBDAT 5 LAST\r\nabc", "half close"),
        (b"x" * 100_000, b"\r\n", GREETED),
        (b"NOOP\r\n" * 300,),
        (b"QUIT\r\nMAIL FROM:<a@b>\r\n",),
    ],
)
def test_clients_that_are_known(memory: MemoryTrial, sockets: SocketTrial, script: Script) -> None:
    """Those that are worth a test each, whatever the search meets."""
    memory.play(script)
    sockets.play(script)


# -- the search itself ----------------------------------------------------------------------------------------------


def test_a_reply_too_many_is_found(memory: MemoryTrial) -> None:
    """A server that answers twice; the script is made as short as can be."""
    obey = Session._obey

    def twice(session: Session, talk: Conversation, line: bytes, refusal: Reply | None = None) -> Reply | None:
        answer = copy(obey(session, talk, line, refusal))
        if answer is not None and b"still here" in answer.wire:
            object.__setattr__(answer, "wire", 2 * answer.wire)
        return answer

    with mock.patch.object(Session, "_obey", twice):
        long = (GREETED, b"RSET\r\nNOOP\r\nRSET\r\n", b"QUIT\r\n")
        with pytest.raises(Finding, match="still here"):
            memory.play(long)
        assert shortest(long, fuzz.fails(memory.play)) == (b"NOOP\n",)


def test_an_exception_is_found(memory: MemoryTrial, sockets: SocketTrial) -> None:
    """One that the session answers with 451 and logs, as it should."""

    def fail(talk: Conversation, argument: str) -> None:
        raise RuntimeError("a mistake")

    with mock.patch.dict("smtp_pair.protocol._VERBS", {b"VRFY": (ORDER["VRFY"], 510, fail)}):
        for trial in (memory, sockets):
            with pytest.raises((Finding, RuntimeError), match="a mistake"):
                trial.play((GREETED, b"VRFY x\r\n"))


def test_an_error_in_the_log_is_found(memory: MemoryTrial) -> None:
    """One that nobody is told of."""
    lost = Session.connection_lost

    def noisy(session: Session, error: Exception | None) -> None:
        logging.getLogger("smtp_pair.session").error("something is wrong")
        lost(session, error)

    with mock.patch.object(Session, "connection_lost", noisy), pytest.raises(Finding, match="something is wrong"):
        memory.play(())


def test_what_is_left_is_found() -> None:
    """A timer that nobody stops."""
    lost = Session.connection_lost

    def leaves_one(session: Session, error: Exception | None) -> None:
        lost(session, error)
        session._reset_timeout()

    with MemoryTrial() as memory, mock.patch.object(Session, "connection_lost", leaves_one):
        with pytest.raises(Finding, match="something is left"):
            memory.play(())


def test_a_seed_is_one_script(capsys: pytest.CaptureFixture[str]) -> None:
    """What a finding prints can be played again."""
    assert fuzz.main(["--seed", "7"]) == 0
    assert "1 script from seed 7 on, nothing found" in capsys.readouterr().out
