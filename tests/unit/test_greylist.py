"""Greylisting: whoever is new is asked to come again (RFC 6647)."""

from __future__ import annotations

import pytest

from smtp_pair import greylist
from smtp_pair.greylist import Greylist
from smtp_pair.mail.address import NULL_PATH, Address

LUKE, LEIA = Address.parse("luke@jaku.com"), Address.parse("leia@jaku.com")
VADER = Address.parse("vader@deathstar.com")
HERE, THERE = "127.0.0.1", "::1"


class Now:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.moment = 1_000_000.0

    def __call__(self) -> float:
        return self.moment


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def greylisted(now: Now) -> Greylist:
    return Greylist(300, now)


@pytest.mark.parametrize(("after", "known"), [(0, False), (299.9, False), (300, True), (1e9, True)])
def test_the_delay(greylisted: Greylist, now: Now, after: float, known: bool) -> None:
    """Counts from the first time, to the second."""
    assert not greylisted.knows(HERE, VADER, LUKE)
    now.moment += after
    assert greylisted.knows(HERE, VADER, LUKE) is known


def test_asking_again_does_not_prolong_it(greylisted: Greylist, now: Now) -> None:
    """Whoever retries every minute gets in after the same time as one who waits."""
    for _ in range(5):
        assert not greylisted.knows(HERE, VADER, LUKE)
        now.moment += 60
    assert greylisted.knows(HERE, VADER, LUKE)


@pytest.mark.parametrize(
    ("host", "sender", "recipient"),
    [(THERE, VADER, LUKE), (HERE, LEIA, LUKE), (HERE, NULL_PATH, LUKE), (HERE, VADER, LEIA)],
)
def test_each_of_the_three_counts(
    greylisted: Greylist, now: Now, host: str, sender: Address, recipient: Address
) -> None:
    """Another client, sender or recipient is new, and waits by itself."""
    greylisted.knows(HERE, VADER, LUKE)
    now.moment += 300
    assert not greylisted.knows(host, sender, recipient)
    assert greylisted.knows(HERE, VADER, LUKE)


def test_case_does_not_count(greylisted: Greylist, now: Now) -> None:
    """A client that writes the same addresses in another case is the same."""
    greylisted.knows(HERE, VADER, LUKE)
    now.moment += 300
    assert greylisted.knows(HERE, Address("Vader", "DeathStar.com"), Address("LUKE", "JAKU.com"))


def test_it_does_not_grow_for_ever(greylisted: Greylist, now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented senders push out those that were not heard of for the longest time, not those that keep coming."""
    monkeypatch.setattr(greylist, "KNOWN", 10)
    greylisted.knows(HERE, VADER, LUKE)
    greylisted.knows(HERE, VADER, LEIA)
    now.moment += 300
    for number in range(9):
        greylisted.knows(HERE, Address(f"nobody{number}", "spam.test"), LUKE)
        assert greylisted.knows(HERE, VADER, LUKE)
    assert not greylisted.knows(HERE, VADER, LEIA)
    assert len(greylisted._first_seen) == 10
