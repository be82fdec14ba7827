"""``python -m harness.bench``: measure, print the table, write JSON and the page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.bench import report, table
from harness.bench.case import Case, Result, run, setting
from harness.bench.cases import CASES, GATES
from harness.bench.machine import description

_PEERS = Path(".benchmarks")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    options = _options(arguments)
    known = {case.name: case for case in CASES}
    if options.list:
        for case in CASES:
            print(f"{case.name:24} {case.title}; must: {', '.join(map(str, case.goals)) or '-'}")
        return 0
    if unknown := [name for name in options.case if name not in known]:
        print(f"no case {', '.join(unknown)}; --list names them", file=sys.stderr)
        return 2
    if options.gate:
        return _gate(options.peers)
    if options.read is not None:
        results, machine = table.read_json(options.read.read_text("utf-8"), CASES)
        print(table.text(results))
    else:
        machine = description(options.peers)
        results = measure([known[name] for name in options.case] or CASES, options.peers, options.rounds)
    if options.json is not None:
        options.json.write_text(table.as_json(results, machine), "utf-8")
    if options.write_docs:
        with setting(options.peers) as here:
            report.write(results, machine, draw=lambda: report.plots(here))
    return 0


def measure(cases: Iterable[Case], peers: Path, rounds: int | None) -> list[Result]:
    """Each case after the other; its rows are printed as soon as they are there, and all of them once more."""
    results = []
    for case in cases:
        with setting(peers) as here:
            results.append(run(case, here, rounds or case.rounds))
        for row in table.rows(results[-1]):
            print("  ".join(cell for cell in row if cell), flush=True)
    print("\n" + table.text(results))
    return results


def _gate(peers: Path) -> int:
    """The alarm for CI: some ratios at two thirds of what they must be, the second time with twice the rounds."""
    failed = list(GATES)
    for times in (1, 2):
        results = []
        for case in failed:
            with setting(peers) as here:
                results.append(run(case, here, case.rounds * times))
        print(table.text(results))
        shorts = {result.case: [verdict.short or 0.0 for verdict in result.verdicts()] for result in results}
        failed = [case for case in failed if max(shorts[case]) > 1 / 3]
        if not failed:
            return 0
    print("slower than two thirds of what is asked: " + ", ".join(case.name for case in failed), file=sys.stderr)
    return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.bench", description="benchmarks beside the peers")
    parser.add_argument("case", nargs="*", help="which cases; all unless given")
    parser.add_argument("--list", action="store_true", help="name the cases and what they must reach")
    parser.add_argument("--rounds", type=int, help="rounds that count; each case has its own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, take the figures of an earlier run")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md and its plots")
    parser.add_argument("--gate", action="store_true", help="only the alarm for CI: exit code 1 where it is too slow")
    parser.add_argument(
        "--peers", type=Path, default=_PEERS, metavar="DIR", help="where install_peers.sh has put them: %(default)s"
    )
    options = parser.parse_args(arguments)
    options.peers = options.peers.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
