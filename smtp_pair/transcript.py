"""What was said in a session, as values: rendered, compared, written down and read again.

A :class:`Transcript` is one connection, from its greeting to its end. It has no secrets: what followed AUTH was never
kept. Bodies are folded to their size and digest; the octets themselves are at hand only while the recorder has room for
them (``recorder.py``). Client and server go by their names, not by ports that are others in each run.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from smtp_pair.server_msg import one_line

Kind = Literal["send", "reply", "body", "note"]

SHOWN = 400
"""Characters of a line that are shown; all of it is kept, up to what a legal line may have."""
_DIGEST_SHOWN = 16
_MAIL_ID = re.compile(r"\b[0-9a-f]{11}-[0-9a-f]{10}-[0-9a-f]+\b")
_PORT = re.compile(r"(\[?(?:127\.0\.0\.1|::1|localhost)\]?):[0-9]{1,5}\b")
_SIZE = re.compile(r"\bSIZE=[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was said, or happened."""

    at: float
    """Seconds since the session began."""
    kind: Kind
    """``send``: the client's line. ``reply``: the server's, of one or several lines. ``body``: a mail's content.
    ``note``: neither; TLS began, the connection was lost, a fault was made."""
    text: str = ""
    """What was said, without the line end at its end; octets that are not UTF-8 as lone surrogates
    (``surrogateescape``)."""
    size: int = 0
    """Of a body: its octets as first sent, without the trace fields that this network added; of a chunk (BDAT), the
    octets on the wire."""
    sha256: str = ""
    """Of a body: the digest of the same, as ``mail.sha256``; "" where it is not known any more."""
    hops: int = 0
    """Of a body: how many trace fields this network had added before."""
    content: bytes | None = field(default=None, repr=False, compare=False)
    """Of a body: all of it, while it is kept."""

    def lines(self, *, brief: bool = False) -> list[str]:
        """What is shown of it, safe for any screen: ``send: ...`` and ``reply: ...``. ``brief``: a reply of several
        lines in one."""
        if self.kind == "note":
            return [f"({_cut(one_line(self.text))})"]
        if self.kind == "body":
            return [f"send: [{self._folded()}]"]
        label = "send: " if self.kind == "send" else "reply: "
        lines = self.text.split("\n")
        if brief and len(lines) > 1:
            lines = [f"{lines[0]}, {', '.join(line[4:] for line in lines[1:])}"]
        return [label + _cut(one_line(line)) for line in lines]

    def _folded(self) -> str:
        if self.text:
            return self.text
        before = f"{self.hops} trace field{'s' * (self.hops > 1)}, then " if self.hops else ""
        digest = f", sha256 {self.sha256[:_DIGEST_SHOWN]}" if self.sha256 else ""
        return f"{before}{self.size:,} octets{digest}"


@dataclass(frozen=True, slots=True)
class Transcript:
    """One session. ``str()`` shows it."""

    client: str
    """Who spoke: a server of the network by its host name, anybody else as ``client 1``, ``client 2`` ..."""
    server: str
    """Who answered."""
    began: float
    """Seconds since the first session of its network, or the first one after ``fresh()``."""
    events: tuple[Event, ...]
    dropped: int = 0
    """How many events in the middle were forgotten: a session that never ends is not kept whole."""
    dropped_after: int = 0
    """After which event those were."""
    relayed: bool = False
    """Whether the client is a server of the network, passing mail on."""

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, *, brief: bool = False) -> list[str]:
        """It as lines of text: seconds since the session began before each. ``brief``: a line for each event."""
        shown = [f"{one_line(self.client)} -> {one_line(self.server)}, {self.began:.3f} s"]
        for number, event in enumerate(self.events):
            if self.dropped and number == self.dropped_after:
                shown.append(f"         ({self.dropped:,} lines were not kept)")
            first, *more = event.lines(brief=brief)
            shown.append(f"  {event.at:6.3f} {first}")
            shown += [f"         {line}" for line in more]
        return shown

    @property
    def commands(self) -> list[str]:
        """What the client said, bodies left out."""
        return [event.text for event in self.events if event.kind == "send"]

    @property
    def replies(self) -> list[str]:
        """What the server said."""
        return [event.text for event in self.events if event.kind == "reply"]

    @property
    def notes(self) -> list[str]:
        """What happened besides."""
        return [event.text for event in self.events if event.kind == "note"]


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} [... {len(text) - SHOWN:,} more]"


# -- many -------------------------------------------------------------------------------------------------------------


