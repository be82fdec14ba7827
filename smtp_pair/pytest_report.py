"""What a failing test shows of its mail, and keeps: for ``pytest_plugin.py``, which imports it when there is mail.

test-results/<test>/transcript.jsonl         what was said, for programs (``smtp_pair.transcript``)
                   /transcript.txt           the same for people
                   /bodies/<sha256>.eml      what the clients sent, where it is known still
                   /mails/<server>/<n>.eml   the mails that were delivered, raw
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from smtp_pair import transcript
from smtp_pair.mail.errors import NotConserved
from smtp_pair.mail.message import Mail
from smtp_pair.network import Network
from smtp_pair.pytest_plugin import FAILED, NETWORKS, SHOWN, setting
from smtp_pair.transcript import Transcript

LINES = 120
"""Lines of conversation in a report; the files have all."""
MAILS = 200
"""Mails of one server that are kept."""
GRACE = 0.25
"""Seconds that an attempt under way is given at the end of a test: one that takes longer is in the queue."""
TITLE = "mail transcript"


@contextmanager
def watched(request: pytest.FixtureRequest, network: Network) -> Iterator[None]:
    """A network is used by a test, or by all of a session: its end is checked, and its failure shown."""
    node = request.node
    node.stash.setdefault(NETWORKS, []).append(network)
    checked = setting(request.config, "conservation") == "on" and node.get_closest_marker("mail_losses") is None
    network.conserving = checked
    yield
    failed = node.testsfailed if isinstance(node, pytest.Session) else node.stash.get(FAILED, False)
    if checked and not failed:  # a test that has failed is told of that
        why = ""
        try:
            network.assert_conserved(timeout=GRACE)
        except NotConserved as error:
            why = str(error)
        if why:
            pytest.fail(why, pytrace=False)


def add(item: pytest.Item, report: pytest.TestReport, networks: Sequence[Network]) -> None:
    """Show what was said, where that is wanted, and keep it."""
    if report.failed:
        item.stash[FAILED] = True
    elif report.when == "setup":
        return
    mode = setting(item.config, "transcript")
    output = item.config.rootpath / setting(item.config, "output")
    always = mode == "on" and report.when == "call"
    if not always and not (report.failed and mode != "off"):
        if report.when == "teardown" and report.passed and SHOWN not in item.stash and output.is_dir():
            _forget(output / folder_name(item.nodeid))  # of an earlier run, in which the test failed
        return
    folder = output / folder_name(item.nodeid)
    said = [one for network in networks for one in network.transcripts]
    kept = _keep(folder, said, networks, item.config.rootpath)
    if SHOWN in item.stash:
        return
    item.stash[SHOWN] = True
    shown = transcript.render(said, LINES, brief=True) or _nobody(networks)
    text = "\n\n".join(part for part in (shown, "\n".join(_state(networks)), kept) if part)
    report.sections.append((TITLE, text))
    for properties in (item.user_properties, report.user_properties):  # JUnit XML has no sections
        properties.append((TITLE.replace(" ", "_"), text))


def _nobody(networks: Sequence[Network]) -> str:
    """Most often the client went elsewhere: so here is where it should have gone."""
    servers = [f"{server.hostname} at {server.address}" for network in networks for server in network]
    return f"no client said anything to {', '.join(servers)}"


def _state(networks: Sequence[Network]) -> Iterator[str]:
    """What each server has, in a line or a few."""
    for network in networks:
        for server in network:
            mails = server.messages
            waiting = server.queued()
            if server.transcripts_dropped:
                yield f"{server.hostname}: {server.transcripts_dropped:,} sessions before these were not kept"
            if mails or waiting:
                yield f"{server.hostname}: delivered {len(mails)}" + (f", waiting {len(waiting)}:" if waiting else "")
                yield from (f"  - {one}" for one in waiting[:10])


# -- the folder --------------------------------------------------------------------------------------------------------


def folder_name(nodeid: str) -> str:
    """A test's name as that of a folder, on any system: none of its characters is special anywhere, none is too long,
    and no two tests share one, whatever a file system thinks of capitals."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", nodeid).strip("-")
    return f"{plain[:80]}-{hashlib.sha256(nodeid.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _forget(folder: Path) -> None:
    if (folder / "transcript.jsonl").is_file():
        shutil.rmtree(folder, ignore_errors=True)


def _keep(folder: Path, said: Sequence[Transcript], networks: Sequence[Network], root: Path) -> str:
    """Write it all down. Gives a line that says where."""
    try:
        if not folder.parent.is_dir():
            folder.parent.mkdir(parents=True)
            (folder.parent / ".gitignore").write_text("*\n", "ascii")
        _forget(folder)
        folder.mkdir(exist_ok=True)
        (folder / "transcript.txt").write_text(transcript.render(said) + "\n", "utf-8", "backslashreplace")
        for one in (event for session in said for event in session.events if event.content and not event.hops):
            (folder / "bodies").mkdir(exist_ok=True)
            (folder / "bodies" / f"{one.sha256}.eml").write_bytes(one.content or b"")
        for number, network in enumerate(networks, 1):
            mails = folder / ("mails" if len(networks) == 1 else f"mails-{number}")
            for server in network:
                _keep_mails(mails / server.hostname, server.messages[-MAILS:])
        (folder / "transcript.jsonl").write_bytes(transcript.dumps(said))  # the last: what has it is whole, and ours
    except OSError as error:
        return f"nothing could be kept in {folder}: {error.strerror}"
    shown = os.path.relpath(folder, root)
    return f"kept in {folder if shown.startswith('..') else shown}"


def _keep_mails(folder: Path, mails: Sequence[Mail]) -> None:
    for number, mail in enumerate(mails, 1):
        with suppress(FileNotFoundError):  # a test may remove what it likes
            raw = mail.raw
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.eml").write_bytes(raw)
