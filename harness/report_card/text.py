"""The card for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.report_card.card import Card, Row, says, worst

_LONGEST = 100  # characters of what was expected or came


def render(card: Card) -> str:
    """Several lines: the server, each rule with what is not as it says, and the count."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Card) -> Iterator[str]:
    name = f", which calls itself {card.hostname}" if card.hostname else ""
    yield f"{card.server}, for {card.domain}{name}"
    if card.offers:
        yield f"offers {', '.join(card.offers)}"
    yield ""
    for rule, rows in card.rules.items():
        played = sum(row.verdict != "not played" for row in rows)
        if not played:
            continue
        passed = sum(row.verdict == "pass" for row in rows)
        yield f"{rule or 'mail':5} {worst(rows):8} {passed}/{played}  {says(rule)}"
        for row in rows:
            if row.verdict in ("differs", "fail"):
                yield from _row(row)
    yield ""
    why = Counter(row.why for row in card.rows if row.verdict == "not played")
    if why:
        yield "not played:"
        yield from (f"  {count:4}  {reason}" for reason, count in sorted(why.items()))
    if card.problem:
        yield card.problem
    counts = ", ".join(f"{count} {_WORDS[verdict]}" for verdict, count in card.counts.items())
    yield f"{len(card.rows)} dialogues and scenarios in {card.seconds:.1f} s: {counts}"


_WORDS = {"pass": "passed", "differs": "differ", "fail": "failed", "not played": "not played"}


def _row(row: Row) -> Iterator[str]:
    yield f"      {row.verdict:8} {_cut(row.name)}" + (f"  ({row.where})" if row.where else "")
    yield f"               expected  {_cut(row.expected)}"
    yield f"               got       {_cut(row.got)}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
