"""The report card (harness/check.py): what it says of servers that are right, wrong, odd or not there; that it ends."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness import check, dialogue
from harness.careless import CarelessServer, Wrong
from harness.dialogue import Subject
from harness.report_card.card import Card, Row
from harness.report_card.text import render
from smtp_pair import Domain, Pair
from smtp_pair.config import Tls
from smtp_pair.pytest_plugin import MailNetwork


def run(server: object, *words: object) -> int:
    return check.main([str(server), "--domain", "jaku.com", *map(str, words)])


def of(server: CarelessServer) -> str:
    return f"{server.host}:{server.port}"


@pytest.fixture
def listening() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts a listener that does something to each connection; gives HOST:PORT."""
    with contextlib.ExitStack() as at_the_end:

        def start(do: Callable[[socket.socket], None]) -> str:
            listener = at_the_end.enter_context(socket.create_server(("127.0.0.1", 0)))
            clients: list[socket.socket] = []

            def serve() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        client, _ = listener.accept()
                        clients.append(client)
                        with contextlib.suppress(OSError):
                            do(client)

            def stop() -> None:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                for client in clients:
                    client.close()

            thread = threading.Thread(target=serve)
            thread.start()
            at_the_end.callback(stop)
            host, port = listener.getsockname()
            return f"{host}:{port}"

        yield start


# -- a server that is right ------------------------------------------------------------------------------------------


