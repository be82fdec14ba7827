"""What each pane has to show. Facts, words and states come in; counts, mails, a queue and a stream of rows go out."""

from __future__ import annotations

import ast
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smtp_pair.entry import Waiting
from smtp_pair.facts import Fact
from smtp_pair.recorder import Said
from smtp_pair.screen import console
from smtp_pair.screen.lines import Line, Tone, fitted
from smtp_pair.screen.panes.feed import Batch, State
from smtp_pair.screen.panes.stream import Entry, Row, Stream
from smtp_pair.server_msg import one_line

MAILS = 500
"""Mails of a server that can be opened: the newest ones."""
AT_ONCE = 1_000
"""Words of one server that are taken in at once, the last of a batch: nobody could read the others."""
_HANG = 4
_WIDE, _VERY_WIDE = 34, 56
"""Columns from which on a mail's row has its sender, and the time."""
_LONGEST = 300

_MARKS: dict[str, tuple[str, Tone]] = {
    "failed": ("✗", "bad"),
    "deferred": ("↻", "warning"),
    "queued": ("…", "faint"),
    "ignored": ("-", "faint"),
    "forwarded": ("→", "good"),
    "delivered": ("✓", "good"),
}
"""By what became of a recipient; of several, the first of these counts."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server, as its pane is headed."""

    hostname: str
    domain: str
    label: str
    address: str


@dataclass(slots=True)
class SeenMail:
    """A mail that a server took over, and what became of it."""

    fact: Fact
    outcomes: dict[str, str]
    """By recipient: delivered, queued, ignored; later forwarded, deferred, failed."""
    attempts: dict[str, Fact] = field(default_factory=dict)
    """The last one for each recipient."""

    @property
    def id(self) -> str:
        """Its id on that server."""
        return self.fact.mail

    @property
    def mark(self) -> tuple[str, Tone]:
        """One character for it all."""
        found = set(self.outcomes.values())
        return next((mark for outcome, mark in _MARKS.items() if outcome in found), ("?", "faint"))

    def row(self, width: int) -> Row:
        """It in one row."""
        data = self.fact.data
        mark, tone = self.mark
        title = one_line(str(data["title"])[:_LONGEST]) or "(no title)"
        files = len(data["attachments"])
        told = f" {files} file{'s' * (files > 1)}" if files else ""
        when = f"{datetime.fromtimestamp(self.fact.moment, UTC):%H:%M:%S} " if width >= _VERY_WIDE else ""
        who = ""
        if width >= _WIDE:
            local, _, _ = one_line(str(data["sender"])[:_LONGEST]).rpartition("@")
            who = f"{local or '<>':<8.8} "
        room = max(4, width - 2 - len(when) - len(who) - len(told))
        return Row(((f"{mark} ", tone), (when + who, "faint"), (fitted(title, room), "plain"), (told, "faint")))

    def matches(self, wanted: str) -> bool:
        """Whether ``wanted``, in lower case, is in its title, its addresses or its id."""
        return wanted in self.names

    @property
    def names(self) -> str:
        """All that it can be found by, in lower case."""
        data = self.fact.data
        return "\n".join((self.id, str(data["title"])[:_LONGEST], str(data["sender"]), *self.outcomes)).casefold()


