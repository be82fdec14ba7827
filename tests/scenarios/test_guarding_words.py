"""What strangers say: controls that never reach a reply, a file name, a record or a terminal; addresses that open no
relay."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.rules_plugin import Connect
from harness.tls_hop import TlsHop, context
from harness.wire import Wire
from smtp_pair import Domain, Network, Server
from smtp_pair.config import Limits, Retry
from smtp_pair.journal import read
from smtp_pair.network import RouteTo
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.screen import console
from smtp_pair.screen.lines import Screen

NASTY = (
    "\x1b[2J\x1b]0;owned\x07",  # clears a terminal and renames its window
    "\x9b31m",  # the same in one C1 character
    "a\rb",
    "a\nb",
    "a\r\nBcc: evil@example.org\r\n\r\nb",
    "\x00",
    "\x7f\x08\x08",
    "\x85\u2028\u2029",  # line ends of Unicode
    "\u202egpj.exe\u2066",  # turns the direction of what follows
    "\ud800",
    "../../../etc/passwd",
    "..\\..\\con",
    "$(touch /tmp/owned)`id`",
    "\n250 2.0.0 forged",
    '{"event": "received"}\n',
    "\u0130\u0131\ufb03" * 30,
)
HARMLESS_NAME = re.compile(r"[A-Za-z0-9_.=+~-]+")
TRACE = re.compile(
    rb"Return-Path: <[!-~]*>\r\nReceived: from [A-Za-z0-9.:_?\[\]-]+ \(\[127\.0\.0\.1\]\)\r\n"
    rb"\tby smtp\.jaku\.com \(smtp-pair\) with ESMTP id [0-9a-f-]+; [A-Za-z0-9,:+ ]+\r\n"
)
# What may stand in a text file that people read: no control but LF, nothing that turns the direction.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def nasty_in(text: str, allowed: str = "\n") -> set[str]:
    """The characters that must not reach a terminal."""
    found = {char for char in text if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") or char in _TURNS}
    return found - set(allowed)


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def coded(text: str) -> bytes:
    return b"=?utf-8?b?" + base64.b64encode(octets(text)) + b"?="


def percent(text: str) -> bytes:
    return "".join(f"%{octet:02X}" for octet in octets(text)).encode()


def mails(nasty: str) -> Iterator[bytes]:
    """Mails with the text in every place that is looked at, plain and coded."""
    raw = octets(nasty)
    for subject in (raw, coded(nasty)):
        for kind in (raw, b"application/" + raw, b"text/plain; charset=" + raw, b"image/png; name=" + coded(nasty)):
            for name in (
                b'filename="%b"' % raw,
                b"filename*=utf-8''" + percent(nasty),
                b'filename="%b"' % coded(nasty),
            ):
                yield (
                    b"Subject: " + subject + b"\r\nDate: " + raw + b"\r\nMIME-Version: 1.0\r\n"
                    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
                    + raw
                    + b"\r\n--b\r\nContent-Type: "
                    + kind
                    + b"\r\nContent-Transfer-Encoding: "
                    + (raw if b"*" in name else b"base64")
                    + b"\r\nContent-Disposition: attachment; "
                    + name
                    + b"\r\n\r\nAAAA\r\n--b\r\n\r\n"
                )


def lines(nasty: str) -> Iterator[bytes]:
    """Command lines with the text in every place."""
    raw = octets(nasty)
    yield from (b"EHLO " + raw, b"HELO " + raw, b"VRFY " + raw, b"NOOP " + raw, b"AUTH " + raw, raw)
    yield from (
        b'MAIL FROM:<"%b"@example.org> SMTPUTF8' % raw,
        b"MAIL FROM:<a@%b.test>" % raw,
        b"MAIL FROM:<a@b.test> " + raw,
    )
    yield b"MAIL FROM:<a@b.test> ENVID=" + raw
    yield from (
        b'RCPT TO:<"%b"@jaku.com>' % raw,
        b"RCPT TO:<a@%b.test>" % raw,
        b"RCPT TO:<a@jaku.com> ORCPT=rfc822;" + raw,
    )


def say_all(client: Wire, nasty: str) -> None:
    """Every line in a session that goes on; the replies are looked at by the client, octet for octet."""
    for line in lines(nasty):
        client.hello()
        if line.startswith(b"RCPT"):
            client.open(parameters="SMTPUTF8")
        for part in line.split(b"\n"):
            answer = client.ask(part)
            if answer.code == 334:
                answer = client.ask(b"*")
            assert not nasty_in(answer.text), answer
        client.ask(b"RSET")


def look_at_files(server: Server) -> None:
    """Every name, and every file that people and programs read."""
    for path in server.directory.rglob("*"):
        assert HARMLESS_NAME.fullmatch(path.name), path
    journal = (server.directory / "journal.jsonl").read_bytes()
    assert not nasty_in(journal.decode("ascii"))
    assert not nasty_in((server.directory / "ServerMSG.txt").read_text("utf-8"))
    for mail in server.messages:
        trace = mail.raw[: len(mail.raw) - len(mail.content)]
        assert not nasty_in(trace.decode("utf-8"), "\r\n\t"), trace
        assert TRACE.fullmatch(trace), trace
        for attachment in mail.attachments:
            assert attachment.path.is_relative_to(server.directory)


def look_at_the_console(server: Server) -> None:
    """As ``smtp-pair up`` writes it, in colour."""
    stream = io.StringIO()
    screen = Screen(stream, ["jaku"], colour=True)
    for fact in read(server.directory):
        screen.write(console.lines(fact, "jaku"))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())  # the colours are ours
    assert not nasty_in(shown)


@pytest.mark.parametrize("nasty", NASTY, ids=lambda text: ascii(text)[1:13])
def test_what_is_said_stays_what_it_is(
    mail_network: MailNetwork, wire: Connect, tmp_path: Path, nasty: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In every command and in every place of a mail: no reply, no file name, no record and no line on the console has a
    control in it, nothing is written elsewhere, and no mail is refused for it. Nothing of it is a fault of ours."""
    network = mail_network(Domain("jaku.com", auth=lambda _: False, limits=Limits(errors=10_000)))
    server = network["jaku.com"]
    client = wire(server)
    say_all(client, nasty)
    sent = list(mails(nasty))
    for content in sent:
        client.ask(b"EHLO " + octets(nasty).partition(b"\n")[0])  # where that is refused, the name of before stays
        client.open("obiwan@jaku.com", '"a\\"b/../c"@jaku.com')
        end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
        assert client.data(content.replace(b"\r\n.", b"\r\n.."), end=end).code == 250
    network.settle()
    assert len(server.messages) == len(sent)
    look_at_files(server)
    look_at_the_console(server)
    assert {path.name for path in tmp_path.iterdir()} == {network.directory.name}
    assert not caplog.records


