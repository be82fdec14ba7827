"""Writes ``docs/servers.md``: the rules down, ours and other servers across, and what each answered when it was asked.

    python -m harness.servers_table            every server that can be started here; the columns of others are kept
    python -m harness.servers_table --check    writes nothing; 1 where a column that can be had here is another one

The questions are those of ``questions.py``; whoever has other ones gives :func:`render` answers of his own.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from textwrap import wrap

from harness.questions import Answer, ask_all
from harness.rules import RULES
from harness.stage import HERE, Target
from harness.targets.catalogue import DAEMONS
from harness.targets.differences import DIFFERENCES
from smtp_pair import Network, background

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "servers.md"
OURS, STOCK = "ours", "aiosmtpd"
TITLES = {OURS: "ours", "postfix": "Postfix", "exim": "Exim", "opensmtpd": "OpenSMTPD", STOCK: "stock aiosmtpd"}

HEAD = """\
# Our answers beside others'

What servers answer on the wire, asked the same: ours, Postfix 3.7, Exim 4.96 and OpenSMTPD 6.8 (Debian 12's, set up as
`harness/targets` does) and stock aiosmtpd. An answer in bold is not one that the rule asks for; that does not make it
wrong, for a server may be strict or lenient for reasons of its own. Where a rule says nothing of it, the text is free
and so is the exact code within its class.

This file is written by `python -m harness.servers_table`, which asks every server that it can start. The rules are
those of [behaviour.md](behaviour.md).
"""


def render(columns: Mapping[str, Sequence[Answer]]) -> str:
    """The file, of what each server answered."""
    present = [name for name in TITLES if name in columns]
    lines = [HEAD, f"| rule | what it says | {' | '.join(TITLES[name] for name in present)} |"]
    lines.append("|---" * (len(present) + 2) + "|")
    for number, rule in RULES.items():
        cells = [_cell([each for each in columns[name] if each.rule == f"C{number}"]) for name in present]
        if any(cells):
            says = rule.says.replace("|", "\\|")
            lines.append(f"| C{number} | {says} | {' | '.join(cells)} |")
    asked = {each.rule for answers in columns.values() for each in answers}
    rest = [f"C{number}" for number in RULES if f"C{number}" not in asked]
    lines += [
        "",
        *wrap(f"Not asked, for they show in more than the replies to one client: {', '.join(rest)}.", 120),
        "",
    ]
    lines += _differences()
    return "\n".join(lines) + "\n"


def _cell(answers: Sequence[Answer]) -> str:
    texts = []
    for answer in answers:
        got = answer.got if answer.kept else f"**{answer.got}**"
        texts.append(f"{got} ({answer.asks})" if answer.asks else got)
    return "<br>".join(texts).replace("|", "\\|")


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


def columns_of(text: str) -> dict[str, dict[str, str]]:
    """The cells of a written table, by the names of servers and of rules."""
    rows = [line.strip("|").split(" | ") for line in text.replace("\\|", "\0").splitlines() if line.startswith("| ")]
    if not rows:
        return {}
    names = {title: name for name, title in TITLES.items()}
    found: dict[str, dict[str, str]] = {}
    for place, title in enumerate(rows[0][2:], 2):
        found[names[title.strip()]] = {row[0].strip(): row[place].strip() for row in rows[1:]}
    return found


# -- who is asked ------------------------------------------------------------------------------------------------------


@contextmanager
def _ours() -> Iterator[tuple[str, int]]:
    with Network(HERE, "deathstar.com") as network:
        yield network[HERE].host, network[HERE].port


@contextmanager
def _stock() -> Iterator[tuple[str, int]]:
    from aiosmtpd.handlers import Sink
    from aiosmtpd.smtp import SMTP

    async def serve() -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: SMTP(Sink(), hostname=f"smtp.{HERE}", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
        )

    server = background.run(serve())
    try:
        host, port = server.sockets[0].getsockname()
        yield host, port
    finally:

        async def stop() -> None:
            server.close()
            others = [task for task in asyncio.all_tasks() if "SMTP._handle_client" in repr(task)]
            await asyncio.gather(*others, return_exceptions=True)

        background.run(stop())


def _answers(name: str) -> list[Answer]:
    with ExitStack() as running:
        if name in DAEMONS:
            target = Target(DAEMONS[name])
            running.callback(target.close)
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            here = running.enter_context(target.stage(folder)).here
            return ask_all(here.host, here.port, HERE)
        start: Callable[[], AbstractContextManager[tuple[str, int]]] = {OURS: _ours, STOCK: _stock}[name]
        host, port = running.enter_context(start())
        return ask_all(host, port, HERE)


def why_not(name: str) -> str:
    """Why a server can't be asked here; "" where it can."""
    return DAEMONS[name].why_not() if name in DAEMONS else ""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.servers_table")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where the table is out of date")
    parser.add_argument("--only", action="append", choices=list(TITLES), help="ask this server (with --check)")
    options = parser.parse_args(words)
    logging.getLogger("mail.log").disabled = True  # aiosmtpd's, which tells of every unknown command
    if options.only and not options.check:
        parser.error("--only goes with --check: a table has all its columns")
    answers: dict[str, list[Answer]] = {}
    for name in options.only or TITLES:
        if reason := why_not(name):
            print(f"{TITLES[name]} is not asked: {reason}", file=sys.stderr)
        else:
            answers[name] = _answers(name)
    new = render(answers)
    old = TABLE.read_text("utf-8") if TABLE.exists() else ""
    if options.check:
        return _check(columns_of(old), columns_of(new))
    missing = [name for name in TITLES if name not in answers]
    if missing:
        print(f"{TABLE} is written where all can be asked; missing: {', '.join(missing)}", file=sys.stderr)
        return 1
    TABLE.write_text(new, "utf-8")
    print(f"{TABLE.relative_to(ROOT)}: {sum(map(len, answers.values()))} answers of {len(answers)} servers")
    return 0


def _check(old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]) -> int:
    wrong = 0
    for name, cells in new.items():
        for rule, cell in cells.items():
            if old.get(name, {}).get(rule) != cell:
                print(f"{TITLES[name]}, {rule}: the table has {old.get(name, {}).get(rule)!r}, it is {cell!r}")
                wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
