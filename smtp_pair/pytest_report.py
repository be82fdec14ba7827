"""What a failing test shows of its mail, and keeps: for ``pytest_plugin.py``, which imports it when there is mail.

test-results/<test>/transcript.jsonl         what was said, for programs (``smtp_pair.transcript``)
                   /transcript.txt           the same for people
                   /bodies/<sha256>.eml      what the clients sent, where it is known still
                   /mails/<server>/<n>.eml   the mails that were delivered, raw
                   /test.json                what happened besides (``report/kept.py``)
                   /mail.html                all of it to look at, of a test that failed
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
from smtp_pair.mail.errors import NotConserved, SmtpPairError
from smtp_pair.network import Network
from smtp_pair.pytest_plugin import FAILED, NETWORKS, SHOWN, setting
from smtp_pair.transcript import Transcript

LINES = 120
"""Lines of conversation in a report; the files have all."""
GRACE = 0.25
"""Seconds that an attempt under way is given at the end of a test: one that takes longer is in the queue."""
TITLE = "mail transcript"
BEGAN: pytest.StashKey[float] = pytest.StashKey()
"""When a test was set up, in seconds since the epoch."""


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


def add(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, networks: Sequence[Network]) -> None:
    """Show what was said, where that is wanted, and keep it."""
    if report.when == "setup":
        item.stash[BEGAN] = call.start
    if report.failed:
        item.stash[FAILED] = True
    elif report.when == "setup":
        return
    mode, reported = setting(item.config, "transcript"), bool(setting(item.config, "report"))
    output = item.config.rootpath / setting(item.config, "output")
    shown = (mode == "on" and report.when == "call") or (report.failed and mode != "off")
    if not shown and not (reported and (report.when == "call" or report.failed)):
        if report.when == "teardown" and report.passed and SHOWN not in item.stash and output.is_dir() and not reported:
            _forget(output / folder_name(item.nodeid))  # of an earlier run, in which the test failed
        return
    folder = output / folder_name(item.nodeid)
    if reported:  # what is on its way just now belongs to the test
        with suppress(SmtpPairError):
            for network in networks:
                network.assert_conserved(timeout=GRACE)
    said = [one for network in networks for one in network.transcripts]
    kept = _keep(item, call, report, said, networks, folder)
    if reported:
        from smtp_pair.report.attaching import attach
        from smtp_pair.report.gathering import FOLDER

        report.__dict__[FOLDER] = str(folder)
        attach(item.config, report, said, folder)
    if not shown or SHOWN in item.stash:
        return
    item.stash[SHOWN] = True
    conversation = transcript.render(said, LINES, brief=True) or _nobody(networks)
    text = "\n\n".join(part for part in (conversation, "\n".join(_state(networks)), kept) if part)
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


def _keep(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    said: Sequence[Transcript],
    networks: Sequence[Network],
    folder: Path,
) -> str:
    """Write it all down. Gives a line that says where."""
    from smtp_pair.report import keeping  # not before it is needed: most runs have nothing to report

    own = item.stash.get(NETWORKS, [])
    about = keeping.about(
        item.nodeid,
        call,
        report,
        failed=item.stash.get(FAILED, False),
        began=item.stash.get(BEGAN, call.start),
        own=own,
        shared=[network for network in networks if network not in own],
    )
    try:
        if not folder.parent.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            (folder.parent / ".gitignore").write_text("*\n", "ascii")
        _forget(folder)
        most = keeping.REPORTED if setting(item.config, "report") else keeping.MAILS
        keeping.keep(folder, said, networks, about, most=most)
    except OSError as error:
        return f"nothing could be kept in {folder}: {error.strerror}"
    shown = os.path.relpath(folder, item.config.rootpath)
    return f"kept in {folder if shown.startswith('..') else shown}"
