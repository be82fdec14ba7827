"""Servers that know each other: started together or not at all, stopped without loss, started again where they were."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smtp_pair import background, ledger
from smtp_pair.config import Domain, Retry
from smtp_pair.facts import Fact
from smtp_pair.mail.errors import ConfigError, MailNotFound, NotRunning, StartError
from smtp_pair.network import Network, Pair
from smtp_pair.routes import NextHop

PATIENCE = 30.0
MAIL = b"Subject: Hello\r\n\r\nthe text\r\n"


def send(server: Any, *recipients: str, content: bytes = MAIL) -> None:
    with smtplib.SMTP(server.host, server.port, timeout=PATIENCE) as client:
        client.sendmail("luke@jaku.com", recipients, content)


def can_bind(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.fixture
def nobody() -> Iterator[socket.socket]:
    """A port that is taken, and on which nobody answers."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def test_a_mail_and_its_three_outcomes(tmp_path: Path) -> None:
    """Local, forwarded and refused, in one transaction; the other way round as well (C40, C42)."""
    with Pair(directory=tmp_path) as pair:
        for here, there in ((pair.jaku, pair.deathstar), (pair.deathstar, pair.jaku)):
            with smtplib.SMTP(here.host, here.port, timeout=PATIENCE) as client:
                refused = client.sendmail(
                    "luke@jaku.com",
                    [f"obiwan@{here.domain}", f"vader@{there.domain}", "paimon@genshinimpact.com"],
                    MAIL,
                )
            assert [(code, text[:5]) for code, text in refused.values()] == [(550, b"5.1.2")]
            local = here.wait_for(to="obiwan@*", timeout=PATIENCE)
            forwarded = there.wait_for(to="vader@*", timeout=PATIENCE)
            assert (local.hops, forwarded.hops) == ([here.hostname], [here.hostname, there.hostname])
            assert local.content == forwarded.content == MAIL
            assert forwarded.raw.count(b"Received:") == 2
            assert forwarded.raw.count(b"Return-Path:") == 1


def test_any_number_of_domains(tmp_path: Path) -> None:
    """Each knows the way to all others, and to their hosts by name."""
    names = [f"d{number}.test" for number in range(4)]
    with Network(*names, directory=tmp_path) as network:
        assert [server.domain for server in network] == names
        assert len(network) == 4
        for here in network:
            send(here, *(f"{here.domain}@{there}" for there in names))
        send(network["d3.test"], "host@smtp.d0.test")
        network.settle()
        for there in network:
            senders = sorted(mail.delivered_to[0].local for mail in there.messages)
            assert senders == names + (["host"] if there.domain == "d0.test" else [])
            assert {len(mail.hops) for mail in there.messages} == {1, 2}
        assert network["D1.test"] is network["smtp.d1.test"] is network.servers[1]
        with pytest.raises(KeyError, match="no server for 'd9.test'; there are d0.test, d1.test"):
            _ = network["d9.test"]


def test_a_route_beside_the_network_s_own(tmp_path: Path) -> None:
    """To a server of another network, as HOST:PORT."""
    with Network("b.test", directory=tmp_path / "b") as other:
        routes = {"b.test": other["b.test"].address}
        with Network("a.test", directory=tmp_path / "a", routes=routes) as network:
            send(network["a.test"], "vader@b.test")
            mail = other["b.test"].wait_for(to="vader@b.test", timeout=PATIENCE)
    assert mail.envelope.sender == "luke@jaku.com"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"routes": {"b.test": "8.8.8.8:25"}}, "routes: b.test: '8.8.8.8' is not on this machine"),
        ({"routes": {"b.test": NextHop("8.8.8.8", 25)}}, "routes: b.test: '8.8.8.8' is not on this machine"),
        ({"routes": {"b.test": "127.0.0.1"}}, "routes: b.test: '127.0.0.1' is not HOST:PORT"),
        ({"routes": {"b test": "127.0.0.1:25"}}, "routes: b test: 'b test' is not a domain name"),
        ({"routes": {"[127.0.0.1]": "127.0.0.1:25"}}, r"routes: \[127.0.0.1\]: "),
        ({"host": "0.0.0.0"}, "host: .*a.test needs auth"),
        ({"host": "mail.example.org"}, "host: "),
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments: dict[str, Any], complaint: str) -> None:
    """Not at the start, and not when a mail comes: the argument is named. No mail ever leaves this machine unasked."""
    with pytest.raises(ConfigError, match=f"^{complaint}"):
        Network("a.test", **arguments)


