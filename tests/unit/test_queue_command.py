"""`smtp-pair queue`, on servers that run, on servers that do not, and on one that was killed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.processes import Up, servers
from smtp_pair import cli, ledger
from smtp_pair.clients.quick import send


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port on which nobody listens, kept so that nobody will."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture
def up(tmp_path: Path, dead_port: int) -> Iterator[Callable[[], Up]]:
    """Starts a server that has a route to nobody; mail for it waits."""
    config = tmp_path / "servers.toml"
    config.write_text(
        f'[[domain]]\nname = "jaku.com"\nretry = {{ first = "1 h" }}\n[routes]\n"dead.test" = "127.0.0.1:{dead_port}"\n'
    )
    with servers(tmp_path) as start:
        yield lambda: start("--config", config, "--data", tmp_path / "data")


@pytest.fixture
def queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command; what it printed."""

    def run(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert cli.main(["queue", "--data", str(tmp_path / "data"), *words]) == code
        shown = capsys.readouterr()
        return shown.err if code else shown.out

    return run


def waiting_mail(running: Up, recipient: str = "finn@dead.test") -> str:
    """Send a mail that has to wait; its id, once its first attempt was in vain."""
    host, _, port = running.servers["jaku.com"].rpartition(":")
    answer = send(host, int(port), recipient, subject="Wait", body="For me.", attachments={}, sender="rey@jaku.com")
    running.expect("put off")
    return answer[recipient].text.removeprefix("taken as ")


def test_a_running_server_is_asked(up: Callable[[], Up], queue: Callable[..., str]) -> None:
    """What waits is listed with why and until when, shown, tried now and dropped, and the server knows of it."""
    running = up()
    mail = waiting_mail(running)
    listed = queue()
    assert f"{mail}  at smtp.jaku.com, from <rey@jaku.com>" in listed
    assert "<finn@dead.test> to 127.0.0.1:" in listed and "1 attempt, next 20" in listed
    assert "Connection refused" in listed
    assert "Subject: Wait\n" in queue("show", mail)
    assert queue("retry", mail) == "1 recipient to be tried now\n"
    assert "at attempt 2" in running.expect("put off")
    assert queue("retry") == "1 recipient to be tried now\n"
    assert "at attempt 3" in running.expect("put off")
    assert queue("drop", mail) == f"dropped {mail}\n"
    assert queue() == "nothing waits\n"
    assert running.stop() == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_without_a_server_the_folder_is_looked_at(
    up: Callable[[], Up], queue: Callable[..., str], end: signal.Signals
) -> None:
    """The same, after a stop and after a kill; what is to be tried now is tried as soon as a server runs again."""
    running = up()
    first, second = waiting_mail(running), waiting_mail(running, "poe@dead.test")
    running.stop(end)
    assert first in queue() and second in queue()
    assert "To: finn@dead.test\n" in queue("show", first)
    assert queue("drop", second) == f"dropped {second}\n"
    assert queue("retry") == "1 recipient to be tried now\n"
    assert "next now" in queue()
    again = up()
    assert "at attempt 2" in again.expect("put off  ")
    assert second not in queue()
    assert again.stop() == 0


def test_a_mail_or_folder_that_is_not_there(
    up: Callable[[], Up], queue: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names it, and exit code 2."""
    running = up()
    assert queue("drop", "nothing", code=2).startswith("smtp-pair queue: no mail nothing waits in ")
    running.stop()
    assert cli.main(["queue", "--data", str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err == f"smtp-pair queue: --data: {tmp_path / 'missing'} is not a folder\n"


def test_a_broken_database_is_named(up: Callable[[], Up], queue: Callable[..., str], tmp_path: Path) -> None:
    """One line, exit code 2; the file is left as it is."""
    running = up()
    waiting_mail(running)
    running.stop(signal.SIGKILL)
    database = tmp_path / "data" / "smtp.jaku.com" / "spool" / ledger.FILE_NAME
    for left in database.parent.glob(f"{ledger.FILE_NAME}-*"):
        left.unlink()
    database.write_bytes(b"no database at all, and long enough to be looked at as one" * 100)
    assert "spool: can't be read" in queue(code=2)
    assert database.read_bytes().startswith(b"no database")


def test_a_clean_stop_leaves_no_control_file_and_no_empty_folder(up: Callable[[], Up], tmp_path: Path) -> None:
    """A server that got nothing leaves nothing."""
    running = up()
    assert running.stop() == 0
    assert list((tmp_path / "data").rglob("*")) == []
