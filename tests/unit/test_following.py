"""What is said can be followed: as it is said, in its order, without secrets, and for nothing where nobody does."""

from __future__ import annotations

import smtplib
import threading

import pytest

from smtp_pair import Domain, Network, Pair
from smtp_pair.recorder import Followed, Log, Said, Tape


def lines(told: list[Said]) -> list[str]:
    return [line for said in told for event in said.events for line in event.lines(brief=True)]


def test_what_is_told_is_what_the_transcript_has() -> None:
    """Each word, in the same order, of the same client; of a body its size, for its digest would keep the loop."""
    with Pair() as pair:
        told: list[Said] = []
        pair.deathstar.follow(told.append)
        pair.jaku.send("vader@deathstar.com", subject="Plans", body="See the file.")
        pair.deathstar.wait_for(subject="Plans")
        pair.settle()
        [transcript] = pair.deathstar.transcripts
        assert {(said.client, said.server, said.session) for said in told} == {
            ("smtp.jaku.com", "smtp.deathstar.com", 1)
        }
        kept = [line for event in transcript.events for line in event.lines(brief=True)]
        assert [line.partition(" octets")[0] for line in lines(told) if "octets" not in line] == [
            line for line in kept if "octets" not in line
        ]
        assert sum("octets]" in line for line in lines(told)) == 1


def test_the_greeting_is_told_once_it_is_known_to_whom() -> None:
    """A client has no name before it speaks: what was said before comes with its first command; and one that never
    speaks is told at its end."""
    with Pair() as pair:
        told: list[Said] = []
        over = threading.Event()

        def listen(said: Said) -> None:
            told.append(said)
            if said.client == "a client that says nothing":
                over.set()

        pair.jaku.follow(listen)
        with smtplib.SMTP(pair.jaku.host, pair.jaku.port) as client:
            client.noop()
        assert told[0].client == "client 1" and lines(told[:1])[0].startswith("reply: 220")
        silent = smtplib.SMTP(pair.jaku.host, pair.jaku.port)
        silent.close()
        assert over.wait(30)


def test_no_secret_is_told() -> None:
    """As in the transcript: of AUTH the mechanism alone."""
    with Network(Domain("a.test", auth={"luke": "sesame"}, auth_required=True)) as network:
        server = network["a.test"]
        told: list[Said] = []
        server.follow(told.append)
        with smtplib.SMTP(server.host, server.port) as client:
            client.docmd("AUTH PLAIN AGx1a2UAc2VzYW1l")
        assert "send: AUTH PLAIN ***" in lines(told)
        assert not [line for line in lines(told) if "AGx1" in line]


def test_it_ends_when_it_is_told_to() -> None:
    """Sessions that begin later are not told; where nobody follows, logs are plain ones again."""
    with Pair() as pair:
        told: list[Said] = []
        stop = pair.jaku.follow(told.append)
        stop()
        pair.jaku.send("obiwan@jaku.com")
        assert told == []


def test_nobody_pays_where_nobody_follows() -> None:
    """A tape's logs are of the plain class until somebody does, and afterwards."""
    tape = Tape("a.test")
    assert type(tape.answers(("127.0.0.1", 1), 0.0, lambda: 0.0)) is Log
    stop = tape.follow(lambda _: None)
    assert type(tape.answers(("127.0.0.1", 2), 0.0, lambda: 0.0)) is Followed
    stop()
    assert type(tape.answers(("127.0.0.1", 3), 0.0, lambda: 0.0)) is Log


def test_a_follower_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The mail is delivered, the other follower is told, and the failure is logged."""

    def fail(_: Said) -> None:
        raise RuntimeError("no")

    with Pair() as pair:
        told: list[Said] = []
        pair.jaku.follow(fail)
        pair.jaku.follow(told.append)
        pair.jaku.send("obiwan@jaku.com", subject="Through")
        pair.jaku.wait_for(subject="Through")
        assert told and "a follower failed" in caplog.text
