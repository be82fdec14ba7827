"""Plays a dialogue to a server: says what the script says, and judges what is answered."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence

from harness.wire_scripts import placeholders
from harness.wire_scripts.connection import Connection, connect, trusting_context
from harness.wire_scripts.expectation import Alternative, Answer, Came, Expectation
from harness.wire_scripts.script import Act, AnyOrder, Dialogue, Expect, ExpectOctets, Outcome, Send, Step
from harness.wire_scripts.subject import Subject

_SHOWN = 160  # octets of one piece in a conversation that is shown
_LINES_SHOWN = 16  # lines of one piece that are shown
_MOST_SHOWN = 60  # pieces of a conversation that are shown: the last ones
_OF_EHLO = {"SIZE", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS", "AUTH", "HELP"}


class _Decided(Exception):
    """Nothing more need be said."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


def play(
    dialogue: Dialogue, subject: Subject, *, patience: float, limit: float, context: ssl.SSLContext | None = None
) -> Outcome:
    """What becomes of a dialogue. ``patience``: seconds that one answer may take; ``limit``: seconds for all of it."""
    player = _Player(dialogue, subject, patience, time.monotonic() + limit, context or trusting_context())
    try:
        return player.play()
    except _Decided as decided:
        return decided.outcome
    finally:
        player.close()


