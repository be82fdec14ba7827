"""A mail in one call, to servers of any manners: what is said, in how many turns, and what comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from smtp_pair.clients.message import ClientError
from smtp_pair.clients.quick import send
from smtp_pair.mail.reply import Reply
from smtp_pair.network import Pair

PATIENCE = 30.0
MANNERS = {"": "220 x", "EHLO": "250-x\r\n250 PIPELINING", "MAIL": "250 2.1.0 x", "RCPT": "250 2.1.5 x"} | {
    "DATA": "354 x",
    ".": "250 2.0.0 kept",
    "QUIT": "221 x",
}


class Peer:
    """A server for one connection that answers each verb as it is told, and keeps what it heard in each turn. An answer
    of ``None`` is to leave."""

    def __init__(self, manners: Mapping[str, str | None]) -> None:
        self._manners = manners
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port = int(self._listener.getsockname()[1])
        self.turns: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        # One that hangs up on rubbish resets the connection.
        with self._listener.accept()[0] as wire, contextlib.suppress(ConnectionError):
            wire.settimeout(PATIENCE)
            answers, reading = [""], False
            while True:
                for verb in answers:
                    answer = self._manners[verb]
                    if answer is None:
                        return
                    wire.sendall(f"{answer}\r\n".encode())
                    reading = answer.startswith("354") or (reading and verb != ".")
                heard = b""
                while not heard.endswith(b"\r\n") or (reading and b"\r\n.\r\n" not in b"\r\n" + heard):
                    piece = wire.recv(1 << 16)
                    if not piece:
                        return
                    heard += piece
                self.turns.append(heard)
                _, dot, commands = (b"\r\n" + heard).partition(b"\r\n.\r\n") if reading else (b"", b"", heard)
                answers = [".", *_verbs(commands)] if dot else _verbs(commands)

    def send(self, to: list[str] | str = "leia@a.test", **arguments: Any) -> dict[str, Reply]:
        values = {"subject": "x", "body": "", "attachments": (), "sender": "luke@b.test"} | arguments
        return send("127.0.0.1", self.port, to, **values)


def _verbs(commands: bytes) -> list[str]:
    return [line.split()[0].decode() for line in commands.splitlines()]


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    with ExitStack() as stack:

        def start(**manners: str | None) -> Peer:
            made = Peer(MANNERS | {{"greeting": "", "dot": "."}.get(key, key): value for key, value in manners.items()})
            stack.callback(made.close)
            return made

        yield start


def test_four_turns(peer: Callable[..., Peer]) -> None:
    """The hello, the envelope in one, the mail and the farewell in one; the first is the connection's own."""
    there = peer()
    assert there.send(["leia@a.test", "han@a.test"], body=".\n..\n")["han@a.test"].text == "kept"
    hello, envelope, mail = there.turns
    assert hello == b"EHLO client.example\r\n"
    assert envelope == (b"MAIL FROM:<luke@b.test>\r\nRCPT TO:<leia@a.test>\r\nRCPT TO:<han@a.test>\r\nDATA\r\n")
    assert mail.endswith(b"\r\n\r\n..\r\n...\r\n.\r\nQUIT\r\n")


def test_one_command_at_a_time(peer: Callable[..., Peer]) -> None:
    """Where the server does not offer PIPELINING, or does not know EHLO."""
    for manners in ({"EHLO": "250 x"}, {"EHLO": "500 x", "HELO": "250 x"}):
        there = peer(**manners)
        assert there.send()["leia@a.test"].accepted
        assert [_verbs(turn) for turn in there.turns[-5:-2]] == [["MAIL"], ["RCPT"], ["DATA"]]
        assert there.turns[-2].endswith(b"\r\n.\r\n"), "the farewell waits for the reply, too"
        assert there.turns[-1] == b"QUIT\r\n"


@pytest.mark.parametrize(
    ("manners", "code"),
    [
        ({"greeting": "554 5.3.2 x"}, 554),
        ({"EHLO": "421 4.3.2 x", "HELO": "421 4.3.2 x"}, 421),
        ({"MAIL": "552 5.3.4 x", "RCPT": "503 x", "DATA": "503 x"}, 552),
        ({"RCPT": "550 5.1.1 x", "DATA": "554 x"}, 550),
        ({"RCPT": "550 5.1.1 x", "DATA": "354 x", "dot": "554 x"}, 550),  # RFC 2920 3.1
        ({"DATA": "451 4.3.0 x"}, 451),
        ({"dot": "452 4.3.1 x"}, 452),
        ({"dot": "250 2.0.0 x", "QUIT": None}, 250),
    ],
)
def test_who_says_no_is_quoted(peer: Callable[..., Peer], manners: dict[str, str | None], code: int) -> None:
    """Whatever it is said to: the greeting, the hello, the envelope or the mail. What comes after it is no matter."""
    assert peer(**manners).send()["leia@a.test"].code == code


@pytest.mark.parametrize(
    "manners",
    [{"greeting": None}, {"MAIL": None}, {"dot": None}, {"greeting": "hello"}, {"MAIL": "x" * 10_000}],
)
def test_who_says_nothing_sensible_is_an_error(peer: Callable[..., Peer], manners: dict[str, str | None]) -> None:
    """One that leaves without a reply, or whose reply is none."""
    with pytest.raises(ClientError, match="took no mail|reply is none"):
        peer(**manners).send()


def test_nobody_is_there() -> None:
    """The error names the place."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(ClientError, match=f"^127.0.0.1:{port} took no mail: .*refused"):
        send("127.0.0.1", port, "leia@a.test", subject="", body="", attachments=(), sender="luke@b.test")


def test_more_recipients_than_go_in_one_turn() -> None:
    """Neither side waits for the other to read: each recipient has its own reply."""
    people = [f"p{number}@jaku.com" for number in range(250)]
    with Pair() as pair:
        replies = pair.jaku.send([*people, "you@nowhere.test"])
        assert [reply.code for reply in replies.values()] == [250] * 250 + [550]
        assert len(pair.jaku.messages[0].delivered_to) == 250
