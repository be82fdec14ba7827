"""Trace fields: what a hop writes, how many there are, and which are ours."""

from __future__ import annotations

import locale
import time
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Envelope, Origin, Recipient
from smtp_pair.mail.trace import HOP_LIMIT, Hop, date_time, hops, received, return_path, split

LUKE, VADER, OBIWAN = map(Address.parse, ("luke@jaku.com", "vader@deathstar.com", "obiwan@jaku.com"))
MOMENT = 1_000_000_000.75


def envelope(*recipients: Address) -> Envelope:
    return Envelope(LUKE, tuple(map(Recipient, recipients)))


def origin(helo: str = "client.example", host: str = "127.0.0.1", protocol: str = "ESMTP") -> Origin:
    return Origin(helo, host, 4711, protocol)


def test_a_received_field() -> None:
    """C70 (RFC 5321 4.4): from .. by .. with .. id ..; date, folded, with CRLF at each end."""
    field = received("smtp.jaku.com", "17-a-1", envelope(VADER), origin(), MOMENT)
    assert field == (
        b"Received: from client.example ([127.0.0.1])\r\n"
        b"\tby smtp.jaku.com (smtp-pair) with ESMTP id 17-a-1\r\n"
        b"\tfor <vader@deathstar.com>; Sun, 9 Sep 2001 01:46:40 +0000\r\n"
    )


def test_for_names_a_recipient_only_where_there_is_one() -> None:
    """C70, C75 (RFC 5321 7.2): no recipient learns of another."""
    field = received("smtp.jaku.com", "17-a-1", envelope(VADER, OBIWAN), origin(), MOMENT)
    assert b"for" not in field
    assert b"vader" not in field
    assert field.endswith(b"id 17-a-1; Sun, 9 Sep 2001 01:46:40 +0000\r\n")


@pytest.mark.parametrize("protocol", ["SMTP", "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA", "UTF8SMTP", "UTF8SMTPSA"])
def test_with_which_protocol(protocol: str) -> None:
    """C70: the way it came, in the words of RFC 3848 and RFC 6531 4.3; with each of them the field is known again."""
    field = received("a.test", "17-a-1", envelope(VADER), origin(protocol=protocol), MOMENT)
    assert f" with {protocol} id 17-a-1".encode() in field
    assert split(field, lambda mail_id: mail_id == "17-a-1") == ([Hop("a.test", "17-a-1")], len(field))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.sampled_from(["127.0.0.1", "::1", "2001:db8::1"]),
)
@example("x ([1.2.3.4]) by evil.example; a", "127.0.0.1")
@example("x\r\nBcc: all@x.y", "::1")
@example("(", "::1")
def test_what_the_client_calls_itself_forges_nothing(helo: str, host: str) -> None:
    """The name in EHLO comes from a stranger: it begins no field, closes no comment, and the address that the client
    really came from stands where it belongs."""
    field = received("a.test", "17-a-1", envelope(VADER), origin(helo, host), MOMENT)
    assert field.count(b"\r\n") == 3
    assert field.startswith(b"Received: from ")
    first = field.split(b"\r\n")[0].decode()
    literal = f"IPv6:{host}" if ":" in host else host
    assert first.endswith(f" ([{literal}])")
    assert not set(first[len("Received: from ") : -len(f" ([{literal}])")]) & set(' \t();<>\\"\r\n')
    assert split(field + b"\r\n", lambda mail_id: mail_id == "17-a-1") == ([Hop("a.test", "17-a-1")], len(field))


def test_stdlib_reads_the_fields() -> None:
    """The date is one (RFC 5322 3.3), and the parser finds no defect."""
    head = return_path(LUKE) + received("a.test", "1", envelope(VADER), origin(), MOMENT)
    message = message_from_bytes(head + b"Subject: x\r\n\r\n", policy=policy.default)
    assert message.keys() == ["Return-Path", "Received", "Subject"]
    assert message.defects == []
    assert parsedate_to_datetime(str(message["Received"]).rpartition(";")[2]).timestamp() == int(MOMENT)


