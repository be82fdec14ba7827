"""Case: what faults cost where there are none, and what they cost where there is one that never comes to pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from harness.bench.case import OURS, AtMost, Case, Competitors, Measure, Setting
from harness.bench.engines import counting_house
from harness.bench.load import small_mail
from harness.bench.serve import Seen

_PARTS = (b"MAIL FROM:<obiwan@jaku.com>\r\n", b"RCPT TO:<luke@jaku.com>\r\n", b"DATA\r\n", small_mail() + b".\r\n")


def _ratio(setting: Setting) -> Competitors:
    """Times as long as a server that never had a fault takes; ours had one, which was taken back."""
    from harness.memory_transport import MemoryClient
    from smtp_pair.fault_list import Faults
    from smtp_pair.house import House
    from smtp_pair.session import Session

    count = setting.amount(300, 3)
    loop = asyncio.new_event_loop()
    setting.stack.callback(loop.close)

    def took(house: House) -> float:
        with MemoryClient(loop, Session(house, loop)) as client:
            client.say(b"EHLO client.bench.test\r\n")
            said = b""
            began = time.process_time()
            for _ in range(count):
                said = client.say(*_PARTS)
            ended = time.process_time()
        if said.count(b"\r\n") != len(_PARTS):
            raise AssertionError(f"the mail was not taken: {said!r}")
        return ended - began

    plain = counting_house(Seen())
    cleared, idle = Faults("cleared"), Faults("idle")
    cleared.reject("RCPT", "451").clear()
    idle.reject("RCPT", "451", to="nobody@nowhere.test")

    def against(faults: Faults) -> Callable[[], float]:
        house = replace(plain, faults=faults, sessions=set())

        def measure() -> float:
            first, second = took(plain), took(house)
            return (second + took(house)) / (first + took(plain))

        return measure

    measures: dict[str, Measure] = {OURS: against(cleared), "one that waits for somebody else": against(idle)}
    return measures


def _look(setting: Setting) -> Competitors:
    """Microseconds for all the looks that a session takes at faults that are not there: 13 for a mail."""
    from smtp_pair.fault_list import Faults

    class Holder:
        def __init__(self) -> None:
            self._faults = Faults("none")

    held = Holder()
    times = setting.amount(100_000, 100)

    def measure() -> float:
        began = time.process_time()
        for _ in range(times):
            if held._faults.active:
                raise AssertionError
        return (time.process_time() - began) / times * 1e6 * 13

    return {OURS: measure}


CASES = (
    Case(
        "faults_none",
        "small mails, no fault (taken back), times a server that never had one",
        "x",
        _ratio,
        (AtMost(1.02),),
        rounds=21,
    ),
    Case("faults_look", "the looks at faults that are not there, processor time a mail", "us", _look, (AtMost(2),)),
)
