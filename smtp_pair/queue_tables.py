"""The tables of a queue's database: what the spool holds, to rows and back."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
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
_ALL = """
SELECT mail.id, sender, mail.options, accepted,
    number, address, recipient.options, status, attempts, due, last, warned
FROM mail LEFT JOIN recipient ON recipient.mail = mail.id ORDER BY mail.id, number
"""
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
    found: list[Entry] = []
    unread: list[str] = []
    # Each mail with its rows as they come: those of 100,000 are not to be in memory twice.
    of_one = itemgetter(0, 1, 2, 3)
    for (mail_id, sender, options, accepted), joined in groupby(database.execute(_ALL), of_one):
        rows = [row[4:] for row in joined if row[4] is not None]
        try:
            found.append(_entry(mail_id, sender, options, accepted, rows))
        except (ValueError, TypeError, AttributeError):
            log.exception("the queue's mail %s can't be taken up", mail_id)
            unread.append(mail_id)
    found.sort(key=attrgetter("accepted"))
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
    return Row(recipient, status, attempts, float(due), sys.intern(last), bool(warned))


def _options(options: Mapping[str, str]) -> str:
    return json.dumps(dict(options)) if options else ""


def _parsed(options: str) -> Mapping[str, str]:
    if not options:
        return NO_OPTIONS
    parsed = json.loads(options)
    if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
        raise ValueError(f"no options: {options[:80]!r}")
    return parsed


@lru_cache(maxsize=256)
def _address(text: str) -> Address:
    """Of thousands that wait, many have a sender in common, and most a domain."""
    address = parse_path(f"<{text}>", utf8=True)[0]
    address.domain = sys.intern(address.domain)
    return address
