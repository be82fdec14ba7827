"""What any server has to show for the mail it got, compared with what was expected of it: the replies, the mailboxes,
the octets, the trace and the notifications. What only ours shows is in ``evidence_of_ours.py``.

Nothing here asks a server's own code: the mails are read byte by byte. The expectation is the whole of it: one mail
more than expected is as wrong as one less. It is in meanings; what a server may rightly do otherwise is a listed
difference, and then it must do just that.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import EmailMessage

from harness.behaviours import TAKEN, Answers
from harness.destinations import BOUNCED, DELAYED, DELIVERED, FORWARDED, REFUSED, SLOW, Meaning
from harness.targets.place import FIELD, Delivered, Place, same_mailbox
from smtp_pair.clients.message import Attachment, Draft

_BY = re.compile(r"(?:from .*?)?\bby (\S+) ")
_OF_DELIVERY = {"return-path", "delivered-to", "x-original-to", "envelope-to"}
"""What a server writes on a mail that it puts into a mailbox."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One mail that a client handed over, and what is expected of it."""

    draft: Draft
    meanings: Mapping[str, Meaning]
    answers: Answers
    content: bytes | None
    """As the client gave it away; None where it was not asked for it."""
    added: Sequence[str] = field(default=())
    """Header fields that a server which is not ours adds below those of the mail, where they are missing (a
    difference)."""
    plain_notification: bool = False
    """Whether the first server's notification is for people alone (a difference)."""

    @property
    def title(self) -> str:
        return self.draft.title

    def whose(self, *meanings: Meaning) -> list[str]:
        """The recipients that have one of these meanings, in their order."""
        return [recipient for recipient, meaning in self.meanings.items() if meaning in meanings]

    @property
    def normalised(self) -> bytes:
        """The mail as it should lie on disk under the trace fields: as it was sent, each line ended by CRLF."""
        assert self.content is not None
        content = re.sub(rb"\r\n|\r|\n", b"\r\n", self.content)
        return content if content.endswith(b"\r\n") else content + b"\r\n"


def check(here: Place, there: Place, beyond: Iterable[Place], transactions: Sequence[Transaction]) -> None:
    """Everything that any server can show for the transactions, and the client's side. ``here`` was given the mails."""
    for transaction in transactions:
        _check_answers(transaction)
    mails = here.delivered()
    titles = {transaction.title for transaction in transactions}
    notifications = [mail for mail in mails if _title(mail) not in titles]
    mails = [mail for mail in mails if _title(mail) in titles]
    if here.shows_mailboxes:
        _check_mailboxes(here, mails, transactions, (DELIVERED,), [here])
        _check_notifications(notifications, transactions)
    if there.shows_mailboxes:
        _check_mailboxes(there, there.delivered(), transactions, (FORWARDED,), [here, there])
    for place in beyond:
        meanings = (DELAYED,) if place.domain == SLOW else ()
        _check_mailboxes(place, place.delivered(), transactions, meanings, [here, place])


def _title(mail: Delivered) -> str:
    raw = email.message_from_bytes(mail.raw)["Subject"]
    return str(make_header(decode_header(raw))) if raw else ""


def _check_answers(transaction: Transaction) -> None:
    """What the client was told, by the first digit of it (C78)."""
    told = {recipient: answer if answer == TAKEN else answer[:1] for recipient, answer in transaction.answers.items()}
    expected = {recipient: "5" if meaning is REFUSED else TAKEN for recipient, meaning in transaction.meanings.items()}
    assert told == expected, f"the client was told {dict(transaction.answers)}"
    assert (transaction.content is not None) == (TAKEN in expected.values()), "DATA is for those that were taken"


def _check_mailboxes(
    place: Place,
    mails: Sequence[Delivered],
    transactions: Sequence[Transaction],
    meanings: Sequence[Meaning],
    hops: Sequence[Place],
) -> None:
    """Each recipient has each mail once, and nobody has anything else."""
    expected = Counter(
        (transaction.title, same_mailbox(recipient))
        for transaction in transactions
        for recipient in transaction.whose(*meanings)
    )
    found = Counter((_title(mail), same_mailbox(mail.recipient)) for mail in mails)
    assert found == expected, f"what lies in the mailboxes of {place.hostname}"
    by_title = {transaction.title: transaction for transaction in transactions}
    for mail in mails:
        _check_mail(mail, by_title[_title(mail)], hops)


