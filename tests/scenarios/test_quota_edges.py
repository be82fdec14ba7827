"""How much a mailbox holds: to the last octet, by running servers. Greylisting, aliases and bare line ends are in
test_configuration_edges.py."""

from __future__ import annotations

import errno
from collections import Counter

import pytest

from harness.broken_disk import BrokenDisk
from harness.rules_plugin import Connect
from harness.wire import codes
from smtp_pair import Domain, Server
from smtp_pair.config import Durability, Retry
from smtp_pair.journal import read
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def mailboxes(server: Server) -> Counter[str]:
    """How many mails each mailbox has, by the files on disk."""
    return Counter(path.parent.parent.name for path in server.directory.glob("maildir/*/*/*"))


def events(server: Server) -> list[str]:
    return [fact.event for fact in read(server.directory)]


def body(octets: int) -> bytes:
    return b"Subject: Fill\r\n\r\n" + b"x" * (octets - 19) + b"\r\n"


def size_of_trace(mail_network: MailNetwork, wire: Connect) -> int:
    """What the trace fields take that a server puts on top of a mail, measured where there is no quota."""
    server = mail_network("jaku.com")["jaku.com"]
    client = wire(server)
    client.open("obiwan@jaku.com")
    client.data(LETTER)
    [mail] = server.messages
    return len(mail.raw) - len(mail.content)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("more", "expected"), [(0, "250 2.0.0"), (1, "452 4.2.2")])
def test_a_mailbox_to_the_last_octet(
    mail_network: MailNetwork, wire: Connect, more: int, expected: str, restart: bool
) -> None:
    """Two mails that fill it exactly are taken, with one octet more the second is put off; whether the first was
    counted or, after a restart, measured: what counts is what lies on the disk."""
    network = mail_network(Domain("jaku.com", quota=2 * (500 + size_of_trace(mail_network, wire))))
    client = wire(network["jaku.com"])
    client.open("obiwan@jaku.com")
    assert client.data(body(500)).code == 250
    if restart:
        network.stop()
        network.start()
        client = wire(network["jaku.com"])
    client.open("obiwan@jaku.com")
    assert codes(client.data(body(500 + more))) == expected
    assert mailboxes(network["jaku.com"]) == {"obiwan": 1 if more else 2}


def test_a_reader_makes_room(mail_network: MailNetwork, wire: Connect) -> None:
    """Mails that were read and removed take no room; those that were only read do."""
    server = mail_network(Domain("jaku.com", quota=1500))["jaku.com"]
    client = wire(server)
    client.open("obiwan@jaku.com")
    assert client.data(body(1000)).code == 250
    [path] = server.directory.glob("maildir/obiwan/new/*")
    seen = path.rename(path.parent.parent / "cur" / f"{path.name}:2,S")
    client.open()
    client.ask(b"RCPT TO:<obiwan@jaku.com>")
    assert client.data(body(500)).code == 452
    seen.unlink()
    client.open("obiwan@jaku.com")
    assert client.data(body(500)).code == 250


def test_one_full_mailbox_of_several(mail_network: MailNetwork, wire: Connect) -> None:
    """After the dot all recipients share one reply: the others get their mail, and the full one's waits until there is
    room; each gets it once."""
    network = mail_network(Domain("jaku.com", quota=1500), clock="manual")
    server = network["jaku.com"]
    client = wire(server)
    client.open("obiwan@jaku.com")
    assert client.data(body(1000)).code == 250
    client.open("leia@jaku.com", "obiwan@jaku.com")
    assert client.data(body(500)).code == 250
    network.clock.advance(hours=1)
    assert mailboxes(server) == {"obiwan": 1, "leia": 1}
    assert [waiting.recipient for waiting in server.queue] == ["obiwan@jaku.com"]
    for path in server.directory.glob("maildir/obiwan/new/*"):
        path.unlink()
    network.clock.advance(hours=2)
    assert mailboxes(server) == {"obiwan": 1, "leia": 1}
    assert server.queue == []


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_what_was_not_stored_takes_no_room(mail_network: MailNetwork, wire: Connect, durability: Durability) -> None:
    """A mail that fills the mailbox and meets a full disk, again and again, and gets in at last."""
    network = mail_network(Domain("jaku.com", quota=1500), durability=durability)
    client = wire(network["jaku.com"])
    with BrokenDisk.below(network["jaku.com"].directory) as disk:
        for number in (1, 2, 3, 0):
            client.open("obiwan@jaku.com")
            disk.fail_at("write", number, errno.ENOSPC)
            assert codes(client.data(body(1000))) == ("452 4.3.1" if number else "250 2.0.0")


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_many_at_once_do_not_overfill(mail_network: MailNetwork, wire: Connect, durability: Durability) -> None:
    """Big mails that are stored at the same time, in threads: as many as fit, and not one more."""
    size = 300 << 10
    network = mail_network(Domain("jaku.com", quota=3 * (size + 1000)), durability=durability)
    server = network["jaku.com"]
    clients = [wire(server) for _ in range(6)]
    for client in clients:
        client.open("obiwan@jaku.com")
        assert client.ask(b"DATA").code == 354
    for client in clients:
        client.say(body(size) + b".\r\n")
    assert sorted(client.reply().code for client in clients) == [250] * 3 + [452] * 3
    assert mailboxes(server) == {"obiwan": 3}


def test_a_full_mailbox_of_the_next_server(mail_network: MailNetwork) -> None:
    """What is put off there waits here, and arrives when there is room."""
    network = mail_network("jaku.com", Domain("deathstar.com", quota=2500), retry=Retry(first=0.05, most=0.05))
    jaku, deathstar = network
    deathstar.send("vader@deathstar.com", subject="First", body="x" * 1500)
    jaku.send("vader@deathstar.com", subject="Second", body="x" * 1500)
    network.settle()
    assert "deferred" in events(jaku)
    for path in deathstar.directory.glob("maildir/vader/new/*"):
        path.unlink()
    assert deathstar.wait_for(subject="Second").hops == ["smtp.jaku.com", "smtp.deathstar.com"]
