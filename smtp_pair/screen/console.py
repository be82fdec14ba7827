"""A server's console: what happened on it, as lines for people. And a client's: what smtplib shows, made shorter."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from smtp_pair.facts import Fact
from smtp_pair.mail.address import domain_key
from smtp_pair.screen.lines import Line, Tone
from smtp_pair.server_msg import one_line

TEXT_LINES = 12
"""Lines of a mail's text; of a longer one, the rest is counted."""
_KEY = 10  # the column at which what belongs to a mail begins

BODY_ROWS = 10
"""Rows of a mail as a client sends it: its header. The text is seen at the servers, the files on disk."""
_TWICE = ("reply: b", "connect: b", "data: (")  # smtplib also says all of it in "reply: retcode (250); Msg: ..."
_CLIENT_TONES: tuple[tuple[str, Tone], ...] = (("reply: ", "faint"), ("accepted: ", "good"), ("refused: ", "warning"))

_OUTCOMES = {"queued": "queued, to be passed on", "ignored": "ignored, no route leads there"}


def labels(domains: Sequence[str]) -> dict[str, str]:
    """A short label for each domain: ``jaku`` for jaku.com, the whole name where the short one would be another's."""
    short = {domain: domain.partition(".")[0] for domain in domains}
    found = [domain_key(name) for name in short.values()]
    return {domain: name if found.count(domain_key(name)) == 1 else domain for domain, name in short.items()}


def lines(fact: Fact, actor: str, *, brief: bool = False) -> list[Line]:
    """The lines for a fact of the server called ``actor``; ``brief`` leaves the attachments' files and digests out."""
    if fact.event == "received":
        return list(_received(fact, actor, brief))
    if fact.event == "refused":
        who = f"{fact.data['recipient']} from <{fact.data['sender']}>"
        return [Line(actor, f"refused   {who}: {_reply(fact.data)}", "warning", hang=_KEY)]
    if fact.event == "fault":
        what = f"{fact.data['phase']}: {one_line(fact.data['fault'])}"
        return [Line(actor, f"fault     {what}, for {fact.data['client']}", "warning", hang=_KEY)]
    tone, text = _attempt(fact)
    return [Line(actor, text, tone, hang=_KEY)]


def _attempt(fact: Fact) -> tuple[Tone, str]:
    data = fact.data
    domain = data["recipient"].rpartition("@")[2]
    contacted = f"{domain} at {data['next_hop']}" if data["next_hop"] else "the routing table"
    said = f"<{data['recipient']}>: {contacted} said {_reply(data)}"
    attempt = f", at attempt {data['attempts']}" if data["attempts"] > 1 else ""
    if fact.event == "deferred":
        return "warning", f"put off   {said}{attempt}; again in {span(data['again'] - fact.moment)}"
    return "good" if fact.event == "forwarded" else "bad", f"{fact.event:<9} {said}{attempt}"


def _received(fact: Fact, actor: str, brief: bool) -> Iterator[Line]:
    def line(key: str, value: str, tone: Tone = "plain") -> Line:
        return Line(actor, f"  {key:<{_KEY - 2}}{value}", tone, hang=_KEY)

    data = fact.data
    yield Line(actor, f"received  a mail from <{data['sender']}>, {data['size']:,} octets: {fact.mail}", "strong", _KEY)
    for to in data["recipients"]:
        yield line("to", f"<{to['address']}> {_OUTCOMES.get(to['outcome'], to['outcome'])}")
    yield line("title", str(data["title"]) or "(none)")
    yield from (line(key, text) for key, text in _text(data["text"]))
    for attachment in data["attachments"]:
        name = "(no name)" if attachment["name"] is None else attachment["name"]
        yield line("file", f"{name}: {attachment['type']}, {attachment['encoding']}, {attachment['size']:,} octets")
        if not brief:
            yield line("", attachment["file"], "faint")
            yield line("", f"sha256 {attachment['sha256']}", "faint")
    yield from (line("defect", str(defect), "warning") for defect in data["defects"])


def _text(text: str) -> Iterator[tuple[str, str]]:
    all_lines = text.rstrip().expandtabs().splitlines()
    for number, text_line in enumerate(all_lines[:TEXT_LINES]):
        yield "" if number else "text", text_line
    if len(all_lines) > TEXT_LINES:
        yield "", f"... {len(all_lines) - TEXT_LINES:,} more lines"


def _reply(data: Mapping[str, Any]) -> str:
    return str(data["reply"]).replace("\n", "; ")


def span(seconds: float) -> str:
    """A duration for people: ``0.1 s``, ``8 s``, ``5 min``."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


class Shortened:
    """A conversation as the clients show it, line by line: without what smtplib says twice, and with the header only
    of the mail."""

    def __init__(self) -> None:
        self._rows, self._hidden = 0, 0

    def __call__(self, text: str) -> str | None:
        """The line to show; None: nothing."""
        self._rows = self._rows + 1 if text.startswith("      ") else 0
        if text.startswith(_TWICE):
            return None
        if self._rows < BODY_ROWS:
            return text
        if text.endswith(" more bytes"):
            counted, hidden = int(text.split()[1].replace(",", "")), self._hidden
            self._hidden = 0
            return f"      ... {hidden + counted:,} more bytes"
        self._hidden += len(ast.literal_eval(text.strip()))
        return None


def client_tone(text: str) -> Tone:
    """How a line of such a conversation is shown."""
    return next((tone for start, tone in _CLIENT_TONES if text.startswith(start)), "plain")
