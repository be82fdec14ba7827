"""``smtp-pair show``: one mail of a data folder, for people: what is in it, where it came from, what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smtp_pair import journal
from smtp_pair.facts import Fact
from smtp_pair.mail.errors import ConfigError
from smtp_pair.mail.trace import date_time
from smtp_pair.mail_files import mail_file
from smtp_pair.report.mail_parts import Parts, take_apart
from smtp_pair.report.reading import raw_mail
from smtp_pair.server_msg import harmless, one_line, outcome

_NEAR = 5


@dataclass(frozen=True, slots=True)
class _Found:
    """A mail on one server."""

    folder: Path
    received: Fact
    later: tuple[Fact, ...]
    """What became of it since."""
    ids: frozenset[str]
    """The names of all mails of the data folder."""


def main(data: Path, mail_id: str, *, raw: bool = False) -> int:
    """Print the mail of that id (or a beginning of it that no other has); "": the last one that came.

    ``raw``: as it is stored, octet for octet; on a terminal its controls are shown as escapes all the same. Raises
    ConfigError where there is none, or more than one.
    """
    found = _find(data, mail_id)
    content = _content(found)
    if raw:
        return _print_raw(content)
    parts = take_apart(content, found.ids)
    for line in _lines(found, parts, len(content)):
        print(one_line(line))
    print()
    print(harmless(parts.text or parts.html or "(no text)").rstrip("\n"))
    return 0


def _print_raw(content: bytes) -> int:
    stream = getattr(sys.stdout, "buffer", None)
    if stream is not None and not sys.stdout.isatty():
        sys.stdout.flush()
        stream.write(content)
        stream.flush()
    else:
        sys.stdout.write(harmless(content.decode("utf-8", "replace").replace("\r\n", "\n")))
    return 0


def _find(data: Path, mail_id: str) -> _Found:
    if not data.is_dir():
        raise ConfigError(f"--data: {data} is not a folder")
    folders = sorted({path.parent for path in (*data.glob("*/journal.jsonl"), *data.glob("journal.jsonl"))})
    facts: list[tuple[Path, Fact]] = []
    for folder in folders:
        try:
            facts += [(folder, fact) for fact in journal.read(folder)]
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder / journal.FILE_NAME} can't be read: {error}") from None
    came = [(folder, fact) for folder, fact in facts if fact.event == "received"]
    if not came:
        raise ConfigError(f"--data: no mail has come to a server in {data}")
    if mail_id:
        chosen = [one for one in came if one[1].mail == mail_id]
        chosen = chosen or [one for one in came if one[1].mail.startswith(mail_id)]
        if not chosen:
            raise ConfigError(f"no mail {one_line(mail_id)} in {data}; `smtp-pair show` prints the last one")
        if len(chosen) > 1:
            near = ", ".join(fact.mail for _, fact in chosen[:_NEAR])
            more = f" and {len(chosen) - _NEAR} more" if len(chosen) > _NEAR else ""
            raise ConfigError(f"{one_line(mail_id)} may be {near}{more}")
        folder, received = chosen[0]
    else:
        folder, received = max(came, key=lambda one: one[1].moment)
    later = tuple(fact for _, fact in facts if fact.mail == received.mail and fact is not received)
    return _Found(folder, received, later, frozenset(fact.mail for _, fact in facts if fact.mail))


def _content(found: _Found) -> bytes:
    path = raw_mail(found.folder, found.received) or mail_file(found.folder / "spool", found.received.mail)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        became = "".join(f"; {outcome(fact)}" for fact in found.later[-1:])
        raise ConfigError(f"{found.received.mail} is not on {found.received.server} any more{became}") from None


def _lines(found: _Found, parts: Parts, size: int) -> Iterator[str]:
    fact, data = found.received, found.received.data
    yield f"Mail:        {fact.mail}, at {fact.server}"
    yield f"Received:    {date_time(fact.moment)}, from {data['client']}"
    if parts.hops:
        yield f"Hops:        {' -> '.join(hop.hostname for hop in parts.hops)}"
    yield f"Sender:      <{data['sender']}>"
    for to in data["recipients"]:
        yield f"Recipient:   <{to['address']}> {to['outcome']}"
    for later in found.later:
        if later.event in ("delivered", "forwarded", "deferred", "failed"):
            yield f"             {date_time(later.moment)}: {outcome(later)}"
    yield f"Size:        {size:,} octets"
    for number, one in enumerate(parts.enclosed, 1):
        yield f"Attachment {number}: {one.name}, {one.type}, {one.encoding}, {one.size:,} octets"
        yield from (f"             defect: {defect}" for defect in one.defects)
    files = [str(one["file"]) for one in data["attachments"]]
    yield from (f"             {found.folder / file}" for file in files)
    yield from (f"Defect:      {defect}" for defect in parts.defects)
    yield ""
    for name, value in parts.fields[len(parts.added) :]:
        yield f"{name}: {' '.join(value.split())}"
