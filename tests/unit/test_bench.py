"""The benchmarks measure what they say: ratios, quartiles, the table; and each case runs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.bench import report, svg, table
from harness.bench.__main__ import main
from harness.bench.case import OURS, AtMost, Beats, Case, Competitors, Missing, Result, Setting, Spread, run, setting
from harness.bench.cases import CASES, GATES
from harness.bench.load import big_mail, shares, small_mail, stuffed
from harness.bench.series import outcomes

MACHINE = {
    "date": "2026-11-25",
    "cores": 2,
    "processor": "x",
    "system": "y",
    "load": "0.1",
    "python": "3.11",
    "commit": "z",
    "versions": {"aiosmtpd": "1.4.6"},
}


def nothing(setting: Setting) -> Competitors:
    raise AssertionError("not to be measured")


def case(*goals: Beats | AtMost, more: bool = False) -> Case:
    return Case("it", "what it is", "ms", nothing, goals, more_is_better=more)


def test_the_quartiles_are_those_of_the_figures() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 2, 4)
    assert Spread.of([1, 2]) == Spread(1.5, 1.25, 1.75)
    assert Spread.of([7]) == Spread(7, 7, 7)


def test_a_ratio_is_of_figures_of_one_round() -> None:
    """A machine that is half as fast in the second round changes nothing."""
    figures = {OURS: [1.0, 2.0], "peer": [10.0, 20.0]}
    assert Result(case(), figures).ratios("peer") == [10, 10]
    assert Result(case(more=True), figures).ratios("peer") == [0.1, 0.1]


def test_verdicts_say_by_how_much_a_goal_is_missed() -> None:
    result = Result(
        case(Beats("peer", 5), Beats("slow", 3), Beats("gone", 2), AtMost(0.8)),
        {OURS: [1.0], "peer": [4.0], "slow": [6.0], "beside": [2.0]},
        {"gone": "pip install gone"},
    )
    told = {verdict.peer: str(verdict) for verdict in result.verdicts()}
    assert told == {"peer": "short by 20%", "slow": "reached", "gone": "not measured", "": "short by 25%", "beside": ""}


def test_the_table_names_the_missing() -> None:
    result = Result(case(Beats("peer", 5), AtMost(2)), {OURS: [1.0]}, {"peer": "pip install peer", "go": "no Go"})
    assert table.text([result]).splitlines() == [
        "case  ours     peer  its figure                 ratio  quartiles    must",
        "it    1.00 ms  peer  missing: pip install peer                      >= 5x  not measured",
        "                                                       1.00 - 1.00  <= 2   reached",
        "               go    missing: no Go",
    ]
    assert "| what it is (`it`) | 1.00 ms | peer | missing: pip install peer |" in table.markdown([result])


def test_nothing_is_divided_by_nothing() -> None:
    """A cost of ours that can't be seen has no ratio, and its peer is still shown."""
    result = Result(case(AtMost(0)), {OURS: [0.0], "peer": [1.0]})
    assert [line.split() for line in table.text([result]).splitlines()[1:]] == [
        ["it", "0", "ms", "0", "-", "0", "<=", "0", "reached"],
        ["peer", "1.00", "ms"],
    ]


def test_json_is_read_back() -> None:
    result = Result(CASES[0], {OURS: [1.0, 2.0], "2 Controllers": [10.0, 20.0]}, {"x": "y"})
    assert table.read_json(table.as_json([result], MACHINE), CASES) == ([result], MACHINE)
    assert json.loads(table.as_json([result], MACHINE))["cases"]["start_stop"]["verdicts"][0]["verdict"] == "reached"


