"""A dialogue as the text of a script, which reads as the same dialogue. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.wire_scripts import placeholders
from harness.wire_scripts.script import Act, AnyOrder, Dialogue, Send


def write(dialogues: Iterable[Dialogue]) -> str:
    """The text of a file with these dialogues. What was defined, repeated or varied is written out."""
    return "\n\n".join("\n".join(_lines(dialogue)) for dialogue in dialogues) + "\n"


def sends(octets: bytes, session: str = "") -> list[Send]:
    """The steps that send exactly these octets: a line each, for a script made of what was said."""
    *lines, rest = octets.split(b"\r\n")
    steps = [Send(placeholders.spelled(line), session=session) for line in lines]
    return [*steps, Send(placeholders.spelled(rest), crlf=False, session=session)] if rest else steps


def _lines(dialogue: Dialogue) -> Iterator[str]:
    yield f"== {dialogue.rule} {dialogue.title}"
    if dialogue.needs:
        yield f"needs: {', '.join(sorted(dialogue.needs))}"
    if dialogue.by_octet:
        yield "sent: octet by octet"
    bound: dict[str, str] = {}
    for step in dialogue.steps:
        for one in step.steps if isinstance(step, AnyOrder) else (step,):
            bound.update(one.bound if not isinstance(one, Act) else {})
    yield from (f"each {name}: {value}" for name, value in bound.items())
    yield from map(str, dialogue.steps)