class _Player:
    def __init__(
        self, dialogue: Dialogue, subject: Subject, patience: float, deadline: float, context: ssl.SSLContext
    ) -> None:
        self._dialogue, self._subject, self._context = dialogue, subject, context
        self._patience, self._deadline = patience, deadline
        self._values = dict(subject.values)
        self._enhanced = subject.enhanced
        self._sessions: dict[str, Connection] = {}
        self._unsaid: dict[str, bytes] = {}
        self._said: list[str] = []
        self._differs: Outcome | None = None

    def play(self) -> Outcome:
        for step in self._dialogue.steps:
            if time.monotonic() > self._deadline:
                raise self._failed(step, "an end of the dialogue in time", "none")
            if isinstance(step, Send):
                text = placeholders.fill(step.text, self._values, step.bound)
                self._unsaid[step.session] = self._unsaid.get(step.session, b"") + text + b"\r\n" * step.crlf
                self._connection(step.session, step)
                continue
            self._say(step)
            if isinstance(step, Act):
                self._act(step)
            elif isinstance(step, AnyOrder):
                self._any_order(step)
            elif isinstance(step, ExpectOctets):
                self._octets(step)
            else:
                self._expect(step)
        return self._differs or Outcome(self._dialogue, True, conversation=self._conversation)

    def close(self) -> None:
        for connection in self._sessions.values():
            connection.close()

    # -- the client -----------------------------------------------------------------------------------------------

    def _connection(self, session: str, step: Step) -> Connection:
        if session not in self._sessions:
            one = self._subject
            try:
                self._sessions[session] = connect(
                    one.host, one.port, self._patience, self._deadline, tls=one.tls, context=self._context
                )
            except OSError as error:
                raise self._failed(step, "a connection", f"none: {error}") from None
        return self._sessions[session]

    def _say(self, step: Step) -> None:
        """Send all that is to be said; in every session, so that several are really at work at the same time."""
        for session, octets in self._unsaid.items():
            connection = self._connection(session, step)
            pieces = [octets[at : at + 1] for at in range(len(octets))] if self._dialogue.by_octet else [octets]
            left = sum(map(connection.send, pieces))
            self._note(f"C{session}", octets)
            if left:
                self._said.append(f"   ({left:,} octets could not be sent)")
        self._unsaid.clear()

    def _act(self, step: Act) -> None:
        connection = self._connection(step.session, step)
        if step.what != "cut":
            self._said.append(f"   ({step})")
        if step.what == "start TLS":
            if wrong := connection.start_tls(self._context):
                raise self._failed(step, "a handshake", wrong)
        elif step.what == "wait":
            time.sleep(max(0.0, min(step.seconds, self._deadline - time.monotonic())))
        elif step.what == "half-close":
            connection.half_close()
        elif step.what == "reset":
            connection.reset()
        elif step.what == "hang up":
            connection.close()

    # -- the server -----------------------------------------------------------------------------------------------

    def _answer(self, step: Expect | ExpectOctets, seconds: float | None = None) -> tuple[Came, bytes]:
        came, raw = self._connection(step.session, step).answer(seconds)
        self._note(f"S{step.session}", raw) if raw else self._said.append(f"S{step.session}  ({came})")
        if isinstance(came, Answer):
            self._learn(came)
        return came, raw

    def _learn(self, answer: Answer) -> None:
        if answer.code == 220 and not self._values["hostname"]:
            self._values["hostname"] = answer.texts[0].split(" ")[0]
        if answer.code == 250 and answer.keywords & _OF_EHLO:
            self._enhanced = "ENHANCEDSTATUSCODES" in answer.keywords
            sizes = [text.split(" ")[1] for text in answer.texts if re.fullmatch(r"(?i)SIZE [0-9]{1,18}", text)]
            self._values["size"] = sizes[0] if sizes else "0"

    def _expect(self, step: Expect) -> None:
        came, _ = self._answer(step, step.expectation.silence or None)
        found = self._found(step.expectation, step.bound, came)
        if found is None:
            raise self._failed(step, self._wanted(step), str(came))
        self._take(step, found, came)
        if found.done:
            raise _Decided(self._differs or Outcome(self._dialogue, True, conversation=self._conversation))

    def _octets(self, step: ExpectOctets) -> None:
        came, raw = self._answer(step)
        wanted = placeholders.fill(step.text, self._values, step.bound) + b"\r\n"
        if raw != wanted:
            raise self._failed(step, placeholders.spelled(wanted), placeholders.spelled(raw) or str(came))

    def _any_order(self, block: AnyOrder) -> None:
        came = [self._answer(step)[0] for step in block.steps]
        matched: dict[int, int] = {}  # which step took an answer
        for number in range(len(block.steps)):
            if not self._assign(number, block.steps, came, matched, set()):
                got = "; ".join(map(str, came))
                raise self._failed(block.steps[number], f"{self._wanted(block.steps[number])}, among all of these", got)
        for answer, number in matched.items():
            found = self._found(block.steps[number].expectation, block.steps[number].bound, came[answer])
            if found is not None:
                self._take(block.steps[number], found, came[answer])

    def _assign(
        self, number: int, steps: Sequence[Expect], came: Sequence[Came], matched: dict[int, int], tried: set[int]
    ) -> bool:
        """Give a step an answer of its own session, and the step that has it already another one, if there is."""
        step = steps[number]
        for answer, one in enumerate(came):
            theirs = steps[answer].session == step.session
            if answer in tried or not theirs or self._found(step.expectation, step.bound, one) is None:
                continue
            tried.add(answer)
            if answer not in matched or self._assign(matched[answer], steps, came, matched, tried):
                matched[answer] = number
                return True
        return False

    def _found(self, expectation: Expectation, bound: Mapping[str, str], came: Came) -> Alternative | None:
        def fill(pattern: str) -> str:
            values = {**self._values, **{name: _plain(value) for name, value in bound.items()}}
            return re.sub(r"\{([a-z][a-z0-9_]*)\}", lambda name: re.escape(values.get(name[1], name[0])), pattern)

        for one in (*expectation.right, *expectation.will_do):
            if not one.unlike(came, self._enhanced, fill):
                return one
        return None

    # -- the verdict ----------------------------------------------------------------------------------------------

    def _take(self, step: Expect, found: Alternative, came: Came) -> None:
        if found not in step.expectation.right and self._differs is None:
            best = self._wanted(step).partition(" (or ")[0]
            self._differs = self._outcome(step, True, best, str(came), differs=True)

    def _failed(self, step: Step, expected: str, got: str) -> _Decided:
        return _Decided(self._outcome(step, False, expected, got))

    def _outcome(self, step: Step, passed: bool, expected: str, got: str, *, differs: bool = False) -> Outcome:
        text = str(step).splitlines()[0]
        return Outcome(self._dialogue, passed, expected, got, step.line, text, differs, self._conversation)

    def _wanted(self, step: Expect) -> str:
        values = {**self._values, **step.bound}
        return re.sub(r"\{([a-z][a-z0-9_]*)\}", lambda name: values.get(name[1], name[0]), step.expectation.text)

    # -- for people -----------------------------------------------------------------------------------------------

    def _note(self, who: str, octets: bytes) -> None:
        lines = octets.split(b"\r\n")
        if lines[-1] == b"":
            del lines[-1]
        if len(lines) > _LINES_SHOWN:
            half = _LINES_SHOWN // 2
            between = f"... {len(lines) - 2 * half:,} lines"
            self._said += [*_shown(who, lines[:half]), between, *_shown(who, lines[-half:])]
        else:
            self._said += _shown(who, lines)

    @property
    def _conversation(self) -> str:
        left_out = len(self._said) - _MOST_SHOWN
        first = [f"... {left_out} lines before"] if left_out > 0 else []
        return "\n".join(first + self._said[-_MOST_SHOWN:])


def _shown(who: str, lines: Iterable[bytes]) -> list[str]:
    return [
        f"{who}: {placeholders.spelled(line[:_SHOWN])}" + (f" ... {len(line):,} octets" if len(line) > _SHOWN else "")
        for line in lines
    ]


def _plain(text: str) -> str:
    try:
        return placeholders.fill(text, {}, {}).decode("utf-8", "replace")
    except KeyError:  # a placeholder in a value of each: no pattern wants that
        return text