@pytest.mark.parametrize("nasty", NASTY, ids=lambda text: ascii(text)[1:13])
def test_what_a_next_hop_says(mail_network: MailNetwork, nasty: str) -> None:
    """Its replies come into the record and onto the console, and are as strange as a client's words."""
    words = octets(nasty).replace(b"\r", b"").replace(b"\n", b"")
    for answer in (b"451-4.3.0 " + words + b"\r\n451 4.3.0 " + words + b"\r\n", b"550 " + words * 50 + b"\r\n"):
        with TlsHop(context("127.0.0.1"), answers={b"RCPT": answer}) as hop:
            routes: dict[str, RouteTo] = {"hop.test": {"hop": hop.address, "tls": "off"}}
            network = mail_network("jaku.com", routes=routes, retry=Retry(first=3600))
            network["jaku.com"].send(["leia@hop.test", "obiwan@jaku.com"])
            network.settle()
            network.stop()
        look_at_files(network["jaku.com"])
        look_at_the_console(network["jaku.com"])


# -- no open relay ----------------------------------------------------------------------------------------------------

TRICKS = [
    "vader%deathstar.com@jaku.com",
    "vader%deathstar.com@[127.0.0.1]",
    '"vader@deathstar.com"@jaku.com',
    '"vader@deathstar.com"',
    '"vader%deathstar.com"@jaku.com',
    "deathstar.com!vader@jaku.com",
    "deathstar.com!vader",
    "@jaku.com:vader@deathstar.com",
    "@jaku.com,@deathstar.com:vader@deathstar.com",
    "@[127.0.0.1]:vader@deathstar.com",
    "vader@deathstar.com@jaku.com",
    "vader@deathstar.com@",
    "vader@deathstar.com.",
    "vader@DEATHSTAR.com",
    "vader@smtp.deathstar.com",
    "vader@[127.0.0.1]@deathstar.com",
    "vader@deathstar.com\x00@jaku.com",
    "vader@deathstar.com(@jaku.com)",
    "<vader@deathstar.com>@jaku.com",
    "postmaster%deathstar.com",
    "vader@deathstar.com,obiwan@jaku.com",
    "vader@\uff44eathstar.com",
    "vader@deathstar\u3002com",
    "|/bin/mail vader@deathstar.com",
]


@pytest.fixture
def relays(mail_network: MailNetwork) -> Network:
    """jaku knows the way to deathstar, and goes it for its users alone."""
    return mail_network(Domain("jaku.com", auth={"luke": "f0rce"}), "deathstar.com")


@pytest.mark.parametrize("smtputf8", ["", "SMTPUTF8"])
@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_opens_a_relay(relays: Network, wire: Connect, trick: str, smtputf8: str) -> None:
    """However the address is written: a stranger's mail stays here, in a mailbox of that name, or is refused; it never
    goes on to deathstar."""
    client = wire(relays["jaku.com"])
    client.open(parameters=smtputf8, sender="stranger@example.org")
    client.ask(f"RCPT TO:<{trick}>".encode())
    client.ask(b"RCPT TO:<obiwan@jaku.com>")
    assert client.data(b"Subject: Trick\r\n\r\n").code == 250
    relays.settle()
    assert relays["deathstar.com"].messages == []
    assert not (relays["jaku.com"].directory / "spool").exists()
    assert all(address.domain in ("jaku.com", "[127.0.0.1]") for address in relays["jaku.com"].messages[0].delivered_to)


def test_the_sender_opens_none(relays: Network, wire: Connect) -> None:
    """Nor who it says it is: a local sender, the null one, AUTH= in MAIL (RFC 4954 5)."""
    client = wire(relays["jaku.com"])
    for mail in ("<luke@jaku.com>", "<>", "<postmaster@jaku.com> AUTH=luke@jaku.com", "<vader@deathstar.com>"):
        client.hello(b"smtp.jaku.com")
        assert client.ask(f"MAIL FROM:{mail}".encode()).code == 250
        assert client.ask(b"RCPT TO:<vader@deathstar.com>").code == 550
