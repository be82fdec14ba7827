"""The language of dialogues (docs/dialogues.md): what it can say; and what it can't is refused by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import dialogue
from harness.dialogue import Dialogue, ScriptError, load, missing, write
from harness.wire import Wire
from harness.wire_scripts.expectation import Answer, Closed, Expectation, Improper, Nothing
from harness.wire_scripts.heard import Piece
from harness.wire_scripts.placeholders import fill, spelled
from harness.wire_scripts.reader import read
from harness.wire_scripts.script import Act, AnyOrder, Expect, Send, Step
from harness.wire_scripts.subject import Subject
from harness.wire_scripts.writer import sends
from smtp_pair import Pair

VALUES = Subject("127.0.0.1", 25, "a.test", name="luke", password="secret").values

MISTAKES = {
    "C: NOOP": (1, "is before the first dialogue"),
    "== what it shows\nS: 220": (1, "begins with its rule"),
    "== C95 x\nS: 220": (1, "there is no rule C95"),
    "== C1 x\nS: 220\nHELLO": (3, "'HELLO' is no step"),
    "== C1 x\nS: 220\n\n# why\nS: 2500": (5, "'2500' is no answer that can be expected"),
    "== C1 x\nS: 250 | perhaps": (2, "'perhaps' is no answer"),
    "== C1 x\nS: ": (2, "is no answer"),
    "== C1 x\nS: 250 (or 251": (2, "not closed"),
    "== C1 x\nS: 250 /(/": (2, "is no pattern"),
    "== C1 x\nS: 250 /{who}/": (2, "there is no placeholder {who}"),
    "== C1 x\nS: nothing for 60 s": (2, "up to 5 s"),
    "== C1 x\nC: {who}\nS: 220": (2, "there is no placeholder {who}; known are client, domain"),
    "== C1 x\nC: {user+1}\nS: 220": (2, "only a number can be added to"),
    "== C1 x\nC: \\q\nS: 220": (2, "is no escape"),
    "== C1 x\nC: {\nS: 220": (2, "belongs to no placeholder"),
    "== C1 x\nX: 220": (2, "is no step"),
    "== C1 x\nC= 220": (2, "a line is C: or C>"),
    "== C1 x\nC: NOOP": (1, "expects nothing can't fail"),
    "== C1 x\nS: 220\nneeds: tls": (3, "belongs above the first step"),
    "== C1 x\nneeds: luck\nS: 220": (2, "needs: 'luck' is unknown"),
    "== C1 x\nsent: slowly\nS: 220": (2, "sent: 'slowly' is unknown"),
    "== C1 x\neach user: a | b\nS: 220": (2, "has a meaning already"),
    "== C1 x\neach one: a | a\nS: 220": (2, "there twice"),
    "== C1 x\neach one: \\q\nS: 220": (2, "is no escape"),
    "== C1 x\nS: 220\n== C1 x\nS: 220": (3, "is in line 1 already"),
    "== C1 x\nS: 220\nrepeat 3\nC: NOOP": (3, "has no end"),
    "== C1 x\nS: 220\nrepeat 0\nC: NOOP\nend": (3, "a number from 1"),
    "== C1 x\nS: 220\nrepeat 2\nrepeat 2\nC: NOOP\nend\nend": (3, "not in another one"),
    "== C1 x\nS: 220\nany order\nC: NOOP\nend": (3, "has only replies in it"),
    "== C1 x\nS: 220\nend": (3, "'end' is no step"),
    "== C1 x\nS: 220\nwait 60 s": (3, "up to 5 s"),
    "== C1 x\nS: 220\ndo this": (3, "'this' is not defined"),
    "define this\ndo this\nend\n== C1 x\ndo this\nS: 220": (2, "is part of itself"),
    "define this\nC: NOOP": (1, "has no end"),
    "define this\nC: NOOP\n== C1 x\nS: 220": (1, "has no end"),
    "define this\nend\ndefine this\nend": (3, "is defined already"),
}


@pytest.mark.parametrize("text", MISTAKES, ids=repr)
def test_a_mistake_is_named_by_file_and_line(text: str) -> None:
    """One error, which says where and what."""
    line, why = MISTAKES[text]
    with pytest.raises(ScriptError) as error:
        read(text, "here.smtp")
    assert str(error.value).startswith(f"here.smtp:{line}: ")
    assert why in str(error.value)


def test_files_are_named_too(tmp_path: Path) -> None:
    """A dialogue that two files have, and a file that is no UTF-8; a folder that is none is the system's error."""
    for name in ("a.smtp", "b.smtp"):
        (tmp_path / name).write_text("\n== C1 x\nS: 220\n", "utf-8")
    with pytest.raises(ScriptError, match=r"b\.smtp:2: 'C1 x' is in .*a\.smtp:2 already"):
        load(tmp_path)
    (tmp_path / "b.smtp").write_bytes(b"== C1 y\nC: \xff\nS: 220\n")
    with pytest.raises(ScriptError, match=r"b\.smtp:2: is not UTF-8"):
        load(tmp_path)
    with pytest.raises(OSError):
        load(tmp_path / "none")


