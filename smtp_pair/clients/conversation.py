"""A mail on its way to a server: the conversation as smtplib shows it, and what became of each recipient."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, TextIO

from smtp_pair.clients.message import ClientError, Draft, render, shown

Show = Callable[[str], None]

FOLD_LINES, FOLD_BYTES = 40, 3000  # of a body; the rest is counted
PROGRESS_FROM = 1 << 20  # smaller mails are sent before the eye sees a bar
CHUNK = 1 << 16


class Refusal(NamedTuple):
    """A server's no. The text is fit for a terminal, the lines of a longer one are joined."""

    code: int
    text: str

    @classmethod
    def of(cls, code: int, text: bytes | str) -> Refusal:
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return cls(code, shown("; ".join(words.splitlines())))

    def __str__(self) -> str:
        return f"{self.code} {self.text}" if self.code >= 0 else f"by something that is no reply: {self.text}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of each recipient: all of them are either in `accepted` or in `refused`.

    `failure` is the reply that stopped the whole mail (to the greeting, the sender, the data), if one did; it then
    stands in `refused` for every recipient that had no refusal of its own.
    """

    accepted: tuple[str, ...]
    refused: Mapping[str, Refusal]
    failure: Refusal | None = None
    sha256: str = ""
    """Hex digest of the mail as it was sent."""

    def lines(self) -> Iterator[str]:
        """One line for each recipient, and before them one for what stopped the whole mail."""
        if self.failure:
            yield f"The server did not take the mail: {self.failure}"
        for address in self.accepted:
            yield f"accepted: {shown(address)}"
        for address, refusal in self.refused.items():
            yield f"refused:  {shown(address)}, {refusal}"


def deliver(
    draft: Draft,
    host: str,
    port: int,
    *,
    show: Show = print,
    progress: TextIO | None = None,
    timeout: float = 60,
) -> Result:
    """Take a mail to a server. Shows the conversation line by line, then a line for each recipient.

    A big mail's progress goes to `progress` (standard error unless given), and only when that is a terminal.

    Raises:
        ClientError: when no server answers, or it leaves without a reply; when a file to attach cannot be read.
        KeyboardInterrupt: on Ctrl-C, after a line that says whether anything can have been sent.
    """
    if not host or not 0 < port < 65536:
        raise ClientError(f"{shown(host)}:{port} is no server: a host name and a port from 1 to 65535 are needed")
    mail = render(draft)
    client = Conversation(show, sys.stderr if progress is None else progress, timeout)
    try:
        result = _exchange(client, draft, mail, host, port)
    except KeyboardInterrupt:
        show("")
        show("Stopped before the server answered: the mail may have been sent." if client.sent else "Nothing was sent.")
        raise
    finally:
        client.close()
    for line in result.lines():
        show(line)
    return replace(result, sha256=hashlib.sha256(mail).hexdigest())


def _exchange(client: Conversation, draft: Draft, mail: bytes, host: str, port: int) -> Result:
    recipients = draft.envelope_recipients
    code, greeting = _connected(client, host, port)
    failure: Refusal | None = None
    try:
        if code != 220:
            raise smtplib.SMTPConnectError(code, greeting)
        _send(client, draft.envelope_sender, recipients, mail)
    except smtplib.SMTPRecipientsRefused:
        failure = Refusal.of(*client.last_reply) if client.last_reply[0] == 421 else None
    except smtplib.SMTPResponseException as error:
        failure = Refusal.of(error.smtp_code, error.smtp_error)
    except smtplib.SMTPServerDisconnected as error:
        if client.last_reply[0] != 421:  # which announces it; else nobody said why
            raise ClientError(_lost(client, error, f"{shown(host)}:{port}")) from None
        failure = Refusal.of(*client.last_reply)
    client.leave()
    refused = {each: Refusal.of(*reply) for each, reply in client.answers.items() if reply[0] not in (250, 251)}
    if failure:
        refused = {each: refused.get(each, failure) for each in recipients}
    return Result(tuple(each for each in recipients if each not in refused), refused, failure)


def _connected(client: Conversation, host: str, port: int) -> tuple[int, bytes]:
    where = f"{shown(host)}:{port}"
    try:
        reply = client.connect(host, port)
        client.local_hostname = _literal(client)
        return reply
    except smtplib.SMTPServerDisconnected as error:
        raise ClientError(_lost(client, error, where)) from None
    except smtplib.SMTPResponseException as error:
        return error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
    except (socket.gaierror, UnicodeError):
        raise ClientError(f"{where} cannot be reached: the host {shown(host)} is unknown") from None
    except ConnectionRefusedError:
        raise ClientError(f"{where} cannot be reached: nothing listens there; `smtp-pair up` starts servers") from None
    except OSError as error:
        raise ClientError(f"{where} cannot be reached: {error.strerror or error}") from None


def _literal(client: Conversation) -> str:
    """Our side of the connection as an address literal: a true name for EHLO that needs no look-up."""
    if client.sock is None:
        return "[127.0.0.1]"
    address = client.sock.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _send(client: Conversation, sender: str, recipients: tuple[str, ...], mail: bytes) -> None:
    options: tuple[str, ...] = ()
    if not "".join((sender, *recipients)).isascii():
        client.ehlo_or_helo_if_needed()
        if not client.has_extn("smtputf8"):
            raise ClientError("the server does not offer SMTPUTF8, which an address beyond ASCII needs")
        options = ("SMTPUTF8", "BODY=8BITMIME")
    client.sendmail(sender, recipients, mail, options)


def _lost(client: Conversation, error: smtplib.SMTPServerDisconnected, where: str) -> str:
    silent = isinstance(error.__context__, TimeoutError)
    happened = f"did not answer within {client.timeout:g} seconds" if silent else "closed the connection"
    return f"{where} {happened}: {'the mail may have been sent' if client.sent else 'nothing was sent'}"


class Conversation(smtplib.SMTP):
    """smtplib's client, which shows what it says and hears, and remembers what smtplib forgets.

    `answers` has the reply for each recipient: smtplib drops them when the data is refused. `sent` tells that the end
    of the mail is on its way: from then on it may arrive, whatever happens to the connection.
    """

    def __init__(self, show: Show, progress: TextIO, timeout: float) -> None:
        super().__init__(local_hostname="[127.0.0.1]", timeout=timeout)  # without a name smtplib looks one up
        self.debuglevel = 1
        self.timeout: float = timeout
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.last_reply: tuple[int, bytes] = (-1, b"")
        self.sent = False
        self._show = show
        self._progress = progress

    def _print_debug(self, *args: Any) -> None:
        self._show(" ".join(map(str, args)))

    def getreply(self) -> tuple[int, bytes]:
        self.last_reply = super().getreply()
        return self.last_reply

    def rcpt(self, recip: str, options: Any = ()) -> tuple[int, bytes]:
        self.answers[recip] = super().rcpt(recip, options)
        return self.answers[recip]

    def send(self, s: Any) -> None:
        """Send a command, which is shown whole, or the mail, which is folded and sent in chunks.

        In chunks the time-out is for each of them: sent at once, it would be for the whole of a big mail.
        """
        if isinstance(s, str):
            super().send(s)
            return
        for line in folded(s):
            self._show(line)
        self.debuglevel = 0
        try:
            with _Progress(self._progress, len(s)) as progress:
                for start in range(0, len(s), CHUNK):
                    self.sent = start + CHUNK >= len(s)  # before it is: an interrupt may come in between
                    super().send(memoryview(s)[start : start + CHUNK])
                    progress.reached(min(start + CHUNK, len(s)))
        finally:
            self.debuglevel = 1

    def leave(self) -> None:
        """Say goodbye where there is still someone to say it to; the mail's fate is known already."""
        try:
            if self.sock:
                self.quit()
        except (smtplib.SMTPException, OSError):
            pass


def folded(body: bytes) -> Iterator[str]:
    """The first lines of a body as smtplib would show them, and how much more there is.

    Only what is shown is looked at: a body may have 30 MB. Controls are escaped, as everywhere in the conversation.
    """
    lines = body[:FOLD_BYTES].splitlines(keepends=True)[:FOLD_LINES]
    for number, line in enumerate(lines):
        yield f"{'      ' if number else 'send: '}{line!r}"
    more = len(body) - sum(map(len, lines))
    if more:
        yield f"      ... {more:,} more bytes"


class _Progress:
    """One line on a terminal, rewritten as the mail leaves; nothing for a small mail, and nothing elsewhere."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream, self._total, self._percent = stream, total, -1
        self._on = total > PROGRESS_FROM and stream.isatty()

    def __enter__(self) -> Self:
        return self

    def reached(self, count: int) -> None:
        percent = count * 100 // self._total
        if self._on and percent > self._percent:
            self._percent = percent
            self._stream.write(f"\rsending {percent:3} %, {count:,} of {self._total:,} bytes")
            self._stream.flush()

    def __exit__(self, *_: object) -> None:
        if self._on and self._percent >= 0:
            self._stream.write("\n")
            self._stream.flush()
