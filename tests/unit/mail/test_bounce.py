"""Delivery status notifications: what is written is read back, by us and by the standard library; and no stranger's
words become a field or a part."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage, Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair.mail import bounce
from smtp_pair.mail.address import Address
from smtp_pair.mail.bounce import Action, DeliveryStatus, RecipientStatus, Report
from smtp_pair.mail.reply import Reply
from smtp_pair.strategies import addresses

BOB = Address.parse("bob@far.test")
LUKE = Address.parse("luke@jaku.com")
NEVER = Reply(550, "5.1.1", "nobody of that name")
ORIGINAL = b"Received: x\r\nMessage-ID: <1@jaku.com>\r\nSubject: Hello\r\n\r\nHello.\r\n"
MOMENT = 1_000_000_000.0
FIELDS = {
    "final-recipient",
    "original-recipient",
    "action",
    "status",
    "remote-mta",
    "diagnostic-code",
    "last-attempt-date",
    "will-retry-until",
}


def render(
    *reports: Report, original: bytes = ORIGINAL, full: bool = False, envid: str = "", sender: Address = LUKE
) -> bytes:
    return bounce.render(
        "smtp.jaku.com",
        "n-1",
        MOMENT,
        sender=sender,
        accepted=MOMENT - 60,
        envid=envid,
        full=full,
        reports=reports,
        original=original,
    )


def parts(raw: bytes) -> list[Message]:
    """By the standard library's reader, which has nothing to object to."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    found = list(message.iter_parts())
    assert not message.defects
    assert not any(part.defects for part in found)
    return list(found)


def blocks(raw: bytes) -> list[Message]:
    payload = parts(raw.replace(b"message/global-delivery-status", b"message/delivery-status"))[1].get_payload()
    assert isinstance(payload, list)
    return [block for block in payload if isinstance(block, Message)]


strangers = st.text(max_size=80) | st.text(
    st.sampled_from("a:;=\r\n\t -<>\x00\x1b\x7f\x85\u2028\u202e\xe9--=_n-1"), max_size=80
)
xtext = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+="), max_size=40)
replies = st.builds(
    Reply, st.integers(400, 599), st.sampled_from(["", "5.1.1", "4.2.2", "2.0.0", "5.7.999"]), strangers
)
reports = st.builds(
    Report,
    addresses(utf8=True),
    st.sampled_from(["failed", "delayed", "delivered", "relayed"]),
    replies,
    strangers,
    st.just("") | xtext.map(lambda text: f"rfc822;{text}"),
    st.sampled_from([0.0, MOMENT + 1000]),
)


