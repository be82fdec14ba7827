"""The sums that drawings are made of: ways that mail took, how long it took, when. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from smtp_pair.facts import Fact
from smtp_pair.report.run import Run, Test
from smtp_pair.routes import LOCAL, NO_MAIL, UNREACHABLE

_HERE = str(LOCAL)
_NOWHERE = (str(UNREACHABLE), str(NO_MAIL))
Ends = ("delivered", "forwarded", "failed")
OUTCOMES = ("delivered", "forwarded", "deferred", "refused", "failed")
"""What a recipient may come to, in the order in which it is shown."""


@dataclass(slots=True)
class Way:
    """From a server to where it passed mail on, or tried to."""

    source: str
    target: str
    forwarded: int = 0
    deferred: int = 0
    failed: int = 0


@dataclass(slots=True)
class Place:
    """A server, in all tests together."""

    hostname: str
    domain: str
    sessions: int = 0
    """Those of clients that are no servers of the network."""
    brought: int = 0
    """Mails that came from clients, and not from a server of the network or from itself."""
    accepted: int = 0
    """Mails, whoever brought them."""
    delivered: int = 0
    """To mailboxes here."""
    waiting: int = 0
    faults: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Recipients, by their domain and the beginning of the reply."""


@dataclass(slots=True)
class Net:
    """The network that all tests together used."""

    places: dict[str, Place]
    ways: dict[tuple[str, str], Way]
    strangers: list[str]
    """Next hops that are no servers of the network."""


def net(tests: Iterable[Test]) -> Net:
    """Who is there, and what passed between them."""
    places: dict[str, Place] = {}
    ways: dict[tuple[str, str], Way] = {}

    tests = list(tests)

    def place(hostname: str, domain: str = "") -> Place:
        found = places.setdefault(hostname, Place(hostname, domain))
        found.domain = found.domain or domain
        return found

    for test in tests:  # all of them first: which are servers is to be known
        for server in test.servers:
            place(server.hostname, server.domain).waiting += len(server.waiting)
    for test in tests:
        for session in test.sessions:
            if not session.relayed:
                place(session.server).sessions += 1
        for fact in test.facts:
            _count(fact, place(fact.server), ways)
            place(fact.server).brought += fact.event == "received" and not brought_by(fact, places)
        if not test.facts:
            for mail in test.mails:
                place(mail.server).delivered += max(1, len(mail.recipients))
    names = {_port_free(way.target) for way in ways.values()}
    return Net(places, ways, sorted(names - places.keys()))


def _count(fact: Fact, place: Place, ways: dict[tuple[str, str], Way]) -> None:
    data = fact.data
    if fact.event == "received":
        place.accepted += 1
        place.delivered += sum(to["outcome"] == "delivered" for to in data["recipients"])
    elif fact.event == "refused":
        domain = _domain(str(data["recipient"])) or "(the mail)"
        place.refused[domain, " ".join(str(data["reply"]).split()[:2])] += 1
    elif fact.event == "fault":
        place.faults += 1
    elif fact.event == "delivered":
        place.delivered += 1
    elif data.get("next_hop") in _NOWHERE:
        place.refused[_domain(str(data["recipient"])), " ".join(str(data["reply"]).split()[:2])] += 1
    elif data.get("next_hop") not in (None, "", _HERE) and fact.event in ("forwarded", "deferred", "failed"):
        target = _port_free(str(data["next_hop"]))
        way = ways.setdefault((fact.server, target), Way(fact.server, target))
        setattr(way, fact.event, getattr(way, fact.event) + 1)


def brought_by(fact: Fact, servers: Container[str]) -> str:
    """The server of the network that a received mail came from, itself included; "": a client."""
    client = str(fact.data.get("client", ""))
    if client == "this server itself":
        return fact.server
    name = client.partition(" ")[0]
    return name if name in servers else ""


def _domain(recipient: str) -> str:
    """A refused one is as its client wrote it, be it an address or not."""
    return recipient.strip("<> ").rpartition("@")[2]


def _port_free(hop: str) -> str:
    """``smtp.b.test (127.0.0.1:2525)`` is the host that people know; a bare address stays."""
    return hop.partition(" (")[0] or hop


# -- each recipient that had to wait -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was said of a recipient, and when: seconds since the mail was accepted."""

    after: float
    event: str
    reply: str
    again: float | None = None
    """When it was to be tried next, in the same seconds."""


