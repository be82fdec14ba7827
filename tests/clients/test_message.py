"""What a mail is made of."""

from __future__ import annotations

import email
import email.policy
import os
from collections.abc import Callable
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_pair.clients import samples
from smtp_pair.clients.message import Attachment, ClientError, Draft, Mailbox, render

# What a person may type into a line: no controls, no halves of characters.
LINE = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from(" \t\"\\=?'()<>;%"), max_size=200
)


def draft(**changes: object) -> Draft:
    return Draft(**{"sender": "luke@jaku.com", "recipients": ["vader@deathstar.com"], **changes})  # type: ignore[arg-type]


def read(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail.replace(b"\r\n", b"\n"), policy=email.policy.default)


def test_the_header_of_a_mail() -> None:
    """Date, Message-ID in the sender's domain, From, all recipients and title, whatever this machine is called."""
    date = datetime(1977, 5, 25, 12, 0, tzinfo=UTC)
    people = [Mailbox("obiwan@jaku.com", "Obiwan"), "vader@deathstar.com"]
    mail = read(render(draft(recipients=people, title="Hello there"), date=date))
    assert mail["Date"] == "Wed, 25 May 1977 12:00:00 +0000"
    assert mail["Message-ID"].endswith("@jaku.com>")
    assert (mail["From"], mail["To"]) == ("luke@jaku.com", "Obiwan <obiwan@jaku.com>, vader@deathstar.com")
    assert mail["Subject"] == "Hello there"


@settings(deadline=None)
@given(title=LINE, name=LINE)
def test_title_and_name_arrive_as_typed(title: str, name: str) -> None:
    """Every space beside a word that needs encoding is kept, in lines of at most 78 characters, all ASCII."""
    mail = render(draft(title=title, recipients=[Mailbox("vader@deathstar.com", name)]))
    assert mail.isascii()
    assert max(map(len, mail.split(b"\r\n"))) <= 78
    old_reader = email.message_from_bytes(mail)
    assert read(mail)["Subject"] == str(make_header(decode_header(old_reader["Subject"]))) == title
    encoded, address = parseaddr(old_reader["To"])
    assert (str(make_header(decode_header(encoded))), address) == (name.strip(" \t"), "vader@deathstar.com")
    (recipient,) = read(mail)["To"].addresses  # the new reader puts spaces of its own into a long name
    assert recipient.addr_spec == "vader@deathstar.com"
    assert "".join(recipient.display_name.split()) == "".join(name.split())


@settings(deadline=None)
@given(filename=LINE, content=st.binary(max_size=500))
def test_every_attachment_is_base64_and_comes_back(filename: str, content: bytes) -> None:
    """Any name and any bytes survive; the name as RFC 2231 has it. (`email` strips spaces at a name's ends.)"""
    mail = render(draft(attachments=[(filename, content)]))
    (part,) = read(mail).iter_attachments()
    assert part["Content-Transfer-Encoding"] == "base64"
    assert part.get_payload(decode=True) == content
    assert (part.get_filename() or "") == filename.strip()
    assert max(map(len, mail.split(b"\r\n"))) <= 78


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_the_text_comes_back(text: str) -> None:
    """Whatever is in the text, controls too: only its line ends become CRLF, and the last line gets one."""
    mail = render(draft(text=text))
    assert mail.replace(b"\r\n", b"").translate(None, b"\t" + bytes(range(32, 127))) == b""
    octets = read(mail).get_payload(decode=True)
    assert isinstance(octets, bytes)
    body = octets.decode()
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert body == (expected if expected.endswith("\n") or not expected else expected + "\n")


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("a.jpeg", "image/jpeg"),
        ("a.txt", "text/plain"),
        ("A.GIF", "image/gif"),
        ("a", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.eml", "application/octet-stream"),
        ("https://x/a.txt", "text/plain"),
    ],
)
def test_the_ending_tells_the_type(filename: str, kind: str) -> None:
    """Not the machine's table but Python's. A mail is bytes there: RFC 2046 forbids base64 for message/rfc822."""
    assert Attachment(filename, b"").content_type == kind


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n", "\0", "\x85", "\u2028", "\x1b"])
@pytest.mark.parametrize(
    "make",
    [
        lambda text: draft(title=text),
        lambda text: draft(sender=f"luke{text}@jaku.com"),
        lambda text: draft(recipients=[text]),
        lambda text: draft(recipients=[Mailbox("vader@deathstar.com", text)]),
        lambda text: Attachment(text, b""),
        lambda text: Attachment("a", b"", f"text/plain; x={text}"),
    ],
)
def test_nothing_typed_becomes_a_header_field(make: Callable[[str], object], break_: str) -> None:
    """A line end or another control in a title, name, address or type is refused in one line that has none itself."""
    with pytest.raises(ClientError) as refused:
        make(f"Hello{break_}Bcc: palpatine@deathstar.com")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("address", ["obiwan@jaku.com", " a.b+c@x.y ", '"a b"@x.y', "é@x.y", "luke@[127.0.0.1]"])
def test_addresses(address: str) -> None:
    assert Mailbox.of(address).address == address.strip()


@pytest.mark.parametrize(
    "address",
    ["", "obiwan", "@jaku.com", "obiwan@", "a b@x.y", "a@b@x.y", "a@x..y", "a..b@x.y", "a@x.y, b@x.y", "<a@x.y"],
)
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(ClientError, match="is no address like obiwan@jaku.com: "):
        Mailbox.of(address)


def test_a_recipient_named_twice_is_one() -> None:
    """In the envelope; smtplib would take two refusals of one address for one, and send data to nobody."""
    twice = draft(recipients=["vader@deathstar.com", "Darth Vader <vader@deathstar.com>"])
    assert twice.envelope_recipients == ("vader@deathstar.com",)
    with pytest.raises(ClientError, match="no recipient"):
        draft(recipients=[])


def test_files_that_cannot_be_attached(tmp_path: Path) -> None:
    """Missing, a folder, no regular file: each is named with the reason."""
    os.mkfifo(tmp_path / "pipe")
    reasons = {"no": "does not exist", ".": "is a folder", "pipe": "is not a regular file", "\0": "is no path"}
    for name, reason in reasons.items():
        with pytest.raises(ClientError, match=reason) as refused:
            Attachment.read(tmp_path / name)
        assert str(tmp_path) in str(refused.value)


def test_the_samples_are_what_they_are_called() -> None:
    """A jpeg, a text and a gif that moves, small and real."""
    files = dict(samples.files())
    assert list(files) == ["jaku.jpeg", "letter.txt", "star.gif"]
    jpeg, text, gif = files.values()
    assert jpeg.startswith(b"\xff\xd8\xff\xe0") and jpeg.endswith(b"\xff\xd9")
    assert gif.startswith(b"GIF89a") and gif.endswith(b"\x3b") and gif.count(b"\x21\xf9\x04") > 1
    assert text.decode().splitlines()[0] == "A letter from Jaku"
    assert all(1000 < len(content) < 10_000 for content in files.values())
