"""One test: why it failed, what was said, the mails that came of it, what waited. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from smtp_pair.report import retries, sequence
from smtp_pair.report.figures import span, waits
from smtp_pair.report.mail_view import Room, listing
from smtp_pair.report.markup import NONE, Html, counted, fold, join, table, tag
from smtp_pair.report.run import Test
from smtp_pair.server_msg import one_line
from smtp_pair.transcript import render

LINES = 1_500
"""Lines of conversation in a test's text."""
PROBLEM = 20_000
"""Characters of what a failure says."""
FACTS = 500


def show(test: Test, number: int, room: Room, *, open_: bool) -> Html:
    """All of it, folded unless ``open_``."""
    badge = tag("span", test.outcome, class_=f"badge {test.outcome}") if test.outcome != "unknown" else None
    summary = [tag("h3", test.name), badge, tag("span", _sums(test), class_="dim")]
    return fold(summary, list(_inside(test, number, room)), open_=open_, class_=f"test {test.outcome}", id=f"t{number}")


def _sums(test: Test) -> str:
    parts = [counted(len(test.mails), "mail")]
    parts += [counted(len(test.sessions), "session")] if test.sessions else []
    parts += [span(test.ended - test.began)] if test.began and test.outcome != "unknown" else []
    parts += [test.worker] if test.worker else []
    return ", ".join(parts)


def _inside(test: Test, number: int, room: Room) -> Iterator[Html | None]:
    if test.missing:
        yield tag("p", test.missing, class_="failed")
    if test.problem:
        yield tag("h4", "What the wait was looking for, and what came" if test.searching else "Why it failed")
        yield _scrolled(test.problem, PROBLEM, "why the test failed", "problem")
    if test.traceback:
        yield fold("Traceback", _scrolled(test.traceback, PROBLEM, "traceback"))
    yield from _said(test)
    if test.mails:
        yield tag("h4", counted(len(test.mails), "mail"))
        yield listing(test.mails, test.ids, test.sessions, room)
    lost = sum(server.delivered for server in test.servers) - len(test.mails)
    if lost > 0:
        yield tag(
            "p", f"{counted(lost, 'mail')} before these, or gone since, {'was' if lost == 1 else 'were'} not kept."
        )
    waited = waits(test.facts)
    if waited:
        yield tag("h4", "What waited, and each attempt")
        yield retries.show(waited)
    yield from _servers(test)
    if test.facts:
        yield fold(f"All that happened ({len(test.facts):,})", _facts(test))
    if test.folder:
        yield tag("p", f"kept in {test.folder}", class_="dim file")


def _said(test: Test) -> Iterator[Html]:
    steps = sequence.of_sessions(test.sessions) if test.sessions else sequence.of_facts(test.facts)
    if not steps:
        return
    yield tag("h4", "What was said" if test.sessions else "What happened")
    yield sequence.draw(steps, f"Sequence diagram of {test.name}")
    if len(steps) > sequence.ROWS:
        where = "the text below" if test.sessions else "the list below"
        yield tag("p", f"and {len(steps) - sequence.ROWS:,} more, in {where}", class_="dim")
    if test.sessions:
        words = render(test.sessions, LINES)
        yield fold("As text", _scrolled(words, len(words), "transcript"))


def _servers(test: Test) -> Iterator[Html]:
    if not test.servers:
        return
    rows = [
        (
            one.hostname,
            one.domain,
            f"{one.delivered:,}",
            "; ".join(one.waiting) or NONE,
            f"{one.forgotten:,}" if one.forgotten else NONE,
        )
        for one in test.servers
    ]
    heads = ("server", "domain", "delivered", "waiting at the end", "sessions not kept")
    routes = [tag("p", "Routes: ", ", ".join(f"{name} → {to}" for name, to in test.routes))] if test.routes else []
    yield fold("Servers at the end", table(heads, rows, "Servers at the end"), routes)


def _facts(test: Test) -> Html:
    rows = []
    for fact in test.facts[:FACTS]:
        data = fact.data
        if fact.event == "received":
            ends = ", ".join(f"<{to['address']}> {to['outcome']}" for to in data["recipients"])
            words = f"“{data['title']}” from <{data['sender']}>: {ends}"
        elif fact.event == "fault":
            words = f"{data['fault']}, for {data['client']}"
        elif fact.event == "refused":
            words = f"{data['recipient']} from <{data['sender']}>: {data['reply']}"
        else:
            words = f"<{data['recipient']}> to {data['next_hop']}: {data['reply']}"
        rows.append((_time(fact.moment), fact.server, fact.event, one_line(words)))
    made = table(("when (UTC)", "server", "what", "of what"), rows, "All that happened")
    rest = len(test.facts) - FACTS
    return join([made, tag("p", f"and {rest:,} more, in the folder", class_="dim") if rest > 0 else None])


def _time(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%d %b %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return NONE


def _scrolled(words: str, most: int, label: str, class_: str | None = None) -> Html:
    cut = f"\n[... {len(words) - most:,} more characters]" if len(words) > most else ""
    return tag("pre", words[:most] + cut, tabindex="0", role="region", aria_label=label, class_=class_)
