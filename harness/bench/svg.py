"""Plots as SVG: lines over a logarithmic scale, and distributions. No library, no colours that a printer loses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from textwrap import wrap

from harness.bench.table import number

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 760, 464
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 230, 40, 94
_STROKES = ("#0b6e4f", "#c1440e", "#2f4b9b", "#8f2d8c", "#7a6a00", "#444444", "#2a9d8f")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 2")


def lines(
    title: str, across: str, up: str, series: Mapping[str, Points], *, name: Callable[[float], str] = number
) -> str:
    """A line for each series, both axes logarithmic; ``name`` writes what stands below the marks of the lower one."""
    found = [point for points in series.values() for point in points]
    if not found:
        return _frame(title, across, up, [])
    x = _Axis(*_bounds([point[0] for point in found]), _LEFT, WIDTH - _RIGHT)
    y = _Axis(*_marked_bounds([point[1] for point in found]), HEIGHT - _BOTTOM, _TOP)
    marks = [_mark(x.at(value), HEIGHT - _BOTTOM, name(value), upright=True) for value in _few(_values(series, 0))]
    marks += [_mark(_LEFT, y.at(value), number(value), upright=False) for value in _decades(y)]
    return _frame(title, across, up, [*marks, *_curves(series, x, y, steps=False)])


def distributions(title: str, across: str, series: Mapping[str, Sequence[float]]) -> str:
    """For each series, which part of its values is at most so large: an empirical distribution function."""
    values = [value for one in series.values() for value in one if value > 0]
    if not values:
        return _frame(title, across, "part", [])
    x = _Axis(*_bounds(values), _LEFT, WIDTH - _RIGHT)
    y = _Linear(HEIGHT - _BOTTOM, _TOP)
    points = {
        name: [(value, (place + 1) / len(one)) for place, value in enumerate(sorted(one))]
        for name, one in series.items()
        if one
    }
    marks = [_mark(x.at(value), HEIGHT - _BOTTOM, number(value), upright=True) for value in _decades(x)]
    marks += [_mark(_LEFT, y.at(part), f"{part:.0%}", upright=False) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return _frame(title, across, "part of the mails", [*marks, *_curves(points, x, y, steps=True)])


def noted(picture: str, notes: Sequence[str]) -> str:
    """The picture with lines of small print at its foot: where it was measured."""
    small = [
        f'<text x="12" y="{HEIGHT - 36 + place * 14}" style="font-size:9px">{escape(note)}</text>'
        for place, note in enumerate(line for note in notes for line in wrap(note, 150))
    ]
    return "\n".join([picture.removesuffix("</svg>\n"), *small, "</svg>\n"])


class _Axis:
    """A logarithmic one."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """Where a value lies."""
        span = math.log(self.high / self.low) or 1.0
        return self._start + (self._end - self._start) * math.log(value / self.low) / span


class _Linear:
    """From 0 to 1."""

    def __init__(self, start: float, end: float) -> None:
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """Where a value lies."""
        return self._start + (self._end - self._start) * value


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return low / 1.1, high * 1.1


def _marked_bounds(values: Sequence[float]) -> tuple[float, float]:
    """The marks next to the values on both sides: however close these are, the axis has two."""
    low, high = min(values), max(values)
    marks = [step * 10.0**power for power in range(-12, 13) for step in (1, 2, 5)]
    return max(mark for mark in marks if mark < low), min(mark for mark in marks if mark > high)


def _values(series: Mapping[str, Points], which: int) -> list[float]:
    return sorted({point[which] for points in series.values() for point in points})


def _few(values: Sequence[float], most: int = 8) -> Sequence[float]:
    step = -(-len(values) // most) or 1
    return values[::step]


def _decades(axis: _Axis) -> list[float]:
    """1, 2 and 5 of each power of ten within the axis; where that is many, the powers alone."""
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    inside = [value for value in found if axis.low <= value <= axis.high]
    return inside if len(inside) <= 10 else [value for value in inside if math.log10(value) % 1 < 1e-9]


def _mark(x: float, y: float, text: str, *, upright: bool) -> str:
    if upright:
        return (
            f'<path class="grid" d="M{x:.1f} {_TOP}V{y}"/>'
            f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle">{escape(text)}</text>'
        )
    return (
        f'<path class="grid" d="M{x} {y:.1f}H{WIDTH - _RIGHT}"/>'
        f'<text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _curves(series: Mapping[str, Points], x: _Axis, y: _Axis | _Linear, *, steps: bool) -> list[str]:
    drawn = []
    for place, (name, points) in enumerate(series.items()):
        stroke, dash = _STROKES[place % len(_STROKES)], _DASHES[place % len(_DASHES)]
        path = ""
        for across, up in points:
            if path and steps:
                path += f"H{x.at(across):.1f}"
            path += f"{'L' if path else 'M'}{x.at(across):.1f} {y.at(up):.1f}"
        style = f'fill="none" stroke="{stroke}" stroke-width="2" stroke-dasharray="{dash}"'
        beside = _TOP + 12 + place * 20
        drawn.append(f'<path d="{path}" {style}/>')
        drawn.append(f'<path d="M{WIDTH - _RIGHT + 12} {beside - 4}h24" {style}/>')
        drawn.append(f'<text x="{WIDTH - _RIGHT + 42}" y="{beside}">{escape(name)}</text>')
    return drawn


def _frame(title: str, across: str, up: str, inside: Sequence[str]) -> str:
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>",
            "<style>text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="22" style="font-weight:bold">{escape(title)}</text>',
            *inside,
            f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 56}" text-anchor="middle">{escape(across)}</text>',
            f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
            "</svg>\n",
        ]
    )