def test_a_network_needs_domains_that_go_together() -> None:
    """None, or two of one name."""
    with pytest.raises(ConfigError, match="a network needs a domain"):
        Network()
    with pytest.raises(ConfigError, match="^name: 'a.test' is given to two"):
        Network("a.test", Domain("a.test", hostname="b.test"))
    same = Domain("a.test")
    with pytest.raises(ConfigError, match="^name: "):
        Pair(same, same)


def test_before_the_start_there_is_nothing() -> None:
    """And what asks for it is told so."""
    network, pair = Network("a.test"), Pair()
    network.stop()
    assert network.servers == ()
    with pytest.raises(NotRunning, match="no directory"):
        _ = network.directory
    with pytest.raises(NotRunning, match="with Pair"):
        _ = pair.jaku
    with pytest.raises(KeyError, match="none started yet"):
        _ = network["a.test"]


def test_a_port_in_use_is_named_and_nothing_is_left(tmp_path: Path, nobody: socket.socket) -> None:
    """The ports that were free are given up again, no folder is made, and the network can be started later."""
    taken = port_of(nobody)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        free = port_of(sock)
    network = Network(Domain("a.test", port=free), Domain("b.test", port=taken), directory=tmp_path / "x" / "y")
    for _ in range(2):
        with pytest.raises(StartError) as refused:
            network.start()
        assert str(refused.value) == f"smtp.b.test can't listen on 127.0.0.1:{taken}: the port is in use"
        assert refused.value.errno == errno.EADDRINUSE
        assert network.servers == ()
        assert can_bind(free)
        assert list(tmp_path.iterdir()) == []
    nobody.close()
    with network:
        send(network["a.test"], "vader@b.test")
        network["b.test"].wait_for(to="vader@b.test", timeout=PATIENCE)


def test_a_failed_start_leaves_no_temporary_folder(
    nobody: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor does it tie the network to the ports that happened to be free then."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    network = Network("a.test", Domain("b.test", port=port_of(nobody)))
    with pytest.raises(StartError):
        network.start()
    assert list(tmp_path.iterdir()) == []
    nobody.close()
    with network:
        assert network.directory.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A given one and a temporary one alike: whoever asks where it is may want to put something there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for given in (None, tmp_path / "x" / "y"):
        with Pair(directory=given) as pair:
            assert list(tmp_path.iterdir()) == []
            assert pair.directory.is_dir()
            assert pair.jaku.directory.parent == pair.directory


def test_a_temporary_folder_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At the start, though it is made later."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(StartError, match=f"^{tmp_path}/gone: the folder can't be written"):
        Pair().start()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Before any port is taken."""
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StartError, match=f"^{directory}: no folder for mail: "):
            Network("a.test", directory=directory).start()


@pytest.mark.skipif(os.name != "posix", reason="this system has no such locks")
def test_a_durable_folder_belongs_to_one_network(tmp_path: Path) -> None:
    """Two that both sent the queue would send everything twice; it is free again after the stop."""
    first, second = (Network("a.test", directory=tmp_path, durability="durable") for _ in range(2))
    with first, pytest.raises(StartError, match=f"^{tmp_path}/smtp.a.test: another server is using this folder"):
        second.start()
    with second:
        pass
    assert list(tmp_path.iterdir()) == []


def test_localhost_is_ipv4_and_ipv6(tmp_path: Path) -> None:
    """On one port, and the servers find each other."""
    with Pair(directory=tmp_path, host="LocalHost") as pair:
        hosts = ["127.0.0.1"]
        if len(socket.getaddrinfo("::1", 0, socket.AF_INET6)) and socket.has_ipv6:
            with socket.socket(socket.AF_INET6) as sock:
                try:
                    sock.bind(("::1", 0))
                    hosts.append("::1")
                except OSError:
                    pass  # this machine has no IPv6
        for host in hosts:
            with smtplib.SMTP(host, pair.jaku.port, timeout=PATIENCE) as client:
                client.sendmail("luke@jaku.com", [f"vader+{len(host)}@deathstar.com"], MAIL)
            pair.deathstar.wait_for(to=f"vader+{len(host)}@deathstar.com", timeout=PATIENCE)


def test_ipv6_alone(tmp_path: Path) -> None:
    """The trace tells the client's address as RFC 5321 4.1.3 writes it."""
    try:
        pair = Pair(directory=tmp_path, host="::1").start()
    except StartError:
        pytest.skip("this machine has no IPv6")
    with pair:
        assert pair.jaku.address == f"[::1]:{pair.jaku.port}"
        send(pair.jaku, "vader@deathstar.com")
        assert b"([IPv6:::1])" in pair.deathstar.wait_for(to="vader@*", timeout=PATIENCE).raw


def test_starting_and_stopping_twice(tmp_path: Path) -> None:
    """The second time does nothing."""
    pair = Pair(directory=tmp_path)
    assert pair.start() is pair.start() is pair
    port = pair.jaku.port
    pair.stop()
    pair.stop()
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE)
    assert [server.port for server in pair] == [port, pair.deathstar.port]