def render(transcripts: Iterable[Transcript], most: int | None = None, *, brief: bool = False) -> str:
    """Them all, in the order in which they began, a blank line between; of more than ``most`` lines the last are
    shown, for what went wrong is at the end. ``brief``: a line for each event."""
    lines: list[str] = []
    for one in sorted(transcripts, key=lambda transcript: transcript.began):
        lines += ["", *one.lines(brief=brief)] if lines else one.lines(brief=brief)
    if most is not None and len(lines) > most:
        lines = [f"[... {len(lines) - most:,} lines before]", *lines[-most:]]
    return "\n".join(lines)


def normal(transcripts: Transcript | Iterable[Transcript], *, bodies: bool = True) -> list[str]:
    """The form in which two runs are compared: no times, mails numbered in the order in which they are named, no
    ports. What depends on the moment of the run (the size of a mail with our trace fields on top, the text of a
    notification) is left out. ``bodies=False`` leaves all bodies out, for a client that dates its mails."""
    chosen = [transcripts] if isinstance(transcripts, Transcript) else sorted(transcripts, key=lambda one: one.began)
    text = "\n".join(line for one in chosen for line in _normal(one, bodies=bodies))
    numbers: dict[str, int] = {}
    text = _MAIL_ID.sub(lambda found: f"<mail {numbers.setdefault(found[0], len(numbers) + 1)}>", text)
    return _PORT.sub(r"\1:<port>", text).split("\n")


def _normal(one: Transcript, *, bodies: bool) -> Iterator[str]:
    yield f"{one_line(one.client)} -> {one_line(one.server)}"
    notification = False
    for event in one.events:
        if event.kind == "body" and (notification or not bodies):
            yield "  send: [a notification]" if notification else "  send: [a mail]"
            continue
        for line in event.lines():
            yield "  " + (_SIZE.sub("SIZE=<n>", line) if one.relayed or not bodies else line)
        if event.kind == "send" and event.text[:5].upper() == "MAIL ":
            notification = one.relayed and "<>" in event.text


def diff(
    before: Transcript | Iterable[Transcript], after: Transcript | Iterable[Transcript], *, bodies: bool = True
) -> str:
    """How the second run differs from the first, both in their normal form, as ``diff -u`` shows it; "": not at
    all. ``bodies`` as in :func:`normal`."""
    first, second = normal(before, bodies=bodies), normal(after, bodies=bodies)
    return "\n".join(difflib.unified_diff(first, second, "before", "after", lineterm=""))


# -- on disk ----------------------------------------------------------------------------------------------------------


def dumps(transcripts: Sequence[Transcript]) -> bytes:
    """As ``transcript.jsonl``: a line for each event, all sessions in the order of time. ASCII, so that nothing in it
    can reach a terminal. Bodies are folded."""
    ordered = sorted(transcripts, key=lambda one: one.began)
    rows: list[tuple[float, int, dict[str, Any]]] = []
    for number, one in enumerate(ordered, 1):
        head = {"session": number, "client": one.client, "server": one.server}
        more: dict[str, Any] = {"relayed": True} if one.relayed else {}
        if one.dropped:
            more |= {"dropped": one.dropped, "dropped_after": one.dropped_after}
        rows.append((one.began, number, {"at": round(one.began, 6), **head, "event": "begin", **more}))
        for event in one.events:
            row: dict[str, Any] = {"at": round(one.began + event.at, 6), **head, "event": event.kind}
            if event.text or event.kind != "body":
                row["text"] = event.text
            if event.kind == "body":
                row |= {"size": event.size, "sha256": event.sha256, "hops": event.hops}
            rows.append((one.began + event.at, number, row))
    rows.sort(key=lambda row: row[0])
    return b"".join(json.dumps(row).encode("ascii") + b"\n" for _, _, row in rows)


def loads(octets: bytes) -> list[Transcript]:
    """The transcripts in ``transcript.jsonl``. Raises ValueError where it is none."""
    heads: dict[int, dict[str, Any]] = {}
    events: dict[int, list[Event]] = {}
    for at, line in enumerate(octets.splitlines(), 1):
        try:
            row = json.loads(line)
            number = row["session"]
            if row["event"] == "begin":
                heads[number], events[number] = row, []
                continue
            moment = max(0.0, row["at"] - heads[number]["at"])
            events[number].append(
                Event(
                    moment,
                    row["event"],
                    row.get("text", ""),
                    row.get("size", 0),
                    row.get("sha256", ""),
                    row.get("hops", 0),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {at} is not of a transcript: {line[:80]!r}") from error
    return [
        Transcript(
            head["client"],
            head["server"],
            head["at"],
            tuple(events[number]),
            head.get("dropped", 0),
            head.get("dropped_after", 0),
            head.get("relayed", False),
        )
        for number, head in heads.items()
    ]
