"""How long delivery took, by outcome, and when mail came to what. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from smtp_pair.report.figures import Spread, span, spread
from smtp_pair.report.markup import Html, fold, table, tag

BINS = 48
_HEIGHT = 56
_LOW = 1e-4
"""Seconds at which the scale of latencies begins."""


def latency(found: Mapping[str, Sequence[float]]) -> Html:
    """A histogram for each outcome, on one logarithmic scale of time, its figures beside it."""
    high = 10 ** math.ceil(math.log10(max(0.01, *(seconds[-1] for seconds in found.values()))))
    spreads = {outcome: spread(seconds, _LOW, high, BINS) for outcome, seconds in found.items()}
    charts = [_histogram(outcome, one, high) for outcome, one in spreads.items()]
    decades = round(math.log10(high / _LOW))
    step = max(1, math.ceil(decades / 4))
    ticks = [
        tag("text", span(_LOW * 10**at), x=f"{at / decades * 100:.2f}%", y=12, text_anchor=_anchor(at, decades))
        for at in range(0, decades + 1, step)
    ]
    scale = tag("svg", ticks, width="100%", height=16, class_="line", aria_hidden="true")
    figures = table(
        ("outcome", "how many", "least", "median", "most"),
        [
            (outcome, f"{one.count:,}", span(one.least), span(one.middle), span(one.most))
            for outcome, one in spreads.items()
        ],
        "Latency by outcome",
    )
    return tag("div", charts, scale, fold("As a table", figures))


def _anchor(at: int, last: int) -> str:
    return "start" if not at else "end" if at == last else "middle"


def _histogram(outcome: str, one: Spread, high: float) -> Html:
    top = max(one.bins)
    bars = list(_bars([(number, outcome) for number in one.bins], top))
    middle = math.log(max(one.middle, _LOW) / _LOW) / math.log(high / _LOW) * 100
    bars.append(tag("line", x1=f"{middle:.2f}%", x2=f"{middle:.2f}%", y1=0, y2=_HEIGHT, class_="median"))
    words = f"{outcome}: {one.count:,}, median {span(one.middle)}"
    picture = tag("svg", tag("title", words), bars, width="100%", height=_HEIGHT, role="img", class_="line plot")
    return tag("figure", tag("figcaption", tag("b", outcome, class_=outcome), words.removeprefix(outcome)), picture)


def _bars(numbers: Sequence[tuple[int, str]], top: int) -> Iterator[Html]:
    wide = 100 / len(numbers)
    for at, (number, kind) in enumerate(numbers):
        if number:
            high = max(2.0, number / top * (_HEIGHT - 4))
            yield tag(
                "rect",
                x=f"{at * wide:.2f}%",
                width=f"{wide * 0.86:.2f}%",
                y=_HEIGHT - high,
                height=high,
                class_=f"fill {kind}",
            )


def over_time(length: float, counts: Mapping[str, Sequence[int]]) -> Html:
    """A row of bars for each outcome: how many recipients came to it, and when."""
    figures = []
    for outcome, row in counts.items():
        words = f"{outcome}: {sum(row):,}, at most {max(row):,} within {span(length / len(row))}"
        bars = list(_bars([(number, outcome) for number in row], max(row)))
        picture = tag("svg", tag("title", words), bars, width="100%", height=_HEIGHT, role="img", class_="line plot")
        caption = tag("figcaption", tag("b", outcome, class_=outcome), words.removeprefix(outcome))
        figures.append(tag("figure", caption, picture))
    ticks = [
        tag("text", span(length * at / 4) if at else "0 s", x=f"{at * 25}%", y=12, text_anchor=_anchor(at, 4))
        for at in range(5)
    ]
    scale = tag("svg", ticks, width="100%", height=16, class_="line", aria_hidden="true")
    quarters = [
        (outcome, *(f"{sum(row[at * len(row) // 4 : (at + 1) * len(row) // 4]):,}" for at in range(4)))
        for outcome, row in counts.items()
    ]
    heads = ("outcome", *(f"until {span(length * at / 4)}" for at in range(1, 5)))
    return tag("div", figures, scale, fold("As a table", table(heads, quarters, "Recipients over time")))
