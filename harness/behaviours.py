"""How clients hand mail over: what people run, what programs use, one mail and many, one recipient and many.

A behaviour takes drafts to a server and tells what the server said to it of each recipient. What it put on the wire is
recorded apart from it (:class:`Wire`), so that a mail can be compared octet for octet wherever it comes to lie.
"""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from unittest import mock

import aiosmtplib

from smtp_pair.clients import interactive, quick, scripted
from smtp_pair.clients.conversation import Result
from smtp_pair.clients.message import Attachment, Draft, Mailbox, render

if TYPE_CHECKING:  # the servers are imported with the first fixture that starts one
    from smtp_pair import Reply

TAKEN = "taken"
Answers = Mapping[str, str]
"""For each recipient TAKEN, or the code and the enhanced code that refused it."""

NAME = "client.example"  # without one, smtplib looks the machine's own name up


class Listener(Protocol):
    """All that a client knows of a server."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way of handing mail over."""

    id: str
    """Its name in the ids of tests: ``pytest -k interactive`` finds it by this."""
    send: Callable[[Listener, Sequence[Draft], Path], list[Answers]]
    """Hand the drafts over, each in a transaction of its own; the folder is for files of the behaviour's own."""
    mails: int = 1
    crowd: int = 1
    """How many recipients it makes of each one."""


def _by_scripted_client(server: Listener, drafts: Sequence[Draft], folder: Path) -> list[Answers]:
    mails = [
        scripted.ScriptedMail(draft.sender, draft.recipients, draft.title, draft.text, draft.attachments)
        for draft in drafts
    ]
    return [_told(scripted.send(mail, server.host, server.port, show=_unseen)) for mail in mails]


def _by_interactive_client(server: Listener, drafts: Sequence[Draft], folder: Path) -> list[Answers]:
    return [_composed(server, draft, iter(list(_typed(draft))), iter(list(_files(draft, folder)))) for draft in drafts]


def _composed(server: Listener, draft: Draft, answers: Iterator[str], files: Iterator[Path]) -> Answers:
    result = interactive.compose(
        server.host,
        server.port,
        sender=draft.sender,
        ask=lambda _: next(answers),
        show=_unseen,
        pick_file=lambda: next(files),
    )
    assert [*answers, *files] == [], "these were not asked for"
    return _told(result)


def _typed(draft: Draft) -> Iterator[str]:
    """What a person answers to the interactive client's questions."""
    yield draft.title
    for number, recipient in enumerate(map(Mailbox.of, draft.recipients)):
        if number:
            yield "y"
        yield from (recipient.name, recipient.address)
    yield "n"
    yield from draft.text.splitlines()
    yield "."
    yield from ("yes", "s", "sim", *("y" for _ in draft.attachments))[: len(draft.attachments)]
    yield ""


def _files(draft: Draft, folder: Path) -> Iterator[Path]:
    for attachment in map(Attachment.of, draft.attachments):
        path = folder / attachment.filename
        path.write_bytes(attachment.content)
        yield path


def _by_smtplib_sendmail(server: Listener, drafts: Sequence[Draft], folder: Path) -> list[Answers]:
    """All drafts on one connection."""
    with smtplib.SMTP(server.host, server.port, local_hostname=NAME) as client:
        return [_after(draft, partial(client.sendmail, *_envelope(draft), render(draft))) for draft in drafts]


def _by_smtplib_send_message(server: Listener, drafts: Sequence[Draft], folder: Path) -> list[Answers]:
    """The recipients are given: reading them from the header, ``email`` loses the quotes of some local parts."""
    with smtplib.SMTP(server.host, server.port, local_hostname=NAME) as client:
        sends = [partial(client.send_message, _as_message(draft), *_envelope(draft)) for draft in drafts]
        return [_after(draft, send) for draft, send in zip(drafts, sends, strict=True)]


def _by_aiosmtplib(server: Listener, drafts: Sequence[Draft], folder: Path) -> list[Answers]:
    async def send() -> list[Answers]:
        client = aiosmtplib.SMTP(hostname=server.host, port=server.port, local_hostname=NAME, start_tls=False)
        async with client:
            return [await _after_async(client, draft) for draft in drafts]

    return asyncio.run(send())


async def _after_async(client: aiosmtplib.SMTP, draft: Draft) -> Answers:
    try:
        refused, _ = await client.send_message(_as_message(draft), recipients=list(draft.envelope_recipients))
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _answers(draft, {each.recipient: (each.code, each.message) for each in error.recipients})
    return _answers(draft, refused)


