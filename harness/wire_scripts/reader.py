"""A file of dialogues, read (the language: ``docs/dialogues.md``). Pure: text in, dialogues out.

== C44 what is no end of a mail
needs: PIPELINING
each end: \\n.\\n | \\r.\\r
do open
C: DATA
S: 354
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from harness.rules import RULES
from harness.wire_scripts import placeholders
from harness.wire_scripts.expectation import Expectation
from harness.wire_scripts.needs import NEEDS
from harness.wire_scripts.script import ACTS, Act, AnyOrder, Dialogue, Expect, ExpectOctets, ScriptError, Send, Step

MOST_STEPS = 20_000
"""Steps of one dialogue, with all that is repeated."""
LONGEST_WAIT = 5.0

_TITLE = re.compile(r"== +(?P<rule>C[1-9][0-9]*) +(?P<title>\S.*)")
_SAYS = re.compile(r"(?P<who>[CS])(?P<session>[0-9]*)(?P<how>[:>=])(?: (?P<text>.*))?")
_HEADER = re.compile(r"(?P<key>needs|sent|each (?P<name>[a-z][a-z0-9_]*)): *(?P<value>.*)")
_ACT = re.compile(rf"(?P<what>{'|'.join(ACTS)})(?: (?P<session>[0-9]+))?")
_WAIT = re.compile(r"wait (?P<seconds>[0-9]+(?:\.[0-9]+)?) s")
_REPEAT = re.compile(r"repeat (?P<count>[0-9]+)")
_N = re.compile(r"(?<!\\)\{n\}")
_NAMED = re.compile(r"(?P<word>define|do) (?P<name>[a-z][a-z0-9 -]*)")


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str


@dataclass(slots=True)
class _Draft:
    """A dialogue while it is read."""

    rule: str
    title: str
    line: int
    needs: frozenset[str] = frozenset()
    by_octet: bool = False
    each: dict[str, list[str]] = field(default_factory=dict)
    body: list[_Line] = field(default_factory=list)


def read(text: str, path: str = "<text>") -> list[Dialogue]:
    """The dialogues of a file, each variant one of its own. Raises ScriptError, naming file and line."""
    return _Reader(path).read(text)


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self._definitions: dict[str, list[_Line]] = {}

    def _error(self, line: int, why: str) -> ScriptError:
        return ScriptError(self._path, line, why)

    # -- lines -> drafts ----------------------------------------------------------------------------------------

    def read(self, text: str) -> list[Dialogue]:
        drafts: list[_Draft] = []
        opened: list[_Line] | None = None  # the definition that is being read
        begun = _Line(0, "")
        for line in _lines(text):
            if line.text.startswith("=="):
                if opened is not None:
                    raise self._error(begun.number, f"{begun.text!r} has no end")
                drafts.append(self._title(line))
            elif drafts:
                self._in_dialogue(drafts[-1], line)
            elif opened is not None and line.text == "end" and not _is_open(opened):
                opened = None
            elif opened is not None:
                opened.append(line)
            elif (match := _NAMED.fullmatch(line.text)) and match["word"] == "define":
                if match["name"] in self._definitions:
                    raise self._error(line.number, f"{match['name']!r} is defined already")
                opened, begun = self._definitions.setdefault(match["name"], []), line
            else:
                raise self._error(line.number, f"{line.text!r} is before the first dialogue: == C44 what it shows")
        if opened is not None:
            raise self._error(begun.number, f"{begun.text!r} has no end")
        dialogues = [dialogue for draft in drafts for dialogue in self._finished(draft)]
        self._all_differ(dialogues)
        return dialogues

    def _title(self, line: _Line) -> _Draft:
        match = _TITLE.fullmatch(line.text)
        if match is None:
            raise self._error(line.number, "a dialogue begins with its rule and what it shows: == C44 what is no end")
        if int(match["rule"][1:]) not in RULES:
            raise self._error(line.number, f"there is no rule {match['rule']}; they are C1 to C{max(RULES)}")
        return _Draft(match["rule"], match["title"], line.number)

    def _in_dialogue(self, draft: _Draft, line: _Line) -> None:
        header = _HEADER.fullmatch(line.text)
        if header is None:
            draft.body.append(line)
        elif draft.body:
            raise self._error(line.number, f"{header['key']}: belongs above the first step")
        elif header["name"]:
            self._each(draft, line.number, header["name"], header["value"])
        elif header["key"] == "sent":
            if header["value"] != "octet by octet":
                raise self._error(line.number, f"sent: {header['value']!r} is unknown; known is: octet by octet")
            draft.by_octet = True
        else:
            needs = frozenset(need.strip() for need in header["value"].split(","))
            for need in sorted(needs):
                if need not in NEEDS and not re.fullmatch(r"(?:no )?[A-Z0-9][A-Z0-9-]*", need):
                    known = ", ".join(sorted(NEEDS))
                    raise self._error(
                        line.number, f"needs: {need!r} is unknown; known are {known}, and what EHLO offers"
                    )
            draft.needs = needs

    def _each(self, draft: _Draft, number: int, name: str, value: str) -> None:
        if name in draft.each or name in placeholders.NAMES:
            raise self._error(number, f"{{{name}}} has a meaning already")
        values = [part.strip() for part in value.split(" | ")]
        if len(set(values)) < len(values):
            raise self._error(number, f"each {name}: one value is there twice")
        for one in values:
            if wrong := placeholders.check(one, {}):
                raise self._error(number, f"each {name}: {wrong}")
        draft.each[name] = values

    # -- drafts -> dialogues ------------------------------------------------------------------------------------

    def _finished(self, draft: _Draft) -> Iterator[Dialogue]:
        for values in product(*draft.each.values()):
            bound = dict(zip(draft.each, values, strict=True))
            steps = tuple(self._steps(draft.body, bound, ()))
            if not any(isinstance(step, Expect | ExpectOctets | AnyOrder) for step in steps):
                raise self._error(draft.line, "a dialogue that expects nothing can't fail")
            if len(steps) > MOST_STEPS:
                raise self._error(draft.line, f"{len(steps):,} steps; {MOST_STEPS:,} are the most")
            variant = ", ".join(value or "nothing" for value in values)
            yield Dialogue(draft.rule, draft.title, steps, draft.needs, variant, draft.by_octet, self._path, draft.line)

    def _steps(self, lines: list[_Line], bound: Mapping[str, str], inside: tuple[str, ...]) -> Iterator[Step]:
        rest = iter(lines)
        for line in rest:
            if match := _REPEAT.fullmatch(line.text):
                block = self._block(line, rest)
                if not 0 < int(match["count"]) <= MOST_STEPS:
                    raise self._error(line.number, f"repeat: a number from 1 to {MOST_STEPS:,}")
                if any(_REPEAT.fullmatch(one.text) for one in block):
                    raise self._error(line.number, "repeat: not in another one")
                for n in range(int(match["count"])):
                    counted = [_Line(one.number, _N.sub(str(n), one.text)) for one in block]
                    yield from self._steps(counted, bound, inside)
            elif line.text == "any order":
                yield self._any_order(line, self._block(line, rest), bound, inside)
            elif match := _NAMED.fullmatch(line.text):
                name = match["name"]
                if match["word"] == "define":
                    raise self._error(line.number, "define: belongs above the first dialogue")
                if name not in self._definitions:
                    known = ", ".join(self._definitions) or "none"
                    raise self._error(line.number, f"do: {name!r} is not defined; defined are: {known}")
                if name in inside:
                    raise self._error(line.number, f"do: {name!r} is part of itself")
                yield from self._steps(self._definitions[name], bound, (*inside, name))
            else:
                yield self._step(line, bound)

    def _block(self, begun: _Line, rest: Iterator[_Line]) -> list[_Line]:
        block: list[_Line] = []
        for line in rest:
            if line.text == "end" and not _is_open(block):
                return block
            block.append(line)
        raise self._error(begun.number, f"{begun.text!r} has no end")

    def _any_order(
        self, begun: _Line, block: list[_Line], bound: Mapping[str, str], inside: tuple[str, ...]
    ) -> AnyOrder:
        steps = list(self._steps(block, bound, inside))
        found = [step for step in steps if isinstance(step, Expect) and not step.expectation.silence]
        if len(found) < len(steps) or not steps:
            raise self._error(begun.number, "any order: has only replies in it: S: ...")
        return AnyOrder(tuple(found), begun.number)

    def _step(self, line: _Line, bound: Mapping[str, str]) -> Step:
        if match := _SAYS.fullmatch(line.text):
            return self._says(line, match, bound)
        if match := _ACT.fullmatch(line.text):
            return Act(match["what"], match["session"] or "", line=line.number)
        if match := _WAIT.fullmatch(line.text):
            seconds = float(match["seconds"])
            if not 0 < seconds <= LONGEST_WAIT:
                raise self._error(line.number, f"wait: more than 0 and up to {LONGEST_WAIT:g} s")
            return Act("wait", seconds=seconds, line=line.number)
        acts = ", ".join(ACTS)
        raise self._error(
            line.number,
            f"{line.text!r} is no step; a step begins with C:, C>, S: or S=, or is one of: "
            f"{acts}, wait 0.5 s, repeat 10, any order, do NAME",
        )

    def _says(self, line: _Line, match: re.Match[str], bound: Mapping[str, str]) -> Step:
        text, session = match["text"] or "", match["session"]
        if match["who"] + match["how"] == "S:":
            try:
                expectation = Expectation.parse(text)
            except ValueError as error:
                raise self._error(line.number, str(error)) from None
            for name in re.findall(r"\{([a-z][a-z0-9_]*)\}", "".join(one.pattern for one in expectation.right)):
                if name not in placeholders.NAMES and name not in bound:
                    raise self._error(line.number, placeholders.check(f"{{{name}}}", bound))
            return Expect(expectation, session, line.number, bound)
        if match["who"] + match["how"] not in ("C:", "C>", "S="):
            raise self._error(
                line.number, f"{line.text[:2]!r}: a line is C: or C> for the client, S: or S= for the server"
            )
        if wrong := placeholders.check(text, bound):
            raise self._error(line.number, wrong)
        if match["who"] == "S":
            return ExpectOctets(text, session, line.number, bound)
        return Send(text, match["how"] == ":", session, line.number, bound)

    def _all_differ(self, dialogues: Iterable[Dialogue]) -> None:
        seen: dict[str, Dialogue] = {}
        for dialogue in dialogues:
            if (other := seen.setdefault(dialogue.name, dialogue)) is not dialogue:
                raise self._error(dialogue.line, f"{dialogue.name!r} is in line {other.line} already")


def _lines(text: str) -> Iterator[_Line]:
    """The lines that say something; a line that begins with # is a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        # Only what is before a line of C: may not be taken away; a space at an end is written \s.
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield _Line(number, stripped)


def _is_open(lines: Iterable[_Line]) -> bool:
    """Whether a block that began in these lines has not ended in them."""
    depth = 0
    for line in lines:
        if _REPEAT.fullmatch(line.text) or line.text == "any order":
            depth += 1
        elif line.text == "end":
            depth -= 1
    return depth > 0
