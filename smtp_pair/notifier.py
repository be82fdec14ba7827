"""Who is told what became of a mail: outcomes of an attempt -> notifications, ready for the spool (RFC 3461, RFC 3464)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from smtp_pair.clock import Clock
from smtp_pair.config import Retry
from smtp_pair.entry import Entry, Outcome, Row
from smtp_pair.mail import bounce
from smtp_pair.mail.address import NULL_PATH
from smtp_pair.mail.bounce import Action, Report
from smtp_pair.mail.envelope import Recipient
from smtp_pair.routes import NextHop

_ORDER: Sequence[Action] = ("failed", "delayed", "delivered", "relayed")


class Ids(Protocol):
    """Gives mails their names (``network.py``)."""

    def new(self, moment: float) -> str: ...


class Notifier:
    """Writes the notifications of one server. ``passes_on`` tells whether a next hop does so itself (it offers DSN)."""

    def __init__(
        self, hostname: str, retry: Retry, clock: Clock, ids: Ids, *, passes_on: Callable[[NextHop], bool]
    ) -> None:
        self._hostname = hostname
        self._retry = retry
        self._clock = clock
        self._ids = ids
        self._passes_on = passes_on

    def notifications(self, outcomes: Sequence[Outcome], content: bytes) -> list[Entry]:
        """One for all recipients that failed at the same moment, one for those that are late, one for those that were
        served and whose sender wanted to know. None to a null sender, ever: two servers would answer each other for
        good (RFC 5321 6.1)."""
        told: dict[Action, list[Report]] = {}
        for outcome in outcomes:
            action = self._action(outcome)
            if action is not None and outcome.entry.sender:
                told.setdefault(action, []).append(self._report(outcome, action))
        entry = outcomes[0].entry
        return [self._entry(entry, told[action], content) for action in _ORDER if action in told]

    def _action(self, outcome: Outcome) -> Action | None:
        row = outcome.row
        if outcome.event == "failed":
            return "failed" if "FAILURE" in row.notify else None
        if outcome.event == "deferred":
            late = self._clock.now() >= outcome.entry.accepted + self._retry.warn
            if row.warned or not late or "DELAY" not in row.notify:
                return None
            row.warned = True
            return "delayed"
        if "SUCCESS" not in row.notify:
            return None
        if outcome.event == "delivered":
            return "delivered"
        hop = outcome.route
        return None if isinstance(hop, NextHop) and self._passes_on(hop) else "relayed"

    def _report(self, outcome: Outcome, action: Action) -> Report:
        options = outcome.row.recipient.options
        return Report(
            outcome.row.recipient.address,
            action,
            outcome.reply,
            remote_mta=outcome.route.name or outcome.route.host if isinstance(outcome.route, NextHop) else "",
            orcpt=options.get("ORCPT", ""),
            retry_until=outcome.entry.accepted + self._retry.expiry if action == "delayed" else 0.0,
        )

    def _entry(self, about: Entry, reports: Sequence[Report], content: bytes) -> Entry:
        moment = self._clock.now()
        mail_id = self._ids.new(moment)
        # RET is about failures alone (RFC 3461 6.2)
        full = about.options.get("RET") == "FULL" and reports[0].action == "failed"
        text = bounce.render(
            self._hostname,
            mail_id,
            moment,
            sender=about.sender,
            accepted=about.accepted,
            envid=about.options.get("ENVID", ""),
            full=full,
            reports=reports,
            original=content,
        )
        header = text[: text.find(b"\r\n\r\n")]
        options = {} if text.isascii() else {"BODY": "8BITMIME"}
        if not header.isascii() or not about.sender.isascii():
            options["SMTPUTF8"] = ""
        row = Row(Recipient(about.sender, {"NOTIFY": "NEVER"}), due=moment)
        return Entry(mail_id, NULL_PATH, options, moment, [row], text)
