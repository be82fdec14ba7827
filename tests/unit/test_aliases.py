"""Aliases: where a mail really goes (RFC 5321 3.9.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.aliases import Aliases
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Recipient

OWN = ("jaku.com", "smtp.jaku.com")


def aliases(table: Mapping[str, Sequence[str]]) -> Aliases:
    return Aliases({name: [Address.parse(_full(to)) for to in targets] for name, targets in table.items()}, OWN)


def _full(name: str) -> str:
    return name if "@" in name else f"{name}@jaku.com"


def expanded(table: Mapping[str, Sequence[str]], *recipients: str) -> list[str]:
    """Where they lead; addresses of the domain without it."""
    paths = [Recipient(Address.parse(_full(recipient))) for recipient in recipients]
    return [found.address.removesuffix("@jaku.com") for found, _ in aliases(table).expand(paths)]


@pytest.mark.parametrize(
    ("table", "recipients", "ends"),
    [
        ({}, ["luke", "luke@else.test"], ["luke", "luke@else.test"]),
        ({"team": ["luke", "leia"]}, ["team"], ["luke", "leia"]),
        ({"team": ["luke", "vader@deathstar.com"]}, ["team"], ["luke", "vader@deathstar.com"]),
        ({"team": ["luke"]}, ["TEAM", "han"], ["luke", "han"]),
        ({"Team": ["luke"]}, ["team@JAKU.com", "team@smtp.jaku.com"], ["luke"]),
        ({"team": ["luke"]}, ["team@else.test"], ["team@else.test"]),
        ({"team": ["luke"]}, ["team", "luke", "team"], ["luke"]),
        ({"team": ["luke", "luke", "LUKE@jaku.com"]}, ["team"], ["luke", "LUKE"]),
    ],
    ids=["none", "two", "elsewhere", "case", "names_of_the_domain", "another_domain", "twice", "one_target_twice"],
)
def test_an_alias(table: Mapping[str, Sequence[str]], recipients: list[str], ends: list[str]) -> None:
    """Leads to its targets, in their order, each once. Domain and alias are in any case; another domain has none."""
    assert expanded(table, *recipients) == ends


@pytest.mark.parametrize("address", ["postmaster@[127.0.0.1]", "postmaster@[IPv6:::1]", "POSTMASTER@jaku.com"])
def test_the_server_by_its_other_names(address: str) -> None:
    """A loopback literal is the domain too, as for the routes."""
    assert expanded({"postmaster": ["luke"]}, address) == ["luke"]


def test_a_bare_postmaster() -> None:
    """<postmaster>, without a domain (RFC 5321 4.5.1), is the alias too."""
    bare = Recipient(Address("postmaster", ""))
    [(found, named)] = aliases({"postmaster": ["luke"]}).expand([bare])
    assert (found.address, named) == ("luke@jaku.com", "postmaster")


@pytest.mark.parametrize(
    ("table", "recipient", "ends"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["luke"]}, "a", ["luke"]),
        ({"all": ["devs", "leads"], "leads": ["devs"], "devs": ["luke"]}, "all", ["luke"]),
        ({"all": ["leads", "devs"], "leads": ["devs", "leia"], "devs": ["luke"]}, "all", ["luke", "leia"]),
        ({"luke": ["luke", "leia"]}, "luke", ["luke", "leia"]),
        ({"luke": ["LUKE@jaku.com", "leia"]}, "luke", ["LUKE", "leia"]),
        ({"a": ["b"], "b": ["a"]}, "a", ["a"]),
        ({"a": ["b"], "b": ["a"]}, "b", ["b"]),
        ({"a": ["b", "luke"], "b": ["a", "leia"]}, "a", ["a", "leia", "luke"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "a", ["b"]),
        ({"a": ["a@smtp.jaku.com"]}, "a", ["a@smtp.jaku.com"]),
    ],
)
def test_aliases_of_aliases(table: Mapping[str, Sequence[str]], recipient: str, ends: list[str]) -> None:
    """Are followed. One that is come upon by two ways is followed once, and is no mailbox; one that leads back to
    itself is: nothing is lost, and nothing goes round."""
    assert expanded(table, recipient) == ends


def test_options_and_names_are_kept() -> None:
    """Each end keeps the options of its recipient (RFC 3461 5.2.7) and the name that the client said; whom two
    recipients lead to has those of the first."""
    options = {"NOTIFY": "NEVER"}
    team, luke = Address.parse("Team@jaku.com"), Address.parse("luke@jaku.com")
    found = aliases({"team": ["luke", "leia"]}).expand([Recipient(team, options), Recipient(luke)])
    assert [(one.address, one.options, named) for one, named in found] == [
        ("luke@jaku.com", options, team),
        ("leia@jaku.com", options, team),
    ]


names = st.sampled_from("abcdef")
tables = st.dictionaries(names, st.lists(names | st.sampled_from(["luke", "x@else.test"]), min_size=1, max_size=4))


@given(tables, st.lists(names, min_size=1, max_size=3))
def test_any_table(table: dict[str, list[str]], recipients: list[str]) -> None:
    """It ends; every recipient leads to something; no end is named twice; and an end that is an alias is one that leads
    back to itself."""
    ends = expanded(table, *recipients)
    assert len(ends) == len(set(ends)) > 0
    for end in ends:
        assert end not in table or end in _reached(table, table[end])
    reached = _reached(table, recipients)
    assert set(ends) <= reached
    assert {name for name in reached if name not in table} <= set(ends), "something was lost"


def _reached(table: Mapping[str, Sequence[str]], start: Sequence[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += table.get(name, ())
    return found


def test_a_chain_of_ten_thousand() -> None:
    """Neither too deep nor too slow."""
    table = {f"a{n}": [f"a{n + 1}", f"a{n + 2}"] for n in range(10_000)}
    assert set(expanded(table, "a0")) == {"a10000", "a10001"}
