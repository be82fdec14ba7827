"""What must be where: a network of mail, told in the plainest way that is still right.

No socket, no disk, no thread: a mail is a token with recipients, a server is a name with users, a mood and a list of
what waits. Written from RFC 5321 and the rules of ``docs/behaviour.md``, not from the code that it judges.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from typing import Literal

Says = Literal["yes", "later", "never", "nothing"]
"""What a server comes to, for one recipient: 2xx, 4xx, 5xx, or no reply at all."""
Phase = Literal["MAIL", "RCPT", "DATA", "dot"]
WhenUnreachable = Literal["refuse", "bounce", "ignore"]

NULL = ""
"""The null reverse-path: nobody is told what becomes of such a mail (RFC 5321 6.1)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: when a mail is tried again, when its sender is warned, when it has failed."""

    first: float
    factor: float
    most: float
    warn: float
    expiry: float

    def delay(self, attempts: int) -> float:
        """Seconds to wait after the attempt of that number (the first is 1)."""
        return min(self.most, self.first * self.factor ** (attempts - 1))


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, as far as its fate goes."""

    token: str
    """What tells it from every other. A notification has that of the mail it is about."""
    sender: str
    told: tuple[str, frozenset[str]] | None = None
    """Of a notification: what became of whom."""
    quiet: bool = False
    """Whether nobody is to be told what becomes of it (NOTIFY=NEVER, RFC 3461 4.1)."""


Delivery = tuple[str, str, str, tuple[str, frozenset[str]] | None]
"""A mailbox that got a mail: the server, the address in lower case, and the letter's token and told."""


@dataclass(slots=True, eq=False)
class Batch:
    """The recipients of a letter that go the same way and wait for the same moment."""

    letter: Letter
    domain: str
    recipients: tuple[str, ...]
    accepted: float
    attempts: int = 0
    warned: bool = False


