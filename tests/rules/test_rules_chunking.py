"""BDAT: chunks of any octets, and every way of getting them wrong (C59, RFC 3030 2)."""

from __future__ import annotations

import random

import pytest

from harness.rules_plugin import Connect, Notes, Way
from harness.wire import Wire, codes
from smtp_pair import Domain, Pair
from smtp_pair.mail.reply import Reply
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"
COMMANDS = b"QUIT\r\nRSET\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"
MAIL = b"MAIL FROM:<luke@example.org>"
RCPT = b"RCPT TO:<obiwan@jaku.com>"


def chunk(octets: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


def bdat(client: Wire, octets: bytes, *, last: bool = False) -> Reply:
    client.say(chunk(octets, last=last))
    return client.reply()


@pytest.mark.parametrize(
    "chunks",
    [
        [LETTER],
        [LETTER[:9], LETTER[9:]],
        [LETTER, b""],
        [b"", LETTER, b"", b""],
        [bytes([octet]) for octet in LETTER],
        [LETTER[:15], LETTER[15:16], LETTER[16:17], LETTER[17:]],
    ],
    ids=["one", "two", "0_last", "empty_ones", "octets", "in_a_line_end"],
)
def test_c59_chunks(way: Way, wire: Connect, rule: Notes, chunks: list[bytes]) -> None:
    """250 2.0.0 to each chunk, and to the last one for the mail, which is the same however it was cut."""
    client = wire(way.start)
    client.open(way.recipient)
    for octets in chunks[:-1]:
        assert codes(rule.reply(bdat(client, octets))) == "250 2.0.0"
    assert codes(rule.reply(bdat(client, chunks[-1], last=True))) == "250 2.0.0"
    assert [mail.content for mail in way.mails] == [LETTER]
    assert client.ask(RCPT).code == 503, "the transaction is over"


@pytest.mark.parametrize(
    "line", [b"bdat 1 last\r\nx", b"BDAT 1 Last\r\nx", b"BDAT  1  LAST \r\nx", b"BDAT 01 LAST\r\nx"]
)
def test_c59_any_case(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """The verb and LAST in any case; a size with zeros before it."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    client.say(line)
    assert codes(rule.reply(client.reply())) == "250 2.0.0"
    assert [mail.content for mail in mail_pair.jaku.messages] == [b"x\r\n"]


def test_c59_zero_last_alone(way: Way, wire: Connect, rule: Notes) -> None:
    """BDAT 0 LAST is all that an empty mail needs."""
    client = wire(way.start)
    client.open(way.recipient)
    assert codes(rule.reply(bdat(client, b"", last=True), to="BDAT 0 LAST")) == "250 2.0.0"
    assert [mail.content for mail in way.mails] == [b""]


def test_c59_cut_anywhere(way: Way, wire: Connect, rule: Notes) -> None:
    """Two chunks cut at every place of a mail that has dots, a line of one dot and all octets; the commands and the
    chunks are in one segment, or in pieces."""
    content = (
        b"X: \r\n\r\n.\r\n..\r\n\r\n.\r\n" + bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n"
    )
    rng = random.Random(1)
    client = wire(way.start)
    for at in range(0, len(content) + 1, 1 if way.start is way.end else 7):
        client.open(way.recipient)
        group = chunk(content[:at]) + chunk(content[at:], last=True) + b"NOOP\r\n"
        client.say(group, cuts=rng.sample(range(len(group)), k=at % 4))
        assert [rule.reply(answer).code for answer in client.replies(3)] == [250, 250, 250]
    assert {mail.content for mail in way.mails} == {content}


def test_c59_a_big_mail(way: Way, wire: Connect, rule: Notes) -> None:
    """Chunks of megabytes, everything in one go."""
    content = b"Subject: Big\r\n\r\n" + b"".join(b"%07d\r\n" % number for number in range(300_000))
    third = len(content) // 3 + 1
    pieces = [content[:third], content[third : 2 * third], content[2 * third :]]
    client = wire(way.start)
    client.say(b"%b\r\nRCPT TO:<%b>\r\n" % (MAIL, way.recipient.encode()) + b"".join(map(chunk, pieces)))
    client.say(chunk(b"", last=True) + b"QUIT\r\n")
    *_, last, bye = client.replies(7)
    assert (codes(rule.reply(last)), bye.code) == ("250 2.0.0", 221)
    assert [mail.content for mail in way.mails] == [content]


@pytest.mark.parametrize("end", [b"", b"\r", b"\n", b"\r\n", b"\r\n."])
def test_c59_last_line(way: Way, wire: Connect, rule: Notes, end: bytes) -> None:
    """The last line of the last chunk gets its CRLF where it has none: the mail may have to go on by DATA."""
    client = wire(way.start)
    client.open(way.recipient)
    assert rule.reply(bdat(client, b"a\r\n\r\nb" + end, last=True)).code == 250
    expected = b"a\r\n\r\nb\r\n" + (b".\r\n" if end == b"\r\n." else b"")
    assert [mail.content for mail in way.mails] == [expected]


@pytest.mark.parametrize("last", [False, True], ids=["", "LAST"])
@pytest.mark.parametrize(
    "said",
    [[], [b"EHLO client.example"], [b"EHLO client.example", MAIL]],
    ids=["before_ehlo", "before_mail", "before_rcpt"],
)
def test_c59_out_of_place(mail_pair: Pair, wire: Connect, rule: Notes, said: list[bytes], last: bool) -> None:
    """Before EHLO, MAIL or RCPT: the octets are read and thrown away, commands among them too; then 503 5.5.1, and the
    session is where it was."""
    client = wire(mail_pair.jaku, hello=False)
    client.reply()
    for line in said:
        assert client.ask(line).code == 250
    assert codes(rule.reply(bdat(client, COMMANDS, last=last), to="out of place")) == "503 5.5.1"
    assert bdat(client, b"", last=True).code == 503
    rest = [b"EHLO client.example", MAIL, RCPT][len(said) :]
    assert [client.ask(line).code for line in rest] == [250] * len(rest)
    assert bdat(client, LETTER, last=True).code == 250
    assert [mail.content for mail in mail_pair.jaku.messages] == [LETTER]


def test_c59_after_refused_recipients(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A pipelined group whose recipients are all refused: both chunks are read, 503 5.5.1 to each, nothing of them is
    a command, and no mail comes of it."""
    client = wire(mail_pair.jaku)
    client.say(MAIL + b"\r\nRCPT TO:<paimon@genshinimpact.com>\r\n" + chunk(COMMANDS) + chunk(COMMANDS, last=True))
    answers = client.replies(4)
    assert [codes(answer) for answer in answers] == ["250 2.1.0", "550 5.1.2", "503 5.5.1", "503 5.5.1"]
    rule.reply(answers[3], to="no recipient")
    assert client.ask(RCPT).code == 250
    assert bdat(client, LETTER, last=True).code == 250
    assert [mail.content for mail in mail_pair.jaku.messages] == [LETTER]


def test_c59_after_last(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A chunk after the last one belongs to no mail: 503 5.5.1."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    bdat(client, LETTER, last=True)
    for last in (False, True):
        assert codes(rule.reply(bdat(client, COMMANDS, last=last), to="after the last")) == "503 5.5.1"
    assert [mail.content for mail in mail_pair.jaku.messages] == [LETTER]


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b" ",
        b" x",
        b" -1",
        b" +1",
        b" 1.5",
        b" 0x1",
        b" 1_0",
        b" LAST",
        b" LAST 1",
        b" 1 FIRST",
        b" 1 LAST now",
        b" 1LAST",
        b" " + b"1" * 21,
        b" \xd9\xa1",
        b" \xef\xbc\x91",
        b" 1 1",
        b" 1;LAST",
    ],
)
def test_c59_bad_size(mail_pair: Pair, wire: Connect, rule: Notes, argument: bytes) -> None:
    """501 5.5.4: there are no octets to read, and the transaction is as it was, before the first chunk and after it."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    assert codes(rule.reply(client.ask(b"BDAT" + argument), to="bad size")) == "501 5.5.4"
    assert bdat(client, LETTER[:5]).code == 250
    assert codes(rule.reply(client.ask(b"BDAT" + argument), to="bad size")) == "501 5.5.4"
    assert bdat(client, LETTER[5:], last=True).code == 250
    assert [mail.content for mail in mail_pair.jaku.messages] == [LETTER]


@pytest.mark.parametrize(
    "line", [b"DATA", MAIL, RCPT, b"AUTH PLAIN =", b"STARTTLS"], ids=lambda line: line.split()[0].decode()
)
def test_c59_mixed_with_others(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """Once a chunk was sent, DATA is 503 5.5.1, with no 354, and so are MAIL and RCPT; the chunks may go on."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    bdat(client, LETTER[:5])
    assert codes(rule.reply(client.ask(line), to=line.split()[0].decode())) == "503 5.5.1"
    assert bdat(client, LETTER[5:], last=True).code == 250
    [mail] = mail_pair.jaku.messages
    assert (mail.envelope.sender, mail.content) == ("luke@example.org", LETTER)


@pytest.mark.parametrize("line", [b"NOOP", b"HELP", b"VRFY x", b"EXPN x", b"NONE", b"DATA", b"BDAT x"])
def test_c59_between_chunks(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """What has nothing to do with a mail changes nothing between its chunks."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    for octet in LETTER:
        bdat(client, bytes([octet]))
        if octet in b"\r.":
            client.ask(line)
    assert rule.reply(bdat(client, b"", last=True)).code == 250
    assert [mail.content for mail in mail_pair.jaku.messages] == [LETTER]


@pytest.mark.parametrize("line", [b"RSET", b"EHLO again.example", b"HELO again.example"])
def test_c59_reset_in_the_middle(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes) -> None:
    """RSET and EHLO throw the chunks away; the next chunk has no transaction, the next mail nothing of the first."""
    client = wire(mail_pair.jaku)
    client.open("leia@jaku.com", sender="vader@example.org")
    bdat(client, b"Subject: Gone\r\n\r\n")
    assert client.ask(line).code == 250
    assert codes(rule.reply(bdat(client, COMMANDS, last=True), to=f"after {line[:4].decode()}")) == "503 5.5.1"
    client.open("obiwan@jaku.com")
    assert bdat(client, LETTER, last=True).code == 250
    [mail] = mail_pair.jaku.messages
    assert (mail.envelope.recipients, mail.content) == (["obiwan@jaku.com"], LETTER)


@pytest.mark.parametrize("after", [b"", b"RSET\r\n"], ids=["at_once", "after_rset"])
def test_c59_last_chunk_fails(mail_network: MailNetwork, wire: Connect, rule: Notes, after: bytes) -> None:
    """Where the mail is refused with its last chunk the transaction is over all the same, and the next one is taken."""
    server = mail_network(Domain("a.test", bare_newline="reject"))["a.test"]
    client = wire(server)
    client.open("obiwan@a.test")
    client.say(chunk(b"a\n") + chunk(b"b\r\n", last=True) + after + chunk(COMMANDS, last=True))
    answers = [codes(answer) for answer in client.replies(3 + bool(after))]
    assert answers == ["250 2.0.0", "550 5.5.2", *["250 2.0.0"][: len(after)], "503 5.5.1"]
    rule.observed(f"last chunk refused: {answers[1]}")
    client.open("obiwan@a.test")
    assert bdat(client, LETTER, last=True).code == 250
    assert [mail.content for mail in server.messages] == [LETTER]


@pytest.mark.parametrize("then", [b"RSET", b"EHLO again.example", b"BDAT 0 LAST"], ids=["rset", "ehlo", "last"])
def test_c59_over_the_limit(mail_network: MailNetwork, wire: Connect, rule: Notes, then: bytes) -> None:
    """A chunk that makes the mail too big is read to its end and refused; so is every one after it, however small,
    until the transaction ends: a mail with a hole in it is never taken."""
    server = mail_network(Domain("a.test", size=100))["a.test"]
    client = wire(server)
    client.open("obiwan@a.test")
    client.say(chunk(b"x" * 50) + chunk(COMMANDS * 100) + chunk(b"QUIT\r\n") + then + b"\r\n")
    answers = client.replies(4)
    assert [codes(answer) for answer in answers[:3]] == ["250 2.0.0", "552 5.3.4", "552 5.3.4"]
    rule.reply(answers[1], to="over the limit")
    assert answers[3].code == (552 if then.startswith(b"BDAT") else 250)
    assert server.messages == []
    client.open("obiwan@a.test")
    assert bdat(client, LETTER, last=True).code == 250
    assert [mail.content for mail in server.messages] == [LETTER]


def test_c59_a_chunk_of_20_digits(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A chunk as big as can be said is waited for, with nothing kept of what is too much; a client that gives up leaves
    no mail."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    client.say(b"BDAT 99999999999999999999 LAST\r\n" + COMMANDS)
    client.half_close()
    client.expect_close()
    rule.observed("waits for as many octets as were announced")
    mail_pair.settle()
    assert mail_pair.jaku.messages == []
