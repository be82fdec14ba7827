"""What only our own servers have to show: the journal, ServerMSG.txt, the decoded attachments, the Mail objects of a
test, and no file beside those. ``evidence.py`` has what any server shows.

Nothing here asks the server's own code: the records are read line by line, the files byte by byte. The expectation is
the whole of it: one fact, file or mail more than expected is as wrong as one less.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.destinations import DELIVERED, FORWARDED, NO_ROUTE, REFUSED
from harness.evidence import Transaction
from harness.server_msg_reader import read_server_msg
from harness.targets.ours import Ours
from harness.targets.place import Place
from smtp_pair.clients.message import Attachment
from smtp_pair.mail.address import Address

if TYPE_CHECKING:
    from smtp_pair import Mail, Server

_FIELD = re.compile(rb"[^ \t\r\n].*\r\n(?:[ \t].*\r\n)*")
_BY = re.compile(rb"Received: from .*\r\n\tby (\S+) \(smtp-pair\) with ")


@dataclass(frozen=True, slots=True)
class Copy:
    """What one server should have of one transaction."""

    transaction: Transaction
    outcomes: Mapping[str, str]
    """The recipients that it accepted, and what its records say of each."""
    hops: Sequence[str]
    """Ours that it came through."""
    arrived: bytes | None = None
    """As it came from a server that is not ours, whose part ``evidence.py`` has looked at."""

    @property
    def title(self) -> str:
        return self.transaction.draft.title

    @property
    def here(self) -> list[str]:
        """The recipients that have a mailbox on the server."""
        return [recipient for recipient, outcome in self.outcomes.items() if outcome == "delivered"]

    @property
    def content(self) -> bytes:
        """The mail as it should lie on disk under our trace fields."""
        return self.transaction.normalised if self.arrived is None else self.arrived


def check(here: Place, there: Place, transactions: Sequence[Transaction]) -> None:
    """Everything that ours have to show of the transactions, of which any server's part has been looked at."""
    said = {DELIVERED: "delivered", FORWARDED: "queued"}
    if isinstance(here, Ours):
        copies = [
            Copy(each, {r: said[each.meanings[r]] for r in each.whose(DELIVERED, FORWARDED)}, [here.hostname])
            for each in transactions
        ]
        refused = Counter(recipient for each in transactions for recipient in each.whose(REFUSED))
        for each in transactions:
            assert all(each.answers[recipient] == NO_ROUTE for recipient in each.whose(REFUSED))
        _check_server(here.server, copies, refused, there)
    if isinstance(there, Ours):
        ours = [place.hostname for place in (here, there) if isinstance(place, Ours)]
        copies = [
            Copy(each, dict.fromkeys(each.whose(FORWARDED), "delivered"), ours, _arrived(here, there, each))
            for each in transactions
        ]
        _check_server(there.server, copies, Counter(), None)


def _arrived(here: Place, there: Ours, transaction: Transaction) -> bytes | None:
    if isinstance(here, Ours) or not transaction.whose(FORWARDED):
        return None
    [mail] = [mail for mail in there.server.messages if mail.subject == transaction.draft.title]
    return mail.content


def _check_server(server: Server, copies: Sequence[Copy], refused: Counter[str], next_hop: Place | None) -> None:
    expected = {copy.title: copy for copy in copies if copy.outcomes}
    facts = _facts(server.directory)
    received = {fact["title"]: fact for fact in facts if fact["event"] == "received"}
    assert received.keys() == expected.keys(), f"what {server.hostname} received"
    assert Counter(fact["event"] for fact in facts) == Counter(
        received=len(expected),
        refused=refused.total(),
        forwarded=sum(outcome == "queued" for copy in expected.values() for outcome in copy.outcomes.values()),
    )
    assert Counter(_address(f["recipient"]) for f in facts if f["event"] == "refused") == refused
    assert all(fact["reply"].startswith(f"{NO_ROUTE} ") for fact in facts if fact["event"] == "refused")
    files = {"journal.jsonl"} if facts else set()
    mails = {mail.id: mail for mail in server.messages}
    for title, copy in expected.items():
        fact = received[title]
        _check_fact(fact, copy)
        if copy.here:
            files |= _check_mail(server, mails.pop(fact["mail"]), copy, fact)
        if next_hop is not None:
            _check_forwarded(facts, fact["mail"], copy, next_hop)
    assert mails == {}, f"{server.hostname} delivered more than was expected"
    if expected:
        files.add("ServerMSG.txt")
        readable = read_server_msg(server.directory / "ServerMSG.txt")
        assert readable.mails == [_as_readable(fact) for fact in facts if fact["event"] == "received"]
        assert readable.outcomes == [
            (fact["mail"], fact["recipient"], f"forwarded to {fact['next_hop']}: {fact['reply']}")
            for fact in facts
            if fact["event"] == "forwarded"
        ]
    found = {path.relative_to(server.directory).as_posix() for path in server.directory.rglob("*") if path.is_file()}
    assert found == files, f"files under {server.directory}"


