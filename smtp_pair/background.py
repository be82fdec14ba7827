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
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from smtp_pair.acceptor import Acceptor

T = TypeVar("T")

_WAITERS = 16
"""Threads that wait for the disk: syncs of several files at the same moment share one commit of the file system."""

making = threading.RLock()
"""Held while a part of a server is made that is made when it is needed: by this thread, or by a test's."""
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_acceptor: Acceptor | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The running loop; started if need be."""
    global _loop, _thread, _acceptor
    if _loop is not None:
        return _loop
    with _lock:
        if _loop is None:
            fresh = asyncio.new_event_loop()
            _acceptor = Acceptor(fresh)
            _thread = threading.Thread(target=_run, args=(fresh, _acceptor), name="smtp-pair", daemon=True)
            _thread.start()
            _loop = fresh
        return _loop


def acceptor() -> Acceptor:
    """What takes connections for that loop."""
    loop()
    assert _acceptor is not None
    return _acceptor


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop and wait for what it gives, from any other thread."""
    try:
        refuse_own_thread()
    except RuntimeError:
        work.close()
        raise
    return asyncio.run_coroutine_threadsafe(work, loop()).result()


def run_or_begin(work: Coroutine[Any, Any, None]) -> None:
    """The same for callers that may be on the loop's thread: there it is only begun."""
    if _on_own_thread():
        asyncio.run_coroutine_threadsafe(work, loop())
    else:
        run(work)


def _on_own_thread() -> bool:
    return threading.current_thread() is _thread


def refuse_own_thread() -> None:
    """Raise RuntimeError for a caller on the loop's thread: it would wait for what only that thread can do."""
    if _on_own_thread():
        raise RuntimeError("this would wait for itself: it was called from the event loop that serves the servers")


def _run(fresh: asyncio.AbstractEventLoop, acceptor: Acceptor) -> None:
    asyncio.set_event_loop(fresh)
    # The loop's own pool would need a new thread to be shut down, and at exit Python 3.12 and later start none.
    with ThreadPoolExecutor(_WAITERS, thread_name_prefix="smtp-pair") as pool:
        fresh.set_default_executor(pool)
        try:
            fresh.run_forever()
        finally:
            for task in asyncio.all_tasks(fresh):  # those of servers that nobody stopped
                task.cancel()
            fresh.run_until_complete(_ended())
    acceptor.dispose()
    fresh.close()


async def _ended() -> None:
    """Wait for what was cancelled; transports that were told to close do so in the loop's next turn."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)


def _stop() -> None:
    """At exit: a loop left open is a ResourceWarning."""
    global _loop, _thread, _acceptor
    if _loop is not None and _thread is not None:
        _loop.call_soon_threadsafe(_loop.stop)
        _thread.join(timeout=5)
    _loop = _thread = _acceptor = None


def _forget() -> None:
    """In a forked child the thread is not there; its loop's descriptors are the parent's too, and are left alone."""
    global making, _lock, _loop, _thread, _acceptor
    making = threading.RLock()
    _lock = threading.Lock()
    _loop = _thread = _acceptor = None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
