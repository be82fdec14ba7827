"""The faults of one server: ``server.faults``. Given from any thread, met and counted on the servers' own.

server.faults.reject("RCPT", "451 4.3.0", times=2, to="vader@*")
with server.faults.delay("DATA", 0.2):
    ...
assert [fired.phase for fired in server.faults.seen] == ["RCPT", "RCPT"]
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack
from weakref import WeakKeyDictionary

from smtp_pair import fault_words
from smtp_pair.config import Domain
from smtp_pair.faults import DECIDING, NOISE, OPENING, BrokenTls, Fault, Fired, Phase, StoreTrouble, phase_of, refusal
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError
from smtp_pair.mail.pattern import address_pattern, name_pattern
from smtp_pair.mail.reply import Reply

Octets = bytes


class Limits(TypedDict, total=False):
    """When a fault comes to pass; :class:`~smtp_pair.faults.Fault` says what each means."""

    times: int
    nth: int
    to: str
    sender: str
    client: str
    session: int
    probability: float


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a session has come, as faults look at it."""

    phase: Phase
    session: object
    """Which one; compared and remembered, and nothing else."""
    client: str
    """``[127.0.0.1]:40312``."""
    helo: str = ""
    sender: str | None = None
    """None: nobody knows yet."""
    recipients: Sequence[str] = ()

    def fired(self, fault: Fault) -> Fired:
        """That it came to pass here."""
        return Fired(fault, self.phase, self.client, self.helo, self.sender or "", next(iter(self.recipients), ""))


class Given:
    """One fault in force: what comes back from each method of :class:`Faults`. As a ``with`` it is taken back at the
    end."""

    def __init__(self, faults: Sequence[Fault], take_back: Callable[[Sequence[InForce]], None], seed: str) -> None:
        self._in_force = tuple(InForce(fault, random.Random(f"{seed}/{n}")) for n, fault in enumerate(faults))
        self._take_back = take_back

    @property
    def fired(self) -> int:
        """How often it came to pass."""
        return sum(one.fired for one in self._in_force)

    def clear(self) -> None:
        """Take it back; sessions that it stalls go on. A second time does nothing."""
        self._take_back(self._in_force)

    def __repr__(self) -> str:
        return f"<Given {'; '.join(str(one.fault) for one in self._in_force)}, fired {self.fired} times>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()


class InForce:
    """A fault and how often it was met. On the servers' thread only."""

    __slots__ = ("_first_met", "_met", "_random", "_sessions", "fault", "fired")

    def __init__(self, fault: Fault, rng: random.Random) -> None:
        self.fault = fault
        self.fired = 0
        self._met = 0
        self._random = rng
        self._sessions: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._first_met = count(1)

    def strikes(self, moment: Moment) -> bool:
        """Whether it comes to pass now; it is counted if so. The order: who, which session, chance, how often."""
        fault = self.fault
        if fault.times is not None and self.fired >= fault.times:
            return False
        if not _is_for(fault, moment):
            return False
        if fault.session is not None:
            number = self._sessions.get(moment.session)
            if number is None:
                number = self._sessions[moment.session] = next(self._first_met)
            if number != fault.session:
                return False
        if fault.probability is not None and self._random.random() >= fault.probability:
            return False
        self._met += 1
        if fault.nth is not None and self._met != fault.nth:
            return False
        self.fired += 1
        return True


def _is_for(fault: Fault, moment: Moment) -> bool:
    if fault.to is not None:
        pattern = address_pattern(fault.to)
        if not any(pattern.fullmatch(one) for one in moment.recipients):
            return False
    if fault.sender is not None and (
        moment.sender is None or not address_pattern(fault.sender).fullmatch(moment.sender)
    ):
        return False
    if fault.client is not None:
        pattern = name_pattern(fault.client)
        host = moment.client.rpartition(":")[0].strip("[]")
        return any(pattern.fullmatch(name) for name in (moment.helo, host))
    return True