@dataclass(frozen=True, slots=True)
class Waited:
    """A recipient that did not get its mail at once."""

    server: str
    mail: str
    title: str
    recipient: str
    accepted: float
    attempts: tuple[Attempt, ...]

    @property
    def end(self) -> str:
        """What became of it; "" where it waits still."""
        return self.attempts[-1].event if self.attempts and self.attempts[-1].event != "deferred" else ""


def waits(facts: Sequence[Fact]) -> list[Waited]:
    """The recipients that a queue held, in the order in which their mails were accepted."""
    heads = {fact.mail: fact for fact in facts if fact.event == "received"}
    tries: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.event == "received":
            for to in fact.data["recipients"]:
                if to["outcome"] == "queued":
                    tries.setdefault((fact.mail, str(to["address"])), [])
        elif fact.event in ("delivered", "forwarded", "deferred", "failed"):
            tries[fact.mail, str(fact.data["recipient"])].append(fact)
    found = []
    for (mail, recipient), said in tries.items():
        head = heads.get(mail) or (said[0] if said else None)
        if head is None:
            continue
        attempts = tuple(
            Attempt(
                max(0.0, fact.moment - head.moment),
                fact.event,
                str(fact.data["reply"]),
                fact.data["again"] - head.moment if fact.event == "deferred" else None,
            )
            for fact in said
        )
        title = str(head.data.get("title", "a notification"))
        found.append(Waited(head.server, mail, title, recipient, head.moment, attempts))
    return sorted(found, key=lambda one: one.accepted)


# -- how long it took --------------------------------------------------------------------------------------------------


def latencies(run: Run) -> Mapping[str, list[float]]:
    """Seconds, by outcome. ``delivered``: from a mail's last octet to its 250, as its session tells. Those that
    waited: from the 250 to the end."""
    found: dict[str, list[float]] = {end: [] for end in Ends}
    for test in run.tests:
        for session in test.sessions:
            sent: float | None = None
            for event in session.events:
                if event.kind == "body":
                    sent = event.at
                elif event.kind == "reply" and sent is not None:
                    if event.text.startswith("250"):
                        found["delivered"].append(event.at - sent)
                    sent = None
        for one in waits(test.facts):
            if one.end:
                found[one.end].append(one.attempts[-1].after)
    return {end: sorted(seconds) for end, seconds in found.items() if seconds}


@dataclass(frozen=True, slots=True)
class Spread:
    """Some latencies: how many there are in each of the bins, of equal width on a logarithmic scale."""

    count: int
    least: float
    middle: float
    most: float
    bins: tuple[int, ...]


def spread(seconds: Sequence[float], low: float, high: float, bins: int) -> Spread:
    """``low`` and ``high``, in seconds, are the ends of the scale."""
    counts = [0] * bins
    width = math.log(high / low)
    for one in seconds:
        counts[min(bins - 1, max(0, int(math.log(max(one, low) / low) / width * bins)))] += 1
    return Spread(len(seconds), min(seconds), median(seconds), max(seconds), tuple(counts))


# -- when --------------------------------------------------------------------------------------------------------------


def over_time(run: Run, bins: int) -> tuple[float, float, dict[str, list[int]]]:
    """How many recipients came to what, in each of so many equal parts of the run: where it begins, how long it is
    (in seconds), and the counts by outcome. A clock that a test moves may be days ahead: what happened under it counts
    where the test ran."""
    moments: list[tuple[float, str, int]] = []
    for test in run.tests:
        low, high = (test.began, test.ended) if test.began else (-math.inf, math.inf)
        for fact in test.facts:
            at = min(max(fact.moment, low), high)
            if fact.event == "received":
                here = sum(to["outcome"] == "delivered" for to in fact.data["recipients"])
                if here:
                    moments.append((at, "delivered", here))
            elif fact.event in OUTCOMES:
                moments.append((at, fact.event, 1))
    if not moments:
        return 0.0, 0.0, {}
    began, ended = min(one[0] for one in moments), max(one[0] for one in moments)
    length = max(ended - began, 0.001)
    counts = {outcome: [0] * bins for outcome in OUTCOMES}
    for at, outcome, number in moments:
        counts[outcome][min(bins - 1, int((at - began) / length * bins))] += number
    return began, length, {outcome: row for outcome, row in counts.items() if any(row)}


def span(seconds: float) -> str:
    """A duration for people: ``0.4 ms``, ``1.2 s``, ``5 min``, ``5 d``."""
    for limit, unit, name in ((1, 0.001, "ms"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{_short(seconds / unit)} {name}"
    return f"{_short(seconds / 86_400)} d"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
