"""The tables of a queue's database: what the spool holds, to rows and back."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, get_args

from smtp_pair.entry import Entry, Row, Status
from smtp_pair.mail.address import Address, parse_path
from smtp_pair.mail.envelope import NO_OPTIONS, Recipient

log = logging.getLogger(__name__)

Change = Callable[[sqlite3.Connection], object]
"""Something to be done to the database, inside a transaction."""

SCHEMA = """
CREATE TABLE mail (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, options TEXT NOT NULL, accepted REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE recipient (
    mail TEXT NOT NULL, number INTEGER NOT NULL, address TEXT NOT NULL, options TEXT NOT NULL, status TEXT NOT NULL,
    attempts INTEGER NOT NULL, due REAL NOT NULL, last TEXT NOT NULL, warned INTEGER NOT NULL,
    PRIMARY KEY (mail, number)
) WITHOUT ROWID;
"""
_PUT_MAIL = "INSERT OR REPLACE INTO mail VALUES (?, ?, ?, ?)"
_PUT_ROW = "INSERT OR REPLACE INTO recipient VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def put(entry: Entry) -> Change:
    """Write the mail down, its rows as they are now; or bring it up to date."""
    mail = (entry.id, entry.sender, _options(entry.options), entry.accepted)
    rows = [
        (
            entry.id,
            number,
            row.recipient.address,
            _options(row.recipient.options),
            row.status,
            row.attempts,
            row.due,
            row.last,
            row.warned,
        )
        for number, row in enumerate(entry.rows)
    ]

    def change(database: sqlite3.Connection) -> None:
        database.execute(_PUT_MAIL, mail)
        database.executemany(_PUT_ROW, rows)

    return change


def drop(mail_id: str) -> Change:
    """Forget the mail."""

    def change(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM recipient WHERE mail = ?", (mail_id,))
        database.execute("DELETE FROM mail WHERE id = ?", (mail_id,))

    return change


def together(*changes: Change) -> Change:
    """All of the changes, or none."""

    def change(database: sqlite3.Connection) -> None:
        for one in changes:
            one(database)

    return change


def entries(database: sqlite3.Connection) -> tuple[list[Entry], frozenset[str]]:
    """The mails, oldest first; and the ids of those whose state can't be read: one such mail is no reason to leave the
    others, nor to lose it."""
    rows: dict[str, list[Any]] = {}
    for mail_id, *row in database.execute("SELECT * FROM recipient ORDER BY mail, number"):
        rows.setdefault(mail_id, []).append(row)
    found: list[Entry] = []
    unread: list[str] = []
    for mail_id, sender, options, accepted in database.execute("SELECT * FROM mail ORDER BY accepted, id"):
        try:
            found.append(_entry(mail_id, sender, options, accepted, rows.get(mail_id, [])))
        except (ValueError, TypeError, AttributeError):
            log.exception("the queue's mail %s can't be taken up", mail_id)
            unread.append(mail_id)
    return found, frozenset(unread)


def _entry(mail_id: str, sender: str, options: str, accepted: float, rows: list[Any]) -> Entry:
    kept = [_row(*row) for row in rows]
    return Entry(mail_id, _address(sender), _parsed(options), float(accepted), kept, content=None, on_disk=True)


def _row(
    number: int, address: str, options: str, status: Any, attempts: Any, due: float, last: Any, warned: int
) -> Row:
    if status not in get_args(Status) or not isinstance(attempts, int) or not isinstance(last, str):
        raise ValueError(f"no state of a recipient: {(number, status, attempts, last)!r}")
    recipient = Recipient(_address(address), _parsed(options))
    return Row(recipient, status, attempts, float(due), last, bool(warned))


def _options(options: Mapping[str, str]) -> str:
    return json.dumps(dict(options)) if options else ""


def _parsed(options: str) -> Mapping[str, str]:
    if not options:
        return NO_OPTIONS
    parsed = json.loads(options)
    if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
        raise ValueError(f"no options: {options[:80]!r}")
    return parsed


def _address(text: str) -> Address:
    return parse_path(f"<{text}>", utf8=True)[0]
