"""Plays a session to a server of ours and to one of stock aiosmtpd, and compares what they answer and take.

Group by group: both get the same octets in the same pieces. Wherever an answer differs, ``differences.py`` must know
why; where one took a command that the other refused, what follows in the group proves nothing, so the rest of it is
skipped and both begin again with EHLO.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import eq

from harness.differences import DIFFERENCES, MAILS, Difference
from harness.exchange import Exchange
from harness.sessions import Group, Session, cut
from harness.stock import Peer

ALIKE = "alike"


def _only(answers: list[int]) -> int:
    return answers[0] if answers else 0


class Mismatch(AssertionError):
    """They answer differently, and no difference is known there; the text shows the conversation."""


@dataclass
class Comparison:
    """One session with both."""

    ours: Peer
    theirs: Peer
    seen: Counter[str] = field(default_factory=Counter)
    """How often they were alike, and how often each known difference was seen."""
    table: Sequence[Difference] = DIFFERENCES
    alike: Callable[[int, int], bool] = eq
    """Whether two codes say the same."""
    _said: list[str] = field(default_factory=list)
    _hello: str = ""
    _sender: bool = False
    _over: bool = False

    def play(self, session: Session) -> Counter[str]:
        """Play the session. Raises Mismatch."""
        self._both((), 1)
        for group in session:
            if not self._over and not self._play(group) and not self._over:
                self._begin_again()
        return self.seen

    def _both(self, octets: Sequence[bytes], due: int) -> tuple[list[int], list[int]]:
        answers = self.ours.ask(octets, due), self.theirs.ask(octets, due)
        self._said.append(f"C: {b''.join(octets)!r} in {len(octets)}\n  ours: {answers[0]}\n  theirs: {answers[1]}")
        return answers

    def _play(self, group: Group) -> bool:
        """Whether both are in the same state after it."""
        ours, theirs = self._both([*cut(b"".join(group.commands), group.pace)], len(group.commands))
        last = 0
        for number, line in enumerate(group.commands):
            if number == len(ours) == len(theirs):
                self._over = True  # both have closed, as they should
                return True
            last = ours[number] if number < len(ours) else 0
            their = theirs[number] if number < len(theirs) else 0
            if not self._same(Exchange("command", line, last, their, self._hello, self._sender)):
                return self._give_up(ours, theirs)
            self._follow(line, last)
        if max(len(ours), len(theirs)) > len(group.commands):
            raise self._mismatch("there are more replies than commands")
        if last == 354 and group.content is not None:
            return self._content(group.content, group.pace)
        return self._responses(group) if last == 334 else True

    def _content(self, content: bytes, pace: Sequence[int]) -> bool:
        ours, theirs = self._both([*cut(content, pace)], 1)
        self._sender = False
        return self._same(Exchange("content", content, _only(ours), _only(theirs))) and self._same_mails(content)

    def _responses(self, group: Group) -> bool:
        for line in group.responses:
            ours, theirs = self._both([*cut(line, group.pace)], 1)
            if not self._same(Exchange("response", line, _only(ours), _only(theirs))):
                return self._give_up(ours, theirs)
            if ours != [334]:
                return True
        return self._both([b"*\r\n"], 1) == ([501], [501])

    def _same(self, exchange: Exchange) -> bool:
        """Whether both are in the same state after it. Raises Mismatch where no difference is known."""
        if exchange.ours and self.alike(exchange.ours, exchange.theirs):
            self.seen[ALIKE] += 1
            return True
        known = next((each for each in self.table if each.matches(exchange)), None)
        if known is None:
            raise self._mismatch(f"no difference is known for {exchange}")
        self.seen[known.name] += 1
        self._over = self._over or known.parts or 235 in (exchange.ours, exchange.theirs)
        return exchange.in_step and not self._over

    def _same_mails(self, content: bytes) -> bool:
        ours, theirs = self.ours.mails[:], self.theirs.mails[:]
        self.ours.mails.clear()
        self.theirs.mails.clear()
        if ours == theirs:
            return True
        for known in MAILS:
            if len(ours) == len(theirs) == 1 and known.when(ours[0].content, content):
                self.seen[known.name] += 1
                return True
        raise self._mismatch(f"they took different mails: {ours} and {theirs}")

    def _follow(self, line: bytes, code: int) -> None:
        """Keep up with the state that both are in."""
        verb = line[:4].upper().decode("ascii", "replace")
        if code == 250 and verb in ("EHLO", "HELO"):
            self._hello = verb
        if code == 250 and verb in ("EHLO", "HELO", "RSET", "MAIL"):
            self._sender = verb == "MAIL"

    def _give_up(self, ours: list[int], theirs: list[int]) -> bool:
        """The rest of the group proves nothing. A server that waits for a mail gets an empty one."""
        for peer, answers in ((self.ours, ours), (self.theirs, theirs)):
            if answers[-1:] == [354]:
                peer.ask([b".\r\n"], 1)
            while answers[-1:] == [334]:
                answers = peer.ask([b"*\r\n"], 1)
        return False

    def _begin_again(self) -> None:
        ours, theirs = self._both([b"EHLO client.example\r\n"], 1)
        self._hello, self._sender = "EHLO", False
        self.ours.mails.clear()
        self.theirs.mails.clear()
        self._over = not ours or not theirs  # one of them has closed

    def _mismatch(self, why: str) -> Mismatch:
        return Mismatch("\n".join([why, *self._said]))
