"""What becomes of a mail, for every client's way of handing it over and every destination (see ``harness/``)."""

from __future__ import annotations

from harness.destinations import BEYOND, MIXED, VARIANTS
from harness.plugin import Play, Scenario, matrix


@matrix()
def test_outcome(scenario: Scenario, play: Play) -> None:
    """The mail is delivered here, handed on or refused, the same for every client: content, attachments, envelope,
    hops and records are right on both servers, and nothing else is there."""
    play(scenario)


@matrix()
def test_outcome_the_other_way_round(scenario: Scenario, play: Play) -> None:
    """The same from deathstar to jaku."""
    play(scenario, backwards=True)


@matrix(VARIANTS)
def test_outcome_however_it_is_written(scenario: Scenario, play: Play) -> None:
    """The same for other spellings of the recipients, and for several of them."""
    play(scenario)


@matrix(MIXED)
def test_outcome_for_each_recipient(scenario: Scenario, play: Play) -> None:
    """Recipients of all three kinds in one transaction: each has an outcome of its own, and one copy goes to each
    server."""
    play(scenario)


@matrix(BEYOND)
def test_outcome_that_another_server_decides(scenario: Scenario, play: Play) -> None:
    """Refused for good by the next server, the mail comes back to its sender once; refused for now, it is delivered by
    another attempt; the recipients beside have theirs."""
    play(scenario)
