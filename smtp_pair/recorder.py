"""Records what is said in the sessions of a network, for next to nothing while nobody looks.

    session, smtp_client -> Log (one connection) -> Tape (one server's last ones) -> Transcript, when somebody asks

While mail moves, a word said is a small tuple that refers to octets which are there anyway. They are split, counted,
decoded and digested when a transcript is asked for. Memory is bounded: a tape keeps its last :data:`SESSIONS`
connections, of each the beginning and the last :data:`EVENTS` events, and bodies up to :data:`BODY` octets, of a
server's not more than :data:`BODIES` altogether.

Secrets never get here: of AUTH the mechanism is kept, and nothing of what follows.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smtp_pair.config import is_loopback
from smtp_pair.mail import trace
from smtp_pair.routes import NextHop
from smtp_pair.transcript import Event, Transcript

_logger = logging.getLogger(__name__)

SESSIONS = 64
EVENTS = 400
_FIRST = 20
_MOST = 2 * EVENTS
BODY = 64 << 10
BODIES = 2 << 20
LINE = 1200
"""Octets of a line that are kept: more than any line of SMTP may have but those of AUTH."""

HIDDEN = b"***"
"""What stands for a secret."""

_VERBS = frozenset(b"EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP HELP VRFY EXPN QUIT".split())
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")  # RFC 4422 3.1; whatever else follows AUTH may be a secret
_TAKEN = re.compile(r"250 2\.0\.0 taken as (\S+)")

_SEND, _REPLY, _BODY, _CHUNK, _NOTE, _EXCHANGE = range(6)
Address = tuple[str, int]
Resolve = Callable[[str], "tuple[int, str] | None"]
"""Size and digest of a mail's content as first sent, by the mail's id; None: not known."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said just now, for whoever follows: what a transcript will have, but for the digests of bodies."""

    hostname: str
    """The server whose transcripts will have it."""
    session: int
    """Which of its sessions, counted from 1."""
    client: str
    server: str
    events: tuple[Event, ...]


Follower = Callable[[Said], None]


def redacted(line: bytes) -> bytes:
    """A line of AUTH with its mechanism alone; any other line that is part of it, not at all. ``*``, which ends the
    exchange, is no secret."""
    words = line.split(None, 2)
    if words and words[0].upper() == b"AUTH" and (len(words) == 1 or _MECHANISM.fullmatch(words[1])):
        return b" ".join(words[:2]) + (b" " + HIDDEN if len(words) > 2 else b"")
    return line if line == b"*" else HIDDEN


