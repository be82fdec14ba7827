"""Where the parts of a mail lie (RFC 2046 5.1): offsets into the raw mail; nothing is copied, nothing decoded.

    header, body                                              a mail or a part that holds no parts: a leaf
    header, preamble, --b, part, --b, part, --b--, epilogue   a multipart; its parts may be multiparts again

One pass, front to back: it looks for what all open boundaries begin with, and looks the lines that begin so up among
them. Neither nesting nor lines that merely look like boundaries make that slower than linear.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from smtp_pair.mail import header
from smtp_pair.mail.header import Header, Structured

DEPTH_LIMIT = 50
"""Multiparts within each other; one that lies deeper is a leaf, left as it is."""
PART_LIMIT = 1000
"""Parts of a mail, multiparts included; what follows them is not looked at."""

_BOUNDARY_LIMIT = 990  # octets; with its dashes it must fit a line (RFC 5322 2.1.1)
_NEIGHBOURHOOD = 16 << 10
_TYPE = re.compile(r"([!#$%&'*+.^_`{|}~0-9a-z-]{1,127})\s*/\s*([!#$%&'*+.^_`{|}~0-9a-z-]{1,127})")  # RFC 6838 4.2
_TEXT = Structured("text/plain", MappingProxyType({}))
_MESSAGE = Structured("message/rfc822", MappingProxyType({}))
_UNENCODED = ("", "7bit", "8bit", "binary")


@dataclass(slots=True)
class Leaf:
    """A part that is not taken apart any further. A message/rfc822 is one: it is stored whole."""

    fields: Mapping[bytes, bytes]
    """As in :class:`smtp_pair.mail.header.Header`."""
    type: Structured
    """Its Content-Type; where that is missing or malformed, what stands for it (RFC 2045 5.2, RFC 2046 5.1.5)."""
    start: int
    """Where its body begins: an offset into the mail."""
    end: int
    alternative: bool
    """Whether it is one of several forms of the same: a part of a multipart/alternative, or the first part of one."""
    defects: list[str]


class _Delimiter(NamedTuple):
    """A line that separates parts, or closes a multipart."""

    at: int
    """Where the line end before it lies, which is a part of it (RFC 2046 5.1.1)."""
    after: int
    """Where the next line begins."""
    level: int
    """Which of the open multiparts it belongs to."""
    closes: bool


@dataclass(slots=True)
class _Multipart:
    leaf: Leaf
    """What it is if its boundary never appears."""
    boundary: bytes
    started: bool = False
    children: int = 0


def split(
    content: bytes, top: Header, defects: list[str], *, depth: int = DEPTH_LIMIT, parts: int = PART_LIMIT
) -> list[Leaf]:
    """The leaves of a mail with the header ``top``, whatever its octets are. What is wrong with its multiparts goes to
    ``defects``; each leaf has its own."""
    return _Splitter(content, defects, depth, parts).run(top)


class _Splitter:
    """Walks over a mail from delimiter to delimiter; keeps the multiparts that are open, the outermost first."""

    def __init__(self, content: bytes, defects: list[str], deepest: int, most: int) -> None:
        self._content = content
        self._defects = defects
        self._deepest = deepest
        self._most = most
        self._leaves: list[Leaf] = []
        self._leaf: Leaf | None = None
        self._open: list[_Multipart] = []
        self._levels: dict[bytes, int] = {}
        self._needle = b""
        self._parts = 0

    def run(self, top: Header) -> list[Leaf]:
        top = top._replace(defects=())  # told already
        at = self._begin(top, _TEXT, alternative=False)
        while self._open:
            delimiter = self._next_delimiter(at)
            if delimiter is None:
                self._end(0, self._end_of_content())
            else:
                self._end(delimiter.level + 1, delimiter.at)
                at = self._pass(delimiter)
        self._end(0, len(self._content))
        return self._leaves

    def _begin(self, head: Header, default: Structured, *, alternative: bool) -> int:
        """Open what has this header. Gives where the next delimiter may begin: with the line end before the body."""
        self._parts += 1
        defects = [] if self._delimiter_at(head.body - 2) else list(head.defects)  # a part may be a header alone
        kind = _type(head.fields, default, defects)
        leaf = Leaf(head.fields, kind, head.body, len(self._content), alternative, defects)
        if not (kind.value.startswith("multipart/") and self._open_multipart(leaf)):
            self._leaf = leaf
        return head.body - 2

    def _open_multipart(self, leaf: Leaf) -> bool:
        """Open a multipart, unless it has to be a leaf."""
        boundary = leaf.type.parameters.get("boundary", "").rstrip().encode()
        if not 0 < len(boundary) <= _BOUNDARY_LIMIT:
            leaf.defects.append("a multipart without a boundary")
            return False
        if len(self._open) == self._deepest:
            leaf.defects.append(f"multiparts nested deeper than {self._deepest}: left as it is")
            return False
        if header.token(leaf.fields.get(b"content-transfer-encoding"), leaf.defects) not in _UNENCODED:
            self._defects.append("a multipart in a transfer encoding, which only its parts may have")  # RFC 2045 6.4
        self._open.append(_Multipart(leaf, boundary))
        self._look_for_open()
        return True

    def _end(self, level: int, at: int) -> None:
        """End the leaf and the multiparts from this level on, which have all come to an end at an offset."""
        if self._leaf is not None:
            self._leaf.end = max(self._leaf.start, at)
            self._leaves.append(self._leaf)
            self._leaf = None
        for multipart in reversed(self._open[level:]):
            if multipart.started:
                self._defects.append("a multipart that is not closed")
            else:
                multipart.leaf.end = max(multipart.leaf.start, at)
                multipart.leaf.defects.append("a multipart whose boundary never appears")
                self._leaves.append(multipart.leaf)
        if len(self._open) > level:
            del self._open[level:]
            self._look_for_open()

    def _pass(self, delimiter: _Delimiter) -> int:
        """Close the multipart, or open its next part. Gives where the next delimiter may begin."""
        multipart = self._open[delimiter.level]
        if delimiter.closes:
            if multipart.started:  # else it is a line of the preamble
                self._open.pop()
                self._look_for_open()
            return delimiter.after - 2
        multipart.started = True
        if self._delimiter_at(delimiter.after - 2):
            return delimiter.after - 2  # there is nothing between the two, not even a part without a header
        if self._parts >= self._most:
            self._defects.append(f"more than {self._most:,} parts: the rest is not looked at")
            self._open.clear()
            return len(self._content)
        multipart.children += 1
        parent = multipart.leaf
        first_of_alternative = parent.alternative and multipart.children == 1
        return self._begin(
            header.read(self._content, delimiter.after),
            _MESSAGE if parent.type.value == "multipart/digest" else _TEXT,
            alternative=parent.type.value == "multipart/alternative" or first_of_alternative,
        )

    def _end_of_content(self) -> int:
        """Where parts end that no delimiter ends. The mail's last line end would have belonged to it."""
        ends_a_part = self._open[0].started and self._content.endswith(b"\r\n")
        return len(self._content) - 2 * ends_a_part

    def _look_for_open(self) -> None:
        """Prepare for the boundaries that are open now. Of two that are equal, the outer one counts."""
        self._levels = {multipart.boundary: level for level, multipart in reversed([*enumerate(self._open)])}
        self._needle = b"\r\n--" + _common_beginning(self._levels) if self._levels else b""

    def _next_delimiter(self, at: int) -> _Delimiter | None:
        """The first delimiter that begins at an offset or after it.

        A single octet is found ten times as fast as several, and base64, which big mails are made of, has no dashes:
        so a dash is looked for first, and a delimiter only in its neighbourhood.
        """
        while (dash := self._content.find(b"-", at + 2)) >= 0:
            at = dash - 2
            beyond = at + _NEIGHBOURHOOD
            found = self._content.find(self._needle, at, beyond + len(self._needle) - 1)
            delimiter = self._delimiter_at(found) if found >= 0 else None
            if delimiter is not None:
                return delimiter
            at = found + 2 if found >= 0 else beyond
        return None

    def _delimiter_at(self, at: int) -> _Delimiter | None:
        """The delimiter that begins, with the line end before it, at an offset."""
        if not self._open or not self._content.startswith(self._needle, at):
            return None
        end = self._content.find(b"\r\n", at + 2)
        if end < 0:
            end = len(self._content)
        line = self._content[at + 4 : end].rstrip(b" \t")  # RFC 2046 5.1.1: transport padding
        none = len(self._open)
        opens = self._levels.get(line, none)
        closes = self._levels.get(line[:-2], none) if line.endswith(b"--") else none
        level = min(opens, closes)  # an inner boundary may be the outer one and two dashes
        return _Delimiter(at, min(end + 2, len(self._content)), level, closes < opens) if level < none else None


def _type(fields: Mapping[bytes, bytes], default: Structured, defects: list[str]) -> Structured:
    field = fields.get(b"content-type")
    if field is None:
        return default
    given = header.structured(field, defects)
    name = _TYPE.match(given.value)
    if name is None:
        defects.append("a content type that is none")
        return Structured(_TEXT.value, given.parameters)
    return Structured(f"{name[1]}/{name[2]}", given.parameters)


def _common_beginning(boundaries: Collection[bytes]) -> bytes:
    first, last = min(boundaries), max(boundaries)
    while not last.startswith(first):
        first = first[:-1]
    return first
