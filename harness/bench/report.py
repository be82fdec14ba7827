"""The page of figures, ``docs/performance.md``: the table, and the machine it was measured on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.bench import table
from harness.bench.case import Result

PAGE = Path(__file__).parent.parent.parent / "docs" / "performance.md"

_HEAD = """\
# Performance

Made by `python -m harness.bench --write-docs`, never by hand; `--list` names the cases, and `install_peers.sh` beside
the cases installs the peers. All competitors of a case are up at once and take turns in each round. A ratio is that of
one round, its median and quartiles are over all rounds; above 1 ours is better. What a case must reach is said where it
is a goal of the project, and a goal that was missed says by how much.
"""


def write(results: Iterable[Result], machine: dict[str, Any], page: Path = PAGE) -> None:
    """Write the page. Raises OSError."""
    page.write_text(f"{_HEAD}\n{table.markdown(results)}\n\n{_machine(machine)}", "utf-8")


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured {machine['date']} on {machine['cores']} cores ({machine['processor']}, {machine['system']}), load "
        f"{machine['load']} before; Python {machine['python']}, {versions}; commit {machine['commit']}.\n"
    )
