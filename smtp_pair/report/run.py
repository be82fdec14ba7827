"""A run as the report shows it: values, wherever they come from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from smtp_pair.facts import Fact
from smtp_pair.transcript import Transcript

Outcome = Literal["passed", "failed", "skipped", "unknown"]


@dataclass(frozen=True, slots=True)
class MailSeen:
    """A mail that a server delivered."""

    server: str
    id: str
    """The server's name for it; "" where only the raw mail was kept."""
    moment: float
    """When it was accepted, in seconds since the epoch; 0 where nobody knows."""
    sender: str
    recipients: tuple[str, ...]
    """The mailboxes it was delivered to; () where nobody knows."""
    title: str
    size: int
    """Octets, as stored."""
    file: str
    """Where the raw mail lies, as the report's reader finds it; "" where it was not kept."""
    read: Callable[[], bytes] = field(repr=False, compare=False)
    """The raw mail. Raises OSError when it is gone."""


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server at the end of a test."""

    hostname: str
    domain: str
    delivered: int = 0
    forgotten: int = 0
    """Sessions that were not kept."""
    waiting: tuple[str, ...] = ()
    """What was in its queue still, a line each."""


@dataclass(frozen=True, slots=True)
class Test:
    """A test, or the life of some servers: what happened to the mail of it."""

    __test__ = False  # to pytest, a name like any other

    name: str
    outcome: Outcome = "unknown"
    worker: str = ""
    """The process that ran it; "" where there was one only."""
    began: float = 0.0
    """In seconds since the epoch."""
    ended: float = 0.0
    problem: str = ""
    """What the failure says: of a wait in vain, what was looked for and what came instead."""
    searching: bool = False
    """Whether the problem is a mail that was waited for in vain, or came unasked."""
    traceback: str = ""
    servers: tuple[ServerSeen, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    """The ways to domains that are not the servers' own: domain, destination."""
    sessions: tuple[Transcript, ...] = ()
    facts: tuple[Fact, ...] = ()
    mails: tuple[MailSeen, ...] = ()
    folder: str = ""
    """Where all of it lies, as the report's reader finds it; "" where it does not."""
    missing: str = ""
    """What could not be read, in words."""

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    @property
    def ids(self) -> frozenset[str]:
        """The names that its servers gave to mails."""
        return frozenset(fact.mail for fact in self.facts if fact.mail) | {mail.id for mail in self.mails if mail.id}


@dataclass(frozen=True, slots=True)
class Span:
    """When a test without mail ran: the time line shows where the time went."""

    name: str
    outcome: Outcome
    worker: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Run:
    """All of it."""

    title: str
    tests: tuple[Test, ...]
    others: tuple[Span, ...] = ()
    """The tests that had no mail servers."""
    of_servers: bool = False
    """Whether these are servers that ran by themselves, and no tests."""

    @property
    def spans(self) -> list[Span]:
        """When each test ran."""
        timed = [Span(one.name, one.outcome, one.worker, one.began, one.ended) for one in self.tests if one.began]
        return sorted([*timed, *self.others], key=lambda span: span.began)

    @property
    def facts(self) -> Sequence[Fact]:
        return [fact for test in self.tests for fact in test.facts]
