"""One mail, in tabs: text, HTML, headers, hops, attachments, raw. Pure, but that it reads the mail."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from smtp_pair.report.body_filter import frame
from smtp_pair.report.mail_parts import Enclosed, Parts, take_apart
from smtp_pair.report.markup import Html, counted, fold, join, table, tag
from smtp_pair.report.run import MailSeen
from smtp_pair.transcript import Transcript

TEXT = 20_000
"""Characters of a text that are shown."""
RAW = 16 << 10
"""Octets of the raw mail that are shown."""
WHOLE = 500
"""Mails of a report that are shown with all their tabs; the others are rows of a table."""
ROOM = 24 << 20
"""Characters that all of them may take together."""
_READ = 16 << 20
"""Octets of a mail that is taken apart."""


class Room:
    """What is left of a report's space for mails, and the numbers that they have."""

    def __init__(self, mails: int = WHOLE, characters: int = ROOM) -> None:
        self._mails = mails
        self._characters = characters
        self.number = 0

    @property
    def full(self) -> bool:
        return self._mails <= 0 or self._characters <= 0

    def take(self, made: str) -> None:
        """Some of it is used."""
        self._mails -= 1
        self._characters -= len(made)


def listing(mails: Sequence[MailSeen], ids: Collection[str], sessions: Sequence[Transcript], room: Room) -> Html:
    """All of them: as many as there is room for with their tabs, the others as rows, a hundred to a fold."""
    shown, rest = [], list(mails)
    while rest and not room.full:
        made = _mail(rest.pop(0), ids, sessions, room)
        room.take(made)
        shown.append(made)
    folds = []
    for at in range(0, len(rest), 100):
        some = rest[at : at + 100]
        rows = [
            (one.title or "(no title)", one.sender, _to(one), one.server, f"{one.size:,}", one.file) for one in some
        ]
        first = len(shown) + at + 1
        label = f"Mails {first:,} to {first + len(some) - 1:,}"
        folds.append(fold(label, table(("title", "from", "to", "server", "octets", "raw mail"), rows, label)))
    note = (
        tag("p", f"The next {len(rest):,} are rows here; the files have all of them.", class_="dim") if rest else None
    )
    return join([tag("div", shown, class_="mails"), note, folds])


def _to(mail: MailSeen) -> str:
    more = f" and {len(mail.recipients) - 3} more" if len(mail.recipients) > 3 else ""
    return ", ".join(mail.recipients[:3]) + more


def _mail(mail: MailSeen, ids: Collection[str], sessions: Sequence[Transcript], room: Room) -> Html:
    room.number += 1
    try:
        raw = mail.read()
    except OSError as error:
        tabs = tag("p", f"The mail can't be read any more: {error.strerror or error}", class_="dim")
        return fold(_summary(mail, mail.title), tabs, class_="mail")
    parts = take_apart(raw[:_READ], ids)
    panels = list(_panels(mail, raw, parts, sessions, room.number))
    name = f"m{room.number}"
    inputs = [
        part
        for at, (label, _) in enumerate(panels)
        for part in (
            tag("input", type="radio", name=name, id=f"{name}-{at}", checked=not at),
            tag("label", label, for_=f"{name}-{at}"),
        )
    ]
    bodies = [tag("div", body, class_="panel") for _, body in panels]
    legend = tag("legend", f"Views of mail {room.number}", class_="hidden")
    tabs = tag("fieldset", legend, inputs, bodies, class_="tabs")
    where = tag("p", "raw mail: ", _link(mail.file), class_="dim file") if mail.file else None
    return fold(_summary(mail, mail.title or parts.subject), tabs, where, class_="mail")


def _summary(mail: MailSeen, title: str) -> Html:
    to = f" → {_to(mail)}" if mail.recipients else ""
    who = f"<{mail.sender}>{to}" if mail.sender or mail.recipients else ""
    at = f", {_moment(mail.moment)}" if mail.moment else ""
    facts = f"{who}  at {mail.server}, {mail.size:,} octets{at}"
    return join([tag("span", title or "(no title)", class_="title"), tag("span", facts, class_="dim")])


