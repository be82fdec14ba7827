"""`smtp-pair up`, as a user meets it: real processes, real signals, no fixed port."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import smtp_pair
from harness.processes import FREE_PORTS, PATIENCE, ROOT, Up, run, servers
from smtp_pair import cli, config_file, journal
from smtp_pair import up as up_command
from smtp_pair.screen import problems
from smtp_pair.screen.lines import Line


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts servers with their folders in the test's own."""
    with servers(tmp_path) as start:
        yield start


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The one line on standard error of a command that ends with 2, in this process, whose handlers of signals stay;
    servers that start all the same stop at once."""

    def run_in_vain(*words: object) -> str:
        assert cli.main(list(map(str, words))) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        return shown.err.rstrip("\n")

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(up_command._Events, "__iter__", lambda _: iter(()))
    return run_in_vain


# -- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--port", "naboo.com=0"], "--port: no domain is called 'naboo.com'; there are jaku.com, deathstar.com"),
        (["--port", "jaku.com=1030"], "port: 1030 is given to two domains"),
        (["--host", "192.0.2.1"], "host: anyone can reach '192.0.2.1'"),
        (["--config", "missing.toml"], "missing.toml: No such file or directory"),
        (["--config", "bad.toml"], "bad.toml:2: unreachable: 'perhaps' is none of"),
        (["--data", "a-file"], "a-file"),
        (["--data", "a-file/below"], "a-file"),
        (["--data", "taken"], "taken/smtp.deathstar.com: can't be written: File exists"),
        (
            [*FREE_PORTS, "--ready-file", "no/folder/ready"],
            "--ready-file: no/folder/ready can't be written: No such file",
        ),
        (["--data", "new/folder", *FREE_PORTS, "--ready-file", "no/ready"], "--ready-file: no/ready can't be written"),
        ([*FREE_PORTS, "--ready-file", "taken"], "--ready-file: taken can't be written: Is a directory"),
        (["--fault", "RCPT reject 951"], "--fault: 'RCPT reject 951': reply: '951' is no reply"),
        (["--fault", "domain=naboo.com down"], "no domain is called 'naboo.com'; there are jaku.com, deathstar.com"),
        (["--fault", "tls expired"], "--fault: 'tls expired': jaku.com has no TLS that could be broken"),
    ],
)
def test_up_names_what_cannot_be(
    words: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    """One line on standard error that names the culprit, exit code 2, and not a file more than before."""
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    Path("bad.toml").write_text('[[domain]]\nunreachable = "perhaps"\nname = "jaku.com"\n')
    Path("taken").mkdir()
    Path("taken/smtp.deathstar.com").touch()
    before = sorted(tmp_path.rglob("*"))
    ports = [] if {"--host", "--port"} & set(words) else FREE_PORTS
    words = ["up", *words, *(() if "--config" in words else ports)]
    line = refused(*words)
    assert line.startswith("smtp-pair up: ")
    assert named in line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no folder that root can't write to")
def test_a_folder_that_cannot_be_written_is_named(refused: Callable[..., str]) -> None:
    """Also for root, whom permissions do not stop: the folder is tried, not only asked about."""
    line = refused("up", "--data", "/proc", *FREE_PORTS)
    assert line.startswith("smtp-pair up: /proc/smtp.jaku.com: can't be written: ")


def test_a_port_in_use_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    """The server that wanted it, the address, and the reason; the folder that was to be made is not there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ["up", "--data", tmp_path / "a" / "b", "--port", "jaku.com=0", "--port", f"deathstar.com={port}"]
        line = refused(*words)
    assert line == f"smtp-pair up: smtp.deathstar.com can't listen on 127.0.0.1:{port}: the port is in use"
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_share_a_folder(up: Callable[..., Up], tmp_path: Path) -> None:
    """The second is told which folder is in use, and the first goes on with its ready file and its mail."""
    first = up()
    second = run("up", *FREE_PORTS, "--ready-file", first.ready_file, cwd=tmp_path)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == "smtp-pair up: smtp.jaku.com: another server is using this folder\n"
    assert run("send", "--server", first.servers["jaku.com"], cwd=tmp_path).returncode == 0
    assert first.stop() == 0