def _check_mail(mail: Delivered, transaction: Transaction, hops: Sequence[Place]) -> None:
    """On top the trace, the last hop first, and what final delivery adds; below it the mail as it was sent."""
    foreign = any(hop.kind != "embedded" for hop in hops)
    raw = _without(mail.raw, transaction.normalised, transaction.added) if foreign else mail.raw
    trace = Delivered(mail.recipient, raw).trace(transaction.normalised)
    assert {name for name, _ in trace} <= _OF_DELIVERY | {"received"}
    assert [value for name, value in trace if name == "return-path"] == [f"<{transaction.draft.envelope_sender}>"]
    received = [value for name, value in trace if name == "received"]
    names = [_by(value) for value in received]
    assert names == [hop.hostname or name for hop, name in zip(reversed(hops), names, strict=True)]
    message = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    sent = [Attachment.of(each) for each in transaction.draft.attachments]
    found = [(part.get_filename(), part.get_payload(decode=True)) for part in message.iter_attachments()]
    assert found == [(each.filename, each.content) for each in sent]


def _by(received: str) -> str:
    match = _BY.match(received)
    assert match is not None, f"who wrote this trace? {received}"
    return match[1]


def _without(raw: bytes, content: bytes, added: Sequence[str]) -> bytes:
    """The mail without the fields that were added where its header ends; each of them must be there, and must not have
    been in the mail that was sent."""
    header, _, body = content.partition(b"\r\n\r\n")
    names = {match[1].lower().decode() for match in FIELD.finditer(header + b"\r\n")}
    missing = [name for name in added if name.lower() not in names]
    if not missing:
        return raw
    end = header + b"\r\n"
    start = raw.find(end)
    assert start >= 0, f"the header is not there: {raw[:2000]!r}"
    rest = raw[start + len(end) :]
    more, blank, after = rest.partition(b"\r\n\r\n")
    found = [match[1].decode().lower() for match in FIELD.finditer(more + b"\r\n")]
    assert sorted(found) == sorted(name.lower() for name in missing), f"added to the header: {more!r}"
    assert after == body, "the body is another one"
    return raw[: start + len(end)] + blank[2:] + after


def _check_notifications(notifications: Sequence[Delivered], transactions: Sequence[Transaction]) -> None:
    """Who was refused by the next server is named once, to the sender alone, from the null path (C82, C84, C85)."""
    bounced = [(transaction, recipient) for transaction in transactions for recipient in transaction.whose(BOUNCED)]
    senders = {same_mailbox(transaction.draft.envelope_sender) for transaction, _ in bounced}
    assert {same_mailbox(mail.recipient) for mail in notifications} == senders, "who was notified"
    plain = {transaction.plain_notification for transaction in transactions}
    named: Counter[tuple[str, str]] = Counter()
    for mail in notifications:
        message = email.message_from_bytes(mail.raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if plain != {True}:
            assert message["Return-Path"] == "<>"
            assert message["Auto-Submitted"] == "auto-replied"
            assert message.get_content_type() == "multipart/report"
            assert message.get_param("report-type") == "delivery-status"
        else:
            assert message.get_content_type() == "multipart/mixed"
        named.update(_refused(message))
    assert named == Counter(same_mailbox(recipient) for _, recipient in bounced), "who is said to have been refused"


def _refused(notification: EmailMessage) -> list[tuple[str, str]]:
    """The recipients that a notification says have failed for good."""
    [report] = [part for part in notification.walk() if part.get_content_type() == "message/delivery-status"]
    blocks = [block for block in report.walk() if block["Final-Recipient"]]
    assert all(block["Action"].lower() == "failed" and block["Status"].startswith("5.") for block in blocks)
    return [same_mailbox(str(block["Final-Recipient"]).partition(";")[2].strip()) for block in blocks]
