"""Delivery status notifications: what a sender is told of recipients that failed, wait or were served; and back.

RFC 3464 is the form, RFC 3461 who is told what, RFC 3834 how a machine says that it is one. Written by :func:`render`,
read by :func:`read`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import policy
from email.message import Message
from email.parser import BytesParser
from typing import Literal

from smtp_pair.mail.address import Address
from smtp_pair.mail.reply import Reply
from smtp_pair.mail.trace import date_time

Action = Literal["failed", "delayed", "delivered", "relayed"]

_TEXT_LIMIT = 500
"""Characters of a stranger's words that are repeated."""
_HEADER_LIMIT = 64 << 10
"""Octets of the original's header that are sent back."""
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNPRINTABLE = re.compile(r"[^ -~]+")
_GLOBAL = re.compile(rb"(?i)(message/)global-(?=delivery-status)")
_MESSAGE_ID = re.compile(
    rb"^Message-ID:[ \t]*(?:\r\n[ \t]+)?(<[!-;=?-~]{1,240}>)[ \t]*\r$", re.IGNORECASE | re.MULTILINE
)

_TITLES: dict[str, str] = {
    "failed": "Mail could not be delivered",
    "delayed": "Mail is delayed, and still being tried",
    "delivered": "Mail was delivered",
    "relayed": "Mail was passed on",
}
_WORDS: dict[str, str] = {
    "failed": "Your mail could not be delivered to these recipients. It will not be tried again.",
    "delayed": "Your mail could not be delivered to these recipients yet. It will be tried again; you need do nothing.",
    "delivered": "Your mail was delivered to these recipients.",
    "relayed": "Your mail was passed on for these recipients, to a server that will not tell you more.",
}


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What became of one recipient."""

    recipient: str
    """The address, as the reporting server knew it."""
    action: str
    """``failed``, ``delayed``, ``delivered``, ``relayed`` or ``expanded`` (RFC 3464 2.3.3)."""
    status: str
    """The enhanced code: ``5.1.1`` (RFC 3463)."""
    diagnostic: str = ""
    """What the next hop said, with its code; "" where nobody said anything."""
    remote_mta: str = ""
    original_recipient: str = ""
    """What the sender called the recipient with ORCPT, without its type (RFC 3461 4.2)."""
    will_retry_until: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What a notification says."""

    reporting_mta: str
    """The server that speaks."""
    envelope_id: str
    """The sender's own ENVID; "" where he gave none (RFC 3461 4.4)."""
    recipients: tuple[RecipientStatus, ...]

    def __getitem__(self, address: str) -> RecipientStatus:
        for status in self.recipients:
            if status.recipient == address:
                return status
        raise KeyError(f"nothing is said of {address!r}, but of {[one.recipient for one in self.recipients]}")


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be told of one recipient."""

    address: Address
    action: Action
    reply: Reply
    remote_mta: str = ""
    orcpt: str = ""
    retry_until: float = 0.0


def render(
    hostname: str,
    mail_id: str,
    moment: float,
    *,
    sender: Address,
    accepted: float,
    envid: str,
    full: bool,
    reports: Sequence[Report],
    original: bytes,
) -> bytes:
    """The notification's content. ``original`` is the mail that it is about; with ``full`` it goes back whole
    (RET=FULL, RFC 3461 4.3), else its header does. Lines end in CRLF; all is ASCII unless the original is not."""
    boundary = f"=_{mail_id}"
    while boundary.encode() in original:  # its sender may have guessed it
        boundary += "_"
    action = reports[0].action
    answers = _MESSAGE_ID.search(original, 0, _HEADER_LIMIT)
    thread = [f"In-Reply-To: {answers[1].decode()}", f"References: {answers[1].decode()}"] if answers else []
    header = [
        f"Date: {date_time(moment)}",
        f"From: Mail delivery <mailer-daemon@{hostname}>",
        f"To: <{sender}>",
        f"Subject: {_TITLES[action]}",
        f"Message-ID: <{mail_id}@{hostname}>",
        *thread,
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
    ]
    beyond = not all(report.address.isascii() for report in reports)
    kind = "global-delivery-status" if beyond else "delivery-status"  # RFC 6533 3
    encoding = "\r\nContent-Transfer-Encoding: 8bit" if beyond else ""
    status = [_per_message(hostname, accepted, envid), *(_per_recipient(report, moment) for report in reports)]
    parts = [
        ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", _words(hostname, reports)),
        (f"Content-Type: message/{kind}{encoding}", "\r\n".join(status)),
    ]
    head = "\r\n".join([*header, "", "This is a delivery status notification in MIME format.", ""])
    text = "".join(f"\r\n--{boundary}\r\n{fields}\r\n\r\n{body}" for fields, body in parts)
    returned = _returned(original, full=full)
    return f"{head}{text}\r\n--{boundary}\r\n".encode() + returned + f"\r\n--{boundary}--\r\n".encode()


def _words(hostname: str, reports: Sequence[Report]) -> str:
    lines = [f"This is the mail server {hostname}.", "", _WORDS[reports[0].action], ""]
    for report in reports:
        lines.append(f"  <{report.address}>")
        if report.action in ("failed", "delayed"):
            who = f"{_clean(report.remote_mta)} said: " if report.remote_mta else ""
            lines.append(f"    {who}{_clean(str(report.reply))}")
    return "\r\n".join([*lines, ""])


def _per_message(hostname: str, accepted: float, envid: str) -> str:
    lines = [f"Original-Envelope-Id: {_from_xtext(envid)}"] if envid else []
    return "\r\n".join([*lines, f"Reporting-MTA: dns; {hostname}", f"Arrival-Date: {date_time(accepted)}", ""])


def _per_recipient(report: Report, moment: float) -> str:
    kind, _, original = report.orcpt.partition(";")
    lines = [f"Original-Recipient: {kind}; {_from_xtext(original)}"] if original else []
    address_type = "rfc822" if report.address.isascii() else "utf-8"
    lines += [
        f"Final-Recipient: {address_type}; {report.address}",
        f"Action: {report.action}",
        f"Status: {_status(report)}",
    ]
    if report.remote_mta:
        lines.append(f"Remote-MTA: dns; {_clean(report.remote_mta)}")
    if report.action in ("failed", "delayed"):
        lines.append(f"Diagnostic-Code: smtp; {_clean(str(report.reply))}")
        lines.append(f"Last-Attempt-Date: {date_time(moment)}")
    if report.retry_until:
        lines.append(f"Will-Retry-Until: {date_time(report.retry_until)}")
    return "\r\n".join([*lines, ""])


_CLASSES: dict[str, str] = {"failed": "54", "delayed": "4", "delivered": "2", "relayed": "2"}


def _status(report: Report) -> str:
    """The enhanced code, where it is of a class that fits the action; else what the class alone says (RFC 3463 2)."""
    classes = _CLASSES[report.action]
    code = report.reply.enhanced
    return code if code and code[0] in classes else f"{classes[0]}.0.0"


def _returned(original: bytes, *, full: bool) -> bytes:
    if full:
        encoding = b"7bit" if original.isascii() else b"8bit"
        return b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (encoding, original)
    end = original.find(b"\r\n\r\n", 0, _HEADER_LIMIT)
    if end < 0:  # cut at the end of a line, where there is one
        end = original.rfind(b"\r\n", 0, _HEADER_LIMIT)
    header = original[: end + 2] if end >= 0 and not original.startswith(b"\r\n") else b""
    encoding = b"7bit" if header.isascii() else b"8bit"
    return b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (encoding, header)


def _clean(text: str) -> str:
    """A stranger's words in one line of printable ASCII, and not too many: they must not become fields of ours."""
    line = _UNPRINTABLE.sub(" ", text)
    return line if len(line) <= _TEXT_LIMIT else f"{line[:_TEXT_LIMIT]} [...]"