def _moment(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return ""


def _link(file: str) -> Html:
    return tag("a", file, href=quote(file))


def _panels(
    mail: MailSeen, raw: bytes, parts: Parts, sessions: Sequence[Transcript], number: int
) -> Iterator[tuple[str, Html]]:
    if parts.text or not parts.html:
        yield "Text", _block(parts.text or "(no text)", TEXT, mail.file)
    if parts.html:
        yield "HTML", _frame(parts, number)
    yield "Headers", _headers(parts)
    yield f"Hops {len(parts.hops)}", _hops(raw, parts, sessions)
    if parts.enclosed:
        yield f"Attachments {len(parts.enclosed)}", _attachments(parts.enclosed)
    yield "Raw", _block(raw[:RAW].decode("utf-8", "replace").replace("\r\n", "\n"), RAW, mail.file, len(raw))


def _block(words: str, most: int, file: str, size: int = 0) -> Html:
    """A text, cut where it is too long, with where the rest is."""
    cut = None
    if len(words) > most or size > most:
        whole = f"; the whole mail is {file}" if file else ""
        cut = tag("p", f"Cut after {most:,} of {max(size, len(words)):,}{whole}.", class_="dim")
    made = tag("pre", words[:most], tabindex="0", role="region", aria_label="text of the mail")
    return join([made, cut])


def _frame(parts: Parts, number: int) -> Html:
    document = frame(parts.html, parts.pictures)
    framed = tag(
        "iframe",
        sandbox="",
        srcdoc=document,
        title=f"HTML of mail {number}",
        loading="lazy",
        referrerpolicy="no-referrer",
    )
    why = "In a frame that may do nothing: no script, no request; addresses are shown when pointed at, not followed."
    source = tag("pre", parts.html[:TEXT], tabindex="0", role="region", aria_label="source of the HTML")
    return join([framed, tag("p", why, class_="dim"), fold("Source", source)])


def _headers(parts: Parts) -> Html:
    rows = [(name, value) for name, value in parts.fields[:300]]
    defects = [tag("p", f"Defect: {one}", class_="failed") for one in parts.defects]
    return join([table(("field", "value"), rows, "Header fields, decoded", class_="fields"), defects])


def _hops(raw: bytes, parts: Parts, sessions: Sequence[Transcript]) -> Html:
    """The servers it came through, what each put on top, and where the same octets were seen."""
    digest = hashlib.sha256(raw[parts.begins :]).hexdigest()
    rows = [
        (f"{at}. {hop.hostname}", hop.mail_id, added)
        for at, (hop, added) in enumerate(zip(parts.hops, parts.added, strict=False), 1)
    ]
    rows += [("delivery", "", added) for added in parts.added[len(parts.hops) :]]
    seen = [
        f"{session.client} → {session.server}, at {session.began + event.at:.3f} s"
        + (f", below {counted(event.hops, 'trace field')}" if event.hops else ", as its client sent it")
        for session in sessions
        for event in session.events
        if event.sha256 == digest
    ]
    below = f"Below what was put on top, {len(raw) - parts.begins:,} octets, sha256 {digest[:16]}."
    if seen:
        below += " The same octets were said in these sessions: nothing else changed on the way."
    return join(
        [
            table(("hop", "called it", "put on top"), rows, "Hops, first to last") if rows else None,
            tag("p", below),
            tag("ul", [tag("li", one) for one in seen[:20]]) if seen else None,
        ]
    )


def _attachments(enclosed: Sequence[Enclosed]) -> Html:
    items = []
    for one in enclosed[:50]:
        digest = hashlib.sha256(one.content).hexdigest()
        head = join([tag("strong", one.name), f" {one.type}, {one.encoding}, {one.size:,} octets"])
        shown = None
        if one.picture:
            shown = tag("img", src=one.picture, alt=f"preview of {one.name}", loading="lazy")
        elif one.type.startswith("text/") or one.type in ("application/json", "image/svg+xml", "message/rfc822"):
            words = one.content[:2000].decode("utf-8", "replace")
            more = f"\n[... {one.size - 2000:,} more octets]" if one.size > 2000 else ""
            shown = fold("Show as text", tag("pre", words + more, tabindex="0", role="region", aria_label=one.name))
        defects = [tag("p", f"Defect: {defect}", class_="failed") for defect in one.defects]
        items.append(tag("li", tag("p", head), tag("p", f"sha256 {digest}", class_="dim digest"), shown, defects))
    more_items = tag("p", f"and {len(enclosed) - 50} more") if len(enclosed) > 50 else None
    return join([tag("ul", items, class_="attachments"), more_items])