# -- what it does --------------------------------------------------------------------------------------------------


def test_a_mail_through_both_servers(up: Callable[..., Up], tmp_path: Path) -> None:
    """The console shows a ready line for each server, the refusal, the mail with its attachments, the server that was
    contacted and its reply; the folders hold it."""
    running = up()
    ready = running.console.splitlines()
    assert (
        f"jaku      │ ready     smtp.jaku.com for jaku.com, at {running.servers['jaku.com']}, in smtp.jaku.com" in ready
    )
    assert any(line.startswith("deathstar │ ready     smtp.deathstar.com for deathstar.com, at ") for line in ready)
    sent = run("send", "--server", running.servers["jaku.com"], cwd=tmp_path)
    assert (sent.returncode, sent.stderr) == (0, "")
    assert [line.split(",")[0] for line in sent.stdout.splitlines()[-3:]] == [
        "accepted: obiwan@jaku.com",
        "accepted: vader@deathstar.com",
        "refused:  paimon@genshinimpact.com",
    ]
    running.expect("jaku      │ refused   <paimon@genshinimpact.com> from <luke@jaku.com>: 550 5.1.2 ")
    running.expect("jaku      │ received  a mail from <luke@jaku.com>, ")
    running.expect("jaku      │   to      <obiwan@jaku.com> delivered")
    running.expect("jaku      │   title   Three files for three worlds")
    running.expect("jaku      │   text    Greetings from Jaku.")
    for name in ("jaku.jpeg", "letter.txt", "star.gif"):
        running.expect(f"jaku      │   file    {name}: ")
    running.expect("deathstar │   to      <vader@deathstar.com> delivered")
    forwarded = running.expect(
        "jaku      │ forwarded <vader@deathstar.com>: deathstar.com at smtp.deathstar.com (127.0.0.1:"
    )
    assert " said 250 2.0.0 taken as " in forwarded
    assert running.stop() == 0
    for name in ("smtp.jaku.com", "smtp.deathstar.com"):
        assert len(list((tmp_path / name / "attachments").rglob("*.*"))) == 3
        assert "Three files for three worlds" in (tmp_path / name / "ServerMSG.txt").read_text()