class Log:
    """What is said over one connection. On the event loop's thread."""

    # Defaults of the class, for one is made with every connection: each attribute that is set then is paid for.
    client = ""
    """"" until it has said something."""
    server = ""
    relayed = False
    over = False
    """Whether the connection is gone."""
    _dropped = 0
    _wary = False  # the line after an AUTH that was refused may be the answer to no challenge
    _watchful = False  # whether a line needs more than to be written down

    def __init__(self, tape: Tape, began: float, now: Callable[[], float]) -> None:
        self._tape = tape
        self.began = began
        self._now = now
        self._events: list[tuple[float, int, Any]] = []

    def command(self, line: bytes, moment: float, *, secret: bool = False) -> None:
        """The client's line, without its end. ``secret``: it is AUTH, or an answer to its challenge."""
        if secret or self._watchful or len(line) > LINE:
            line = self._fit(line, secret=secret)
        events = self._events
        events.append((moment, _SEND, line))
        if len(events) >= _MOST:
            self._forget()

    def exchange(self, line: bytes, wire: bytes, moment: float) -> None:
        """A line that is no secret, and what the server writes at once."""
        if self._watchful or len(line) > LINE:
            self.command(line, moment)
            self.reply(wire, moment)
            return
        events = self._events
        events.append((moment, _EXCHANGE, (line, wire)))
        if len(events) >= _MOST:
            self._forget()

    def commands(self, wire: bytes, moment: float, *, secret: bool = False) -> None:
        """A group of them in one write, line ends and all."""
        for line in wire.removesuffix(b"\r\n").split(b"\r\n"):
            self.command(line, moment, secret=secret)

    def reply(self, wire: bytes, moment: float) -> None:
        """What the server writes at once: a reply or several."""
        self._events.append((moment, _REPLY, wire if len(wire) <= LINE * 64 else wire[: LINE * 64]))

    def body(self, content: bytes, moment: float, *, too_big: bool = False) -> None:
        """A mail's content, whole."""
        size = len(content)
        event = [size, None if too_big or size > BODY else content, too_big]
        if event[1]:
            self._tape.bodies.keep(event)
        self._events.append((moment, _BODY, event))

    def chunk(self, size: int, moment: float) -> None:
        """The octets of one BDAT."""
        self._events.append((moment, _CHUNK, size))

    def note(self, text: str) -> None:
        """Something that is neither: a handshake, the end of the connection, a fault that was made."""
        self._events.append((self._now(), _NOTE, text))

    def end(self) -> None:
        """Nothing follows."""
        self.over = True

    @property
    def said(self) -> bool:
        """Whether there is anything in it."""
        return bool(self._events)

    def restart(self) -> None:
        """Forget what was said so far."""
        self._events.clear()
        self._dropped = 0
        self.began = self._now()

    def _fit(self, line: bytes, *, secret: bool) -> bytes:
        """The line as it may be kept."""
        if not self.client:
            self._tape.meet(self)
        self.client = self.client or self._tape.recorder.next_client()  # it was one of many that said nothing
        if secret or self._wary:
            verb = line.split(None, 1)[:1]
            self._wary = secret or not verb or verb[0].upper() not in _VERBS
            line = redacted(line) if self._wary else line
        self._watchful = self._wary
        return line if len(line) <= LINE else line[:LINE] + b" [... cut]"

    def _forget(self) -> None:
        del self._events[_FIRST : _FIRST + EVENTS]
        self._dropped += EVENTS

    def transcript(self, start: float, resolve: Resolve, ours: Callable[[str], bool]) -> Transcript:
        """It as a value. In any thread."""
        raw, dropped = self._events[:], self._dropped
        events = [event for one in raw for event in self._event(*one, ours)]
        after = sum(1 for one in raw[:_FIRST] for _ in self._event(*one, ours)) if dropped else 0
        return Transcript(
            self.client or "a client that says nothing",
            self.server or self._tape.hostname,
            max(0.0, self.began - start),
            tuple(_resolved(events, resolve)),
            dropped,
            after,
            self.relayed,
        )

    def _event(self, moment: float, kind: int, said: Any, ours: Callable[[str], bool]) -> Iterator[Event]:
        at = max(0.0, moment - self.began)
        if kind == _SEND:
            yield Event(at, "send", _text(said))
        elif kind == _EXCHANGE:
            yield Event(at, "send", _text(said[0]))
            yield from (Event(at, "reply", text) for text in _replies(said[1]))
        elif kind == _REPLY:
            yield from (Event(at, "reply", text) for text in _replies(said))
        elif kind == _CHUNK:
            yield Event(at, "body", f"{said:,} octets of a mail, a chunk", said)
        elif kind == _NOTE:
            yield Event(at, "note", said)
        else:
            size, content, too_big = said
            if too_big:
                yield Event(at, "body", "a mail that is too big")
            elif content is None:
                yield Event(at, "body", size=size)
            else:
                hops, begins = trace.split(content, ours)
                first = content[begins:]
                digest = hashlib.sha256(first).hexdigest()
                yield Event(at, "body", "", len(first), digest, len(hops), content)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _replies(wire: bytes) -> Iterator[str]:
    """The replies in what was written at once."""
    lines: list[str] = []
    for line in _text(wire).removesuffix("\n").removesuffix("\r").split("\n"):
        lines.append(line.removesuffix("\r"))
        if line[3:4] != "-":
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _resolved(events: list[Event], resolve: Resolve) -> Iterator[Event]:
    """Bodies that were not kept, with the digest of the mail that they became."""
    for number, event in enumerate(events):
        if event.kind == "body" and not event.text and not event.sha256:
            answer = next((later.text for later in events[number + 1 :] if later.kind == "reply"), "")
            taken = _TAKEN.match(answer)
            known = resolve(taken[1]) if taken else None
            if known is not None:
                event = Event(event.at, "body", "", known[0], known[1])
        yield event


