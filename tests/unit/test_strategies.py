"""The strategies make what they say: mail that can be sent, with exactly the attachments that are named beside it."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from smtp_pair import strategies
from smtp_pair.clients.message import Attachment
from smtp_pair.faults import Fault
from smtp_pair.mail.address import DOMAIN_LIMIT, LOCAL_LIMIT, Address, domain_key
from smtp_pair.strategies import RawMail

FIRST = settings(max_examples=20_000, database=None, phases=[Phase.generate])  # any will do: nothing is shrunk
SMALL = strategies.attachments(contents=strategies.contents(max_size=2000))


@given(strategies.addresses(utf8=True))
def test_every_address_is_one(address: Address) -> None:
    """It reads as itself, keeps within the limits of RFC 5321, and its domain is one of those that reach nobody."""
    assert Address.parse(address) == address
    assert (Address.parse(address).local, Address.parse(address).domain) == (address.local, address.domain)
    assert len(address.local.encode()) <= LOCAL_LIMIT
    assert len(address.domain.encode()) <= DOMAIN_LIMIT
    assert domain_key(address.domain).rpartition(".")[2] in ("test", "example", "invalid")


@given(strategies.addresses())
def test_addresses_are_ascii_unless_asked(address: Address) -> None:
    """Without ``utf8`` no client needs SMTPUTF8."""
    assert address.isascii()


@pytest.mark.parametrize(
    "wanted",
    [
        lambda address: address.startswith('"'),
        lambda address: len(address.local) == LOCAL_LIMIT,
        lambda address: len(address.domain) == DOMAIN_LIMIT,
        lambda address: "@" in address.local,
    ],
    ids=["quoted", "longest name", "longest domain", "a second at sign"],
)
def test_the_rims_are_reached(wanted: Callable[[Address], bool]) -> None:
    """Quoted addresses and those of the greatest length do come up."""
    find(strategies.addresses(), wanted, settings=FIRST)


def test_the_domain_can_be_given() -> None:
    """``domains=`` replaces all domains."""
    assert find(strategies.addresses(domains=st.just("jaku.com")), lambda _: True).domain == "jaku.com"


@pytest.mark.parametrize("name", ["", "CON", "../../etc/passwd", "\u202egpj.exe", 'a"b.txt', "tab\there.txt"])
def test_the_nasty_names_come_up(name: str) -> None:
    """Nobody has to be lucky to meet them."""
    find(strategies.filenames(), lambda drawn: drawn == name, settings=FIRST)


@given(strategies.filenames(max_size=50, controls=True))
def test_no_name_can_end_a_line(name: str) -> None:
    """With controls or without: a header field stays one field, and the length is kept."""
    assert len(name) <= 50
    assert len(f"x{name}x".splitlines()) == 1 or not set(name) & set("\r\n\x85\u2028\u2029")


@given(st.data(), st.integers(0, 300_000), st.integers(0, 3000))
@settings(max_examples=25)
def test_contents_have_the_size_asked_for(data: st.DataObject, least: int, more: int) -> None:
    """Neither fewer octets nor more."""
    content = data.draw(strategies.contents(min_size=least, max_size=least + more))
    assert least <= len(content) <= least + more


def test_a_megabyte_comes_up_and_shrinks() -> None:
    """The greatest size is met, and what fails is told by its seed and size."""
    assert len(find(strategies.contents(), lambda content: len(content) == 1 << 20)) == 1 << 20
    small = find(strategies.contents(), lambda content: len(content) > 1000)
    assert re.fullmatch(rf"expand\(seed=\d+, size={len(small)}\)", repr(small))

    @given(strategies.attachments())
    @settings(database=None)
    def fails(attachment: Attachment) -> None:
        assert len(attachment.content) < 70_000

    with pytest.raises(AssertionError) as failure:
        fails()
    notes = "".join(failure.value.__notes__)
    assert re.search(r"expand\(\s*seed=", notes)
    assert len(notes) < 1000


@given(strategies.mails(attachments=SMALL))
def test_the_standard_library_reads_what_is_said_to_be_in_a_mail(mail: RawMail) -> None:
    """An independent reader finds the title, and every attachment by its octets and its type."""
    message = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert message["Subject"] == mail.title
    found = [(part.get_content_type(), part.get_payload(decode=True)) for part in message.iter_attachments()]
    assert found == [(each.content_type, each.content) for each in mail.attachments]


@given(strategies.mails(attachments=SMALL))
def test_a_mail_is_fit_for_the_wire(mail: RawMail) -> None:
    """CRLF at every line's end, the last one's too, and no octet beyond ASCII in its header."""
    assert mail.raw.partition(b"\r\n\r\n")[0].isascii()
    assert mail.raw.endswith(b"\r\n")
    assert mail.raw.count(b"\r\n") == mail.raw.count(b"\r") == mail.raw.count(b"\n")


@pytest.mark.parametrize(
    "sign",
    [
        b"charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\nContent-Disposition: attachment",
        b"Content-Disposition: attachment; filename*=utf-8''",
    ],
    ids=["smtp_pair", "modern email", "legacy email"],
)
def test_mails_are_built_in_more_than_one_way(sign: bytes) -> None:
    """By the clients of smtp_pair, and by both forms of the standard library."""
    mails = strategies.mails(attachments=SMALL, min_attachments=1)
    find(mails, lambda mail: sign in mail.raw, settings=FIRST)


@given(strategies.faults())
def test_no_mail_comes_twice_unless_that_is_asked_for(fault: Fault) -> None:
    """A reply is lost on purpose only with ``duplicates``."""
    assert fault.phase != "accepted"


def test_replies_are_lost_where_that_is_asked_for() -> None:
    find(strategies.faults(duplicates=True), lambda fault: fault.phase == "accepted", settings=FIRST)


a_text: Any = "jaku.com"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: strategies.addresses(domains=a_text), "domains='jaku.com' is not a strategy; write for example"),
        (lambda: strategies.filenames(max_size=-1), "give 0 or more"),
        (lambda: strategies.contents(min_size=2, max_size=1), "give 0 <= min_size <= max_size"),
        (lambda: strategies.attachments(filenames=a_text), "filenames='jaku.com' is not a strategy"),
        (lambda: strategies.mails(min_attachments=4), "give 0 <= min_attachments <= max_attachments"),
        (lambda: strategies.mails(attachments=a_text), "attachments='jaku.com' is not a strategy"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(wrong: Callable[[], object], message: str) -> None:
    """With what to write instead, when the strategy is made and not when it is drawn from."""
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


def test_without_hypothesis_the_extra_is_named() -> None:
    """Who imports the strategies alone learns what to install."""
    program = "import sys; sys.modules['hypothesis'] = None; import smtp_pair.strategies"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: smtp_pair.strategies needs hypothesis: pip install smtp-pair[strategies]"
    )