def test_competitors_take_turns_and_the_first_round_does_not_count(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    def prepare(setting: Setting) -> Competitors:
        return {OURS: partial(ask, OURS), "peer": partial(ask, "peer"), "gone": Missing("why")}

    with setting(tmp_path) as here:
        result = run(Case("it", "", "", prepare), here, 3)
    assert asked == [OURS, "peer", "peer", OURS, OURS, "peer", "peer", OURS]
    assert result.figures == {OURS: [4, 5, 8], "peer": [3, 6, 7]}
    assert result.missing == {"gone": "why"}


def test_the_page_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    result = Result(case(), {OURS: [1.0]})
    report.write([result], MACHINE, page, lambda: {"performance-x.svg": "<svg>\n</svg>\n"})
    page.write_text(page.read_text("utf-8") + "by hand\n", "utf-8")
    report.write([result], MACHINE, page)
    assert page.read_text("utf-8").endswith(f"{report.BY_HAND}\nby hand\n")
    assert page.read_text("utf-8").count("what it is") == 1
    notes = [text.text for text in ElementTree.parse(tmp_path / "performance-x.svg").iter("text")]
    assert notes == ["Measured 2026-11-25 on 2 cores (x, y), load 0.1 before", "Python 3.11, aiosmtpd 1.4.6; commit z"]


@pytest.mark.parametrize("series", [{}, {"a": [(1024, 5.0), (1 << 20, 80.0)], "<b>": [(1024, 300.0)]}, {"a": [(1, 1)]}])
def test_plots_are_well_formed(series: dict[str, svg.Points]) -> None:
    drawn = svg.lines("title & so on", "x", "y", series)
    names = {text.text for text in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")}
    assert {"title & so on", *series} <= names
    flat = {name: [point[1] for point in points] for name, points in series.items()}
    assert ElementTree.fromstring(svg.distributions("t", "x", flat)).tag.endswith("svg")


def test_what_is_sent() -> None:
    mail, attachment = big_mail(20_000)
    assert abs(len(mail) - 20_000) < 500 and attachment
    assert stuffed(mail).count(b"\r\n..") == mail.count(b"\r\n.") > 0
    assert len(small_mail()) == 1000
    assert shares(10, 4) == [2, 3, 2, 3]


def test_what_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CASES) == len({case.name for case in CASES})
    assert main(["no_such_case"]) == 2
    assert {case.name for case in GATES} <= {case.name for case in CASES}


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_each_case_runs(one: Case, tmp_path: Path) -> None:
    """As small as can be, and without peers."""
    with setting(tmp_path, tiny=True, alone=True) as here:
        result = run(one, here, 1)
    assert len(result.figures[OURS]) == 1
    assert table.rows(result)


def test_outcomes_are_measured(tmp_path: Path) -> None:
    """What the plot of latencies shows."""
    with setting(tmp_path, tiny=True, alone=True) as here:
        assert {name: len(values) for name, values in outcomes(here).items()} == {
            "delivered here": 3,
            "forwarded": 3,
            "refused at RCPT": 3,
        }


@pytest.mark.parametrize(("figures", "code"), [([3.9, 4.1], 0), ([6.1, 3.9], 0), ([6.1, 6.1], 1)])
def test_the_gate_looks_twice(
    figures: list[float], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ratio may be a third short of its goal, and what fails is measured again with twice the rounds."""
    rounds: list[int] = []

    def prepare(setting: Setting) -> Competitors:
        rounds.append(0)
        ours = figures[len(rounds) - 1]

        def measure() -> float:
            rounds[-1] += 1
            return ours

        return {OURS: measure, "peer": lambda: 12.0}

    monkeypatch.setattr(
        "harness.bench.__main__.GATES", [Case("it", "what it is", "ms", prepare, (Beats("peer", 3),), rounds=3)]
    )
    assert main(["--gate"]) == code
    assert rounds == ([3 + 1] if figures[0] < 6 else [3 + 1, 6 + 1])  # one more, thrown away
    assert capsys.readouterr().err.endswith(": it\n") == bool(code)


def test_a_gate_measures_nobody_else() -> None:
    """Beside whom it fails is a dependency, and nothing that is installed on one machine only."""
    for gate in GATES:
        [goal] = gate.goals
        assert isinstance(goal, Beats)
        assert goal.peer in ("aiosmtpd no-op", "stdlib email")
