"""A mail in one call: what :meth:`smtp_pair.server.Server.send` does for a test."""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Mapping
from pathlib import Path

from smtp_pair.clients.message import ClientError, Draft, render
from smtp_pair.mail.address import NULL_PATH
from smtp_pair.mail.reply import Reply

TIMEOUT = 60.0
"""Seconds for a reply."""


def send(
    host: str,
    port: int,
    to: str | Iterable[str],
    *,
    subject: str,
    body: str,
    attachments: Mapping[str, bytes] | Iterable[Path | str],
    sender: str,
) -> dict[str, Reply]:
    """Send one mail; what the server said for each recipient, by its address.

    A recipient that was taken has the reply to the mail itself. ``sender=""`` is the null reverse-path. Raises
    ClientError for what can't be sent, and when no server answers or it leaves without a reply.
    """
    files = attachments.items() if isinstance(attachments, Mapping) else attachments
    recipients = (to,) if isinstance(to, str) else tuple(to)
    author = sender or "mailer-daemon@example.org"
    draft = Draft(author, recipients, subject, body, tuple(files))
    mail = render(draft)
    envelope_sender = draft.envelope_sender if sender else NULL_PATH
    try:
        # Without a name of its own smtplib looks one up: seconds where DNS is silent.
        with smtplib.SMTP(host, port, local_hostname="client.example", timeout=TIMEOUT) as client:
            return _exchange(client, envelope_sender, draft.envelope_recipients, mail)
    except smtplib.SMTPResponseException as error:
        answer = _reply(error.smtp_code, error.smtp_error)
        return dict.fromkeys(draft.envelope_recipients, answer)
    except (OSError, smtplib.SMTPException) as error:
        raise ClientError(f"{host}:{port} took no mail: {error}") from error


def _exchange(client: smtplib.SMTP, sender: str, recipients: tuple[str, ...], mail: bytes) -> dict[str, Reply]:
    client.ehlo_or_helo_if_needed()
    options = [f"SIZE={len(mail)}"] if client.has_extn("size") else []
    if not mail.isascii() or not "".join((sender, *recipients)).isascii():
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    taken = _reply(*client.mail(sender, options))
    if not taken.accepted:
        return dict.fromkeys(recipients, taken)
    answers = {recipient: _reply(*client.rcpt(recipient)) for recipient in recipients}
    accepted = [recipient for recipient, answer in answers.items() if answer.accepted]
    if accepted:
        final = _reply(*client.data(mail))
        answers |= dict.fromkeys(accepted, final)
    return answers


def _reply(code: int, text: bytes | str) -> Reply:
    octets = text if isinstance(text, bytes) else text.encode()
    try:
        return Reply.parse(b"%d %b" % (code, line) for line in octets.split(b"\n"))
    except ValueError as error:
        raise ClientError(f"the server's reply is none: {error}") from None
