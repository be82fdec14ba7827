"""Markup in which a text can't become anything else."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.report.markup import Html, counted, tag
from smtp_pair.server_msg import harmless


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_a_text(words: str) -> None:
    """As a child and as an attribute: a reader finds one element, and the text as it would be printed."""
    reader = _Reader()
    made = tag("p", words or "x", title=words)
    made.encode("utf-8")
    reader.feed(made)
    reader.close()
    shown = harmless(words)
    assert reader.seen[0] == ("p", [("title", shown)])
    assert "".join(map(str, reader.seen[1:])) == (shown or "x")


def test_what_is_markup_stays_markup() -> None:
    """Elements nest; None and False leave an attribute out, True gives it no value, numbers are short."""
    assert tag("p", tag("b", "<"), None, ["a", "b"], hidden=True, id=None, title=False) == "<p hidden><b>&lt;</b>ab</p>"
    assert tag("line", x1=1.0, y_2=2.346, class_="way") == '<line x1="1" y-2="2.35" class="way"></line>'
    assert isinstance(tag("br"), Html)


def test_counted() -> None:
    """One mail, two mails."""
    assert [counted(number, "mail") for number in (0, 1, 2000)] == ["0 mails", "1 mail", "2,000 mails"]
