"""The card as one HTML file: nothing is loaded from elsewhere, all that a server said is escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from harness.report_card.card import ORDER, VERDICTS, Card, Row, says, worst

_STYLE = """\
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --line: #d8d8dc; --soft: #f4f4f6; --dim: #63636a;
  --pass: #17693a; --differs: #7a5200; --fail: #b3261e; --not: #63636a }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --paper: #16161a; --line: #3a3a42; --soft: #222228;
  --dim: #a2a2ac; --pass: #6fd39a; --differs: #f0bf5a; --fail: #ff8f85; --not: #a2a2ac } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1rem; margin: 0; display: inline }
p { margin: .5rem 0 } .dim { color: var(--dim) }
code, pre { font: .85rem/1.4 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; margin: .5rem 0; border-radius: .25rem }
ul.counts { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; padding: 0 }
section { border-top: 1px solid var(--line); padding: .6rem 0 }
details > summary { cursor: pointer } .row { margin: .6rem 0 0 1rem; padding-left: .75rem; border-left: 3px solid }
dl { display: grid; grid-template-columns: 5.5rem 1fr; gap: 0 .75rem; margin: .25rem 0 } dt { color: var(--dim) }
dd { margin: 0; min-width: 0 }
.verdict { font-weight: 600; white-space: nowrap } .pass { color: var(--pass) } .differs { color: var(--differs) }
.fail { color: var(--fail) } .not-played { color: var(--not) }
.row.pass, .row.not-played { border-color: var(--line) } .row.differs { border-color: var(--differs) }
.row.fail { border-color: var(--fail) } main .row { color: var(--ink) } .where { white-space: nowrap }
@media (max-width: 30rem) { body { padding: .75rem } .row { margin-left: 0 } dl { grid-template-columns: 1fr }
  dt { margin-top: .25rem } }
"""


def render(card: Card) -> str:
    """The whole file."""
    return "".join(_parts(card))


def _parts(card: Card) -> Iterator[str]:
    server = escape(card.server)
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{server}: report card</title>\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<style>\n{_STYLE}</style></head>\n<body><header><h1>{server}</h1>\n"
    name = f" It calls itself <strong>{escape(card.hostname)}</strong>." if card.hostname else ""
    yield f"<p>Has mail for <strong>{escape(card.domain)}</strong>.{name}</p>\n"
    if card.offers:
        yield f"<p>Offers <code>{escape(', '.join(card.offers))}</code></p>\n"
    yield f'<p class="dim">{escape(card.at)}, {card.seconds:.1f} s</p>\n'
    if card.problem:
        yield f'<p class="fail">{escape(card.problem)}</p>\n'
    yield f'<ul class="counts">{"".join(_counts(card))}</ul></header>\n<main>\n'
    for rule, rows in card.rules.items():
        yield from _rule(rule, rows)
    yield "</main></body></html>\n"


def _counts(card: Card) -> Iterator[str]:
    for verdict, meaning in VERDICTS.items():
        yield (
            f'<li title="{escape(meaning)}"><span class="verdict {_class(verdict)}">{verdict}</span> '
            f"{card.counts[verdict]}</li>"
        )


def _rule(rule: str, rows: list[Row]) -> Iterator[str]:
    verdict = worst(rows)
    shown = " open" if verdict == "fail" else ""
    yield f"<section><details{shown}><summary><h2>{escape(rule) or 'Mail'}</h2> "
    yield f'<span class="verdict {_class(verdict)}">{verdict}</span> {escape(says(rule))}'
    yield f' <span class="dim">{_tally(rows)}</span></summary>\n'
    for row in sorted(rows, key=lambda row: ORDER.index(row.verdict)):
        yield from _row(row)
    yield "</details></section>\n"


def _tally(rows: Iterable[Row]) -> str:
    played = [row for row in rows if row.verdict != "not played"]
    return f"{sum(row.verdict == 'pass' for row in played)} of {len(played)}" if played else "none played"


def _row(row: Row) -> Iterator[str]:
    yield f'<div class="row {_class(row.verdict)}"><p><span class="verdict {_class(row.verdict)}">{row.verdict}</span> '
    yield f'{escape(row.name)} <span class="dim where">{escape(row.where)}</span></p>\n'
    # the step is what was expected, but for an answer that would have done, or of an act of the client
    step = "" if row.step.endswith(row.expected) else row.step
    facts = {"step": step, "expected": row.expected, "got": row.got, "why": row.why}
    told = "".join(f"<dt>{name}</dt><dd><code>{escape(text)}</code></dd>" for name, text in facts.items() if text)
    if told:
        yield f"<dl>{told}</dl>\n"
    if row.conversation:
        yield f"<details><summary>what was said</summary><pre>{escape(row.conversation)}</pre></details>\n"
    yield "</div>\n"


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-")
