"""The command line, as a user meets it: real processes, real signals, no fixed port."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import smtp_pair
from smtp_pair import cli, config_file, journal
from smtp_pair import up as up_command
from smtp_pair.disk import lock
from smtp_pair.screen.lines import Line

ROOT = Path(smtp_pair.__path__[0]).parent
PATIENCE = 30.0  # seconds until something that should happen at once is given up
FREE_PORTS = ("--port", "jaku.com=0", "--port", "deathstar.com=0")


def command(*words: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "smtp_pair", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "DISPLAY")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


class Running:
    """`smtp-pair up` in a process of its own; its console is read line by line."""

    def __init__(self, folder: Path, words: tuple[object, ...], more: dict[str, str]) -> None:
        self.folder, self.ready_file, self._errors = folder, folder / "ready", folder / "errors"
        self.console = ""
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                command("up", "--ready-file", self.ready_file, *words),
                cwd=folder,
                env=environment(**more),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        # A console that says nothing more ends the process, and with it every wait for a line.
        self._patience = threading.Timer(PATIENCE, self.process.kill)
        self._patience.start()

    @property
    def servers(self) -> dict[str, str]:
        """HOST:PORT of each domain, as the ready file has them."""
        lines = [line.split(" ") for line in self.ready_file.read_text().splitlines()]
        return {domain: f"{host}:{port}" for domain, host, port in lines}

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def expect(self, text: str) -> str:
        """The next line of the console with a text in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.console += line
            if text in line:
                return line.rstrip("\n")
        pytest.fail(f"{text!r} did not appear on the console:\n{self.console}\n{self.errors}")

    def stop(self, *numbers: int) -> int:
        """Send signals; the exit code, with the rest of the console read."""
        assert self.process.stdout is not None
        for number in numbers or (signal.SIGTERM,):
            self.process.send_signal(number)
        self.console += self.process.stdout.read()
        return self.process.wait()

    def close(self) -> None:
        self._patience.cancel()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers on free ports, with their folders in the test's own, and waits until they are ready."""
    started: list[Running] = []

    def start(*words: object, **more: str) -> Running:
        running = Running(tmp_path, words or FREE_PORTS, more)
        started.append(running)
        running.expect("Ctrl-C stops")
        return running

    yield start
    for running in started:
        running.close()


def run(*words: object, cwd: Path, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        text=True,
        encoding="utf-8",
        check=False,
    )


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


# -- the face ----------------------------------------------------------------------------------------------------------


