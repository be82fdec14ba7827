"""A database of the queue that is broken or gone: 4xx and never 250, no mail thrown away, and when the cause is gone
all goes on without anybody's doing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.durable_house import KINDS, a_house, one_line

GARBAGE = b"this is no database\n" * 1000


def test_a_broken_database_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and mail that has to be queued is put off; mail for mailboxes is taken. When the file is whole again,
    what waited in it is sent without anybody's doing."""
    with a_house(tmp_path) as house:
        assert house.send(KINDS["queue"]).code == 250
        house.network.settle()
        house.network.stop()
        file = house.server.directory / "spool" / "queue.sqlite"
        whole = file.read_bytes()
        file.write_bytes(GARBAGE)
        caplog.clear()
        house.network.start()
        house.network.settle()
        one_line(caplog, "the queue can't be read, and its mails wait until it can", "queue.sqlite")
        assert house.send(KINDS["queue"]).code == 451
        assert house.send(KINDS["mailbox"]).code == 250
        assert file.read_bytes() == GARBAGE
        file.write_bytes(whole)
        house.hop.behaves()
        house.network.clock.advance(minutes=1)
        assert len(house.hop.taken) == 1
        house.works(KINDS["mailbox"])


def test_a_broken_database_that_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who removes it loses who was to have the mails, and not the mails: they are put aside, and the log says where."""
    with a_house(tmp_path) as house:
        assert house.send(KINDS["queue"]).code == 250
        house.network.settle()
        house.network.stop()
        spool = house.server.directory / "spool"
        [mail] = (spool / "mail").iterdir()
        content = mail.read_bytes()
        (spool / "queue.sqlite").write_bytes(GARBAGE)
        house.network.start()
        assert house.send(KINDS["queue"]).code == 451
        (spool / "queue.sqlite").unlink()
        assert house.send(KINDS["queue"]).code == 250
        house.network.settle()
        assert (spool / "lost" / mail.name).read_bytes() == content
        assert f"put aside in {spool / 'lost'}" in caplog.text
        shutil.rmtree(spool / "lost")
        house.works(KINDS["queue"])


@pytest.mark.parametrize("how", ["removed", "overwritten"])
def test_a_database_that_breaks_while_it_is_used(tmp_path: Path, how: str) -> None:
    """No mail that was answered with 250 is lost by it, nor one that comes afterwards: it is sent, or put off with
    4xx, and what is known is written anew."""
    with a_house(tmp_path) as house:
        for _ in range(3):
            assert house.send(KINDS["queue"]).code == 250
        house.network.settle()
        spool = house.server.directory / "spool"
        if how == "removed":
            for file in spool.glob("queue.sqlite*"):
                file.unlink()
        else:
            (spool / "queue.sqlite").write_bytes(GARBAGE)
        codes = [house.send(KINDS["queue"]).code for _ in range(3)]
        assert set(codes) <= {250, 451}
        taken = 3 + codes.count(250)
        house.network.settle()
        assert len(house.server.queue) == taken
        house.hop.behaves()
        house.network.clock.advance(hours=1)
        assert len(house.hop.taken) == taken
        assert house.server.queue == []
        if how == "removed":
            house.works(KINDS["queue"])
