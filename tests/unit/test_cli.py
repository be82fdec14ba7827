"""The command line, as a user meets it: what it says, its exit codes, and the two clients."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import smtp_pair
from harness.processes import Up, command, environment, run, servers
from smtp_pair import cli, journal


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts servers with their folders in the test's own."""
    with servers(tmp_path) as start:
        yield start


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


@pytest.mark.parametrize("name", ["up", "send", "compose", "queue", "show", "report", "demo"])
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
        (["up", "--unreachable", "vanish"], "--unreachable"),
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize(("words", "name"), [(["demo"], "smtp-pair demo"), (["--help"], "smtp-pair")])
def test_an_output_that_is_full(words: list[str], name: str, tmp_path: Path) -> None:
    """One line on standard error, whether it is met while writing or at the end; exit code 1; nothing left behind."""
    env = environment(TMPDIR=str(tmp_path))
    with open("/dev/full", "w") as full:
        done = subprocess.run(command(*words), env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{name}: [Errno 28] No space left on device\n")
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


def test_a_mail_of_ones_own(up: Callable[..., Up], tmp_path: Path) -> None:
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


def test_the_exit_code_says_whether_anyone_was_accepted(up: Callable[..., Up], tmp_path: Path) -> None:
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
    words: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the option, exit code 2; no server is needed for it."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"smtp-pair {words[0]}: {named}")
    assert shown.err.count("\n") == 1


def test_compose_through_a_pipe(up: Callable[..., Up], tmp_path: Path) -> None:
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
