"""What a session has to say, found without one: a Conversation is walked by itself, and gives the replies that are due.

The session that is on trial gets the same octets in the same pieces, each after the replies to the one before. What it
says must be this, octet for octet: no reply missing, none out of order, none too many.
"""

from __future__ import annotations

from collections.abc import Callable

from smtp_pair.content import ChunkReader, ContentReader
from smtp_pair.mail import reply
from smtp_pair.mail.envelope import Envelope
from smtp_pair.mail.reply import Reply
from smtp_pair.protocol import LONGEST_LINE, Conversation, Doorkeeper, Expects, Rules

Accepted = Callable[[Envelope, bytes], Reply]


class Rehearsal:
    """One session, without a wire."""

    def __init__(self, rules: Rules, door: Doorkeeper, accepted: Accepted, host: str = "127.0.0.1") -> None:
        self._rules = rules
        self._accepted = accepted
        self._talk = Conversation(rules, door, host)
        self._unread = b""
        self._reader: ContentReader | None = None
        self._taken = 0  # octets of the chunk that is coming
        self._due: list[Reply] = [self._talk.greeting()]
        self.over = False
        """Whether the server closes, or will once the client does."""

    @property
    def handshake(self) -> bool:
        """Whether the next octets are those of TLS."""
        return not self.over and self._talk.expects is Expects.HANDSHAKE

    def due(self) -> list[Reply]:
        """The replies that are due and were not asked for before."""
        due, self._due = self._due, []
        return due

    def hear(self, octets: bytes) -> None:
        """The client says something, and nothing more before it has been answered."""
        if self.handshake:
            self.over = True  # these octets are no TLS
        self._unread += octets
        while not self.over and self._step():
            self.over = self._talk.expects is Expects.NOTHING
            if self.handshake:
                self._unread = b""  # what came before the handshake is nobody's (C68)

    def secured(self) -> None:
        """The handshake has succeeded."""
        self._talk.secured()

    def hear_no_more(self) -> None:
        """The client has closed its side: what is not whole is nothing."""
        self.over = True

    def _step(self) -> bool:
        """Take the next thing from what is unread. False: it has not come whole."""
        if self._reader is not None:
            return self._read_content(self._reader)
        match self._talk.expects:
            case Expects.COMMAND:
                return self._command()
            case Expects.CONTENT:
                return self._begin_content()
            case Expects.CHUNK:
                return self._chunk()
        return False

    def _command(self) -> bool:
        line, end, rest = self._unread.partition(b"\n")
        if not end:
            return False
        self._unread = rest
        answer = self._talk.command(line[: LONGEST_LINE + 2].removesuffix(b"\r"))
        if answer is not None:
            self._due.append(answer)
        return True

    def _begin_content(self) -> bool:
        if self._unread:
            self._due.append(reply.TALKS_TOO_EARLY)  # C58
            self.over = True
            return False
        self._reader = ContentReader(self._rules.size)
        return False

    def _read_content(self, reader: ContentReader) -> bool:
        octets, self._unread = self._unread, b""
        rest = reader.feed(octets) if octets else None
        if rest is None:
            return False
        self._unread = rest
        self._reader = None
        self._hand_over(reader)
        return True

    def _chunk(self) -> bool:
        wanted = self._talk.chunk - self._taken
        taken, self._unread = self._unread[:wanted], self._unread[wanted:]
        if taken:
            self._talk.take(taken)
        self._taken += len(taken)
        if self._taken < self._talk.chunk:
            return False
        self._taken = 0
        answer = self._talk.chunk_ended()
        if answer is None:
            self._hand_over(self._talk.chunks)
        else:
            self._due.append(answer)
        return True

    def _hand_over(self, reader: ContentReader | ChunkReader) -> None:
        content = reader.content()
        envelope = self._talk.content_ended()
        blank = (b"\r\n" + content).find(b"\r\n\r\n")
        header = blank if blank >= 0 else len(content)
        if reader.too_big:
            self._due.append(reply.TOO_BIG)
        elif reader.bare and self._rules.reject_bare_newline:
            self._due.append(reply.BARE_NEWLINE)
        elif header > self._rules.limits.header:
            self._due.append(reply.HEADER_TOO_BIG)
        else:
            self._due.append(self._accepted(envelope, content))
