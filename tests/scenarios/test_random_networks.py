"""Any network: some domains with users and aliases that lead anywhere, ways that go round in circles or nowhere, next
hops that do anything wrong, stops in between. Every recipient that was accepted ends as exactly one of delivered,
passed on, bounced and ignored, or waits; and it ends."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.unruly_hop import CLOSE, RESET, Raw, Says, UnrulyHop
from smtp_pair import Domain, Network, Server, journal
from smtp_pair.config import Retry, WhenUnreachable
from smtp_pair.facts import Fact
from smtp_pair.routes import NextHop

RETRY = Retry(first=60, most=600, expiry=3000, warn=1200)
LIVES = 4
"""Expiries after which nothing can wait any more: a mail, and the notification about it; and a hop again."""
USERS = ("ann", "bob")
ALIASES = ("team", "list")
FAULTS: dict[str, Says] = {
    "later": b"451 4.3.0 later",
    "never": b"550 5.1.1 never",
    "closing": b"421 4.3.2 closing",
    "hangs up": CLOSE,
    "resets": RESET,
    "garbage": Raw(b"\xff\x00garbage\r\n"),
}
ENDS = ("delivered", "forwarded", "failed")


@dataclass(frozen=True)
class Fault:
    phase: str
    says: str
    times: int
    """0: always."""


@dataclass(frozen=True)
class Letter:
    at: int
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """All that is told to a network, and what is sent there."""

    users: tuple[bool, ...]
    """For each domain, whether its users are named."""
    unreachable: tuple[WhenUnreachable, ...]
    aliases: tuple[dict[str, tuple[str, ...]], ...]
    rings: tuple[int, ...]
    """The server that ring0.test, ring1.test ... lead to: it is not theirs."""
    hops: tuple[tuple[bool, tuple[Fault, ...]], ...]
    """For each of hop0.test, hop1.test ... whether it is down, and what it does wrong."""
    letters: tuple[Letter, ...]
    pauses: tuple[int, ...]
    """Seconds until the network is stopped and started again."""


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(2, 5))
    domains = [f"d{number}.test" for number in range(count)]
    rings = draw(st.lists(st.integers(0, count - 1), max_size=2))
    hops = draw(st.lists(st.tuples(st.booleans(), st.lists(_faults, max_size=3).map(tuple)), min_size=1, max_size=3))
    local = st.sampled_from(USERS + ALIASES)
    elsewhere = [f"ring{number}.test" for number in range(len(rings))] + [f"hop{n}.test" for n in range(len(hops))]
    domain = st.sampled_from([*domains, *domains, *elsewhere, "null.test", "nowhere.test"])
    anybody = st.builds("{}@{}".format, local, domain)
    targets = st.lists(anybody, min_size=1, max_size=3, unique=True).map(tuple)
    aliases = [draw(st.dictionaries(st.sampled_from(ALIASES), targets)) for _ in domains]
    letters = st.builds(
        Letter,
        st.integers(0, count - 1),
        st.just("") | anybody,
        st.lists(anybody, min_size=1, max_size=4, unique=True).map(tuple),
    )
    return World(
        tuple(draw(st.booleans()) for _ in domains),
        tuple(draw(st.sampled_from(["refuse", "bounce", "ignore"])) for _ in domains),
        tuple(aliases),
        tuple(rings),
        tuple(hops),
        draw(st.lists(letters, min_size=1, max_size=4).map(tuple)),
        draw(st.lists(st.integers(0, 2000), max_size=2).map(tuple)),
    )


_faults = st.builds(
    Fault,
    st.sampled_from(["greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"]),
    st.sampled_from(sorted(FAULTS)),
    st.integers(0, 2),
)


def build(world: World, folder: Path, hops: Sequence[UnrulyHop]) -> Network:
    """The network, started."""
    domains = [
        Domain(
            f"d{number}.test",
            users=USERS if named else None,
            unreachable=world.unreachable[number],
            aliases={f"{alias}@d{number}.test": targets for alias, targets in world.aliases[number].items()},
        )
        for number, named in enumerate(world.users)
    ]
    routes = {f"hop{number}.test": hop.address for number, hop in enumerate(hops)} | {"null.test": "."}
    network = Network(*domains, routes=routes, directory=folder, clock="manual", retry=RETRY, seed=1)
    network.start()
    network.stop()  # the ports are known now, and stay
    for number, server in enumerate(world.rings):
        network._routes[f"ring{number}.test"] = NextHop("127.0.0.1", network.servers[server].port)
    return network.start()


def hop_of(down: bool, faults: Sequence[Fault]) -> UnrulyHop:
    hop = UnrulyHop(down=down)
    for fault in faults:
        if fault.times:
            hop.says(fault.phase, *[FAULTS[fault.says]] * fault.times)
        else:
            hop.always(fault.phase, FAULTS[fault.says])
    return hop


@settings(max_examples=40)
@given(worlds())
def test_every_recipient_has_one_end(world: World) -> None:
    """After each pause, and when all has had its time."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        hops = [running.enter_context(hop_of(down, faults)) for down, faults in world.hops]
        network = running.enter_context(build(world, folder, hops))
        for letter in world.letters:
            network.servers[letter.at].send(letter.recipients, sender=letter.sender)
        for pause in world.pauses:
            network.clock.advance(pause)
            check(network)
            network.stop()
            network.start()
        network.clock.advance(RETRY.expiry * LIVES)
        check(network)
        assert [one for server in network for one in server.queue] == []
        assert not list(folder.rglob("spool/mail/*"))


