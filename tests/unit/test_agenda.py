"""What is due when: everything at its moment, once, by one timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.agenda import Agenda

if TYPE_CHECKING:
    from tests.unit.conftest import ManualClock

NOW = 1_000_000_000.0


class Diary:
    """An agenda, and what it started."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.started: list[tuple[str, float]] = []
        self.agenda: Agenda[str] = Agenda(clock, self.start)

    def start(self, key: str) -> None:
        self.started.append((key, self.clock.now() - NOW))


def test_each_at_its_moment(clock: ManualClock) -> None:
    """In the order of their moments, whatever the order they were put in; those of one moment in the latter."""
    diary = Diary(clock)
    for key, moment in (("c", 30), ("a", 10), ("b", 20), ("b2", 20)):
        diary.agenda.put(key, NOW + moment)
    clock.advance(15)
    assert diary.started == [("a", 10)]
    assert "a" not in diary.agenda
    assert "b" in diary.agenda
    clock.advance(15)
    assert diary.started[1:] == [("b", 20), ("b2", 20), ("c", 30)]
    assert (len(diary.agenda), clock.due) == (0, [])


def test_one_timer(clock: ManualClock) -> None:
    """However many wait; it is moved for what is due earlier, and gone when nothing is due."""
    diary = Diary(clock)
    for number in range(1000):
        diary.agenda.put(f"m{number}", NOW + 1000 - number)
        assert len(clock.due) == 1
    assert clock.next_in == 1
    for number in range(1000):
        assert diary.agenda.call_off(f"m{number}")
    assert clock.due == []
    assert not diary.agenda.call_off("m1")


def test_put_anew(clock: ManualClock) -> None:
    """A key is due at the moment that it was given last, and at no other."""
    diary = Diary(clock)
    diary.agenda.put("a", NOW + 10)
    diary.agenda.put("a", NOW + 20)
    diary.agenda.put("b", NOW + 20)
    diary.agenda.put("b", NOW + 5)
    clock.advance(30)
    assert diary.started == [("b", 5), ("a", 20)]


def test_what_is_called_off_is_forgotten(clock: ManualClock) -> None:
    """A key that is put and called off again and again takes no room."""
    diary = Diary(clock)
    diary.agenda.put("other", NOW + 5)
    for number in range(10_000):
        diary.agenda.put("a", NOW + 10 + number)
        diary.agenda.call_off("a")
    assert len(diary.agenda._heap) < 200
    clock.advance(100_000)
    assert diary.started == [("other", 5)]


def test_put_by_what_is_started(clock: ManualClock) -> None:
    """Whoever is started may put itself back, and others, for later or for now."""
    diary = Diary(clock)
    again = {"a": ("b", 10), "b": ("a", 15)}

    def start(key: str) -> None:
        diary.start(key)
        if key in again:
            other, moment = again.pop(key)
            diary.agenda.put(other, NOW + moment)

    diary.agenda._start = start
    diary.agenda.put("a", NOW + 10)
    clock.advance(20)
    assert diary.started == [("a", 10), ("b", 10), ("a", 15)]
    assert clock.due == []


def test_cleared(clock: ManualClock) -> None:
    """Nothing is started any more."""
    diary = Diary(clock)
    diary.agenda.put("a", NOW + 10)
    diary.agenda.clear()
    clock.advance(20)
    assert (diary.started, clock.due) == ([], [])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 20), st.booleans()), max_size=40))
def test_any_sequence(steps: list[tuple[str, int, bool]]) -> None:
    """Against a table of moments: each key is started at its last moment, unless it was called off after that."""
    from tests.unit.conftest import ManualClock as Clock

    diary = Diary(Clock())
    table: dict[str, int] = {}
    for key, moment, put in steps:
        if put:
            table[key] = moment
            diary.agenda.put(key, NOW + moment)
        else:
            assert diary.agenda.call_off(key) == (table.pop(key, None) is not None)
    diary.clock.advance(100)
    assert sorted(diary.started) == sorted((key, float(moment)) for key, moment in table.items())
    assert [moment for _, moment in diary.started] == sorted(moment for _, moment in diary.started)
