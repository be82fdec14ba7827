"""Pairs beside each other, in one process and in several, have nothing in common."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest

from smtp_pair import Pair

TEN = 10


def test_ten_pairs_started_at_the_same_time() -> None:
    """Ten threads start a pair each at the same moment: no port and no folder is shared, and each mail is in its own
    pair and in no other."""
    ready, all_sent = Barrier(TEN), Barrier(TEN)

    def live(number: int) -> tuple[list[int], Path, list[str]]:
        ready.wait()
        with Pair() as pair:
            pair.jaku.send("vader@deathstar.com", subject=f"From pair {number}")
            pair.deathstar.wait_for(subject=f"From pair {number}", timeout=30)
            all_sent.wait()
            subjects = [mail.subject for mail in pair.deathstar.messages]
            return [server.port for server in pair], pair.directory, subjects

    with ThreadPoolExecutor(TEN) as pool:
        lives = list(pool.map(live, range(TEN)))
    assert len({port for ports, _, _ in lives for port in ports}) == 2 * TEN
    assert len({folder for _, folder, _ in lives}) == TEN
    assert [subjects for _, _, subjects in lives] == [[f"From pair {number}"] for number in range(TEN)]
    assert not any(folder.exists() for _, folder, _ in lives)


A_RUN = """
import os, socket

def meet():
    with socket.create_connection(("127.0.0.1", int(os.environ["MEETING_POINT"]))) as other:
        other.recv(1)  # comes when both runs are here

def test_in_a_fresh_pair(mail_pair):
    meet()
    replies = mail_pair.jaku.send("vader@deathstar.com", subject=os.environ["WHOSE"], attachments={"a": bytes(1000)})
    assert [reply.code for reply in replies.values()] == [250]
    mail_pair.deathstar.wait_for(subject=os.environ["WHOSE"], timeout=30)
    meet()
    assert [mail.subject for mail in mail_pair.deathstar.messages] == [os.environ["WHOSE"]]

def test_in_the_pair_of_the_session(mail_pair_session):
    with mail_pair_session.fresh() as pair:
        pair.deathstar.send("obiwan@jaku.com", subject=os.environ["WHOSE"])
        pair.jaku.wait_for(subject=os.environ["WHOSE"], timeout=30)
        meet()
        assert [mail.subject for mail in pair.jaku.messages] == [os.environ["WHOSE"]]
"""

SETTINGS = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""


def test_two_runs_of_pytest_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that are in the same test at the same moment, with the same temporary root, do not meet in any port or
    folder: each sees its own mail alone."""
    (tmp_path / "test_run.py").write_text(A_RUN, "utf-8")
    (tmp_path / "pytest.ini").write_text(SETTINGS, "ascii")
    with ExitStack() as stack:
        meeting = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        meeting.settimeout(60)
        monkeypatch.setenv("MEETING_POINT", str(meeting.getsockname()[1]))
        monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
        runs = []
        for whose in ("one", "two"):
            monkeypatch.setenv("WHOSE", whose)
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_run.py"]
            run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            runs.append(stack.enter_context(run))
            stack.callback(run.kill)
        try:
            for _ in range(3):
                both = [meeting.accept()[0] for _ in runs]
                for one in both:
                    one.sendall(b".")
                    one.close()
        except TimeoutError:
            pass  # what the runs print says more
        for run in runs:
            output = run.communicate(timeout=60)[0]
            assert run.returncode == 0, output
