"""Plays a session to a server of ours and to one that others wrote, each with a neighbour of ours, and compares what
they answer, by the first digit, and what lies in all mailboxes afterwards, octet for octet below the trace fields.

``house_differences.py`` says where they differ. What the two did with the mails of one content is looked at before the
next is sent: both come to rest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.comparison import ALIKE, Comparison
from harness.house_differences import HOUSE_DIFFERENCES, rewritten
from harness.reference import mend
from harness.sessions import Session
from harness.stage import Stage
from harness.stock import SocketPeer
from harness.targets.place import FIELD, Delivered, same_mailbox

TRACE = frozenset(("return-path", "received", "delivered-to", "x-original-to", "envelope-to"))
"""Fields that servers put above a mail, in lower case."""


def same_class(one: int, other: int) -> bool:
    """Whether two codes mean the same (RFC 5321 4.2.1)."""
    return one // 100 == other // 100


def play(ours: Stage, theirs: Stage, session: Session, seen: Counter[str]) -> None:
    """Play the session to both. Raises Mismatch."""
    peers = [SocketPeer(stage.here.port, []) for stage in (ours, theirs)]
    table = HOUSE_DIFFERENCES[theirs.target]
    comparison = HouseComparison(peers[0], peers[1], seen, table=table, alike=same_class)
    comparison.stages = (ours, theirs)
    try:
        comparison.play(session)
    finally:
        for peer in peers:
            peer.close()


class HouseComparison(Comparison):
    """One session with both."""

    stages: tuple[Stage, Stage]

    def _both(self, octets: Sequence[bytes], due: int) -> tuple[list[int], list[int]]:
        try:
            return super()._both(octets, due)
        except TimeoutError:
            raise self._mismatch(f"one of them says nothing to {b''.join(octets)!r}") from None

    def _begin_again(self) -> None:
        super()._begin_again()
        self._rest()
        self._forget()

    def _rest(self) -> None:
        for stage in self.stages:
            stage.settle(copies_there=0)

    def _forget(self) -> None:
        for stage in self.stages:
            stage.here.forget()
            stage.there.forget()

    def _same_mails(self, content: bytes) -> bool:
        self._rest()
        ours, theirs = map(_mailboxes, self.stages)
        self._forget()
        if Counter(where for where, _ in ours) != Counter(where for where, _ in theirs):
            raise self._mismatch(f"mailboxes: {[where for where, _ in ours]}, and {[where for where, _ in theirs]}")
        for (where, our), (_, their) in zip(ours, theirs, strict=True):
            self._same_octets(where, content, our, their)
        return True

    def _same_octets(self, where: object, sent: bytes, our: Delivered, their: Delivered) -> None:
        """Each of them has what the slow reader makes of what was sent, theirs after all that it is known to change."""
        plain, _ = mend(sent.removesuffix(b".\r\n"))
        changed, met = rewritten(self.stages[1].target, sent)
        for whose, mail, expected in (("ours", our, plain), ("theirs", their, changed)):
            if not _is_that_below_trace(mail.raw, expected):
                raise self._mismatch(f"{where}: {whose} has {mail.raw!r}, not {expected!r}, of {sent!r}")
        self.seen.update(met or [ALIKE])


def _mailboxes(stage: Stage) -> Sequence[tuple[tuple[str, str], Delivered]]:
    """What lies in all mailboxes, in the order of their names."""
    mails = [mail for place in (stage.here, stage.there) for mail in place.delivered()]
    return sorted(((same_mailbox(mail.recipient), mail) for mail in mails), key=lambda each: each[0])


def _is_that_below_trace(raw: bytes, content: bytes) -> bool:
    """Whether a mail is trace fields, and then just this."""
    if not raw.endswith(content):
        return False
    head = raw[: len(raw) - len(content)]
    fields = list(FIELD.finditer(head))
    return b"".join(each[0] for each in fields) == head and {each[1].decode().lower() for each in fields} <= TRACE
