"""What one server has to tell the account of its network: what became of the recipients in its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smtp_pair.conservation import Conservation
from smtp_pair.entry import Entry, Outcome, Row
from smtp_pair.routes import NextHop


class Books:
    """The entries of one server. Used on the event loop's thread."""

    def __init__(self, hostname: str, conservation: Conservation, is_ours: Callable[[NextHop], bool]) -> None:
        self._hostname = hostname
        self._conservation = conservation
        self._is_ours = is_ours

    def concluded(self, outcome: Outcome) -> None:
        """An attempt has come to something, for one recipient."""
        recipient, hop, mail_id = outcome.row.recipient.address, outcome.answer.hop, outcome.entry.id
        if hop is not None:
            forwarded = outcome.event == "forwarded"
            neighbour = hop.name or str(hop) if self._is_ours(hop) else ""
            self._conservation.attempted(mail_id, recipient, outcome.reply, next_server=neighbour, forwarded=forwarded)
        if outcome.event == "failed":
            if outcome.entry.sender and "FAILURE" in outcome.row.notify:
                return  # its end is the notification, which follows
            self._conservation.ended(mail_id, recipient, "failed", self._hostname)
        elif outcome.event != "deferred":
            self._conservation.ended(mail_id, recipient, outcome.event, self._hostname)

    def announced(self, notification: Entry) -> None:
        """The server has written a notification: a mail that it has accepted from itself, and for those who failed the
        end."""
        self._conservation.accepted(
            self._hostname,
            notification.id,
            "",
            "a notification",
            "this server itself",
            pending=[row.recipient.address for row in notification.rows],
            content=notification.content,
        )
        self._conservation.released(notification.id)
        mail_id, failed = notification.failed or ("", ())
        for recipient in failed:
            self._conservation.ended(mail_id, recipient, "bounced", self._hostname)

    def cut_short(self, entry: Entry, rows: Iterable[Row]) -> None:
        """The server was stopped in the middle of an attempt: nobody heard what the next hop said to it."""
        for row in rows:
            self._conservation.cut_short(entry.id, row.recipient.address)

    def dropped(self, entry: Entry) -> None:
        """Somebody took a mail out of the queue."""
        for row in entry.waiting:
            self._conservation.ended(entry.id, row.recipient.address, "dropped", self._hostname)