def test_one_file_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.smtp").write_text("== C14 b\nS: 220\n== C1 a\nS: 220\n", "utf-8")
    assert [one.name for one in load(tmp_path / "a.smtp")] == ["C1 a", "C14 b"]


def test_each_makes_dialogues_of_its_own() -> None:
    """One for each value, or for each pair of two; the names say which."""
    found = read("== C1 x\neach a: 1 | \\r\\n\neach b: {user} | 2\nC: {a}{b}\nS: 220")
    assert [one.name for one in found] == [f"C1 x [{a}, {b}]" for a in ("1", "\\r\\n") for b in ("{user}", "2")]
    [said] = [step for step in found[2].steps if isinstance(step, Send)]
    assert fill(said.text, VALUES, said.bound) == b"\r\npostmaster@a.test"


def test_blocks() -> None:
    """What is defined is put in its place, what is repeated counts, and steps know the lines they come from."""
    text = (
        "define hello\nS: 220\nend\n== C1 x\ndo hello\nrepeat 2\nC: {n} \\{n\\}\nend\n"
        "any order\nS1: 250\nS2: 5xx\nend\nreset 2"
    )
    [one] = read(text)
    assert [(type(step), step.line) for step in one.steps] == [
        (Expect, 2),
        (Send, 7),
        (Send, 7),
        (AnyOrder, 9),
        (Act, 13),
    ]
    assert [str(step) for step in one.steps[1:3]] == ["C: 0 \\{n\\}", "C: 1 \\{n\\}"]
    assert one.steps[-1] == Act("reset", "2")


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("NOOP", b"NOOP"),
        ("\\r\\n\\t\\0\\\\\\{\\}\\s\\xfF", b"\r\n\t\0\\{} \xff"),
        ("é", "é".encode()),
        ("{x*3}{ab*2}{\\r\\n*2}", b"xxxabab\r\n\r\n"),
        ("{user}@{domain}", b"postmaster@a.test@a.test"),
        ("{plain}", b"AGx1a2UAc2VjcmV0"),
        ("{size+1}", b"1"),
        ("{x*size+2}", b"xx"),
    ],
)
def test_texts(text: str, octets: bytes) -> None:
    assert fill(text, VALUES, {}) == octets


def test_no_text_fills_the_memory() -> None:
    with pytest.raises(ValueError, match="more than"):
        fill("{x*99999999999}", VALUES, {})


@given(st.binary(max_size=40))
def test_octets_can_be_spelled(octets: bytes) -> None:
    """Whatever they are: the text stands for just them, in one line without a space at its end."""
    text = spelled(octets)
    assert fill(text, {}, {}) == octets
    assert text.isprintable()
    assert text == text.rstrip()


def judge(text: str, came: object, *, offered: bool = True) -> str:
    """``right``, ``will do`` or ``wrong``."""
    expectation = Expectation.parse(text)
    for word, alternatives in (("right", expectation.right), ("will do", expectation.will_do)):
        if any(not one.unlike(came, offered, str) for one in alternatives):  # type: ignore[arg-type]
            return word
    return "wrong"


NO_USER = Answer(550, ("5.1.1 no", "5.1.1 really"))
HELLO = Answer(250, ("a.test", "SIZE 100", "AUTH PLAIN LOGIN"))


@pytest.mark.parametrize(
    ("text", "came", "verdict"),
    [
        ("550", NO_USER, "right"),
        ("550 5.1.1", NO_USER, "right"),
        ("550 5.1.2", NO_USER, "wrong"),
        ("5xx", NO_USER, "right"),
        ("4xx", NO_USER, "wrong"),
        ("refused", NO_USER, "right"),
        ("refused for good", NO_USER, "right"),
        ("refused for now", NO_USER, "wrong"),
        ("refused for now", Answer(452, ("full",)), "right"),
        ("accepted", NO_USER, "wrong"),
        ("any", NO_USER, "right"),
        ("553 | 550", NO_USER, "right"),
        ("553 (or refused)", NO_USER, "will do"),
        ("553 (or 554 | 552)", NO_USER, "wrong"),
        ("550 coded", NO_USER, "right"),
        ("550 uncoded", NO_USER, "wrong"),
        ("550 coded", Answer(550, ("5.1.1 no", "really")), "wrong"),
        ("550 coded", Answer(550, ("4.1.1 no",)), "wrong"),
        ("250 uncoded", HELLO, "right"),
        ("250 offers SIZE, AUTH", HELLO, "right"),
        ("250 offers DSN", HELLO, "wrong"),
        ("250 offers no DSN", HELLO, "right"),
        ("250 offers no SIZE", HELLO, "wrong"),
        ("250 /^size [0-9]+$/", HELLO, "right"),
        ("250 /a|b/ | 550", NO_USER, "right"),
        ("250 /^size$/", HELLO, "wrong"),
        ("closed", Closed(), "right"),
        ("250 | closed", Closed(), "right"),
        ("closed", NO_USER, "wrong"),
        ("any", Closed(), "wrong"),
        ("any", Nothing(), "wrong"),
        ("any", Improper(b"x", "why"), "wrong"),
        ("nothing for 0.2 s", Nothing(), "right"),
        ("nothing for 0.2 s", Closed(), "wrong"),
        ("nothing for 0.2 s | closed", Closed(), "right"),
    ],
)
def test_expectations(text: str, came: object, verdict: str) -> None:
    assert judge(text, came) == verdict


