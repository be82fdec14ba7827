"""The largest mail is 33554432 octets (RFC 1870), and one octet more is refused, declared or not."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from smtp_pair import Pair
from smtp_pair.journal import read

SIZE = 33554432
HEAD = b"Subject: How big?\r\n\r\n"


def mail_of(size: int) -> bytes:
    """So many octets on the wire, dots and the end not counted: the last line is as long as it must be."""
    line = b"x" * 998 + b"\r\n"
    lines, rest = divmod(size - len(HEAD), len(line))
    if rest < 2:  # no room for a line end: a longer line before it
        lines, rest = lines - 1, rest + len(line)
    return HEAD + line * lines + b"x" * (rest - 2) + b"\r\n"


@pytest.fixture
def client(mail_pair: Pair) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port, local_hostname="client.example") as client:
        client.ehlo()
        yield client


def a_small_mail_is_taken(client: smtplib.SMTP, pair: Pair) -> None:
    client.sendmail("luke@jaku.com", ["obiwan@jaku.com"], b"Subject: Small\r\n\r\n")
    assert [mail.subject for mail in pair.jaku.messages] == ["Small"]
    assert len(list(pair.jaku.directory.rglob("*/new/*"))) == 1


def test_the_limit_is_offered(client: smtplib.SMTP) -> None:
    """EHLO says the number (C52)."""
    assert client.esmtp_features["size"] == str(SIZE)


def test_declared_at_mail(client: smtplib.SMTP, mail_pair: Pair) -> None:
    """552 5.3.4 to MAIL with a SIZE that is too big, before a single octet of the mail (C53); the limit itself is
    taken; the session goes on."""
    code, text = client.docmd(f"MAIL FROM:<luke@jaku.com> SIZE={SIZE + 1}")
    assert (code, text.split()[0]) == (552, b"5.3.4")
    assert client.docmd(f"MAIL FROM:<luke@jaku.com> SIZE={SIZE}")[0] == 250
    client.rset()
    a_small_mail_is_taken(client, mail_pair)


@pytest.mark.parametrize("more", [1, 1 << 20])
def test_undeclared_after_the_dot(client: smtplib.SMTP, mail_pair: Pair, more: int) -> None:
    """552 5.3.4 after the dot for a mail that is too big and did not say so (C54): nothing of it is kept, and the
    session goes on."""
    assert client.docmd("MAIL FROM:<luke@jaku.com>")[0] == 250
    assert client.docmd("RCPT TO:<obiwan@jaku.com>")[0] == 250
    code, text = client.data(mail_of(SIZE + more))
    assert (code, text.split()[0]) == (552, b"5.3.4")
    a_small_mail_is_taken(client, mail_pair)


def test_a_lie_about_the_size(client: smtplib.SMTP, mail_pair: Pair) -> None:
    """A small declaration does not open the door for a mail that is too big; for one that is not it is tolerated
    (C56)."""
    for size, expected in ((SIZE + 1, 552), (1000, 250)):
        assert client.docmd("MAIL FROM:<luke@jaku.com> SIZE=10")[0] == 250
        assert client.docmd("RCPT TO:<obiwan@jaku.com>")[0] == 250
        assert client.data(mail_of(size))[0] == expected
    assert [len(mail.content) for mail in mail_pair.jaku.messages] == [1000]


def test_the_limit_itself_is_taken(client: smtplib.SMTP, mail_pair: Pair) -> None:
    """A mail of exactly the size offered is delivered."""
    mail = mail_of(SIZE)
    assert len(mail) == SIZE
    assert client.sendmail("luke@jaku.com", ["obiwan@jaku.com"], mail) == {}
    assert mail_pair.jaku.messages[0].content == mail


def test_the_next_server_has_a_limit_too(client: smtplib.SMTP, mail_pair: Pair) -> None:
    """A mail that our trace field makes too big for the next server fails for good, with that server's reply in the
    journal, and its sender is told: it does not vanish."""
    assert client.sendmail("luke@jaku.com", ["vader@deathstar.com"], mail_of(SIZE)) == {}
    mail_pair.settle()
    facts = [fact for fact in read(mail_pair.jaku.directory) if fact.event == "failed"]
    assert [(fact.data["recipient"], fact.data["reply"].split()[:2]) for fact in facts] == [
        ("vader@deathstar.com", ["552", "5.3.4"])
    ]
    mail_pair.jaku.wait_for(to="luke@jaku.com", sender="")
    assert mail_pair.deathstar.messages == []
