"""The one thread, with the one event loop, on which every server of the process runs.

A server on the test's own loop would hang as soon as the test blocks on it (smtplib and Django do), and a thread and
a loop for each server cost more than everything else. So there is one, started at first use and kept; it serves
plain tests, pytest-asyncio and anyio alike. A forked child starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The running loop; started if need be."""
    global _loop, _thread
    if _loop is not None:
        return _loop
    with _lock:
        if _loop is None:
            fresh = asyncio.new_event_loop()
            _thread = threading.Thread(target=_run, args=(fresh,), name="smtp-pair", daemon=True)
            _thread.start()
            _loop = fresh
        return _loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop and wait for what it gives, from any other thread."""
    if threading.current_thread() is _thread:
        work.close()
        raise RuntimeError("this would wait for itself: it was called from the event loop that serves the servers")
    return asyncio.run_coroutine_threadsafe(work, loop()).result()


def _run(fresh: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(fresh)
    try:
        fresh.run_forever()
    finally:
        fresh.run_until_complete(fresh.shutdown_asyncgens())
        fresh.run_until_complete(fresh.shutdown_default_executor())
        fresh.close()


def _stop() -> None:
    """At exit: a loop left open is a ResourceWarning."""
    global _loop, _thread
    if _loop is not None and _thread is not None:
        _loop.call_soon_threadsafe(_loop.stop)
        _thread.join(timeout=5)
    _loop = _thread = None


def _forget() -> None:
    """In a forked child the thread is not there; its loop's descriptors are the parent's too, and are left alone."""
    global _lock, _loop, _thread
    _lock = threading.Lock()
    _loop = _thread = None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
