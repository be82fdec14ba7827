"""The page of figures, ``docs/performance.md``: the table, the plots, and the machine that they were measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.bench import series, svg, table
from harness.bench.case import Result, Setting

PAGE = Path(__file__).parent.parent.parent / "docs" / "performance.md"
BY_HAND = "<!-- what follows is written by hand -->"

_HEAD = """\
# Performance

Down to the line that says so, made by `python -m harness.bench --write-docs`; `--list` names the cases, and
`harness/bench/install_peers.sh` installs the peers. All competitors of a case are up at once and take turns in each
round. A ratio is that of one round, its median and quartiles are over all rounds; above 1 ours is better. What a case
must reach is said where it is a goal of the project, and a goal that was missed says by how much.
"""


def plots(setting: Setting) -> dict[str, str]:
    """Measure what the plots show, and draw them: file name to SVG."""
    return {
        "performance-size.svg": svg.lines(
            "Throughput against the size of the mail", "size", "MB a second", series.throughput(setting), name=_size
        ),
        "performance-outcomes.svg": svg.distributions(
            "How long a mail takes, by what becomes of it", "milliseconds", series.outcomes(setting)
        ),
        "performance-growth.svg": svg.lines(
            "What a stored mail costs as a server grows", "mails before, or domains", "microseconds of the processor",
            series.growth(setting), name=lambda count: f"{count:,.0f}",
        ),
    }  # fmt: skip


def write(
    results: Iterable[Result],
    machine: dict[str, Any],
    page: Path = PAGE,
    draw: Callable[[], dict[str, str]] = dict,
) -> None:
    """Write the page, and beside it the plots; what is below the line for it stays. Raises OSError."""
    drawn = draw()
    for name, picture in drawn.items():
        (page.parent / name).write_text(svg.noted(picture, _notes(machine)), "utf-8")
    shown = "".join(f"![{name.partition('-')[2].removesuffix('.svg')}]({name})\n\n" for name in drawn)
    kept = page.read_text("utf-8").partition(BY_HAND)[2] if page.is_file() else ""
    made = f"{_HEAD}\n{_machine(machine)}\n{table.markdown(results)}\n\n{shown}"
    page.write_text(f"{made}{BY_HAND}{kept or chr(10)}", "utf-8")


def _size(octets: float) -> str:
    return f"{octets / (1 << 20):g} MiB" if octets >= 1 << 20 else f"{octets / (1 << 10):g} KiB"


def _machine(machine: dict[str, Any]) -> str:
    where, what = _notes(machine)
    return f"{where}; {what}.\n"


def _notes(machine: dict[str, Any]) -> tuple[str, str]:
    """On what was measured, and what."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured {machine['date']} on {machine['cores']} cores ({machine['processor']}, {machine['system']}), load "
        f"{machine['load']} before",
        f"Python {machine['python']}, {versions}; commit {machine['commit']}",
    )
