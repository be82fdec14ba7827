"""A delivered mail as a test looks at it; the envelope; the errors."""

from __future__ import annotations

import errno
import pickle
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from smtp_pair.mail import reply
from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import Envelope, Origin, Recipient
from smtp_pair.mail.errors import (
    AddressError,
    ConfigError,
    DeliveryError,
    MailNotFound,
    NotRunning,
    SmtpPairError,
    StartError,
    UnexpectedMail,
)
from smtp_pair.mail.message import Attachment, Attachments, Mail
from smtp_pair.mail.trace import received, return_path

LUKE, VADER = Address.parse("luke@jaku.com"), Address.parse("vader@deathstar.com")
SENT = b"Subject: Hello\r\nTo: all\r\n\r\nThe \xff body\r\n"


def attachment(path: Path, filename: str | None = "plan.gif", content: bytes = b"GIF89a") -> Attachment:
    path.write_bytes(content)
    digest = sha256(content).hexdigest()
    return Attachment(filename, "image/gif", "base64", path, len(content), digest, (), path.read_bytes)


def mail(path: Path, raw: bytes, *attachments: Attachment) -> Mail:
    path.write_bytes(raw)
    return Mail(
        id="17-key-2",
        hostname="smtp.deathstar.com",
        envelope=Envelope(LUKE, (Recipient(VADER),)),
        delivered_to=(VADER,),
        addressed_to=(VADER,),
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        subject="Hello",
        text="The body",
        attachments=Attachments(attachments),
        defects=(),
        path=path,
        _read=path.read_bytes,
        _ours=lambda mail_id: "-key-" in mail_id,
    )


@pytest.fixture
def delivered(tmp_path: Path) -> Mail:
    """A mail that came from jaku.com to deathstar.com."""
    envelope = Envelope(LUKE, (Recipient(VADER),))
    head = return_path(LUKE)
    for hostname, mail_id in (("smtp.deathstar.com", "17-key-2"), ("smtp.jaku.com", "17-key-1")):
        head += received(hostname, mail_id, envelope, Origin("x", "127.0.0.1", 1, "ESMTP"), 0.0)
    return mail(tmp_path / "mail", head + SENT)


def test_a_mail_knows_its_way(delivered: Mail) -> None:
    """`hops` are this network's servers, first to last; `content` is what was sent; `raw` has ours on top (C74)."""
    assert delivered.hops == ["smtp.jaku.com", "smtp.deathstar.com"]
    assert delivered.content == SENT
    assert delivered.raw.endswith(SENT)
    assert delivered.raw.startswith(b"Return-Path: <luke@jaku.com>\r\nReceived: from x ")
    assert delivered.sha256 == sha256(SENT).hexdigest()


def test_a_mail_from_elsewhere_has_no_hops(tmp_path: Path) -> None:
    """Without a field of ours all of it is content, octets beyond any charset too."""
    one = mail(tmp_path / "mail", b"Received: from x\r\n\tby \xff (smtp-pair) with SMTP id \xff; y\r\n\r\n")
    assert (one.hops, one.content) == ([], one.raw)


def test_a_mail_as_stdlib_parses_it(delivered: Mail) -> None:
    """A new EmailMessage each time: what a test changes in it changes nothing here."""
    message = delivered.message
    assert (message["Subject"], message["To"]) == ("Hello", "all")
    del message["Subject"]
    assert delivered.message["Subject"] == "Hello"


def test_a_mail_in_one_line(delivered: Mail) -> None:
    """Enough to tell it from others in a failing assertion."""
    assert repr(delivered) == (
        "<Mail 'Hello' from <luke@jaku.com> to <vader@deathstar.com> at smtp.deathstar.com, id 17-key-2>"
    )


def test_a_mail_is_itself_alone(tmp_path: Path, delivered: Mail) -> None:
    """Two mails of the same content are two; a mail can be put into a set."""
    other = mail(tmp_path / "other", delivered.raw)
    assert delivered != other
    assert len({delivered, other, delivered}) == 2


def test_a_mail_whose_file_is_gone(delivered: Mail) -> None:
    """Says so with the system's own error, which names the file."""
    delivered.path.unlink()
    with pytest.raises(FileNotFoundError, match=str(delivered.path)):
        _ = delivered.content


def test_attachments_by_name_and_in_order(tmp_path: Path) -> None:
    """The first of a name; a name that is not there says which are; a slice is attachments again (C93)."""
    first = attachment(tmp_path / "1", "a.gif", b"one")
    second = attachment(tmp_path / "2", None, b"two")
    third = attachment(tmp_path / "3", "a.gif", b"three")
    all_three = Attachments([first, second, third])
    assert all_three["a.gif"] is first is all_three[0]
    assert [one.content for one in all_three] == [b"one", b"two", b"three"]
    assert list(all_three[1:]) == [second, third]
    assert all_three[1:]["a.gif"] is third
    for key, there in (("a.gif", True), (second, True), ("b", False), (None, False)):
        assert (key in all_three) is there
    assert (len(all_three), bool(Attachments()), all_three[-1]) == (3, False, third)
    with pytest.raises(KeyError, match=r"no attachment is named 'b'; there are \['a.gif', None, 'a.gif'\]"):
        _ = all_three["b"]
    with pytest.raises(IndexError):
        _ = all_three[3]
    assert repr(Attachments()) == "Attachments([])"


def test_an_attachment_reads_its_file(tmp_path: Path) -> None:
    """When its content is asked for, and not before."""
    one = attachment(tmp_path / "1")
    assert one.content == b"GIF89a"
    one.path.unlink()
    with pytest.raises(FileNotFoundError):
        _ = one.content


def test_an_envelope() -> None:
    """Recipients in the order of their commands, each with its own options; SMTPUTF8 as it was asked for."""
    paths = (Recipient(VADER, {"NOTIFY": "NEVER"}), Recipient(LUKE))
    one = Envelope(NULL_PATH, paths, {"SMTPUTF8": ""})
    assert one.recipients == [VADER, LUKE]
    assert (one.forward_paths[0].options, one.forward_paths[1].options) == ({"NOTIFY": "NEVER"}, {})
    assert one.smtputf8
    assert not Envelope(LUKE, paths).smtputf8
    with pytest.raises(TypeError):
        paths[1].options["NOTIFY"] = "NEVER"  # type: ignore[index]  # shared by all: it can't be changed


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (ConfigError, ValueError),
        (StartError, OSError),
        (NotRunning, Exception),
        (AddressError, ValueError),
        (DeliveryError, Exception),
        (MailNotFound, AssertionError),
        (UnexpectedMail, AssertionError),
    ],
)
def test_the_error_tree(kind: type[Exception], also: type[Exception]) -> None:
    """Everything raised on purpose is an SmtpPairError, and what Python would have called it."""
    assert issubclass(kind, SmtpPairError)
    assert issubclass(kind, also)


def test_a_start_error_is_one_line_with_the_system_s_number() -> None:
    """Its text is ours alone, without `[Errno 98]` before it."""
    error = StartError(errno.EADDRINUSE, "smtp.a.test can't listen")
    assert (str(error), error.errno) == ("smtp.a.test can't listen", errno.EADDRINUSE)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_delivery_error_carries_its_reply() -> None:
    """So that the class and the wire can't disagree."""
    error = DeliveryError(reply.TOO_BIG)
    assert error.reply is reply.TOO_BIG
    assert str(error) == "552 5.3.4 the mail is bigger than SIZE allows"