def test_a_restart_is_on_the_same_ports_with_the_same_mails(tmp_path: Path) -> None:
    """Clients were told the port; a test that looks at the mails finds those of before."""
    pair = Pair(directory=tmp_path)
    ports = []
    for number in range(3):
        with pair:
            ports.append([server.port for server in pair])
            send(pair.jaku, f"vader+{number}@deathstar.com")
            pair.deathstar.wait_for(to=f"vader+{number}@deathstar.com", timeout=PATIENCE)
    assert ports[0] == ports[1] == ports[2]
    assert [mail.content for mail in pair.deathstar.messages] == [MAIL] * 3


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_a_restart_keeps_the_queue(tmp_path: Path, nobody: socket.socket, durability: Any) -> None:
    """C80: what waits for a hop that is down is sent by the next run; nothing is sent twice."""
    retry = Retry(first="1 h")  # type: ignore[arg-type]  # no attempt but the first, and that of the restart
    routes = {"c.test": f"127.0.0.1:{port_of(nobody)}"}
    network = Network("a.test", directory=tmp_path, routes=routes, durability=durability, retry=retry)
    with network:
        send(network["a.test"], "vader@c.test", "obiwan@a.test")
        network.settle()
        with pytest.raises(
            MailNotFound, match=r"(?s)mail in its own queue:\n  - <vader@c.test> .*, 1 attempts, last: 451"
        ):
            network["a.test"].wait_for(to="nobody@a.test", timeout=0)
    spool = tmp_path / "smtp.a.test" / "spool"
    ledger.apply(spool, lambda database: database.execute("UPDATE recipient SET due = 0"))  # it is due now
    nobody.close()
    with Network(Domain("c.test", port=int(routes["c.test"].rpartition(":")[2])), directory=tmp_path) as there, network:
        mail = there["c.test"].wait_for(to="vader@c.test", timeout=PATIENCE)
        network.settle()
        assert len(there["c.test"].messages) == 1
        assert len(network["a.test"].messages) == 1
    assert mail.content.endswith(MAIL)
    assert ledger.read(spool) == [] == list(spool.rglob("*.eml"))


def test_a_client_that_is_there_at_the_stop(tmp_path: Path) -> None:
    """C23: it is told 421 4.3.2, and the stop does not wait for it."""
    with Pair(directory=tmp_path) as pair:
        client = smtplib.SMTP(pair.jaku.host, pair.jaku.port, timeout=PATIENCE)
        client.noop()
    assert client.getreply()[0] == 421
    client.close()


