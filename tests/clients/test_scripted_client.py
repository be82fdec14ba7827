"""The scripted client, on real sockets."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smtp_pair.clients import samples
from smtp_pair.clients.conversation import folded
from smtp_pair.clients.scripted import ClientError, Refusal, ScriptedMail, send
from smtp_pair.network import Pair

if TYPE_CHECKING:
    from tests.clients.conftest import StubServer, Terminal

CLOSE, SILENT = None, b""  # what `rude_server` does instead of a reply
EVERYONE = ("obiwan@jaku.com", "vader@deathstar.com", "paimon@genshinimpact.com")


def quietly(line: str) -> None:
    """Show nothing."""


def test_one_mail_three_outcomes(mail_pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """The mail as it is: two recipients are accepted, the unreachable one is refused, all files arrive as they were."""
    result = send(ScriptedMail(), mail_pair.jaku.host, mail_pair.jaku.port)
    assert result.accepted == EVERYONE[:2]
    assert list(result.refused) == ["paimon@genshinimpact.com"]
    assert (result.refused["paimon@genshinimpact.com"].code, result.failure) == (550, None)
    for server, address in ((mail_pair.jaku, "obiwan@jaku.com"), (mail_pair.deathstar, "vader@deathstar.com")):
        mail = server.wait_for(to=address, subject="Three files for three worlds")
        assert [(each.filename, each.content) for each in mail.attachments] == list(samples.files())
        assert mail.envelope.sender == "luke@jaku.com"
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[-3] == "accepted: obiwan@jaku.com"
    assert lines[-2] == "accepted: vader@deathstar.com"
    assert lines[-1].startswith("refused:  paimon@genshinimpact.com, 550 5.1.2 ")


def test_the_conversation_is_shown_as_smtplib_prints_it(mail_pair: Pair) -> None:
    """Commands and replies in smtplib's own words; EHLO says our address, for which no name is looked up."""
    lines: list[str] = []
    send(ScriptedMail(), mail_pair.jaku.host, mail_pair.jaku.port, show=lines.append)
    assert r"send: 'ehlo [127.0.0.1]\r\n'" in lines
    assert r"send: 'rcpt to:<vader@deathstar.com>\r\n'" in [
        line.replace("TO", "to") for line in lines
    ]  # as 3.13 has it
    assert any(line.startswith("reply: b'250-") for line in lines)
    assert any(line.startswith("reply: retcode (250); Msg: b'") for line in lines)
    assert any(line.startswith("data: (354, b'") for line in lines)
    assert any(line.startswith("send: b'Date: ") for line in lines)
    assert r"send: 'quit\r\n'" in lines


def test_a_big_body_is_folded(mail_pair: Pair) -> None:
    """Eight megabytes are sent whole and shown in a few lines, which say how much is not shown."""
    lines: list[str] = []
    content = bytes(range(256)) * (1 << 15)
    mail = ScriptedMail(title="big", attachments=[("big.bin", content)])
    send(mail, mail_pair.jaku.host, mail_pair.jaku.port, show=lines.append, progress=io.StringIO())
    assert mail_pair.deathstar.wait_for(to="vader@deathstar.com", subject="big").attachments[0].content == content
    assert sum(map(len, lines)) < 10_000
    assert any(line.endswith(" more bytes") for line in lines)


def test_folding() -> None:
    """A short body is shown whole, a long line is cut, controls are escaped, and the count is right."""
    assert list(folded(b"a\r\n.\r\n")) == [r"send: b'a\r\n'", r"      b'.\r\n'"]
    assert list(folded(b"\x1b[31m\x9b\r\n")) == [r"send: b'\x1b[31m\x9b\r\n'"]
    assert list(folded(b"x" * 5_003_000)) == [f"send: b'{'x' * 3000}'", "      ... 5,000,000 more bytes"]
    lines = list(folded(b"a\r\n" * 50))
    assert (len(lines), lines[-1]) == (41, "      ... 30 more bytes")


PROGRAM = """
import sys
from smtp_pair.clients.scripted import ScriptedMail, send
send(ScriptedMail(attachments=[("a.bin", bytes(int(sys.argv[3])))]), sys.argv[1], int(sys.argv[2]))
"""


def test_a_big_mail_shows_progress_on_a_terminal(mail_pair: Pair, terminal: Callable[..., Terminal]) -> None:
    """One line, rewritten, up to 100 %; what follows starts on a line of its own."""
    screen = terminal([sys.executable, "-c", PROGRAM, mail_pair.jaku.host, str(mail_pair.jaku.port), str(3 << 20)])
    line = screen.expect("sending 100 %")
    assert "\rsending  50 %" in line and "\n" not in line[line.index("sending") :]
    screen.expect("bytes\r\nreply: b'250")
    assert screen.exit_code() == 0


def test_no_progress_for_a_small_mail_or_without_a_terminal(mail_pair: Pair, terminal: Callable[..., Terminal]) -> None:
    screen = terminal([sys.executable, "-c", PROGRAM, mail_pair.jaku.host, str(mail_pair.jaku.port), "1000"])
    assert screen.exit_code() == 0
    assert "sending" not in screen.screen
    elsewhere = io.StringIO()
    mail = ScriptedMail(attachments=[("a.bin", bytes(3 << 20))])
    send(mail, mail_pair.jaku.host, mail_pair.jaku.port, show=quietly, progress=elsewhere)
    assert elsewhere.getvalue() == ""


