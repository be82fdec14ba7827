"""The one thread and loop of the process: started once, whoever asks; never waited for by itself; ended at exit."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from smtp_pair import background

PROGRAM = """
import asyncio, atexit, sys, threading
loops = []
atexit.register(lambda: print(*("open" for loop in loops if not loop.is_closed()), end=""))  # called last
from smtp_pair import background
{}
"""


def run_program(body: str) -> str:
    """A program's output. A warning, a traceback or a hang at its end fails the test."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM.format(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_one_loop_for_all_who_ask() -> None:
    """Also when many threads ask at the same time, for the first time."""
    assert run_program(
        "barrier, loops = threading.Barrier(20), []\n"
        "def ask():\n"
        "    barrier.wait()\n"
        "    loops.append(background.loop())\n"
        "threads = [threading.Thread(target=ask) for _ in range(20)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(len(set(map(id, loops))), sum(t.name == 'smtp-pair' for t in threading.enumerate()))"
    ).split() == ["1", "1"]


def test_work_is_done_on_its_thread() -> None:
    """What a coroutine gives comes back, and so does what it raises."""

    async def where() -> tuple[str, bool]:
        return threading.current_thread().name, asyncio.get_running_loop() is background.loop()

    async def fail() -> None:
        raise KeyError("x")

    assert background.run(where()) == ("smtp-pair", True)
    with pytest.raises(KeyError, match="x"):
        background.run(fail())


def test_many_threads_at_once() -> None:
    """Each gets its own answer."""

    async def back(number: int) -> int:
        await asyncio.sleep(0)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: background.run(back(number)), range(50))) == list(range(50))


def test_it_is_not_made_to_wait_for_itself() -> None:
    """A listener that stops its own network would hang for ever: it gets an error, and the coroutine no warning."""

    async def nothing() -> None:
        pass

    async def wait_for_itself() -> None:
        background.run(nothing())

    with pytest.raises(RuntimeError, match="wait for itself"):
        background.run(wait_for_itself())


@pytest.mark.parametrize(
    "body",
    [
        "background.loop()",
        "background.run(asyncio.sleep(0))",
        "asyncio.run_coroutine_threadsafe(asyncio.sleep(1000), background.loop())",
        "asyncio.run_coroutine_threadsafe(asyncio.to_thread(int), background.loop()).result()",
        "import threading; background.run(asyncio.to_thread(int)); threading.Thread(target=background.loop).start()",
        "pass",
    ],
)
def test_the_end_of_the_process_is_clean(body: str) -> None:
    """Whatever is under way: the loop is closed, without a warning, a task destroyed while pending, or a hang."""
    assert run_program(body) == ""
    assert run_program(f"loops.append(background.loop())\n{body}") == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_starts_its_own() -> None:
    """The parent's thread is not there in the child; the parent's loop goes on, undisturbed by the child's end."""
    output = run_program(
        "import os\n"
        "async def name(): return threading.current_thread().name\n"
        "first = background.loop()\n"
        "reading, writing = os.pipe()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    answer = f'{background.run(name())} {background.loop() is first}'\n"
        "    os.write(writing, answer.encode())\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(os.read(reading, 100).decode(), background.run(name()), background.loop() is first)"
    )
    assert output.split() == ["smtp-pair", "False", "smtp-pair", "True"]
