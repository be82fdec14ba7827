"""The content of a mail: when it is ours, and that it stays as it is (C47 to C51)."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.rules_plugin import Connect, Notes, Way
from harness.wire import codes
from smtp_pair import Pair
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The files and folders (their inodes) that the system was told to put on the disk."""
    inodes: set[int] = set()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        inodes.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    return inodes


def on_disk(paths: list[Path], synced: set[int]) -> bool:
    """Whether there are such files, and they and their folders were put on the disk."""
    return bool(paths) and all({path.stat().st_ino, path.parent.stat().st_ino} <= synced for path in paths)


def test_c47_a_delivered_mail_is_on_disk(
    mail_network: MailNetwork, wire: Connect, rule: Notes, synced: set[int]
) -> None:
    """In durable mode the mail, an attachment and the names of both are on the disk when the 250 comes."""
    server = mail_network("a.test", durability="durable")["a.test"]
    client = wire(server)
    client.open("obiwan@a.test", "leia@a.test")
    attached = b'Content-Type: text/plain; name="a.txt"\r\nContent-Disposition: attachment\r\n\r\nplans\r\n'
    assert codes(rule.reply(client.data(attached))) == "250 2.0.0"
    mails = list(server.directory.glob("maildir/*/new/*"))
    assert len(mails) == 2
    assert on_disk(mails, synced)
    assert all(mail.read_bytes().endswith(attached) for mail in mails)
    assert on_disk(list(server.directory.glob("attachments/*/*")), synced)


def test_c47_a_queued_mail_is_on_disk(mail_network: MailNetwork, wire: Connect, rule: Notes, synced: set[int]) -> None:
    """The same for a mail that a next hop is to have, and does not take: the mail and its recipients are in the
    spool."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        route = f"127.0.0.1:{silent.getsockname()[1]}"
        server = mail_network("a.test", routes={"far.test": route}, durability="durable")["a.test"]
        client = wire(server)
        client.open("x@far.test")
        assert codes(rule.reply(client.data(LETTER))) == "250 2.0.0"
        [file] = (server.directory / "spool" / "mail").iterdir()
        assert file.read_bytes().endswith(LETTER)
        assert on_disk([file], synced)
        database = server.directory / "spool" / "queue.sqlite"  # which is synced out of our sight
        assert database.parent.stat().st_ino in synced
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as readable:
            assert readable.execute("SELECT address FROM recipient").fetchall() == [("x@far.test",)]


@pytest.mark.parametrize("said", [b"", b".", b".\r", LETTER, LETTER[:-1], LETTER + b".", LETTER + b".\r"])
def test_c48_no_end_no_mail(way: Way, wire: Connect, rule: Notes, said: bytes) -> None:
    """A client that has no more to say before the final dot is whole: the connection is closed, and no mail is
    anywhere."""
    client = wire(way.start)
    client.open(way.recipient)
    client.ask(b"DATA")
    client.say(said)
    client.half_close()
    client.expect_close()
    rule.observed("no mail, closes the connection")
    assert way.mails == []
    assert not list(way.start.directory.rglob("*.eml"))


@pytest.mark.parametrize("said", [b"BDAT 9 LAST\r\n12345678", b"BDAT 4\r\n1234", b"BDAT 4\r\n1234BDAT 4 LAST\r\n123"])
def test_c48_no_last_chunk_no_mail(way: Way, wire: Connect, rule: Notes, said: bytes) -> None:
    """The same where the last octet of the last chunk is missing."""
    client = wire(way.start)
    client.open(way.recipient)
    client.say(said)
    client.half_close()
    for _ in range(said.count(b"BDAT 4\r\n")):
        assert client.reply().code == 250
    client.expect_close()
    rule.observed("no mail, closes the connection")
    assert way.mails == []


def test_c48_reset_in_the_middle(mail_pair: Pair, rule: Notes, wire: Connect) -> None:
    """A connection that breaks in the middle of the content leaves nothing, and other clients are served."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    client.ask(b"DATA")
    client.say(LETTER)
    client.reset()
    rule.observed("no mail")
    other = wire(mail_pair.jaku)
    other.open("leia@jaku.com")
    other.data(LETTER)
    assert [mail.envelope.recipients for mail in mail_pair.jaku.messages] == [["leia@jaku.com"]]


def test_c48_half_closed_after_the_dot(way: Way, wire: Connect, rule: Notes) -> None:
    """A client that says no more after the dot, and listens, has its mail taken and its reply."""
    client = wire(way.start)
    client.open(way.recipient)
    client.ask(b"DATA")
    client.say(LETTER + b".\r\n")
    client.half_close()
    assert rule.reply(client.reply(), to="half-closed after the dot").code == 250
    client.expect_close()
    assert len(way.mails) == 1


def test_c49_reply_waits_for_no_next_hop(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """The reply to a mail, and to a second one, comes while the next hop has not even said its greeting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        route = f"127.0.0.1:{silent.getsockname()[1]}"
        server = mail_network("a.test", routes={"far.test": route})["a.test"]
        client = wire(server)
        for _ in range(2):
            client.open("x@far.test", "obiwan@a.test")
            assert codes(rule.reply(client.data(LETTER))) == "250 2.0.0"
        assert len(server.messages) == 2


def test_c49_reply_waits_for_no_other_client(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A client in the middle of its mail holds no other one up."""
    slow = wire(mail_pair.jaku)
    slow.open("obiwan@jaku.com")
    slow.ask(b"DATA")
    slow.say(LETTER)
    quick = wire(mail_pair.jaku)
    quick.open("leia@jaku.com")
    assert codes(rule.reply(quick.data(LETTER))) == "250 2.0.0"
    slow.say(b".\r\n")
    assert slow.reply().code == 250


@pytest.mark.parametrize("parameters", ["", "BODY=8BITMIME", "BODY=7BIT", "SMTPUTF8"])
def test_c50_every_octet_is_kept(way: Way, wire: Connect, rule: Notes, parameters: str) -> None:
    """NUL, 8-bit octets and whatever else is no line end arrive as they were sent, announced or not, and in the header
    too."""
    octets = bytes(octet for octet in range(256) if octet not in b"\r\n")
    content = b"X-All: " + octets + b"\r\n\r\n" + octets + b"\r\n\x00\r\n\x00.\r\n" + octets[::-1] + b"\r\n"
    client = wire(way.start)
    client.open(way.recipient, parameters=parameters)
    assert rule.reply(client.data(content)).code == 250
    assert [mail.content for mail in way.mails] == [content]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"no header at all\r\n",
        b"\r\nbody alone\r\n",
        b"Subject: no body\r\n",
        b"Subject: only\r\n\r\nHello.\r\n",
        b" folded: from nothing\r\n\r\n",
        b"From nobody Thu Jan  1 00:00:00 1970\r\nSubject: mbox\r\n\r\nFrom here\r\n",
        b"bad header\r\n: worse\r\nSubject: third\r\n\r\n\r\n\r\n",
    ],
)
def test_c51_nothing_is_added(way: Way, wire: Connect, rule: Notes, content: bytes) -> None:
    """Without From and Date, without a header, without anything, a mail is taken; above it are the trace fields of its
    hops, and nothing in it is other than it was sent."""
    client = wire(way.start)
    client.open(way.recipient)
    assert codes(rule.reply(client.data(content))) == "250 2.0.0"
    [mail] = way.mails
    assert mail.content == content
    head = mail.raw[: len(mail.raw) - len(content)]
    fields = [line.split(b":")[0] for line in head.splitlines() if not line.startswith(b"\t")]
    assert fields == [b"Return-Path"] + [b"Received"] * len(mail.hops)
