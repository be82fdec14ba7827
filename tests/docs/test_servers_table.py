"""``docs/servers.md`` says what the servers make of the dialogues."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness import servers_table
from harness.houses import OURS, STOCK, TITLES, why_not
from harness.report_card.card import Row
from harness.report_card.short import short
from harness.rules import RULES
from harness.targets.catalogue import DAEMONS


@pytest.mark.parametrize("name", [OURS, STOCK])
def test_column_is_what_is_answered(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The columns that need nobody else's package are today's."""
    code = servers_table.main(["--check", "--only", name])
    assert code == 0, f"python -m harness.servers_table writes it anew:\n{capsys.readouterr().out}"


@pytest.mark.mta
@pytest.mark.parametrize("name", DAEMONS)
def test_columns_of_others_are_what_they_answer(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So are the others, where those servers can be started, and are the ones that were asked."""
    if reason := why_not(name):
        pytest.skip(f"{name}: {reason}")
    asked = re.search(rf"{TITLES[name]}\s([0-9.p]+)[\s,]", servers_table.TABLE.read_text("utf-8"))
    assert asked is not None
    if (version := servers_table.version_of(name)) != asked[1]:
        pytest.skip(f"{name}: this is {version}, and the table tells of {asked[1]}")
    code = servers_table.main(["--check", "--only", name])
    assert code == 0, f"python -m harness.servers_table writes it anew:\n{capsys.readouterr().out}"


def test_ours_holds() -> None:
    """All that was asked of ours is as the rules want it, and all of it was asked."""
    column = servers_table.columns_of(servers_table.TABLE.read_text("utf-8"))[OURS]
    assert set(column.values()) == {"holds"}


def test_a_change_is_seen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers otherwise than the table has it fails the check, which says where."""
    rows = [replace(row, verdict="fail", got="250 yes") for row in servers_table.rows_of(OURS) if row.rule == "C3"]
    monkeypatch.setattr(servers_table, "rows_of", lambda name: rows)
    assert servers_table.main(["--check", "--only", OURS]) == 1
    assert "ours, C3: the table has 'holds', it is '**does not hold** in 1 of 1<br>250 " in capsys.readouterr().out


def test_every_rule_is_there_or_named_as_not_asked() -> None:
    """All 94, once."""
    text = servers_table.TABLE.read_text("utf-8")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| C")]
    rest = text.partition("Not asked, for")[2].partition("\n\n")[0].partition(": ")[2].rstrip(".").split(",")
    assert sorted([*rows, *(each.strip() for each in rest)]) == sorted(f"C{number}" for number in RULES)


def row(verdict: str, name: str = "x", expected: str = "503 5.5.1 (or refused)", got: str = "501 1.2 no") -> Row:
    return Row("C1", name, verdict, expected, got)  # type: ignore[arg-type]


def test_a_cell_tells_of_the_worst() -> None:
    """One dialogue that fails is what a cell is about; the same answer to several variants is told once."""
    rows = [row("pass"), row("differs"), row("fail", "a [1]", got="250 a"), row("fail", "a [2]", got="250 b")]
    assert servers_table.cell(rows) == "**does not hold** in 2 of 4<br>250 instead of 503 5.5.1 (a, 2 times)"


def test_a_cell_says_what_was_not_asked() -> None:
    """What a server has not, in words; and dialogues for servers that lack what it has are not about it."""
    left_out = [Row("C1", "x", "not played", why=why) for why in ("needs tls", "needs no CHUNKING")]
    assert servers_table.cell(left_out) == "not asked: needs STARTTLS"
    assert servers_table.cell([row("pass"), left_out[0]]) == "holds, 1 of 2 asked"
    assert servers_table.cell([row("pass"), left_out[1]]) == "holds"


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("500 5.5.1 Invalid command", "252 (or 502)", "500 5.5.1"),
        ("503 5.5.1 | 554 5.5.1 (or refused)", "503 5.5.1 | 554 5.5.1 (or refused)", "503 5.5.1 or 554 5.5.1"),
        ("250 a.test hello / SIZE 9 / HELP", "250 uncoded offers SIZE, PIPELINING", "250 without PIPELINING"),
        ("250 uncoded offers SIZE, PIPELINING", "250 uncoded offers SIZE, PIPELINING", "250 uncoded"),
        ("no reply (two codes): 250-x\\r\\n550 y", "250", "no reply (two codes)"),
        ("closed", "250", "closed"),
    ],
)
def test_short_answers(text: str, expected: str, told: str) -> None:
    """Nothing that is another text the next time: no identifiers, no dates."""
    assert short(text, expected) == told
