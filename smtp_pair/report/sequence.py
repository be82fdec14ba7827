"""Who said what to whom, and when, as a sequence diagram: a column for each, time running down. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from smtp_pair.facts import Fact
from smtp_pair.report.figures import brought_by, span
from smtp_pair.report.markup import Html, counted, tag, text
from smtp_pair.server_msg import one_line
from smtp_pair.transcript import Transcript

Kind = Literal["send", "reply", "body", "note", "refusal", "fault"]

ROWS = 120
"""Rows of one diagram; what is beyond them is in the text."""
CLIENTS = 3
"""Clients that speak at the same time with a column each; more of them share one, and so do those that take turns."""
_TIME, _EDGE, _GAP = 44, 66, 250  # columns of pixels: the times; from a lane to the edge; from lane to lane
_ROW, _TOP = 19, 44
_CHARACTER = 6.0


@dataclass(frozen=True, slots=True)
class Step:
    """An arrow, or (from somebody to himself) a remark."""

    at: float
    """Seconds since the beginning."""
    source: str
    target: str
    kind: Kind
    words: str


def of_sessions(sessions: Sequence[Transcript]) -> list[Step]:
    """The steps of all sessions, by time."""
    together = _one_lane(sessions)
    steps = []
    for session in sessions:
        client = "clients" if together and not session.relayed else session.client
        for event in session.events:
            at = session.began + event.at
            if event.kind == "note":
                kind: Kind = "fault" if event.text.startswith(("fault:", "no connection")) else "note"
                place = client if event.text.startswith("no connection") else session.server
                steps.append(Step(at, place, place, kind, event.text))
            elif event.kind == "reply":
                first, *more = event.text.split("\n")
                words = f"{first}, {', '.join(line[4:] for line in more)}" if more else first
                refusal = first[:1] in ("4", "5")
                steps.append(Step(at, session.server, client, "refusal" if refusal else "reply", words))
            elif event.kind == "body":
                fields = f" + {counted(event.hops, 'trace field')}" if event.hops else ""
                words = event.text or f"mail: {event.size:,} octets{fields}"
                steps.append(Step(at, client, session.server, "body", words))
            else:
                steps.append(Step(at, client, session.server, "send", event.text))
    return sorted(steps, key=lambda step: step.at)


def _one_lane(sessions: Sequence[Transcript]) -> bool:
    """Whether all clients share one column: where each has ended before the next begins, nothing is mixed up."""
    own = sorted((one for one in sessions if not one.relayed), key=lambda one: one.began)
    ends = [one.began + max((event.at for event in one.events), default=0.0) for one in own]
    apart = all(end <= after.began for end, after in zip(ends, own[1:], strict=False))
    clients = len({one.client for one in own})
    return clients > CLIENTS or (clients > 1 and apart)


def of_facts(facts: Sequence[Fact]) -> list[Step]:
    """What journals tell, where nobody wrote down what was said."""
    if not facts:
        return []
    start, servers = min(fact.moment for fact in facts), {fact.server for fact in facts}
    steps = []
    for fact in facts:
        at, data = fact.moment - start, fact.data
        if fact.event == "received":
            words = f"{fact.data['title'] or '(no title)'}, to {counted(len(data['recipients']), 'recipient')}"
            source = brought_by(fact, servers)
            if source in ("", fact.server):  # from another server, it is what that one forwarded
                steps.append(Step(at, source or "clients", fact.server, "note" if source else "body", words))
        elif fact.event == "refused":
            steps.append(Step(at, fact.server, "clients", "refusal", f"{data['recipient']} {data['reply']}"))
        elif fact.event == "fault":
            steps.append(Step(at, fact.server, fact.server, "fault", f"fault: {data['fault']}"))
        else:
            hop = str(data["next_hop"]).partition(" (")[0]
            kind: Kind = "body" if fact.event in ("forwarded", "delivered") else "fault"
            target = hop if fact.event == "forwarded" else fact.server
            steps.append(Step(at, fact.server, target, kind, f"{fact.event} <{data['recipient']}> {data['reply']}"))
    return sorted(steps, key=lambda step: step.at)


def lanes(steps: Sequence[Step]) -> list[str]:
    """Who takes part: clients first, then in the order in which they are met."""
    met = dict.fromkeys(name for step in steps for name in (step.source, step.target))
    return sorted(met, key=lambda name: not name.startswith("client"))


def draw(steps: Sequence[Step], name: str) -> Html:
    """The diagram of the first :data:`ROWS` steps. ``name`` is what a screen reader says of it."""
    shown, names = steps[:ROWS], lanes(steps[:ROWS])
    width = _TIME + 2 * _EDGE + _GAP * max(1, len(names) - 1)
    height = _TOP + _ROW * len(shown) + 16
    at = {one: _TIME + _EDGE + _GAP * number for number, one in enumerate(names)}
    drawn = [*_heads(at, height), *(part for row, step in enumerate(shown) for part in _row(step, row, at, width))]
    picture = tag(
        "svg",
        tag("title", name),
        drawn,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        class_="sequence",
    )
    return tag("div", picture, class_="wide", tabindex="0", role="region", aria_label=f"{name}, to be scrolled")


def _heads(at: dict[str, int], height: int) -> Iterator[Html]:
    for name, x in at.items():
        label = _cut(name, 21)
        half = max(34.0, len(label) * _CHARACTER / 2 + 7)
        kind = "head client" if name.startswith("client") else "head"
        yield tag("line", x1=x, x2=x, y1=30, y2=height - 4, class_="lane")
        yield tag("rect", x=x - half, y=6, width=2 * half, height=24, rx=5, class_=kind)
        yield tag("text", label, x=x, y=22, text_anchor="middle", class_="strong")


def _row(step: Step, row: int, at: dict[str, int], width: int) -> Iterator[Html]:
    y = _TOP + _ROW * row + 13
    yield tag("text", _seconds(step.at), x=_TIME - 6, y=y, text_anchor="end", class_="time")
    source, target = at[step.source], at[step.target]
    whole = tag("title", one_line(step.words))
    if source == target:
        room = int((width - source - 14 if source <= width / 2 else source - _TIME - 14) / _CHARACTER)
        end = source > width / 2
        yield tag("circle", cx=source, cy=y - 4, r=4, class_=f"dot {step.kind}")
        yield tag(
            "text",
            whole,
            _cut(one_line(step.words), room),
            x=source - 9 if end else source + 9,
            y=y,
            text_anchor="end" if end else "start",
            class_=step.kind,
        )
        return
    forth = 1 if target > source else -1
    tip = target - 2 * forth
    yield tag("line", x1=source, x2=tip - 5 * forth, y1=y + 3, y2=y + 3, class_=f"arrow {step.kind}")
    yield tag("path", d=f"M{tip} {y + 3}l{-7 * forth} -3.5v7z", class_=f"tip {step.kind}")
    room = int((abs(target - source) - 16) / _CHARACTER)
    label = text(_cut(one_line(step.words), room))
    yield tag("text", whole, label, x=(source + target) / 2, y=y - 1, text_anchor="middle", class_=step.kind)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: max(1, most - 1)]}…"


def _seconds(at: float) -> str:
    return f"{at:.3f}" if at < 100 else span(at)
