"""A server's console: what a fact looks like there."""

from __future__ import annotations

from typing import Any

import pytest

from smtp_pair.facts import Fact
from smtp_pair.screen import console

MAIL: dict[str, Any] = {
    "client": "[127.0.0.1] [127.0.0.1]:40000",
    "sender": "luke@jaku.com",
    "recipients": [
        {"address": "obiwan@jaku.com", "outcome": "delivered"},
        {"address": "vader@deathstar.com", "outcome": "queued"},
        {"address": "paimon@genshinimpact.com", "outcome": "ignored"},
    ],
    "title": "Plans",
    "date": "",
    "size": 12345,
    "text": "One.\n\n\tTwo.\n\n\n",
    "attachments": [
        {
            "name": "plan.gif",
            "type": "image/gif",
            "encoding": "base64",
            "size": 1000,
            "sha256": "ab" * 32,
            "file": "attachments/1/1.gif",
        },
        {
            "name": None,
            "type": "text/plain",
            "encoding": "7bit",
            "size": 0,
            "sha256": "cd" * 32,
            "file": "attachments/1/2.txt",
        },
    ],
    "defects": ["the boundary never comes"],
    "file": "maildir/obiwan/new/1",
}
ATTEMPT: dict[str, Any] = {
    "recipient": "vader@deathstar.com",
    "next_hop": "smtp.deathstar.com (127.0.0.1:1030)",
    "attempts": 1,
}


def shown(event: str, **data: Any) -> list[str]:
    fact = Fact(event, 1000.0, "smtp.jaku.com", "19-a-1", data)
    lines = console.lines(fact, "jaku")
    assert {line.actor for line in lines} == {"jaku"}
    return [line.text for line in lines]


def test_a_mail_that_came() -> None:
    """Sender, each recipient with what becomes of it, title, text, each attachment with type, size, file and digest,
    and what is wrong with it."""
    assert shown("received", **MAIL) == [
        "received  a mail from <luke@jaku.com>, 12,345 octets: 19-a-1",
        "  to      <obiwan@jaku.com> delivered",
        "  to      <vader@deathstar.com> queued, to be passed on",
        "  to      <paimon@genshinimpact.com> ignored, no route leads there",
        "  title   Plans",
        "  text    One.",
        "          ",
        "                  Two.",
        "  file    plan.gif: image/gif, base64, 1,000 octets",
        "          attachments/1/1.gif",
        f"          sha256 {'ab' * 32}",
        "  file    (no name): text/plain, 7bit, 0 octets",
        "          attachments/1/2.txt",
        f"          sha256 {'cd' * 32}",
        "  defect  the boundary never comes",
    ]


def test_a_mail_without_anything() -> None:
    """No sender, title, text or attachment: each is said, or left out."""
    bare = {"sender": "", "title": "", "text": "", "attachments": [], "defects": []}
    assert shown("received", **MAIL | bare | {"recipients": MAIL["recipients"][:1]}) == [
        "received  a mail from <>, 12,345 octets: 19-a-1",
        "  to      <obiwan@jaku.com> delivered",
        "  title   (none)",
    ]


def test_a_long_text_is_cut() -> None:
    """The first lines are shown and the others counted."""
    texts = shown("received", **MAIL | {"text": "line\n" * 1012, "attachments": [], "defects": []})
    assert texts[5:] == ["  text    line", *["          line"] * 11, "          ... 1,000 more lines"]


@pytest.mark.parametrize(
    ("event", "data", "text"),
    [
        (
            "refused",
            {
                "client": "[::1]:9",
                "sender": "luke@jaku.com",
                "recipient": "<paimon@x.test>",
                "reply": "550 5.1.2 no route",
            },
            "refused   <paimon@x.test> from <luke@jaku.com>: 550 5.1.2 no route",
        ),
        (
            "forwarded",
            ATTEMPT | {"reply": "250 2.0.0 ok"},
            "forwarded <vader@deathstar.com>: deathstar.com at smtp.deathstar.com (127.0.0.1:1030) said 250 2.0.0 ok",
        ),
        (
            "deferred",
            ATTEMPT | {"reply": "451 4.4.1 no\nanswer", "attempts": 3, "again": 1004.0},
            "put off   <vader@deathstar.com>: deathstar.com at smtp.deathstar.com (127.0.0.1:1030) said 451 4.4.1 no; "
            "answer, at attempt 3; again in 4 s",
        ),
        (
            "failed",
            ATTEMPT | {"reply": "550 5.1.2 gone", "next_hop": ""},
            "failed    <vader@deathstar.com>: the routing table said 550 5.1.2 gone",
        ),
    ],
)
def test_one_line_events(event: str, data: dict[str, Any], text: str) -> None:
    """Who was asked about whom, what the answer was, and when it is tried again."""
    assert shown(event, **data) == [text]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "0.1 s"), (1.0, "1 s"), (64, "64 s"), (300, "5 min"), (1800, "30 min")]
)
def test_when_it_is_tried_again(seconds: float, text: str) -> None:
    """A duration in the unit that people use."""
    (line,) = shown("deferred", **ATTEMPT, reply="451 no", again=1000 + seconds)
    assert line.endswith(f"; again in {text}")


def test_labels_are_short_where_they_tell_two_domains_apart() -> None:
    """jaku for jaku.com; the whole name where the first word of it would be another's too."""
    assert console.labels(["jaku.com", "deathstar.com"]) == {"jaku.com": "jaku", "deathstar.com": "deathstar"}
    assert console.labels(["mail.a.test", "Mail.b.test", "c.test"]) == {
        "mail.a.test": "mail.a.test",
        "Mail.b.test": "Mail.b.test",
        "c.test": "c",
    }