def test_many_threads_start_and_stop(tmp_path: Path) -> None:
    """One network, whoever asks: it runs or it does not, and at the end nothing is left of it."""
    pair = Pair(directory=tmp_path)
    barrier = threading.Barrier(8)

    def go(number: int) -> None:
        barrier.wait(PATIENCE)
        for _ in range(5):
            pair.start() if number % 2 else pair.stop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(go, range(8)))
    with pair:
        send(pair.jaku, "vader@deathstar.com")
        pair.deathstar.wait_for(to="vader@*", timeout=PATIENCE)
    assert can_bind(pair.jaku.port)


def test_many_threads_with_a_pair_each(tmp_path: Path) -> None:
    """They do not disturb each other."""

    def go(number: int) -> list[str]:
        with Pair(directory=tmp_path / str(number)) as pair:
            send(pair.jaku, f"vader+{number}@deathstar.com")
            pair.deathstar.wait_for(to=f"vader+{number}@deathstar.com", timeout=PATIENCE)
            return [str(mail.delivered_to[0]) for mail in pair.deathstar.messages]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(go, range(16))) == [[f"vader+{number}@deathstar.com"] for number in range(16)]


def test_a_listener_cannot_stop_its_own_network(tmp_path: Path) -> None:
    """It would wait for itself; it gets an error, and the network runs on and can be stopped."""
    heard: list[Fact | Exception] = []
    told = threading.Event()

    def stop(fact: Fact) -> None:
        try:
            pair.stop()
        except RuntimeError as error:
            heard.append(error)
        told.set()

    with Pair(directory=tmp_path) as pair:
        pair.subscribe(stop)
        send(pair.jaku, "obiwan@jaku.com")
        assert told.wait(PATIENCE)
        send(pair.jaku, "yoda@jaku.com")
    assert "wait for itself" in str(heard[0])
    assert can_bind(pair.jaku.port)


def test_facts_of_all_servers(tmp_path: Path) -> None:
    """Told to whoever subscribed, before the start or after it, in the order of things."""
    early: list[str] = []
    late: list[str] = []
    pair = Pair(directory=tmp_path)
    pair.subscribe(lambda fact: early.append(f"{fact.server} {fact.event}"))
    with pair:
        pair.subscribe(lambda fact: late.append(f"{fact.server} {fact.event}"))
        send(pair.jaku, "vader@deathstar.com")
        pair.settle()
    assert early == late
    assert early[0] == "smtp.jaku.com received"
    assert sorted(early[1:]) == ["smtp.deathstar.com received", "smtp.jaku.com forwarded"]


def test_fresh_begins_with_nothing(tmp_path: Path) -> None:
    """For hypothesis, which calls a test many times: no mail and no file of the time before."""
    with Pair(directory=tmp_path) as pair:
        for _ in range(2):
            with pair.fresh():
                assert [server.messages for server in pair] == [[], []]
                pair.jaku.send(["obiwan@jaku.com", "vader@deathstar.com"], attachments={"a.gif": b"GIF"})
                pair.deathstar.wait_for(to="vader@*", timeout=PATIENCE)
        assert [server.messages for server in pair] == [[], []]
        files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
        assert set(files) <= {"journal.jsonl", "ServerMSG.txt", "lock"}


def test_a_temporary_folder_goes_with_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It comes with the first mail; it goes at the end of the `with`, each time; or when nobody holds the network any
    more."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = Pair()
    for _ in range(2):
        with pair:
            assert list(tmp_path.iterdir()) == []
            send(pair.jaku, "obiwan@jaku.com")
            (folder,) = tmp_path.iterdir()
            assert pair.directory == folder
            assert folder.stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == []
    pair.start()
    send(pair.jaku, "obiwan@jaku.com")
    pair.stop()
    assert len(list(tmp_path.iterdir())) == 1
    assert pair.directory.is_dir()
    del pair
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_pairs_leak_nothing(tmp_path: Path) -> None:
    """Hundreds, started and stopped in one process, leave threads, tasks, sockets and files as after the first."""

    def one(number: int) -> None:
        with Pair(directory=tmp_path / str(number)) as pair:
            if number % 50 == 0:
                send(pair.jaku, "vader@deathstar.com")
                pair.deathstar.wait_for(to="vader@*", timeout=PATIENCE)

    async def tasks() -> int:
        return len(asyncio.all_tasks())

    one(0)
    before = descriptors(), threading.active_count(), background.run(tasks())
    for number in range(1, 500):
        one(number)
    assert (descriptors(), threading.active_count(), background.run(tasks())) == before


