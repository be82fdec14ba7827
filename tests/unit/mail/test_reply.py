"""Replies: what goes over the wire, and what is made of a peer's."""

from __future__ import annotations

import inspect
import smtplib
import socket
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair.mail import reply
from smtp_pair.mail.reply import LINE_LIMIT, Reply

codes = st.integers(200, 599)
enhanced = st.just("") | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True)


def _named() -> Iterator[tuple[str, Reply]]:
    """Every reply that has a name in the module, with arguments that a stranger could have chosen."""
    for name, value in vars(reply).items():
        if isinstance(value, Reply):
            yield name, value
        elif inspect.isfunction(value) and not name.startswith("_") and value.__module__ == reply.__name__:
            given_to = inspect.signature(value).parameters.values()
            arguments = [
                reply.OUR_FAULT if one.annotation == "Reply" else 7 if one.annotation == "int" else "\x1b[31m\r\né" * 99
                for one in given_to
                if one.default is one.empty
            ]
            yield name, value(*arguments)


NAMED = dict(_named())


def understood(wire: bytes) -> tuple[int, str]:
    """What smtplib makes of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(wire)
        ours.shutdown(socket.SHUT_WR)
        client = smtplib.SMTP()
        client.sock = theirs
        code, text = client.getreply()
        assert client.file is not None and client.file.read() == b"", "something is left after the reply"
        client.close()
    return code, text.decode()


@given(codes, enhanced, st.text(max_size=1200))
@example(250, "2.0.0", "é" * 600)
@example(250, "", "a\n\n\nb\n")
@example(550, "5.1.1", "250 OK\r\n250 no, really")
@example(451, "4.3.0", "\ud800")
def test_a_reply_on_the_wire(code: int, enhanced: str, text: str) -> None:
    """C21: whatever its text quotes, no line is longer than 512 octets with CRLF, each has the code (C25: and the
    enhanced code), only the last has a space after it, nothing in it is a control; and smtplib reads it."""
    wire = Reply(code, enhanced, text).wire
    assert wire.endswith(b"\r\n")
    lines = wire[:-2].split(b"\r\n")
    assert len(lines) == text.count("\n") + 1
    for number, line in enumerate(lines, 1):
        assert len(line) + 2 <= LINE_LIMIT
        start = b"%d%b%b" % (code, b" " if number == len(lines) else b"-", f"{enhanced} ".encode() if enhanced else b"")
        assert line.startswith(start)
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in line.decode())
    assert understood(wire)[0] == code


@given(codes, enhanced, st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60)))
def test_what_we_say_is_what_a_relay_of_ours_hears(code: int, enhanced: str, words: list[str]) -> None:
    """Rendered and parsed, a reply is the same, where its enhanced code is of its class (RFC 2034 4)."""
    if enhanced:
        enhanced = str(code)[0] + enhanced[1:]
    said = Reply(code, enhanced if code // 100 != 3 else "", "\n".join(f"say {word}" for word in words) or "nothing")
    heard = Reply.parse(said.wire.splitlines(keepends=True))
    assert heard == said


@given(st.lists(st.binary(max_size=40) | st.from_regex(rb"\A[0-9]{3}[ -]?[ -~]{0,20}\r?\n?\Z")))
@example([])
@example([b"250"])
@example([b"250\r\n"])
@example([b"250-a\r\n", b"251 b\r\n"])
def test_whatever_a_peer_says(lines: list[bytes]) -> None:
    """It is a reply or a ValueError; a reply can be rendered again."""
    try:
        heard = Reply.parse(lines)
    except ValueError:
        return
    assert 200 <= heard.code < 600
    assert heard.wire.startswith(b"%d" % heard.code)


@pytest.mark.parametrize(
    ("lines", "code", "enhanced_code", "text"),
    [
        ([b"250 2.1.5 OK\r\n"], 250, "2.1.5", "OK"),
        ([b"250-2.1.5 one\r\n", b"250 2.1.5 two\r\n"], 250, "2.1.5", "one\ntwo"),
        ([b"250-smtp.a.test\r\n", b"250 SIZE 1000\r\n"], 250, "", "smtp.a.test\nSIZE 1000"),
        ([b"250\r\n"], 250, "", ""),
        ([b"250\n"], 250, "", ""),
        ([b"250 \r\n"], 250, "", ""),
        ([b"550 5.1.1\r\n"], 550, "5.1.1", ""),
        ([b"550 4.1.1 whose class is another\r\n"], 550, "", "4.1.1 whose class is another"),
        ([b"550 5.1.1.1 is none\r\n"], 550, "", "5.1.1.1 is none"),
        (["550 5.\u0661.1 is none".encode()], 550, "", "5.\u0661.1 is none"),
        ([b"451 \xff\x1b[2J\r\n"], 451, "", "\ufffd\x1b[2J"),
        ([b"354 go\r\n"], 354, "", "go"),
    ],
)
def test_replies_of_a_peer(lines: list[bytes], code: int, enhanced_code: str, text: str) -> None:
    """RFC 5321 4.2: the text may be missing; RFC 2034: an enhanced code counts where its class is the reply's."""
    heard = Reply.parse(lines)
    assert (heard.code, heard.enhanced, heard.text) == (code, enhanced_code, text)
    assert b"\x1b" not in heard.wire