class _Bodies:
    """The bodies that one server's logs refer to: the oldest are let go when there are too many."""

    def __init__(self) -> None:
        self._kept: deque[list[Any]] = deque()
        self._octets = 0

    def keep(self, event: list[Any]) -> None:
        self._kept.append(event)
        self._octets += event[0]
        while self._octets > BODIES:
            oldest = self._kept.popleft()
            self._octets -= oldest[0]
            oldest[1] = None


class Silent(Log):
    """For a connection that its other end records: to a server of the same network."""

    def __init__(self, ends: Callable[[], None] = lambda: None) -> None:
        self._ends = ends

    def command(self, line: bytes, moment: float, *, secret: bool = False) -> None: ...
    def commands(self, wire: bytes, moment: float, *, secret: bool = False) -> None: ...
    def exchange(self, line: bytes, wire: bytes, moment: float) -> None: ...
    def reply(self, wire: bytes, moment: float) -> None: ...
    def body(self, content: bytes, moment: float, *, too_big: bool = False) -> None: ...
    def chunk(self, size: int, moment: float) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self) -> None:
        super().end()
        self._ends()


class Followed(Log):
    """The same, and each word is told at once to whoever follows the tape. A class of its own, so that it costs nothing
    while nobody does."""

    def __init__(self, tape: Tape, began: float, now: Callable[[], float]) -> None:
        super().__init__(tape, began, now)
        self.number = tape.count + 1
        self._untold: list[tuple[float, int, Any]] = []

    def command(self, line: bytes, moment: float, *, secret: bool = False) -> None:
        super().command(line, moment, secret=secret)
        self._tell()

    def exchange(self, line: bytes, wire: bytes, moment: float) -> None:
        self.command(line, moment)
        self.reply(wire, moment)

    def reply(self, wire: bytes, moment: float) -> None:
        super().reply(wire, moment)
        self._tell()

    def body(self, content: bytes, moment: float, *, too_big: bool = False) -> None:
        super().body(content, moment, too_big=too_big)
        self._tell()

    def chunk(self, size: int, moment: float) -> None:
        super().chunk(size, moment)
        self._tell()

    def note(self, text: str) -> None:
        super().note(text)
        self._tell()

    def end(self) -> None:
        super().end()
        if self._untold:
            self._tape.tell(self._said())

    def _tell(self) -> None:
        self._untold.append(self._events[-1])
        if self.client:  # until its first command nobody knows who it is
            self._tape.tell(self._said())

    def _said(self) -> Said:
        untold, self._untold = self._untold, []
        events = tuple(event for moment, kind, said in untold for event in self._now_said(moment, kind, said))
        who = self.client or "a client that says nothing"
        return Said(self._tape.hostname, self.number, who, self.server or self._tape.hostname, events)

    def _now_said(self, moment: float, kind: int, said: Any) -> Iterator[Event]:
        if kind == _BODY and not said[2]:  # its digest would keep the loop
            yield Event(max(0.0, moment - self.began), "body", size=said[0])
        else:
            yield from self._event(moment, kind, said, lambda _: False)


class Recorder:
    """What the tapes of a network share: who is who. On the event loop's thread."""

    def __init__(self) -> None:
        self._clients = 0
        self._relays: dict[Address, str] = {}
        """The connections that servers of the network hold open to one another, by their own end."""
        self.names: Mapping[Address, str] = {}
        """Next hops that are not of the network, by what people call them."""
        self.ports: frozenset[int] = frozenset()
        """Where the servers of the network listen on this machine."""
        self.start: float | None = None
        """What all times are relative to."""

    def is_ours(self, hop: NextHop) -> bool:
        """Whether the next hop is a server of the network."""
        return hop.port in self.ports and is_loopback(hop.host)

    def called(self, hop: NextHop) -> str:
        """What people call a next hop."""
        return hop.name or self.names.get((hop.host, hop.port), f"{hop.host}:{hop.port}")

    def relay(self, peer: Address) -> str:
        """The server of the network that holds that end of a connection; "": a stranger."""
        return self._relays.get(peer, "")

    def next_client(self) -> str:
        """The name of the next client that is none of ours."""
        self._clients += 1
        return f"client {self._clients}"

    def connected(self, own_end: Address, hostname: str) -> Callable[[], None]:
        """A server has connected to another of the network. Call what comes back at the end."""
        self._relays[own_end] = hostname

        def parted() -> None:
            self._relays.pop(own_end, None)

        return parted

    def reset(self) -> None:
        """Begin to count anew."""
        self._clients = 0
        self.start = None


