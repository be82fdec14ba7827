"""The content of a mail on the wire: find its end, undo the dots, mend the line ends (RFC 5321 4.5.2, 2.3.8)."""

from __future__ import annotations

import re

END = b"\r\n.\r\n"
"""What ends the content, and nothing else does: not LF.LF, not CR.CR (SMTP smuggling, CVE-2023-51764)."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_ACROSS = len(END) - 1  # octets of END that may lie before a joint


class ContentReader:
    """Takes the octets that follow 354 as they come, and gives the content once its end is there.

    Of a content that is bigger than ``limit`` nothing is kept, but its end is still looked for: the refusal may only
    be said after the final dot (RFC 5321 4.2.5), and what follows is commands.
    """

    __slots__ = ("_dots", "_kept", "_limit", "_size", "_tail", "bare", "too_big")

    def __init__(self, limit: int) -> None:
        self._kept: list[bytes] = []
        self._limit = limit
        self._size = 0
        self._dots = -1  # stuffed dots so far; not counted as long as the content is small
        self._tail = b"\r\n"  # the line end of DATA itself: a single dot right after it ends an empty mail
        self.too_big = False
        self.bare = False
        """Whether a CR or an LF stood by itself; known once :meth:`content` was asked for."""

    def feed(self, chunk: bytes) -> bytes | None:
        """Take a chunk. None: the end is still to come. Else: the octets that came after the end."""
        # CRLF . CRLF may lie across the joint with what came before: the content's part of it is its first CRLF.
        joint = self._tail + chunk[:_ACROSS]
        at = joint.find(END)
        if at >= 0:
            at -= len(self._tail)
        else:
            at = chunk.find(END)
            if at < 0:
                self._keep(chunk)
                self._tail = joint[-_ACROSS:] if len(chunk) < _ACROSS else chunk[-_ACROSS:]
                return None
        ends = at + 2
        if ends >= 0:
            self._keep(chunk[:ends])
        else:
            self._take_back(-ends)
        return chunk[at + len(END) :]

    def content(self) -> bytes:
        """The content, without transparency dots and with every line ended by CRLF; ``too_big`` is final now."""
        wire = b"".join(self._kept)
        self._kept.clear()
        self.bare = has_bare_line_ends(wire)
        content = normalise(unstuff(wire), bare=self.bare)
        if len(content) > self._limit:
            self.too_big = True
        return b"" if self.too_big else content

    def _keep(self, chunk: bytes) -> None:
        if self.too_big:
            return
        self._kept.append(chunk)
        self._size += len(chunk)
        # A little may be kept that turns out to be of the end: content() has the last word.
        most = self._limit + len(END)
        if self._size > most and self._size - self._stuffing(chunk) > most:
            self.too_big = True
            self._kept.clear()

    def _stuffing(self, chunk: bytes) -> int:
        """The dots that were put in for the transfer alone, and do not count against SIZE (RFC 1870 5)."""
        if self._dots < 0:
            self._kept = [b"".join(self._kept)]
            self._dots = self._kept[0].count(b"\n.") + self._kept[0].startswith(b".")
        else:
            self._dots += (self._tail[-1:] + chunk).count(b"\n.")
        return self._dots

    def _take_back(self, octets: int) -> None:
        """Drop octets that were kept and turned out to belong to the end."""
        while octets > 0 and self._kept:
            last = self._kept.pop()
            if len(last) > octets:
                self._kept.append(last[:-octets])
            octets -= len(last)


class ChunkReader:
    """Takes the octets of BDAT chunks (RFC 3030): they have no dots and no end of their own."""

    __slots__ = ("_kept", "_limit", "_size", "bare", "too_big")

    def __init__(self, limit: int) -> None:
        self._kept: list[bytes] = []
        self._limit = limit
        self._size = 0
        self.bare = False
        self.too_big = False

    def feed(self, octets: bytes) -> None:
        """Take octets; of a content that is bigger than the limit nothing is kept."""
        self._size += len(octets)
        if self._size > self._limit:
            self.too_big = True
            self._kept.clear()
        else:
            self._kept.append(octets)

    def content(self) -> bytes:
        """The content, with every line ended by CRLF, the last one too: it may have to go on by DATA."""
        octets = b"".join(self._kept)
        self._kept.clear()
        self.bare = has_bare_line_ends(octets)
        content = normalise(octets, bare=self.bare)
        if len(content) > self._limit:
            self.too_big = True
        return content if not content or content.endswith(b"\r\n") else content + b"\r\n"


def has_bare_line_ends(octets: bytes) -> bool:
    """Whether a CR or an LF stands by itself: what smugglers use (CVE-2023-51764)."""
    ends = octets.count(b"\r\n")
    return octets.count(b"\n") != ends or octets.count(b"\r") != ends


def unstuff(wire: bytes) -> bytes:
    """Undo the transparency dots. Lines after a bare LF are unstuffed too, for the clients that put bare LFs on the
    wire stuff there as well (smtplib's sendmail does)."""
    wire = wire.replace(b"\n.", b"\n")
    return wire[1:] if wire.startswith(b".") else wire


def normalise(octets: bytes, *, bare: bool = True) -> bytes:
    """CRLF for each bare CR and bare LF. Every line end stays one: no line can vanish, or end the mail."""
    return _LINE_END.sub(b"\r\n", octets) if bare else octets


def stuff(content: bytes) -> tuple[bytes, bytes]:
    """Content for the wire, and the end to write after it: a dot goes before each line that begins with one.

    The content's line ends are CRLF already: what is sent on went through :func:`normalise`.
    """
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed, END[2:] if not content or content.endswith(b"\r\n") else END