class Faults:
    """What a server does wrong, and has done. :attr:`~smtp_pair.server.Server.faults`.

    Every method that gives a fault takes its limits too: ``times``, ``nth``, ``to``, ``sender``, ``client``,
    ``session``, ``probability`` (:class:`~smtp_pair.faults.Fault` says what they mean), raises ConfigError for what
    can't be, and gives back something that takes the fault back: ``.clear()``, or the end of a ``with``. A fault is in
    force at once, in open sessions too.
    """

    def __init__(
        self,
        *names: str,
        configured: Sequence[Fault] = (),
        tls: bool = False,
        by_address: bool = False,
        seed: int | None = None,
    ) -> None:
        self.active = False
        """Whether there is any: all that a session asks where there is none."""
        self.changed: Callable[[], None] = lambda: None
        """Called after each change, by whoever made it: the server opens and closes its port."""
        self.renewed: Callable[[], None] = lambda: None
        """Called when that changes with which sessions begin: a connection that was kept knows nothing of it."""
        self.told: Callable[[Fired], None] = lambda _: None
        """Told of each that came to pass: the server's journal."""
        self.names = names
        """The server's host name and domain."""
        self._hostname = names[0]
        self._configured = tuple(configured)
        self._tls = tls
        self._by_address = by_address
        self._chance = seed
        self._number = count(1)
        self._lock = threading.Lock()
        """Held while :attr:`_in_force` is replaced by one made of it; who only looks needs none."""
        self._in_force: tuple[InForce, ...] = ()
        self._seen: list[Fired] = []
        self.stalled: set[object] = set()
        """Sessions whose clients wait for what may never come."""
        self.stall_began: set[Callable[[], None]] = set()
        """Called when one begins: whoever waits for the servers to settle waits for that in vain."""
        self._watchers: list[Callable[[], None]] = []
        if configured:
            self._begin()
        self.active = bool(configured) or by_address

    @cached_property
    def _seed(self) -> str:
        """An own source for each server and fault: what one draws does not depend on what others do at the same
        time."""
        return f"{random.Random(self._chance).getrandbits(64)}/{self._hostname}"

    @classmethod
    def of(cls, config: Domain, seed: int | None = None) -> Self:
        """Those of a server as it is configured."""
        tls = config.tls != "off"
        names = config.hostname, config.name
        return cls(*names, configured=config.faults, tls=tls, by_address=config.fault_addresses, seed=seed)

    # -- for tests -------------------------------------------------------------------------------------------------

    @property
    def seen(self) -> list[Fired]:
        """Those that came to pass, in their order; a copy."""
        return list(self._seen)

    def __iter__(self) -> Iterator[Fault]:
        """The faults in force."""
        return iter([one.fault for one in self._in_force])

    def __len__(self) -> int:
        return len(self._in_force)

    def __bool__(self) -> bool:
        return True  # it is there, though nothing may be in it

    def __repr__(self) -> str:
        return f"<Faults of {self._hostname}: {'; '.join(map(str, self)) or 'none'}>"

    def reject(self, phase: Phase | str, reply: Reply | str, **limits: Unpack[Limits]) -> Given:
        """Refuse that: ``reject("RCPT", "451 4.3.0", times=2)``. The reply is a 4xx or 5xx; a missing enhanced code
        and text are filled in."""
        return self._give(phase=phase, reply=refusal(reply), **limits)

    def reply(self, phase: Phase | str, reply: Reply | str, **limits: Unpack[Limits]) -> Given:
        """Say that: a refusal as :meth:`reject`, or other words for a success."""
        return self._give(phase=phase, reply=reply, **limits)

    def delay(self, phase: Phase | str, seconds: float | str, **limits: Unpack[Limits]) -> Given:
        """Take so long first, in real seconds whatever the network's clock: ``delay("DATA", 0.2)``."""
        return self._give(phase=phase, delay=seconds, **limits)

    def throttle(self, octets: int | str, phase: Phase | str = "any", **limits: Unpack[Limits]) -> Given:
        """Read and write so many octets a second at most, in each session; with ``"body"`` only while a mail's content
        comes. It is counted once a session (a content)."""
        return self._give(phase=phase, throttle=octets, **limits)

    def drop(
        self,
        phase: Phase | str = "any",
        *,
        after: Phase | str | None = None,
        bytes: int = 0,  # noqa: A002
        **limits: Unpack[Limits],
    ) -> Given:
        """Close the connection without a word: in place of a reply, ``drop("RCPT")``, or later,
        ``drop(after="DATA", bytes=100)``; ``drop(bytes=100)`` after so many octets of a session, whatever they are.
        ``drop("dot")``: the mail is not taken; ``drop("accepted")``: it is, and its client never learns of it, sends it
        again, and it is there twice (RFC 1047)."""
        return self._give(phase=phase, after=after, bytes=bytes, drop=True, **limits)

    def reset(
        self,
        phase: Phase | str = "any",
        *,
        after: Phase | str | None = None,
        bytes: int = 0,  # noqa: A002
        **limits: Unpack[Limits],
    ) -> Given:
        """Break the connection with an RST; places as :meth:`drop`."""
        return self._give(phase=phase, after=after, bytes=bytes, reset=True, **limits)

    def half_close(
        self,
        phase: Phase | str = "any",
        *,
        after: Phase | str | None = None,
        bytes: int = 0,  # noqa: A002
        **limits: Unpack[Limits],
    ) -> Given:
        """Say no more, and go on reading; places as :meth:`drop`."""
        return self._give(phase=phase, after=after, bytes=bytes, half_close=True, **limits)

    def stall(
        self,
        phase: Phase | str = "any",
        *,
        after: Phase | str | None = None,
        bytes: int = 0,  # noqa: A002
        **limits: Unpack[Limits],
    ) -> Given:
        """Say nothing until the fault is taken back, and then go on; places as :meth:`drop`."""
        return self._give(phase=phase, after=after, bytes=bytes, stall=True, **limits)

    def garbage(self, phase: Phase | str, octets: Octets = NOISE, **limits: Unpack[Limits]) -> Given:
        """Say these octets in place of a reply, and do nothing that was asked."""
        return self._give(phase=phase, garbage=octets, **limits)

    def overlong(self, phase: Phase | str, octets: int | str = 10_000, **limits: Unpack[Limits]) -> Given:
        """Do what is asked, and say so in a line of so many octets."""
        return self._give(phase=phase, overlong=octets, **limits)

    def hide(self, *extensions: str, **limits: Unpack[Limits]) -> Given:
        """Do not offer these extensions, from the next EHLO on: ``hide("PIPELINING", "SIZE")``."""
        return self._give(hide=extensions, **limits)

    def tls(self, how: BrokenTls | str, **limits: Unpack[Limits]) -> Given:
        """Break TLS: ``"expired"``, ``"wrong host"``, ``"unknown CA"``, ``"handshake failure"``, ``"stripped"``."""
        return self._give(tls=how, **limits)

    def store(self, trouble: StoreTrouble | str = "error", **limits: Unpack[Limits]) -> Given:
        """Fail to store mails: ``"full"`` (452 4.3.1) or ``"error"`` (451 4.3.0). Nothing of them is left."""
        return self._give(store=trouble, **limits)

    def down(self) -> Given:
        """Be gone: the port refuses connections, open ones break. It is the same port afterwards."""
        return self._give(down=True)

    def add(self, *faults: Fault | str) -> Given:
        """Give faults that are made already, or as the command line has them: ``add('RCPT reject "451 4.3.0"')``. They
        are taken back together."""
        values = [self._in_words(one) if isinstance(one, str) else one for one in faults]
        for one in values:
            self._check(one)
        given = Given(values, self._remove, f"{self._seed}/{next(self._number)}")
        self._put(lambda in_force: (*in_force, *given._in_force))
        return given

    def clear(self) -> None:
        """Take back all faults, also those of the configuration. What was seen stays."""
        self._put(lambda _: ())

    # -- for the server --------------------------------------------------------------------------------------------

    def start_over(self) -> None:
        """Those of the configuration, as on the first day; nothing was seen."""
        self._seen = []
        self._number = count(1)
        self._begin()

    @property
    def is_down(self) -> bool:
        """Whether nobody is to listen."""
        return any(one.fault.down for one in self._in_force)

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call back after each change, in whichever thread makes it; call what comes back to stop that."""
        self._watchers.append(watcher)

        def stop() -> None:
            with suppress(ValueError):
                self._watchers.remove(watcher)

        return stop

    # -- for sessions: on the servers' thread ----------------------------------------------------------------------

    def at(self, moment: Moment) -> list[InForce]:
        """What goes wrong in this place, counted: all that only hinders, and the first that decides."""
        return self._strike(moment, lambda fault: not fault.counts_octets and fault.kind != "throttle")

    def from_here(self, moment: Moment) -> list[InForce]:
        """What goes wrong once octets have come that are counted from here on."""
        return self._strike(moment, lambda fault: fault.counts_octets and fault.kind != "throttle")

    def throttles(self, moment: Moment) -> list[InForce]:
        """What may make this session slow. It is for the session to remember whom it has struck."""
        return [
            one
            for one in self._in_force
            if one.fault.throttle and one.fault.phase == moment.phase and _is_for(one.fault, moment)
        ]

    def holds(self, one: InForce) -> bool:
        """Whether it is still in force."""
        return one in self._in_force

    def stalls(self, session: object) -> None:
        """The session's client waits from here on."""
        self.stalled.add(session)
        for told in tuple(self.stall_began):
            told()

    def note(self, fired: Fired) -> None:
        """Remember that it came to pass."""
        self._seen.append(fired)
        self.told(fired)

    def _strike(self, moment: Moment, kind: Callable[[Fault], bool]) -> list[InForce]:
        found: list[InForce] = []
        decided = False
        for one in self._in_force:
            fault = one.fault
            if not kind(fault) or not _is_here(fault, moment.phase) or (decided and fault.kind in DECIDING):
                continue
            if one.strikes(moment):
                found.append(one)
                decided = decided or fault.kind in DECIDING
        asked = fault_words.asked_for(moment.phase, moment.sender, moment.recipients) if self._by_address else None
        if asked is not None and kind(asked) and not decided:
            found.append(InForce(asked, random.Random(0)))
        return found

    # -- keeping them ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        for one in self._configured:
            self._check(one)
        given = Given(self._configured, self._remove, f"{self._seed}/configured")
        self._put(lambda _: given._in_force)

    def _give(self, **settings: Any) -> Given:
        for name in ("phase", "after"):
            if settings.get(name) is not None:
                settings[name] = phase_of(settings[name])
        try:
            fault = Fault(**settings)
        except TypeError:
            unknown = [name for name in settings if name not in fault_words.KEYS]
            raise ConfigError(f"{unknown[0]}: unknown; known are {', '.join(fault_words.LIMITS)}") from None
        return self.add(fault)

    def _in_words(self, text: str) -> Fault:
        domain, fault = fault_words.parse_for_domain(text)
        if domain is not None and domain_key(domain) not in map(domain_key, self.names):
            raise ConfigError(f"{text!r}: domain: these are the faults of {self.names[-1]}, not of {domain}")
        return fault

    def _check(self, fault: object) -> None:
        if not isinstance(fault, Fault):
            raise ConfigError(f"{fault!r} is no Fault, and no text that says one")
        if fault.tls and not self._tls:
            raise ConfigError(f'tls: {self._hostname} offers no TLS that could be broken: Domain(..., tls="offered")')

    def _remove(self, gone: Sequence[InForce]) -> None:
        self._put(lambda in_force: tuple(one for one in in_force if one not in gone))

    def _put(self, change: Callable[[tuple[InForce, ...]], tuple[InForce, ...]]) -> None:
        with self._lock:
            before = self._in_force
            self._in_force = change(before)
            self.active = bool(self._in_force) or self._by_address
            changed = {*before} ^ {*self._in_force}
        # Without the lock, for who is told may wait for the servers' thread.
        for watcher in tuple(self._watchers):
            watcher()
        self.changed()
        if any(one.fault.place in OPENING for one in changed):
            self.renewed()


def _is_here(fault: Fault, phase: Phase) -> bool:
    if fault.place == "any":
        return phase not in ("connect", "greeting", "body", "accepted")
    return fault.place == phase
