"""Writes ``docs/servers.md``: the rules down, ours and other servers across, and what each makes of the dialogues.

python -m harness.servers_table            plays all dialogues to all servers; each must be there
python -m harness.servers_table --check    writes nothing; 1 where a column that can be had here is another one
python -m harness.servers_table --check --only postfix
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from textwrap import wrap

from harness import check, dialogue
from harness.house_differences import HOUSE_DIFFERENCES, REWRITINGS
from harness.houses import OURS, STOCK, TITLES, House, houses, why_not
from harness.report_card.card import Row, worst
from harness.report_card.short import short
from harness.rules import RULES
from harness.targets.catalogue import DAEMONS
from harness.targets.differences import DIFFERENCES
from harness.wire_scripts.needs import NEEDS

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "servers.md"
PATIENCE = 3.0
"""Seconds for one answer: a server that waits for more octets than were said gives none, and each such wait counts."""
LIMIT = 600.0
MOST = 4
"""Answers that one cell tells of."""

HEAD = """\
# Our answers beside others'

{what}

- **holds**: every dialogue about the rule that could be played was answered as the rule wants it.
- **differs**: the rule is kept, by answers that will do; they stand there, and what would have been the best one.
- **does not hold**: what was said instead stands there. That does not make a server bad: it may be strict or lenient
  for reasons of its own. `python3 run.py check` shows each dialogue, line by line.
- **not asked**: what the server has not, or is not set up to have. (OpenSMTPD can have STARTTLS, but Debian 12's can't
  do a handshake with its OpenSSL.)

