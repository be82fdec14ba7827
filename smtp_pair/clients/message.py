"""A draft, and the mail that is made of it.

The mail is put together here and not with ``email``, for two reasons. A title or a name must arrive as it was typed,
and ``email`` loses spaces beside words that it encodes. And a big attachment should be encoded once, not folded, joined
and searched for boundaries. What is made here is read back with ``email`` in the tests.

Values are checked when they are made: what a header or a command cannot carry is refused with the reason.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import mimetypes
import os
import re
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from smtp_pair.mail.address import Address
from smtp_pair.mail.errors import AddressError, SmtpPairError

CRLF = b"\r\n"
BIGGEST_FILE = 512 << 20  # a mail is made in memory

_LINE_END = re.compile(r"\r\n|\r|\n")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_FILENAME = re.compile(r"([A-Za-z0-9!#$&'()+,.@^_`{}~-]+( [A-Za-z0-9!#$&'()+,.@^_`{}~-]+)*)?")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_PLAIN_LINE = re.compile(r"[\t -~]{0,78}")
_TYPES = mimetypes.MimeTypes()  # Python's own table: the machine's would make mails differ


class ClientError(SmtpPairError):
    """Why a mail cannot be made or sent: one line, for the terminal, which names the culprit."""


def shown(text: str) -> str:
    """`text` for a terminal: what is not printable (escape sequences, line ends, bidirectional marks) is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def refuse_controls(text: str, what: str) -> None:
    """Refuse line ends, which would start a header field of the sender's choice, and all other controls.

    Raises:
        ClientError: naming the character.
    """
    for character in text:
        if character in "\u2028\u2029" or (unicodedata.category(character) == "Cc" and character != "\t"):
            kind = "a line end" if character in "\r\n" else f"the control character {character!r}"
            raise ClientError(f"{what} holds {kind}: {shown(text)}")


def checked_address(text: str) -> Address:
    """The address without the spaces around it.

    Raises:
        ClientError: when it is no mail address, with the reason.
    """
    refuse_controls(text, "the address")
    try:
        return Address.parse(text.strip())
    except AddressError as error:
        why = str(error) if text.strip() else "it is empty"
        raise ClientError(f"{shown(text.strip())!r} is no address like obiwan@jaku.com: {why}") from None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, and the name that the header shows beside it. Only the address goes into the envelope.

    Raises:
        ClientError: when the address is none, or the name holds a control character.
    """

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", checked_address(self.address))
        object.__setattr__(self, "name", self.name.strip(" \t"))
        refuse_controls(self.name, "the name")

    @classmethod
    def of(cls, value: str | Mailbox) -> Mailbox:
        """Read ``obiwan@jaku.com`` or ``Obiwan <obiwan@jaku.com>``."""
        if isinstance(value, Mailbox):
            return value
        refuse_controls(value, "the address")
        named = re.fullmatch(r"(?P<name>.*)<(?P<address>[^<>]*)>\s*", value)
        return cls(named["address"], named["name"].strip().strip('"')) if named else cls(value)

    def __str__(self) -> str:
        return shown(f"{self.name} <{self.address}>" if self.name else self.address)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as it goes into a mail. Without `content_type`, the name's ending tells the type.

    Raises:
        ClientError: when the name or the type cannot stand in a header.
    """

    filename: str
    content: bytes
    content_type: str = ""

    def __post_init__(self) -> None:
        refuse_controls(self.filename, "the file name")
        if not self.content_type:
            guessed, encoding = _TYPES.guess_type(f"file{os.path.splitext(self.filename)[1]}")
            object.__setattr__(self, "content_type", (not encoding and guessed) or "application/octet-stream")
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise ClientError(f"the content type of {shown(self.filename)} is not one: {shown(self.content_type)}")
        if self.content_type.lower().startswith(("multipart/", "message/")):
            # RFC 2046, 5.1 and 5.2: these may not be encoded with base64, and an attachment always is
            object.__setattr__(self, "content_type", "application/octet-stream")

    @classmethod
    def read(cls, path: str | Path) -> Attachment:
        """Read a file; ``~`` is the home folder.

        Raises:
            ClientError: when it is missing, a folder, not readable or too big.
        """
        where, named = Path(path), shown(str(path))
        try:
            where = where.expanduser()
            if where.is_dir():
                raise ClientError(f"{named} is a folder, not a file")
            if where.exists() and not where.is_file():
                raise ClientError(f"{named} is not a regular file")
            if where.stat().st_size > BIGGEST_FILE:
                raise ClientError(f"{named} is too big: {BIGGEST_FILE >> 20} MiB is the most")
            return cls(where.name, where.read_bytes())
        except FileNotFoundError:
            raise ClientError(f"{named} does not exist") from None
        except OSError as error:
            raise ClientError(f"{named} cannot be read: {error.strerror or error}") from None
        except (ValueError, RuntimeError) as error:  # a NUL in the path; a home folder that nobody knows
            raise ClientError(f"{named} is no path: {error}") from None

    @classmethod
    def of(cls, value: Attachable) -> Attachment:
        """An attachment from any of the forms in which one is given."""
        if isinstance(value, Attachment):
            return value
        return cls.read(value) if isinstance(value, (str, Path)) else cls(*value)


