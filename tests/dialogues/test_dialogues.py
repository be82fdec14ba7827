"""The project's own dialogues, played to a server of ours that has what they need: the answers are those of the rules,
and nothing that would only do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import dialogue
from harness.dialogue import Dialogue
from smtp_pair import Domain, Limits, Network, Server

AUTH = {"luke": "secret"}
OFFERED = {"SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN", "HELP", "limited"}


class House(NamedTuple):
    """One way to set up a server, and what it then has."""

    domain: Domain
    has: set[str]


HOUSES = {
    "plain": House(
        Domain("a.test", users=["obiwan"]), {"users", "route", "null mx", "no auth", "no tls", "normalising"} | OFFERED
    ),
    "small": House(
        Domain("a.test", users=["obiwan"], size=100_000, bare_newline="reject"),
        {"users", "route", "no auth", "no tls", "small", "strict"} | OFFERED,
    ),
    "secured": House(
        Domain("a.test", users=["obiwan"], tls="offered"), {"users", "route", "no auth", "tls", "normalising"} | OFFERED
    ),
    "known": House(
        Domain("a.test", users=["obiwan"], auth=AUTH), {"users", "stranger", "auth", "no tls", "normalising"} | OFFERED
    ),
    "impatient": House(Domain("a.test", limits=Limits(idle=0.3)), {"impatient", "no auth", "no tls"} | OFFERED),
}
DIALOGUES = dialogue.load()
NOT_OURS = {"no CHUNKING", "no SMTPUTF8"}
"""What no server of ours is without: those dialogues are for others."""


def house_for(one: Dialogue) -> str:
    return next(name for name, house in HOUSES.items() if not dialogue.missing(one.needs, house.has))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Starts each house once."""
    with ExitStack() as running:
        servers: dict[str, Server] = {}

        def start(name: str) -> Server:
            if name not in servers:
                folder: Path = tmp_path_factory.mktemp(name)
                network = Network(HOUSES[name].domain, "b.test", routes={"null.test": "."}, directory=folder / "mail")
                servers[name] = running.enter_context(network)["a.test"]
            return servers[name]

        yield start


@pytest.mark.parametrize("one", [one for one in DIALOGUES if not one.needs & NOT_OURS], ids=lambda one: one.name)
def test_ours_keeps_the_rule(one: Dialogue, started: Callable[[str], Server]) -> None:
    """Each dialogue passes, by the answer that the rule names and not only by one that will do."""
    server = started(house_for(one))
    outcome = dialogue.run(
        one,
        server.host,
        server.port,
        "a.test",
        user="obiwan@a.test",
        unknown="vader@a.test",
        route="leia@b.test",
        nomail="x@null.test",
        name="luke",
        password="secret",
        enhanced=True,
    )
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
