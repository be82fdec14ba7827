"""A disk that fails, in durable mode: 4xx and never 250, one clear line in the log, nothing left behind; and when the
cause is gone all goes on without anybody's doing."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.durable_house import KINDS, SENDER, House, a_house, one_line
from harness.processes import PATIENCE, ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are other disks there")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with a_house(tmp_path / "data") as house:
        yield house


# -- a full disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "call"),
    [*itertools.product(KINDS, ("write", "fsync", "open", "mkdir")), ("mailbox", "rename")],
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_every_call_fails(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    call: str,
    number: int,
) -> None:
    """Full, broken, read-only, over the quota: 452 4.3.1 where there is no room, else 451 4.3.0, and nothing of the
    cause in the reply."""
    real = getattr(os, call)

    def fail(*arguments: object, **named: object) -> object:
        if str(house.server.directory) in str(arguments[0]) or call in ("write", "fsync"):
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        reply = house.send(KINDS[kind])
    full = number in (errno.ENOSPC, errno.EDQUOT)
    assert (reply.code, reply.enhanced) == ((452, "4.3.1") if full else (451, "4.3.0"))
    assert os.strerror(number) not in reply.text
    one_line(caplog, "could not take a mail", os.strerror(number))
    assert house.mails == []
    assert house.server.messages == [] and house.server.queue == []
    house.works(KINDS[kind])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk, of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(small_disk: Path, kind: str) -> None:
    """A real one: mails until there is no room, each of them 250 and there, or 4xx and not there; then there is room
    again, and mail is taken."""
    with a_house(small_disk / "data") as house:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(400_000))
        replies = [house.send(KINDS[kind], body="x" * 5000) for _ in range(100)]
        taken = [reply for reply in replies if reply.accepted]
        assert 0 < len(taken) < 100
        assert {reply.code for reply in replies if not reply.accepted} <= {451, 452}
        if kind == "mailbox":
            assert len(house.server.messages) == len(taken)
            assert all(len(mail.raw) > 5000 and mail.attachments[0].size == 999 for mail in house.server.messages)
        else:
            assert len(house.server.queue) == len(house.waiting) == len(taken)
        assert house.mails.count("maildir") + house.mails.count("spool") == len(taken)
        ballast.unlink()
        house.works(KINDS[kind])


def fill(path: Path) -> None:
    """Leave no room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_disk_that_fills_while_mails_wait(small_disk: Path) -> None:
    """What had been accepted before goes on, state or no state: it is sent once, and when there is room the disk is
    brought up to date by itself."""
    with a_house(small_disk / "data") as house:
        for _ in range(5):
            assert house.send(KINDS["queue"]).code == 250
        house.network.settle()
        ballast = small_disk / "ballast"
        fill(ballast)
        assert house.send(KINDS["queue"]).code in (451, 452)
        house.network.clock.advance(minutes=1)
        assert len(house.server.queue) == 5
        house.hop.behaves()
        house.network.clock.advance(hours=1)
        assert len(house.hop.taken) == 5
        assert house.server.queue == []
        ballast.unlink()
        house.network.clock.advance(minutes=1)
        assert house.waiting == []
        assert not list((house.server.directory / "spool").rglob("*.eml"))


# -- a folder that can't be written ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_something_else_in_its_place(house: House, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """A file where the folder of the mailboxes or of the queue should be."""
    place = house.server.directory / ("maildir" if kind == "mailbox" else "spool/mail")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"mine")
    reply = house.send(KINDS[kind])
    assert reply.code == 451
    one_line(caplog, "could not take a mail", str(place))
    assert place.read_bytes() == b"mine"
    place.unlink()
    house.works(KINDS[kind])


