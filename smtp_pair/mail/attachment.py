"""What a raw mail says and carries: its subject, its text, its attachments, and what is wrong with its MIME.

    header.py       fields, and the meaning of their values
    multipart.py    where the parts lie
    decoding.py     octets out of a transfer encoding, text out of a charset

Mails come from strangers, so nothing here raises and everything ends: what can't be read as it should be is read as
far as it goes, and told in words as a defect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smtp_pair.mail import decoding, header
from smtp_pair.mail.decoding import Decoded
from smtp_pair.mail.multipart import DEPTH_LIMIT, PART_LIMIT, Leaf, split

DEFECT_LIMIT = 100
"""Different defects that are told of a mail, or of an attachment."""

_HEADING = {b"subject", b"date"}
_SHOWN = ("", "inline")  # any other disposition means attachment (RFC 2183 2.8)


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment, not decoded yet."""

    filename: str | None
    """What the mail calls it, decoded; any characters but halves of surrogate pairs. Never to be used as a path."""
    content_type: str
    """In lower case: ``image/gif``."""
    encoding: str
    """Its Content-Transfer-Encoding in lower case; ``7bit`` where it names none."""
    disposition: str
    """``attachment``, ``inline`` ..., in lower case; "" where it names none (RFC 2183)."""
    defects: tuple[str, ...]
    """What is wrong with its header and its place in the mail."""
    _raw: memoryview = field(repr=False)

    def decode(self) -> Decoded:
        """Its octets. Decoding may find more defects, which are then added to those of the part."""
        return Decoded(self.encoding, self._raw, list(self.defects))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A mail, read."""

    subject: str
    """Decoded; "" where there is none."""
    date: str
    """As it is written; "" where there is none."""
    text: str
    """The first text/plain part that is no attachment, else the first text/html part as it is, else ""; lines end
    with ``\\n``."""
    attachments: tuple[Part, ...]
    """Every other part that holds no parts, in order; but no second form of the text (RFC 2046 5.1.4)."""
    defects: tuple[str, ...]
    """What is wrong with the mail and its text. Each attachment has its own, whole when it is decoded."""


def parse(content: bytes, *, depth: int = DEPTH_LIMIT, parts: int = PART_LIMIT) -> Parsed:
    """Read a mail whose lines end with CRLF, up to so many multiparts within each other, and parts. Never raises."""
    top = header.read(content)
    defects = list(top.defects)
    subject, date = header.heading_in(top.fields, defects)
    if top.fields.keys() <= _HEADING:  # nothing but text, as many tests send it: the short way to the same result
        text = decoding.text(content[top.body :], "us-ascii", defects)
        return Parsed(subject, date, text.replace("\r\n", "\n"), (), _told(defects))
    leaves = split(content, top, defects, depth=depth, parts=parts)
    view = memoryview(content)
    found = [_part(leaf, view) for leaf in leaves]
    body = _body(found)
    text = ""
    attachments = []
    for leaf, part in zip(leaves, found, strict=True):
        if part is body:
            decoded = part.decode()
            octets = bytes(decoded)
            text = decoding.text(octets, leaf.type.parameters.get("charset", "us-ascii"), decoded.defects)
            defects += decoded.defects
        elif leaf.alternative and _is_text(part):
            defects += part.defects
        else:
            attachments.append(part)
    return Parsed(subject, date, text.replace("\r\n", "\n"), tuple(attachments), _told(defects))


def _part(leaf: Leaf, view: memoryview) -> Part:
    defects = leaf.defects
    disposition = header.structured(leaf.fields.get(b"content-disposition"), defects)
    name = disposition.parameters.get("filename", "").strip() or leaf.type.parameters.get("name", "").strip()
    return Part(
        name or None,
        leaf.type.value,
        header.token(leaf.fields.get(b"content-transfer-encoding"), defects) or "7bit",
        disposition.value,
        _told(defects),
        view[leaf.start : leaf.end],
    )


def _body(parts: Sequence[Part]) -> Part | None:
    for content_type in ("text/plain", "text/html"):
        for part in parts:
            if part.content_type == content_type and _is_text(part):
                return part
    return None


def _is_text(part: Part) -> bool:
    """Whether a reader is meant to see it as text. A calendar entry is one to be opened (RFC 6047 2.4)."""
    return (
        part.filename is None
        and part.disposition in _SHOWN
        and part.content_type.startswith("text/")
        and part.content_type != "text/calendar"
    )


def _told(defects: list[str]) -> tuple[str, ...]:
    """Each defect once, and not too many of them."""
    return tuple(dict.fromkeys(defects))[:DEFECT_LIMIT]
