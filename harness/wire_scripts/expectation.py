"""What a server should answer, as it is written after ``S:``, and whether an answer is that. Pure.

S: 550 5.1.1 | 553 (or refused)         either is right; the last one will do
S: 250 offers SIZE, 8BITMIME            an answer to EHLO
S: 250 /^{hostname}/                    a pattern in its text
S: 220 | closed | refused, done         with the last two the dialogue is over, and well
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

MEANINGS = {
    "accepted": "2",
    "refused for good": "5",
    "refused for now": "4",
    "refused": "45",
    "any": "2345",
}
"""Words for the first digits of a reply (RFC 5321 4.2.1)."""
_PATTERN = r"/(?:[^/\\]|\\.)*/"
_ALTERNATIVE = re.compile(
    rf"(?P<status>[2-5][0-9][0-9]|[2-5]xx|{'|'.join(MEANINGS)})"
    r"(?: (?P<enhanced>[245]\.[0-9]{1,3}\.[0-9]{1,3}))?"
    r"(?: (?P<codes>coded|uncoded))?"
    r"(?: offers (?P<offers>(?!no )[A-Z0-9-]+(?:, [A-Z0-9-]+)*))?"
    r"(?: offers no (?P<lacks>[A-Z0-9-]+(?:, [A-Z0-9-]+)*))?"
    rf"(?: (?P<pattern>{_PATTERN}))?"
    r"(?P<done>, done)?"
)
_SILENCE = re.compile(r"nothing for (?P<seconds>[0-9]+(?:\.[0-9]+)?) s")
_SPLIT = re.compile(rf"(?:{_PATTERN}|[^|/])+")
LONGEST_SILENCE = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that came: its lines, whole and proper."""

    code: int
    texts: tuple[str, ...]
    """What each line says after the code, the enhanced code included."""

    @property
    def enhanced(self) -> tuple[str, ...]:
        """The enhanced code of each line, "" where it has none (RFC 2034 4)."""
        found = [re.match(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)", text) for text in self.texts]
        return tuple(match[0] if match else "" for match in found)

    @property
    def keywords(self) -> frozenset[str]:
        """What an answer to EHLO offers: the first words of all lines but the first."""
        return frozenset(text.split(" ")[0].upper() for text in self.texts[1:] if text)

    def __str__(self) -> str:
        """For people, in one line: controls are shown as escapes."""
        text = f"{self.code} " + " / ".join(self.texts)
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text).rstrip()


class Closed:
    """The server closed the connection."""

    def __str__(self) -> str:
        return "closed"


class Nothing:
    """Nothing came in the time that there was."""

    def __str__(self) -> str:
        return "nothing"


@dataclass(frozen=True, slots=True)
class Improper:
    """What came is no reply: not CRLF at the end of a line, no code, two codes, a line of more than 512 octets."""

    octets: bytes
    why: str

    def __str__(self) -> str:
        return f"no reply ({self.why}): {repr(self.octets[:120])[2:-1]}"


Came = Answer | Closed | Nothing | Improper


@dataclass(frozen=True, slots=True)
class Alternative:
    """One answer that a server may give."""

    text: str
    status: str
    """A code, a class (``5xx``), a word of MEANINGS, ``closed`` or ``nothing``."""
    enhanced: str = ""
    codes: str = ""
    offers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    pattern: str = ""
    done: bool = False
    """Whether the dialogue is over with it."""
    silence: float = 0.0
    """Seconds in which nothing is to be said: ``nothing for 0.2 s``."""

    def unlike(self, came: Came, codes_offered: bool, fill: Callable[[str], str]) -> bool:
        """Whether the answer is another one. ``codes_offered``: whether the server said that its replies have enhanced
        codes; where it did not, a reply without one is no worse for it. ``fill`` puts values into a pattern."""
        if not isinstance(came, Answer):
            return self.status != {Closed: "closed", Nothing: "nothing"}.get(type(came))
        return not (
            self._has_status(came.code)
            and self._has_enhanced(came, codes_offered)
            and set(self.offers) <= came.keywords
            and not set(self.lacks) & came.keywords
            and re.search(fill(self.pattern), "\n".join(came.texts), re.IGNORECASE | re.MULTILINE) is not None
        )

    def _has_status(self, code: int) -> bool:
        if self.status in MEANINGS:
            return str(code)[0] in MEANINGS[self.status]
        return self.status in (str(code), f"{str(code)[0]}xx")

    def _has_enhanced(self, came: Answer, codes_offered: bool) -> bool:
        codes = set(came.enhanced)
        if self.codes == "uncoded":
            return codes == {""}
        if self.codes == "coded" and not all(code[:1] == str(came.code)[0] for code in came.enhanced):
            return False
        return not self.enhanced or codes == {self.enhanced} or (codes == {""} and not codes_offered)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is written after ``S:``."""

    text: str
    right: tuple[Alternative, ...]
    """Answers that are right."""
    will_do: tuple[Alternative, ...] = ()
    """Answers that keep the rule, and are other than the best ones."""

    @property
    def silence(self) -> float:
        """Seconds after which nothing is an answer too; 0 where it is none."""
        return max(one.silence for one in (*self.right, *self.will_do))

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """Raises ValueError, saying what is wrong."""
        right, bracket, rest = text.partition(" (or ")
        if bracket and not rest.endswith(")"):
            raise ValueError("the bracket of '(or' is not closed")
        best, others = _alternatives(right), _alternatives(rest[:-1]) if bracket else ()
        if len(best) + len(others) > 1:
            # Where a server may close instead of an answer, what follows has nobody to answer it.
            best, others = (tuple(_ending(one) for one in these) for these in (best, others))
        return cls(text, best, others)


def _alternatives(text: str) -> tuple[Alternative, ...]:
    found = tuple(_alternative(part.strip()) for part in _SPLIT.findall(text))
    if not found or len(found) > 1 + text.count("|"):
        raise ValueError(f"{text!r} is no answer that can be expected")
    return found


def _ending(one: Alternative) -> Alternative:
    return replace(one, done=True) if one.status == "closed" else one


def _alternative(text: str) -> Alternative:
    if text in ("closed", "closed, done"):
        return Alternative(text, "closed", done=text != "closed")
    if silence := _SILENCE.fullmatch(text):
        seconds = float(silence["seconds"])
        if not 0 < seconds <= LONGEST_SILENCE:
            raise ValueError(f"a silence lasts for more than 0 and up to {LONGEST_SILENCE:g} s")
        return Alternative(text, "nothing", silence=seconds)
    match = _ALTERNATIVE.fullmatch(text)
    if match is None:
        known = ", ".join(["a code (550, 5xx)", *MEANINGS, "closed", "nothing for 0.2 s"])
        raise ValueError(f"{text!r} is no answer that can be expected; it begins with one of: {known}")
    pattern = (match["pattern"] or "//")[1:-1].replace("\\/", "/")
    try:
        re.compile(re.sub(r"\{[a-z][a-z0-9_]*\}", "x", pattern))
    except re.error as error:
        raise ValueError(f"/{pattern}/ is no pattern: {error}") from None
    return Alternative(
        text,
        match["status"],
        match["enhanced"] or "",
        match["codes"] or "",
        tuple((match["offers"] or "").replace(",", "").split()),
        tuple((match["lacks"] or "").replace(",", "").split()),
        pattern,
        bool(match["done"]),
    )
