"""What panes have to show, without a screen: streams of rows, counts, marks, and what is too much."""

from __future__ import annotations

import pytest

from smtp_pair.facts import Fact
from smtp_pair.recorder import Said
from smtp_pair.screen.lines import Line, fitted
from smtp_pair.screen.panes import feed as feeds
from smtp_pair.screen.panes.feed import Feed, State
from smtp_pair.screen.panes.model import AT_ONCE, MAILS, Panes, Place, client_line
from smtp_pair.screen.panes.stream import ENTRIES, ROWS, Entry, Stream
from smtp_pair.transcript import Event

HERE = Place("smtp.a.test", "a.test", "a", "127.0.0.1:1025")


def said(text: str, number: int = 1) -> Said:
    return Said("smtp.a.test", number, f"client {number}", "smtp.a.test", (Event(0.0, "send", text),))


def received(number: int, *outcomes: str, title: str = "Plans") -> Fact:
    recipients = [{"address": f"r{n}@a.test", "outcome": outcome} for n, outcome in enumerate(outcomes)]
    data = {"client": "[127.0.0.1]:5", "sender": "luke@a.test", "recipients": recipients, "title": title, "size": 5}
    more = {"text": "", "date": "", "attachments": [], "defects": [], "file": ""}
    return Fact("received", 0.0, "smtp.a.test", f"mail-{number}", {**data, **more})


def attempt(event: str, number: int, recipient: str) -> Fact:
    data = {"recipient": recipient, "next_hop": "b.test", "reply": "250 fine", "attempts": 1, "again": 300.0}
    return Fact(event, 0.0, "smtp.a.test", f"mail-{number}", data)


def panes(*happened: feeds.Happening) -> Panes:
    model = Panes([HERE])
    feed = Feed()
    for one in happened:
        feed.put(one)
    model.take(feed.take())
    return model


def texts(model: Panes) -> list[str]:
    return [row.text for row in model.servers[0].stream.rows]


# -- a stream ----------------------------------------------------------------------------------------------------------


def test_a_conversation_is_named_where_it_begins_and_goes_on() -> None:
    """Once above its lines, and again after another one came in between; a fact does not interrupt it."""
    model = panes(said("EHLO x"), said("NOOP"), received(1, "delivered"), said("QUIT"), said("EHLO y", 2), said("RSET"))
    assert [text for text in texts(model) if text.startswith(("from", "→"))] == [
        *("from client 1", "→ EHLO x", "→ NOOP", "→ QUIT", "from client 2", "→ EHLO y", "from client 1", "→ RSET"),
    ]


def test_a_stream_is_bounded_and_says_what_went() -> None:
    """Of entries and of rows the newest stay; rows that went are counted, and a new width begins anew."""
    stream = Stream()
    for start in range(0, ROWS + 500, 500):
        stream.add(Entry(Line("", str(number))) for number in range(start, start + 500))
    assert (len(stream), len(stream.rows), stream.gone) == (ENTRIES, ROWS, 500)
    assert stream.rows[0].text == "500" and stream.rows[-1].text == str(ROWS + 499)
    assert stream.shape(40, "") and (len(stream.rows), stream.gone) == (ENTRIES, 0)
    assert not stream.shape(40, "")


def test_a_stream_is_folded_to_its_width_and_filtered() -> None:
    """Each row fits; a filter looks at the whole line, at its conversation and at its mail."""
    stream = Stream()
    stream.shape(30, "")
    stream.add([Entry(Line("", "word " * 20), "from client 7"), Entry(Line("", "else"), about="plans")])
    assert len(stream.rows) > 3 and all(len(row.text) <= 30 for row in stream.rows)
    stream.shape(30, "CLIENT 7")
    assert stream.rows[-1].text != "else" and len(stream.rows) > 2
    stream.shape(30, "Plans")
    assert [row.text for row in stream.rows] == ["else"]


# -- a feed ------------------------------------------------------------------------------------------------------------


