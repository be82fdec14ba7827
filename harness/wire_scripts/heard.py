"""A conversation that took place as a dialogue, which can be written (``writer.py``) and played again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from harness.wire_scripts.expectation import Expectation
from harness.wire_scripts.script import Act, Dialogue, Expect, Step
from harness.wire_scripts.writer import sends
from smtp_pair.mail.reply import Reply

Piece = tuple[Literal["C", "S", "TLS"], bytes]
"""What one side said: of the client any octets, of the server one reply; ``TLS``: the handshake, without octets."""


def dialogue_of(
    said: Iterable[Piece], rule: str, title: str, *, needs: Iterable[str] = (), session: str = ""
) -> Dialogue:
    """The dialogue of a conversation: the client says the same octets, the server is expected to answer with the same
    codes. Raises ValueError for what is no reply."""
    return Dialogue(rule, title, tuple(_steps(said, session)), frozenset(needs))


def _steps(said: Iterable[Piece], session: str) -> Iterator[Step]:
    for who, octets in said:
        if who == "TLS":
            yield Act("start TLS", session)
        elif who == "C":
            yield from sends(octets, session)
        else:
            reply = Reply.parse(octets.splitlines(keepends=True))
            yield Expect(Expectation.parse(f"{reply.code} {reply.enhanced}".rstrip()), session)