class ServerPane:
    """One server."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.stream = Stream()
        self.mails: deque[SeenMail] = deque(maxlen=MAILS)
        self.state = State(place.hostname, running=True)
        self.counts: Counter[str] = Counter()
        """``received``, ``refused``, ``fault`` and so on, and ``files``."""
        self._by_id: dict[str, SeenMail] = {}

    @property
    def title(self) -> str:
        """What stands above it."""
        return self.place.domain

    @property
    def status(self) -> tuple[str, Tone]:
        """Where it listens, or that it does not."""
        if not self.state.running:
            return "stopped", "bad"
        return ("down", "bad") if self.state.down else (self.place.address, "faint")

    def take(self, fact: Fact) -> Iterator[Entry]:
        """A fact of this server."""
        self.counts[fact.event] += 1
        if fact.event == "received":
            self._received(fact)
        mail = self._by_id.get(fact.mail)
        if mail is not None and fact.event != "received":
            mail.outcomes[fact.data["recipient"]] = fact.event
            mail.attempts[fact.data["recipient"]] = fact
        about = mail.names if mail is not None else ""
        yield from (Entry(line, about=about) for line in story(fact))

    def _received(self, fact: Fact) -> None:
        self.counts["files"] += len(fact.data["attachments"])
        mail = SeenMail(fact, {to["address"]: to["outcome"] for to in fact.data["recipients"]})
        if len(self.mails) == MAILS:
            self._by_id.pop(self.mails[0].id, None)
        self.mails.append(mail)
        self._by_id[mail.id] = mail

    def summary(self, width: int) -> Row:
        """The counts in one row."""
        count = self.counts
        pieces: list[tuple[str, Tone]] = [(f"{count['received']:,} mail{'s' * (count['received'] != 1)}", "plain")]
        words: tuple[tuple[int, str, Tone], ...] = (
            (self.state.waiting, "queued", "warning"),
            (count["files"], "files" if count["files"] != 1 else "file", "plain"),
            (count["refused"], "refused", "warning"),
            (count["failed"], "failed", "bad"),
            (count["fault"], "faults" if count["fault"] != 1 else "fault", "warning"),
        )
        used = len(pieces[0][0])
        for number, word, tone in words:
            text = f"{number:,} {word}"
            if number and used + len(text) + 2 <= width:
                used += len(text) + 2
                pieces += [("  ", "plain"), (text, tone)]
        return Row(tuple(pieces))

    def queue(self, room: int, most: int) -> list[Row]:
        """What waits, a row for each recipient."""
        rows = [_waiting(one, self.state.now, room) for one in self.state.queue[:most]]
        more = self.state.waiting - len(rows)
        return [*rows, Row(((f"and {more:,} more", "faint"),))] if more > 0 else rows

    def faults(self, room: int, most: int) -> list[Row]:
        """What it does wrong, a row for each fault in force."""
        faults = self.state.faults
        rows = [Row(((fitted(one_line(text[:_LONGEST]), room).rstrip(), "warning"),)) for text in faults[:most]]
        more = len(faults) - len(rows)
        return [*rows, Row(((f"and {more:,} more", "faint"),))] if more > 0 else rows


@dataclass(slots=True)
class ClientPane:
    """The client that belongs to the panes."""

    stream: Stream = field(default_factory=Stream)
    title: str = "client"


class Panes:
    """All panes, in their order: the servers', then the client's."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.servers = [ServerPane(place) for place in places]
        self.client = ClientPane()
        self._by_hostname = {pane.place.hostname: pane for pane in self.servers}

    def __iter__(self) -> Iterator[ServerPane | ClientPane]:
        yield from self.servers
        yield self.client

    def __len__(self) -> int:
        return len(self.servers) + 1

    def take(self, batch: Batch) -> set[int]:
        """Take in what has come. Gives the numbers of the panes that it changed, counted from 0."""
        fresh: dict[str, list[Entry]] = {}
        states: set[str] = set()
        said = Counter(one.hostname for one in batch.happened if isinstance(one, Said))
        for hostname, count in said.items():
            if count > AT_ONCE:
                fresh[hostname] = [_too_fast(count - AT_ONCE)]
        for one in batch.happened:
            if isinstance(one, Said):
                if said[one.hostname] <= AT_ONCE:
                    fresh.setdefault(one.hostname, []).extend(words(one))
                said[one.hostname] -= 1
            elif isinstance(one, Fact):
                fresh.setdefault(one.server, []).extend(self._by_hostname[one.server].take(one))
            elif isinstance(one, State):
                self._by_hostname[one.hostname].state = one
                states.add(one.hostname)
            else:
                where = one.actor if one.actor in self._by_hostname else ""
                fresh.setdefault(where, []).append(Entry(one))
        for hostname, missing in batch.missing.items():
            fresh.setdefault(hostname, []).append(_too_fast(missing))
        for hostname, entries in fresh.items():
            self._stream(hostname).add(entries)
        names = [*(pane.place.hostname for pane in self.servers), ""]
        return {number for number, name in enumerate(names) if name in states or name in fresh}

    def _stream(self, hostname: str) -> Stream:
        return self._by_hostname[hostname].stream if hostname else self.client.stream


