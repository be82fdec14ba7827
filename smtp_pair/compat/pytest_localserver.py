"""pytest-localserver's ``smtpserver``: ``pytest_plugins = ["smtp_pair.compat.pytest_localserver"]``.

A mail in :attr:`Server.outbox` is an ``email.message.Message`` with ``.details``, as there. What differs is on purpose:
the server speaks SMTP as this package does (replies with enhanced codes, PIPELINING, SMTPUTF8 ...), ``stop`` may be
called twice and followed by ``start``, and ``accepting`` is False then, not an error. The fixtures for HTTP are not
here: they are pytest-localserver's own.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence
from email.message import Message
from typing import Any

import pytest

from smtp_pair.compat.sink import Sink, parsed, peer
from smtp_pair.mail.message import Mail


class MessageDetails:
    """The envelope of a mail, as pytest-localserver words it."""

    def __init__(self, peer: tuple[str, int] | None, mailfrom: str, rcpttos: list[str]) -> None:
        self.peer = peer
        """Address and port of the client."""
        self.mailfrom = mailfrom
        self.rcpttos = rcpttos

    def __repr__(self) -> str:
        return f"<MessageDetails {self.mailfrom} -> {', '.join(self.rcpttos)}>"


class Outbox(MutableSequence[Any]):
    """What came, oldest first; a list to look at, and to empty, at any time: each look finds what has come by then."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._messages: list[Any] = []

    @property
    def _now(self) -> list[Any]:
        self._messages += map(_message, self._sink.take())
        return self._messages

    def __getitem__(self, key: Any) -> Any:
        return self._now[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._now[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._now[key]

    def __len__(self) -> int:
        return len(self._now)

    def insert(self, index: int, value: Any) -> None:
        """As a list does."""
        self._now.insert(index, value)

    def __eq__(self, other: object) -> bool:
        return self._now == (other._now if isinstance(other, Outbox) else other)

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return repr(self._now)


class Server:
    """A small SMTP server for tests, which takes any mail. ``host`` is an address of this machine's loopback, or
    ``localhost`` for IPv4 and IPv6; ``port`` 0 takes a free one. :meth:`start` raises StartError, at once, where the
    port is taken."""

    def __init__(self, host: str = "localhost", port: int = 0) -> None:
        self.hostname = host
        self.port = port
        """Where to connect; from the start on a real one."""
        self._sink = Sink(host, port)
        self._outbox = Outbox(self._sink)

    @property
    def addr(self) -> tuple[str, int]:
        """Address and port, for ``smtplib.SMTP(*server.addr)``."""
        return "127.0.0.1" if self.hostname == "localhost" else self.hostname, self.port

    @property
    def outbox(self) -> Outbox:
        """The mails that came, each an ``email.message.Message`` with ``.details`` (``peer``, ``mailfrom``,
        ``rcpttos``)."""
        return self._outbox

    @property
    def accepting(self) -> bool:
        """Whether a client would be answered."""
        return self._sink.running

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._sink.running

    def start(self) -> None:
        self._sink.start()
        self.port = self._sink.port

    def stop(self, timeout: float | None = None) -> None:
        """Stop it; a second time does nothing. ``timeout`` is there for old callers: no stop waits for a client."""
        self._sink.stop()

    def __del__(self) -> None:
        if "_sink" in self.__dict__ and self.is_alive():
            self.stop()

    def __repr__(self) -> str:
        return f"<smtp.Server {self.addr[0]}:{self.port}>"


@pytest.fixture
def smtpserver() -> Iterator[Server]:
    """A running SMTP server that takes any mail: pytest-localserver's, until the suite has moved to ``mail_pair``.

    ``smtpserver.addr`` becomes ``mail_pair.jaku.host`` and ``mail_pair.jaku.port``; ``smtpserver.outbox[-1]`` becomes
    ``mail_pair.jaku.wait_for(subject=...)``, with ``.message`` for the Message and ``.envelope`` for its details. A
    server for any domain, as this one is, is ``mail_network(Domain("any.test", catch_all=True))``. docs/migrating.md.
    """
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _message(mail: Mail) -> Message:
    message = parsed(mail)
    recipients = [str(address) for address in mail.envelope.recipients]
    message.details = MessageDetails(  # type: ignore[attr-defined]  # as the original does
        peer(mail), str(mail.envelope.sender), recipients
    )
    return message