def test_enhanced_codes_are_wanted_of_those_who_offer_them() -> None:
    """A server without ENHANCEDSTATUSCODES need have none; a wrong one is wrong all the same."""
    plain = Answer(550, ("no such user",))
    assert judge("550 5.1.1", plain, offered=True) == "wrong"
    assert judge("550 5.1.1", plain, offered=False) == "right"
    assert judge("550 5.1.2", NO_USER, offered=False) == "wrong"


@pytest.mark.parametrize("one", dialogue.load(), ids=lambda one: one.name)
def test_what_is_written_reads_as_the_same(one: Dialogue) -> None:
    """The text of any dialogue of the project, its definitions and blocks written out, is that dialogue again."""
    assert read(write([one])) == [one]


def test_what_was_said_becomes_a_script() -> None:
    """A dialogue made of octets, as a transcript has them, is written as a script that says the same."""
    steps: list[Step] = [
        Expect(Expectation.parse("220")),
        *sends(b"EHLO a\x00 \r\nBDAT 3\r\n\\{x"),
        Expect(Expectation.parse("250")),
    ]
    text = write([Dialogue("C57", "what a client said", tuple(steps), frozenset({"CHUNKING"}))])
    assert text == (
        "== C57 what a client said\nneeds: CHUNKING\nS: 220\nC: EHLO a\\0\\s\nC: BDAT 3\nC> \\\\\\{x\nS: 250\n"
    )
    [again] = read(text)
    said = [step for step in again.steps if isinstance(step, Send)]
    assert b"".join(fill(step.text, {}, {}) + b"\r\n" * step.crlf for step in said) == b"EHLO a\x00 \r\nBDAT 3\r\n\\{x"


def test_a_conversation_is_played_again(mail_pair: Pair, tmp_path: Path) -> None:
    """What was said in a session, with a chunk and a mail of dots, becomes a file; played, it gets the same answers,
    and the same mails come of it."""
    lines = [
        b"EHLO client.example\r\n",
        b"MAIL FROM:<luke@example.org>\r\n",
        b"RCPT TO:<obiwan@jaku.com>\r\n",
        b"RCPT TO:<paimon@nowhere.invalid>\r\n",
        b"DATA\r\n",
        b"Subject: {dots}\r\n\r\n..a \r\n.\r\n",
        b"MAIL FROM:<luke@example.org>\r\nRCPT TO:<obiwan@jaku.com>\r\nBDAT 3 LAST\r\n\x00\xff\n",
        b"QUIT\r\n",
    ]
    client = Wire(mail_pair.jaku.host, mail_pair.jaku.port)
    client.reply()
    said: list[Piece] = [("S", b"".join(client.raw))]
    for line in lines:
        client.say(line)
        said.append(("C", line))
        for _ in range(3 if b"BDAT" in line else 1):
            client.reply()
            said.append(("S", b"".join(client.raw)))
    client.close()
    file = tmp_path / "session.smtp"
    file.write_text(write([dialogue.dialogue_of(said, "C57", "a session", needs=["CHUNKING"])]), "utf-8")
    [again] = load(file)
    outcome = dialogue.run(again, mail_pair.jaku.host, mail_pair.jaku.port, "jaku.com")
    assert outcome.passed and not outcome.differs, outcome
    contents = [mail.content for mail in mail_pair.jaku.messages]
    assert contents == [b"Subject: {dots}\r\n\r\n.a \r\n", b"\x00\xff\r\n"] * 2


def test_needs() -> None:
    """What is there is not missing; ``no X`` is met by whoever does not offer it."""
    assert missing(["tls", "SIZE"], ["SIZE"]) == ["tls"]
    assert missing(["no CHUNKING"], ["SIZE"]) == []
    assert missing(["no CHUNKING"], ["CHUNKING"]) == ["no CHUNKING"]
    assert missing(["no tls"], []) == ["no tls"], "of which nobody has said whether it is"
