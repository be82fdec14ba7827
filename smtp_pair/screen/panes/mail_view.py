"""One mail, page by page: its text, header, attachments, raw octets, and the way it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smtp_pair import server_msg
from smtp_pair.mail.attachment import parse
from smtp_pair.mail.message import Mail
from smtp_pair.mail.trace import date_time
from smtp_pair.screen.lines import Line, Tone
from smtp_pair.screen.panes.model import SeenMail

PAGES = ("Text", "Headers", "Attachments", "Raw", "Hops")
MOST_LINES = 2_000
"""Lines of a page; of a longer one the rest is counted."""
MOST_OCTETS = 256 << 10
"""Octets of the raw mail that are shown. A mail may have 30 MB, and its file is named."""


@dataclass(frozen=True, slots=True)
class OpenMail:
    """A mail as it is opened: what was told of it, and, where it has a mailbox here, what lies there."""

    seen: SeenMail
    directory: Path
    """The server's folder."""
    mail: Mail | None
    """None: it has no mailbox here, or the mail was removed since."""
    waiting: bytes | None = None
    """As it waits in the queue, where it does."""

    def page(self, name: str) -> list[Line]:
        """A page of it. Never raises for what is in the mail, or for a file that has gone."""
        make: dict[str, Callable[[], Iterator[Line]]] = {
            "Text": self._text,
            "Headers": self._headers,
            "Attachments": self._attachments,
            "Raw": self._raw,
            "Hops": self._hops,
        }
        lines: list[Line] = []
        for line in make[name]():
            if len(lines) == MOST_LINES:
                return [*lines, Line("", "... and more; the raw mail has it all", "faint")]
            lines.append(line)
        return lines

    @property
    def title(self) -> str:
        """Its title, as it is in the mail."""
        return str(self.seen.fact.data["title"]) or "(no title)"

    def summary(self) -> Iterator[Line]:
        """What stands above each page."""
        data = self.seen.fact.data
        yield Line("", f"{'from':<6}<{data['sender']}>", "plain", 6)
        for number, (address, outcome) in enumerate(self.seen.outcomes.items()):
            if number == 4:
                yield Line("", f"      and {len(self.seen.outcomes) - number:,} more", "faint", 6)
                break
            yield Line("", f"{'to':<6}<{address}> {outcome}", _OUTCOMES.get(outcome, "plain"), 6)
        yield Line(
            "", f"{'at':<6}{date_time(self.seen.fact.moment)}, {data['size']:,} octets, {self.seen.id}", "faint", 6
        )

    def _text(self) -> Iterator[Line]:
        data = self.seen.fact.data
        text = self.mail.text if self.mail is not None else str(data["text"])
        if not data["file"]:  # no mailbox here: nobody has read it yet
            text = parse(self.waiting).text if self.waiting is not None else ""
        if text.strip():
            yield from _lines_of(text)
        else:
            yield Line("", "(no text)", "faint") if self._octets() is not None else self._passed_on()
        for defect in self.seen.fact.data["defects"]:
            yield Line("", f"defect: {defect}", "warning")

    def _headers(self) -> Iterator[Line]:
        raw = self._octets()
        if raw is None:
            yield self._passed_on()
            return
        head, _, _ = raw[:MOST_OCTETS].partition(b"\r\n\r\n")
        for text in _decoded(head).split("\n"):
            name, colon, value = text.partition(":")
            field = bool(colon) and not text.startswith((" ", "\t"))
            yield Line("", f"{name}:{value}" if field else text.expandtabs(4), "plain" if field else "faint", 4)

    def _attachments(self) -> Iterator[Line]:
        attachments = self.seen.fact.data["attachments"]
        if self.waiting is not None:
            for number, part in enumerate(parse(self.waiting).attachments, 1):
                yield Line("", f"{number}  {'(no name)' if part.filename is None else part.filename}", "strong", 3)
                yield Line(
                    "", f"   {part.content_type}, {part.encoding}, {len(bytes(part.decode())):,} octets", "plain", 3
                )
        elif not attachments:
            here = self._octets() is not None or self.seen.fact.data["file"]
            yield Line("", "(no attachments)", "faint") if here else self._passed_on()
        for number, one in enumerate(attachments, 1):
            name = "(no name)" if one["name"] is None else str(one["name"])
            yield Line("", f"{number}  {name}", "strong", 3)
            yield Line("", f"   {one['type']}, {one['encoding']}, {one['size']:,} octets", "plain", 3)
            yield Line("", f"   sha256 {one['sha256']}", "faint", 3)
            yield Line("", f"   {self.directory / one['file']}", "faint", 3)
            for defect in one["defects"]:
                yield Line("", f"   defect: {defect}", "warning", 3)

    def _raw(self) -> Iterator[Line]:
        raw = self._octets()
        if raw is None:
            yield self._passed_on()
            return
        yield Line("", f"{self.mail.path}" if self.mail is not None else "(as it waits in the queue)", "faint")
        yield Line("", "")
        yield from _lines_of(_decoded(raw[:MOST_OCTETS]))
        if len(raw) > MOST_OCTETS:
            yield Line("", f"... {len(raw) - MOST_OCTETS:,} more octets in the file above", "faint")

    def _hops(self) -> Iterator[Line]:
        data = self.seen.fact.data
        try:
            hops = self.mail.hops if self.mail is not None else []
        except OSError:
            hops = []
        yield Line("", f"{data['client']} handed it to {self.seen.fact.server}")
        for number, hop in enumerate(hops, 1):
            yield Line("", f"{number}  {hop}", "strong", 3)
        for address, outcome in self.seen.outcomes.items():
            last = self.seen.attempts.get(address)
            told = server_msg.outcome(last) if last is not None else f"<{address}> {outcome}"
            yield Line("", f"   {told}", _OUTCOMES.get(outcome, "plain"), 3)

    def _octets(self) -> bytes | None:
        try:
            return self.mail.raw if self.mail is not None else self.waiting
        except OSError:
            return None

    def _passed_on(self) -> Line:
        return Line("", f"{self.seen.fact.server} has no copy: nobody here has it in a mailbox", "faint")


_OUTCOMES: dict[str, Tone] = {"failed": "bad", "deferred": "warning", "delivered": "good", "forwarded": "good"}


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


def _lines_of(text: str) -> Iterator[Line]:
    for line in text.rstrip().split("\n"):
        yield Line("", line.expandtabs() if len(line) < MOST_OCTETS else line, "plain", 0)
