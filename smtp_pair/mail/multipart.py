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
_TYPE = re.compile(r"[!#$%&'*+.^_`{|}~0-9a-z-]+/[!#$%&'*+.^_`{|}~0-9a-z-]+")
_PLAIN = Structured("text/plain", MappingProxyType({}))
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
    """Whether it is one of several forms of the same: a child of multipart/alternative, or the first of such a child."""
    defects: list[str]


class Split(NamedTuple):
    """A mail and its leaves."""

    header: Header
    leaves: list[Leaf]
    defects: list[str]
    """What is wrong with the mail's header and its multiparts; each leaf has its own."""


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


def split(content: bytes) -> Split:
    """Find the leaves of a mail, whatever its octets are."""
    splitter = _Splitter(content)
    top = header.read(content)
    splitter.run(top)
    return Split(top, splitter.leaves, splitter.defects)


class _Splitter:
    def __init__(self, content: bytes) -> None:
        self.leaves: list[Leaf] = []
        self.defects: list[str] = []
        self._content = content
        self._open: list[_Multipart] = []
        self._levels: dict[bytes, int] = {}
        self._needle = b""
        self._count = 0

    def run(self, top: Header) -> None:
        """Walk from delimiter to delimiter."""
        self.defects += top.defects
        leaf = self._begin(top, _PLAIN, alternative=False)
        if leaf is not None:
            self._end(leaf, len(self._content))
            return
        at = top.body - 2  # a delimiter begins with the line end before it
        while self._open:
            delimiter = self._next_delimiter(at)
            end = delimiter.at if delimiter else self._end_of_content()
            if leaf is not None:
                self._end(leaf, end)
                leaf = None
            self._leave(delimiter.level + 1 if delimiter else 0, end)
            if delimiter is None:
                break
            multipart = self._open[delimiter.level]
            at = delimiter.after - 2
            if delimiter.closes:
                if multipart.started:  # else it is a line of the preamble
                    self._open.pop()
                    self._look_for_open()
                continue
            multipart.started = True
            if self._delimiter_at(at):
                continue  # nothing between two delimiters, not even an empty header
            if self._count >= PART_LIMIT:
                self.defects.append(f"more than {PART_LIMIT:,} parts: the rest is not looked at")
                break
            part = header.read(self._content, delimiter.after)
            at = part.body - 2
            leaf = self._begin_part(part, multipart)