ALL_REFUSED = [
    ({"MAIL": b"552 5.3.4 too big"}, 552),
    ({"MAIL": b"421 4.3.2 closing"}, 421),
    ({"DATA": b"451 4.3.0 later"}, 451),
    ({"dot": b"552 5.3.4 too big"}, 552),
    ({"dot": b"421 4.3.2 closing"}, 421),
    ({"greeting": b"554 go away"}, 554),
    ({"greeting": b"what?"}, -1),
    ({"greeting": b"220 " + b"x" * 9000}, 500),
    ({"EHLO": b"502 no", "HELO": b"502 no"}, 502),
    ({"EHLO": b"421 no", "HELO": CLOSE}, 421),
    ({"RCPT": b"421 4.3.2 closing"}, 421),
]


@pytest.mark.parametrize(("replies", "code"), ALL_REFUSED)
def test_a_reply_that_stops_the_whole_mail(
    rude_server: Callable[..., StubServer], replies: dict[str, bytes | None], code: int
) -> None:
    """It stands for every recipient that was not refused before, and nobody is accepted."""
    server = rude_server(**replies)
    lines: list[str] = []
    result = send(ScriptedMail(), server.host, server.port, show=lines.append)
    assert result.accepted == ()
    assert result.failure and result.failure.code == code
    assert tuple(result.refused) == EVERYONE
    assert [line for line in lines if line.startswith("refused: ")] == lines[-3:]


def test_an_early_refusal_is_not_forgotten_when_the_data_is_refused(rude_server: Callable[..., StubServer]) -> None:
    """Each recipient has the reply that is its own; smtplib would drop the first."""
    server = rude_server(dot=b"451 4.3.0 disk full")
    result = send(ScriptedMail(), server.host, server.port, show=quietly)
    assert [each.code for each in result.refused.values()] == [451, 550, 550]


def test_when_all_are_refused_none_is_accepted_and_nothing_stopped_the_mail(
    rude_server: Callable[..., StubServer],
) -> None:
    server = rude_server(RCPT=b"550-5.1.1 not\r\n550 5.1.1 here\x1b[2J")
    lines: list[str] = []
    result = send(ScriptedMail(), server.host, server.port, show=lines.append)
    assert (result.accepted, result.failure) == ((), None)
    assert set(result.refused.values()) == {Refusal(550, r"5.1.1 not; 5.1.1 here\x1b[2J")}
    assert all(line.isprintable() for line in lines)
    assert b"quit\r\n" in server.commands


@pytest.mark.parametrize(
    ("replies", "fate"),
    [
        ({"greeting": CLOSE}, "nothing was sent"),
        ({"RCPT": CLOSE}, "nothing was sent"),
        ({"dot": CLOSE}, "may have been sent"),
    ],
)
def test_a_lost_connection(rude_server: Callable[..., StubServer], replies: dict[str, bytes | None], fate: str) -> None:
    """One line says so, and whether the mail can have arrived."""
    server = rude_server(**replies)
    with pytest.raises(ClientError, match=f":{server.port} closed the connection: .*{fate}"):
        send(ScriptedMail(), server.host, server.port, show=quietly)


def test_a_server_that_says_nothing(rude_server: Callable[..., StubServer]) -> None:
    server = rude_server(MAIL=SILENT)
    with pytest.raises(ClientError, match="did not answer within 0.2 seconds: nothing was sent"):
        send(ScriptedMail(), server.host, server.port, show=quietly, timeout=0.2)


def test_no_answer_to_quit_does_not_matter(rude_server: Callable[..., StubServer]) -> None:
    """The mail is delivered by then."""
    server = rude_server(QUIT=CLOSE)
    assert send(ScriptedMail(), server.host, server.port, show=quietly).accepted == ("obiwan@jaku.com",)


def test_servers_that_are_not_there() -> None:
    """Nobody listening, an unknown host, no port: one line that names it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ClientError, match=f"^127.0.0.1:{port} cannot be reached: nothing listens there"):
            send(ScriptedMail(), "127.0.0.1", port, show=quietly)
    for host in ("nowhere.invalid", "x" * 70, "a..b"):
        with pytest.raises(ClientError, match=f"^{host}:25 cannot be reached: the host {host} is unknown$"):
            send(ScriptedMail(), host, 25, show=quietly)
    for host, port in (("", 25), ("127.0.0.1", 0), ("127.0.0.1", 65536), ("127.0.0.1", -1)):
        with pytest.raises(ClientError, match="is no server"):
            send(ScriptedMail(), host, port, show=quietly)


def test_a_missing_attachment_is_said_before_anyone_is_called(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="missing.png does not exist$"):
        send(ScriptedMail(attachments=[tmp_path / "missing.png"]), "nowhere.invalid", 25, show=quietly)


def test_an_address_beyond_ascii_needs_a_server_that_takes_it(rude_server: Callable[..., StubServer]) -> None:
    """With SMTPUTF8 it is sent as it is; without, it is refused in words."""
    mail = ScriptedMail(recipients=["yodá@jaku.com"])
    plain = rude_server()
    with pytest.raises(ClientError, match="SMTPUTF8"):
        send(mail, plain.host, plain.port, show=quietly)
    able = rude_server(EHLO=b"250-smtp.jaku.com\r\n250-8BITMIME\r\n250 SMTPUTF8")
    assert send(mail, able.host, able.port, show=quietly).accepted == ("yodá@jaku.com",)
    assert "yodá@jaku.com" in able.mails[0].decode()


def test_no_name_is_looked_up(mail_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """smtplib asks for this machine's own name unless told not to: 20 seconds where DNS is silent."""
    for look_up in ("getfqdn", "gethostname"):
        monkeypatch.setattr(socket, look_up, lambda *_: pytest.fail("this machine's name was looked up"))
    assert send(ScriptedMail(), mail_pair.jaku.host, mail_pair.jaku.port, show=quietly).accepted
