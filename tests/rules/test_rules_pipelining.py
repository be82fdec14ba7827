"""Groups of commands: answered in their order, in whatever pieces they come; and the content waits for its 354 (C57,
C58, RFC 2920)."""

from __future__ import annotations

import random

import pytest

from harness.rules_plugin import Connect, Notes, Way
from harness.wire import Wire, codes
from smtp_pair import Domain, Server
from smtp_pair.config import Limits
from smtp_pair.mail.reply import Reply
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


@pytest.fixture
def server(mail_network: MailNetwork) -> Server:
    return mail_network(Domain("a.test", users=["obiwan", "leia"], limits=Limits(errors=10_000)))["a.test"]


COMMANDS = [
    # the number of a command is where its reply will quote it; the octets of a chunk follow at once
    *[b"MAIL FROM:<luke@example.org>\r\n", b"RCPT TO:<obiwan@a.test>\r\n", b"BDAT 7\r\nS%06d"] * 2,
    b"MAIL FROM:<luke@example.org> X%d=1\r\n",
    b"RCPT TO:<leia@a.test> NOTIFY=NEVER\r\n",
    b"RCPT TO:<user%d@a.test>\r\n",
    b"RCPT TO:<paimon@nowhere%d.test>\r\n",
    b"BDAT 15 LAST\r\nQUIT\r\n.\r\nRSET\r\n",
    b"BDAT 0 LAST\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY user%d\r\n",
    b"WHAT%d\r\n",
    b"N" * 600 + b"\r\n",
    b"EHLO client.example\r\n",
]


def commands(rng: random.Random, count: int) -> list[bytes]:
    """Commands of all kinds, in no order, with a mail somewhere in between."""
    mail = [b"RSET\r\n", b"MAIL FROM:<luke@example.org>\r\n", b"RCPT TO:<obiwan@a.test>\r\n", b"BDAT 1 LAST\r\nx"]
    chosen = rng.choices(COMMANDS, k=count)
    chosen[count // 2 : count // 2] = mail
    return [command % number if b"%" in command else command for number, command in enumerate(chosen)]


def told(answer: Reply) -> str:
    """What a reply says, without the name of a mail, which differs each time."""
    return codes(answer) if answer.text.startswith("taken as") else str(answer)


def one_by_one(client: Wire, lines: list[bytes]) -> list[str]:
    answers = []
    for line in lines:
        client.say(line)
        answers.append(told(client.reply()))
    return answers


@pytest.mark.parametrize("seed", range(12))
def test_c57_in_order_in_any_pieces(server: Server, wire: Connect, rule: Notes, seed: int) -> None:
    """A random session at once, cut at random places: the replies are those to the same commands one by one, in their
    order (they quote what they answer), and the same mails come of it."""
    rng = random.Random(seed)
    lines = commands(rng, 80)
    expected = one_by_one(wire(server), lines)
    mails = [(mail.envelope, mail.content) for mail in server.messages]
    assert mails
    whole = b"".join(lines)
    for pieces in (0, 3, 60):
        client = wire(server)
        client.say(whole, cuts=rng.sample(range(len(whole)), k=pieces))
        answers = client.replies(len(lines))
        assert [told(answer) for answer in answers] == expected
        assert client.ask(b"NOOP").code == 250
    assert [(mail.envelope, mail.content) for mail in server.messages] == mails * 4
    rule.observed("each in its place")


def test_c57_octet_by_octet(server: Server, wire: Connect, rule: Notes) -> None:
    """The same with every octet in a segment of its own."""
    lines = [
        b"MAIL FROM:<luke@example.org>\r\n",
        b"RCPT TO:<x@a.test>\r\n",
        b"RCPT TO:<obiwan@a.test>\r\n",
        b"DATA\r\n",
    ]
    client = wire(server)
    client.say(b"".join(lines), cuts=range(sum(map(len, lines))))
    assert [answer.code for answer in client.replies(4)] == [250, 550, 250, 354]
    client.say(LETTER + b".\r\n", cuts=range(len(LETTER) + 3))
    assert client.reply().code == 250
    rule.observed("each in its place")


@pytest.mark.parametrize("mails", [1, 2, 20])
def test_c57_what_follows_a_mail(way: Way, wire: Connect, rule: Notes, mails: int) -> None:
    """The next group may come with the end of a mail, and DATA may be the last of a group."""
    client = wire(way.start)
    group = b"MAIL FROM:<luke@example.org>\r\nRCPT TO:<%b>\r\nDATA\r\n" % way.recipient.encode()
    client.say(group)
    for number in range(mails):
        assert [answer.code for answer in client.replies(3)] == [250, 250, 354]
        client.say(LETTER + b".\r\n" + (group if number < mails - 1 else b"NOOP\r\nQUIT\r\n"))
        assert client.reply().code == 250
    assert [answer.code for answer in client.replies(2)] == [250, 221]
    client.expect_close()
    rule.observed("each in its place")
    assert len(way.mails) == mails


def test_c57_data_without_anybody(server: Server, wire: Connect, rule: Notes) -> None:
    """A group whose recipients are all refused: DATA is refused too, and what follows is a command."""
    client = wire(server)
    client.say(b"MAIL FROM:<luke@example.org>\r\nRCPT TO:<x@a.test>\r\nRCPT TO:<y@a.test>\r\nDATA\r\nRSET\r\n")
    answers = client.replies(5)
    assert [answer.code for answer in answers] == [250, 550, 550, 503, 250]
    rule.reply(answers[3], to="DATA without a recipient")


@pytest.mark.parametrize("early", [LETTER + b".\r\n", b".\r\n", b"S", b"QUIT\r\n", LETTER + b".\r\nQUIT\r\n"])
def test_c58_content_before_the_354(way: Way, wire: Connect, rule: Notes, early: bytes) -> None:
    """A content that is sent with DATA was not asked for: after a refusal it would have been taken for commands. 554
    and the end, and no mail, though an earlier one of the session is kept."""
    client = wire(way.start)
    client.open(way.recipient)
    client.data(LETTER)
    client.say(b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<%b>\r\nDATA\r\n%b" % (way.recipient.encode(), early))
    assert [answer.code for answer in client.replies(3)] == [250, 250, 354]
    assert rule.reply(client.reply()).code == 554
    client.expect_close()
    rule.observed("closes the connection")
    assert [mail.envelope.sender for mail in way.mails] == ["luke@example.org"]


def test_c58_content_after_a_refusal(way: Way, wire: Connect, rule: Notes) -> None:
    """Where DATA is refused the content that was sent with it is no mail: its lines are unknown commands."""
    client = wire(way.start)
    client.say(b"MAIL FROM:<luke@example.org>\r\nDATA\r\nSubject: Hello\r\n\r\nHello.\r\n.\r\n")
    answers = client.replies(6)
    assert [answer.code for answer in answers] == [250, 503, 500, 500, 500, 500]
    rule.reply(answers[1], to="DATA without a recipient")
    assert way.mails == []