def test_ours_has_a_good_card(mail_pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every dialogue that it has what it takes for passes, mail as clients send it too; the exit code is 0, and the
    same is in both files."""
    server = f"{mail_pair.jaku.host}:{mail_pair.jaku.port}"
    files = ("--json", tmp_path / "card.json", "--html", tmp_path / "card.html")
    assert run(server, "--route", "vader@deathstar.com", "--has", "normalising", *files) == 0
    text = capsys.readouterr().out
    assert text.startswith(
        f"{server}, for jaku.com, which calls itself smtp.jaku.com\noffers SIZE 33554432, PIPELINING"
    )
    assert "\nC44   pass " in text
    assert "\nmail  pass     12/12  " in text
    assert "0 differ, 0 failed" in text
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["counts"]["fail"] == card["counts"]["differs"] == 0
    assert card["counts"]["pass"] > 350
    assert {row["why"] for row in card["rows"] if row["verdict"] == "not played"} >= {"needs auth", "needs tls"}
    assert mail_pair.deathstar.wait_for(to="vader@deathstar.com", subject="Three files").attachments
    assert "smtp.jaku.com" in (tmp_path / "card.html").read_text()


def test_one_rule_alone(mail_pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """No other dialogue is played, and no mail is sent for its own sake."""
    assert run(f"localhost:{mail_pair.jaku.port}", "--rule", "c3", "--rule", "C4") == 0
    text = capsys.readouterr().out
    assert [line[:3] for line in text.splitlines() if line.startswith(("C", "mail"))] == ["C3 ", "C4 "]
    assert mail_pair.jaku.messages == []


# -- one that is wrong ------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dialogue, the line of its script, what it wants and what came; in the files what was said as well. The exit
    code is 1."""
    files = ("--json", tmp_path / "card.json", "--html", tmp_path / "card.html")
    with CarelessServer(Wrong(end=b"\n.\r\n")) as server:
        assert run(of(server), "--rule", "C44", "--patience", "5", *files) == 1
    text = capsys.readouterr().out
    assert "      fail     what is no end, with a mail hidden behind it [\\n.\\r\\n]  (end_of_data.smtp:" in text
    rows = json.loads((tmp_path / "card.json").read_text())["rows"]
    [row] = [row for row in rows if row["name"] == "what is no end, with a mail hidden behind it [\\n.\\r\\n]"]
    assert (row["rule"], row["verdict"], row["step"]) == ("C44", "fail", "S: 221 | closed")
    assert (row["expected"], row["got"]) == ("221 | closed", "250 2.1.0 yes")
    assert "C: MAIL FROM:<evil@example.org>" in row["conversation"]
    page = (tmp_path / "card.html").read_text()
    assert "C: MAIL FROM:&lt;evil@example.org&gt;" in page


def test_what_differs_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown, and the exit code is 0."""
    with CarelessServer(Wrong(greets="220 <nobody>")) as server:
        assert run(of(server), "--rule", "C1", "--rule", "C3") == 0
    text = capsys.readouterr().out
    assert "C1    differs  0/2" in text
    assert "               got       220 <nobody>" in text


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_server_that_wants_tls(mail_network: MailNetwork, tls: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is said in TLS, the mails as well, and AUTH is tried there; what is about STARTTLS itself is not."""
    kind: Tls = "required" if tls == "starttls" else "implicit"
    server = mail_network(Domain("jaku.com", tls=kind, auth={"luke": "secret"}))["jaku.com"]
    address = f"{server.host}:{server.port}"
    assert run(address, "--tls", tls, "--auth", "luke:secret", "--patience", "10") == 0
    text = capsys.readouterr().out
    assert "\nC69   pass " in text
    assert "0 differ, 0 failed" in text
    assert "\nC68" not in text
    assert server.wait_for(to="postmaster@jaku.com", subject="Three files").attachments
    assert run(address, "--rule", "C1", "--patience", "0.3", "--tls", "implicit" if tls == "starttls" else "starttls")


# -- odd ones --------------------------------------------------------------------------------------------------------


def flood(client: socket.socket) -> None:
    client.settimeout(0.05)
    with contextlib.suppress(TimeoutError):
        while True:
            client.sendall(bytes(range(128, 256)) * 32)


def http(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


ODD = {
    "mute": (lambda client: None, "nothing"),
    "closes": (lambda client: client.close(), "closed"),
    "garbage": (flood, "no reply ("),
    "http": (http, "no reply (not 250 TEXT and CRLF): HTTP/1.1 400 Bad Request"),
    "half a line": (lambda client: client.sendall(b"220 al"), "no reply (it does not go on): 220 al"),
    "refuses": (lambda client: client.sendall(b"554 go away\r\n"), "554 go away"),
    "no ehlo": (lambda client: client.sendall(b"220 a\r\n500 what\r\n"), "500 what"),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_mail_server(
    odd: str, listening: Callable[[Callable[[socket.socket], None]], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One row says what came in place of the first words; nothing else is tried; the exit code is 1."""
    do, got = ODD[odd]
    assert run(listening(do), "--patience", "1", "--limit", "20") == 1
    text = capsys.readouterr().out
    assert f"got       {got}" in text
    assert "It does not speak SMTP: nothing else was tried." in text
    assert "1 dialogues and scenarios" in text


def test_a_server_that_greets_and_is_silent_then(listening: Callable[[Callable[[socket.socket], None]], str]) -> None:
    """Every dialogue would take all patience there is: the whole ends in time all the same, and says so."""
    server = listening(lambda client: client.sendall(b"220 a\r\n250 b\r\n"))
    host, _, port = server.partition(":")
    card = check.check(Subject(host, int(port), "a.test"), set(), dialogue.load(), patience=0.3, limit=1.5)
    assert card.failed
    assert card.problem == "After 1.5 s time was up: the rest was not played. --limit gives it more."
    assert sum(row.why == "time was up" for row in card.rows) > 100


def test_a_server_that_had_too_much_to_do(
    listening: Callable[[Callable[[socket.socket], None]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets no greeting once is not failed for it: after a breath it is asked again."""
    monkeypatch.setattr(check, "BREATH", 0.01)
    greetings = iter([b"", b"220 a\r\n250 b\r\n", b"421 later\r\n", b"220 a\r\n250 b\r\n"])

    def greet(client: socket.socket) -> None:
        client.sendall(next(greetings))

    assert run(listening(greet), "--rule", "C3", "--patience", "1") == 0
    assert next(greetings, None) is None


def test_a_server_that_goes_away() -> None:
    """Nobody is asked hundreds of times who is not there."""
    with CarelessServer() as server:
        subject = Subject(server.host, server.port, "a.test")
        dialogues = dialogue.load()

        def while_it_lasts() -> Iterator[Any]:
            yield from dialogues[:5]
            server.__exit__()
            yield from dialogues[5:]

        card = check.check(subject, set(), while_it_lasts(), patience=1.0)  # type: ignore[arg-type]
    assert card.problem == "The server is no longer there: the rest was not played."
    assert len(card.rows) < 5 + 3 + 10
    assert card.rows[-1].got.startswith("none: ")


def test_what_a_server_says_does_no_harm(
    listening: Callable[[Callable[[socket.socket], None]], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither to the terminal nor to the page, whatever is in it."""
    evil = b"</pre><script>alert(1)</script>\x1b[2J\x07&<img src=x onerror=alert(2)>\"'"
    said = b"220 %b x\r\n250-%b\r\n250 %b\r\n550 %b\r\n" % (evil, evil, evil, evil)
    files = ("--json", tmp_path / "card.json", "--html", tmp_path / "card.html")
    assert run(listening(lambda client: client.sendall(said)), "--rule", "C3", "--rule", "C4", *files) == 0
    for text in (capsys.readouterr().out, (tmp_path / "card.html").read_text()):
        assert "alert(1)" in text
        assert all(char.isprintable() or char == "\n" for char in text)
    page = (tmp_path / "card.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert json.loads((tmp_path / "card.json").read_text())["rows"]


# -- the page --------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Whether every tag that opens closes, in order; and what is referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "style")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone() -> None:
    """Nothing is loaded from elsewhere; it is well-formed; each row is in it, and what it says is escaped."""
    from harness.report_card import page

    rows = (
        Row("C1", "a <b>", "fail", "<x>", "&amp;", "f.smtp:1", "S: <y>", conversation="C: </pre>\nS: 1"),
        Row("C2", "b", "not played", why="needs <tls>"),
        Row("", "scenario", "pass", "<a@b> taken", "<a@b> taken"),
    )
    tags = Tags()
    text = page.render(
        Card("127.0.0.1:25", "a.test", "2026-01-01T00:00:00+00:00", "<h>", ("SIZE 1",), rows, 1.0, "<p>")
    )
    tags.feed(text)
    tags.close()
    assert tags.open == []
    assert tags.references == []
    assert "url(" not in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    for words in ("a <b>", "<x>", "&amp;", "S: <y>", "C: </pre>\nS: 1", "needs <tls>", "<h>", "<p>", "<a@b> taken"):
        assert words in tags.text


# -- what is asked for -----------------------------------------------------------------------------------------------

BAD = {
    ("nowhere",): "'nowhere' is not HOST:PORT",
    ("127.0.0.1:0",): "is not HOST:PORT",
    (".",): "'.' is not HOST:PORT",
    ("192.0.2.1:25",): "say so: --yes-this-host 192.0.2.1",
    ("192.0.2.1:25", "--yes-this-host", "192.0.2.2"): "say so: --yes-this-host 192.0.2.1",
    ("mail.example.org:25", "--yes-this-host", "yes"): "say so: --yes-this-host mail.example.org",
    ("127.0.0.1:25", "--route", "a@b", "--denied", "c@d"): "--route and --denied",
    ("127.0.0.1:25", "--user", "luke"): "--user: 'luke' is no address",
    ("127.0.0.1:25", "--null-mx", "a@b>\r\nQUIT"): "--null-mx: ",
    ("127.0.0.1:25", "--auth", "luke"): "--auth: is not NAME:PASSWORD",
    ("127.0.0.1:25", "--rule", "C23"): "--rule: no dialogue is about 'C23'",
    ("127.0.0.1:25", "--json", "/no/such/folder/card.json"): "there is no folder /no/such/folder",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_arguments(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the culprit, exit code 2, and nobody is asked anything."""
    assert run(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("check: ")
    assert BAD[words] in said.err


@pytest.mark.parametrize("words", [["--patience", "0"], ["--limit", "soon"], ["--has", "luck"], ["--has"]])
def test_what_argparse_refuses(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("127.0.0.1:25", *words)
    assert stop.value.code == 2


def test_another_host_is_looked_at_when_it_is_named_twice() -> None:
    """On purpose; without connecting to anybody here."""
    options = check._parser().parse_args(["192.0.2.1:25", "--domain", "a.test", "--yes-this-host", "192.0.2.1"])
    subject, has = check._subject(options)
    assert (subject.host, subject.port, has) == ("192.0.2.1", 25, set())


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run(f"127.0.0.1:{port}") == 2
    assert capsys.readouterr().err == f"check: 127.0.0.1:{port}: nobody answers there: Connection refused\n"


def test_variants_that_were_answered_alike_are_told_once() -> None:
    """A dialogue of five variants that all got the same answer is one thing to look at; another answer is another."""
    rows = [
        Row("C38", f"a control [{name}]", "fail", "501 (or refused)", got, "a.smtp:9")
        for name, got in (("\\0", "250 ok 1"), ("\\t", "250 ok 2"), ("\\x07", "251 ok"))
    ]
    lines = render(Card("127.0.0.1:25", "a.test", "", "", (), tuple(rows))).splitlines()
    assert lines[2:10] == [
        "C38   fail     0/3  No control character is in an address.",
        "      fail     a control  (a.smtp:9)",
        "               [\\0]  [\\t]",
        "               expected  501 (or refused)",
        "               got       250 ok 1",
        "      fail     a control [\\x07]  (a.smtp:9)",
        "               expected  501 (or refused)",
        "               got       251 ok",
    ]


def test_what_an_answer_to_ehlo_lacks_is_told_first() -> None:
    """Its text is cut long before the end."""
    row = Row("C2", "EHLO", "differs", "250 offers SIZE, DSN", "250 a.test / SIZE 9 / HELP")
    assert "got       250 without DSN: 250 a.test" in render(Card("127.0.0.1:25", "a.test", "", "", (), (row,)))
