"""The card for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from textwrap import wrap

from harness.report_card.card import Card, Row, says, worst
from harness.report_card.short import short
from harness.wire_scripts.needs import NEEDS

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
        for alike in _alike(rows):
            yield from _row(alike)
    yield ""
    why = Counter(row.why for row in card.rows if row.verdict == "not played")
    if why:
        yield "not played:"
        yield from (f"  {count:4}  {_explained(reason)}" for reason, count in sorted(why.items()))
    if card.problem:
        yield card.problem
    counts = ", ".join(f"{count} {_WORDS[verdict]}" for verdict, count in card.counts.items())
    yield f"{len(card.rows)} dialogues and scenarios in {card.seconds:.1f} s: {counts}"


_WORDS = {"pass": "passed", "differs": "differ", "fail": "failed", "not played": "not played"}


def _alike(rows: Iterable[Row]) -> Iterable[list[Row]]:
    """What is not as it should be; variants of one dialogue that were answered alike are together."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.verdict in ("differs", "fail"):
            told = (row.verdict, row.title, row.where, short(row.expected, row.expected), short(row.got, row.expected))
            found.setdefault(told, []).append(row)
    return found.values()


def _row(alike: list[Row]) -> Iterator[str]:
    """The answer to the first stands for all."""
    row = alike[0]
    where = f"  ({row.where})" if row.where else ""
    variants = [each.name.removeprefix(row.title).strip() for each in alike]
    named = row.title if len(alike) > 1 else row.name
    yield f"      {row.verdict:8} {_cut(named)}{where}"
    if len(alike) > 1:
        yield from (f"               {line}" for line in wrap("  ".join(variants), _LONGEST))
    yield f"               expected  {_cut(row.expected)}"
    lacks = short(row.got, row.expected)
    yield f"               got       {_cut(f'{lacks}: {row.got}' if ' without ' in lacks else row.got)}"


def _explained(reason: str) -> str:
    """What one need means, for those who have not read the dialogues' language."""
    meaning = NEEDS.get(reason.removeprefix("needs "))
    return f"{reason}: {meaning}" if meaning else reason


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
