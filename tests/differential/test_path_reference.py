"""Addresses and parameters are read as the grammars of the RFCs say, and the fast way to read one is no other way."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.reference import judge_parameters, split_argument
from harness.sessions import OF_MAIL, OF_RCPT, PLAIN, UNUSUAL, WRONG
from smtp_pair import parameters
from smtp_pair.mail import address
from smtp_pair.mail.address import Address, parse_path
from smtp_pair.mail.errors import AddressError, DeliveryError

MANY = settings(max_examples=20 * settings().max_examples)

_letters = st.text(st.sampled_from('ab1-_+=.@"\\<>()[]:;, %\t\x00\x7f'), max_size=10)
_words = st.sampled_from([*PLAIN, *UNUSUAL, *WRONG])
_labels = st.sampled_from(["a", "A-b", "-", "a-", "1", "x" * 63, "x" * 64, "", "_"])
_locals = st.sampled_from(["luke", "a.b", "a..b", ".a", "x" * 64, "x" * 65, "a_b+c=d-", "", "a b", '"a b"'])
_made = st.builds(lambda local, labels: f"{local}@{'.'.join(labels)}", _locals, st.lists(_labels, max_size=5))
_paths = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["<", "", "<<"]),
    st.one_of(_words, _made, _letters),
    st.sampled_from([">", "", "> ", "> SIZE=1", ">SIZE=1", ">  BODY=7BIT ", "> \x01", "> é", ">\n", "> x\r"]),
    st.sampled_from(["", " ", "\n"]),
)


def read(text: str) -> tuple[Address, str] | str:
    """What we make of a path; a text where it is refused."""
    try:
        return parse_path(text)
    except AddressError as error:
        return str(error)


@MANY
@given(_paths)
@example("<luke@jaku.com>\n")
@example("<luke@jaku.com> \x7f")
def test_the_fast_way_is_no_other_way(text: str) -> None:
    """Whatever the everyday pattern takes in one go, the long way takes too, and makes the same of it."""
    fast = read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address, "_PLAIN_PATH", re.compile(r"(?!)"))
        slow = read(text)
    assert slow == fast
    if isinstance(fast, tuple) and isinstance(slow, tuple):
        assert (slow[0].local, slow[0].domain) == (fast[0].local, fast[0].domain)


@MANY
@given(_paths)
def test_paths_are_those_of_rfc_5321(text: str) -> None:
    """Every path of the grammar is taken, as it is written, and no other but those with an address literal of IPv6, or
    an underscore in a domain's name (C29 to C39)."""
    path, rest = split_argument(text)
    ours = read(text)
    if path and re.fullmatch(r"[ -~]*", text):
        assert isinstance(ours, tuple)
        assert ours[1] == rest
    if not path and isinstance(ours, tuple):
        route = text.partition(":")[0] if text.startswith("<@") else ""
        assert "_" in route + ours[0].domain or ours[0].domain.startswith("[IPv6:")


def refusal(read: Callable[[str, Collection[str]], object], text: str) -> set[int]:
    """The code that refuses the parameters; none: they are taken."""
    try:
        read(text, ("SIZE", "8BITMIME", "SMTPUTF8", "DSN"))
    except DeliveryError as error:
        return {error.reply.code}
    return set()


@MANY
@given(st.lists(st.sampled_from([word for word in OF_MAIL if word.isascii() and word != "AUTH=<>"]), max_size=3))
def test_parameters_of_mail(words: list[str]) -> None:
    """Taken when nothing is wrong with any of them; else refused with the code of something that is (C17, C55, C86)."""
    text = "  ".join(words)
    assert refusal(parameters.of_mail, text) <= judge_parameters("MAIL", text)
    assert bool(refusal(parameters.of_mail, text)) == bool(judge_parameters("MAIL", text))


@MANY
@given(st.lists(st.sampled_from(OF_RCPT), max_size=3))
def test_parameters_of_rcpt(words: list[str]) -> None:
    """As those of MAIL."""
    text = " ".join(words)
    assert refusal(parameters.of_rcpt, text) <= judge_parameters("RCPT", text)
    assert bool(refusal(parameters.of_rcpt, text)) == bool(judge_parameters("RCPT", text))
