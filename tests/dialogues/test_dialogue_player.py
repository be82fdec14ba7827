"""How a dialogue is played: what a failure shows, and that whatever the other end does, there is an end to it."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from harness import dialogue
from harness.careless import CarelessServer, Wrong
from harness.dialogue import Outcome
from harness.wire_scripts.connection import connect
from harness.wire_scripts.reader import read

SHORT = 1.0
"""Seconds, where nothing is to come."""


def play(script: str, wrong: Wrong | None = None, patience: float = 10.0, limit: float = 60.0) -> Outcome:
    [one] = read(f"== C1 x\n{script}", "here.smtp")
    with CarelessServer(wrong) as server:
        return dialogue.run(one, server.host, server.port, "a.test", patience=patience, limit=limit)


def test_a_failure_shows_the_scripts_own_line() -> None:
    """Where it is written, what it wants, what came, and all that was said."""
    outcome = play("S: 220\nC: NOOP\nS: 503 5.5.1 | 4xx")
    assert not outcome.passed
    assert (outcome.line, outcome.step) == (4, "S: 503 5.5.1 | 4xx")
    assert (outcome.expected, outcome.got) == ("503 5.5.1 | 4xx", "250 2.0.0 yes")
    assert str(outcome) == (
        "here.smtp:4: C1 x: failed\n"
        "    S: 503 5.5.1 | 4xx\n"
        "    expected  503 5.5.1 | 4xx\n"
        "    got       250 2.0.0 yes\n"
        "      S: 220 careless.example ESMTP\n"
        "      C: NOOP\n"
        "      S: 250 2.0.0 yes"
    )


def test_an_answer_that_will_do_is_told() -> None:
    """It passes, and differs; the first one that does is what is told, and a failure later is a failure."""
    outcome = play("S: 220\nC: NOOP\nS: 250 2.1.0 (or accepted)\nC: RSET\nS: 251 (or 250)")
    assert (outcome.passed, outcome.differs, outcome.line) == (True, True, 4)
    assert (outcome.expected, outcome.got) == ("250 2.1.0", "250 2.0.0 yes")
    assert not play("S: 220\nC: NOOP\nS: 250 2.1.0 (or accepted)\nC: RSET\nS: 5xx").passed


@pytest.mark.parametrize(
    ("greeting", "got"),
    [
        ("220 a\n220 b", "no reply (not 250 TEXT and CRLF): 220 a\\n"),
        ("HTTP/1.1 400 Bad Request", "no reply (not 250 TEXT and CRLF): HTTP/1.1 400 Bad Request\\r\\n"),
        ("220-a\r\n250 b", "no reply (two codes): 220-a\\r\\n250 b\\r\\n"),
        ("220-a", "no reply (it does not go on): 220-a\\r\\n"),
        ("22", "no reply (not 250 TEXT and CRLF): 22\\r\\n"),
        ("220 " + "x" * 507, "no reply (a line of 513 octets): 220 " + "x" * 116),
        ("\x00\xff", "no reply (not 250 TEXT and CRLF): \\x00\\xc3\\xbf\\r\\n"),
        ("421 a", "421 a"),
        ("220-" + "x" * 500 + "\r\n" + ("220-" + "x" * 500 + "\r\n") * 10_000, "it does not end"),
    ],
    ids=range(9),
)
def test_what_is_no_reply(greeting: str, got: str) -> None:
    """CRLF at every end, one code, 512 octets a line, and an end."""
    outcome = play("S: 220", Wrong(greets=greeting), SHORT if "not go on" in got else 10.0)
    assert not outcome.passed
    assert got in outcome.got


def test_silence() -> None:
    """Where something should come it is a failure once patience is over; where nothing should, it is what is wanted."""
    assert play("S: 220\nS: 250", patience=SHORT).got == "nothing"
    assert play("S: 220\nS: nothing for 0.1 s").passed
    assert play("S: 220\nC: NOOP\nS: nothing for 0.2 s").got == "250 2.0.0 yes"


def test_closed() -> None:
    assert play("S: 220\nC: QUIT\nS: 221\nS: closed").passed
    assert play("S: 220\nC: QUIT\nS: 221\nC: NOOP\nS: 250").got == "closed"
    assert play("S: 220\nC: NOOP\nS: 250\nS: closed", patience=SHORT).got == "nothing"


def test_an_answer_may_end_the_dialogue() -> None:
    """What is behind it is not played."""
    assert play("S: 220, done\nS: 599").passed
    assert play("S: 220\nC: QUIT\nS: 221\nS: 250 | closed\nS: 599").passed
    assert play("S: 220\nC: QUIT\nS: 221\nS: 250 (or closed)\nS: 599").differs
    assert not play("S: 220 | 421, done\nS: 599", patience=SHORT).passed


def test_exact_octets() -> None:
    assert play("S= 220 careless.example ESMTP").passed
    outcome = play("S= 220 Careless.example\\sESMTP")
    assert outcome.expected == "220 Careless.example ESMTP\\r\\n"
    assert outcome.got == "220 careless.example ESMTP\\r\\n"


def test_any_order_finds_an_order_if_there_is_one() -> None:
    """The first two could both be answered by either; the last one by one alone."""
    script = "S: 220\nC: NOOP\nC: RSET\nC: VRFY\nany order\nS: 2xx\nS: any\nS: 250 /yes/\nend"
    assert play(script).passed
    outcome = play(script.replace("S: 2xx", "S: 5xx"))
    assert (outcome.step, outcome.line) == ("S: 5xx", 7)
    assert outcome.got == "250 2.0.0 yes; 250 2.0.0 forgotten; 252 2.5.0 who knows"


def test_sessions_are_connections_of_their_own() -> None:
    """What one has said the other does not know; an answer of one is none of the other."""
    both = "S1: 220\nS2: 220\nC1: EHLO a\nS1: 250\nC1: MAIL FROM:<a@b>\nC2: MAIL FROM:<a@b>\n"
    assert play(f"{both}any order\nS2: 503\nS1: 250\nend").passed
    assert not play(f"{both}any order\nS1: 503\nS2: 250\nend").passed
    assert play(f"{both}S2: 503\nhang up 2\nS1: 250\nC1: QUIT\nS1: 221\nS1: closed").passed


def test_acts() -> None:
    """A half-close is heard at the other end; a reset and a wait are no answers."""
    assert play("S: 220\nhalf-close\nS: closed").passed
    assert play("S: 220\nreset\nS: closed").passed
    assert play("S: 220\nC: NO\ncut\nwait 0.01 s\nS: 500").passed
    assert play("S: 220\nC> NO\ncut\nC: OP\nS: 250").passed


def test_tls() -> None:
    """The handshake is a step that can fail."""
    assert play("S: 220\nC: STARTTLS\nS: 220\nstart TLS\nC: EHLO a\nS: 250 offers no STARTTLS").passed
    outcome = play("S: 220\nC: STARTTLS\nC: NOOP\nS: 220\nS: 250\nstart TLS", Wrong(answers_in_the_clear=True))
    assert outcome.passed
    outcome = play("S: 220\nstart TLS", patience=SHORT)
    assert (outcome.step, outcome.expected) == ("start TLS", "a handshake")
    assert outcome.got.startswith("no TLS: ")


def test_big_things_are_sent_while_the_server_talks(monkeypatch: pytest.MonkeyPatch) -> None:
    """200,000 commands in one go, whose answers nobody has waited for, with little room between the two: neither end
    waits for the other for ever, and all is sent."""

    def narrow(address: tuple[str, int], timeout: float) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(timeout)
        client.connect(address)
        return client

    monkeypatch.setattr(socket, "create_connection", narrow)
    outcome = play("S: 220\nC> {NOOP\\r\\n*200000}\nS: 250", patience=20.0)
    assert outcome.passed
    assert "could not be sent" not in outcome.conversation


def test_nobody_there() -> None:
    """That is an outcome too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    [one] = read("== C1 x\nS: 220", "here.smtp")
    outcome = dialogue.run(one, "127.0.0.1", port, "a.test")
    assert (outcome.passed, outcome.expected) == (False, "a connection")
    assert "refused" in outcome.got


