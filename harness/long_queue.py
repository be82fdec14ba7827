"""A queue as a long night with a dead next hop leaves it: thousands of mails in a folder, written without a server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from smtp_pair import ledger
from smtp_pair.entry import Entry, Row
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Recipient
from smtp_pair.mail_files import mail_file
from smtp_pair.queue_tables import put

CONTENT = b"Received: from x\r\n\tby y; z\r\nSubject: Hello\r\n\r\nHello.\r\n"


def fill(spool: Path, count: int, *, domain: str, due: float, accepted: float, content: bytes = CONTENT) -> None:
    """So many mails for one recipient each, tried once, due at that time."""
    mail_file(spool, "").parent.mkdir(parents=True, exist_ok=True)
    sender = Address.parse("ann@a.test")
    with closing(sqlite3.connect(spool / ledger.FILE_NAME, isolation_level=None)) as database:
        ledger._set_up(database, durable=False)
        database.execute("BEGIN")
        for number in range(count):
            mail_id = f"0-{number:06}"
            mail_file(spool, mail_id).write_bytes(content)
            row = Row(Recipient(Address.parse(f"r{number}@{domain}")), attempts=1, due=due, last="451 4.3.0 later")
            put(Entry(mail_id, sender, {}, accepted, [row], None))(database)
        database.execute("COMMIT")
