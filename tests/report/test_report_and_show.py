"""`smtp-pair report` and `smtp-pair show`, on folders that real servers and real tests left behind."""

from __future__ import annotations

import io
import smtplib
import sys
from pathlib import Path

import pytest

from smtp_pair import Domain, Network, cli, show_command
from tests.report.conftest import RunSuite

HOSTILE = (
    b"Subject: =?utf-8?b?G10wO3B3bmVkBxtbMko=?=\r\nFrom: \x1b[31mred\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    b"\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nclear \x1b[2J \xe2\x80\xae desrever\r\n--b\r\n"
    b'Content-Type: image/png\r\nContent-Disposition: attachment; filename="a\x1b[31m.png"\r\n\r\nx\r\n--b--\r\n'
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of two servers that have stopped: a mail forwarded, one refused in part, one that waits."""
    folder = tmp_path / "data"
    with Network(
        "a.test", "b.test", directory=folder, routes={"dead.test": "127.0.0.1:9"}, durability="durable"
    ) as net:
        net["a.test"].send(
            ["ann@a.test", "bob@b.test", "you@nowhere.test"], subject="Plans", body="See.\n", sender="me@a.test"
        )
        net["b.test"].wait_for(subject="Plans")
        net["a.test"].send("you@dead.test", subject="Waits", sender="me@a.test")
        net.settle()
    return folder


def run(*words: str | Path) -> int:
    return cli.main([str(word) for word in words])


# -- report ------------------------------------------------------------------------------------------------------------


def test_report_of_servers(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their mails, what passed between them, what was refused, what waits; the file lies in the folder."""
    assert run("report", data) == 0
    assert capsys.readouterr().out == f"{data / 'mail.html'}\n"
    page = (data / "mail.html").read_text("utf-8")
    for words in ("2 mails", "smtp.b.test: 1 forwarded", "nowhere.test: 1 \N{MULTIPLICATION SIGN} 550 5.1.2", "still"):
        assert words in page, words
    assert 'href="smtp.a.test/maildir/ann/new/' in page


def test_report_of_one_server(data: Path, tmp_path: Path) -> None:
    """The folder of a server is one, too; the file goes where it is told to."""
    assert run("report", data / "smtp.b.test", "--output", tmp_path / "there" / "b.html") == 0
    page = (tmp_path / "there" / "b.html").read_text("utf-8")
    assert "1 mail" in page
    assert 'href="../data/smtp.b.test/maildir/bob/new/' in page


def test_report_of_results(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """What failing tests kept, without the option: all of them together, or one."""
    run_suite("""
def test_one(mail_pair):
    mail_pair.jaku.send("vader@deathstar.com", subject="Plans")
    mail_pair.deathstar.wait_for(subject="Invoice", timeout=0.01)

def test_two(mail_pair):
    mail_pair.jaku.send("luke@jaku.com", subject="Other plans")
    assert False
""")
    results = pytester.path / "test-results"
    assert run("report", results) == 0
    page = (results / "mail.html").read_text("utf-8")
    assert "2 tests with mail" in page
    assert "no mail with subject=&#x27;Invoice&#x27; came to smtp.deathstar.com" in page
    [one] = results.glob("*test_one*")
    assert run("report", one, "--output", one / "again.html") == 0
    assert "1 test with mail" in (one / "again.html").read_text("utf-8")


def test_what_is_broken_is_said_and_the_rest_shown(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """Results of which a file was cut off, or is of another version."""
    run_suite("""
def test_one(mail_pair):
    mail_pair.jaku.send("luke@jaku.com", subject="Plans")
    assert False
""")
    [one] = (pytester.path / "test-results").glob("*test_one*")
    for broken in (b"{", b'{"form": 99}', b"[]"):
        (one / "test.json").write_bytes(broken)
        assert run("report", one) == 0
        page = (one / "mail.html").read_text("utf-8")
        assert "test.json can&#x27;t be read" in page
        assert "mails/smtp.jaku.com/1.eml" in page
    (one / "test.json").unlink()
    (one / "transcript.jsonl").write_bytes(b"rubbish\n")
    assert run("report", one) == 0
    assert "transcript.jsonl can&#x27;t be read" in (one / "mail.html").read_text("utf-8")


@pytest.mark.parametrize(("name", "why"), [("empty", "there is neither a test's"), ("missing", "is not a folder")])
def test_a_folder_with_nothing_in_it(name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names it; nothing is written."""
    (tmp_path / "empty").mkdir()
    assert run("report", tmp_path / name) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert str(tmp_path / name) in shown.err
    assert why in shown.err
    assert list(tmp_path.rglob("*.html")) == []


# -- show --------------------------------------------------------------------------------------------------------------


def test_show_prints_the_last_mail(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Here one that waits: it is not in a mailbox, and there all the same."""
    assert run("show", "--data", data) == 0
    out = capsys.readouterr().out
    assert "Subject: Waits\n" in out
    assert "Recipient:   <you@dead.test> queued\n" in out
    assert "<you@dead.test> put off" in out


def test_show_prints_a_mail_by_its_id(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or by a beginning of it that no other has: hops, recipients, header, text."""
    [path] = data.glob("smtp.b.test/maildir/bob/new/*")
    mail_id = path.name.partition(".")[0]
    assert run("show", mail_id, "--data", data) == 0
    out = capsys.readouterr().out
    for line in ("Hops:        smtp.a.test -> smtp.b.test", "Sender:      <me@a.test>", "Subject: Plans", "See."):
        assert f"\n{line}\n" in f"\n{out}", line


def test_show_raw_is_the_mail_octet_for_octet(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it goes to a file or a program."""
    [path] = data.glob("smtp.b.test/maildir/bob/new/*")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, write_through=True))
    assert run("show", path.name.partition(".")[0], "--data", data, "--raw") == 0
    assert written.getvalue() == path.read_bytes()


def test_what_can_not_be_shown(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One line each: no such mail, several, one that is gone, no folder, no mail at all."""
    [path] = data.glob("smtp.b.test/maildir/bob/new/*")
    path.unlink()
    cases: list[tuple[list[str | Path], str]] = [
        (["nobody", "--data", data], "no mail nobody in"),
        (["1", "--data", data], "1 may be 1"),
        ([path.name.partition(".")[0], "--data", data], "is not on smtp.b.test any more"),
        (["--data", data / "none"], "is not a folder"),
        (["--data", tmp_path], "no mail has come to a server in"),
    ]
    for words, why in cases:
        assert run("show", *words) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert why in shown.err


@pytest.mark.parametrize("raw", [False, True])
def test_no_control_of_a_mail_reaches_the_terminal(
    raw: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from a title, a field, a name, nor from the text, nor from the mail as it is stored."""
    with (
        Network(Domain("a.test"), directory=tmp_path) as net,
        smtplib.SMTP(net["a.test"].host, net["a.test"].port) as c,
    ):
        c.sendmail("me@a.test", ["ann@a.test"], HOSTILE)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert show_command.main(tmp_path, "", raw=raw) == 0
    out = capsys.readouterr().out
    assert "\\x1b[2J" in out
    assert [character for character in out if character not in "\t\n" and not character.isprintable()] == []
