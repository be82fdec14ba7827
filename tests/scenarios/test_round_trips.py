"""Whatever is sent arrives as it was sent: through the real servers, octet for octet, to the file on the disk."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.destinations import FORWARD, LOCAL, Destination
from smtp_pair import Mail, Pair, Server, strategies
from smtp_pair.clients.message import Attachment, Draft, render
from smtp_pair.mail.address import Address
from smtp_pair.strategies import RawMail, expand

both = pytest.mark.parametrize("destination", [pytest.param(each, id=each.id) for each in (LOCAL, FORWARD)])

SENDER = "luke@jaku.com"


def target(pair: Pair, destination: Destination) -> tuple[str, Server]:
    """The recipient, and the server that has its mailbox."""
    (recipient,) = destination.at(pair.jaku, pair.deathstar)
    return recipient, pair.jaku if destination is LOCAL else pair.deathstar


def send(pair: Pair, recipient: str, raw: bytes) -> None:
    with smtplib.SMTP(pair.jaku.host, pair.jaku.port, local_hostname="client.example") as client:
        assert client.sendmail(SENDER, [recipient], raw) == {}


def last_fact(server: Server) -> dict[str, Any]:
    """The last thing that the server's journal says of a mail that it received."""
    lines = (server.directory / "journal.jsonl").read_bytes().splitlines()
    facts: Iterable[dict[str, Any]] = map(json.loads, reversed(lines))
    return next(fact for fact in facts if fact["event"] == "received")


def recorded_name(sent: str) -> str | None:
    """White space around a name is not a part of it, and an empty name is none: as readers of MIME have it."""
    return sent.strip() or None


def same_files(server: Server, mail: Mail, sent: Sequence[Attachment]) -> None:
    """Each file on disk has the octets sent, each record the name sent, and there is one file for each."""
    recorded = last_fact(server)["attachments"]
    names = [recorded_name(each.filename) for each in sent]
    assert [row["name"] for row in recorded] == names
    assert [each.filename for each in mail.attachments] == names
    assert [each.content_type for each in mail.attachments] == [each.content_type for each in sent]
    folder = server.directory / "attachments" / mail.id
    paths = [server.directory / row["file"] for row in recorded]
    assert all(path.parent == folder for path in paths)
    assert [path.read_bytes() == each.content for path, each in zip(paths, sent, strict=True)] == [True] * len(sent)
    assert len(list(folder.iterdir()) if folder.exists() else []) == len(sent)


@st.composite
def some_attachments(draw: st.DrawFn) -> list[Attachment]:
    """A few, of which two may have the same name."""
    drawn = draw(st.lists(strategies.attachments(), min_size=1, max_size=3))
    if draw(st.booleans()):
        drawn.append(Attachment(drawn[0].filename, b"another of that name", "text/plain"))
    return drawn


@both
@given(attachments=some_attachments())
def test_attachments(mail_pair_session: Pair, destination: Destination, attachments: list[Attachment]) -> None:
    """Any octets from none to a megabyte, of any name (doubled ones too) and any type, are the same on disk; nothing
    is written beside the servers' folders, whatever a name looks like."""
    with mail_pair_session.fresh() as pair:
        recipient, server = target(pair, destination)
        around = sorted(pair.directory.parent.iterdir())
        send(pair, recipient, render(Draft(SENDER, [recipient], "Files", "Here.\n", attachments)))
        mail = server.wait_for(to=recipient)
        same_files(server, mail, attachments)
        assert mail.defects == ()
        assert sorted(pair.directory.parent.iterdir()) == around
        assert {path.name for path in pair.directory.iterdir()} <= {pair.jaku.hostname, pair.deathstar.hostname}


@both
@given(mail=strategies.mails())
def test_whole_mails(mail_pair_session: Pair, destination: Destination, mail: RawMail) -> None:
    """The raw mail under the trace fields is the one sent, its title is read, and its attachments are the known
    ones, whoever built it."""
    with mail_pair_session.fresh() as pair:
        recipient, server = target(pair, destination)
        send(pair, recipient, mail.raw)
        got = server.wait_for(to=recipient)
        assert got.content == mail.raw
        assert got.path.read_bytes().endswith(mail.raw)
        assert got.subject == mail.title
        same_files(server, got, mail.attachments)


@both
@given(data=st.data())
def test_addresses(mail_pair_session: Pair, destination: Destination, data: st.DataObject) -> None:
    """Any sender and any local part come through as they were written, quoted and beyond ASCII too, and the mailbox
    is a folder under ``maildir``, whatever its name looks like."""
    with mail_pair_session.fresh() as pair:
        server = target(pair, destination)[1]
        sender = data.draw(strategies.addresses(utf8=True), label="sender")
        recipient = data.draw(strategies.addresses(domains=st.just(server.domain), utf8=True), label="recipient")
        with smtplib.SMTP(pair.jaku.host, pair.jaku.port, local_hostname="client.example") as client:
            client.ehlo()
            client.command_encoding = "utf-8"
            assert client.docmd(f"MAIL FROM:<{sender}> SMTPUTF8")[0] == 250
            assert client.docmd(f"RCPT TO:<{recipient}>")[0] == 250
            assert client.data(b"Subject: To whom it may concern\r\n\r\n")[0] == 250
        mail = server.wait_for()
        assert (mail.envelope.sender, mail.envelope.recipients) == (sender, [recipient])
        assert isinstance(mail.envelope.sender, Address)
        assert mail.path.parent.parent.parent == server.directory / "maildir"
        assert mail.path.is_file()


@both
def test_twenty_megabytes(mail_pair: Pair, destination: Destination) -> None:
    """An attachment of 20 MB is the same on disk."""
    content = expand(seed=20, size=20 << 20)
    recipient, server = target(mail_pair, destination)
    send(mail_pair, recipient, render(Draft(SENDER, [recipient], "Big", "", [("big.bin", content)])))
    mail = server.wait_for(to=recipient, timeout=60)
    same_files(server, mail, [Attachment("big.bin", content)])


def test_the_profile_for_ci_looks_at_200_examples() -> None:
    """Each property above is tried on 200 examples at least where HYPOTHESIS_PROFILE=ci."""
    assert settings.get_profile("ci").max_examples >= 200