def _facts(directory: Path) -> list[dict[str, Any]]:
    try:
        lines = (directory / "journal.jsonl").read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _check_fact(fact: Mapping[str, Any], copy: Copy) -> None:
    draft = copy.transaction.draft
    assert fact["sender"] == draft.envelope_sender
    assert sorted((row["address"], row["outcome"]) for row in fact["recipients"]) == sorted(copy.outcomes.items())
    assert fact["title"] == draft.title
    if not copy.here:  # it is passed on as it is, not taken apart
        assert (fact["attachments"], fact["file"], fact["size"]) == ([], "", len(copy.content))
        return
    sent = [Attachment.of(each) for each in draft.attachments]
    assert [(row["name"], row["type"], row["size"], row["sha256"]) for row in fact["attachments"]] == [
        (each.filename, each.content_type, len(each.content), hashlib.sha256(each.content).hexdigest()) for each in sent
    ]
    assert fact["defects"] == []
    assert fact["text"].splitlines() == draft.text.splitlines()


def _check_mail(server: Server, mail: Mail, copy: Copy, fact: Mapping[str, Any]) -> set[str]:
    """Gives the names of the mail's files."""
    draft = copy.transaction.draft
    assert (mail.envelope.sender, mail.subject) == (draft.envelope_sender, draft.title)
    # In which order another server names them is its own affair.
    order: Callable[[Iterable[str]], list[str]] = list if copy.arrived is None else sorted
    assert order(mail.envelope.recipients) == order(copy.outcomes)
    assert order(mail.delivered_to) == order(copy.here)
    assert mail.hops == copy.hops
    assert mail.content == copy.content
    assert mail.defects == ()
    mailboxes = {Address.parse(recipient).mailbox for recipient in copy.here}
    copies = sorted((server.directory / "maildir").glob(f"*/new/{mail.path.name}"))
    assert len(copies) == len(mailboxes)
    assert mail.path in copies
    for path in copies:
        _check_raw(path.read_bytes(), copy, fact["size"])
    files = {path.relative_to(server.directory).as_posix() for path in copies}
    assert fact["file"] in files
    sent = [Attachment.of(each) for each in draft.attachments]
    for got, row, each in zip(mail.attachments, fact["attachments"], sent, strict=True):
        assert (got.filename, got.content_type) == (each.filename, each.content_type)
        assert got.content == each.content
        assert (server.directory / row["file"]).read_bytes() == each.content
        assert got.path == server.directory / row["file"]
        files.add(row["file"])
    return files


def _check_raw(raw: bytes, copy: Copy, size: int) -> None:
    """Trace fields on top, the last hop first, and under them the mail as it was sent."""
    assert raw.endswith(copy.content)
    return_path, *received = _FIELD.findall(raw[: -len(copy.content)])
    assert return_path == f"Return-Path: <{copy.transaction.draft.envelope_sender}>\r\n".encode()
    assert [_BY.match(field)[1].decode() for field in received] == list(reversed(copy.hops))  # type: ignore[index]
    assert size == len(raw) - len(return_path) - len(received[0]), "it came with the fields of the hops before"


def _check_forwarded(facts: Sequence[Mapping[str, Any]], mail_id: str, copy: Copy, hop: Place) -> None:
    forwarded = [fact for fact in facts if fact["event"] == "forwarded" and fact["mail"] == mail_id]
    queued = [recipient for recipient, outcome in copy.outcomes.items() if outcome == "queued"]
    assert [fact["recipient"] for fact in forwarded] == queued
    for fact in forwarded:
        assert (hop.hostname if isinstance(hop, Ours) else hop.address) in fact["next_hop"]
        assert fact["reply"].startswith("250 2." if isinstance(hop, Ours) else "250")
        assert fact["attempts"] == 1


def _as_readable(fact: Mapping[str, Any]) -> dict[str, Any]:
    """A received mail's fact in the words of ServerMSG.txt."""
    return {
        "Mail": fact["mail"],
        "Dated": fact["date"],
        "Sender": f"<{fact['sender']}>",
        "Recipient": [f"<{row['address']}> {row['outcome']}" for row in fact["recipients"]],
        "Title": fact["title"],
        "Size": f"{fact['size']:,} octets",
        "Raw mail": fact["file"],
        "Attachments": [
            (
                row["name"],
                f"{row['type']}, {row['encoding']}, {row['size']:,} octets decoded",
                f"sha256 {row['sha256']}",
                f"file   {row['file']}",
            )
            for row in fact["attachments"]
        ],
        "Text": fact["text"].rstrip("\n").splitlines(),
    }


def _address(text: str) -> str:
    """The address in what a client asked for: ``<a@b>``."""
    return text.partition("<")[2].rpartition(">")[0]
