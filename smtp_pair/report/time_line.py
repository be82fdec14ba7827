"""When each test ran, and where: a row for each worker. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smtp_pair.report.figures import span
from smtp_pair.report.markup import Html, counted, tag
from smtp_pair.report.run import Span

_ROW = 26
_SHARE = 0.15
"""Per cent of the width that the shortest test has: it is to be seen."""


def draw(spans: Sequence[Span]) -> Html:
    """The time line, as wide as there is room; its text beside it is :func:`rows`."""
    start, length, workers = _extent(spans)
    rows = []
    for worker, ran in workers.items():
        bars = [
            tag(
                "rect",
                tag("title", f"{one.name}: {one.outcome}, {span(one.ended - one.began)}"),
                x=f"{(one.began - start) / length * 100:.3f}%",
                width=f"{max(_SHARE, (one.ended - one.began) / length * 100):.3f}%",
                y=4,
                height=_ROW - 8,
                class_=f"bar {one.outcome}",
            )
            for one in ran
        ]
        label = worker or "all tests"
        words = f"{label}: {_sum(ran)}"
        picture = tag("svg", tag("title", words), bars, width="100%", height=_ROW, role="img", class_="line")
        rows.append(tag("div", tag("span", label, class_="worker"), picture, class_="lane-row"))
    ticks = [tag("span", span(length * part / 4) if part else "0 s") for part in range(5)]
    scale = tag("div", tag("span", "", class_="worker"), tag("div", ticks, class_="scale"), class_="lane-row")
    return tag("div", rows, scale, class_="time-line")


def rows(spans: Sequence[Span]) -> Iterator[tuple[str, ...]]:
    """The same as text: a row for each worker."""
    for worker, ran in _extent(spans)[2].items():
        busy = sum(one.ended - one.began for one in ran)
        longest = max(ran, key=lambda one: one.ended - one.began)
        yield (
            worker or "all tests",
            f"{len(ran):,}",
            f"{sum(one.outcome == 'failed' for one in ran):,}",
            span(busy),
            f"{longest.name} ({span(longest.ended - longest.began)})",
        )


HEADS = ("worker", "tests", "failed", "busy for", "longest")


def _extent(spans: Sequence[Span]) -> tuple[float, float, dict[str, list[Span]]]:
    start, end = min(one.began for one in spans), max(one.ended for one in spans)
    workers: dict[str, list[Span]] = {worker: [] for worker in sorted({one.worker for one in spans}, key=_natural)}
    for one in spans:
        workers[one.worker].append(one)
    return start, max(end - start, 0.001), workers


def _natural(worker: str) -> tuple[str, int]:
    name = worker.rstrip("0123456789")
    return name, int(worker[len(name) :] or 0)


def _sum(ran: Sequence[Span]) -> str:
    failed = sum(one.outcome == "failed" for one in ran)
    return counted(len(ran), "test") + f", {failed} failed" * bool(failed)
