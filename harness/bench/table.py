"""Results as a table for people, and as values for JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from harness.bench.case import OURS, Case, Result, Spread, Verdict

HEAD = ("case", "ours", "peer", "its figure", "ratio", "quartiles", "must", "")


def rows(result: Result) -> list[tuple[str, ...]]:
    """A row for each goal and each peer of a case; what stands in the first two cells is not repeated."""
    ours = quantity(Spread.of(result.figures[OURS]).median, result.case.unit) if OURS in result.figures else ""
    head = (result.case.name, ours)
    found = []
    for verdict in result.verdicts() or [Verdict(None, "", None)]:
        found.append((*head, *_cells(result, verdict)))
        head = ("", "")
    return found


def _cells(result: Result, verdict: Verdict) -> tuple[str, ...]:
    must = str(verdict.goal) if verdict.goal is not None else ""
    if not verdict.peer:
        spread = verdict.spread
        between = f"{number(spread.low)} - {number(spread.high)}" if spread else ""
        return "", "", "", between, must, str(verdict)
    if verdict.spread is None and verdict.peer not in result.figures:
        why = result.missing.get(verdict.peer, "not there")
        return verdict.peer, f"missing: {why}", "", "", must, str(verdict)
    theirs = quantity(Spread.of(result.figures[verdict.peer]).median, result.case.unit)
    if verdict.spread is None:
        return verdict.peer, theirs, "", "", must, str(verdict)
    between = f"{number(verdict.spread.low)} - {number(verdict.spread.high)}"
    return verdict.peer, theirs, f"{number(verdict.spread.median)}x", between, must, str(verdict)


def text(results: Iterable[Result]) -> str:
    """The table with aligned columns."""
    lines: list[Sequence[str]] = [HEAD, *(row for result in results for row in rows(result))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def markdown(results: Iterable[Result]) -> str:
    """The same for a page, with what each case is instead of its name."""
    lines = [HEAD, ("---",) * len(HEAD)]
    for result in results:
        first, *others = rows(result)
        lines += [(f"{result.case.title} (`{result.case.name}`)", *first[1:]), *others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def quantity(figure: float, unit: str) -> str:
    """A figure with its unit."""
    return f"{number(figure)} {unit}".rstrip()


def number(figure: float) -> str:
    """Three digits, as a person would write them."""
    if figure == 0:
        return "0"
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"


def as_json(results: Iterable[Result], machine: dict[str, Any]) -> str:
    """All figures of all rounds, what they come to, and where they were measured."""
    cases = {
        result.case.name: {
            "title": result.case.title,
            "unit": result.case.unit,
            "more_is_better": result.case.more_is_better,
            "figures": result.figures,
            "missing": result.missing,
            "verdicts": [_plain(verdict) for verdict in result.verdicts()],
        }
        for result in results
    }
    return json.dumps({"machine": machine, "cases": cases}, indent=1) + "\n"


def _plain(verdict: Verdict) -> dict[str, Any]:
    spread = verdict.spread
    return {
        "peer": verdict.peer,
        "must": str(verdict.goal) if verdict.goal is not None else "",
        "median": spread.median if spread else None,
        "quartiles": [spread.low, spread.high] if spread else None,
        "verdict": str(verdict),
    }


def read_json(written: str, cases: Iterable[Case]) -> tuple[list[Result], dict[str, Any]]:
    """The results of an earlier run, and its machine; cases that are no more are left out."""
    data = json.loads(written)
    found = [
        Result(case, data["cases"][case.name]["figures"], data["cases"][case.name]["missing"])
        for case in cases
        if case.name in data["cases"]
    ]
    return found, data["machine"]
