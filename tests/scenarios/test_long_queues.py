"""Thousands of mails that wait for one next hop are in nobody's way, neither while the server runs nor when it starts.
How long it takes is measured by harness/queue_figures.py, not here."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from harness.long_queue import CONTENT, fill
from harness.unruly_hop import SILENT, UnrulyHop
from smtp_pair import Domain, Network
from smtp_pair.config import Retry
from smtp_pair.relay import AT_ONCE

COUNT = 10_000


def network(folder: Path, dead: UnrulyHop, hop: UnrulyHop, **more: float) -> Network:
    retry = Retry(first=more.get("first", 60), most=600, jitter=0, expiry=10_000, warn=9_000)
    routes = {"dead.test": dead.address, "far.test": hop.address}
    return Network(Domain("a.test", retry=retry), routes=routes, directory=folder, clock="manual")


def spool(folder: Path) -> Path:
    return folder / "smtp.a.test" / "spool"


def test_a_start_with_ten_thousand(tmp_path: Path) -> None:
    """All of them are due, and their next hop takes connections and says nothing: a mail for another hop and one for a
    mailbox go at once, and the silent hop has no more connections than it may have."""
    now = time.time()
    fill(spool(tmp_path), COUNT, domain="dead.test", due=now - 10, accepted=now - 100)
    with UnrulyHop() as dead, UnrulyHop() as hop:
        dead.always("greeting", SILENT)
        with network(tmp_path, dead, hop) as net:
            server = net["a.test"]
            replies = server.send(["bob@far.test", "bob@a.test"], sender="ann@a.test")
            assert {reply.code for reply in replies.values()} == {250}
            hop.wait_for_mail()
            assert len(server.messages) == 1
            assert len(server.queue) == COUNT
            assert len(dead.conversations) <= AT_ONCE
        # and they are all there at the next start
        with network(tmp_path, dead, hop) as net:
            assert len(net["a.test"].queue) == COUNT


@pytest.mark.parametrize("down", [True, False])
def test_a_dead_hop_is_asked_a_few_times(tmp_path: Path, down: bool) -> None:
    """That it can't be reached is an answer for all that stand in line for it: each is put off by that, and the next
    round comes later. A mail for another hop, sent between two rounds, has one attempt and is there."""
    now = time.time()
    fill(spool(tmp_path), 1000, domain="dead.test", due=now - 10, accepted=now - 100)
    with UnrulyHop(down=down) as dead, UnrulyHop() as hop:
        dead.always("greeting", b"421 4.3.2 not now")
        with network(tmp_path, dead, hop) as net:
            net.settle()
            server = net["a.test"]
            assert Counter(one.attempts for one in server.queue) == {2: 1000}
            assert len(dead.conversations) <= 2 * AT_ONCE
            server.send("bob@far.test", sender="ann@a.test")
            net.settle()
            assert len(hop.taken) == 1


def test_all_are_sent_when_it_is_up_again(tmp_path: Path) -> None:
    """A thousand mails, each once, over connections that are kept."""
    now = time.time()
    fill(spool(tmp_path), 1000, domain="dead.test", due=now - 10, accepted=now - 100)
    with UnrulyHop() as dead, UnrulyHop() as hop, network(tmp_path, dead, hop) as net:
        net.settle()
        assert net["a.test"].queue == []
        assert sorted(mail.recipients[0] for mail in dead.taken) == sorted(
            b"RCPT TO:<r%d@dead.test>" % number for number in range(1000)
        )
        assert {mail.content for mail in dead.taken} == {CONTENT}
        assert len(dead.conversations) <= AT_ONCE
    assert not list(spool(tmp_path).rglob("*.eml"))


def test_all_expire_together(tmp_path: Path) -> None:
    """A thousand mails that are too old: a notification for each, and none waits for another."""
    now = time.time()
    fill(spool(tmp_path), 1000, domain="dead.test", due=now - 10, accepted=now - 20_000)
    with UnrulyHop(down=True) as dead, UnrulyHop() as hop, network(tmp_path, dead, hop) as net:
        net.settle()
        server = net["a.test"]
        assert server.queue == []
        told = [mail.delivery_status for mail in server.messages]
        assert len({status.recipients[0].recipient for status in told if status is not None}) == len(told) == 1000
