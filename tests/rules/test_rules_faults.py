"""A full mailbox, a failing disk, a fault of ours: the mail is put off, nobody reads of it, nothing is left (C43)."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.broken_disk import CALLS, BrokenDisk
from harness.rules_plugin import Connect, Notes
from harness.wire import Wire, codes
from smtp_pair import Domain, Pair, Server
from smtp_pair.acceptance import Acceptance
from smtp_pair.config import Durability
from smtp_pair.content import ContentReader
from smtp_pair.inbox import Inbox
from smtp_pair.journal import Journal
from smtp_pair.mail import trace
from smtp_pair.policy import Policy
from smtp_pair.protocol import Conversation
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.relay import Relay
from smtp_pair.spool import Spool
from smtp_pair.store import Store

LETTER = (
    b"Subject: Hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello.\r\n--b\r\n"
    b"Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
)
SECRET = "the password is swordfish"
BOTH = ("obiwan@jaku.com", "vader@deathstar.com")


def left_by(server: Server) -> list[Path]:
    """What there is of mails in a server's folder: files with something in them, and attachment folders; the queue's
    state is looked at by itself."""
    paths = server.directory.rglob("*") if server.directory.exists() else []
    assert server.queue == []
    return [
        path.relative_to(server.directory)
        for path in paths
        if (path.is_file() and path.stat().st_size and not path.match("spool/*") and path.name != "lock")
        or path.parent.name == "attachments"
    ]


# -- a mailbox --------------------------------------------------------------------------------------------------------


def test_c43_a_full_mailbox(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """452 4.2.2 at RCPT where it is known, for the declared size too; after the dot where it is only seen then; the
    mailboxes of others take their mail."""
    server = mail_network(Domain("jaku.com", quota=2000))["jaku.com"]
    client = wire(server)
    client.open(parameters="SIZE=2001")
    assert codes(rule.reply(client.ask(b"RCPT TO:<obiwan@jaku.com>"), to="RCPT, the mailbox is full")) == "452 4.2.2"
    client.ask(b"RSET")
    client.open("obiwan@jaku.com", "leia@jaku.com")
    full = rule.reply(client.data(b"Subject: Big\r\n\r\n" + b"x" * 1990 + b"\r\n"), to="the mail, the mailbox is full")
    assert codes(full) == "452 4.2.2"
    assert server.messages == []
    assert not list(server.directory.glob("maildir"))
    client.open("obiwan@jaku.com")
    assert client.data(b"Subject: Small\r\n\r\n" + b"x" * 1500 + b"\r\n").code == 250
    client.open("leia@jaku.com", parameters="SIZE=1000")
    assert client.ask(b"RCPT TO:<obiwan@jaku.com>").code == 452
    assert client.data(LETTER).code == 250
    assert [mail.subject for mail in server.messages] == ["Small", "Hello"]


# -- the disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["fast", "durable"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", CALLS)
def test_c43_a_disk_that_fails(
    mail_network: MailNetwork,
    wire: Connect,
    rule: Notes,
    tmp_path: Path,
    durability: Durability,
    number: int,
    call: str,
) -> None:
    """Whichever call of the system fails, the first or the last: 452 4.3.1 if there is no room, 451 4.3.0 else, and
    nothing of the mail is left, nor passed on; or it was kept and 250 is true. The next attempt, in the same session,
    succeeds."""
    network = mail_network("jaku.com", "deathstar.com", durability=durability)
    jaku, deathstar = network
    client = wire(jaku)
    kept = failures = 0
    with BrokenDisk.below(jaku.directory) as disk:
        for place in range(1, 40):
            before = left_by(jaku)
            client.open(*BOTH)
            disk.fail_at(call, place, number)
            answer = client.data(LETTER)
            network.settle()
            failed = disk.has_failed
            disk.fail_at(call, 0, 0)
            if answer.code == 250:
                kept += 1
            else:
                expected = "452 4.3.1" if number in (errno.ENOSPC, errno.EDQUOT) else "451 4.3.0"
                assert codes(rule.reply(answer, to=errno.errorcode[number])) == expected
                assert left_by(jaku) == before
                failures += 1
            assert [len(server.messages) for server in network] == [kept, kept]
            if not failed:
                break
        else:
            pytest.fail("it never comes to an end")
    rule.observed("where it fails after the 250, the mail is there")
    assert failures or call in ("fsync", "replace", "mkdir"), "nothing was tried"
    assert [mail.content for mail in deathstar.messages] == [LETTER] * kept
    assert client.ask(b"NOOP").code == 250


# -- a fault of ours --------------------------------------------------------------------------------------------------


class Fault:
    """Puts an exception into a place of the code, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        stock: Callable[..., Any] = getattr(owner, name)
        self.armed = True

        def broken(*arguments: Any, **more: Any) -> Any:
            if self.armed:
                self.armed = False
                raise RuntimeError(SECRET)
            return stock(*arguments, **more)

        monkeypatch.setattr(owner, name, broken)


def told_nobody(client: Wire, caplog: pytest.LogCaptureFixture) -> None:
    assert "swordfish" not in client.conversation
    assert "Traceback" not in client.conversation
    assert f"RuntimeError: {SECRET}" in caplog.text
    assert "Traceback" in caplog.text


