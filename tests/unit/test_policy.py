"""Who may enter: the answer to a recipient, for every kind of domain and client."""

from __future__ import annotations

from typing import Any

import pytest

from smtp_pair.aliases import Aliases
from smtp_pair.config import Domain
from smtp_pair.mail import reply
from smtp_pair.mail.address import Address
from smtp_pair.policy import Policy
from smtp_pair.protocol import Visit
from smtp_pair.routes import NO_MAIL, Destination, NextHop, Routes

TABLE: dict[str, Destination] = {"deathstar.com": NextHop("127.0.0.1", 25), "hermit.test": NO_MAIL}
VADER = "vader@example.org"


def policy(settings: dict[str, Any], **more: Any) -> Policy:
    domain = Domain("jaku.com", **settings)
    table = {local: map(Address.parse, targets) for local, targets in domain.aliases.items()}
    return Policy(domain, Routes(["jaku.com"], TABLE), Aliases(table, ["jaku.com"]), **more)


def address(text: str) -> Address:
    return Address.parse(text) if "@" in text else Address(text, "")


def visit(user: str = "", size: int = 0) -> Visit:
    return Visit("127.0.0.1", address(VADER), size, user)


USERS = {"users": ["Luke"]}
AUTH = {"auth": {"luke": "f0rce"}}
TEAM = {"aliases": {"team": ["luke@jaku.com"]}}


@pytest.mark.parametrize(
    ("settings", "recipient", "expected"),
    [
        ({}, "anyone@jaku.com", "250 2.1.5"),
        ({}, "anyone@[127.0.0.1]", "250 2.1.5"),
        ({}, "postmaster", "250 2.1.5"),
        ({}, "vader@deathstar.com", "250 2.1.5"),
        ({}, "paimon@genshinimpact.com", "550 5.1.2"),
        ({}, "luke@[192.0.2.1]", "550 5.1.2"),
        ({}, "ben@hermit.test", "556 5.1.10"),
        ({"unreachable": "ignore"}, "paimon@genshinimpact.com", "250 2.1.5"),
        ({"unreachable": "ignore"}, "ben@hermit.test", "556 5.1.10"),
        (USERS, "luke@jaku.com", "250 2.1.5"),
        (USERS, "LUKE@Jaku.Com", "250 2.1.5"),
        (USERS, "leia@jaku.com", "550 5.1.1"),
        (USERS, "postmaster@jaku.com", "250 2.1.5"),
        (USERS, "PostMaster", "250 2.1.5"),
        (USERS, "vader%deathstar.com@jaku.com", "550 5.1.1"),
        ({"users": []}, "luke@jaku.com", "550 5.1.1"),
        (USERS | TEAM, "team@jaku.com", "250 2.1.5"),
        (USERS | TEAM, "TEAM@JAKU.COM", "250 2.1.5"),
        (USERS | TEAM, "team@deathstar.com", "250 2.1.5"),
        (AUTH, "luke@jaku.com", "250 2.1.5"),
        (AUTH, "vader@deathstar.com", "550 5.7.1"),
        (AUTH, "paimon@genshinimpact.com", "550 5.1.2"),
        (AUTH, "ben@hermit.test", "556 5.1.10"),
    ],
)
def test_strangers(settings: dict[str, Any], recipient: str, expected: str) -> None:
    """A client that has not said who it is."""
    answer = policy(settings).recipient(address(recipient), visit())
    assert f"{answer.code} {answer.enhanced}" == expected


@pytest.mark.parametrize("recipient", ["luke@jaku.com", "vader@deathstar.com"])
def test_who_used_auth_may_relay(recipient: str) -> None:
    """And still not to where there is no way."""
    rules = policy(AUTH)
    assert rules.recipient(address(recipient), visit("luke")) == reply.RECIPIENT_OK
    assert rules.recipient(address("paimon@genshinimpact.com"), visit("luke")).enhanced == "5.1.2"


@pytest.mark.parametrize(("declared", "asked"), [(0, 1), (1, 1), (5000, 5000)])
def test_a_full_mailbox(declared: int, asked: int) -> None:
    """452 4.2.2; asked with the size that MAIL declared, for the mailbox, whatever the case; and not at all for those
    who do not exist, or for mail that goes on."""
    asked_for: list[tuple[str, int]] = []

    def has_room(mailbox: str, octets: int) -> bool:
        asked_for.append((mailbox, octets))
        return False

    rules = policy(USERS, has_room=has_room)
    answer = rules.recipient(address("LUKE@jaku.com"), visit(size=declared))
    assert (answer.code, answer.enhanced) == (452, "4.2.2")
    assert rules.recipient(address("leia@jaku.com"), visit()).enhanced == "5.1.1"
    assert rules.recipient(address("vader@deathstar.com"), visit()).accepted
    assert asked_for == [("luke", asked)]


def test_an_alias_has_no_mailbox() -> None:
    """Whether there is room where it leads is seen when the mail is here."""
    rules = policy(TEAM, has_room=lambda mailbox, octets: False)
    assert rules.recipient(address("team@jaku.com"), visit()).accepted


def test_greylisting_comes_last() -> None:
    """451 4.7.1 for a stranger; who used AUTH is none; and who would be refused anyway is told so at once, and not
    remembered."""
    seen: list[tuple[str, str, str]] = []

    def knows(host: str, sender: Address, recipient: Address) -> bool:
        seen.append((host, sender, recipient))
        return False

    rules = policy(USERS | AUTH, knows=knows)
    answer = rules.recipient(address("luke@jaku.com"), visit())
    assert (answer.code, answer.enhanced) == (451, "4.7.1")
    assert rules.recipient(address("luke@jaku.com"), visit("luke")).accepted
    assert rules.recipient(address("leia@jaku.com"), visit()).enhanced == "5.1.1"
    assert rules.recipient(address("vader@deathstar.com"), visit()).enhanced == "5.7.1"
    assert seen == [("127.0.0.1", VADER, "luke@jaku.com")]
