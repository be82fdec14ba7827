"""The scripted client: one mail, three attachments, three recipients in three domains.

Given to jaku.com's server as it is, the mail meets all that can happen to one: obiwan's copy stays, vader's travels on
to deathstar.com, and nobody knows the way to genshinimpact.com.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from smtp_pair.clients import samples
from smtp_pair.clients.conversation import Refusal, Result, Show, deliver
from smtp_pair.clients.message import Attachable, Attachment, ClientError, Draft, Mailbox

__all__ = ["Attachment", "ClientError", "Mailbox", "Refusal", "Result", "ScriptedMail", "send"]

TEXT = """\
Greetings from Jaku.

One of you is at home here, one lives on the Death Star, and one is in a world that no ship of ours reaches.
All three get the same three files; let us see who receives them.
"""


@dataclass(frozen=True, slots=True)
class ScriptedMail(Draft):
    """A draft in which everything has a default."""

    sender: str | Mailbox = "luke@jaku.com"
    recipients: Sequence[str | Mailbox] = ("obiwan@jaku.com", "vader@deathstar.com", "paimon@genshinimpact.com")
    title: str = "Three files for three worlds"
    text: str = TEXT
    attachments: Sequence[Attachable] = field(default_factory=samples.files)


def send(
    mail: Draft,
    host: str,
    port: int,
    *,
    show: Show = print,
    progress: TextIO | None = None,
    timeout: float = 60,
) -> Result:
    """Send the mail, show the conversation as smtplib prints it, and then a line for each recipient.

    Raises:
        ClientError: when a file to attach cannot be read, no server answers, or it leaves without a reply.
    """
    return deliver(mail, host, port, show=show, progress=progress, timeout=timeout)
