"""ServerMSG.txt: what a person reads about each mail, and that no mail can write in it as the server does."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair import server_msg
from smtp_pair.facts import Fact
from smtp_pair.server_msg import entry, harmless, one_line, outcome

RULE = "=" * 100
DIRECTION_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def received(**changed: Any) -> Fact:
    data: dict[str, Any] = {
        "client": "client.example [127.0.0.1]:4711",
        "sender": "luke@jaku.com",
        "recipients": [
            {"address": "obiwan@jaku.com", "outcome": "delivered"},
            {"address": "vader@deathstar.com", "outcome": "queued"},
        ],
        "title": "Three files",
        "date": "Wed, 25 May 1977 12:00:00 +0000",
        "size": 12345,
        "text": "Hello\n\nthere\n",
        "attachments": [
            {
                "name": "plan.gif",
                "type": "image/gif",
                "encoding": "base64",
                "size": 1234,
                "sha256": "ab" * 32,
                "file": "attachments/17-a-1/1.gif",
                "defects": [],
            },
            {
                "name": None,
                "type": "text/plain",
                "encoding": "7bit",
                "size": 0,
                "sha256": "cd" * 32,
                "file": "attachments/17-a-1/2.txt",
                "defects": [],
            },
        ],
        "defects": ["no closing boundary"],
        "file": "maildir/obiwan/new/17-a-1.smtp.jaku.com",
    }
    return Fact("received", 1_000_000_000.0, "smtp.jaku.com", "17-a-1", data | changed)


def test_an_entry_tells_all_of_a_mail() -> None:
    """Sender, recipients and their outcomes, title, text, dates, and of each attachment name, type, encoding, size,
    sha256 and file."""
    assert entry(received()).decode().split("\n") == [
        RULE,
        "Mail:        17-a-1",
        "Received:    Sun, 9 Sep 2001 01:46:40 +0000, from client.example [127.0.0.1]:4711",
        "Dated:       Wed, 25 May 1977 12:00:00 +0000",
        "Sender:      <luke@jaku.com>",
        "Recipient:   <obiwan@jaku.com> delivered",
        "Recipient:   <vader@deathstar.com> queued",
        "Title:       Three files",
        "Size:        12,345 octets",
        "Raw mail:    maildir/obiwan/new/17-a-1.smtp.jaku.com",
        "Attachment 1: plan.gif",
        "             image/gif, base64, 1,234 octets decoded",
        f"             sha256 {'ab' * 32}",
        "             file   attachments/17-a-1/1.gif",
        "Attachment 2: (no name)",
        "             text/plain, 7bit, 0 octets decoded",
        f"             sha256 {'cd' * 32}",
        "             file   attachments/17-a-1/2.txt",
        "Defect:      no closing boundary",
        "Text:",
        "    Hello",
        "    ",
        "    there",
        "",
        "",
    ]


def test_an_entry_of_a_bare_mail() -> None:
    """What is not there is said, or left out; the null sender is <> (C36)."""
    lines = entry(
        received(title="", date="", text="", attachments=[], defects=[], file="", sender="", recipients=[])
    ).decode()
    assert "Dated:       (no date)\nSender:      <>\nTitle:       (no title)\nSize:" in lines
    for absent in ("Raw mail", "Attachment", "Defect", "Text", "Recipient"):
        assert absent not in lines


@given(st.text(max_size=60))
@example(f"\n{RULE}\nMail:        forged")
@example("\u202egnp.exe")
@example("\x1b]0;title\x07\x9b2J\ud800\u2028")
def test_no_mail_writes_as_the_server_does(text: str) -> None:
    """Whatever stands in a mail: no line of it begins where ours do, no control or direction mark reaches the
    terminal, and the file stays UTF-8."""

    def written(text: str) -> str:
        attachment = {"name": text, "type": text, "encoding": text, "size": 1, "sha256": "x", "file": "f"}
        return entry(
            received(
                client=text,
                sender=text,
                recipients=[{"address": text, "outcome": "delivered"}],
                title=text,
                date=text,
                text=f"{text}x",
                attachments=[attachment],
                defects=[text],
            )
        ).decode()

    forged = written(text)
    bad = [char for char in forged if unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in DIRECTION_MARKS]
    assert set(bad) <= {"\n", "\t"}
    head, _, body = forged.partition("\nText:\n")
    assert [line[:13] for line in head.split("\n")] == [
        line[:13] for line in written("x").partition("\nText:\n")[0].split("\n")
    ]
    assert body.endswith("\n\n")
    assert all(line.startswith("    ") for line in body[:-2].split("\n"))


@given(st.text(max_size=60))
def test_harmless_text_is_what_it_was(text: str) -> None:
    """Only controls and direction marks are escaped; doing it twice does nothing more."""
    assert one_line(one_line(text)) == one_line(text)
    assert harmless(harmless(text)) == harmless(text)
    if text.isprintable() and not set(text) & set(DIRECTION_MARKS):
        assert harmless(text) == one_line(text) == text
    assert not set(one_line(text)) & set("\n\t\r\x1b")


ATTEMPT = {"recipient": "vader@deathstar.com", "next_hop": "smtp.deathstar.com ([::1]:1030)", "attempts": 3}


@pytest.mark.parametrize(
    ("event", "data", "line"),
    [
        (
            "forwarded",
            {"reply": "250 2.0.0 OK"},
            "<vader@deathstar.com> forwarded to smtp.deathstar.com ([::1]:1030): 250 2.0.0 OK",
        ),
        (
            "deferred",
            {"reply": "451 4.3.0 later", "again": 1_000_000_060.0},
            "<vader@deathstar.com> put off, smtp.deathstar.com ([::1]:1030) said 451 4.3.0 later; "
            "again Sun, 9 Sep 2001 01:47:40 +0000",
        ),
        (
            "failed",
            {"reply": "550 5.1.1 no\nsuch user", "next_hop": ""},
            "<vader@deathstar.com> failed, the routing table said 550 5.1.1 no\\nsuch user",
        ),
    ],
)
def test_what_became_of_it(event: str, data: dict[str, Any], line: str) -> None:
    """One line for each attempt, with the mail's name, the hop and its reply, of which a remote can make only one."""
    fact = Fact(event, 1_000_000_000.0, "smtp.jaku.com", "17-a-1", ATTEMPT | data)
    assert outcome(fact) == line
    assert entry(fact).decode() == f"Sun, 9 Sep 2001 01:46:40 +0000  17-a-1: {line}\n"


def test_a_refused_recipient_is_no_entry() -> None:
    """Nothing was got."""
    assert server_msg.entry(Fact("refused", 0.0, "smtp.a.test", "", {})) == b""