@given(st.integers(0, 4_000_000_000))
def test_dates(moment: int) -> None:
    """In UTC and in English, to the second."""
    assert parsedate_to_datetime(date_time(moment + 0.5)).timestamp() == moment


def test_a_date_does_not_know_the_locale() -> None:
    """RFC 5322 3.3 has English names, whatever the machine speaks."""
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:  # not installed here
                continue
            assert date_time(0.0) == "Thu, 1 Jan 1970 00:00:00 +0000"
            assert time.strftime("%Y", time.gmtime(0)) == "1970"
    finally:
        locale.setlocale(locale.LC_TIME, before)


def test_return_path() -> None:
    """C71: the reverse-path, the null one too (C36)."""
    assert return_path(LUKE) == b"Return-Path: <luke@jaku.com>\r\n"
    assert return_path(NULL_PATH) == b"Return-Path: <>\r\n"
    assert return_path(Address('a"b', "x.y")) == b'Return-Path: <"a\\"b"@x.y>\r\n'


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"Received: a\r\n\r\n", 1),
        (b"RECEIVED: a\r\nX: y\r\nreceived: b\r\n\r\n", 2),
        (b"Received: a\r\n\tReceived: folded\r\n\r\n", 1),
        (b"X-Received: a\r\nReceived-SPF: b\r\n\r\n", 0),
        (b"X: y\r\n\r\nReceived: in the body\r\n\r\n", 0),
        (b"\r\nReceived: in the body\r\n\r\n", 0),
        (b"Received: a\r\nReceived: no body", 2),
        (b"Received: a\r\n" * HOP_LIMIT, HOP_LIMIT),
    ],
)
def test_hops_are_counted(content: bytes, count: int) -> None:
    """C72 (RFC 5321 6.3): each Received field of the header, whoever wrote it, and none of the body."""
    assert hops(content) == count


def test_which_fields_are_ours() -> None:
    """Those on top that this network wrote, first hop first; a Return-Path before them belongs to the last delivery."""
    first = received("smtp.jaku.com", "1-key-1", envelope(VADER), origin(), MOMENT)
    second = received("smtp.deathstar.com", "1-key-2", envelope(VADER), origin("smtp.jaku.com"), MOMENT)
    foreign = received("smtp.jaku.com", "1-other-1", envelope(VADER), origin(), MOMENT)
    sent = foreign + b"Subject: caught once, and sent again\r\n\r\n"
    raw = return_path(LUKE) + second + first + sent
    found, at = split(raw, lambda mail_id: "-key-" in mail_id)
    assert found == [Hop("smtp.jaku.com", "1-key-1"), Hop("smtp.deathstar.com", "1-key-2")]
    assert raw[at:] == sent


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Received: from x\r\n\tby \xff (smtp-pair) with SMTP id 1-key-\xff; y\r\n\r\n",
        b"Received: from x\r\n\tby a.test (smtp-pair) with SMTP id 1-other-1; y\r\n\r\n",
        b"Received: from x by a.test (smtp-pair) with SMTP id 1-key-1; y\r\n\r\n",
        b"X: y\r\nReceived: from x\r\n\tby a.test (smtp-pair) with SMTP id 1-key-1; y\r\n\r\n",
        b"\xff\xfe",
    ],
)
def test_a_field_that_only_looks_like_ours_is_content(content: bytes) -> None:
    """A stranger's field stays, whatever octets are in it."""
    assert split(content, lambda mail_id: mail_id == "1-key-1") == ([], 0)


@given(st.binary(max_size=200))
@example(b"Received: from x\r\n\tby \xff (smtp-pair) with SMTP id \xff; y\r\n")
def test_any_content_can_be_split(content: bytes) -> None:
    """What this network added comes off again, and what was sent is what is left."""
    head = return_path(LUKE) + received("a.test", "1-key-1", envelope(VADER), origin(), MOMENT)
    found, at = split(head + content, lambda mail_id: mail_id == "1-key-1")
    assert (len(found), (head + content)[at:]) == (1, content)
