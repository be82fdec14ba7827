"""A server in a process of its own: ``python -m harness.bench.serve ENGINE FOLDER``.

It prints its ports, then answers commands, a line of JSON each, until its standard input ends:

    cpu            processor seconds used so far              count        mails taken
    digest         sha256 of the last mail's content          moments      when each mail was taken, in ns
    memory         of the process                             forget       begin to count again, the peak of memory too
    wait N         once N mails are taken: how many were
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.bench.machine import forget_peak, memory

PATIENCE = 60.0


class Seen:
    """What a server took. One thread takes, another asks."""

    def __init__(self) -> None:
        self.moments: list[int] = []
        self.content: Callable[[], bytes] = bytes
        """Gives the last mail's content."""

    def take(self, content: bytes) -> None:
        """A mail is there."""
        self.content = content.__bytes__
        self.moments.append(time.perf_counter_ns())

    def forget(self) -> None:
        """Begin again."""
        self.moments.clear()
        self.content = bytes
        forget_peak()

    def answer(self, question: str) -> Any:
        """What is said to a command."""
        command, _, argument = question.strip().partition(" ")
        match command:
            case "cpu":
                return time.process_time()
            case "count":
                return len(self.moments)
            case "digest":
                return hashlib.sha256(self.content()).hexdigest()
            case "moments":
                return self.moments
            case "memory":
                return memory()
            case "forget":
                return self.forget()
            case "wait":
                return self._wait(int(argument))
        raise ValueError(question)

    def _wait(self, count: int) -> int:
        end = time.monotonic() + PATIENCE
        while len(self.moments) < count and time.monotonic() < end:
            time.sleep(0.001)
        return len(self.moments)


class _Rendering(logging.Handler):
    """Renders each record, as pytest's capture of logs does, and keeps none."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


def main(engine: str, folder: str, *options: str) -> None:
    """Serve until there is nobody who asks."""
    from harness.bench.engines import ENGINES

    if "--debug" in options:
        logging.basicConfig(level=logging.DEBUG, handlers=[_Rendering()])
    seen = Seen()
    with ExitStack() as stack:
        ports = ENGINES[engine](seen, Path(folder), stack)
        print(json.dumps(ports), flush=True)
        for line in sys.stdin:
            print(json.dumps(seen.answer(line)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
