"""The recorder: it keeps no secret, knows who is who, and does not grow for ever."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from smtp_pair import recorder
from smtp_pair.recorder import BODIES, BODY, EVENTS, SESSIONS, Recorder, Silent, Tape, redacted
from smtp_pair.routes import NextHop
from smtp_pair.transcript import Transcript

OURS = NextHop("127.0.0.1", 2525, "smtp.deathstar.com")
FOREIGN = NextHop("127.0.0.1", 9)


def transcripts(tape: Tape, known: dict[str, tuple[int, str]] | None = None) -> list[Transcript]:
    return tape.transcripts((known or {}).get, lambda mail_id: False)


@pytest.fixture
def tape() -> Tape:
    shared = Recorder()
    shared.ports = frozenset({2525})
    shared.names = {("127.0.0.1", 9): "the next hop of third.test"}
    return Tape("smtp.jaku.com", shared)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"AUTH PLAIN AGx1a2UAc2VjcmV0", b"AUTH PLAIN ***"),
        (b"auth plain  AGx1a2UAc2VjcmV0 more", b"auth plain ***"),
        (b"  AUTH PLAIN AGx1a2UAc2VjcmV0", b"AUTH PLAIN ***"),
        (b"AUTH LOGIN", b"AUTH LOGIN"),
        (b"AUTH", b"AUTH"),
        (b"AUTH c2VjcmV0IHdvcmQ=", b"***"),
        (b"AUTH AGx1a2UAc2VjcmV0IHdvcmQh", b"***"),
        (b"AGx1a2UAc2VjcmV0", b"***"),
        (b"", b"***"),
        (b"*", b"*"),
    ],
)
def test_a_secret_is_never_kept(line: bytes, kept: bytes) -> None:
    """The initial response and the answers to challenges are not; not even how long they were. The mechanism is, and
    that the client gave up."""
    assert redacted(line) == kept


def test_an_answer_to_a_challenge_that_never_came_is_a_secret_too(tape: Tape) -> None:
    """A client that does not listen sends its password after AUTH was refused: until it says a verb, nothing it says is
    kept."""
    log = tape.answers(("127.0.0.1", 1), 0.0, float)
    for line in (b"AUTH LOGIN", b"c2VjcmV0", b"secret word", b"NOOP", b"HELO x", b"XYZZY"):
        log.command(line, 0.0, secret=line.startswith(b"AUTH"))
    assert transcripts(tape)[0].commands == ["AUTH LOGIN", "***", "***", "NOOP", "HELO x", "XYZZY"]


def test_who_speaks(tape: Tape) -> None:
    """Servers of the network go by their names, though it may be known only after they have come; anybody else is
    numbered as he came."""
    logs = [tape.answers(("127.0.0.1", port), 0.0, float) for port in (10, 11, 12)]
    parted = tape.recorder.connected(("127.0.0.1", 11), "smtp.deathstar.com")
    for log in reversed(logs):
        log.command(b"EHLO x", 0.0)
    parted()
    tape.answers(("127.0.0.1", 11), 0.0, float).command(b"EHLO x", 0.0)
    tape.answers(("127.0.0.1", 11), 0.0, float).reply(b"220 hello\r\n", 0.0)
    assert [(one.client, one.relayed) for one in transcripts(tape)] == [
        ("client 1", False),
        ("smtp.deathstar.com", True),
        ("client 2", False),
        ("client 3", False),
        ("a client that says nothing", False),
    ]


def test_who_came_later_may_be_one_of_ours(tape: Tape) -> None:
    """A server's connection may be accepted a moment before it is known for one: somebody else's word in between does
    not make it a stranger."""
    stranger, ours = (tape.answers(("127.0.0.1", port), 0.0, float) for port in (10, 11))
    stranger.command(b"EHLO x", 0.0)
    tape.recorder.connected(("127.0.0.1", 11), "smtp.deathstar.com")
    ours.command(b"EHLO x", 0.0)
    assert [(one.client, one.relayed) for one in transcripts(tape)] == [
        ("client 1", False),
        ("smtp.deathstar.com", True),
    ]


def test_times_of_a_connection_that_outlives_all_else(tape: Tape) -> None:
    """Once all was forgotten, a kept connection may be the only one that speaks: it began then, not an age ago."""
    log = tape.answers(("127.0.0.1", 10), 1000.0, lambda: 1001.0)
    tape.clear()
    tape.recorder.reset()
    log.command(b"NOOP", 1001.5)
    [one] = transcripts(tape)
    assert (one.began, one.events[0].at) == (0.0, 0.5)


def test_who_is_spoken_to(tape: Tape) -> None:
    """A conversation within the network is the other end's to tell; all others are told, and every attempt to connect
    that fails. A next hop goes by the domain that it is the way to."""
    assert isinstance(tape.speaks(OURS, ("127.0.0.1", 1), float), Silent)
    tape.speaks(FOREIGN, ("127.0.0.1", 1), float).note("one")
    tape.speaks(NextHop("127.0.0.1", 8), ("127.0.0.1", 1), float).note("two")
    tape.in_vain(OURS, "connection refused", float)
    assert [(one.client, one.server, one.notes) for one in transcripts(tape)] == [
        ("smtp.jaku.com", "the next hop of third.test", ["one"]),
        ("smtp.jaku.com", "127.0.0.1:8", ["two"]),
        ("smtp.jaku.com", "smtp.deathstar.com", ["no connection: connection refused"]),
    ]


def test_replies_of_one_write_are_told_apart(tape: Tape) -> None:
    """As many as there are, those of several lines whole, garbage as it is."""
    log = tape.answers(("127.0.0.1", 1), 0.0, float)
    log.reply(b"250-a\r\n250 b\r\n550 no\r\n354 go\r\n", 0.0)
    log.reply(b"\xff\x00garbage", 0.0)
    assert transcripts(tape)[0].replies == ["250-a\n250 b", "550 no", "354 go", "\udcff\x00garbage"]


def test_a_long_session_is_kept_with_its_beginning_and_its_end(tape: Tape) -> None:
    """How much is missing in the middle is said, and where."""
    clock = itertools.count()
    log = tape.answers(("127.0.0.1", 1), 0.0, float)
    count = 50 * EVENTS
    for number in range(count):
        log.command(b"NOOP %d" % number, next(clock))
    [said] = transcripts(tape)
    assert len(log._events) < 2 * EVENTS
    assert said.dropped + len(said.events) == count
    assert said.commands[: said.dropped_after] == [f"NOOP {number}" for number in range(said.dropped_after)]
    assert said.commands[-1] == f"NOOP {count - 1}"
    assert f"({said.dropped:,} lines were not kept)" in str(said)


def test_many_sessions_and_bodies_are_not_all_kept(tape: Tape) -> None:
    """The last ones are; how many are not is known. What is held of bodies has a limit."""
    content = bytes(BODY)
    for _ in range(3 * SESSIONS):
        tape.answers(("127.0.0.1", 1), 0.0, float).body(content, 0.0)
    assert len(transcripts(tape)) == SESSIONS
    assert tape.dropped == 2 * SESSIONS
    held = [event for one in transcripts(tape) for event in one.events if event.content is not None]
    assert len(held) == BODIES // BODY
    assert transcripts(tape)[-1].events[0].sha256 == hashlib.sha256(content).hexdigest()


def test_clients_that_say_nothing_are_forgotten(tape: Tape) -> None:
    """However many they are; one that speaks after all has a name."""
    logs = [tape.answers(("127.0.0.1", 1), 0.0, float) for _ in range(3 * SESSIONS)]
    assert len(tape._strangers) == SESSIONS
    logs[0].command(b"NOOP", 0.0)
    assert logs[0].client


def test_a_body_that_is_not_kept_is_known_by_the_mail_it_became(tape: Tape) -> None:
    """Its digest is looked up by the id in the reply to it; one that was refused has none."""
    log = tape.answers(("127.0.0.1", 1), 0.0, float)
    log.body(bytes(BODY + 1), 0.0)
    log.reply(b"250 2.0.0 taken as x-y-1\r\n", 0.0)
    log.body(bytes(BODY + 2), 0.0)
    log.reply(b"550 no\r\n", 0.0)
    log.body(b"", 0.0, too_big=True)
    bodies = [event for event in transcripts(tape, {"x-y-1": (7, "abc")})[0].events if event.kind == "body"]
    assert [(event.size, event.sha256) for event in bodies] == [(7, "abc"), (BODY + 2, ""), (0, "")]
    assert bodies[2].lines() == ["send: [a mail that is too big]"]


def test_an_endless_line_is_cut(tape: Tape) -> None:
    """It is no line of SMTP; what is kept of it says so."""
    log = tape.answers(("127.0.0.1", 1), 0.0, float)
    log.command(b"X" * 5000, 0.0)
    assert transcripts(tape)[0].commands == ["X" * recorder.LINE + " [... cut]"]


def test_what_is_cleared_is_gone(tape: Tape) -> None:
    """Clients are counted anew as well. A connection that is open goes on; until something is said there is nothing to
    show."""
    logs = [tape.answers(("127.0.0.1", 1), 0.0, float) for _ in range(2)]
    for log in logs:
        log.command(b"NOOP", 0.0)
    logs[0].end()
    tape.clear()
    tape.recorder.reset()
    assert transcripts(tape) == []
    logs[1].command(b"RSET", 0.0)
    assert [one.commands for one in transcripts(tape)] == [["RSET"]]
    logs[1].end()
    tape.clear()
    tape.recorder.reset()
    tape.answers(("127.0.0.1", 1), 0.0, float).command(b"NOOP", 0.0)
    assert transcripts(tape)[0].client == "client 1"
