"""Notifications as the standard library's parser sees them, and mails whose senders ask for some."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message
from typing import TYPE_CHECKING

from harness.wire import Wire

if TYPE_CHECKING:
    from smtp_pair import Mail, Server

LETTER = b"From: Ann <ann@a.test>\r\nSubject: Hello\r\nMessage-ID: <1@a.test>\r\n\r\nHello.\r\n"


def hand_over(
    client: Wire, *recipients: str, sender: str = "ann@a.test", options: str = "", content: bytes = LETTER
) -> None:
    """A mail whose recipients may have parameters: `bob@far.test NOTIFY=NEVER`."""
    client.open(sender=sender, parameters=options)
    for recipient in recipients:
        address, _, parameters = recipient.partition(" ")
        reply = client.ask(f"RCPT TO:<{address}> {parameters}".rstrip().encode())
        assert reply.code == 250, reply
    assert client.data(content).code == 250


def parts(mail: Mail) -> tuple[EmailMessage, list[Message], Message]:
    """The notification, the blocks of its report, and what it sends back; by the standard library's reader."""
    message = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, report, returned = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert report.get_content_type() == "message/delivery-status"
    blocks = report.get_payload()
    assert isinstance(blocks, list)
    assert not any(part.defects for part in (text, report, returned))
    return message, [block for block in blocks if isinstance(block, Message)], returned


def one_notification(server: Server) -> Mail:
    [mail] = server.messages
    return mail
