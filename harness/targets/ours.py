"""Our own servers, as places among others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.targets.place import Delivered, Place, TargetError
from smtp_pair import background

if TYPE_CHECKING:
    from smtp_pair import Network, Server

_PATIENCE = 30.0
_TICK = 0.02  # seconds between two attempts at what waits


class Ours(Place):
    """A server of a network that runs."""

    kind = "embedded"

    def __init__(self, network: Network, server: Server) -> None:
        self.network, self.server = network, server
        self.domain, self.hostname = server.domain, server.hostname
        self.host, self.port = server.host, server.port

    def settle(self) -> None:
        """Wait until nothing moves; what waits for another attempt has it now."""
        self.network.settle()
        until = time.monotonic() + _PATIENCE
        while queue := self.server.queue:
            if time.monotonic() > until:
                raise TargetError(f"{self.hostname} did not come to rest: {queue}")
            time.sleep(_TICK)
            self.server.retry_now()
            self.network.settle()

    def delivered(self) -> list[Delivered]:
        """One for each recipient; that their copies on the disk are alike is for ``evidence_of_ours.py``."""
        return [Delivered(recipient, mail.raw) for mail in self.server.messages for recipient in mail.delivered_to]

    def forget(self) -> None:
        """Empty its mailboxes."""
        self.server.remove(background.run(self.server.forget()))
