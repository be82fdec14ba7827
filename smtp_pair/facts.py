"""What can happen on a server, as values: one :class:`Fact` for each thing that did.

========== ===========================================================================================================
event      its data
========== ===========================================================================================================
received   a mail was accepted: client, sender, recipients (address, outcome), title, text, size, date, attachments ...
refused    a recipient or a mail was not: client, sender, recipient, reply
delivered  it waited, and is in its mailbox here now: recipient, next_hop, reply, attempts
forwarded  the next hop took it: recipient, next_hop, reply, attempts
deferred   it did not, for now: recipient, next_hop, reply, attempts, again (when it is tried again)
failed     it did not, for good: recipient, next_hop, reply, attempts
fault      what the server was told to do wrong came to pass: fault, phase, client, sender, recipient
========== ===========================================================================================================

``outcome`` of a received mail's recipient: ``delivered`` here, ``queued`` for a next hop, or ``ignored`` (no route,
and the server was told to take such mail and do nothing with it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_json = json.JSONEncoder().encode


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened, on one server."""

    event: str
    moment: float
    """Seconds since the epoch."""
    server: str
    """The host name of the server."""
    mail: str
    """The mail's id on that server; "" for a refused recipient, which had none yet."""
    data: Mapping[str, Any]

    def line(self) -> bytes:
        """The line of ``journal.jsonl``; ASCII, so that nothing in a mail can reach a terminal through it."""
        stamp = datetime.fromtimestamp(self.moment, UTC).isoformat(timespec="milliseconds")
        line = _json({"at": stamp, "event": self.event, "server": self.server, "mail": self.mail, **self.data})
        return f"{line}\n".encode("ascii")

    @classmethod
    def parse(cls, line: bytes | str) -> Fact:
        """The fact in a line. Raises ValueError when there is none in it."""
        data = json.loads(line)
        try:
            moment = datetime.fromisoformat(data.pop("at")).timestamp()
            return cls(data.pop("event"), moment, data.pop("server"), data.pop("mail"), data)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a fact: {line[:80]!r}") from error
