"""``smtp-pair queue``: what waits on the servers of a data folder; try it now, or drop it. Whether they run or not."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from smtp_pair import control, ledger, queue_tables
from smtp_pair.disk import lock, remove_quietly
from smtp_pair.entry import Waiting
from smtp_pair.mail.errors import ConfigError, SmtpPairError
from smtp_pair.mail_files import mail_file
from smtp_pair.server_msg import harmless, one_line


class QueueError(SmtpPairError):
    """A queue that can't be looked at or changed now; the text says why."""


def show_all(data: Path) -> int:
    """List what waits, a block for each mail."""
    count = 0
    for folder in _servers(data):
        mails: dict[str, list[Waiting]] = {}
        for one in _waiting(folder):
            mails.setdefault(one.mail, []).append(one)
        for mail_id, recipients in mails.items():
            count += len(recipients)
            print(f"{mail_id}  at {folder.name}, from <{one_line(recipients[0].sender)}>")
            for one in recipients:
                print(f"    <{one_line(one.recipient)}> to {one_line(one.next_hop)}, {_state(one)}")
    print(f"{count} recipient{'' if count == 1 else 's'} waiting" if count else "nothing waits")
    return 0


def show(data: Path, mail_id: str) -> int:
    """Print a waiting mail, as it is sent on."""
    folder = _folder_of(data, mail_id)
    try:
        content = mail_file(folder / "spool", mail_id).read_bytes()
    except OSError as error:
        raise QueueError(f"{mail_id}: its content can't be read: {error.strerror}") from None
    sys.stdout.write(harmless(content.decode("utf-8", "replace").replace("\r\n", "\n")))
    return 0


def retry(data: Path, mail_id: str) -> int:
    """Try a mail, or ("") all of them, now; where no server runs, as soon as one does."""
    folders = [_folder_of(data, mail_id)] if mail_id else list(_servers(data))
    count = 0
    for folder in folders:
        answer = _ask(folder, {"do": "retry", "mail": mail_id})
        count += answer["count"] if answer is not None else _due_now(folder, mail_id)
    print(f"{count} recipient{'' if count == 1 else 's'} to be tried now")
    return 0


def drop(data: Path, mail_id: str) -> int:
    """Forget a mail, without telling anybody."""
    folder = _folder_of(data, mail_id)
    answer = _ask(folder, {"do": "drop", "mail": mail_id})
    if answer is None:
        with _kept(folder):
            ledger.apply(folder / "spool", queue_tables.drop(mail_id))
            remove_quietly([mail_file(folder / "spool", mail_id)])
    elif not answer["dropped"]:
        raise QueueError(f"{mail_id} is just being tried; try again")
    print(f"dropped {mail_id}")
    return 0


def _due_now(folder: Path, mail_id: str) -> int:
    count = 0
    with _kept(folder):
        for entry in ledger.read(folder / "spool"):
            if mail_id in ("", entry.id):
                for row in entry.waiting:
                    row.due = 0.0
                    count += 1
                ledger.apply(folder / "spool", queue_tables.put(entry))
    return count


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """The folder of a server that does not run, for us alone meanwhile."""
    try:
        give_up = lock(folder)
    except OSError as error:
        why = "its server runs, and can't be talked to" if isinstance(error, BlockingIOError) else error.strerror
        raise QueueError(f"{folder}: {why}") from None
    try:
        yield
    finally:
        give_up()


def _servers(data: Path) -> Iterator[Path]:
    """The folders of servers in the data folder. Raises ConfigError where there is no such folder."""
    if not data.is_dir():
        raise ConfigError(f"--data: {data} is not a folder")
    found = sorted(path.parent for path in data.glob("*/spool"))
    yield from found


def _waiting(folder: Path) -> list[Waiting]:
    answer = _ask(folder, {"do": "list"})
    if answer is not None:
        return control.waiting_of(answer)
    try:
        entries = ledger.read(folder / "spool")
    except OSError as error:
        raise QueueError(f"{folder / 'spool'}: can't be read: {error.strerror or error}") from None
    return [
        Waiting(
            entry.id,
            row.recipient.address,
            entry.sender,
            row.recipient.address.domain,
            row.attempts,
            row.due,
            row.last,
        )
        for entry in entries
        for row in entry.waiting
    ]


def _folder_of(data: Path, mail_id: str) -> Path:
    for folder in _servers(data):
        if any(one.mail == mail_id for one in _waiting(folder)):
            return folder
    raise ConfigError(f"no mail {one_line(mail_id)} waits in {data}; `smtp-pair queue` lists those that do")


def _ask(folder: Path, wish: dict[str, str]) -> dict[str, Any] | None:
    try:
        return control.ask(folder / "spool", wish)
    except (OSError, ValueError) as error:
        raise QueueError(f"{folder}: the running server can't be talked to: {error}") from None


def _state(one: Waiting) -> str:
    when = "now" if one.due <= time.time() else datetime.fromtimestamp(one.due).astimezone().strftime("%F %T")
    tried = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}, " if one.attempts else ""
    last = f"; last: {one_line(one.last)}" if one.last else ""
    return f"{tried}next {when}{last}"
