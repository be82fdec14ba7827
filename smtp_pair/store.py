"""Final delivery: the raw mail into a Maildir for each mailbox, its attachments decoded beside it.

    maildir/<mailbox>/{tmp,new,cur}/<id>.<host>      the raw mail, our trace fields on top
    attachments/<id>/<number>.<ending>               what it carries, decoded

Names on disk are the server's own. What a mail calls an attachment, and what an address calls a mailbox, comes from
strangers: ``../../etc/passwd``, ``CON``, ``a/b`` (CVE-2024-27448 and its kin). A name is recorded, and never a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from smtp_pair.config import Limits
from smtp_pair.disk import make_folder, replace
from smtp_pair.group_commit import Files, commit
from smtp_pair.mail.attachment import Part, parse
from smtp_pair.mail.message import Attachment, Mail

_PIECE = 1 << 15
_PLAIN = re.compile(r"[a-z0-9_=+][a-z0-9_=+.-]{0,63}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")  # device names on Windows
_FOREIGN = re.compile(r"[^a-z0-9_=+-]+")
_ENDING = re.compile(r"\.([A-Za-z0-9]{1,10})$")
_KNOWN_ENDINGS = {
    "text/plain": "txt",
    "text/html": "html",
    "text/csv": "csv",
    "text/calendar": "ics",
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
    "application/json": "json",
    "application/xml": "xml",
    "application/zip": "zip",
    "message/rfc822": "eml",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a delivery left on disk, and what was read out of the mail on the way."""

    path: Path
    """The raw mail in the first mailbox."""
    files: tuple[str, ...]
    """Every file and folder made for this mail alone, in the order in which they may be removed."""
    subject: str
    date: str
    text: str
    attachments: tuple[Attachment, ...]
    defects: tuple[str, ...]


class Delivery(NamedTuple):
    """A mail, and the mailboxes that it goes into."""

    mail_id: str
    trace: bytes
    """What goes on top of it."""
    content: bytes
    mailboxes: Iterable[str]


class Store:
    """The mailboxes of one server. It may be used in any thread."""

    def __init__(self, directory: Path, hostname: str, *, durable: bool, limits: Limits | None = None) -> None:
        self._directory = directory
        self._maildir = str(directory / "maildir")
        self._hostname = hostname
        self._durable = durable
        self._limits = limits or Limits()

    def deliver(
        self, mail_id: str, trace: bytes, content: bytes, mailboxes: Iterable[str], *, again: bool = False
    ) -> Stored:
        """Put the mail into the mailboxes and its attachments beside them.

        Raises OSError when anything of it can't be written; then nothing of it is left. A mail whose MIME is broken is
        delivered all the same, its defects told: decoding never decides whether a mail is taken.

        ``again``: an earlier attempt may have brought it here already, all of it or a part, before a crash or to other
        mailboxes. Then what is missing is added, and no mailbox gets it twice.
        """
        files = Files(durable=self._durable)
        stored = self._write(files, Delivery(mail_id, trace, content, mailboxes), again=again)
        commit([files], durable=self._durable)
        if files.error is not None:
            raise files.error
        return stored

    def deliver_together(self, deliveries: Iterable[Delivery]) -> list[Stored | Exception]:
        """The same for several, in a group: what can't be delivered is answered with what :meth:`deliver` would raise,
        and is no reason to refuse the others."""
        results: list[Stored | Exception] = []
        group: list[Files] = []
        for delivery in deliveries:
            files = Files(durable=self._durable)
            group.append(files)
            try:
                results.append(self._write(files, delivery))
            except Exception as error:  # noqa: BLE001 - whoever asked tells of it
                files.error = error
                results.append(error)
        commit(group, durable=self._durable)
        return [files.error or result for files, result in zip(group, results, strict=True)]

    def _write(self, files: Files, delivery: Delivery, *, again: bool = False) -> Stored:
        try:
            parsed = parse(delivery.content, depth=self._limits.depth, parts=self._limits.parts)
            attachments = self._attachments(files, delivery.mail_id, parsed.attachments, again=again)
            path, made = self._into_mailboxes(files, delivery, again=again)
        except BaseException:
            files.undo()
            raise
        theirs = [
            f"attachment {number}: {defect}"
            for number, attachment in enumerate(attachments, 1)
            for defect in attachment.defects
        ]
        defects = (*parsed.defects, *theirs)
        return Stored(path, made, parsed.subject, parsed.date, parsed.text, attachments, defects)

    def _attachments(self, files: Files, mail_id: str, parts: Sequence[Part], *, again: bool) -> tuple[Attachment, ...]:
        if not parts:
            return ()
        folder = self._directory / "attachments" / mail_id
        make_folder(folder.parent, durable=self._durable)
        if not (again and folder.is_dir()):
            folder.mkdir()  # it must be new: nothing is ever overwritten
            files.made.append(str(folder))
        kept = []
        for number, part in enumerate(parts, 1):
            path = folder / f"{number}.{ending(part.filename, part.content_type)}"
            there = again and path.exists()
            kept.append(self._attachment(part, path, self._replace if there else files.write))
        files.keep_names_in(str(folder))
        files.keep_names_in(str(folder.parent))
        return tuple(kept)

    def _replace(self, path: str, pieces: Iterable[bytes | memoryview]) -> None:
        replace(Path(path), pieces, durable=self._durable)

    def _attachment(
        self, part: Part, path: Path, write: Callable[[str, Iterable[bytes | memoryview]], None]
    ) -> Attachment:
        """Decoded on its way to the disk, so that a big one is never held whole."""
        decoded = part.decode()
        digest, size = hashlib.sha256(), 0

        def pieces() -> Iterator[bytes | memoryview]:
            nonlocal size
            for piece in _gathered(decoded):
                digest.update(piece)
                size += len(piece)
                yield piece

        write(str(path), pieces())
        return Attachment(
            part.filename,
            part.content_type,
            part.encoding,
            path,
            size,
            digest.hexdigest(),
            tuple(decoded.defects),
            path.read_bytes,
        )

    def _into_mailboxes(self, files: Files, delivery: Delivery, *, again: bool) -> tuple[Path, tuple[str, ...]]:
        """Written under ``tmp`` first, to get its name in ``new`` with the commit: a reader never sees half a mail.
        Gives its name in the first mailbox, and what is there of it then."""
        final: list[str | Path] = []
        name = f"{delivery.mail_id}.{self._hostname}"
        pieces = [delivery.trace, delivery.content]
        size = sum(map(len, pieces))
        if size <= _PIECE:
            pieces = [b"".join(pieces)]
        made = files.made.copy()
        for mailbox in dict.fromkeys(delivery.mailboxes):
            folder = self._mailbox(mailbox)
            fresh = f"{folder}/tmp/{name}"
            if again:
                Path(fresh).unlink(missing_ok=True)
                there = _there(Path(folder), name, size)
                if there is not None:
                    final.append(there)
                    continue
            path = f"{folder}/new/{name}"
            files.write(fresh, pieces)
            files.rename(fresh, path)
            made.append(path)
            final.append(path)
        return Path(final[0]), tuple(reversed(made))

    def _mailbox(self, mailbox: str) -> str:
        """Its folder. Every mail comes this way, and pathlib takes longer than the system: paths are put together as
        texts."""
        folder = f"{self._maildir}/{folder_name(mailbox)}"
        if not os.path.isdir(f"{folder}/new"):
            for part in ("tmp", "cur", "new"):
                make_folder(Path(folder, part), durable=self._durable)
        return folder


