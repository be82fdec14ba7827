"""``ServerMSG.txt``: what a server got and what became of it, for people. Rendered from the journal's facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from smtp_pair.facts import Fact
from smtp_pair.mail.trace import date_time

FILE_NAME = "ServerMSG.txt"

_RULE = "=" * 100
# Controls, and the marks that turn the direction of a line or hide in it: a mail must not redraw the reader's screen.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_HARMLESS = b"\t\n" + bytes(range(32, 127))


def harmless(text: str) -> str:
    """The text with every control and direction mark as an escape; tabs and line feeds stay."""
    if text.isascii() and not text.encode().translate(None, _HARMLESS):  # nearly always, and told at once
        return text
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def one_line(text: str) -> str:
    """The same for a place where a line feed would forge a line of ours."""
    if text.isprintable():
        return text
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def entry(fact: Fact) -> bytes:
    """What the fact adds to the file; nothing for a recipient that was refused, for then nothing was got."""
    if fact.event == "received":
        return _received(fact).encode()
    if fact.event in ("delivered", "forwarded", "deferred", "failed"):
        return f"{date_time(fact.moment)}  {fact.mail}: {outcome(fact)}\n".encode()
    return b""


def outcome(fact: Fact) -> str:
    """What an attempt came to for a recipient, in one line."""
    data = fact.data
    recipient = f"<{one_line(data['recipient'])}>"
    hop = data["next_hop"] or "the routing table"
    said = one_line(f"{hop} said {data['reply']}")
    if fact.event == "forwarded":
        return one_line(f"{recipient} forwarded to {hop}: {data['reply']}")
    if fact.event == "deferred":
        return f"{recipient} put off, {said}; again {date_time(data['again'])}"
    return f"{recipient} failed, {said}"


def _received(fact: Fact) -> str:
    data = fact.data
    lines = [
        _RULE,
        f"Mail:        {fact.mail}",
        f"Received:    {date_time(fact.moment)}, from {one_line(str(data['client']))}",
        f"Dated:       {one_line(str(data['date'])) or '(no date)'}",
        f"Sender:      <{one_line(str(data['sender']))}>",
        *(f"Recipient:   <{one_line(to['address'])}> {to['outcome']}" for to in data["recipients"]),
        f"Title:       {one_line(str(data['title'])) or '(no title)'}",
        f"Size:        {data['size']:,} octets",
    ]
    lines += [f"Raw mail:    {data['file']}"] if data["file"] else []
    for number, attachment in enumerate(data["attachments"], 1):
        lines += _attachment(number, attachment)
    lines += [f"Defect:      {one_line(defect)}" for defect in data["defects"]]
    if data["text"]:
        lines += ["Text:", "    " + harmless(data["text"]).rstrip("\n").replace("\n", "\n    ")]
    return "\n".join(lines) + "\n\n"


def _attachment(number: int, attachment: Mapping[str, Any]) -> list[str]:
    name = "(no name)" if attachment["name"] is None else one_line(str(attachment["name"]))
    return [
        f"Attachment {number}: {name}",
        f"             {one_line(attachment['type'])}, {one_line(attachment['encoding'])}, "
        f"{attachment['size']:,} octets decoded",
        f"             sha256 {attachment['sha256']}",
        f"             file   {attachment['file']}",
    ]
