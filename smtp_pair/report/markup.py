"""Markup, in which a text can't become anything else: whatever is not :class:`Html` is escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from smtp_pair.server_msg import harmless

NONE, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
_VOID = frozenset(("br", "hr", "img", "input", "meta"))


class Html(str):
    """A text that is markup already. Made by :func:`tag` and :func:`join`; nowhere of what a mail says."""

    __slots__ = ()


Child = str | Iterable["str | None"] | None


def text(words: str) -> Html:
    """A text as markup. Controls and the marks that turn a line around are shown as escapes."""
    return words if isinstance(words, Html) else Html(escape(harmless(words)))


def tag(element: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element. A child is a text, markup, several of them, or None. ``class_`` is the attribute ``class``,
    ``aria_label`` is ``aria-label``; True stands for an attribute without a value, None and False for none."""
    parts = [f"<{element}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        parts.append(f" {key.removesuffix('_').replace('_', '-')}")
        if value is not True:
            words = _number(value) if isinstance(value, float) else str(value)
            parts.append(f'="{escape(harmless(words))}"')
    if element in _VOID:
        return Html("".join(parts) + ">")
    return Html("".join((*parts, ">", join(children), f"</{element}>")))


def join(children: Iterable[Child]) -> Html:
    """One after another."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, str):
            parts.append(text(child))
        elif child is not None:
            parts += [text(one) for one in child if one is not None]
    return Html("".join(parts))


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "", **attributes: str) -> Html:
    """A table that a narrow window can move sideways; the first cell of a row is its head."""
    body = [
        tag("tr", [tag("th" if not at else "td", cell, scope="row" if not at else None) for at, cell in enumerate(row)])
        for row in rows
    ]
    head = tag("thead", tag("tr", [tag("th", one, scope="col") for one in heads]))
    made = tag("table", tag("caption", caption) if caption else None, head, tag("tbody", body), **attributes)
    return tag("div", made, class_="wide", tabindex="0", role="region", aria_label=caption or "table")


def fold(summary: Child, *children: Child, open_: bool = False, **attributes: str) -> Html:
    """What can be unfolded, without any script."""
    return tag("details", tag("summary", summary), *children, open=open_, **attributes)


def counted(number: int, one: str, many: str = "") -> str:
    """``1 mail``, ``2 mails``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
