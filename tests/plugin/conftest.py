"""A suite of a user's own, run by pytest inside pytest; and what proves that nobody polls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

# What is imported here is not forgotten after each run inside this one: they all share the servers' one thread.
from smtp_pair import Pair, Server

LONG = 60.0  # never waited for: what is awaited comes

RunSuite = Callable[..., pytest.RunResult]

SETTINGS = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
def run_suite(pytester: pytest.Pytester) -> RunSuite:
    """Runs a file of tests with smtp_pair installed beside pytest, warnings being errors: ``run_suite(source,
    *arguments, conftest="", settings="")``."""

    def run(source: str, *arguments: str, conftest: str = "", settings: str = "") -> pytest.RunResult:
        pytester.makefile(".ini", pytest=SETTINGS + settings)
        pytester.makeconftest(conftest)
        pytester.makepyfile(test_of_a_user=source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-ra", *arguments)

    return run


@pytest.fixture
def server(mail_pair: Pair) -> Server:
    return mail_pair.jaku


class OnFirstWait:
    """Records each wait of the test's own thread on a condition, and opens a gate at the first: what is sent after
    it finds a waiter."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []
        self.gate = threading.Event()
        self._thread = threading.current_thread()
        self._stock = threading.Condition.wait

    def wait(self, condition: threading.Condition, timeout: float | None = None) -> bool:
        if threading.current_thread() is self._thread and timeout is not None:  # None: a thread is being started
            self.timeouts.append(timeout)
            self.gate.set()
        return self._stock(condition, timeout)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> OnFirstWait:
    waits = OnFirstWait()
    monkeypatch.setattr(threading.Condition, "wait", lambda *args: waits.wait(*args))
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("something slept"))
    return waits


@pytest.fixture
def sent_meanwhile(server: Server) -> Iterator[Callable[..., None]]:
    """Sends mails from another thread, once a gate is open."""
    threads = []

    def send(gate: threading.Event, *titles: str) -> None:
        def work() -> None:
            assert gate.wait(LONG)
            for title in titles:
                server.send("luke@jaku.com", subject=title)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield send
    for thread in threads:
        thread.join()