# -- processes ------------------------------------------------------------------------------------------------------

SERVE = """
import sys
from smtp_pair.network import Network
from smtp_pair.config import Retry
network = Network("a.test", directory=sys.argv[1], durability="durable", retry=Retry(0.1, factor=1),
                  routes={"c.test": sys.argv[2]}).start()
print(network["a.test"].port, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system does not kill like that")
def test_what_a_killed_process_had_accepted_is_delivered(tmp_path: Path, nobody: socket.socket) -> None:
    """C47, C80: after kill -9 in the middle of everything, a later run sends every mail that got its 250."""
    hop = f"127.0.0.1:{port_of(nobody)}"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path), hop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        accepted = []
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
            for number in range(5):
                client.sendmail("luke@jaku.com", [f"vader+{number}@c.test", "obiwan@a.test"], MAIL)
                accepted.append(f"vader+{number}@c.test")
            process.kill()
            process.wait(PATIENCE)
            client.close()
        for file in (process.stdin, process.stdout):
            assert file is not None
            file.close()
    nobody.close()
    with Network(Domain("c.test", port=int(hop.rpartition(":")[2])), directory=tmp_path / "c") as there:
        again = Network("a.test", directory=tmp_path, durability="durable", retry=Retry(0.1), routes={"c.test": hop})
        with again:
            for address in accepted:
                mail = there["c.test"].wait_for(to=address, timeout=PATIENCE)
                assert mail.content.endswith(MAIL)
            again.settle()
    spool = tmp_path / "smtp.a.test" / "spool"
    assert ledger.read(spool) == [] == list(spool.rglob("*.eml"))
    delivered = list((tmp_path / "smtp.a.test" / "maildir" / "obiwan" / "new").iterdir())
    assert len(delivered) == 5


FORK = """
import os, smtplib, sys, warnings
from smtp_pair.network import Pair
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: it is what is tried here
MAIL = b"Subject: x\\r\\n\\r\\nx\\r\\n"

def check(pair, name):
    with smtplib.SMTP(pair.jaku.host, pair.jaku.port, timeout=30) as client:
        client.sendmail("luke@jaku.com", [name + "@deathstar.com"], MAIL)
    pair.deathstar.wait_for(to=name + "@deathstar.com", timeout=30)

with Pair() as pair:
    check(pair, "before")
    child = os.fork()
    if child == 0:
        with Pair() as own:
            check(own, "child")
        assert own.jaku.port != pair.jaku.port
        pair.stop()
        sys.exit(0)  # out of the parent's `with`, through all that runs at an exit
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pair.directory.is_dir()
    check(pair, "after")
"""

FORGET = """
import smtplib, sys
from smtp_pair.config import Retry
from smtp_pair.network import Network
network = Network("a.test", directory=sys.argv[1], retry=Retry(3600), routes={"c.test": sys.argv[2]}).start()
with smtplib.SMTP("127.0.0.1", network["a.test"].port, timeout=30) as client:
    client.sendmail("luke@jaku.com", ["vader@c.test"], b"Subject: x\\r\\n\\r\\nx\\r\\n")
"""


def run_program(program: str, *arguments: str) -> None:
    """A warning, a traceback or a hang at its end fails the test."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_servers_of_its_own() -> None:
    """And the parent's run on, undisturbed, with their folder, however the child ends."""
    run_program(FORK)


def test_a_network_that_nobody_stops(tmp_path: Path, nobody: socket.socket) -> None:
    """Is stopped at the end of the process, without a warning, and its queue is on the disk, in fast mode too."""
    run_program(FORGET, str(tmp_path), f"127.0.0.1:{port_of(nobody)}")
    spool = tmp_path / "smtp.a.test" / "spool"
    assert len(ledger.read(spool)) == len(list(spool.rglob("*.eml"))) == 1