def test_the_whole_has_an_end_too() -> None:
    """A server that answers in time, again and again, and a script that is long."""
    outcome = play("S: 220\nrepeat 200\nwait 0.05 s\nC: NOOP\nS: 250\nend", limit=0.3)
    assert not outcome.passed


def test_octet_by_octet() -> None:
    assert play("sent: octet by octet\nS: 220\nC: NOOP\nC: RSET\nS: 250 /yes/\nS: 250 /forgotten/").passed


def test_long_conversations_are_cut() -> None:
    outcome = play("S: 220\nC> {NOOP\\r\\n*1000}\nrepeat 500\nS: 250\nend\nC: {x*1000}\nS: 599")
    lines = outcome.conversation.splitlines()
    assert len(lines) < 100
    assert any("1,000 octets" in line for line in lines)


@pytest.mark.parametrize(
    ("octets", "came"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "closed"),
        (b"\x15\x03\x03\x00\x02\x02\x46250 no\r\n", "no reply"),
        (b"\x16\x03\x03\x00\x02\x02\x46", "no reply"),
    ],
)
def test_an_alert_of_tls_is_a_way_to_close(octets: bytes, came: str) -> None:
    """RFC 8446 6.2: so a server ends that was sent no handshake. Anything more, or else, is no reply."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()

        def serve() -> None:
            with listener.accept()[0] as wire:
                wire.sendall(octets)

        thread = threading.Thread(target=serve)
        thread.start()
        connection = connect(host, port, 10.0, time.monotonic() + 10.0)
        try:
            assert str(connection.answer()[0]).startswith(came)
        finally:
            connection.close()
            thread.join()