def _by_server_send(server: Listener, drafts: Sequence[Draft], folder: Path) -> list[Answers]:
    """The client that ``server.send`` is, for a test's own use."""
    told: list[Answers] = []
    for draft in drafts:
        replies = quick.send(
            server.host,
            server.port,
            draft.envelope_recipients,
            subject=draft.title,
            body=draft.text,
            attachments={each.filename: each.content for each in map(Attachment.of, draft.attachments)},
            sender=draft.envelope_sender,
        )
        told.append({recipient: _meaning(reply) for recipient, reply in replies.items()})
    return told


BEHAVIOURS = (
    Behaviour("scripted", _by_scripted_client),
    Behaviour("interactive", _by_interactive_client),
    Behaviour("smtplib_sendmail", _by_smtplib_sendmail),
    Behaviour("smtplib_send_message", _by_smtplib_send_message),
    Behaviour("aiosmtplib", _by_aiosmtplib),
    Behaviour("server_send", _by_server_send),
    Behaviour("several_recipients", _by_smtplib_sendmail, crowd=3),
    Behaviour("several_mails", _by_smtplib_sendmail, mails=3),
    Behaviour("several_of_both", _by_aiosmtplib, mails=3, crowd=2),
)


# -- what was said to it ---------------------------------------------------------------------------------------------


def _unseen(line: str) -> None:
    """The conversation, which only a person looks at."""


def _told(result: Result) -> Answers:
    refused = {recipient: _codes(refusal.code, refusal.text) for recipient, refusal in result.refused.items()}
    return dict.fromkeys(result.accepted, TAKEN) | refused


def _after(draft: Draft, send: Callable[[], Mapping[str, tuple[int, bytes]]]) -> Answers:
    try:
        return _answers(draft, send())
    except smtplib.SMTPRecipientsRefused as error:
        return _answers(draft, error.recipients)


def _answers(draft: Draft, refused: Mapping[str, tuple[int, bytes | str]]) -> Answers:
    said = {recipient: _codes(*reply) for recipient, reply in refused.items()}
    return dict.fromkeys(draft.envelope_recipients, TAKEN) | said


def _codes(code: int, text: bytes | str) -> str:
    words = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).split()
    return f"{code} {words[0] if words else ''}".rstrip()


def _meaning(reply: Reply) -> str:
    return TAKEN if reply.accepted else f"{reply.code} {reply.enhanced}"


# -- what it sent ----------------------------------------------------------------------------------------------------


def _envelope(draft: Draft) -> tuple[str, tuple[str, ...]]:
    return draft.envelope_sender, draft.envelope_recipients


def _as_message(draft: Draft) -> EmailMessage:
    """The draft as a program would make it, with the standard library."""
    message = EmailMessage(SMTP)
    message["From"] = draft.envelope_sender
    message["To"] = ", ".join(draft.envelope_recipients)
    message["Subject"] = draft.title
    message.set_content(draft.text)
    for each in map(Attachment.of, draft.attachments):
        kind, _, subtype = each.content_type.partition("/")
        message.add_attachment(each.content, maintype=kind, subtype=subtype, filename=each.filename)
    return message


class Wire:
    """The contents that clients of this process gave away after DATA, as they gave them."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record what smtplib, aiosmtplib and a server's own client are told to send."""
        plain, asynchronous, quickly = smtplib.SMTP.data, aiosmtplib.SMTP.data, quick.Talk.content

        def content(talk: quick.Talk, mail: bytes, *, after: bytes) -> None:
            self.contents.append(mail)
            quickly(talk, mail, after=after)

        def data(client: smtplib.SMTP, msg: Any) -> Any:
            self.contents.append(msg.encode("ascii") if isinstance(msg, str) else bytes(msg))
            return plain(client, msg)

        async def data_async(client: aiosmtplib.SMTP, message: Any, *args: Any, **more: Any) -> Any:
            self.contents.append(message.encode("ascii") if isinstance(message, str) else bytes(message))
            return await asynchronous(client, message, *args, **more)

        with (
            mock.patch.object(smtplib.SMTP, "data", data),
            mock.patch.object(aiosmtplib.SMTP, "data", data_async),
            mock.patch.object(quick.Talk, "content", content),
        ):
            yield
