"""SIZE: what is offered, declared and sent (C52 to C56, RFC 1870)."""

from __future__ import annotations

import random

import pytest

from harness.rules_plugin import Connect, Notes
from harness.wire import codes
from smtp_pair import Domain, Server
from smtp_pair.content import ContentReader
from smtp_pair.pytest_plugin import MailNetwork

LIMIT = 1000
HEAD = b"Subject: How big?\r\n\r\n"
TOO_BIG = "552 5.3.4"


def mail_of(size: int, *, line: bytes = b"x" * 70 + b"\r\n") -> bytes:
    """A content of so many octets, in lines like that."""
    body = line * (size // len(line) + 1)
    return HEAD + body[: size - len(HEAD) - 2].rstrip(b"\r\n").ljust(size - len(HEAD) - 2, b"y") + b"\r\n"


@pytest.fixture
def server(mail_network: MailNetwork) -> Server:
    return mail_network(Domain("a.test", size=LIMIT))["a.test"]


def test_c52_size_is_offered(server: Server, wire: Connect, rule: Notes) -> None:
    """EHLO says the configured number, HELO nothing of it."""
    client = wire(server)
    assert f"SIZE {LIMIT}" in client.hello().text.split("\n")
    assert "SIZE" not in client.ask(b"HELO client.example").text
    rule.observed("250 SIZE 33554432, or as configured")


@pytest.mark.parametrize("size", [LIMIT + 1, 10**19, 10**20 - 1])
def test_c53_declared_too_big(server: Server, wire: Connect, rule: Notes, size: int) -> None:
    """552 5.3.4 to MAIL, and no transaction is open; the limit itself is taken."""
    client = wire(server)
    assert codes(rule.reply(client.ask(b"MAIL FROM:<luke@example.org> SIZE=%d" % size))) == TOO_BIG
    assert client.ask(b"RCPT TO:<obiwan@a.test>").code == 503
    client.open("obiwan@a.test", parameters=f"SIZE={LIMIT}")
    assert client.data(mail_of(LIMIT)).code == 250


@pytest.mark.parametrize("parameters", ["", "SIZE=10", f"SIZE={LIMIT}"])
@pytest.mark.parametrize("more", [1, 2, 3, 500, 1_000_000])
def test_c54_really_too_big(server: Server, wire: Connect, rule: Notes, more: int, parameters: str) -> None:
    """552 5.3.4 after the dot, once, whatever was declared; the session goes on, with a mail of the limit itself."""
    client = wire(server)
    client.open("obiwan@a.test", parameters=parameters)
    assert codes(rule.reply(client.data(mail_of(LIMIT + more)))) == TOO_BIG
    client.open("obiwan@a.test")
    assert codes(client.data(mail_of(LIMIT))) == "250 2.0.0"
    assert [len(mail.content) for mail in server.messages] == [LIMIT]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("line", [b".\r\n", b"..\r\n", b"a.\r\n.b\r\n", b".\r\n\r\n"])
def test_c54_dots_do_not_count(server: Server, wire: Connect, rule: Notes, line: bytes, seed: int) -> None:
    """Dots that are doubled for the transfer alone are none of the size, in whatever pieces they come: the limit is
    taken, one octet more is not."""
    rng = random.Random(seed)
    client = wire(server)
    for size, expected in ((LIMIT, "250 2.0.0"), (LIMIT + 1, TOO_BIG)):
        content = mail_of(size, line=line)
        assert len(content) == size
        whole = content.replace(b"\n.", b"\n..") + b".\r\n"
        client.open("obiwan@a.test")
        client.ask(b"DATA")
        client.say(whole, cuts=rng.sample(range(len(whole)), k=40))
        answer = client.reply()
        assert codes(answer) == expected
        if answer.refused:
            rule.reply(answer)
    assert [mail.content for mail in server.messages] == [mail_of(LIMIT, line=line)]


@pytest.mark.parametrize("each", [1, 2, 3, 4, 5, 7, 2000])
@pytest.mark.parametrize("line", [b".\r\n", b"..\r\n", b"a.\r\n.b\r\n"])
def test_c54_dots_do_not_count_anywhere(rule: Notes, line: bytes, each: int) -> None:
    """The same without a wire, in pieces of one length, so that a dot stands on both sides of every joint."""
    for size in (LIMIT, LIMIT + 1):
        content = mail_of(size, line=line)
        whole = content.replace(b"\n.", b"\n..") + b".\r\n"
        reader = ContentReader(LIMIT)
        ends = [reader.feed(whole[at : at + each]) for at in range(0, len(whole), each)]
        assert ends.pop() == b"" and set(ends) <= {None}
        assert reader.content() == (content if size == LIMIT else b"")
        assert reader.too_big == (size > LIMIT)
    rule.observed(TOO_BIG)


@pytest.mark.parametrize("chunks", [[LIMIT + 1], [LIMIT, 1], [1, LIMIT], [500, 501], [1_000_000], [LIMIT + 1, 5, 0]])
def test_c54_too_big_in_chunks(server: Server, wire: Connect, rule: Notes, chunks: list[int]) -> None:
    """By BDAT the chunk that is too much is read and refused, and every one after it too (RFC 3030 2)."""
    client = wire(server)
    client.open("obiwan@a.test")
    before = 0
    for number, size in enumerate(chunks, 1):
        before += size
        client.say(b"BDAT %d%b\r\n" % (size, b" LAST" if number == len(chunks) else b"") + b"x" * size)
        answer = client.reply()
        assert codes(answer) == (TOO_BIG if before > LIMIT else "250 2.0.0")
        if answer.refused:
            rule.reply(answer, to="BDAT")
    client.open("obiwan@a.test")
    client.say(b"BDAT %d LAST\r\n" % LIMIT + mail_of(LIMIT))
    assert client.reply().code == 250
    assert [len(mail.content) for mail in server.messages] == [LIMIT]


@pytest.mark.parametrize("how", ["DATA", "BDAT"])
def test_c54_line_ends_count_as_two(server: Server, wire: Connect, rule: Notes, how: str) -> None:
    """A size counts CRLF for each line end (RFC 1870 5): a mail that has bare LFs is judged by what it becomes."""
    client = wire(server)
    for lines, expected in ((400, "250 2.0.0"), (500, TOO_BIG)):
        content = HEAD + b"\n" * lines + b"x" * (LIMIT - len(HEAD) - 2 * 400 - 2) + b"\r\n"
        assert len(content) <= LIMIT
        client.open("obiwan@a.test")
        if how == "DATA":
            answer = client.data(content)
        else:
            client.say(b"BDAT %d LAST\r\n" % len(content) + content)
            answer = client.reply()
        assert codes(answer) == expected
        if answer.refused:
            rule.reply(answer, to=how)


@pytest.mark.parametrize("octets", [b"x", b"\n.", b"..", b"\r\n..", b"\n"])
def test_c54_nothing_is_kept_of_it(octets: bytes, rule: Notes) -> None:
    """Whatever the pieces it comes in: a client that never ends its mail, octet by octet, fills no memory."""
    reader = ContentReader(LIMIT)
    for at in range(4 * LIMIT):
        assert reader.feed(octets[at % len(octets) :][:1]) is None
    assert reader.too_big
    assert reader.feed(b"\r\n.\r\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.content() == b""
    rule.observed(TOO_BIG)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("=ten", "501 5.5.4"),
        ("=-1", "501 5.5.4"),
        ("=+1", "501 5.5.4"),
        ("=1.5", "501 5.5.4"),
        ("=0x10", "501 5.5.4"),
        ("=1_000", "501 5.5.4"),
        ("=1,000", "501 5.5.4"),
        ("=1k", "501 5.5.4"),
        ("=" + "1" * 21, "501 5.5.4"),
        ("=" + "0" * 21, "501 5.5.4"),
        ("=\u0661", "501 5.5.4"),
        ("=\u00b2", "501 5.5.4"),
        ("=\uff11", "501 5.5.4"),
        ("", "501 5.5.4"),
        ("=", "501 5.5.4"),
        ("==1", "501 5.5.4"),
        ("=1=1", "501 5.5.4"),
        ("=1 SIZE=1", "501 5.5.4"),
        ("=0", "250 2.1.0"),
        ("=00000000000000000001", "250 2.1.0"),
    ],
)
def test_c55_what_a_size_is(server: Server, wire: Connect, rule: Notes, value: str, code: str) -> None:
    """1 to 20 digits of ASCII, once; all else is 501 5.5.4, and no transaction is open."""
    client = wire(server)
    answer = client.ask(f"MAIL FROM:<luke@example.org> SIZE{value}".encode())
    assert codes(answer) == code
    rule.reply(answer, to="" if answer.refused else "digits")
    assert client.ask(b"RCPT TO:<obiwan@a.test>").accepted == answer.accepted


@pytest.mark.parametrize("declared", [0, 1, 500, LIMIT])
def test_c56_a_wrong_declaration(server: Server, wire: Connect, rule: Notes, declared: int) -> None:
    """A mail that is smaller or bigger than it was declared is taken where it is not too big."""
    client = wire(server)
    for size in (30, 501, LIMIT):
        client.open("obiwan@a.test", parameters=f"SIZE={declared}")
        assert codes(rule.reply(client.data(mail_of(size)))) == "250 2.0.0"
    assert [len(mail.content) for mail in server.messages] == [30, 501, LIMIT]
