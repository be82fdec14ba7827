"""Time that is moved by hand: what is due is done in its order, with all that follows from it, before time goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from smtp_pair import Network, background
from smtp_pair.clock import Handle, ManualClock, SystemClock
from smtp_pair.mail.errors import ConfigError

START = 1_000_000_000.0


class Diary:
    """What happened, and when it was by the clock."""

    def __init__(self) -> None:
        self.happened: list[tuple[str, float]] = []
        self.after: list[asyncio.Future[None]] = []
        self.clock = ManualClock(self.settle, self.run, START)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """What the background's loop does elsewhere."""
        self.after.append(asyncio.ensure_future(work))

    async def settle(self) -> None:
        self.happened.append(("settled", self.clock.now() - START))
        await asyncio.sleep(0)

    def at(self, moment: float, name: str) -> Handle:
        return self.clock.call_at(START + moment, lambda: self.happened.append((name, self.clock.now() - START)))

    async def advance(self, seconds: float) -> list[tuple[str, float]]:
        self.happened.clear()
        self.clock.advance(seconds)
        await self.after.pop()
        return self.happened


@pytest.mark.asyncio
async def test_it_stands_still() -> None:
    """Nothing happens by itself."""
    diary = Diary()
    diary.at(0.001, "soon")
    for _ in range(5):
        await asyncio.sleep(0)
    assert (diary.clock.now(), diary.happened) == (START, [])


@pytest.mark.asyncio
async def test_from_one_due_time_to_the_next() -> None:
    """In the order of time, those of one moment in the order in which they were asked for; each is done when the clock
    shows its moment, and what follows is settled before the next."""
    diary = Diary()
    for moment, name in ((3, "c"), (1, "a"), (2, "b1"), (2, "b2"), (10, "late")):
        diary.at(moment, name)
    assert await diary.advance(5) == [
        ("settled", 0),
        ("a", 1),
        ("settled", 1),
        ("b1", 2),
        ("b2", 2),
        ("settled", 2),
        ("c", 3),
        ("settled", 3),
    ]
    assert diary.clock.now() == START + 5
    assert await diary.advance(5) == [("settled", 5), ("late", 10), ("settled", 10)]


@pytest.mark.asyncio
async def test_what_becomes_due_on_the_way() -> None:
    """A callback that asks for another one within the span gets it, at its moment."""
    diary = Diary()

    def again() -> None:
        diary.happened.append(("again", diary.clock.now() - START))
        diary.clock.call_at(diary.clock.now() + 2, again)

    diary.clock.call_at(START + 1, again)
    happened = await diary.advance(6)
    assert [moment for name, moment in happened if name == "again"] == [1, 3, 5]


@pytest.mark.asyncio
async def test_called_off() -> None:
    """What was called off does not happen, neither before its time nor by another of the same moment."""
    diary = Diary()
    first, second = diary.at(1, "first"), diary.at(1, "second")
    diary.at(2, "third")
    first.cancel()
    first.cancel()
    diary.clock.call_at(START + 1, second.cancel)
    happened = [name for name, _ in await diary.advance(5) if name != "settled"]
    assert happened == ["second", "third"]  # it was its turn before it was called off
    handle = diary.at(10, "never")
    diary.clock.call_at(START + 9, handle.cancel)
    assert [name for name, _ in await diary.advance(10) if name != "settled"] == []


@pytest.mark.asyncio
async def test_what_is_past_is_done_at_once() -> None:
    """At the loop's next turn, not before the caller is done."""
    diary = Diary()
    diary.at(-5, "past")
    diary.at(0, "now")
    assert diary.happened == []
    await asyncio.sleep(0)
    assert diary.happened == [("past", 0), ("now", 0)]


@pytest.mark.asyncio
@pytest.mark.parametrize("seconds", [-1, -0.001])
async def test_time_goes_forward(seconds: float) -> None:
    """A negative span is refused when it is given."""
    diary = Diary()
    with pytest.raises(ValueError, match="time goes forward"):
        diary.clock.advance(seconds)
    diary.clock.advance(0)
    await diary.after.pop()
    assert diary.clock.now() == START


@pytest.mark.asyncio
async def test_the_units_add_up() -> None:
    """``advance(days=1, hours=1)``."""
    diary = Diary()
    diary.clock.advance(1, minutes=1, hours=1, days=1)
    await diary.after.pop()
    assert diary.clock.now() == START + 86400 + 3600 + 60 + 1


@pytest.mark.asyncio
async def test_the_machine_s_own() -> None:
    """It is the machine's time, and a moment that is past comes at once."""
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 5
    called = asyncio.Event()
    never = clock.call_at(clock.now() + 0.001, called.set)
    never.cancel()
    clock.call_at(clock.now() - 1, called.set)
    await asyncio.wait_for(called.wait(), 30)


def test_a_network_s_clock() -> None:
    """It moves only where it was asked for, and not from the servers' own loop, which would wait for itself."""
    with Network("a.test", clock="manual") as network:
        before = network.clock.now()
        network.clock.advance(hours=1)
        assert network.clock.now() == before + 3600

        async def from_inside() -> None:
            network.clock.advance(1)

        with pytest.raises(RuntimeError, match="wait for itself"):
            background.run(from_inside())
    with Network("a.test") as network, pytest.raises(ConfigError, match='clock="manual"'):
        network.clock.advance(1)
    with pytest.raises(ConfigError, match="clock"):
        Network("a.test", clock="sundial")  # type: ignore[arg-type]
