"""What the report shows of a raw mail: its fields, its text, its HTML, its attachments, its hops. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass

from smtp_pair.mail import attachment, decoding, header, trace
from smtp_pair.mail.multipart import DEPTH_LIMIT, PART_LIMIT, split
from smtp_pair.mail.trace import Hop

_CONTENT_ID = re.compile(rb"^Content-ID:[ \t]*(?:\r\n[ \t]+)?<([^<>\r\n]{1,250})>", re.IGNORECASE | re.MULTILINE)
_HEADER = 4 << 10
"""Octets before a part that are its own header, at most."""
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
PICTURE = 200 << 10
"""Octets of a picture that is shown."""
HTML = 100 << 10
"""Characters of HTML that are shown."""
FIELDS = 64 << 10
"""Octets of a header that are shown."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """An attachment."""

    name: str
    type: str
    encoding: str
    size: int
    content: bytes
    defects: tuple[str, ...]

    @property
    def picture(self) -> str:
        """It as a ``data:`` address; "" where it is none that can be shown. SVG is not: it is a program."""
        return picture(self.content)


@dataclass(frozen=True, slots=True)
class Parts:
    """A mail, taken apart."""

    subject: str
    fields: tuple[tuple[str, str], ...]
    """Decoded, in the order in which they stand."""
    text: str
    html: str
    enclosed: tuple[Enclosed, ...]
    pictures: dict[str, str]
    """Those that the HTML may show, by Content-ID."""
    defects: tuple[str, ...]
    hops: tuple[Hop, ...]
    added: tuple[str, ...]
    """The fields that this network put on top, in the order in which they were put there."""
    begins: int
    """Where the mail as its client sent it begins."""


def take_apart(raw: bytes, ids: Collection[str]) -> Parts:
    """``ids`` are the names of mails that the network gave; none: any that looks like one. Never raises."""
    hops, begins = trace.split(raw, (lambda name: name in ids) if ids else (lambda name: True))
    parsed = attachment.parse(raw)
    enclosed = []
    for part in parsed.attachments:
        decoded = part.decode()
        content = bytes(decoded)
        enclosed.append(
            Enclosed(
                part.filename or "(no name)", part.content_type, part.encoding, len(content), content,
                tuple(dict.fromkeys(decoded.defects)),
            )
        )  # fmt: skip
    html, pictures = _html(raw)
    text = "" if parsed.text == html else parsed.text
    added = [name + ": " + value for name, value in _fields(raw[:begins])]
    return Parts(
        parsed.subject,
        tuple(_fields(raw)),
        text,
        html[:HTML],
        tuple(enclosed),
        pictures,
        parsed.defects,
        tuple(hops),
        tuple(reversed(added)),
        begins,
    )


def picture(content: bytes) -> str:
    """A ``data:`` address of what is a small picture, whatever it calls itself; "" else."""
    if len(content) > PICTURE:
        return ""
    kind = next((kind for beginning, kind in _PICTURES if content.startswith(beginning)), "")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "image/webp"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}" if kind else ""


def _html(raw: bytes) -> tuple[str, dict[str, str]]:
    """The HTML that a reader is shown, and the pictures that it may refer to."""
    html, pictures, before = "", {}, 0
    view = memoryview(raw)
    for leaf in split(raw, header.read(raw), [], depth=DEPTH_LIMIT, parts=PART_LIMIT):
        disposition = header.structured(leaf.fields.get(b"content-disposition"), []).value
        encoding = header.token(leaf.fields.get(b"content-transfer-encoding"), []) or "7bit"
        if leaf.type.value == "text/html" and not html and disposition in ("", "inline"):
            octets = bytes(decoding.Decoded(encoding, view[leaf.start : leaf.end], []))
            charset = leaf.type.parameters.get("charset", "us-ascii")
            html = decoding.text(octets, charset, []).replace("\r\n", "\n")
        elif leaf.type.value.startswith("image/") and leaf.end - leaf.start <= PICTURE * 3 // 2:
            named = _CONTENT_ID.search(raw, max(before, leaf.start - _HEADER), leaf.start)
            if named is not None:
                pictures[named[1].decode("utf-8", "replace")] = picture(
                    bytes(decoding.Decoded(encoding, view[leaf.start : leaf.end], []))
                )
        before = leaf.end
    return html, pictures


def _fields(raw: bytes) -> list[tuple[str, str]]:
    """The fields of a header, unfolded, encoded words decoded."""
    end = raw.find(b"\r\n\r\n")
    block = raw[: min(end if end >= 0 else len(raw), FIELDS)].decode("utf-8", "replace")
    found: list[tuple[str, str]] = []
    for line in block.split("\r\n"):
        if line[:1] in (" ", "\t") and found:
            name, value = found[-1]
            found[-1] = name, f"{value}\n{line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            found.append((name, value.strip()))
        elif line:
            found.append(("(no field)", line))
    return [(name, header.words(value, []) if "=?" in value else value) for name, value in found]