This file is written by `python -m harness.servers_table`. The rules are those of [behaviour.md](behaviour.md).
"""


# -- what is asked -----------------------------------------------------------------------------------------------------


def rows_of(server: str) -> list[Row]:
    """What a server made of each dialogue, played in the first of its houses that has what it needs."""
    left = dialogue.load()
    found: dict[str, Row] = {}
    for house in houses(server):
        rows = _played(house, left)
        for one in left:
            if one.name not in found or found[one.name].verdict == "not played":
                found[one.name] = rows[one.name]
        left = [one for one in left if found[one.name].verdict == "not played"]
    return list(found.values())


def _played(house: House, dialogues: Sequence[dialogue.Dialogue]) -> dict[str, Row]:
    with ExitStack() as running:
        subject = running.enter_context(house.open())
        card = check.check(subject, set(house.has), dialogues, patience=PATIENCE, limit=LIMIT, mails=False)
    if card.problem:
        raise RuntimeError(f"{house.name}: {card.problem}")
    return {f"{row.rule} {row.name}": row for row in card.rows}


# -- what is written ---------------------------------------------------------------------------------------------------


def render(columns: Mapping[str, Sequence[Row]], versions: Mapping[str, str]) -> str:
    """The file, of what each server made of the dialogues."""
    present = [name for name in TITLES if name in columns]
    *most, last = (f"{TITLES[name]} {versions[name]}".strip() for name in present)
    servers = f"{', '.join(most)} and {last}" if most else last
    how = "set up as `harness/houses.py` and `harness/targets` say"
    what = f"What {servers} make of the [dialogues](dialogues.md), {how}."
    lines = [HEAD.replace("{what}", "\n".join(wrap(what, 120)))]
    lines.append(f"| rule | what it says | {' | '.join(TITLES[name] for name in present)} |")
    lines.append("|---" * (len(present) + 2) + "|")
    asked = set()
    for number, rule in RULES.items():
        rows = {name: [row for row in columns[name] if row.rule == f"C{number}"] for name in present}
        if any(rows.values()):
            asked.add(number)
            cells = [_escaped(cell(rows[name])) for name in present]
            lines.append(f"| C{number} | {_escaped(rule.says)} | {' | '.join(cells)} |")
    rest = ", ".join(f"C{number}" for number in RULES if number not in asked)
    lines += ["", *_counted(columns, present), ""]
    lines += wrap(f"Not asked, for they show in more than the replies to one client: {rest}.", 120)
    lines += ["", *_differences()]
    return "\n".join(lines) + "\n"


def cell(rows: Sequence[Row]) -> str:
    """What one server made of the dialogues about one rule."""
    rows = [row for row in rows if not row.why.startswith("needs no ")]  # for servers that lack what this one has
    played = [row for row in rows if row.verdict != "not played"]
    if not played:
        needs = dict.fromkeys(need for row in rows for need in row.why.removeprefix("needs ").split(", "))
        return f"not asked: needs {'; or '.join(NEEDS.get(need, need) for need in needs)}"
    verdict = worst(played)
    some = f", {len(played)} of {len(rows)} asked" if len(played) < len(rows) else ""
    told = [row for row in played if row.verdict == verdict]
    if verdict == "pass":
        return f"holds{some}"
    answers = list(_answers(told))
    more = [f"and {len(answers) - MOST} more"] if len(answers) > MOST else []
    word = "differs" if verdict == "differs" else f"**does not hold** in {len(told)} of {len(played)}"
    return "<br>".join([f"{word}{some}", *answers[:MOST], *more])


def _answers(rows: Iterable[Row]) -> Iterator[str]:
    """Each answer once, with the titles of the dialogues in which it was given."""
    seen = Counter((short(row.got, row.expected), short(row.expected, row.expected), row.title) for row in rows)
    for (got, expected, title), count in seen.items():
        times = f", {count} times" if count > 1 else ""
        yield f"{got} instead of {expected} ({title}{times})"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _counted(columns: Mapping[str, Sequence[Row]], present: Iterable[str]) -> Iterator[str]:
    yield "In dialogues:"
    yield ""
    yield "| | passed | differ | failed | not played |"
    yield "|---|---|---|---|---|"
    for name in present:
        found = Counter(row.verdict for row in columns[name])
        counts = " | ".join(str(found[verdict]) for verdict in ("pass", "differs", "fail", "not played"))
        yield f"| {TITLES[name]} | {counts} |"


def _differences() -> Iterator[str]:
    yield "## In the scenarios"
    yield ""
    yield from wrap(
        "The scenarios of `tests/scenarios/test_matrix.py` pass on all of them; what a server rightly does otherwise "
        "is expected of it, and of nobody else (`harness/targets/differences.py`):",
        120,
    )
    yield ""
    for each in DIFFERENCES:
        yield from wrap(
            f"- **{TITLES[each.target]} {each.name}** ({each.rule}). {each.reason}", 120, subsequent_indent="  "
        )
    yield ""
    yield "## Side by side"
    yield ""
    yield from wrap(
        "Random sessions are played to ours and to Postfix, and to ours and to Exim "
        "(`tests/mta/test_beside_others.py`). The same class of codes is answered, and the same mails lie in all "
        "mailboxes, but for what is listed in `harness/house_differences.py`:",
        120,
    )
    yield ""
    for name, lines in HOUSE_DIFFERENCES.items():
        told = [(line.name, line.rule, line.reason) for line in lines]
        for title, rule, reason in told + [(line.name, line.rule, line.reason) for line in REWRITINGS[name]]:
            yield from wrap(f"- **{TITLES[name]}: {title}** ({rule}). {reason}", 120, subsequent_indent="  ")


def columns_of(text: str) -> dict[str, dict[str, str]]:
    """The cells of a written table, by the names of servers and of rules."""
    rows = [
        line.strip("|").split(" | ")
        for line in text.replace("\\|", "\0").splitlines()
        if line.startswith(("| rule |", "| C"))
    ]
    if not rows:
        return {}
    names = {title: name for name, title in TITLES.items()}
    found: dict[str, dict[str, str]] = {}
    for place, title in enumerate(rows[0][2:], 2):
        found[names[title.strip()]] = {row[0].strip(): row[place].strip() for row in rows[1:]}
    return found


# -- the command -------------------------------------------------------------------------------------------------------


def version_of(server: str) -> str:
    """What a server says of its version; "" of ours, for that is this one."""
    if server in DAEMONS:
        return DAEMONS[server].version()
    return version("aiosmtpd") if server == STOCK else ""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.servers_table")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where the table is out of date")
    parser.add_argument("--only", action="append", choices=list(TITLES), help="ask this server (with --check)")
    options = parser.parse_args(words)
    logging.getLogger("mail.log").disabled = True  # aiosmtpd's, which tells of every unknown command
    if options.only and not options.check:
        parser.error("--only goes with --check: a table has all its columns")
    wanted = options.only or list(TITLES)
    missing = {name: reason for name in wanted if (reason := why_not(name))}
    for name, reason in missing.items():
        print(f"{TITLES[name]} is not asked: {reason}", file=sys.stderr)
    if missing and not options.check:
        print(f"{TABLE.relative_to(ROOT)} is written where all can be asked", file=sys.stderr)
        return 1
    columns = {name: rows_of(name) for name in wanted if name not in missing}
    new = render(columns, {name: version_of(name) for name in columns})
    if options.check:
        return _check(columns_of(TABLE.read_text("utf-8")) if TABLE.exists() else {}, columns_of(new))
    TABLE.write_text(new, "utf-8")
    print(f"{TABLE.relative_to(ROOT)}: {len(columns[OURS])} dialogues, {len(columns)} servers")
    return 0


def _check(old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]) -> int:
    wrong = 0
    for name, cells in new.items():
        for rule, found in cells.items():
            if old.get(name, {}).get(rule) != found:
                print(f"{TITLES[name]}, {rule}: the table has {old.get(name, {}).get(rule)!r}, it is {found!r}")
                wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
