"""What a server can be told, and what is refused at once, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair import checks, config
from smtp_pair.config import PATIENT_RETRY, QUICK_RETRY, Domain, Limits, Retry, check_together, destination
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import NO_MAIL, NextHop

NO_DURATIONS = [-1, -0.1, True, None, "", "5", "5 weeks", "five s", "-1 s", "1e3 s", "1  s", float("nan"), float("inf")]
TOO_MUCH = ["9" * 400 + " s", 10**400, "99999999999 d"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(0, 0), (1.5, 1.5), ("100 ms", 0.1), ("1 s", 1), ("1s", 1), ("5 min", 300), ("2 h", 7200), ("5 D", 432_000)],
)
def test_durations(text: object, seconds: float) -> None:
    """A number of seconds, or a text with a unit."""
    assert checks.seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (1, 1),
        ("100 MB", 100_000_000),
        ("32 MiB", 33_554_432),
        ("1.5 kB", 1500),
        ("1GB", 10**9),
        ("7 b", 7),
        (10**12, 10**12),
    ],
)
def test_sizes(text: object, octets: int) -> None:
    """A number of octets, or a text with a decimal or a binary unit."""
    assert checks.octets(text) == octets


@pytest.mark.parametrize("value", [*NO_DURATIONS, *TOO_MUCH, [], "\u0661 s"])
def test_what_is_no_quantity(value: object) -> None:
    """Is quoted in a ConfigError, however big it is: never another exception, never infinity."""
    with pytest.raises(ConfigError, match="is not a duration"):
        checks.seconds(value)
    with pytest.raises(ConfigError):
        checks.size(value)


@given(st.text(max_size=20) | st.integers() | st.floats() | st.none() | st.lists(st.integers()))
def test_any_value_is_a_quantity_or_a_config_error(value: object) -> None:
    """And a quantity is a number that can be waited for."""
    try:
        assert 0 <= checks.seconds(value) < float("inf")
        assert checks.octets(value) >= 0
    except ConfigError as error:
        assert repr(value) in str(error)  # noqa: PT017  # the one expected outcome of two


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        (QUICK_RETRY, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]),
        (PATIENT_RETRY, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]),
        (Retry("1 s", factor=1), [1, 1, 1]),  # type: ignore[arg-type]  # texts are taken too
        (Retry(3, factor=3, most=10), [3, 9, 10]),
    ],
)
def test_retries_grow_up_to_a_limit(retry: Retry, delays: list[float]) -> None:
    """C76: after the first delay each is longer by the factor, none is longer than `most`."""
    assert [retry.delay(attempts) for attempts in range(1, len(delays) + 1)] == pytest.approx(delays)


@given(st.floats(0.001, 1e6), st.floats(1, 1000) | st.integers(1, 1000), st.floats(0.001, 1e6), st.integers(1, 3000))
def test_a_delay_is_always_a_number(first: float, factor: float, most: float, attempts: int) -> None:
    """However often it was tried: no overflow, never longer than `most`, never shorter than the one before."""
    retry = Retry(first, factor=factor, most=most)
    assert 0 < retry.delay(attempts) <= retry.delay(attempts + 1) <= most


WRONG: list[tuple[type[Any], dict[str, Any], str]] = [
    *[(Retry, {"first": value}, "first") for value in (0, -1, "soon", None, "0 s")],
    *[(Retry, {"first": 1, "most": value}, "most") for value in (0, "x")],
    *[(Retry, {"first": 1, "expiry": value}, "expiry") for value in (-1, "x")],
    *[(Retry, {"first": 1, "factor": value}, "factor") for value in (0.5, "2", None, float("nan"))],
    *[(Limits, {name: 0}, name) for name in ("connections", "recipients", "errors", "idle")],
    (Limits, {"recipients": 1.5}, "recipients"),
    (Limits, {"errors": True}, "errors"),
    *[
        (Domain, {"name": value}, "name")
        for value in ("", "a b", "a..b", "a.b.", "[127.0.0.1]", "a@b", 7, None, "a> b")
    ],
    (Domain, {"name": "a" * 64}, "name"),
    *[(Domain, {"name": "a.test", "hostname": value}, "hostname") for value in ("a b", "../x", "a/b", "a:b", "-")],
    *[(Domain, {"name": "a.test", "port": value}, "port") for value in (-1, 65536, "25", True, 1.5, None)],
    *[(Domain, {"name": "a.test", "users": value}, "users") for value in ("luke", ["a@b"], [7], 7, [""], [None])],
    *[(Domain, {"name": "a.test", "unreachable": value}, "unreachable") for value in ("lose", None, 7, ["refuse"])],
    *[(Domain, {"name": "a.test", "size": value}, "size") for value in (0, -1, "big", "0 MB", None)],
    *[(Domain, {"name": "a.test", "durability": value}, "durability") for value in ("", "slow", 1)],
    *[(Domain, {"name": "a.test", "retry": value}, "retry") for value in ("1 s", 1, {"first": 1})],
    *[(Domain, {"name": "a.test", "limits": value}, "limits") for value in (None, 3, {"idle": 1})],
]


@pytest.mark.parametrize(
    ("kind", "settings", "name"), WRONG, ids=[f"{name}-{number}" for number, (_, _, name) in enumerate(WRONG)]
)
def test_a_wrong_setting_is_refused_by_name(kind: type[Any], settings: dict[str, Any], name: str) -> None:
    """When it is given, not when it is used; in one line that begins with the setting."""
    with pytest.raises(ConfigError, match=f"^{name}: ") as refused:
        kind(**settings)
    assert "\n" not in str(refused.value)


def test_a_domain_fills_in_the_rest() -> None:
    """The host is smtp. and the domain, the port is a free one, any local part is a mailbox."""
    domain = Domain("jaku.com")
    assert (domain.hostname, domain.port, domain.users, domain.unreachable) == ("smtp.jaku.com", 0, None, "refuse")
    assert (domain.size, domain.retry, domain.durability) == (33_554_432, None, None)
    assert Domain("jaku.com", users=["luke", '"a b"']).users == ("luke", "a b")
    assert Domain("jaku.com", size="1 MB").size == 1_000_000  # type: ignore[arg-type]
    assert Domain("a_b.test", hostname="MX.a.test").hostname == "MX.a.test"


def test_a_host_says_its_name_in_ascii() -> None:
    """RFC 6531 3.7.1: in the greeting and in EHLO a name is in A-labels, whatever the domain is written in."""
    assert Domain("bücher.example").hostname == "smtp.xn--bcher-kva.example"
    assert Domain("bücher.example").name == "bücher.example"
    assert Domain("a.test", hostname="mx.Bücher.example").hostname == "mx.xn--bcher-kva.example"


@pytest.mark.parametrize(("value", "name"), [(Domain("a.test"), "port"), (Limits(), "idle"), (Retry(1), "first")])
def test_settings_do_not_change(value: object, name: str) -> None:
    """A running server is never reconfigured by an assignment."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, 7)