@dataclass(slots=True)
class Host:
    """One server."""

    domain: str
    users: frozenset[str] | None
    unreachable: WhenUnreachable
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Local parts that stand for addresses. None of them leads back to itself."""
    moods: dict[Phase, Says] = field(default_factory=dict)
    """What it says at a phase, whatever it is asked; "nothing" at the dot: it takes the mail, and its reply is lost."""
    once: set[Phase] = field(default_factory=set)
    """The moods that it has for one time."""
    up: bool = True
    waits: list[Batch] = field(default_factory=list)

    def says(self, phase: Phase) -> Says:
        """What it says there, and whether it will say so again."""
        if phase in self.once:
            self.once.remove(phase)
            return self.moods.pop(phase)
        return self.moods.get(phase, "yes")


class World:
    """Some servers that know each other, and all mail that ever went in."""

    def __init__(self, hosts: Iterable[Host], patience: Patience, now: float) -> None:
        self.hosts: Mapping[str, Host] = {host.domain: host for host in hosts}
        self.now = now
        self.delivered: Counter[Delivery] = Counter()
        self.apart: set[frozenset[str]] = set()
        """Pairs of domains that can't reach each other."""
        self._patience = patience
        self._due: list[tuple[float, int, Host, Batch]] = []
        self._numbers = count()

    # -- what clients see ----------------------------------------------------------------------------------------------

    def offer(self, domain: str, letter: Letter, recipients: Sequence[str]) -> list[Says]:
        """A client brings a mail to a server; what it is told in the end for each of the recipients."""
        return self._visit(self.hosts[domain], letter, recipients)

    # -- time ----------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, from one due moment to the next."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            moment, _, host, batch = heapq.heappop(self._due)
            self.now = max(self.now, moment)
            host.waits.remove(batch)
            self._attempt(host, batch)
        self.now = end

    @property
    def next_due(self) -> float | None:
        """When something is tried next; None: nothing waits."""
        return self._due[0][0] if self._due else None

    def waiting(self, domain: str) -> Counter[str]:
        """The recipients that a server still has to serve, in lower case."""
        return Counter(one.lower() for batch in self.hosts[domain].waits for one in batch.recipients)

    def try_now(self, domain: str) -> None:
        """Whatever waits on a server is tried at once."""
        host = self.hosts[domain]
        batches, host.waits = host.waits, []
        self._due = [due for due in self._due if due[2] is not host]
        heapq.heapify(self._due)
        for batch in batches:
            self._attempt(host, batch)

    # -- a server takes a mail -----------------------------------------------------------------------------------------

    def _visit(self, host: Host, letter: Letter, recipients: Sequence[str]) -> list[Says]:
        if (refusal := host.says("MAIL")) != "yes":
            return [refusal] * len(recipients)
        answers = [self._may_enter(host, recipient) for recipient in recipients]
        entering = [recipient for recipient, answer in zip(recipients, answers, strict=True) if answer == "yes"]
        if not entering:
            return answers
        final = host.says("DATA")
        if final == "yes":
            final = host.says("dot")
        if final in ("yes", "nothing"):
            self._take(host, letter, entering)
        return [final if answer == "yes" else answer for answer in answers]

    def _may_enter(self, host: Host, recipient: str) -> Says:
        if (refusal := host.says("RCPT")) != "yes":
            return refusal
        domain = _domain(recipient)
        if domain == host.domain:
            return "yes" if self._exists(host, recipient) else "never"
        return "yes" if domain in self.hosts or host.unreachable != "refuse" else "never"

    def _exists(self, host: Host, recipient: str) -> bool:
        return host.users is None or _local(recipient) in host.users

    def _take(self, host: Host, letter: Letter, recipients: Sequence[str]) -> None:
        meant = {
            (_local(end), _domain(end)): end for recipient in recipients for end in self._ends(host, recipient)
        }  # each once
        by_domain = groupby(sorted(meant.values(), key=_domain), key=_domain)
        for domain, some in by_domain:
            theirs = tuple(some)
            if domain == host.domain:
                self._deliver(host, letter, theirs)
            elif domain in self.hosts or host.unreachable == "bounce":
                self._attempt(host, Batch(letter, domain, theirs, self.now))

    def _ends(self, host: Host, recipient: str) -> Iterator[str]:
        """Where mail for a recipient goes: there, or where the alias leads that it is."""
        if _domain(recipient) == host.domain and _local(recipient) in host.aliases:
            for target in host.aliases[_local(recipient)]:
                yield from self._ends(host, target)
        else:
            yield recipient

    def _deliver(self, host: Host, letter: Letter, recipients: Iterable[str]) -> None:
        for address in {recipient.lower() for recipient in recipients}:
            self.delivered[host.domain, address, letter.token, letter.told] += 1

    # -- a server passes a mail on -------------------------------------------------------------------------------------

    def _attempt(self, host: Host, batch: Batch) -> None:
        batch.attempts += 1
        answers = self._answers(host, batch)
        failed = [who for who, says in answers if says == "never"]
        left = tuple(who for who, says in answers if says in ("later", "nothing"))
        due = self.now + self._patience.delay(batch.attempts)
        if left and due > batch.accepted + self._patience.expiry:
            failed += left
            left = ()
        late = bool(left) and not batch.warned and self.now >= batch.accepted + self._patience.warn
        if left:
            batch.recipients = left
            batch.warned = batch.warned or late
            host.waits.append(batch)
            heapq.heappush(self._due, (due, next(self._numbers), host, batch))
        if failed:
            self._notify(host, batch.letter, "failed", failed)
        if late:
            self._notify(host, batch.letter, "delayed", left)

    def _answers(self, host: Host, batch: Batch) -> list[tuple[str, Says]]:
        says: Sequence[Says]
        if batch.domain == host.domain:  # a notification to a sender of its own
            [who] = batch.recipients
            exists = self._exists(host, who)
            if exists:
                self._deliver(host, batch.letter, batch.recipients)
            says = ["yes" if exists else "never"]
        elif batch.domain not in self.hosts:
            says = ["never"] * len(batch.recipients)
        elif not self.hosts[batch.domain].up or frozenset((host.domain, batch.domain)) in self.apart:
            says = ["later"] * len(batch.recipients)
        else:
            says = self._visit(self.hosts[batch.domain], batch.letter, batch.recipients)
        return list(zip(batch.recipients, says, strict=True))

    def _notify(self, host: Host, about: Letter, action: str, recipients: Iterable[str]) -> None:
        """One for all that failed at the same moment; never about a notification, or another null sender."""
        if about.sender == NULL or about.quiet:
            return
        told = (action, frozenset(one.lower() for one in recipients))
        batch = Batch(Letter(about.token, NULL, told), _domain(about.sender), (about.sender,), self.now)
        self._attempt(host, batch)


def _local(address: str) -> str:
    return address.lower().rpartition("@")[0]


def _domain(address: str) -> str:
    return address.lower().rpartition("@")[2]
