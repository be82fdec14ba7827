"""A story for the panes, the same each time: the scripted mail with its three outcomes, and one that is put off.

It is played by real servers and a real client. What is different each time (ports, ids, moments, boundaries, and the
sizes of what holds those) is replaced by what it was once.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smtp_pair import Pair
from smtp_pair.clients.message import Draft
from smtp_pair.config import PATIENT_RETRY
from smtp_pair.entry import Waiting
from smtp_pair.facts import Fact
from smtp_pair.mail.message import Attachment, Attachments, Mail
from smtp_pair.recorder import Said
from smtp_pair.screen.lines import Line
from smtp_pair.screen.panes.app import scripted_mail
from smtp_pair.screen.panes.feed import Feed, Happening, State
from smtp_pair.screen.panes.live import Live
from smtp_pair.screen.panes.model import Place

NOON = 1795521600.0  # Tue, 24 Nov 2026 12:00:00 UTC
FOLDER = Path("/var/mail/smtp-pair")
_PORTS = (1025, 1030)

_REPLACED = (
    (r"(?i)(mail from|rcpt to):<", lambda found: f"{found[1].upper()}:<"),  # smtplib's own case has changed in 3.13
    (r"[0-9a-f]{11}-[0-9a-f]{10}-", "019ac5e8f2b-5f1c0de5ea-"),
    (r"\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "Tue, 24 Nov 2026 12:00:00 +0000"),
    (r"<[0-9a-f]{32}@", "<8d0f3b6c5e1a4f7e9b2c6a1d0e5f8b3c@"),
    (r"=_[0-9a-f]{32}", "=_1c9e7a5b3d2f4e6088a0c2e4f6b8d0a1"),
    (r"(?i)\bsize=\d{5}\b", "SIZE=18194"),
    (r"(?i)\bsize=\d{3}\b", "SIZE=512"),
    (r"\b18,[123]\d\d octets", "18,194 octets"),
    (r"\b\d{3} octets", "512 octets"),
    (r"[\d,]+ more bytes", "17,870 more bytes"),
    (r"127\.0\.0\.1\]:\d+", "127.0.0.1]:40312"),
)


@dataclass
class Story:
    """What happened, and what the screen may ask about it (:class:`smtp_pair.screen.panes.app.Actions`)."""

    places: list[Place]
    happened: list[Happening]
    mails: dict[tuple[str, str], Mail]
    feed: Feed = field(default_factory=Feed)
    sent: list[tuple[Draft, str]] = field(default_factory=list)

    def tell(self) -> None:
        """Put all of it into the feed."""
        for one in self.happened:
            self.feed.put(one)

    def directory(self, hostname: str) -> Path:
        return FOLDER / hostname

    def mail(self, hostname: str, mail_id: str) -> Mail | None:
        return self.mails.get((hostname, mail_id))

    def waiting(self, hostname: str, mail_id: str) -> bytes | None:
        return None

    def send(self, draft: Draft, hostname: str) -> None:
        self.sent.append((draft, hostname))


def play() -> Story:
    """Play it."""
    feed = Feed()
    with tempfile.TemporaryDirectory() as folder, Pair(directory=folder, retry=PATIENT_RETRY) as pair:
        pair.subscribe(feed.put)
        live = Live(pair, feed)
        with live.watched():
            live.send(scripted_mail(["jaku.com", "deathstar.com"]), pair.jaku.hostname).join()
            pair.settle()
            pair.deathstar.wait_for(to="vader@deathstar.com")
            pair.deathstar.faults.reject("RCPT", "451 4.3.0 not now", to="vader@*")
            pair.jaku.send("vader@deathstar.com", subject="Plans of the Death Star", sender="leia@jaku.com")
            pair.settle()
        live.look()
        ports = dict(zip((server.port for server in pair), _PORTS, strict=True))
        steady = _Steady(Path(folder), ports)
        places = [replace(place, address=steady.text(place.address)) for place in live.places]
        mails = {
            (server.hostname, steady.text(mail.id)): steady.mail(mail) for server in pair for mail in server.messages
        }
    happened = list(steady.happenings(feed.take().happened))
    # What the first server did after its 250 runs beside the client's goodbye; it is told afterwards.
    late = [one for one in happened if isinstance(one, Fact) and one.event in ("forwarded", "deferred")]
    first, second = late
    happened = [one for one in happened if one not in late]
    at = next(
        n for n, one in enumerate(happened) if isinstance(one, Said) and one.session == 2 and "jaku" in one.server
    )
    return Story(places, [*happened[:at], first, *happened[at:], second], mails)


class _Steady:
    """The same, but for what is different each time."""

    def __init__(self, folder: Path, ports: dict[int, int]) -> None:
        self._folder = str(folder)
        self._ports = ports

    def text(self, text: str) -> str:
        text = text.replace(self._folder, str(FOLDER))
        for port, steady in self._ports.items():
            text = re.sub(rf"(127\.0\.0\.1(?::|', )){port}\b", rf"\g<1>{steady}", text)
        for pattern, by in _REPLACED:
            text = re.sub(pattern, by, text)
        return text

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {key: self.value(one) for key, one in value.items()}
        return value

    def mail(self, mail: Mail) -> Mail:
        raw = self.text(mail.raw.decode()).encode()
        attachments = Attachments(self._attachment(one) for one in mail.attachments)
        path = Path(self.text(str(mail.path.parent))) / "1795521600.M1P1.jaku"
        changed: dict[str, Any] = {"_read": lambda: raw, "_ours": lambda _: True}
        return replace(mail, id=self.text(mail.id), attachments=attachments, path=path, **changed)

    def _attachment(self, one: Attachment) -> Attachment:
        return replace(one, path=Path(self.text(str(one.path))))

    def happenings(self, happened: Iterable[Happening]) -> Iterator[Happening]:
        states: dict[str, State] = {}
        for one in happened:
            if isinstance(one, State):
                states[one.hostname] = one
            elif isinstance(one, Fact):
                yield self._fact(one)
            elif isinstance(one, Said):
                yield self._said(one)
            else:
                yield Line(one.actor, self.text(one.text), one.tone, one.hang)
        yield from (self._state(one) for one in states.values())

    def _fact(self, one: Fact) -> Fact:
        data = {**self.value(dict(one.data))}
        if "size" in data:
            data["size"] = 18194 if data["size"] > 10_000 else 512
        if "again" in data:
            data["again"] = NOON + 300
        return Fact(one.event, NOON, one.server, self.text(one.mail), data)

    def _said(self, one: Said) -> Said:
        events = tuple(
            replace(
                event,
                text=self.text(event.text),
                size=event.size and (18194 if event.size > 10_000 else 512),
            )
            for event in one.events
        )
        return replace(one, events=events)

    def _state(self, one: State) -> State:
        queue = tuple(
            Waiting(self.text(each.mail), each.recipient, each.sender, each.next_hop, 1, NOON + 300, each.last)
            for each in one.queue
        )
        return replace(one, queue=queue, now=NOON)