@pytest.mark.parametrize(
    ("kind", "values", "complaint"),
    [
        (Domain, {"name": "a.test", "prot": 25}, "prot: unknown; known are name, hostname, port"),
        (Domain, {}, "name: is missing"),
        (Domain, {"name": "a.test", "limits": {"idle": "x"}}, "limits.idle: 'x' is not a duration"),
        (Domain, {"name": "a.test", "limits": {"idel": 1}}, "limits.idel: unknown"),
        (Domain, {"name": "a.test", "retry": {"factor": 3}}, "retry.first: is missing"),
        (Domain, {"name": "a.test", "retry": {"first": 0}}, "retry.first: 0"),
    ],
)
def test_a_table_of_settings(kind: type[Any], values: dict[str, Any], complaint: str) -> None:
    """As TOML has it: an error names the key, a nested one with the way to it."""
    with pytest.raises(ConfigError, match=f"^{complaint}"):
        config.table(kind, values)


def test_nested_tables_become_values() -> None:
    """The same as in Python."""
    made = config.table(Domain, {"name": "a.test", "retry": {"first": "1 s"}, "limits": {"idle": "1 min"}})
    assert made == Domain("a.test", retry=Retry(1), limits=Limits(idle=60))


SAME = Domain("a.test")


@pytest.mark.parametrize(
    ("domains", "what"),
    [
        ([SAME, SAME], "name"),
        ([Domain("a.test"), Domain("A.Test", hostname="b.test")], "name"),
        ([Domain("bücher.example"), Domain("xn--bcher-kva.example", hostname="b.test")], "name"),
        ([Domain("a.test"), Domain("b.test", hostname="SMTP.a.test")], "hostname"),
        ([Domain("a.test"), Domain("smtp.a.test", hostname="b.test")], "name"),
        ([Domain("a.test", port=1025), Domain("b.test", port=1025)], "port"),
    ],
)
def test_domains_that_cannot_run_side_by_side(domains: list[Domain], what: str) -> None:
    """A name, a host or a port given twice; the name of a domain that is another's host: mail would go to either."""
    with pytest.raises(ConfigError, match=f"^{what}: .* is given to two domains"):
        check_together(domains)


def test_domains_that_can() -> None:
    """Free ports are never the same, and a domain may be its own host."""
    check_together([Domain("a.test", hostname="a.test"), Domain("b.test"), Domain("c.test", port=1025)])


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("127.0.0.1:2525", NextHop("127.0.0.1", 2525)),
        ("127.9.9.9:1", NextHop("127.9.9.9", 1)),
        ("[::1]:65535", NextHop("::1", 65535)),
        ("localhost:25", NextHop("localhost", 25)),
        ("LOCALHOST:25", NextHop("LOCALHOST", 25)),
        (NextHop("127.0.0.1", 25), NextHop("127.0.0.1", 25)),
        ({"hop": "127.0.0.1:25", "tls": "required"}, NextHop("127.0.0.1", 25, tls="required")),
        (".", NO_MAIL),
    ],
)
def test_where_a_route_leads(text: object, hop: object) -> None:
    """HOST:PORT, or "." for a domain that takes no mail (RFC 7505)."""
    assert destination(text) == hop


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            ":",
            "127.0.0.1",
            "127.0.0.1:",
            ":25",
            None,
            25,
            [],
            {},
            {"hop": "."},
            {"hop": "127.0.0.1:25", "port": "1"},
        ),
        *(f"127.0.0.1:{port}" for port in ("0", "65536", "x", "-1", "\u0661", "9" * 5000)),
    ],
)
def test_where_none_leads(value: Any) -> None:
    """A ConfigError that quotes it, and never another exception."""
    with pytest.raises(ConfigError):
        destination(value, allow_remote=True)


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "8.8.8.8", "mx.example.org", "localhost.example.org", "[2001:db8::1]", "0.0.0.0", "127.0.0.1.nip.io"],
)
def test_no_mail_leaves_this_machine(host: str) -> None:
    """Told by its text alone, a host beyond loopback is refused, however it is written, unless it is allowed."""
    bare = host.strip("[]")
    values: list[str | NextHop | Mapping[str, str]] = [f"{host}:25", NextHop(bare, 25), {"hop": f"{host}:25"}]
    for value in values:
        with pytest.raises(ConfigError, match="not on this machine"):
            destination(value)
        assert destination(value, allow_remote=True) == NextHop(bare, 25)