def _from_xtext(text: str) -> str:
    return _clean(_XTEXT.sub(lambda found: chr(int(found[1], 16)), text))


# -- and back ---------------------------------------------------------------------------------------------------------


def read(raw: bytes) -> DeliveryStatus | None:
    """What a notification says; None for a mail that is none. Never raises: mails come from strangers."""
    if b"delivery-status" not in raw:
        return None
    # The standard library knows how to read the one, and not the other, which has the same form (RFC 6533 3).
    message = BytesParser(policy=policy.compat32).parsebytes(_GLOBAL.sub(rb"\1", raw))
    if message.get_content_type() != "multipart/report":
        return None
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            payload = part.get_payload()
            blocks = [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []
            return _status_of(blocks) if blocks else None
    return None


def _status_of(blocks: Sequence[Message]) -> DeliveryStatus:
    about, *recipients = blocks
    statuses = [
        RecipientStatus(
            recipient=_value(block, "Final-Recipient"),
            action=_text(block, "Action").lower(),
            status=_text(block, "Status").partition(" ")[0],
            diagnostic=_value(block, "Diagnostic-Code"),
            remote_mta=_value(block, "Remote-MTA"),
            original_recipient=_value(block, "Original-Recipient"),
            will_retry_until=_text(block, "Will-Retry-Until"),
        )
        for block in recipients
        if block.get("Final-Recipient")
    ]
    return DeliveryStatus(_value(about, "Reporting-MTA"), _text(about, "Original-Envelope-Id"), tuple(statuses))


def _value(block: Message, name: str) -> str:
    """The value of a field ``type; value``."""
    return _text(block, name).partition(";")[2].strip()


def _text(block: Message, name: str) -> str:
    """A field, unfolded. The parser hides octets beyond ASCII in surrogates."""
    for key, value in block.raw_items():
        if key.lower() == name.lower():
            return " ".join(str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())
    return ""