def check(network: Network) -> None:
    network.settle()
    for server in network:
        facts = journal.read(server.directory) if (server.directory / "journal.jsonl").exists() else []
        check_ends(server, facts)
        check_notifications(facts)
        check_mailboxes(server, facts)


def check_ends(server: Server, facts: Sequence[Fact]) -> None:
    """What was accepted as delivered or ignored has no other end; what was queued waits, or has one."""
    ends = Counter((fact.mail, fact.data["recipient"]) for fact in facts if fact.event in ENDS)
    waiting = Counter((one.mail, str(one.recipient)) for one in server.queue)
    assert set(waiting.values()) <= {1} and set(ends.values()) <= {1}
    outcomes = {
        (fact.mail, each["address"]): each["outcome"]
        for fact in facts
        if fact.event == "received"
        for each in fact.data["recipients"]
    }
    for key, outcome in outcomes.items():
        assert (waiting[key] + ends[key] == 1) is (outcome == "queued"), (key, outcome, ends[key], waiting[key])
    assert {*ends, *waiting} <= {key for key, outcome in outcomes.items() if outcome == "queued"}


def check_notifications(facts: Sequence[Fact]) -> None:
    """One for all recipients of a mail that an attempt failed, and none where the sender is nobody."""
    senders = {fact.mail: fact.data["sender"] for fact in facts if fact.event == "received"}
    failed = {
        (fact.mail, fact.moment, fact.data["next_hop"])
        for fact in facts
        if fact.event == "failed" and senders[fact.mail]
    }
    own = [fact for fact in facts if fact.event == "received" and fact.data["client"] == "this server itself"]
    told = Counter(fact.data["title"] for fact in own)
    assert told["Mail could not be delivered"] == len(failed)
    assert set(told) <= {"Mail could not be delivered", "Mail is delayed, and still being tried"}
    assert all(fact.data["sender"] == "" and len(fact.data["recipients"]) == 1 for fact in own)


def check_mailboxes(server: Server, facts: Sequence[Fact]) -> None:
    """Each mail that was delivered is in each of its mailboxes, once; nothing else is there."""
    delivered: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        if fact.event == "delivered":
            delivered[fact.mail].add(fact.data["recipient"].partition("@")[0])
        if fact.event == "received":
            here = [each["address"] for each in fact.data["recipients"] if each["outcome"] == "delivered"]
            delivered[fact.mail] |= {address.partition("@")[0] for address in here}
    expected = Counter(user for users in delivered.values() for user in users)
    found = Counter(path.parent.parent.name for path in server.directory.glob("maildir/*/new/*"))
    assert found == expected
