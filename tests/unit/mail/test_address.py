"""Mailboxes: what is one, what is none, and that what is parsed is rendered and parsed again the same."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair.mail import address
from smtp_pair.mail.address import LOCAL_LIMIT, NULL_PATH, Address, domain_key, parse_path
from smtp_pair.mail.errors import AddressError

CONTROLS = [*map(chr, [*range(0x20), *range(0x7F, 0xA0)]), "\ud800"]
LONGEST_DOMAIN = ".".join(["d" * 63] * 3 + ["d" * 63])

labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?", fullmatch=True)
domains = st.lists(labels, min_size=1, max_size=5).map(".".join) | st.sampled_from(
    ["[127.0.0.1]", "[IPv6:::1]", "[ipv6:2001:db8::1]", "bücher.example", "例え.テスト", "localhost", "_dmarc.a.test"]
)
# whatever a quoted string can hold (RFC 5321 4.1.2, RFC 6531 3.3): anything but controls
local_parts = st.text(st.characters(exclude_characters=CONTROLS, exclude_categories=("Cc", "Cs")), max_size=16)


@given(local_parts, domains)
@example("", "a.test")
@example(" ", "a.test")
@example('a"b\\c', "a.test")
@example("a>b", "a.test")
@example("a@b", "a.test")
@example("a..b", "a.test")
@example(".a", "[IPv6:::1]")
def test_what_is_rendered_is_parsed_again(local: str, domain: str) -> None:
    """Any local part and domain survive the canonical text, in a path and out of one (RFC 5321 4.1.2)."""
    one = Address(local, domain)
    assert parse_path(f"<{one}>", utf8=True) == (one, "")
    again = Address.parse(one)
    assert (again, again.local, again.domain) == (str(one), local, domain)


@given(st.text(st.sampled_from('<>@"\\.:, abc127[]IPv6é\x00\r\n-_%!/|') | st.characters(), max_size=40))
@example("<a@b>\n")
@example("<a@b>  SIZE=1 ")
@example("<a@b> X=\x00")
@example("<a@b>\x00")
@example("<a@-b>")
def test_the_short_way_and_the_long_way_agree(text: str) -> None:
    """The everyday address has a short cut through the parser, which never decides otherwise than the whole parser;
    and whatever a stranger writes, the answer is an address or an AddressError."""

    def parsed() -> object:
        try:
            found, rest = parse_path(text, utf8=True)
        except AddressError as error:
            return type(error), str(error)
        return found, found.local, found.domain, rest

    shortened = parsed()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(address, "_PLAIN_PATH", re.compile(r"(?!)"))  # matches nothing
        assert parsed() == shortened


@pytest.mark.parametrize(
    ("path", "local", "domain"),
    [
        ("<vader@deathstar.com>", "vader", "deathstar.com"),
        ("<Vader@DeathStar.COM>", "Vader", "DeathStar.COM"),
        ("<a.b+c=d_e-f@x.y>", "a.b+c=d_e-f", "x.y"),
        ("<!#$%&'*+/=?^_`{|}~-@x.y>", "!#$%&'*+/=?^_`{|}~-", "x.y"),
        ('<"luke"@jaku.com>', "luke", "jaku.com"),
        ('<"lu\\ke"@jaku.com>', "luke", "jaku.com"),
        ('<"a b"@x.y>', "a b", "x.y"),
        ('<"a\\"b"@x.y>', 'a"b', "x.y"),
        ('<"a\\\\b"@x.y>', "a\\b", "x.y"),
        ('<"a>b"@x.y>', "a>b", "x.y"),
        ('<"a@b"@x.y>', "a@b", "x.y"),
        ('<""@x.y>', "", "x.y"),
        ("<a%b@x.y>", "a%b", "x.y"),
        ("<a!b@x.y>", "a!b", "x.y"),
        ("<a/b@x.y>", "a/b", "x.y"),
        ("<|ls@x.y>", "|ls", "x.y"),
        ("<é@x.y>", "é", "x.y"),
        ("<a@bücher.example>", "a", "bücher.example"),
        ("<a@[127.0.0.1]>", "a", "[127.0.0.1]"),
        ("<a@[IPv6:::1]>", "a", "[IPv6:::1]"),
        ("<postmaster>", "postmaster", ""),
        ("<PostMaster>", "PostMaster", ""),
        ('<"postmaster">', "postmaster", ""),
        ("<@a.b:luke@jaku.com>", "luke", "jaku.com"),
        ("<@a.b,@[127.0.0.1],@c.d:luke@jaku.com>", "luke", "jaku.com"),
        (f"<{'l' * LOCAL_LIMIT}@x.y>", "l" * LOCAL_LIMIT, "x.y"),
        (f"<a@{LONGEST_DOMAIN}>", "a", LONGEST_DOMAIN),
        (f'<"{" " * LOCAL_LIMIT}"@x.y>', " " * LOCAL_LIMIT, "x.y"),
    ],
)
def test_what_is_an_address(path: str, local: str, domain: str) -> None:
    """C29: %, !, /, | and a quoted @ are plain characters. C30: a source route is dropped. C31: the case is kept.
    C32: quotes and quoted pairs. C33: literals. C34: postmaster needs no domain. C19: 64 and 255 octets."""
    found, rest = parse_path(path, utf8=True)
    assert (found.local, found.domain, rest) == (local, domain, "")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a@b",
        "<a@b",
        "a@b>",
        "< >",
        "<@>",
        "<@x.y>",
        "<a@>",
        "<a>",
        "<a b@x.y>",
        "< a@x.y>",
        "<a@x.y >",
        "<a@b@x.y>",
        '<"a"b@x.y>',
        '<a"b"@x.y>',
        '<"a@x.y>',
        '<"a\\"@x.y>',
        "<a@x.y.>",
        "<a@.x.y>",
        "<a@x..y>",
        "<a@-x.y>",
        "<a@x-.y>",
        "<a@x_.y-z!>",
        "<.a@x.y>",
        "<a.@x.y>",
        "<a..b@x.y>",
        "<a/../b@x.y>",
        "<a@x.y>,<b@x.y>",
        "<a@x.y>SIZE=1",
        "<<a@x.y>>",
        "<a@[127.0.0.1>",
        "<a@[127.0.0.256]>",
        "<a@[::1]>",
        "<a@[IPv6:127.0.0.1]>",
        "<a@[]>",
        "<@a.b>",
        "<@a.b,c.d:luke@jaku.com>",
        "<@a.b:>",
        f"<{'l' * (LOCAL_LIMIT + 1)}@x.y>",
        f'<"{" " * (LOCAL_LIMIT + 1)}"@x.y>',
        f"<{'é' * 33}@x.y>",
        f"<a@{'d' * 64}.y>",
        f"<a@{LONGEST_DOMAIN}.d>",
        "<a@x\u3002\u3002y>",
        "<a@x.y\u3002>",
        "<a@\uff3b127.0.0.1\uff3d>",
        "<a@x\uff20y>",
        "<a@\xad>",
    ],
)
def test_what_is_none(path: str) -> None:
    """C29: two unquoted @. C39: an empty, malformed or trailing-dot domain. C19: one octet too many. And nothing that
    IDNA would turn into a literal, a dot or an @ passes for a name."""
    with pytest.raises(AddressError):
        parse_path(path, utf8=True)


@pytest.mark.parametrize(
    "shape", ["<a{}b@x.y>", '<"a{}b"@x.y>', "<a@x{}.y>", "<a@x.y>{}", "<a@x.y> SIZE={}1", "{}<a@x.y>"]
)
def test_no_control_comes_in(shape: str) -> None:
    """C38: no control character, anywhere in or around an address; nor half a surrogate pair."""
    for control in CONTROLS:
        with pytest.raises(AddressError):
            parse_path(shape.format(control), utf8=True)


def test_the_null_path_is_a_value() -> None:
    """C36: `<>` is an address with nothing in it, and false; it is not the text "<>"."""
    found, rest = parse_path("<> SIZE=10")
    assert (found, found.local, found.domain, rest) == (NULL_PATH, "", "", "SIZE=10")
    assert not NULL_PATH
    assert str(NULL_PATH) == ""


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("<a@b> SIZE=1 BODY=7BIT", "SIZE=1 BODY=7BIT"),
        ("<a@b>   X ", "X"),
        ("<a@b> ", ""),
        ('<"a"@b> X', "X"),
        ("<> X", "X"),
    ],
)
def test_what_follows_are_the_parameters(path: str, rest: str) -> None:
    """After the closing bracket and a space (RFC 5321 4.1.2)."""
    assert parse_path(path)[1] == rest


@pytest.mark.parametrize("path", ["<é@x.y>", "<a@é.y>", '<"é"@x.y>'])
def test_beyond_ascii_is_told_apart(path: str) -> None:
    """C63: without SMTPUTF8 the error says what would have made it an address (RFC 6531 3.4)."""
    with pytest.raises(AddressError) as refused:
        parse_path(path)
    assert refused.value.beyond_ascii
    with pytest.raises(AddressError) as refused:
        parse_path("<a@>", utf8=True)
    assert not refused.value.beyond_ascii


@pytest.mark.parametrize(
    ("domain", "key"),
    [
        ("JAKU.Com", "jaku.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--BCHER-kva.example", "xn--bcher-kva.example"),
        ("x\u3002y", "x.y"),
        ("[127.0.0.1]", "[127.0.0.1]"),
        ("[ipv6:0:0:0:0:0:0:0:1]", "[::1]"),
        ("[IPV6:2001:DB8::1]", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_domains_compare_by_their_key(domain: str, key: str) -> None:
    """C31: in any case. C33: literals in one form. C66: U-labels and A-labels alike."""
    assert domain_key(domain) == key
    assert Address("a", domain).domain_key == key


@pytest.mark.parametrize("domain", ["[", "[::1]", "[1.2.3]", "ü" * 64, "a.\u3002ü"])
def test_a_domain_without_a_key_is_an_error(domain: str) -> None:
    """AddressError, as everywhere, and no other exception."""
    with pytest.raises(AddressError):
        domain_key(domain)


@pytest.mark.parametrize(
    "text", ["", "postmaster", "a", "a@x.y> X", "a@x.y>", "<a@x.y>", "a@x.y\n", "a@x.y SIZE=1", ">"]
)
def test_parse_wants_one_address_and_nothing_else(text: str) -> None:
    """The null path, a bare postmaster and what has more around it are none."""
    with pytest.raises(AddressError):
        Address.parse(text)


def test_an_address_is_a_text_with_two_halves() -> None:
    """It equals its text, is quoted only where it must be, compares mailboxes in any case, and survives a copy."""
    one = Address.parse('"Darth Vader"@DeathStar.com')
    assert one == '"Darth Vader"@DeathStar.com'
    assert (one.local, one.mailbox) == ("Darth Vader", "darth vader")
    assert Address.parse('"vader"@x.y') == "vader@x.y"
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert (other, other.local, other.domain) == (one, one.local, one.domain)
        assert isinstance(other, Address)


@pytest.mark.parametrize(
    ("length", "domain"), [(10_000, "a.test"), (10_000, "é.test"), (5, "é" * 10_000), (5, "[" * 10_000)]
)
def test_a_very_long_one_is_refused_and_not_worked_on(length: int, domain: str) -> None:
    """Length is looked at before anything that could take long (IDNA is quadratic, CVE-2022-45061)."""
    with pytest.raises(AddressError):
        parse_path(f"<{'l' * length}@{domain}>", utf8=True)