def test_a_feed_that_nobody_empties_drops_words_before_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped is counted, for its server; facts have more room."""
    monkeypatch.setattr(feeds, "LAG", 5)
    monkeypatch.setattr(feeds, "MOST", 8)
    feed = Feed()
    for number in range(10):
        feed.put(said(str(number)))
    for number in range(10):
        feed.put(received(number))
    batch = feed.take()
    assert (len(batch.happened), batch.missing) == (8, {"smtp.a.test": 5 + 7})
    assert feed.take() == feeds.Batch((), {})


def test_of_too_many_words_at_once_the_last_are_shown() -> None:
    """And that others came is said; facts among them are all counted."""
    model = panes(*(said(str(n)) for n in range(AT_ONCE + 500)), received(1, "delivered"))
    shown = texts(model)
    assert shown[0] == "(500 lines came too fast for this screen)"
    assert "→ 499" not in shown and "→ 500" in shown and f"→ {AT_ONCE + 499}" in shown
    assert model.servers[0].counts["received"] == 1


# -- a server's pane ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "later", "mark"),
    [
        (["delivered"], [], "✓"),
        (["delivered", "queued"], [], "…"),
        (["delivered", "queued"], ["forwarded"], "→"),
        (["delivered", "queued"], ["deferred"], "↻"),
        (["delivered", "queued"], ["deferred", "forwarded"], "→"),
        (["delivered", "queued"], ["deferred", "failed"], "✗"),
        (["ignored"], [], "-"),
        ([], [], "?"),
    ],
)
def test_a_mail_has_a_mark_for_what_became_of_it(outcomes: list[str], later: list[str], mark: str) -> None:
    """Of several recipients the worst one counts; it changes with what happens later."""
    model = panes(received(1, *outcomes), *(attempt(event, 1, "r1@a.test") for event in later))
    assert model.servers[0].mails[0].mark[0] == mark


def test_a_mails_row_fits_whatever_its_title_is() -> None:
    """At any width, wide characters and combining ones included; more room shows the sender, then the time."""
    for title in ("Plans", "計画" * 50, "e\u0301" * 50, "x" * 1_000_000, "", "\x1b[2J\u202e"):
        mail = panes(received(1, "delivered", title=title)).servers[0].mails[0]
        for width in (24, 34, 56, 120):
            text = mail.row(width).text
            assert text.isprintable() or "\u0301" in text
            assert ("luke" in text) == (width >= 34) and ("00:00:00" in text) == (width >= 56)
            if title.isascii() or title.isprintable():
                assert len(text) <= width or "\u0301" in text


def test_the_oldest_mails_go_and_their_outcomes_with_them() -> None:
    """The newest can be opened; what is told of a mail that went is still counted and shown."""
    model = panes(*(received(number, "queued") for number in range(MAILS + 5)), attempt("failed", 1, "r0@a.test"))
    pane = model.servers[0]
    assert len(pane.mails) == MAILS and pane.mails[0].id == "mail-5"
    assert pane.counts["received"] == MAILS + 5 and pane.counts["failed"] == 1
    assert len(pane._by_id) == MAILS


def test_the_counts_fit_and_the_first_are_the_ones_that_stay() -> None:
    """As many as there is room for; none for what has not happened."""
    model = panes(received(1, "queued"), State("smtp.a.test", running=True, waiting=3, faults=("x",)))
    pane = model.servers[0]
    assert pane.summary(80).text == "1 mail  3 queued"
    assert pane.summary(10).text == "1 mail"
    assert [row.text for row in pane.queue(30, 2)] == ["and 3 more"]


def test_a_line_with_a_host_name_is_that_servers() -> None:
    """All others are the client's."""
    model = panes(Line("smtp.a.test", "of the server"), Line("", "of the client"))
    assert texts(model) == ["of the server"]
    assert [row.text for row in model.client.stream.rows] == ["of the client"]


# -- the client's pane, and fitting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "row"),
    [
        ("send: 'ehlo [127.0.0.1]\\r\\n'", "→ ehlo [127.0.0.1]"),
        ("reply: retcode (250); Msg: b'a\\nSIZE 5'", "← 250 a, SIZE 5"),
        ("send: b'Date: x\\r\\n'", "→ Date: x"),
        ("      b'Subject: \\x1b[2J\\r\\n'", "  Subject: \x1b[2J"),
        ("accepted: a@b.test", "accepted: a@b.test"),
        ("reply: something else", "reply: something else"),
    ],
)
def test_a_clients_words_have_the_form_of_a_servers(shown: str, row: str) -> None:
    """With arrows, and without the quotes in which smtplib shows them."""
    line = client_line(shown)
    assert line is not None and line.text == row


def test_where_the_client_connects_to_is_told_otherwise() -> None:
    """smtplib's own line has a tuple in it."""
    assert client_line("connect: to ('127.0.0.1', 1025) None") is None


@pytest.mark.parametrize(
    ("text", "room", "seen"),
    [
        ("ab", 4, "ab  "),
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc…"),
        ("計画計", 5, "計画…"),
        ("計画計", 4, "計… "),
        ("", 2, "  "),
    ],
)
def test_fitted_is_as_wide_as_it_should_be(text: str, room: int, seen: str) -> None:
    """In columns, not characters."""
    assert fitted(text, room) == seen