@pytest.mark.parametrize(
    "line",
    [b"", b"\r\n", b"hi\r\n", b"25\r\n", b"2500 OK\r\n", b"250_OK", b"250\tOK", b"150 a", b"600 a", b" 250 a", b"+OK"],
)
def test_what_is_no_reply(line: bytes) -> None:
    """Three digits from 200 to 599, then a space, a hyphen or nothing: "2500 OK" is not 250, no mail is lost by it."""
    with pytest.raises(ValueError, match="not a reply"):
        Reply.parse([line])


@pytest.mark.parametrize(
    ("code", "accepted", "temporary", "permanent"),
    [(200, 1, 0, 0), (299, 1, 0, 0), (354, 0, 0, 0), (400, 0, 1, 0), (499, 0, 1, 0), (500, 0, 0, 1), (599, 0, 0, 1)],
)
def test_only_the_first_digit_decides(code: int, accepted: int, temporary: int, permanent: int) -> None:
    """C78 (RFC 5321 4.2.1): the enhanced code does not, nor the text."""
    for misleading in ("2.0.0", "4.0.0", "5.0.0"):
        said = Reply(code, misleading, "Ok: 250")
        assert (said.accepted, said.temporary, said.permanent) == (bool(accepted), bool(temporary), bool(permanent))


@pytest.mark.parametrize("name", NAMED)
def test_every_reply_of_ours(name: str) -> None:
    """C25 (RFC 2034 4): its enhanced code has the class of its first digit; the greeting, the answers to EHLO and HELO
    and every 3xx have none. C21: its lines are short, whatever a stranger's words do in it."""
    said = NAMED[name]
    if said.code // 100 == 3 or name in ("greeting", "hello", "HELLO_WANTS_A_NAME"):
        assert said.enhanced == ""
    else:
        assert said.enhanced[0] == str(said.code)[0]
    assert len(said.text.split("\n")) < 200
    assert all(len(line) <= LINE_LIMIT for line in said.wire.splitlines(keepends=True))
    assert b"\x1b" not in said.wire
    assert str(said).startswith(str(said.code))


def test_an_ehlo_answer_has_a_line_for_each_extension() -> None:
    """C2: multi-line, one code, the host's name first."""
    assert reply.hello("smtp.a.test", ["SIZE 10", "HELP"]).wire == b"250-smtp.a.test\r\n250-SIZE 10\r\n250 HELP\r\n"
    assert reply.hello("smtp.a.test").wire == b"250 smtp.a.test\r\n"
