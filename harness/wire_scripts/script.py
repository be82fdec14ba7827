"""What a dialogue is made of. Values only: ``reader.py`` reads, ``writer.py`` writes, ``player.py`` plays them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.wire_scripts.expectation import Expectation


class ScriptError(ValueError):
    """A script that can't be read; the text names file and line."""

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}")
        self.path, self.line, self.why = path, line, why


@dataclass(frozen=True, slots=True)
class Send:
    """The client says this. Of several that follow each other in one session all octets are sent together."""

    text: str
    """As in the script: with escapes and placeholders (``placeholders.py``)."""
    crlf: bool = True
    """Whether CRLF comes after it: ``C:``; without it: ``C>``."""
    session: str = ""
    line: int = field(default=0, compare=False)
    bound: Mapping[str, str] = field(default_factory=dict)
    """What the script itself says of placeholders: the values of ``each``."""

    def __str__(self) -> str:
        return f"C{self.session}{':' if self.crlf else '>'} {self.text}".rstrip(" ")


@dataclass(frozen=True, slots=True)
class Expect:
    """The server answers so."""

    expectation: Expectation
    session: str = ""
    line: int = field(default=0, compare=False)
    bound: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"S{self.session}: {self.expectation.text}"


@dataclass(frozen=True, slots=True)
class ExpectOctets:
    """The server answers with exactly these octets: ``S=``, CRLF is added."""

    text: str
    session: str = ""
    line: int = field(default=0, compare=False)
    bound: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"S{self.session}= {self.text}".rstrip(" ")


@dataclass(frozen=True, slots=True)
class AnyOrder:
    """As many replies as there are steps, in whatever order they come."""

    steps: tuple[Expect, ...]
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "\n".join(["any order", *map(str, self.steps), "end"])


@dataclass(frozen=True, slots=True)
class Act:
    """The client does something that is no octets of SMTP."""

    what: str
    """One of ACTS."""
    session: str = ""
    seconds: float = 0.0
    """Of ``wait``."""
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if self.what == "wait":
            return f"wait {self.seconds:g} s"
        return f"{self.what} {self.session}".rstrip()


ACTS: Mapping[str, str] = {
    "start TLS": "begins the handshake, without looking at who the server is",
    "cut": "what was said so far goes out by itself, before what follows",
    "half-close": "says that nothing more will come, and goes on listening",
    "hang up": "closes the connection",
    "reset": "breaks the connection",
    "wait": "does nothing for so many seconds",
}

Step = Send | Expect | ExpectOctets | AnyOrder | Act


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One script: what a client says and does, and what a server that keeps the rule answers."""

    rule: str
    """``C44``: the rule of docs/behaviour.md that it is about."""
    title: str
    """What it shows, in words."""
    steps: tuple[Step, ...]
    needs: frozenset[str] = frozenset()
    """What the server must have for the dialogue to mean anything: see ``needs.py``."""
    variant: str = ""
    """Which one of ``each`` it is, as it is spelled in the script."""
    by_octet: bool = False
    """Whether every octet goes out in a segment of its own."""
    path: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """``C44 what is no end``, and which variant of it: no two of a folder are the same."""
        return f"{self.rule} {self.title}" + (f" [{self.variant}]" if self.variant else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a dialogue."""

    dialogue: Dialogue
    passed: bool
    """Whether the server keeps the rule."""
    expected: str = ""
    """What the step that decided wanted, where it failed or differs."""
    got: str = ""
    """What came instead."""
    line: int = 0
    """The line of the script that says so."""
    step: str = ""
    """That line itself."""
    differs: bool = False
    """Passed, but by an answer that the script names only as one that will do: ``(or ...)``."""
    conversation: str = field(default="", repr=False)

    def __str__(self) -> str:
        """A failure, for people: the script's own line, what it wants, what came, and all that was said."""
        word = "differs" if self.differs else "passed" if self.passed else "failed"
        where = f"{self.dialogue.path}:{self.line or self.dialogue.line}: {self.dialogue.name}: {word}"
        if self.passed and not self.differs:
            return where
        told = [where, f"    {self.step}", f"    expected  {self.expected}", f"    got       {self.got}"]
        return "\n".join([*told, *(f"      {line}" for line in self.conversation.splitlines())])