def _gathered(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same octets in pieces that are worth a call of the system."""
    waiting: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


def _there(folder: Path, name: str, size: int) -> Path | None:
    """The mail in a mailbox, where it is there whole; a reader may have moved it, and added its flags to the name."""
    for path in (folder / "new" / name, *folder.glob(f"cur/{name}*")):
        if path.is_file() and path.stat().st_size == size:
            return path
    return None


def mailbox_folder(directory: Path, mailbox: str) -> Path:
    """The Maildir of a mailbox in a server's folder."""
    return directory / "maildir" / folder_name(mailbox)


@lru_cache(maxsize=4096)
def folder_name(mailbox: str) -> str:
    """The folder of a mailbox: its name where that is harmless on every system, else a harmless rest of it and a
    digest that keeps two mailboxes apart."""
    name = mailbox.casefold()
    if _PLAIN.fullmatch(name) and not name.endswith(".") and not _RESERVED.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_FOREIGN.sub('_', name)[:40].strip('_-')}~{digest}"


def ending(filename: str | None, content_type: str) -> str:
    """The ending of an attachment's file: a few letters and digits of its own, so that a double click opens it; else
    one that fits its type."""
    own = _ENDING.search(filename or "")
    return own[1].lower() if own else _KNOWN_ENDINGS.get(content_type, "bin")


def remove(directory: Path, mail: Mail) -> None:
    """Remove the files of a delivered mail from a server's folder, wherever in its mailboxes a reader has moved it."""
    attachments = f"{directory}/attachments/{mail.id}"
    with contextlib.suppress(OSError):
        for name in os.listdir(attachments):
            _unlink(f"{attachments}/{name}")
        os.rmdir(attachments)
    for address in mail.delivered_to:
        folder = f"{directory}/maildir/{folder_name(address.mailbox)}"
        if not _unlink(f"{folder}/new/{mail.path.name}"):
            with contextlib.suppress(OSError):
                for name in os.listdir(f"{folder}/cur"):
                    if name.startswith(mail.path.name):  # flags were added to it
                        _unlink(f"{folder}/cur/{name}")


def _unlink(path: str) -> bool:
    with contextlib.suppress(OSError):  # cleaning up after a test must not fail it
        os.unlink(path)
        return True
    return False