def test_help_and_version_import_nothing_heavy(tmp_path: Path) -> None:
    """`--help` answers at once: neither the servers nor the clients nor what they stand on is imported."""
    program = (
        "import sys\nfrom smtp_pair import cli\n"
        "for words in (['--help'], ['up', '--help'], ['send', '--help'], ['--version']):\n"
        "    try: cli.main(words)\n"
        "    except SystemExit as end: assert not end.code\n"
        "print(sorted({'aiosmtpd', 'asyncio', 'ssl', 'email', 'smtplib', 'tomllib'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith(f"smtp-pair {smtp_pair.__version__}\n[]\n")


@pytest.mark.parametrize("name", ["up", "send", "compose", "demo"])
def test_every_command_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`smtp-pair --help` names the command, and `smtp-pair COMMAND --help` describes it."""
    for words in (["--help"], [name, "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        assert end.value.code == 0
        assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "COMMAND"),
        (["down"], "'down'"),
        (["up", "--bogus"], "--bogus"),
        (["up", "--dat", "x"], "--dat"),
        (["up", "--port", "1025"], "--port: '1025' is not DOMAIN=PORT"),
        (["up", "--port", "jaku.com=65536"], "--port: 'jaku.com=65536'"),
        (["up", "--port", "jaku.com=-1"], "--port: 'jaku.com=-1'"),
        (["up", "--unreachable", "bounce"], "--unreachable"),
        (["send", "--server", "localhost"], "--server: 'localhost' is not HOST:PORT"),
        (["send", "--server", "."], "--server: '.' is not HOST:PORT"),
        (["send", "--server", "mail.example.org:25"], "--server: 'mail.example.org' is not on this machine"),
        (["compose", "--server", "localhost:0"], "--server: 'localhost:0'"),
    ],
)
def test_bad_usage(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage, then one line that names the option and what is wrong with it; exit code 2."""
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("usage: smtp-pair ")
    assert named in shown.err.splitlines()[-1]


# -- up: what cannot be ------------------------------------------------------------------------------------------------


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
        ([*FREE_PORTS, "--ready-file", "taken"], "--ready-file: taken can't be written: Is a directory"),
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


def test_two_runs_do_not_share_a_folder(up: Callable[..., Running], tmp_path: Path) -> None:
    """The second is told which folder is in use, and the first goes on with its ready file and its mail."""
    first = up()
    second = run("up", *FREE_PORTS, "--ready-file", first.ready_file, cwd=tmp_path)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == "smtp-pair up: smtp.jaku.com: another server is using this folder\n"
    assert run("send", "--server", first.servers["jaku.com"], cwd=tmp_path).returncode == 0
    assert first.stop() == 0


# -- up: what it does --------------------------------------------------------------------------------------------------


def test_a_mail_through_both_servers(up: Callable[..., Running], tmp_path: Path) -> None:
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
def test_a_signal_stops_it(numbers: tuple[int, ...], up: Callable[..., Running], tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM, also when repeated: `stopped`, exit code 0, no traceback, no ready file, no empty folder."""
    running = up()
    assert running.ready_file.exists()
    assert running.stop(*numbers) == 0
    assert running.console.splitlines()[-1] == "          │ stopped"
    assert running.errors == ""
    assert [path.name for path in tmp_path.iterdir()] == ["errors"]


def test_localhost_is_both_families(up: Callable[..., Running]) -> None:
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


def test_after_a_crash_the_queue_is_sent_on(up: Callable[..., Running], tmp_path: Path) -> None:
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


def test_the_sample_config_is_true(up: Callable[..., Running], tmp_path: Path) -> None:
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


def test_unreachable_ignore(up: Callable[..., Running], tmp_path: Path) -> None:
    """The mail is taken for a recipient that no route leads to, nothing is done with it, and it is recorded."""
    running = up(*FREE_PORTS, "--unreachable", "ignore")
    sent = run("send", "--server", running.servers["jaku.com"], "--to", "paimon@genshinimpact.com", cwd=tmp_path)
    assert sent.returncode == 0
    running.expect("jaku      │   to      <paimon@genshinimpact.com> ignored, no route leads there")
    assert running.stop() == 0
    (fact,) = journal.read(tmp_path / "smtp.jaku.com")
    assert fact.data["recipients"] == [{"address": "paimon@genshinimpact.com", "outcome": "ignored"}]
    assert not (tmp_path / "smtp.jaku.com" / "maildir").exists()


def test_a_mail_cannot_write_on_the_console(up: Callable[..., Running], tmp_path: Path) -> None:
    """Escape sequences in a title or a text are shown as text, and no line of ours can be forged."""
    running = up()
    words = ["--no-samples", "--to", "obiwan@jaku.com", "--text", "\x1b[2J\rjaku │ stopped\x9b1m"]
    assert run("send", "--server", running.servers["jaku.com"], *words, cwd=tmp_path).returncode == 0
    running.expect(r"│   text    \x1b[2J")
    assert running.stop() == 0
    assert running.console.isascii() or all(line.isprintable() for line in running.console.splitlines())


def test_what_goes_wrong_is_said_on_the_console(up: Callable[..., Running], tmp_path: Path) -> None:
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
    with up_command._logged_to(events):
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


def test_a_console_of_another_encoding(up: Callable[..., Running], tmp_path: Path) -> None:
    """Where the output can't show a character it shows its escape; no error, for the servers as for the clients."""
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    running = up(*FREE_PORTS, **ascii_only)
    sent = run("send", "--server", running.servers["jaku.com"], "--title", "密報", cwd=tmp_path, **ascii_only)
    assert (sent.returncode, sent.stderr) == (0, "")
    running.expect(r"jaku      |   title   \u5bc6\u5831")
    assert running.stop() == 0


def test_nobody_reads_the_console_any_more(up: Callable[..., Running], tmp_path: Path) -> None:
    """`smtp-pair up | head -1`: the servers stop at the next line, without a traceback."""
    running = up()
    server = running.servers["jaku.com"]
    assert running.process.stdout is not None
    running.process.stdout.close()
    run("send", "--server", server, cwd=tmp_path)
    assert running.process.wait(PATIENCE) == 1
    assert running.errors == ""
    assert not running.ready_file.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_an_output_that_is_full(tmp_path: Path) -> None:
    """One line on standard error, exit code 1, and nothing left behind."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("demo"),
            env=environment(TMPDIR=str(tmp_path)),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "smtp-pair demo: [Errno 28] No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_closed(tmp_path: Path) -> None:
    """`smtp-pair demo >&-`: the exit code still says whether all was right."""
    program = "import sys\nfrom smtp_pair import cli\nsys.stdout = None\nsys.exit(cli.main(['demo']))\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


# -- send and compose --------------------------------------------------------------------------------------------------


def test_a_mail_of_ones_own(up: Callable[..., Running], tmp_path: Path) -> None:
    """Sender, recipients, title and text are those given; files come after the samples, or instead of them."""
    running = up()
    (tmp_path / "plan.bin").write_bytes(bytes(range(256)))
    words = ["--from", "Yoda <yoda@jaku.com>", "--to", "leia@jaku.com", "--to", "han@jaku.com"]
    words += ["--title", "A título", "--text", "Do, or do not.", "--attach", "plan.bin"]
    server = running.servers["jaku.com"]
    assert run("send", "--server", server, *words, cwd=tmp_path).returncode == 0
    assert run("send", "--server", server, *words, "--no-samples", cwd=tmp_path).returncode == 0
    assert running.stop() == 0
    first, second = journal.read(tmp_path / "smtp.jaku.com")
    assert [to["address"] for to in first.data["recipients"]] == ["leia@jaku.com", "han@jaku.com"]
    assert (first.data["sender"], first.data["title"]) == ("yoda@jaku.com", "A título")
    assert first.data["text"] == "Do, or do not.\n"
    assert [file["name"] for file in first.data["attachments"]] == ["jaku.jpeg", "letter.txt", "star.gif", "plan.bin"]
    (only,) = second.data["attachments"]
    assert (tmp_path / "smtp.jaku.com" / only["file"]).read_bytes() == bytes(range(256))


def test_the_exit_code_says_whether_anyone_was_accepted(up: Callable[..., Running], tmp_path: Path) -> None:
    """1 when every recipient was refused, and when nobody listens there."""
    running = up()
    server = running.servers["jaku.com"]
    none = run("send", "--server", server, "--to", "paimon@genshinimpact.com", cwd=tmp_path)
    assert none.returncode == 1
    assert none.stdout.splitlines()[-1].startswith("refused:  paimon@genshinimpact.com, 550 5.1.2 ")
    assert running.stop() == 0
    nobody = run("send", "--server", server, cwd=tmp_path)
    assert nobody.returncode == 1
    assert nobody.stderr.startswith(f"smtp-pair send: {server} cannot be reached: nothing listens there")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["send", "--from", "luke"], "--from: 'luke' is no address"),
        (["send", "--to", "obiwan@jaku.com", "--to", "obi wan@jaku.com"], "--to: 'obi wan@jaku.com' is no address"),
        (["send", "--attach", "missing.png"], "--attach: missing.png does not exist"),
        (["send", "--attach", "."], "--attach: . is a folder"),
        (["send", "--title", "one\ntwo"], "the title holds a line end"),
        (["compose", "--from", "vader@"], "--from: 'vader@' is no address"),
    ],
)
def test_bad_input_is_said_before_anyone_is_called(
    words: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    """One line that names the option, exit code 2; no server is needed for it."""
    monkeypatch.chdir(tmp_path)
    line = refused(*words)
    assert line.startswith(f"smtp-pair {words[0]}: ")
    assert named in line


def test_compose_through_a_pipe(up: Callable[..., Running], tmp_path: Path) -> None:
    """The answers make the mail; the recipient's name stays out of the envelope."""
    running = up()
    answers = "Hello there\nObiwan\nobiwan@jaku.com\nn\nGeneral Kenobi.\n.\nn\n"
    done = run("compose", "--server", running.servers["deathstar.com"], cwd=tmp_path, stdin=answers)
    assert (done.returncode, done.stderr) == (0, "")
    running.expect("jaku      │ received  a mail from <vader@deathstar.com>, ")
    running.expect("jaku      │   to      <obiwan@jaku.com> delivered")
    running.expect("jaku      │   title   Hello there")
    assert "Nothing was sent." in run("compose", cwd=tmp_path, stdin="").stdout


def test_ctrl_c_at_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """130, as shells have it, and no traceback."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smtp_pair.clients.scripted.send", interrupted)
    assert cli.main(["send"]) == 130


# -- the lock ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    """Who comes second is refused until the first gives it up; nothing is left then of the lock or an empty folder."""
    pytest.importorskip("fcntl", reason="this system has no such locks")
    give_up = lock(tmp_path / "a" / "folder")
    with pytest.raises(BlockingIOError):
        lock(tmp_path / "a" / "folder")
    give_up()
    assert not (tmp_path / "a" / "folder").exists()
    again = lock(tmp_path / "a" / "folder")
    (tmp_path / "a" / "folder" / "mail").touch()
    again()
    assert [path.name for path in (tmp_path / "a" / "folder").iterdir()] == ["mail"]


def test_a_lock_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened before the first gave it up, locked after: that file is the folder's lock no more, and another is made."""
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")
    first = lock(tmp_path)
    taken: list[int] = []
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        taken.append(descriptor)
        if len(taken) == 1:
            first()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    second = lock(tmp_path)
    assert len(taken) == 2
    assert (tmp_path / "lock").exists()
    with pytest.raises(BlockingIOError):
        lock(tmp_path)
    second()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the folder is not guarded, and the servers start all the same."""
    fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")

    def flock(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    first, second = lock(tmp_path), lock(tmp_path)
    first()
    second()
