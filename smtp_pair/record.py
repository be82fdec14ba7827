"""A mail that was taken over, as the fact that the journal keeps."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smtp_pair.facts import Fact
from smtp_pair.mail.address import Address
from smtp_pair.mail.header import heading
from smtp_pair.mail.message import Attachment
from smtp_pair.store import Stored

_TEXT_KEPT = 64 << 10
"""Characters of a mail's text that are kept in the journal; the raw mail has the rest."""


def received(
    hostname: str,
    mail_id: str,
    moment: float,
    *,
    client: str,
    sender: Address,
    recipients: Iterable[dict[str, str]],
    content: bytes,
    stored: Stored | None,
    directory: Path,
) -> Fact:
    """The fact that a mail was accepted. ``stored`` is what lies on this server, where it has a mailbox here."""
    told = stored if stored is not None else heading(content)
    text = stored.text if stored is not None else ""
    cut = f"\n[... {len(text) - _TEXT_KEPT:,} more characters in the raw mail]" if len(text) > _TEXT_KEPT else ""
    data: dict[str, Any] = {
        "client": client,
        "sender": sender,
        "recipients": list(recipients),
        "title": told.subject,
        "date": told.date,
        "size": len(content),
        "text": text[:_TEXT_KEPT] + cut,
        "attachments": [_attachment(item, directory) for item in (stored.attachments if stored is not None else ())],
        "defects": list(stored.defects) if stored is not None else [],
        "file": _relative(stored.path, directory) if stored is not None else "",
    }
    return Fact("received", moment, hostname, mail_id, data)


def _attachment(attachment: Attachment, directory: Path) -> dict[str, Any]:
    return {
        "name": attachment.filename,
        "type": attachment.content_type,
        "encoding": attachment.encoding,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "file": _relative(attachment.path, directory),
        "defects": list(attachment.defects),
    }


def _relative(path: Path, directory: Path) -> str:
    inside = str(path).removeprefix(f"{directory}{os.sep}")  # pathlib takes ten times as long
    return inside if os.sep == "/" else inside.replace(os.sep, "/")