def _too_fast(count: int) -> Entry:
    return Entry(Line("", f"({count:,} lines came too fast for this screen)", "warning"))


def words(said: Said) -> Iterator[Entry]:
    """What was said, with an arrow for its way: from this server to the left, to it to the right."""
    talk = f"from {said.client}" if said.server == said.hostname else f"to {said.server}"
    for event in said.events:
        if event.kind == "note" and event.text.startswith("fault: "):
            continue  # there is a fact of it
        for text in event.lines(brief=True):
            if event.kind == "reply":
                yield Entry(reply_line(text.removeprefix("reply: ")), talk)
            elif event.kind == "note":
                yield Entry(Line("", f"  {text}", "faint", 2), talk)
            else:
                yield Entry(Line("", f"→ {text.removeprefix('send: ')}", "plain", _HANG), talk)


def reply_line(text: str) -> Line:
    """A reply; a no is seen from afar."""
    return Line("", f"← {text}", "warning" if text[:1] in ("4", "5") else "faint", _HANG)


def client_line(text: str) -> Line | None:
    """What smtplib shows of a conversation (and the clients after it), in the same form; None: nothing new."""
    if text.startswith("connect: "):
        return None
    reply = _REPLY.fullmatch(text)
    if reply is not None:
        return reply_line(f"{reply[1]} {', '.join(_said(reply[2]).splitlines())}")
    row = _SENT.fullmatch(text)
    if row is not None:
        return Line("", f"{'→' if row[1] else ' '} {_said(row[2]).rstrip()}", "plain" if row[1] else "faint", _HANG)
    return Line("", text, console.client_tone(text), _HANG)


_REPLY = re.compile(r"reply: retcode \((-?\d+)\); Msg: (b['\"].*)")
_SENT = re.compile(r"(?:(send: )|      )(b?['\"].*)")


def _said(literal: str) -> str:
    said = ast.literal_eval(literal)
    return said.decode("utf-8", "backslashreplace") if isinstance(said, bytes) else str(said)


def story(fact: Fact) -> Iterator[Line]:
    """A fact in few lines: all that a mail holds is a key away, and what was said of it stands beside."""
    data = fact.data
    if fact.event == "received":
        yield from _received(data)
    elif fact.event == "refused":
        yield Line("", f"refused {data['recipient']}", "warning", _HANG)
    elif fact.event == "fault":
        yield Line("", f"fault {data['fault']}", "warning", _HANG)
    else:
        [line] = console.lines(fact, "")
        yield Line("", " ".join(line.text.split()), line.tone, _HANG)


def _received(data: Mapping[str, Any]) -> Iterator[Line]:
    yield Line("", f"received {str(data['title'])[:_LONGEST] or '(no title)'}", "strong", _HANG)
    yield Line("", f"  from <{data['sender']}>, {data['size']:,} octets", "plain", _HANG)
    for to in data["recipients"]:
        yield Line("", f"  to <{to['address']}> {to['outcome']}", "plain", _HANG)
    for attachment in data["attachments"]:
        name = "(no name)" if attachment["name"] is None else str(attachment["name"])[:_LONGEST]
        yield Line("", f"  file {name}, {attachment['size']:,} octets", "plain", _HANG)
    for defect in data["defects"]:
        yield Line("", f"  defect: {defect}", "warning", _HANG)


def matching(mails: Iterable[SeenMail], wanted: str) -> list[SeenMail]:
    """Those with ``wanted`` in them."""
    key = wanted.casefold()
    return [mail for mail in mails if not key or mail.matches(key)]


def _waiting(one: Waiting, now: float, room: int) -> Row:
    wait = one.due - now
    when = "now" if wait < 1 else f"in {console.span(wait)}"
    tries = f"{one.attempts}×, " if one.attempts else ""  # noqa: RUF001  # the sign of multiplication is meant
    tail = f" {tries}{when}"
    address = fitted(one_line(str(one.recipient)), max(8, room - len(tail)))
    return Row(((address, "plain"), (tail, "warning" if one.attempts else "faint")))
