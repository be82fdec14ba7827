"""The project's own dialogues, played to a server of ours that has what they need: the answers are those of the rules,
and nothing that would only do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from harness import dialogue
from harness.dialogue import Dialogue, Subject
from harness.houses import OURS, houses
from harness.wire_scripts.connection import connect
from harness.wire_scripts.expectation import Answer
from harness.wire_scripts.needs import offered

DIALOGUES = dialogue.load()
NOT_OURS = {"no CHUNKING", "no SMTPUTF8"}
"""What no server of ours is without: those dialogues are for others."""

Find = Callable[[Dialogue], Subject]


@pytest.fixture(scope="module")
def find() -> Iterator[Find]:
    """The first of our houses that has what a dialogue needs; each is started once."""
    with ExitStack() as running:
        subjects = []
        for house in houses(OURS):
            subject = replace(running.enter_context(house.open()), enhanced=True)
            subjects.append((subject, house.has | offered(keywords(subject))))

        yield lambda one: next(subject for subject, has in subjects if not dialogue.missing(one.needs, has))


def keywords(subject: Subject) -> dict[str, str]:
    """What it offers."""
    connection = connect(subject.host, subject.port, 10.0, float("inf"))
    try:
        connection.answer()
        connection.send(b"EHLO client.example\r\n")
        answer = connection.answer()[0]
    finally:
        connection.close()
    assert isinstance(answer, Answer)
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in answer.texts[1:]}


@pytest.mark.parametrize("one", [one for one in DIALOGUES if not one.needs & NOT_OURS], ids=lambda one: one.name)
def test_ours_keeps_the_rule(one: Dialogue, find: Find) -> None:
    """Each dialogue passes, by the answer that the rule names and not only by one that will do."""
    outcome = dialogue.play(one, find(one), patience=10.0, limit=60.0)
    assert outcome.passed and not outcome.differs, f"\n{outcome}"


def test_every_rule_that_shows_on_the_wire_has_a_dialogue() -> None:
    """To one client, that is: C23 needs a server that stops, C43 a broken disk, C47 a crash, C61 and C64 a next hop,
    C66 a domain beyond ASCII; and from C70 on what is stored, forwarded and told shows elsewhere."""
    elsewhere = {23, 43, 47, 61, 64, 66, *range(70, 95)} - {72, 86}
    have = {int(one.rule[1:]) for one in DIALOGUES}
    assert sorted(set(range(1, 95)) - elsewhere - have) == []


def test_every_need_is_met_by_some_house() -> None:
    """No dialogue of ours is left out because nothing here has what it needs, but those for servers that lack something
    of ours."""
    left_out = [one.name for one in DIALOGUES if one.needs & NOT_OURS]
    assert left_out == ["C59 BDAT where it is not offered", "C63 SMTPUTF8 where it is not offered"]


def test_names_are_short_enough_for_a_table() -> None:
    for one in DIALOGUES:
        assert len(one.title) <= 80, one.title
        assert not re.search(r"[A-Z]{20}", one.title)