TOGETHER = {(Store, "deliver"): "deliver_together"}
"""What durable mode asks for mails that go to the disk together."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Store, "deliver"),
        (Journal, "keep"),
        (Acceptance, "_sort"),
        (Acceptance, "_mail"),
        (trace, "goes_round"),
        (trace, "received"),
    ],
)
@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_c43_a_fault_before_the_250(
    mail_network: MailNetwork,
    wire: Connect,
    rule: Notes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    durability: Durability,
    owner: Any,
    name: str,
) -> None:
    """451 4.3.0, with nothing of the exception; its traceback is logged, nothing of the mail is left, and the session
    goes on: the next attempt succeeds."""
    network = mail_network("jaku.com", "deathstar.com", durability=durability)
    jaku, deathstar = network
    client = wire(jaku)
    client.open(*BOTH)
    Fault(monkeypatch, owner, TOGETHER.get((owner, name), name) if durability == "durable" else name)
    assert codes(rule.reply(client.data(LETTER), to="a fault of ours")) == "451 4.3.0"
    told_nobody(client, caplog)
    network.settle()
    assert left_by(jaku) == []
    assert [*jaku.messages, *deathstar.messages] == []
    client.open(*BOTH)
    assert client.data(LETTER).code == 250
    network.settle()
    assert [len(server.messages) for server in network] == [1, 1]


def test_c43_a_fault_of_the_queue(
    mail_network: MailNetwork,
    wire: Connect,
    rule: Notes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same where the queue can't take a mail that is delivered here already: that is undone."""
    network = mail_network("jaku.com", "deathstar.com", durability="durable")
    client = wire(network["jaku.com"])
    client.open(*BOTH)
    Fault(monkeypatch, Spool, "commit")
    assert codes(rule.reply(client.data(LETTER), to="a fault of ours")) == "451 4.3.0"
    told_nobody(client, caplog)
    assert left_by(network["jaku.com"]) == []
    client.open(*BOTH)
    assert client.data(LETTER).code == 250
    network.settle()
    assert [len(server.messages) for server in network] == [1, 1]


@pytest.mark.parametrize(
    ("owner", "name"), [(Policy, "recipient"), (Conversation, "command"), (Journal, "keep"), (Journal, "tell")]
)
def test_c43_a_fault_at_a_command(
    mail_pair: Pair,
    wire: Connect,
    rule: Notes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
) -> None:
    """451 4.3.0 to the command, and the transaction goes on as it was."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    Fault(monkeypatch, owner, name)
    assert codes(rule.reply(client.ask(b"RCPT TO:<x@nowhere.test>"), to="a fault of ours")) == "451 4.3.0"
    told_nobody(client, caplog)
    assert client.ask(b"RCPT TO:<x@nowhere.test>").code == 550
    assert client.data(LETTER).code == 250
    assert [mail.envelope.recipients for mail in mail_pair.jaku.messages] == [["obiwan@jaku.com"]]


@pytest.mark.parametrize(("owner", "name"), [(Inbox, "wake"), (Spool, "release"), (Journal, "tell")])
def test_c43_a_fault_after_the_250(
    mail_pair: Pair,
    wire: Connect,
    rule: Notes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
) -> None:
    """Is logged; the client has its 250, hears nothing more, and goes on."""
    client = wire(mail_pair.jaku)
    client.open(*BOTH)
    Fault(monkeypatch, owner, name)
    assert rule.reply(client.data(LETTER), to="a fault after the mail was kept").code == 250
    assert codes(client.ask(b"RSET")) == "250 2.0.0"
    assert client.ask(b"NOOP").text == "still here"
    told_nobody(client, caplog)
    assert len(mail_pair.jaku.messages) == 1


@pytest.mark.parametrize(
    ("owner", "name"), [(ContentReader, "content"), (ContentReader, "feed"), (Conversation, "content_ended")]
)
def test_c43_a_fault_in_a_mail(
    mail_pair: Pair,
    wire: Connect,
    rule: Notes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
) -> None:
    """Where the end of the mail can't be trusted any more: 451 4.3.0 and the end of the session; nothing is delivered,
    and the server goes on."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    Fault(monkeypatch, owner, name)
    assert codes(rule.reply(client.data(LETTER), to="a fault of ours")) == "451 4.3.0"
    client.expect_close()
    told_nobody(client, caplog)
    assert mail_pair.jaku.messages == []
    again = wire(mail_pair.jaku)
    again.open("obiwan@jaku.com")
    assert again.data(LETTER).code == 250


def test_c43_a_fault_on_the_way_on(
    mail_pair: Pair, rule: Notes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a mail is passed on, a fault of ours is as passing as any: it is tried again, and arrives."""
    Fault(monkeypatch, Relay, "attempt")
    with caplog.at_level(logging.ERROR, "smtp_pair"):
        mail_pair.jaku.send("vader@deathstar.com", subject="Onward")
        mail_pair.deathstar.wait_for(subject="Onward")
    assert f"RuntimeError: {SECRET}" in caplog.text
    rule.observed("a fault of ours on the way to the next hop: tried again")
