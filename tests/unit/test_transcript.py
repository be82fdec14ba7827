"""Transcripts as values: shown, compared, written down and read again."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair import transcript
from smtp_pair.transcript import Event, Transcript

DIGEST = hashlib.sha256(b"hello").hexdigest()


def session(*events: Event, client: str = "client 1", began: float = 0.0, relayed: bool = False) -> Transcript:
    return Transcript(client, "smtp.jaku.com", began, events, relayed=relayed)


def test_it_reads_as_smtplib_prints() -> None:
    """send: and reply:, the seconds since the session began before each, bodies folded, notes in brackets."""
    said = session(
        Event(0.0, "reply", "220 smtp.jaku.com ESMTP"),
        Event(0.0014, "send", "EHLO client"),
        Event(0.0015, "reply", "250-smtp.jaku.com\n250 HELP"),
        Event(0.002, "note", "TLSv1.3 from here on"),
        Event(1.5, "body", size=1234, sha256=DIGEST),
        Event(1.5, "body", size=1234, sha256=DIGEST, hops=2),
        Event(1.5, "body", size=1234),
        began=0.25,
    )
    assert str(said).splitlines() == [
        "client 1 -> smtp.jaku.com, 0.250 s",
        "   0.000 reply: 220 smtp.jaku.com ESMTP",
        "   0.001 send: EHLO client",
        "   0.002 reply: 250-smtp.jaku.com",
        "         reply: 250 HELP",
        "   0.002 (TLSv1.3 from here on)",
        "   1.500 send: [1,234 octets, sha256 2cf24dba5fb0a30e]",
        "   1.500 send: [2 trace fields, then 1,234 octets, sha256 2cf24dba5fb0a30e]",
        "   1.500 send: [1,234 octets]",
    ]
    assert said.lines(brief=True)[3] == "   0.002 reply: 250-smtp.jaku.com, HELP"


def test_nothing_in_it_reaches_the_screen() -> None:
    """Controls, direction marks and octets that are no text are escaped; a line feed forges no line; what is endless is
    cut."""
    wild = "\x1b[31m\u202e\udcff\ttab\rcr" + "x" * 1000
    [line] = Event(0.0, "send", wild).lines()
    assert line.startswith(r"send: \x1b[31m\u202e\udcff\ttab\rcrxxx")
    assert line.endswith("[... 629 more]")
    assert session(client="a\nb").lines() == [r"a\nb -> smtp.jaku.com, 0.000 s"]


def test_of_a_long_conversation_the_end_is_shown() -> None:
    """What went wrong is there; how much is left out is said."""
    said = session(*(Event(0.0, "send", f"NOOP {number}") for number in range(100)))
    lines = transcript.render([said], 10).splitlines()
    assert lines[0] == "[... 91 lines before]"
    assert lines[-1].endswith("NOOP 99")
    assert len(lines) == 11


def test_sessions_are_shown_in_the_order_of_time() -> None:
    """Whoever gave them in another."""
    text = transcript.render([session(began=2.0, client="late"), session(began=1.0, client="early")])
    assert text.splitlines() == ["early -> smtp.jaku.com, 1.000 s", "", "late -> smtp.jaku.com, 2.000 s"]


def test_the_normal_form_has_nothing_of_the_moment() -> None:
    """Two runs of the same test are the same: times, ids of mails, ports and what a relay says of the size differ, and
    notifications carry the date."""

    def run(later: float, first: str, second: str, port: int, size: int) -> list[Transcript]:
        return [
            session(
                Event(later, "reply", f"250 2.0.0 taken as {first}"),
                Event(later, "reply", f"451 4.4.1 no answer from 127.0.0.1:{port}; {second}, not {first}"),
                began=later,
            ),
            session(
                Event(0.0, "send", f"MAIL FROM:<> SIZE={size}"),
                Event(0.0, "body", size=size, sha256=str(size)),
                Event(0.0, "send", f"MAIL FROM:<a@b> SIZE={size}"),
                Event(0.0, "body", size=5, sha256=DIGEST),
                relayed=True,
                began=later + 1,
            ),
        ]

    one = run(0.5, "1a210a6b2c1-b724b94981-1", "1a210a6b2c1-b724b94981-2", 2525, 100)
    two = run(9.5, "1b210a6b2c2-0024b94981-1", "1b210a6b2c3-0024b94981-a", 25, 99)
    assert transcript.normal(one) == transcript.normal(two)
    assert transcript.diff(one, two) == ""
    assert transcript.normal(one)[1:3] == [
        "  reply: 250 2.0.0 taken as <mail 1>",
        "  reply: 451 4.4.1 no answer from 127.0.0.1:<port>; <mail 2>, not <mail 1>",
    ]


def test_a_difference_is_seen() -> None:
    """As diff -u shows it; the size that a client of the test declares is no accident."""
    one, two = (session(Event(0.0, "send", f"MAIL FROM:<a@b> SIZE={size}")) for size in (1, 2))
    assert transcript.diff(one, two).splitlines()[3:] == [
        " client 1 -> smtp.jaku.com",
        "-  send: MAIL FROM:<a@b> SIZE=1",
        "+  send: MAIL FROM:<a@b> SIZE=2",
    ]


def test_a_client_that_dates_its_mails() -> None:
    """Its bodies may be left out, and what it says of their size."""
    one, two = (
        session(Event(0.0, "send", f"mail FROM:<a@b> size={size}"), Event(0.0, "body", size=size, sha256=str(size)))
        for size in (1, 2)
    )
    assert transcript.diff(one, two) != ""
    assert transcript.diff(one, two, bodies=False) == ""
    assert transcript.normal(one, bodies=False)[1:] == ["  send: mail FROM:<a@b> SIZE=<n>", "  send: [a mail]"]


_text = st.text(max_size=20) | st.binary(max_size=20).map(lambda octets: octets.decode("utf-8", "surrogateescape"))
_moment = st.integers(0, 10**9).map(lambda micro: micro / 10**6)
_event = st.builds(Event, _moment, st.sampled_from(["send", "reply", "note"]), _text) | st.builds(
    Event, _moment, st.just("body"), st.just(""), st.integers(0, 10**9), st.just(DIGEST), st.integers(0, 9)
)
_session = st.builds(
    Transcript,
    st.text(max_size=9),
    st.text(max_size=9),
    _moment,
    st.lists(_event, max_size=5).map(lambda events: tuple(sorted(events, key=lambda event: event.at))),
    st.integers(0, 9),
    st.integers(0, 9),
    st.booleans(),
)


@given(st.lists(_session, max_size=4))
def test_what_is_written_down_is_read_again(sessions: list[Transcript]) -> None:
    """Every session, every octet; each line is ASCII and an object of its own."""
    octets = transcript.dumps(sessions)
    assert octets.isascii()
    again = transcript.loads(octets)
    ordered = sorted(sessions, key=lambda one: one.began)
    for read, written in zip(again, ordered, strict=True):
        assert [(event.kind, event.text, event.size, event.hops) for event in read.events] == [
            (event.kind, event.text, event.size, event.hops) for event in written.events
        ]
        assert (read.client, read.server, read.relayed) == (written.client, written.server, written.relayed)
        if written.dropped:
            assert (read.dropped, read.dropped_after) == (written.dropped, written.dropped_after)
        assert [event.at for event in read.events] == pytest.approx([event.at for event in written.events], abs=2e-6)


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"session": 1, "event": "send", "at": 0}'])
def test_what_is_no_transcript_is_refused(line: bytes) -> None:
    """The line is named."""
    with pytest.raises(ValueError, match="^line 1 is not of a transcript: "):
        transcript.loads(line)


def test_bodies_are_folded_on_disk() -> None:
    """Size and digest are there, the content is not."""
    event = Event(0.0, "body", size=5, sha256=DIGEST, content=b"hello")
    octets = transcript.dumps([session(event)])
    assert b"hello" not in octets
    assert transcript.loads(octets)[0].events == (dataclasses.replace(event, content=None),)