def test_what_was_stored_goes_with_the_rest(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A mail for a mailbox and for another domain: where the second can't be queued the first one's copy goes too, for
    the one reply is for both, and the client will send both again."""
    database = house.server.directory / "spool" / "queue.sqlite"
    database.mkdir(parents=True)
    replies = house.server.send(list(KINDS.values()), sender=SENDER, attachments={"a.bin": b"x" * 999})
    assert [reply.code for reply in replies.values()] == [451, 451]
    one_line(caplog, "could not take a mail", "queue.sqlite")
    assert house.mails == []
    assert house.server.messages == [] and house.server.queue == []
    database.rmdir()
    house.works(KINDS["queue"])


READ_ONLY = """
import json, os, sys, tempfile
from smtp_pair import Domain, Network, Pair

folder, recipient = sys.argv[1:]
with Pair(durability="durable") as pair:  # all is imported while it may be
    pair.jaku.send("bob@deathstar.com", sender="ann@jaku.com")
    pair.deathstar.wait_for(to="bob@deathstar.com")
if os.getuid() == 0:  # who may write everywhere
    os.setgid(65534)
    os.setuid(65534)
with Network(Domain("a.test", durability="durable"), directory=folder, routes={"far.test": "127.0.0.1:1"}) as network:
    server = network["a.test"]
    network.settle()
    codes = []
    for locked in (True, False):
        for place in (server.directory, server.directory / "spool"):
            os.chmod(place, 0o500 if locked else 0o700)
        codes.append(server.send(recipient, sender="ann@a.test")[recipient].code)
    network.settle()
    print(json.dumps([codes, len(server.messages), len(server.queue)]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_folder(tmp_path: Path, kind: str) -> None:
    """A user who may not write there any more: 451, and 250 as soon as he may again."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    for path in (tmp_path, *tmp_path.parents[:-1]):
        if path.stat().st_mode & 0o5 != 0o5:
            path.chmod(path.stat().st_mode | 0o5)
    done = _run(READ_ONLY, str(folder), KINDS[kind])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[451, 250], *([1, 0] if kind == "mailbox" else [0, 1])]
    assert "could not take a mail" in done.stderr and "Permission denied" in done.stderr


# -- no descriptors --------------------------------------------------------------------------------------------------

NO_DESCRIPTORS = """
import json, os, resource, smtplib, sys
from smtp_pair import Domain, Network

resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
recipient, routes = sys.argv[2], {"far.test": "127.0.0.1:1"}
with Network(Domain("a.test", durability="durable"), directory=sys.argv[1], routes=routes) as network:
    server = network["a.test"]
    client = smtplib.SMTP(server.host, server.port, local_hostname="client.example")
    client.ehlo()
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    codes = []
    for again in range(2):
        client.mail("ann@a.test")
        client.rcpt(recipient)
        codes.append(client.data(b"Subject: x\\r\\n\\r\\nx\\r\\n")[0])
        for descriptor in taken:
            os.close(descriptor)
        taken.clear()
    network.settle()
    print(json.dumps([codes, len(server.messages), len(server.queue)]))
    client.quit()
"""


@pytest.mark.parametrize("kind", KINDS)
def test_no_descriptors(tmp_path: Path, kind: str) -> None:
    """Not one file can be opened: 451, and 250 as soon as one can."""
    done = _run(NO_DESCRIPTORS, str(tmp_path / "data"), KINDS[kind])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[451, 250], *([1, 0] if kind == "mailbox" else [0, 1])]
    assert "could not take a mail" in done.stderr and "Too many open files" in done.stderr


NO_MORE_CONNECTIONS = """
import json, logging, os, resource, sys, threading
from smtp_pair import Domain, Network

class Waits(logging.Handler):
    def emit(self, record):
        refused.set()

refused = threading.Event()
logging.getLogger("smtp_pair.acceptor").addHandler(Waits())
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
with Network(Domain("a.test", durability="durable"), directory=sys.argv[1]) as network:
    server = network["a.test"]
    server.send("bob@a.test", sender="ann@a.test")
    network.settle()
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        os.close(taken.pop())  # for the client's own end; none is left for the server's
    codes = []
    def send():
        codes.extend(reply.code for reply in server.send("bob@a.test", sender="ann@a.test").values())
    client = threading.Thread(target=send)
    client.start()
    assert refused.wait(20)
    for descriptor in taken:
        os.close(descriptor)
    client.join(20)
    print(json.dumps(codes))
"""


def test_no_descriptor_for_a_connection(tmp_path: Path) -> None:
    """A client that can't be accepted waits until it can; the server is none the worse."""
    done = _run(NO_MORE_CONNECTIONS, str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (0, "[250]\n"), done.stderr


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
