"""Which way a mail goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.mail.address import Address, parse_path
from smtp_pair.routes import LOCAL, NO_MAIL, UNREACHABLE, NextHop, Route, Routes

HOP = NextHop("127.0.0.1", 2525, "smtp.deathstar.com")
ROUTES = Routes(["jaku.com", "smtp.jaku.com"], {"deathstar.com": HOP, "bücher.example": HOP, "none.test": NO_MAIL})


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("<luke@jaku.com>", LOCAL),
        ("<luke@JAKU.Com>", LOCAL),
        ("<luke@smtp.jaku.com>", LOCAL),
        ("<postmaster>", LOCAL),
        ("<luke@[127.0.0.1]>", LOCAL),
        ("<luke@[IPv6:::1]>", LOCAL),
        ("<luke@[IPV6:0:0::1]>", LOCAL),
        ("<vader@deathstar.com>", HOP),
        ("<vader@DeathStar.COM>", HOP),
        ("<a@bücher.example>", HOP),
        ("<a@BÜCHER.example>", HOP),
        ("<a@xn--bcher-kva.example>", HOP),
        ("<a@none.test>", NO_MAIL),
        ("<paimon@genshinimpact.com>", UNREACHABLE),
        ("<a@sub.deathstar.com>", UNREACHABLE),
        ("<a@[127.0.0.2]>", UNREACHABLE),
        ("<a@[10.0.0.1]>", UNREACHABLE),
        ('<"a@deathstar.com"@jaku.com>', LOCAL),
        ("<vader%deathstar.com@jaku.com>", LOCAL),
        ("<deathstar.com!vader@jaku.com>", LOCAL),
        ("<@deathstar.com:luke@jaku.com>", LOCAL),
    ],
)
def test_the_way_to_a_recipient(path: str, route: Route) -> None:
    """C31: domains in any case. C66: U-labels and A-labels alike. C33: the own loopback literal is here, a foreign one
    nowhere. C34: postmaster needs no domain. C29, C30: what is in a local part or a source route leads nowhere else."""
    assert ROUTES.route(parse_path(path, utf8=True)[0]) == route


def test_what_is_the_server_s_own_stays_its_own() -> None:
    """A table that names the server itself, as every server of a network is given, makes no loop of it."""
    assert Routes(["jaku.com"], {"JAKU.com": HOP}).route(Address.parse("luke@jaku.com")) == LOCAL


@given(st.from_regex(r"[a-zA-Z]{1,10}(\.[a-zA-Z]{1,10}){0,3}", fullmatch=True))
def test_the_case_of_a_domain_does_not_matter(domain: str) -> None:
    """C31, for any domain, in the table as in the address."""
    for written in (domain, domain.upper(), domain.lower(), domain.title()):
        routes = Routes(["own.example.test.x"], {written: HOP})
        assert routes.route(Address("a", domain.swapcase())) == HOP


@pytest.mark.parametrize(
    ("hop", "text"),
    [
        (NextHop("127.0.0.1", 25), "127.0.0.1:25"),
        (NextHop("::1", 25), "[::1]:25"),
        (NextHop("127.0.0.1", 25, "smtp.a.test"), "smtp.a.test (127.0.0.1:25)"),
        (NextHop("::1", 25, "smtp.a.test"), "smtp.a.test ([::1]:25)"),
    ],
)
def test_a_next_hop_in_words(hop: NextHop, text: str) -> None:
    """The name where it is known, and always the address."""
    assert str(hop) == text


def test_a_next_hop_keeps_its_password_to_itself() -> None:
    """Neither in a log nor in a failing assertion."""
    hop = NextHop("127.0.0.1", 25, user="luke", password="secret")
    assert "secret" not in f"{hop} {hop!r}"
