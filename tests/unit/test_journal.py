"""The record: written before it is told, whole in both files or in neither, and read back as it was."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair import journal, server_msg
from smtp_pair.facts import Fact
from smtp_pair.journal import Journal

FORWARDED = Fact(
    "forwarded",
    1_000_000_000.25,
    "smtp.jaku.com",
    "17-a-1",
    {"recipient": "vader@deathstar.com", "next_hop": "smtp.deathstar.com", "reply": "250 2.0.0 OK", "attempts": 1},
)
REFUSED = Fact("refused", 1_000_000_001.0, "smtp.jaku.com", "", {"recipient": "a@b"})

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.text(max_size=8).filter(lambda name: name not in ("at", "event", "server", "mail"))


@given(st.text(max_size=10), st.integers(0, 4_000_000_000_000), st.dictionaries(names, values, max_size=4))
def test_a_fact_survives_its_line(event: str, milliseconds: int, data: dict[str, Any]) -> None:
    """One line of ASCII without a control, and the same fact again; to the millisecond."""
    fact = Fact(event, milliseconds / 1000, "smtp.a.test", "17-a-1", data)
    line = fact.line()
    assert line.endswith(b"\n")
    assert all(0x20 <= octet < 0x7F for octet in line[:-1])
    again = Fact.parse(line)
    assert (again.event, again.server, again.mail, again.data) == (event, "smtp.a.test", "17-a-1", data)
    assert again.moment == pytest.approx(fact.moment, abs=0.001)


@given(st.binary(max_size=40) | st.from_regex(rb'\A\{"(at|event)": ?("2026-01-01"|1|null)\}\Z'))
def test_what_is_no_fact(line: bytes) -> None:
    """Is a ValueError, whatever it is."""
    with pytest.raises(ValueError):
        Fact.parse(line)


def test_facts_are_kept_and_read(tmp_path: Path) -> None:
    """In their order, for programs and for people, who are not told of a recipient that was refused."""
    book = Journal(tmp_path / "smtp.a.test")
    book.keep(FORWARDED)
    book.keep(REFUSED)
    book.close()
    assert journal.read(tmp_path / "smtp.a.test") == [FORWARDED, REFUSED]
    assert (tmp_path / "smtp.a.test" / "ServerMSG.txt").read_bytes() == server_msg.entry(FORWARDED)


def test_nothing_is_made_before_the_first_fact(tmp_path: Path) -> None:
    """A server that nobody writes to leaves no trace."""
    book = Journal(tmp_path / "smtp.a.test")
    book.tell(FORWARDED)
    book.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        journal.read(tmp_path)


@pytest.mark.parametrize("failing", ["journal.jsonl", "ServerMSG.txt"])
def test_a_fact_is_in_both_files_or_in_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """A disk that is full for one of them (C43)."""
    book = Journal(tmp_path)
    book.keep(FORWARDED)
    opened = {(tmp_path / name).stat().st_ino: name for name in ("journal.jsonl", "ServerMSG.txt")}
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if opened[os.fstat(descriptor).st_ino] == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            book.keep(FORWARDED)
    book.keep(REFUSED)
    book.close()
    assert journal.read(tmp_path) == [FORWARDED, REFUSED]
    assert (tmp_path / "ServerMSG.txt").read_bytes() == server_msg.entry(FORWARDED)


def test_a_fact_that_cannot_be_written_for_people_is_written_for_nobody(tmp_path: Path) -> None:
    """It is rendered before anything is written."""
    book = Journal(tmp_path)
    with pytest.raises(KeyError):
        book.keep(Fact("forwarded", 0.0, "smtp.a.test", "1", {}))
    book.close()
    assert list(tmp_path.iterdir()) == []


def test_listeners(caplog: pytest.LogCaptureFixture) -> None:
    """Each is told in turn until it is stopped, however often it is; one that fails holds nobody up."""
    book = Journal(Path("/nowhere"))
    heard: list[str] = []

    def fail(fact: Fact) -> None:
        raise RuntimeError("listener")

    stop_failing = book.subscribe(fail)
    stop_first = book.subscribe(lambda fact: heard.append(f"first {fact.event}"))
    book.subscribe(lambda fact: heard.append(f"second {fact.event}"))
    with caplog.at_level(logging.ERROR):
        book.tell(FORWARDED)
    assert heard == ["first forwarded", "second forwarded"]
    assert "a listener failed" in caplog.text
    for _ in range(2):
        stop_first()
        stop_failing()
    book.tell(REFUSED)
    assert heard[2:] == ["second refused"]


def test_a_listener_may_stop_itself(tmp_path: Path) -> None:
    """While it is being told."""
    book = Journal(tmp_path)
    heard: list[Fact] = []

    def once(fact: Fact) -> None:
        heard.append(fact)
        stop()

    stop = book.subscribe(once)
    book.subscribe(heard.append)
    book.tell(FORWARDED)
    book.tell(REFUSED)
    assert heard == [FORWARDED, FORWARDED, REFUSED]


def test_a_line_that_a_crash_cut(tmp_path: Path) -> None:
    """Is left out when read, and does not spoil what a later run writes after it."""
    book = Journal(tmp_path)
    book.keep(FORWARDED)
    book.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(REFUSED.line()[:20])
    assert journal.read(tmp_path) == [FORWARDED]
    later = Journal(tmp_path)
    later.keep(REFUSED)
    later.close()
    assert journal.read(tmp_path) == [FORWARDED, REFUSED]


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    """A line in the middle that is no fact is an error, not a gap."""
    (tmp_path / "journal.jsonl").write_bytes(b"nonsense\n" + REFUSED.line())
    with pytest.raises(ValueError, match="Expecting value"):
        journal.read(tmp_path)


def test_the_journal_is_json_lines(tmp_path: Path) -> None:
    """For any program: one object a line, the time in UTC."""
    book = Journal(tmp_path)
    book.keep(FORWARDED)
    book.close()
    (line,) = (tmp_path / "journal.jsonl").read_text("ascii").splitlines()
    assert json.loads(line) == {
        "at": "2001-09-09T01:46:40.250+00:00",
        "event": "forwarded",
        "server": "smtp.jaku.com",
        "mail": "17-a-1",
        **FORWARDED.data,
    }


def test_facts_are_kept_together(tmp_path: Path) -> None:
    """In one write, as if one after the other; what can't be a line is told of, and hinders no other."""
    together, one_by_one = Journal(tmp_path / "a"), Journal(tmp_path / "b")
    assert together.keep_together([FORWARDED, REFUSED, FORWARDED]) == [None] * 3
    no_line = Fact("forwarded", 1.0, "smtp.a.test", "17-a-2", {"recipient": b"octets"})
    failed = together.keep_together([FORWARDED, no_line, REFUSED])
    assert [type(error) for error in failed] == [type(None), TypeError, type(None)]
    for fact in (FORWARDED, REFUSED, FORWARDED, FORWARDED, REFUSED):
        one_by_one.keep(fact)
    for name in (journal.FILE_NAME, server_msg.FILE_NAME):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    together.close()
    one_by_one.close()
