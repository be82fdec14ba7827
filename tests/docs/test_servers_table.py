"""``docs/servers.md`` says what the servers answer."""

from __future__ import annotations

import pytest

from harness import servers_table
from harness.questions import QUESTIONS, Answer
from harness.rules import RULES
from harness.targets.catalogue import DAEMONS


@pytest.mark.parametrize("name", [servers_table.OURS, servers_table.STOCK])
def test_column_is_what_is_answered(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The columns that need nobody else's package are today's."""
    code = servers_table.main(["--check", "--only", name])
    assert code == 0, f"python -m harness.servers_table writes it anew:\n{capsys.readouterr().out}"


@pytest.mark.mta
@pytest.mark.parametrize("name", DAEMONS)
def test_columns_of_others_are_what_they_answer(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So are the others, where those servers can be started."""
    if reason := servers_table.why_not(name):
        pytest.skip(f"{name}: {reason}")
    code = servers_table.main(["--check", "--only", name])
    assert code == 0, f"python -m harness.servers_table writes it anew:\n{capsys.readouterr().out}"


def test_ours_keeps_the_rules() -> None:
    """None of our own answers is in bold."""
    column = servers_table.columns_of(servers_table.TABLE.read_text("utf-8"))[servers_table.OURS]
    assert [rule for rule, cell in column.items() if "**" in cell] == []


def test_a_change_is_seen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers otherwise than the table has it fails the check, which says where."""
    answers = [Answer(each.rule, each.asks, "250", kept=True) for each in QUESTIONS]
    monkeypatch.setattr(servers_table, "_answers", lambda name: answers)
    assert servers_table.main(["--check", "--only", servers_table.OURS]) == 1
    assert "ours, C3: the table has '503 5.5.1', it is '250'" in capsys.readouterr().out


def test_every_rule_is_there_or_named_as_not_asked() -> None:
    """All 94, once."""
    text = servers_table.TABLE.read_text("utf-8")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| C")]
    rest = (
        text.partition("Not asked,")[2]
        .partition("\n\n")[0]
        .partition(": ")[2]
        .rstrip(".")
        .replace("\n", " ")
        .split(", ")
    )
    assert sorted([*rows, *rest]) == sorted(f"C{number}" for number in RULES)
