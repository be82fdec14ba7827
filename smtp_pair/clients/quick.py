"""A mail in one call: what :meth:`smtp_pair.server.Server.send` does for a test.

    connect -> greeting -> EHLO -> { MAIL RCPT... DATA } -> { content QUIT } -> closed

A test waits for nothing else meanwhile, so what counts is how often the two sides take turns. smtplib takes seven, one
for each command; where the server offers PIPELINING (RFC 2920) these are four.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from smtp_pair.clients.message import ClientError, Draft, render
from smtp_pair.mail.address import NULL_PATH
from smtp_pair.mail.reply import Reply

TIMEOUT = 60.0
"""Seconds for a reply."""
QUIT = b"QUIT\r\n"
_GROUP = 100  # commands: replies that nobody reads yet must fit between the two sides
_LINE = 1 << 12


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
        with socket.create_connection((host, port), TIMEOUT) as wire:
            return _exchange(Talk(wire), envelope_sender, draft.envelope_recipients, mail)
    except (OSError, EOFError) as error:
        raise ClientError(f"{host}:{port} took no mail: {error}") from error


class Talk:
    """What is said on one connection."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._unread = b""

    def ask(self, *commands: str) -> list[Reply]:
        """The replies to commands that go out together."""
        self.say("".join(f"{command}\r\n" for command in commands).encode())
        return [self.reply() for _ in commands]

    def say(self, octets: bytes) -> None:
        """Say it, and wait for nothing."""
        self._wire.sendall(octets)

    def content(self, mail: bytes, *, after: bytes) -> None:
        """The mail, with dots put in for the transfer (RFC 5321 4.5.2), its end, and what follows it at once."""
        self.say(mail.replace(b"\r\n.", b"\r\n..") + b".\r\n" + after)

    def reply(self) -> Reply:
        """The next reply. Raises ClientError for what is none, EOFError when the server has left."""
        lines = [self._line()]
        while lines[-1][3:4] == b"-":
            lines.append(self._line())
        try:
            return Reply.parse(lines)
        except ValueError as error:
            raise ClientError(f"the server's reply is none: {error}") from None

    def _line(self) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > _LINE:
                raise ClientError(f"the server's reply is none: its line does not end: {self._unread[:80]!r}")
            piece = self._wire.recv(1 << 16)
            if not piece:
                raise EOFError("the server has closed the connection")
            self._unread += piece
        line, self._unread = self._unread[: end + 1], self._unread[end + 1 :]
        return line


def _exchange(talk: Talk, sender: str, recipients: tuple[str, ...], mail: bytes) -> dict[str, Reply]:
    greeting = talk.reply()
    if greeting.refused:
        return dict.fromkeys(recipients, greeting)
    (hello,) = talk.ask("EHLO client.example")
    if hello.refused:
        (hello,) = talk.ask("HELO client.example")
    if hello.refused:
        return dict.fromkeys(recipients, hello)
    offers = {line.partition(" ")[0].upper() for line in hello.text.split("\n")[1:]}
    options = f" SIZE={len(mail)}" if "SIZE" in offers else ""
    if not mail.isascii() or not "".join((sender, *recipients)).isascii():
        options += " SMTPUTF8 BODY=8BITMIME"
    commands = [f"MAIL FROM:<{sender}>{options}", *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA"]
    taken, *replies, go = _all_of(talk, commands, at_once=_GROUP if "PIPELINING" in offers else 1)
    if not taken.accepted:
        replies = [taken] * len(recipients)
    answers = dict(zip(recipients, replies, strict=True))
    accepted = [recipient for recipient, answer in answers.items() if answer.accepted]
    farewell = b"" if go.code == 354 and "PIPELINING" in offers else QUIT  # there it goes out with the mail
    if go.code == 354:
        # With nobody to send it to, an empty mail is the only way out (RFC 2920 3.1).
        talk.content(mail if accepted else b"", after=b"" if farewell else QUIT)
        go = talk.reply()
    with contextlib.suppress(OSError, EOFError):  # what became of the mail has been said
        talk.say(farewell)
        talk.reply()
    return answers | dict.fromkeys(accepted, go)


def _all_of(talk: Talk, commands: Sequence[str], at_once: int) -> list[Reply]:
    return [answer for at in range(0, len(commands), at_once) for answer in talk.ask(*commands[at : at + at_once])]
