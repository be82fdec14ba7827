"""A dialogue that no server could fail would prove nothing: each is played to servers that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import dialogue
from harness.careless import CarelessServer, Wrong
from harness.dialogue import Dialogue, Outcome
from harness.wire_scripts.placeholders import fill

DIALOGUES = dialogue.load()
PATIENCE = 0.3
"""Seconds; a server that is wrong may well leave us waiting, and that is a failure too."""


def play(one: Dialogue, server: CarelessServer, patience: float = 5.0) -> Outcome:
    return dialogue.run(
        one, server.host, server.port, "a.test", patience=patience, limit=20.0, name="luke", password="f"
    )


def named(*beginnings: str) -> list[Dialogue]:
    found = [one for one in DIALOGUES if one.name.startswith(beginnings)]
    assert all(any(one.name.startswith(beginning) for one in found) for beginning in beginnings)
    return found


@pytest.fixture(scope="module")
def right() -> Iterator[CarelessServer]:
    """The same server with nothing wrong."""
    with CarelessServer() as server:
        yield server


@pytest.fixture(scope="module")
def says_yes() -> Iterator[CarelessServer]:
    with CarelessServer(Wrong(says="250 2.0.0 yes")) as server:
        yield server


@pytest.fixture(scope="module")
def says_no() -> Iterator[CarelessServer]:
    with CarelessServer(Wrong(says="599 5.9.9 no")) as server:
        yield server


@pytest.fixture(scope="module")
def has_no_name() -> Iterator[CarelessServer]:
    with CarelessServer(Wrong(greets="220 <nobody>")) as server:
        yield server


@pytest.mark.parametrize("one", DIALOGUES, ids=lambda one: one.name)
def test_no_dialogue_is_passed_by_everybody(
    one: Dialogue, says_yes: CarelessServer, says_no: CarelessServer, has_no_name: CarelessServer
) -> None:
    """Of three servers, one of which says yes to everything, one no, and one has no name, at least one fails or
    differs."""
    servers = [says_yes, says_no, *([has_no_name] if one.rule == "C1" else [])]
    outcomes = [play(one, server, PATIENCE) for server in servers]
    assert any(not outcome.passed or outcome.differs for outcome in outcomes)


SMUGGLING = named(
    "C44 what is no end, with a mail hidden behind it",
    "C44 what is no end, and nothing behind it",
    "C44 what is no end, octet by octet",
)


@pytest.mark.parametrize("one", SMUGGLING, ids=lambda one: one.name)
def test_smuggling_is_noticed(one: Dialogue, right: CarelessServer) -> None:
    """Each variant, played to a server that takes just that for the end of a mail, fails; played to the right one it
    passes."""
    assert play(one, right).passed
    with CarelessServer(Wrong(end=fill(one.variant, {}, {}))) as server:
        outcome = play(one, server, PATIENCE)
    assert not outcome.passed, f"nobody noticed\n{outcome.conversation}"


@pytest.mark.parametrize("one", named("C44 what is no end, because of a NUL"), ids=lambda one: one.name)
def test_nul_smuggling_is_noticed(one: Dialogue, right: CarelessServer) -> None:
    """A server that does not see NULs takes these for an end."""
    assert play(one, right).passed
    with CarelessServer(Wrong(blind_to_nul=True)) as server:
        assert not play(one, server, PATIENCE).passed


WRONG = {
    "buffer": (
        Wrong(keeps_buffer=True),
        ("C68 a command behind STARTTLS", "C68 a whole mail behind STARTTLS", "C68 half a command behind"),
    ),
    "in the clear": (
        Wrong(answers_in_the_clear=True),
        ("C68 a command behind STARTTLS is dropped [NOOP", "C68 a whole mail behind STARTTLS"),
    ),
    "state": (Wrong(keeps_state=True), ("C68 the transaction in the clear is forgotten",)),
    "chunks": (
        Wrong(reads_refused_chunks=True),
        (
            "C59 a chunk with nobody to have it",
            "C59 a chunk whose recipients were all refused",
            "C59 a chunk after the last one",
            "C59 RSET in the middle",
        ),
    ),
    "dots": (Wrong(dots_end_chunks=True), ("C59 what is in a chunk is never a command",)),
    "auth": (Wrong(obeys_in_auth=True), ("C69 a command in place of a response",)),
}
CASES = [
    pytest.param(wrong, one, id=f"{what}-{one.name}") for what, (wrong, names) in WRONG.items() for one in named(*names)
]


@pytest.mark.parametrize(("wrong", "one"), CASES)
def test_injection_is_noticed(wrong: Wrong, one: Dialogue, right: CarelessServer) -> None:
    """Into STARTTLS, AUTH and BDAT: the server with that hole fails, the one without passes."""
    outcome = play(one, right)
    assert outcome.passed, f"\n{outcome}"
    with CarelessServer(wrong) as server:
        outcome = play(one, server, PATIENCE)
    assert not outcome.passed, f"nobody noticed\n{outcome.conversation}"


@pytest.mark.parametrize(("octets", "length"), [(512, 507), (1000, 995), (1024, 1019), (2048, 2043), (4096, 4091)])
def test_a_line_cut_in_two_is_noticed(octets: int, length: int, right: CarelessServer) -> None:
    """Servers with buffers of usual sizes, which take what is beyond for the next command."""
    [one] = named(f"C18 its tail is never a command [{{x*{length}}}]")
    assert play(one, right).passed
    with CarelessServer(Wrong(cuts_lines=octets)) as server:
        assert not play(one, server, PATIENCE).passed