@given(
    st.lists(reports, min_size=1, max_size=4),
    st.binary(max_size=200) | st.sampled_from([ORIGINAL, b"", b"\r\n", b"\r\nx", b"x", b"--=_n-1--\r\n\r\n--=_n-1"]),
    st.booleans(),
    xtext,
)
@example([Report(BOB, "failed", NEVER)], b"Subject: x\r\n--=_n-1--\r\n\r\n--=_n-1__\r\n", True, "")
def test_written_and_read(about: list[Report], original: bytes, full: bool, envid: str) -> None:
    """Whatever strangers said, whatever the mail was: three parts, a block for each recipient with the fields that
    belong there and no other, and the addresses and the actions as they were."""
    action: Action = about[0].action
    about = [replace(report, action=action) for report in about]
    raw = render(*about, original=original, full=full, envid=envid)
    status = bounce.read(raw)
    assert status is not None
    assert status.reporting_mta == "smtp.jaku.com"
    assert [one.action for one in status.recipients] == [action] * len(about)
    assert [one.recipient for one in status.recipients] == [_unfolded(report.address) for report in about]
    assert [one.original_recipient for one in status.recipients] == [report.orcpt.partition(";")[2] for report in about]
    assert all(re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", one.status) for one in status.recipients)
    assert {one.status[0] for one in status.recipients} <= set({"failed": "54", "delayed": "4"}.get(action, "2"))
    assert status.envelope_id == envid
    assert len(parts(raw)) == 3
    first, *rest = blocks(raw)
    assert {key.lower() for key in first} <= {"original-envelope-id", "reporting-mta", "arrival-date"}
    assert len(rest) == len(about)
    for block in rest:
        names = [key.lower() for key in block]
        assert set(names) <= FIELDS and len(names) == len(set(names))


def _unfolded(address: str) -> str:
    return " ".join(address.split())


@given(strangers)
def test_a_stranger_s_words(words: str) -> None:
    """One line of printable ASCII, and not too many of them; in the text for people too."""
    report = Report(BOB, "failed", Reply(550, "5.1.1", words * 20), remote_mta=words * 20)
    raw = render(report)
    own = raw[: raw.index(b"Content-Type: text/rfc822-headers")]
    assert all(32 <= octet < 127 or octet in b"\r\n" for octet in own)
    assert own.count(b"\r") == own.count(b"\n") == own.count(b"\r\n")
    assert max(map(len, own.split(b"\r\n"))) <= 998 + len("remote said: ") + 550
    assert len(blocks(raw)[1]["Diagnostic-Code"]) < 550


def test_what_it_says() -> None:
    """Field by field."""
    report = Report(BOB, "delayed", Reply(451, "4.2.0", "later"), "smtp.far.test", "rfc822;b+2Bb@far.test", MOMENT + 60)
    assert bounce.read(render(report, envid="a+20b")) == DeliveryStatus(
        "smtp.jaku.com",
        "a b",
        (
            RecipientStatus(
                "bob@far.test",
                "delayed",
                "4.2.0",
                "451 4.2.0 later",
                "smtp.far.test",
                "b+b@far.test",
                "Sun, 9 Sep 2001 01:47:40 +0000",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("action", "enhanced", "status"),
    [
        ("failed", "5.1.1", "5.1.1"),
        ("failed", "4.4.7", "4.4.7"),
        ("failed", "", "5.0.0"),
        ("failed", "2.0.0", "5.0.0"),
        ("delayed", "4.2.2", "4.2.2"),
        ("delayed", "5.1.1", "4.0.0"),
        ("delivered", "2.0.0", "2.0.0"),
        ("relayed", "", "2.0.0"),
        ("relayed", "5.0.0", "2.0.0"),
    ],
)
def test_the_status_fits_the_action(action: Action, enhanced: str, status: str) -> None:
    """What a hop says of the wrong class is replaced by what the class says (RFC 3463)."""
    raw = render(Report(BOB, action, Reply(550, enhanced, "x")))
    assert blocks(raw)[1]["Status"] == status


@pytest.mark.parametrize(
    ("original", "returned"),
    [
        (ORIGINAL, ORIGINAL[: ORIGINAL.index(b"\r\n\r\n") + 2]),
        (b"", b""),
        (b"\r\nbody: alone\r\n\r\n", b""),
        (b"Subject: no body\r\n", b"Subject: no body\r\n"),
        (b"no line end", b""),
        (b"X: y\r\n" * 20_000 + b"\r\n", b"X: y\r\n" * ((64 << 10) // 6)),
        (b"x" * 100_000, b""),
    ],
    ids=["plain", "empty", "no header", "no body", "no line", "long", "one long line"],
)
def test_the_header_comes_back(original: bytes, returned: bytes) -> None:
    """As it was, up to 64 KiB of it, cut at the end of a line; the body does not."""
    raw = render(Report(BOB, "failed", NEVER), original=original)
    kind = b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    assert raw[raw.index(kind) + len(kind) :].rpartition(b"\r\n--")[0] == returned


def test_the_whole_mail_comes_back() -> None:
    """With RET=FULL, octet for octet."""
    original = b"Subject: x\r\n\r\n--=_n-1\r\n\xff\x00\r\n.\r\n--=_n-1--"
    raw = render(Report(BOB, "failed", NEVER), original=original, full=True)
    assert original in raw
    assert parts(raw)[2].get_content_type() == "message/rfc822"
    assert b"Content-Transfer-Encoding: 8bit\r\n\r\nSubject: x" in raw


@pytest.mark.parametrize(
    ("message_id", "named"),
    [
        (b"Message-ID: <1@a.test>\r\n", "<1@a.test>"),
        (b"message-id:\r\n <1@a.test> \r\n", "<1@a.test>"),
        (b"Message-ID: <1@a.test>\r\n\tand: more\r\n", "<1@a.test>"),
        (b"Message-ID: 1@a.test\r\n", None),
        (b"Message-ID: <a b>\r\n", None),
        (b"Message-ID: <\xff@a>\r\n", None),
        (b"Message-ID: <" + b"x" * 300 + b">\r\n", None),
        (b"", None),
    ],
)
def test_it_belongs_to_its_thread(message_id: bytes, named: str | None) -> None:
    """In-Reply-To names the mail, where it has a name that is one."""
    raw = render(Report(BOB, "failed", NEVER), original=b"Subject: x\r\n" + message_id + b"\r\n")
    message = email.message_from_bytes(raw)
    assert (message["In-Reply-To"], message["References"]) == (named, named)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda octets: b"delivery-status" + octets))
@example(
    b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n\r\n--x--"
)
@example(b"Content-Type: multipart/report\r\n\r\ndelivery-status")
@example(b"Content-Type: multipart/report; boundary=delivery-status\r\n\r\n--delivery-status\r\n\r\n")
def test_what_is_none(octets: bytes) -> None:
    """Anything may come from strangers, and nothing of it breaks the reader."""
    status = bounce.read(octets)
    assert status is None or not status.recipients


def test_asked_for_one_recipient() -> None:
    """By the address; for another one the error names those that it tells of."""
    status = bounce.read(render(Report(BOB, "failed", NEVER)))
    assert status is not None
    assert status["bob@far.test"].status == "5.1.1"
    with pytest.raises(KeyError, match=r"'eve@far\.test', but of \['bob@far\.test'\]"):
        status["eve@far.test"]
