"""The card as values, and as JSON. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from harness.dialogue import Dialogue, Outcome
from harness.rules import RULES

Verdict = Literal["pass", "differs", "fail", "not played"]
VERDICTS: Mapping[Verdict, str] = {
    "pass": "keeps the rule, by the answer that it names",
    "differs": "keeps the rule, by an answer that will do",
    "fail": "does not keep it",
    "not played": "the server has not what it takes, or time was up",
}

ORDER: tuple[Verdict, ...] = ("fail", "differs", "pass", "not played")
"""What is to be seen first."""


@dataclass(frozen=True, slots=True)
class Row:
    """One dialogue or scenario."""

    rule: str
    """``C44``; "" for a scenario, which is about all of them."""
    name: str
    verdict: Verdict
    expected: str = ""
    got: str = ""
    where: str = ""
    """``session.smtp:12``: the line of the script that decided."""
    step: str = ""
    why: str = ""
    """Why it was not played."""
    conversation: str = ""
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """The name without what tells one variant of the dialogue from another."""
        return self.name.partition(" [")[0]

    @classmethod
    def of(cls, outcome: Outcome, seconds: float) -> Row:
        """The row of a dialogue that was played. A conversation is kept where there is something to look at."""
        one = outcome.dialogue
        verdict: Verdict = "differs" if outcome.differs else "pass" if outcome.passed else "fail"
        where = f"{one.path.rpartition('/')[2]}:{outcome.line or one.line}"
        conversation = "" if verdict == "pass" else outcome.conversation
        name = one.name.removeprefix(f"{one.rule} ")
        return cls(
            one.rule, name, verdict, outcome.expected, outcome.got, where, outcome.step, "", conversation, seconds
        )

    @classmethod
    def left_out(cls, one: Dialogue, why: str) -> Row:
        """The row of a dialogue that was not played."""
        where = f"{one.path.rpartition('/')[2]}:{one.line}"
        return cls(one.rule, one.name.removeprefix(f"{one.rule} "), "not played", where=where, why=why)


@dataclass(frozen=True, slots=True)
class Card:
    """All that was seen of a server."""

    server: str
    """HOST:PORT."""
    domain: str
    at: str
    """When, ISO 8601 in UTC."""
    hostname: str
    """What it calls itself."""
    offers: tuple[str, ...]
    """What its answer to EHLO lists."""
    rows: tuple[Row, ...] = ()
    seconds: float = 0.0
    problem: str = ""
    """Why there was nothing to play, or why it was not played to the end."""
    counts: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        found = Counter(row.verdict for row in self.rows)
        object.__setattr__(self, "counts", {verdict: found[verdict] for verdict in VERDICTS})

    @property
    def failed(self) -> bool:
        """Whether a rule was not kept, or nothing could be said of any."""
        return bool(self.counts["fail"]) or not (self.counts["pass"] or self.counts["differs"])

    @property
    def rules(self) -> dict[str, list[Row]]:
        """The rows of each rule, in the order of the rules; scenarios are under ""."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.rule, []).append(row)
        return found

    def json(self) -> str:
        """All of it, for programs."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def worst(rows: Iterable[Row]) -> Verdict:
    """What stands for all of them: one failure is a failure."""
    found = {row.verdict for row in rows}
    return next(verdict for verdict in ORDER if verdict in found)


def says(rule: str) -> str:
    """What a rule says; of scenarios: what they are."""
    return RULES[int(rule[1:])].says if rule else "Mail as clients send it, to each kind of recipient."
