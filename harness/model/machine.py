"""The machine: what may happen to a network of mail, told to real servers and to the model alike.

After every step the two are held against each other. What must hold: each mail is where the model has it and nowhere
else, as often as the model has it, octet for octet; what waits, waits in both; one notification for each failure; and
in the end nothing waits.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.model.letters import STYLES, Style, break_off, hand_over
from harness.model.world import NULL, Delivery, Host, Letter, Patience, Phase, Says, World
from smtp_pair import Domain, Network, Server
from smtp_pair.config import Retry
from smtp_pair.mail.message import Mail

PATIENCE = Patience(first=60.0, factor=2.0, most=1800.0, warn=3600.0, expiry=6 * 3600.0)
USERS = ("ann", "bob")
DOMAINS = ("a.test", "b.test", "c.test")
SENDERS = ("me@a.test", "ann@b.test", "You@C.Test", "ghost@b.test", "away@nowhere.test", NULL)
RECIPIENTS = (
    "you@a.test",
    "You.Too@A.TEST",
    "ann@b.test",
    "Bob@B.Test",
    "ghost@b.test",
    "her@c.test",
    "%@c.test",
    "him@nowhere.test",
    "all@c.test",
    "Both@A.test",
)
ALIASES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "a.test": {"both": ("all@c.test", "you@a.test")},
    "c.test": {"all": ("her@c.test", "Bob@b.test", "ghost@b.test", "everybody@c.test"), "everybody": ("%@c.test",)},
}
LINES = (b"", b".", b"..", b".a", b"a.", b"\xe9t\xe9", b"From me", b"\t", b"x" * 998)

_TOO_LONG = 1 << 17
"""Octets of a reply that no client takes."""
_TOKEN = re.compile(rb"token-\d+\.")
_TEXTS: dict[Says, str] = {"later": "451 4.3.0 later", "never": "550 5.7.1 never"}

domains = st.sampled_from(DOMAINS)
phases: st.SearchStrategy[Phase] = st.sampled_from(["MAIL", "RCPT", "DATA", "dot"])


class NetworkMachine(RuleBasedStateMachine):
    """Three servers with every way of treating strangers; clients, faults, partitions, restarts, and time."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._sent: dict[str, bytes] = {}
        self._found: Counter[Delivery] = Counter()
        self._seen: Counter[str] = Counter()
        self._changed: list[Mail] = []

    @initialize(durable=st.sampled_from([False, False, False, False, True]))  # it takes its time
    def start(self, durable: bool) -> None:
        """Three domains: anybody and no strangers; named users and bounces; anybody and silence. All of them sync what
        they keep to the disk, or none does."""
        retry = Retry(PATIENCE.first, PATIENCE.factor, PATIENCE.most, PATIENCE.expiry, PATIENCE.warn, jitter=0.0)
        self.network = Network(
            Domain("a.test", aliases=ALIASES["a.test"]),
            Domain("b.test", users=USERS, unreachable="bounce"),
            Domain("c.test", aliases=ALIASES["c.test"], unreachable="ignore"),
            directory=Path(self._folder.name),
            durability="durable" if durable else "fast",
            clock="manual",
            retry=retry,
        ).start()
        hosts = [
            Host("a.test", None, "refuse", ALIASES["a.test"]),
            Host("b.test", frozenset((*USERS, "postmaster")), "bounce"),
            Host("c.test", None, "ignore", ALIASES["c.test"]),
        ]
        self.world = World(hosts, PATIENCE, self.network.clock.now())

    # -- clients -------------------------------------------------------------------------------------------------------

    @rule(
        domain=domains,
        sender=st.sampled_from(SENDERS),
        recipients=st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=4, unique=True),
        lines=st.lists(st.sampled_from(LINES), max_size=4),
        style=st.sampled_from(STYLES),
        quiet=st.sampled_from([False, False, True]),
    )
    def send(
        self,
        domain: str,
        sender: str,
        recipients: Sequence[str],
        lines: Sequence[bytes],
        style: Style,
        quiet: bool,
    ) -> None:
        """A client brings a mail, and may not want to hear of it again."""
        if self.world.hosts[domain].up:
            self._send(domain, sender, recipients, lines, style, quiet=quiet)

    @rule(
        domain=domains,
        phase=phases,
        says=st.sampled_from(["later", "never"]),
        recipients=st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=3, unique=True),
        style=st.sampled_from(("in steps", "pipelined")),
    )
    def send_and_be_refused_once(
        self, domain: str, phase: Phase, says: Says, recipients: Sequence[str], style: Style
    ) -> None:
        """A server in good order refuses a client at one point, and nobody after it."""
        host = self.world.hosts[domain]
        if host.up and not host.moods:
            host.moods[phase] = says
            host.once.add(phase)
            given = self.network[domain].faults.reject(phase, _TEXTS[says], times=1)
            self._send(domain, SENDERS[0], recipients, [], style)
            assert given.fired == (phase not in host.once)
            self._calm(domain)

    @rule(
        domain=domains,
        recipients=st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=3, unique=True),
        style=st.sampled_from(STYLES),
        reset=st.booleans(),
    )
    def break_off(self, domain: str, recipients: Sequence[str], style: Style, reset: bool) -> None:
        """A client is gone before the end of its mail: nobody gets it (C48)."""
        host, server = self.world.hosts[domain], self.network[domain]
        if host.up and not host.moods:
            break_off(server.host, server.port, SENDERS[0], recipients, b"Subject: half\r\n\r\n", style, reset=reset)

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    @rule(domain=domains, phase=phases, says=st.sampled_from(["later", "never"]))
    def refuse(self, domain: str, phase: Phase, says: Says) -> None:
        """From now on a server refuses at that point, whatever it is asked."""
        self._calm(domain)
        self.world.hosts[domain].moods[phase] = says
        for command in ("DATA", "BDAT") if phase == "DATA" else (phase,):
            self.network[domain].faults.reject(command, _TEXTS[says])

    @rule(domain=domains)
    def lose_replies(self, domain: str) -> None:
        """From now on a server takes mails, and its client never hears of it: C79."""
        self._calm(domain)
        self.world.hosts[domain].moods["dot"] = "nothing"
        self.network[domain].faults.overlong("dot", _TOO_LONG)  # it says so, and nobody can read it

    @rule(domain=domains)
    def calm(self, domain: str) -> None:
        """A server does as it should again."""
        self._calm(domain)

    @rule(domain=domains)
    def go_down(self, domain: str) -> None:
        """A server can't be reached."""
        self._calm(domain)
        self.world.hosts[domain].up = False
        self.network[domain].faults.down()

    @rule(one=domains, other=domains)
    def part(self, one: str, other: str) -> None:
        """Two servers can't reach each other."""
        if one != other:
            self.world.apart.add(frozenset((one, other)))
            self.network.partition(one, other)

    @precondition(lambda self: self.world.apart)
    @rule()
    def heal(self) -> None:
        """All can reach each other again."""
        self.world.apart.clear()
        self.network.heal()

    # -- time ----------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 59, 60, 600, 3600, 6 * 3600]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self._advance(seconds)

    @precondition(lambda self: self.world.next_due is not None)
    @rule()
    def wait_for_the_next_attempt(self) -> None:
        """Just so much time that something is tried."""
        self._advance((self.world.next_due or 0.0) - self.world.now)

    @rule(domain=domains)
    def try_now(self, domain: str) -> None:
        """What waits on a server is tried at once."""
        self.world.try_now(domain)
        self.network[domain].retry_now()

    @rule()
    def restart(self) -> None:
        """All servers stop, and start again where they were."""
        self.network.stop()
        self.network.start()

    # -- what must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def all_is_where_it_must_be(self) -> None:
        """The servers and the model agree."""
        self.network.settle()
        for server in self.network:
            self._look(server)
        assert not (missing := self.world.delivered - self._found), f"missing: {missing}"
        assert not (stray := self._found - self.world.delivered), f"nobody should have got: {stray}"
        assert not self._changed, "not the octets that were sent"
        for server in self.network:
            assert Counter(one.recipient.lower() for one in server.queue) == self.world.waiting(server.domain)

    def teardown(self) -> None:
        """Once all is well again, nothing waits for longer than a mail and a notification may."""
        try:
            if hasattr(self, "network"):
                for domain in DOMAINS:
                    self._calm(domain)
                self.world.apart.clear()
                self.network.heal()
                self._advance(3 * PATIENCE.expiry)
                self.all_is_where_it_must_be()
                assert not any(server.queue for server in self.network)
                self.network.assert_conserved()
        finally:
            if hasattr(self, "network"):
                self.network.stop()
            self._folder.cleanup()

    # -- how -----------------------------------------------------------------------------------------------------------

    def _send(
        self,
        domain: str,
        sender: str,
        recipients: Sequence[str],
        lines: Sequence[bytes],
        style: Style,
        *,
        quiet: bool = False,
    ) -> None:
        if style == "in chunks" and "DATA" in self.world.hosts[domain].moods:
            style = "in steps"  # whoever sends chunks never asks to send DATA
        token = f"token-{len(self._sent)}."
        content = b"\r\n".join([b"Subject: " + token.encode(), b"", *lines, b""])
        self._sent[token] = content
        server = self.network[domain]
        expected = self.world.offer(domain, Letter(token, sender, quiet=quiet), recipients)
        assert hand_over(server.host, server.port, sender, recipients, content, style, quiet=quiet) == expected

    def _calm(self, domain: str) -> None:
        host = self.world.hosts[domain]
        host.up = True
        host.moods.clear()
        host.once.clear()
        self.network[domain].faults.clear()

    def _advance(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.network.clock.advance(seconds)

    def _look(self, server: Server) -> None:
        """Take note of what came since the last look."""
        fresh = server.messages[self._seen[server.domain] :]
        self._seen[server.domain] += len(fresh)
        for mail in fresh:
            told = mail.delivery_status
            about = None
            found = _TOKEN.search(mail.raw)
            assert found is not None, f"a mail that nobody sent: {mail!r}"
            token = found[0].decode()
            if told is not None:
                [action] = {one.action for one in told.recipients}
                about = (action, frozenset(one.recipient.lower() for one in told.recipients))
            elif mail.content != self._sent[token]:
                self._changed.append(mail)
            for address in {address.lower() for address in mail.delivered_to}:
                self._found[server.domain, address, token, about] += 1