class Tape:
    """The last sessions of one server: those that it answered, and those that it held with strangers."""

    def __init__(self, hostname: str = "", recorder: Recorder | None = None) -> None:
        self.hostname = hostname
        self.recorder = recorder or Recorder()
        self._logs: deque[Log] = deque(maxlen=SESSIONS)
        self._strangers: deque[tuple[Log, Address]] = deque(maxlen=SESSIONS)
        self.bodies = _Bodies()
        self.count = 0
        """How many sessions there were."""
        self._kind: type[Log] = Log
        self._followers: tuple[Follower, ...] = ()

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Tell ``follower`` what is said in the sessions that begin from now on, on the loop's thread; call what comes
        back to stop it."""
        self._followers = (*self._followers, follower)
        self._kind = Followed

        def stop() -> None:
            self._followers = tuple(one for one in self._followers if one is not follower)
            self._kind = Followed if self._followers else Log

        return stop

    def tell(self, said: Said) -> None:
        """Tell the followers. One that fails holds up neither the others nor the mail."""
        for follower in self._followers:
            try:
                follower(said)
            except Exception:
                _logger.exception("a follower failed at %s", said)

    def answers(self, peer: Address, began: float, now: Callable[[], float]) -> Log:
        """A client has come."""
        # Who it is, is asked when it says something: a server of ours may be told only now that its connection stands.
        log = self._kind(self, began, now)
        log._watchful = True
        self._strangers.append((log, peer))
        self._logs.append(log)
        self.count += 1
        if self.recorder.start is None:
            self.recorder.start = began
        return log

    def speaks(self, hop: NextHop, own_end: Address, now: Callable[[], float]) -> Log:
        """This server has connected to a next hop."""
        if self.recorder.is_ours(hop):
            return Silent(self.recorder.connected(own_end, self.hostname))
        return self._conversation(hop, now)

    def in_vain(self, hop: NextHop, why: str, now: Callable[[], float]) -> None:
        """This server could not connect to a next hop, its own neighbours included: there is nobody else to tell."""
        log = self._conversation(hop, now)
        log.note(f"no connection: {why}")
        log.end()

    def _conversation(self, hop: NextHop, now: Callable[[], float]) -> Log:
        log = self._kind(self, now(), now)
        log.client, log.server, log.relayed = self.hostname, self.recorder.called(hop), True
        self._logs.append(log)
        self.count += 1
        if self.recorder.start is None:
            self.recorder.start = log.began
        return log

    def meet(self, speaker: Log | None = None) -> None:
        """Find out who the clients are that came so far; or up to the one that speaks, for of a later one it may not be
        known yet that it is ours."""
        while self._strangers:
            log, peer = self._strangers.popleft()
            relay = self.recorder.relay(peer)
            log.relayed = bool(relay)
            log.client = relay or self.recorder.next_client()
            if log is speaker:
                break

    def transcripts(self, resolve: Resolve, ours: Callable[[str], bool]) -> list[Transcript]:
        """What is kept, in the order in which it began."""
        logs = [log for log in tuple(self._logs) if log.said]
        start = self.recorder.start
        if start is None:  # all of them are older than the last reset
            start = min((log.began for log in logs), default=0.0)
        return [log.transcript(start, resolve, ours) for log in logs]

    @property
    def dropped(self) -> int:
        """How many sessions are not kept any more."""
        return self.count - len(self._logs)

    def clear(self) -> None:
        """Forget what was said. Connections that are open, such as those kept to a next hop, go on being recorded."""
        self.meet()
        going_on = [log for log in self._logs if not log.over]
        for log in going_on:
            log.restart()
        self._logs = deque(going_on, maxlen=SESSIONS)
        self.bodies = _Bodies()
        self.count = len(going_on)
