"""Mails that are made to cost: nested too deep, in too many parts. They are delivered whole, and looked at no further
than the limits say."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect
from smtp_pair import Domain, Mail
from smtp_pair.config import Limits
from smtp_pair.pytest_plugin import MailNetwork


def nested(depth: int) -> bytes:
    """A text in so many multiparts within each other."""
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return opened + b"\r\nThe text.\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(depth)))


def in_parts(parts: int) -> bytes:
    """So many attachments in one multipart."""
    part = b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n"
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * parts + b"--b--\r\n"


def delivered(mail_network: MailNetwork, wire: Connect, content: bytes, limits: Limits) -> Mail:
    server = mail_network(Domain("jaku.com", limits=limits))["jaku.com"]
    client = wire(server)
    client.open("obiwan@jaku.com")
    assert client.data(content).code == 250
    [mail] = server.messages
    assert mail.content == content
    return mail


@pytest.mark.parametrize("depth", [1, 3])
def test_nesting(mail_network: MailNetwork, wire: Connect, depth: int) -> None:
    """At the limit the text is found; one deeper, and what lies too deep is an attachment as it is, and told."""
    limits = Limits(depth=depth)
    mail = delivered(mail_network, wire, nested(depth), limits)
    assert (mail.text.strip(), len(mail.attachments), mail.defects) == ("The text.", 0, ())
    mail = delivered(mail_network, wire, nested(depth + 1), limits)
    [attachment] = mail.attachments
    assert (mail.text, attachment.content_type) == ("", "multipart/mixed")
    assert b"The text." in attachment.content
    assert any(f"nested deeper than {depth}" in defect for defect in mail.defects)


@pytest.mark.parametrize("parts", [2, 10])
def test_parts(mail_network: MailNetwork, wire: Connect, parts: int) -> None:
    """At the limit all are there; with more, so many, and it is told. The multipart is one itself."""
    limits = Limits(parts=parts)
    mail = delivered(mail_network, wire, in_parts(parts - 1), limits)
    assert (len(mail.attachments), mail.defects) == (parts - 1, ())
    mail = delivered(mail_network, wire, in_parts(parts), limits)
    assert len(mail.attachments) == parts - 1
    assert any(f"more than {parts} parts" in defect for defect in mail.defects)


def test_the_worst_of_both(mail_network: MailNetwork, wire: Connect) -> None:
    """With the limits that there are: a mail of ten thousand parts and one of a thousand multiparts end, and are
    whole."""
    assert len(delivered(mail_network, wire, in_parts(10_000), Limits()).attachments) == 999
    assert len(delivered(mail_network, wire, nested(1000), Limits()).attachments) == 1
