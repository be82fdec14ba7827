"""What a queue held, and each attempt at it: a line for each recipient that did not go on at once. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from smtp_pair.report.figures import Attempt, Waited, span
from smtp_pair.report.markup import NONE, Html, counted, fold, table, tag

RECIPIENTS = 60
"""Those that are drawn."""
_FROM, _TO = 3.0, 97.0  # per cent of the width: the ends of the scale
_LEAST = 0.001
"""Seconds: what is shorter stands where this does."""


def show(waits: Sequence[Waited]) -> Html:
    """The lines, on one logarithmic scale, and below each what was said."""
    waited = [one for one in waits if len(one.attempts) != 1 or one.end not in ("forwarded", "delivered")]
    shown = waited[:RECIPIENTS]
    most = max([_LEAST * 10, *(_last(one) for one in shown)])
    drawn = [tag("li", part) for one in shown for part in [_line(one, most)]]
    rest = [f"{len(waited) - RECIPIENTS:,} more that waited are not drawn."] if len(waited) > RECIPIENTS else []
    at_once = [_last(one) for one in waits if len(one.attempts) == 1 and one.end in ("forwarded", "delivered")]
    if at_once:
        rest.append(
            f"{counted(len(at_once), 'recipient')} went on at the first attempt, within {span(max(0.001, *at_once))}."
        )
    return tag("div", tag("ul", drawn, class_="waits") if drawn else None, [tag("p", one) for one in rest])


def _last(one: Waited) -> float:
    return max((attempt.after for attempt in one.attempts), default=0.0)


def _line(one: Waited, most: float) -> list[Html]:
    end = one.end
    words = f"{end} after {span(_last(one))}" if end else "still waiting"
    if one.attempts:
        words += f", {counted(len(one.attempts), 'attempt')}"
    head = tag(
        "p",
        tag("strong", f"<{one.recipient}>"),
        f" of “{one.title}” at {one.server}: ",
        tag("span", words, class_=end or "deferred"),
    )
    picture = tag(
        "svg",
        tag("title", f"Attempts at {one.recipient}: {words}"),
        list(_marks(one.attempts, most)),
        width="100%",
        height=24,
        role="img",
        class_="line",
    )
    said = table(
        ("after", "what", "reply", "again"),
        [
            (
                span(attempt.after),
                attempt.event,
                attempt.reply,
                f"after {span(attempt.again)}" if attempt.again is not None else NONE,
            )
            for attempt in one.attempts[:200]
        ],
        f"Attempts at {one.recipient}",
    )
    return [head, picture, fold("What was said", said)] if one.attempts else [head]


def _marks(attempts: Sequence[Attempt], most: float) -> Iterator[Html]:
    last = _at(max((attempt.after for attempt in attempts), default=0.0), most)
    yield tag("line", x1=f"{_FROM}%", x2=f"{last:.2f}%", y1=12, y2=12, class_="way")
    yield tag("line", x1=f"{_FROM}%", x2=f"{_FROM}%", y1=5, y2=19, class_="way")
    for attempt in attempts:
        label = f"{span(attempt.after)}: {attempt.event}, {attempt.reply}"
        yield tag(
            "circle",
            tag("title", label),
            cx=f"{_at(attempt.after, most):.2f}%",
            cy=12,
            r=5,
            class_=f"attempt {attempt.event}",
        )


def _at(seconds: float, most: float) -> float:
    """Where on the line: the first attempt is a millisecond after, the last may be five days."""
    share = math.log(max(seconds, _LEAST) / _LEAST) / math.log(most / _LEAST)
    return _FROM + 2 + (_TO - _FROM - 2) * min(1.0, share)
