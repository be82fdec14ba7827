"""The demo: right when all is right, wrong when anything is not, and in the order in which it happened."""

from __future__ import annotations

import hashlib
import os
import pty
import select
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness import demo_picture
from harness.processes import command, environment
from smtp_pair import Domain, Pair, cli, demo
from smtp_pair.clients import samples
from smtp_pair.facts import Fact
from smtp_pair.screen import console

DEMO = command("demo")
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in samples.files()}


def temporary_in(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a command that makes its temporary folders in ``folder``: a test sees what is left of them."""
    return environment(**{"TMPDIR": str(folder), "TERM": "xterm", **more})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo.Run, Path]:
    """A run with a pair as it should be, and the folder that it wrote to."""
    folder = tmp_path_factory.mktemp("demo")
    with Pair(directory=folder) as pair:
        return demo.run(pair), folder


def test_all_is_right(done: tuple[demo.Run, Path]) -> None:
    """The pair as it is passes the demo, and the last line says so."""
    assert done[0].problems == ()
    *_, verdict = demo.report(done[0])
    assert (verdict.text, verdict.tone) == ("All three outcomes are right, and every digest is equal.", "good")


def test_every_file_is_listed_with_its_size_and_digest(done: tuple[demo.Run, Path]) -> None:
    """All that lies in the servers' folders, as it lies there; beside each attachment the sample that was sent."""
    run, folder = done
    labels = {"jaku": "smtp.jaku.com", "deathstar": "smtp.deathstar.com"}
    listed = {folder / labels[written.actor] / written.path: written for written in run.files}
    assert set(listed) == {path for path in folder.rglob("*") if path.is_file()}
    for path, written in listed.items():
        content = path.read_bytes()
        assert (written.size, written.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    sent = [written.sent for written in run.files if written.sent is not None]
    for name, digest in DIGESTS.items():
        assert sent.count(demo.Sent(name, digest)) == 2
    assert [each.what for each in sent].count("the mail") == 2
    texts = [line.text for line in demo.report(run)]
    for written in run.files:
        at = texts.index(f"{written.path}, {written.size:,} octets")
        assert texts[at + 1] == f"  on disk  {written.sha256}"


def steps(run: demo.Run) -> list[str]:
    """The turning points of a run, in its order."""
    points = {
        "client": (
            "send: 'rcpt to:<paimon",
            "reply: retcode (550)",
            "send: b'Date",
            "reply: retcode (250); Msg: b'2.0.0 taken",
        ),
        "jaku": ("refused   <paimon", "received", "forwarded <vader"),
        "deathstar": ("received",),
    }
    return [
        f"{line.actor} {start}"
        for line in run.lines
        for start in points[line.actor]
        if line.text.lower().startswith(start.lower())
    ]


def test_the_order_is_that_of_cause_and_effect(tmp_path: Path) -> None:
    """A server acts after the client's command and before the reply to it; the copy is passed on after that; and it is
    told so every time."""
    expected = [
        "client send: 'rcpt to:<paimon",
        "jaku refused   <paimon",
        "client reply: retcode (550)",
        "client send: b'Date",
        "jaku received",
        "client reply: retcode (250); Msg: b'2.0.0 taken",
        "deathstar received",
        "jaku forwarded <vader",
    ]
    for number in range(20):
        with Pair(directory=tmp_path / str(number)) as pair:
            assert steps(demo.run(pair)) == expected


def test_all_that_is_not_shown_of_the_mail_is_counted(done: tuple[demo.Run, Path]) -> None:
    """The rows of the mail that are shown and the count of the others make the mail's size."""
    texts = [line.text for line in done[0].lines]
    first = next(at for at, text in enumerate(texts) if text.startswith("send: b'Date"))
    more = next(at for at, text in enumerate(texts) if text.endswith(" more bytes"))
    assert more - first == console.BODY_ROWS
    shown = sum(len(eval(text.removeprefix("send: "))) for text in texts[first:more])
    counted = int(texts[more].split()[1].replace(",", ""))
    size = next(int(text.split("size=")[1].split("\\")[0]) for text in texts if "size=" in text)
    assert shown + counted == size + len(".\r\n")


# -- when it is not right ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jaku", "deathstar", "problem"),
    [
        (
            Domain("jaku.com", unreachable="ignore"),
            Domain("deathstar.com"),
            "paimon@genshinimpact.com should be refused with 550 5.1.2, and was not",
        ),
        (
            Domain("jaku.com", users=("luke",)),
            Domain("deathstar.com"),
            "obiwan@jaku.com should have the mail at smtp.jaku.com, and has not: 550 5.1.1 ",
        ),
        (
            Domain("jaku.com"),
            Domain("deathstar.com", users=("tarkin",)),
            "vader@deathstar.com should have the mail at smtp.deathstar.com, and has not: failed, 550 5.1.1 ",
        ),
        (
            Domain("jaku.com"),
            Domain("deathstar.com", size=1000),
            "vader@deathstar.com should have the mail at smtp.deathstar.com, and has not: failed, 552 5.3.4 ",
        ),
    ],
)
def test_a_wrong_outcome_is_found(jaku: Domain, deathstar: Domain, problem: str, tmp_path: Path) -> None:
    """Each of the three outcomes is looked at; the recipient is named, with what was said."""
    with Pair(jaku, deathstar, directory=tmp_path) as pair:
        run = demo.run(pair, patience=0)
    found = run.problems[0]  # others may follow from it, as a notification that nobody sent here
    assert found.startswith(problem)
    assert f"wrong: {found}" in [line.text for line in demo.report(run)]


def spoil(pair: Pair, act: Callable[[Path], object]) -> None:
    """Do something to the second attachment at deathstar as soon as it is there."""

    def listener(fact: Fact) -> None:
        if fact.event == "received" and fact.server == "smtp.deathstar.com":
            act(pair.deathstar.directory / fact.data["attachments"][1]["file"])

    pair.subscribe(listener)


def test_a_file_that_differs_is_found(tmp_path: Path) -> None:
    """One octet too many in one file on disk, and the demo says which."""
    with Pair(directory=tmp_path) as pair:
        spoil(pair, lambda path: path.write_bytes(path.read_bytes() + b"!"))
        run = demo.run(pair)
    (problem,) = run.problems
    assert problem.startswith("attachments/")
    assert problem.endswith("/2.txt at deathstar is not what was sent")
    assert any(line.text.endswith("letter.txt: DIFFERENT") and line.tone == "bad" for line in demo.report(run))


def test_a_file_that_is_missing_is_found(tmp_path: Path) -> None:
    """A file that is not there has no digest to differ, and is wrong all the same."""
    with Pair(directory=tmp_path) as pair:
        spoil(pair, Path.unlink)
        assert demo.run(pair).problems == ("2.txt is missing at smtp.deathstar.com",)


def test_a_server_that_is_not_there_is_found(tmp_path: Path) -> None:
    """The client's own error is shown, not a traceback."""
    with Pair(directory=tmp_path) as pair:
        pair.stop()
        first, *_ = demo.run(pair).problems
    assert "nothing listens there" in first


def test_the_exit_code_when_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1; and the folder is kept, and named, so that one can see what is wrong."""
    monkeypatch.setattr(demo, "Pair", partial(Pair, Domain("jaku.com", unreachable="ignore")))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["demo"]) == 1
    *_, wrong, where = capsys.readouterr().out.splitlines()
    assert "wrong: paimon@genshinimpact.com" in wrong
    (folder,) = tmp_path.iterdir()
    assert where.endswith(f"The files are in {folder}.")
    assert (folder / "smtp.jaku.com" / "ServerMSG.txt").exists()


# -- the command -------------------------------------------------------------------------------------------------------


def test_in_a_pipe(tmp_path: Path) -> None:
    """Plain text, exit code 0, nothing on standard error, and no folder left behind."""
    done = subprocess.run(
        DEMO, cwd=tmp_path, env=temporary_in(tmp_path), capture_output=True, encoding="utf-8", check=True
    )
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[-2:] == [
        "          │ All three outcomes are right, and every digest is equal.",
        "          │ The files are removed now; --data DIR keeps them.",
    ]
    for digest in DIGESTS.values():
        assert done.stdout.count(f"  on disk  {digest}") == done.stdout.count(f"  sent     {digest}") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_folder_that_is_named_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --data the files are there afterwards; a second run into the same folder lists its own files only."""
    folder = tmp_path / "a" / "b"
    assert cli.main(["demo", "--data", str(folder)]) == 0
    once = capsys.readouterr().out
    assert once.endswith(f"The files are in {folder}.\n")
    assert cli.main(["demo", "--data", str(folder)]) == 0
    again = capsys.readouterr().out
    assert again.count("  on disk  ") == once.count("  on disk  ")
    assert len(list((folder / "smtp.deathstar.com" / "attachments").rglob("*.*"))) == 6


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names it, and exit code 2."""
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--data", str(tmp_path / "file")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"smtp-pair demo: {tmp_path / 'file'}: no folder for mail: File exists\n"


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_on_a_terminal(more: dict[str, str], coloured: bool, tmp_path: Path) -> None:
    """In colours, each actor in its own, unless the terminal or its user wants none."""
    screen = at_a_terminal(temporary_in(tmp_path, **more))
    assert screen.endswith(
        "The files are removed now; --data DIR keeps them.\x1b[0m\r\n" if coloured else "keeps them.\r\n"
    )
    for sgr, label in (("33", "client"), ("36", "jaku"), ("35", "deathstar")):
        assert (f"\x1b[{sgr}m{label}" in screen) is coloured
    assert ("\x1b" in screen) is coloured


def at_a_terminal(env: dict[str, str]) -> str:
    """What the demo shows at a pseudo-terminal; it must end with 0."""
    master, slave = pty.openpty()
    with subprocess.Popen(DEMO, stdin=slave, stdout=slave, stderr=slave, env=env) as process:
        os.close(slave)
        octets = b""
        while select.select([master], [], [], 30)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:  # Linux says so at the end
                break
            if not piece:
                break
            octets += piece
        os.close(master)
    assert process.returncode == 0, octets
    return octets.decode()


def test_when_nobody_reads_it(tmp_path: Path) -> None:
    """`smtp-pair demo | head -1`: no traceback, and no folder left behind."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        DEMO, cwd=tmp_path, env=temporary_in(tmp_path), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_the_picture_is_of_this_demo() -> None:
    """docs/demo.svg is what the demo shows now, but for what is different each time: python -m harness.demo_picture."""
    assert demo_picture.FILE.read_text(encoding="utf-8") == demo_picture.picture()
