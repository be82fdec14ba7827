"""One server that takes mail for any domain and hands it out in the order in which it came: what a sink is."""

from __future__ import annotations

import threading
from email import message_from_bytes
from email.message import Message
from typing import Any

from smtp_pair.config import Domain
from smtp_pair.mail.message import Mail
from smtp_pair.network import Network

_NAME = "localhost"


class Sink:
    """A catch-all server on ``host`` and ``port`` (0: a free one), told by ``settings`` as a Domain is.

    Raises ConfigError for what can't be, at once; :meth:`start` raises StartError.
    """

    def __init__(self, host: str, port: int, **settings: Any) -> None:
        self._network = Network(Domain(_NAME, hostname=_NAME, port=port, catch_all=True, **settings), host=host)
        self._lock = threading.Lock()
        self._taken = 0
        self.running = False

    @property
    def port(self) -> int:
        """Where it listens. For one that was started."""
        return self._network.servers[0].port

    def start(self) -> None:
        self._network.start()
        self.running = True

    def stop(self) -> None:
        """Nobody is answered any more; what came is still there to be taken."""
        self._network.stop()
        self.running = False

    def take(self) -> list[Mail]:
        """The mails that came since the last time, oldest first. One whose sender has its 250 is among them."""
        with self._lock:
            mails = self._network.servers[0].messages[self._taken :] if self._network.servers else []
            self._taken += len(mails)
        return mails


def parsed(mail: Mail) -> Message:
    """The mail as its client sent it, as the originals parse it: ``email.message.Message``, header fields as text."""
    return message_from_bytes(mail.content)


def peer(mail: Mail) -> tuple[str, int] | None:
    """Who sent it: address and port."""
    return (mail.origin.host, mail.origin.port) if mail.origin is not None else None
