"""Names for the mails of a network."""

from __future__ import annotations

import secrets


class MailIds:
    """Names for mails: in the order of time, unlike any other network's, safe as file names (Maildir's too)."""

    def __init__(self) -> None:
        self._key = secrets.token_hex(5)
        self.count = 0
        """How many it has given."""

    def new(self, moment: float) -> str:
        """Another one, for a mail that is accepted at that moment (seconds since the epoch)."""
        self.count += 1
        return f"{int(moment * 1000):011x}-{self._key}-{self.count:x}"

    def __contains__(self, mail_id: str) -> bool:
        """Whether this network gave the name out: no stranger knows the key before it is in a mail."""
        return mail_id.partition("-")[2].partition("-")[0] == self._key
