"""What a server may rightly do otherwise than ours, in the scenarios: each with its reason.

A difference changes what is expected, and is then as strict as any expectation: a server that no longer differs fails,
and so does one that differs in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.destinations import BOUNCED, DELIVERED, FORWARDED, REFUSED
from harness.evidence import Transaction


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that one server does otherwise."""

    target: str
    name: str
    rule: str
    """The rule that it touches, as ``docs/behaviour.md`` numbers it."""
    reason: str
    """Why it may, or why we put up with it."""
    when: Callable[[Transaction], bool]
    then: Callable[[Transaction], Transaction]
    as_next_hop: bool = False
    """Whether it does so, too, with a mail that another server hands on to it."""


def _names_quoted(transaction: Transaction) -> bool:
    return any('"' in recipient for recipient in transaction.whose(DELIVERED, FORWARDED))


def _refuses_quoted(transaction: Transaction) -> Transaction:
    meanings = {
        recipient: REFUSED if '"' in recipient else meaning for recipient, meaning in transaction.meanings.items()
    }
    return replace(transaction, meanings=meanings)


COMPLETED = ("Date", "Message-ID")


def _is_incomplete(transaction: Transaction) -> bool:
    if transaction.content is None:
        return False
    header = b"\n" + transaction.content.replace(b"\r", b"").partition(b"\n\n")[0].lower()
    return not all(b"\n" + name.lower().encode() + b":" in header for name in COMPLETED)


def _completes(transaction: Transaction) -> Transaction:
    return replace(transaction, added=COMPLETED)


def _bounces(transaction: Transaction) -> bool:
    return bool(transaction.whose(BOUNCED))


DIFFERENCES: Sequence[Difference] = (
    Difference(
        "opensmtpd",
        "refuses a quoted local part",
        "C32",
        "RFC 5321 4.1.2 wants a host not to define mailboxes that need quotes; a server that knows of none says so "
        "(501 5.1.3) while the client is there, and loses nothing.",
        _names_quoted,
        _refuses_quoted,
    ),
    Difference(
        "opensmtpd",
        "adds Date and Message-ID where they are missing",
        "C74",
        "It takes every client of ours for one that submits mail, and a submission server may complete a header "
        "(RFC 6409 8). It writes them under the others, and touches nothing else.",
        _is_incomplete,
        _completes,
        as_next_hop=True,
    ),
    Difference(
        "opensmtpd",
        "notifies in multipart/mixed, without Return-Path and Auto-Submitted",
        "C84, C87",
        "The report is there and right, but RFC 3464 2 wants it in multipart/report, and RFC 3834 5 the field: a "
        "shortcoming of its own, of which the sender still learns all.",
        _bounces,
        lambda transaction: replace(transaction, plain_notification=True),
    ),
)


def expected_of(target: str, transaction: Transaction, *, first: bool) -> tuple[Transaction, list[Difference]]:
    """What is expected of this server, which is the first that the mail comes to or the second, and the differences
    that made it so."""
    met: list[Difference] = []
    for difference in DIFFERENCES:
        if difference.target == target and (first or difference.as_next_hop) and difference.when(transaction):
            transaction = difference.then(transaction)
            met.append(difference)
    return transaction, met