Attachable = Attachment | tuple[str, bytes] | tuple[str, bytes, str] | Path | str


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail before it is sent: to whom, what it is called, what it says, what goes with it.

    Recipients are given as text or as `Mailbox`; attachments as `Attachment`, ``(name, bytes)``, ``(name, bytes,
    type)`` or a path, which is read when the mail is made.

    Raises:
        ClientError: when there is no recipient, or something cannot stand in a header.
    """

    sender: str | Mailbox
    recipients: Sequence[str | Mailbox]
    title: str = ""
    text: str = ""
    attachments: Sequence[Attachable] = ()

    def __post_init__(self) -> None:
        if isinstance(self.recipients, str):
            raise ClientError("the recipients are one text: give a tuple of addresses")
        object.__setattr__(self, "recipients", tuple(Mailbox.of(each) for each in self.recipients))
        object.__setattr__(self, "sender", Mailbox.of(self.sender))
        object.__setattr__(self, "attachments", tuple(self.attachments))
        if not self.recipients:
            raise ClientError("the mail has no recipient")
        refuse_controls(self.title, "the title")

    @property
    def envelope_sender(self) -> str:
        return Mailbox.of(self.sender).address

    @property
    def envelope_recipients(self) -> tuple[str, ...]:
        """Each address once: a recipient named twice gets one mail."""
        return tuple(dict.fromkeys(Mailbox.of(each).address for each in self.recipients))


def render(draft: Draft, *, date: datetime | None = None, message_id: str | None = None) -> bytes:
    """The mail's bytes: lines end in CRLF, and all is ASCII unless an address is not.

    Raises:
        ClientError: when a file to attach cannot be read.
    """
    attachments = [Attachment.of(each) for each in draft.attachments]
    domain = draft.envelope_sender.rpartition("@")[2]
    fields = [
        f"Date: {email.utils.format_datetime(date or datetime.now().astimezone())}",
        f"Message-ID: {message_id or f'<{uuid.uuid4().hex}@{domain}>'}",
        f"From: {_mailbox(Mailbox.of(draft.sender))}",
        "To: " + ",\r\n ".join(_mailbox(Mailbox.of(each)) for each in draft.recipients),
        f"Subject: {_unstructured(draft.title, room=69)}",
        "MIME-Version: 1.0",
    ]
    if not attachments:
        return _lines(fields) + _text_part(draft.text)
    # "=_" cannot come out of base64 or quoted-printable, and 128 random bits are in no plain text
    boundary = f"=_{uuid.uuid4().hex}"
    fields += ["Content-Type: multipart/mixed;", f' boundary="{boundary}"']
    parts = [_text_part(draft.text), *(_attachment_part(each) for each in attachments)]
    delimiter = f"\r\n--{boundary}".encode()
    return b"".join([_lines(fields), *(delimiter + CRLF + part for part in parts), delimiter, b"--\r\n"])


def _lines(fields: Iterable[str]) -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode("utf-8", "replace")


def _text_part(text: str) -> bytes:
    lines = _LINE_END.split(text)
    if not lines[-1]:
        lines.pop()
    plain = all(_PLAIN_LINE.fullmatch(line) for line in lines)
    fields = [
        f"Content-Type: text/plain; charset={'us-ascii' if plain else 'utf-8'}",
        f"Content-Transfer-Encoding: {'7bit' if plain else 'quoted-printable'}",
        "",
    ]
    if plain:
        return _lines([*fields, *lines])
    encoded = [binascii.b2a_qp(line.encode("utf-8", "replace")).replace(b"\n", CRLF) for line in lines]
    return _lines(fields) + b"".join(line + CRLF for line in encoded)


def _attachment_part(attachment: Attachment) -> bytes:
    fields = [
        f"Content-Type: {attachment.content_type}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment;\r\n {_filename(attachment.filename)}",
        "",
    ]
    return _lines(fields) + base64.encodebytes(attachment.content).replace(b"\n", CRLF)


def _mailbox(mailbox: Mailbox) -> str:
    if not mailbox.name:
        return mailbox.address
    name = mailbox.name
    if _PLAIN_PHRASE.fullmatch(name) and "=?" not in name and len(name) <= 60:
        return f"{name} <{mailbox.address}>"
    if name.isascii() and name.isprintable() and "=?" not in name and len(name) <= 60:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{mailbox.address}>'
    return f"{_encoded_words(name)}\r\n <{mailbox.address}>"


def _unstructured(text: str, room: int) -> str:
    """A title: as it is where it is plain and fits the line, else as encoded words, which keep every space."""
    plain = text.isascii() and text.isprintable() and text == text.strip() and "=?" not in text
    return text if plain and len(text) <= room else _encoded_words(text)


def _encoded_words(text: str) -> str:
    """RFC 2047: words of at most 75 characters, none of which cuts a character in two."""
    words = [base64.b64encode(chunk).decode("ascii") for chunk in _chunks(text, 42)]
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


def _filename(name: str) -> str:
    """RFC 2231 for every name that a quoted string could not carry through all readers."""
    if _PLAIN_FILENAME.fullmatch(name) and len(name) <= 60:
        return f'filename="{name}"'
    pieces = [quote(chunk, safe="") for chunk in _chunks(name, 18)]
    if len(pieces) == 1:
        return f"filename*=utf-8''{pieces[0]}"
    pieces[0] = f"utf-8''{pieces[0]}"
    return ";\r\n ".join(f"filename*{number}*={piece}" for number, piece in enumerate(pieces))


def _chunks(text: str, most: int) -> Iterable[bytes]:
    """`text` in UTF-8, in pieces of at most `most` bytes that end between characters."""
    chunk = b""
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(chunk) + len(encoded) > most:
            yield chunk
            chunk = b""
        chunk += encoded
    if chunk:
        yield chunk