@pytest.mark.parametrize(
    "numbers", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT, signal.SIGTERM)]
)
def test_a_signal_stops_it(numbers: tuple[int, ...], up: Callable[..., Up], tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM, also when repeated: `stopped`, exit code 0, no traceback, no ready file, no empty folder."""
    running = up()
    assert running.ready_file.exists()
    assert running.stop(*numbers) == 0
    assert running.console.splitlines()[-1] == "          │ stopped"
    assert running.errors == ""
    assert [path.name for path in tmp_path.iterdir()] == ["errors"]


def test_localhost_is_both_families(up: Callable[..., Up]) -> None:
    """By default the servers listen on IPv4 and, where the machine has it, on IPv6."""
    running = up()
    port = int(running.servers["jaku.com"].rpartition(":")[2])
    for host in ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]:
        with socket.create_connection((host, port), PATIENCE) as client:
            assert client.recv(100).startswith(b"220 smtp.jaku.com ")


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


TWO = """
[[domain]]
name = "jaku.com"
retry = {{ first = "50 ms", most = "50 ms" }}
[routes]
"naboo.com" = "127.0.0.1:{port}"
"""


def test_after_a_crash_the_queue_is_sent_on(up: Callable[..., Up], tmp_path: Path) -> None:
    """kill -9 loses nothing that was accepted: the next run takes the folder over, and the mail reaches its server."""
    config = tmp_path / "two.toml"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening: connections are refused
        config.write_text(TWO.format(port=nobody.getsockname()[1]))
        first = up("--config", config)
        words = ["--server", first.servers["jaku.com"], "--to", "padme@naboo.com", "--title", "Later"]
        assert run("send", *words, cwd=tmp_path).returncode == 0
        assert "451 4.4.1" in first.expect("put off   <padme@naboo.com>: naboo.com at 127.0.0.1:")
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert first.ready_file.exists()
    config.write_text(TWO.format(port=1).partition("[routes]")[0] + '[[domain]]\nname = "naboo.com"\n')
    second = up("--config", config)
    second.expect("naboo │   title   Later")
    second.expect("jaku  │ forwarded <padme@naboo.com>: naboo.com at smtp.naboo.com (127.0.0.1:")
    assert second.stop() == 0
    assert [fact.event for fact in journal.read(tmp_path / "smtp.naboo.com")] == ["received"]


def test_the_sample_config_is_true(up: Callable[..., Up], tmp_path: Path) -> None:
    """The file in docs/ loads, its three servers start, and what it leaves out is what it shows for jaku.com."""
    path = ROOT / "docs" / "sample-config.toml"
    jaku, deathstar, naboo = config_file.load(path).domains
    running = up("--config", path, *FREE_PORTS, "--port", "naboo.com=0")
    assert list(running.servers) == ["jaku.com", "deathstar.com", "naboo.com"]
    assert (jaku.unreachable, jaku.size) == (deathstar.unreachable, deathstar.size)
    bare = smtp_pair.Domain("jaku.com", port=1025)
    assert (jaku.hostname, jaku.unreachable, jaku.size, jaku.limits) == (
        bare.hostname,
        bare.unreachable,
        bare.size,
        bare.limits,
    )
    assert jaku.retry == smtp_pair.config.PATIENT_RETRY
    sent = run("send", "--server", running.servers["jaku.com"], "--to", "nobody@deathstar.com", cwd=tmp_path)
    assert sent.returncode == 0
    assert "550 5.1.1" in running.expect("failed    <nobody@deathstar.com>: ")
    assert naboo.unreachable == "ignore"


def test_faults_on_the_command_line(up: Callable[..., Up], tmp_path: Path) -> None:
    """Of one domain, once; and by addresses, of any. Each is a line on the console."""
    words = ("--fault", 'domain=jaku.com RCPT reject "451 4.3.0 not now" times=1', "--fault-addresses")
    running = up(*FREE_PORTS, *words)
    at_jaku = ("send", "--server", running.servers["jaku.com"], "--to", "luke@jaku.com")
    assert [run(*at_jaku, cwd=tmp_path).returncode for _ in range(2)] == [1, 0]
    running.expect('jaku      │ fault     RCPT: RCPT reply "451 4.3.0 not now" times=1, for [127.0.0.1]:')
    running.expect("jaku      │ received  a mail")
    at_deathstar = ("send", "--server", running.servers["deathstar.com"], "--to")
    assert run(*at_deathstar, "vader+rcptto550@deathstar.com", cwd=tmp_path).returncode == 1
    running.expect("deathstar │ fault     RCPT: ")
    assert run(*at_deathstar, "vader@deathstar.com", cwd=tmp_path).returncode == 0
    assert running.stop() == 0


def test_unreachable_ignore(up: Callable[..., Up], tmp_path: Path) -> None:
    """The mail is taken for a recipient that no route leads to, nothing is done with it, and it is recorded."""
    running = up(*FREE_PORTS, "--unreachable", "ignore")
    sent = run("send", "--server", running.servers["jaku.com"], "--to", "paimon@genshinimpact.com", cwd=tmp_path)
    assert sent.returncode == 0
    running.expect("jaku      │   to      <paimon@genshinimpact.com> ignored, no route leads there")
    assert running.stop() == 0
    (fact,) = journal.read(tmp_path / "smtp.jaku.com")
    assert fact.data["recipients"] == [{"address": "paimon@genshinimpact.com", "outcome": "ignored"}]
    assert not (tmp_path / "smtp.jaku.com" / "maildir").exists()


def test_a_mail_cannot_write_on_the_console(up: Callable[..., Up], tmp_path: Path) -> None:
    """Escape sequences in a title or a text are shown as text, and no line of ours can be forged."""
    running = up()
    words = ["--no-samples", "--to", "obiwan@jaku.com", "--text", "\x1b[2J\rjaku │ stopped\x9b1m"]
    assert run("send", "--server", running.servers["jaku.com"], *words, cwd=tmp_path).returncode == 0
    running.expect(r"│   text    \x1b[2J")
    assert running.stop() == 0
    assert running.console.isascii() or all(line.isprintable() for line in running.console.splitlines())


def test_what_goes_wrong_is_said_on_the_console(up: Callable[..., Up], tmp_path: Path) -> None:
    """A mail that can't be stored is put off, and the console says why in one line; the traceback of a full disk or a
    file in the way would tell nobody more."""
    running = up()
    (tmp_path / "smtp.jaku.com" / "maildir").touch()
    sent = run("send", "--server", running.servers["jaku.com"], "--no-samples", cwd=tmp_path)
    assert sent.returncode == 1
    assert "451 4.3.0" in sent.stdout
    problem = running.expect("│ problem   smtp.jaku.com could not take a mail: ")
    assert "maildir" in problem
    assert running.stop() == 0
    assert "Traceback" not in running.console + running.errors


def test_a_fault_of_ours_is_told_with_its_traceback() -> None:
    """What can only be a bug is told in full, line by line, none of which reaches beyond its label."""
    events = up_command._Events()
    with problems.logged_to(events.put):
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("smtp_pair.session").exception("session failed")
    texts = [line.text for line in events.left() if isinstance(line, Line)]
    assert texts[0] == "problem   session failed: two\nlines"
    assert texts[1].strip() == "Traceback (most recent call last):"
    assert texts[-1].strip() == "lines"


def test_a_console_that_falls_behind_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """When far more happens than can be shown, the rest is counted rather than kept in memory."""
    monkeypatch.setattr(up_command, "LAG", 2)
    events = up_command._Events()
    for number in range(1005):
        events.put(Line("jaku", str(number)))
    texts = [line.text for line in events.left() if isinstance(line, Line)]
    assert texts == ["0", "1", "1,003 more events came too fast for this screen; journal.jsonl has them"]
    assert list(events.left()) == []


def test_a_console_of_another_encoding(up: Callable[..., Up], tmp_path: Path) -> None:
    """Where the output can't show a character it shows its escape; no error, for the servers as for the clients."""
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    running = up(*FREE_PORTS, **ascii_only)
    sent = run("send", "--server", running.servers["jaku.com"], "--title", "密報", cwd=tmp_path, **ascii_only)
    assert (sent.returncode, sent.stderr) == (0, "")
    running.expect(r"jaku      |   title   \u5bc6\u5831")
    assert running.stop() == 0


def test_what_happens_while_it_stops_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mail that was being taken when the signal came is on the console too, before the last word."""

    def stopped_at_once(events: up_command._Events) -> Iterator[Line]:
        events.put(Line("jaku", "the very last mail"))
        return iter(())

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(up_command._Events, "__iter__", stopped_at_once)
    assert cli.main(["up", "--data", str(tmp_path), *FREE_PORTS]) == 0
    assert [line.rpartition("│ ")[2] for line in capsys.readouterr().out.splitlines()][-2:] == [
        "the very last mail",
        "stopped",
    ]


def test_a_ready_file_of_another_run_stays(up: Callable[..., Up]) -> None:
    """At its end a run removes the file that it wrote, not what somebody has put in its place."""
    running = up()
    running.ready_file.write_text("jaku.com localhost 1\n")
    assert running.stop() == 0
    assert running.ready_file.read_text() == "jaku.com localhost 1\n"


def test_nobody_reads_the_console_any_more(up: Callable[..., Up], tmp_path: Path) -> None:
    """`smtp-pair up | head -1`: the servers stop at the next line, without a traceback."""
    running = up()
    server = running.servers["jaku.com"]
    assert running.process.stdout is not None
    running.process.stdout.close()
    run("send", "--server", server, cwd=tmp_path)
    assert running.process.wait(PATIENCE) == 1
    assert running.errors == ""
    assert not running.ready_file.exists()
