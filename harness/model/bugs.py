"""Mistakes that mail servers have made, to be planted in ours: the machine is worth what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from unittest import mock

from smtp_pair import content
from smtp_pair.aliases import Aliases
from smtp_pair.entry import Entry, Outcome, Row
from smtp_pair.mail.address import Address
from smtp_pair.mail.bounce import Report
from smtp_pair.mail.envelope import Envelope
from smtp_pair.notifier import Notifier
from smtp_pair.protocol import Conversation
from smtp_pair.routes import UNREACHABLE, Route, Routes


@contextmanager
def _lost_recipient() -> Iterator[None]:
    """The second recipient of a transaction is forgotten after it was accepted."""
    ended = Conversation.content_ended

    def forgetful(self: Conversation) -> Envelope:
        envelope = ended(self)
        return replace(envelope, forward_paths=envelope.forward_paths[:1] + envelope.forward_paths[2:])

    with mock.patch.object(Conversation, "content_ended", forgetful):
        yield


@contextmanager
def _bounce_to_nobody() -> Iterator[None]:
    """The null sender is told of failures, as if it were somebody (RFC 5321 6.1)."""

    def reports(self: Notifier, outcomes: Sequence[Outcome]) -> list[list[Report]]:
        bad = [one for one in outcomes if one.event == "failed" and "FAILURE" in one.row.notify]  # no storm
        failed = [self._report(outcome, "failed") for outcome in bad]
        return [failed] if failed else []

    with mock.patch.object(Notifier, "reports", reports):
        yield


@contextmanager
def _dots_kept() -> Iterator[None]:
    """The dots that were put in for the transfer stay (RFC 5321 4.5.2)."""

    def unchanged(wire: bytes) -> bytes:
        return wire

    with mock.patch.object(content, "unstuff", unchanged), mock.patch.object(content, "_unstuff_inside", unchanged):
        yield


@contextmanager
def _resent() -> Iterator[None]:
    """As long as one recipient waits, those that have their mail get it again."""

    def waiting(self: Entry) -> list[Row]:
        rows = [row for row in self.rows if row.status != "failed"]
        return rows if any(row.status == "queued" for row in rows) else []

    with mock.patch.object(Entry, "waiting", property(waiting)):
        yield


@contextmanager
def _case_matters() -> Iterator[None]:
    """Domains are compared letter by letter (RFC 5321 2.4 says that their case means nothing)."""
    route = Routes.route

    def strict(self: Routes, address: Address) -> Route:
        return route(self, address) if address.domain == address.domain_key else UNREACHABLE

    with mock.patch.object(Routes, "route", strict):
        yield


@contextmanager
def _never_is_forgotten() -> Iterator[None]:
    """Who wants to hear nothing is told all the same (RFC 3461 4.1)."""

    def notify(self: Row) -> frozenset[str]:
        return frozenset({"FAILURE", "DELAY"})

    with mock.patch.object(Row, "notify", property(notify)):
        yield


@contextmanager
def _alias_of_one() -> Iterator[None]:
    """An alias leads to the first of its addresses alone."""
    ends = Aliases._ends

    with mock.patch.object(Aliases, "_ends", lambda self, address: islice(ends(self, address), 1)):
        yield


BUGS: Mapping[str, Callable[[], object]] = {
    "a lost second recipient": _lost_recipient,
    "a bounce to a null sender": _bounce_to_nobody,
    "a dot not unstuffed": _dots_kept,
    "a retry that resends delivered recipients": _resent,
    "a route compared with case": _case_matters,
    "a wish for silence that is forgotten": _never_is_forgotten,
    "an alias of which only the first address counts": _alias_of_one,
}
