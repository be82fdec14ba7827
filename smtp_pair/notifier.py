"""Who is told what became of a mail: outcomes of an attempt -> notifications for the spool (RFC 3461, RFC 3464)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smtp_pair.clock import Clock
from smtp_pair.config import Retry
from smtp_pair.entry import Entry, Outcome, Row
from smtp_pair.mail import bounce
from smtp_pair.mail.address import NULL_PATH
from smtp_pair.mail.bounce import Action, Report
from smtp_pair.mail.envelope import Recipient

_ORDER: Sequence[Action] = ("failed", "delayed", "delivered", "relayed")


class Ids(Protocol):
    """Gives mails their names (``network.py``)."""

    def new(self, moment: float) -> str: ...


class Notifier:
    """Writes the notifications of one server."""

    def __init__(self, hostname: str, retry: Retry, clock: Clock, ids: Ids) -> None:
        self._hostname = hostname
        self._retry = retry
        self._clock = clock
        self._ids = ids

    def reports(self, outcomes: Sequence[Outcome]) -> list[list[Report]]:
        """What a sender is to be told: of all recipients that failed at the same moment, of those that are late, of
        those that were served where he wanted to know; one notification for each list. None to a null sender, ever: two
        servers would answer each other for good (RFC 5321 6.1)."""
        told: dict[Action, list[Report]] = {}
        for outcome in outcomes:
            action = self._action(outcome) if outcome.entry.sender else None
            if action is not None:
                told.setdefault(action, []).append(self._report(outcome, action))
        return [told[action] for action in _ORDER if action in told]

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
        return None if outcome.answer.notifies else "relayed"

    def _report(self, outcome: Outcome, action: Action) -> Report:
        options, hop = outcome.row.recipient.options, outcome.answer.hop
        return Report(
            outcome.row.recipient.address,
            action,
            outcome.reply,
            remote_mta=hop.name or hop.host if hop is not None else "",
            orcpt=options.get("ORCPT", ""),
            retry_until=outcome.entry.accepted + self._retry.expiry if action == "delayed" else 0.0,
        )

    def write(self, about: Entry, reports: Sequence[Report], content: bytes) -> Entry:
        """The notification that tells of them, ready for the spool. ``content`` is the mail it is about."""
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
        failed = tuple(one.address for one in reports if one.action == "failed")
        return Entry(mail_id, NULL_PATH, options, moment, [row], text, failed=(about.id, failed) if failed else None)
