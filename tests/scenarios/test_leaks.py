"""Starting and stopping leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PAIRS = 500

LIVES = """
import asyncio, collections, gc, json, os, sys, tempfile, threading
from smtp_pair import Pair, Server, background
from smtp_pair.session import Session

async def tasks():
    return len(asyncio.all_tasks()) - 1  # this one is not counted

def descriptors():
    kinds = collections.Counter()
    try:
        for number in os.listdir("/proc/self/fd"):
            try:
                kinds[os.readlink(f"/proc/self/fd/{number}").partition(":")[0]] += 1
            except FileNotFoundError:
                pass  # the listing's own
    except FileNotFoundError:
        pass  # only Linux has it
    return dict(kinds)

def left():
    gc.collect()
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "tasks": background.run(tasks()),
        "descriptors": descriptors(),
        "files": sorted(os.listdir(tempfile.gettempdir())),
        "objects": sum(isinstance(thing, (Server, Session)) for thing in gc.get_objects()),
    }

def live():
    with Pair() as pair:
        pair.jaku.send(["obiwan@jaku.com", "vader@deathstar.com"], attachments={"a.bin": bytes(100)})
        pair.deathstar.wait_for(timeout=60)

live()
first = left()
for _ in range(int(sys.argv[1]) - 1):
    live()
print(json.dumps([first, left()]))
"""


def test_five_hundred_pairs(tmp_path: Path) -> None:
    """After 500 pairs that were started, used and stopped in one process there are the threads, tasks, descriptors,
    files and objects that were there after the first, and no warning was given, not even at the end."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIVES, str(PAIRS)],
        env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, last = json.loads(done.stdout)
    assert last == first
    assert first["files"] == []
    assert first["objects"] == 0
