"""Final delivery: where a mail's files lie, that no name out of a mail is a path, and that a failure leaves nothing."""

from __future__ import annotations

import base64
import binascii
import errno
import itertools
import mailbox
import os
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair import store
from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope
from smtp_pair.mail.message import Attachments, Mail
from smtp_pair.store import Store, ending, folder_name

TRACE = b"Return-Path: <luke@jaku.com>\r\nReceived: from x\r\n"
GIF = b"GIF89a" + bytes(range(256)) * 100
RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(10))}


def with_attachments(*attachments: tuple[str, bytes], subject: str = "Hello") -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["Date"] = "Wed, 25 May 1977 12:00:00 +0000"
    message.set_content("the text")
    for name, content in attachments:
        message.add_attachment(content, "image", "gif", filename=name)
    return message.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture
def in_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "smtp.jaku.com", "smtp.jaku.com", durable=False)


def files(folder: Path) -> list[str]:
    """Every file under a folder, by its path from there."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("before", ["all", "one mailbox", "read", "half written", "cut", "attachments alone"])
def test_delivered_again(tmp_path: Path, in_store: Store, before: str) -> None:
    """Whatever an attempt before a crash had done of it, at the end each mailbox has the mail once, whole, where its
    reader has put it, and the attachments are there."""
    content = with_attachments(("plan.gif", GIF))
    folder = tmp_path / "smtp.jaku.com"
    name = "17-a-1.smtp.jaku.com"
    in_store.deliver("17-a-1", TRACE, content, ["vader", "obiwan"])
    expected = [path for path in files(folder) if "/obiwan/" not in path]
    mail = folder / "maildir" / "obiwan" / "new" / name
    where = "new/" + name
    if before == "one mailbox":
        mail.unlink()
    elif before == "read":
        where = f"cur/{name}:2,S"
        mail.rename(mail.parent.parent / where)
    elif before == "half written":
        mail.rename(mail.parent.parent / "tmp" / name)
        (mail.parent.parent / "tmp" / name).write_bytes(TRACE)
    elif before == "cut":
        mail.write_bytes(TRACE)
        (folder / "attachments" / "17-a-1" / "1.gif").write_bytes(GIF[:10])
    elif before == "attachments alone":
        for path in folder.glob("maildir/*/new/*"):
            path.unlink()
    for _ in range(2):
        stored = in_store.deliver("17-a-1", TRACE, content, ["vader", "obiwan"], again=True)
        assert files(folder) == sorted([*expected, f"maildir/obiwan/{where}"])
        assert (folder / "maildir" / "obiwan" / where).read_bytes() == TRACE + content
        assert (folder / "maildir" / "vader" / "new" / name).read_bytes() == TRACE + content
        assert [one.content for one in stored.attachments] == [GIF]


def test_delivered_again_in_vain(tmp_path: Path, in_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that fails takes back what it added, and nothing of what was there."""
    content = with_attachments(("plan.gif", GIF))
    in_store.deliver("17-a-1", TRACE, content, ["vader"])
    before = files(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        in_store.deliver("17-a-1", TRACE, content, ["vader", "obiwan"], again=True)
    assert files(tmp_path) == before


def test_where_a_mail_lies(tmp_path: Path, in_store: Store) -> None:
    """Raw in the Maildir of each mailbox, once, the trace on top; what it carries beside it, decoded, in order."""
    content = with_attachments(("plan.gif", GIF), ("plan.gif", b"GIF89a"))
    stored = in_store.deliver("17-a-1", TRACE, content, ["vader", "obiwan", "vader"])
    folder = tmp_path / "smtp.jaku.com"
    assert files(folder) == [
        "attachments/17-a-1/1.gif",
        "attachments/17-a-1/2.gif",
        "maildir/obiwan/new/17-a-1.smtp.jaku.com",
        "maildir/vader/new/17-a-1.smtp.jaku.com",
    ]
    assert stored.path == folder / "maildir/vader/new/17-a-1.smtp.jaku.com"  # the first recipient's
    for box in ("obiwan", "vader"):
        assert (folder / "maildir" / box / "new" / stored.path.name).read_bytes() == TRACE + content
    assert (stored.subject, stored.date, stored.text) == ("Hello", "Wed, 25 May 1977 12:00:00 +0000", "the text\n")
    assert [(one.filename, one.content, one.size, one.sha256, one.encoding) for one in stored.attachments] == [
        ("plan.gif", content, len(content), sha256(content).hexdigest(), "base64") for content in (GIF, b"GIF89a")
    ]


def test_another_program_reads_the_maildir(tmp_path: Path, in_store: Store) -> None:
    """As stdlib's `mailbox` does, with the three folders that a Maildir has."""
    in_store.deliver("17-a-1", TRACE, with_attachments(subject="read me"), ["obiwan"])
    folder = tmp_path / "smtp.jaku.com" / "maildir" / "obiwan"
    assert sorted(path.name for path in folder.iterdir()) == ["cur", "new", "tmp"]
    (message,) = mailbox.Maildir(folder, create=False)
    assert message["Subject"] == "read me"


def test_a_mail_without_attachments_makes_no_folder_for_them(tmp_path: Path, in_store: Store) -> None:
    """Nor does a second mail disturb the first."""
    for mail_id in ("17-a-1", "17-a-2"):
        in_store.deliver(mail_id, TRACE, b"Subject: x\r\n\r\ny\r\n", ["obiwan"])
    assert files(tmp_path) == [f"smtp.jaku.com/maildir/obiwan/new/17-a-{number}.smtp.jaku.com" for number in (1, 2)]


@pytest.mark.parametrize("encoding", ["base64", "x-uuencode", "quoted-printable", "8bit", "nonsense"])
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_an_attachment_is_what_its_encoding_gives(in_store: Store, encoding: str, size: int) -> None:
    """Its file, size and digest agree, whatever the encoding, big or empty; one that is unknown is left as it is."""
    octets = bytes(65 + number % 26 for number in range(size))
    lines = [octets[at : at + 45] for at in range(0, size, 45)]
    uuencoded = b"".join(map(binascii.b2a_uu, lines)).replace(b"\n", b"\r\n")
    body = {
        "base64": base64.encodebytes(octets).replace(b"\n", b"\r\n"),
        "quoted-printable": b"=\r\n".join(lines),
        "x-uuencode": b"begin 644 x\r\n%b`\r\nend\r\n" % uuencoded,
    }.get(encoding, octets)
    head = f"Content-Type: image/gif\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    (kept,) = in_store.deliver("17-a-1", TRACE, head + body, ["obiwan"]).attachments
    assert kept.content == octets
    assert (kept.size, kept.sha256, kept.encoding) == (size, sha256(octets).hexdigest(), encoding)
    assert bool(kept.defects) == (encoding == "nonsense")


def test_a_mail_that_cannot_be_decoded_is_delivered(in_store: Store) -> None:
    """C89 and the guarding rule: its defects are told, and it lies there whole."""
    broken = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/gif\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!A\xff\r\n"
    )
    stored = in_store.deliver("17-a-1", TRACE, broken, ["obiwan"])
    assert stored.path.read_bytes() == TRACE + broken
    assert stored.defects
    assert stored.attachments[0].defects


HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "C:\\autoexec.bat",
    "a/b",
    "a\\b",
    "a:b",
    "con",
    "CON.txt",
    "lpt1",
    "a.",
    ".hidden",
    "-rf",
    "~root",
    "a\0b",
    "a\nb",
    "a b",
    "x" * 300,
    "é" * 64,
    "\u202egpj.exe",
    "\ud800",
    "*",
    "|ls",
    "vader%x",
    "K",
]


@given(st.text(max_size=64) | st.sampled_from(HOSTILE))
@example("../../etc/passwd")
@example("con.x")
def test_a_mailbox_is_a_harmless_folder(name: str) -> None:
    """C29: whatever the local part, its folder is one plain name on any system, not hidden, not too long."""
    folder = folder_name(name)
    assert PurePosixPath(folder).name == PureWindowsPath(folder).name == folder
    assert folder.isascii() and folder.isprintable() and folder == folder.lower()
    assert not set(folder) & set('/\\:*?"<>| ')
    assert not folder.startswith((".", "-")) and not folder.endswith(".")
    assert folder.partition(".")[0] not in RESERVED
    assert 0 < len(folder) <= 64


@given(st.lists(st.text(max_size=20) | st.sampled_from(HOSTILE), min_size=2, max_size=2, unique_by=str.casefold))
@example(["a/b", "a_b"])
@example(["a/b", "a\\b"])
@example(["con", "con~"])
def test_two_mailboxes_are_two_folders(names: list[str]) -> None:
    """On a file system that ignores case too; and one mailbox is one folder, in any case."""
    one, other = map(folder_name, names)
    assert one != other
    assert folder_name(names[0].casefold()) == one


def test_everyday_names_are_kept() -> None:
    """So that a person finds a mailbox."""
    assert [folder_name(name) for name in ("obiwan", "Obi-Wan", "a.b+c", "a_b")] == [
        "obiwan",
        "obi-wan",
        "a.b+c",
        "a_b",
    ]


@given(st.none() | st.text(max_size=40) | st.sampled_from(HOSTILE), st.text(max_size=20) | st.just("image/gif"))
@example("a.tar.gz", "x/y")
@example("a.exe\n", "x/y")
@example("a.EXE", "x/y")
@example("a./../x", "x/y")
def test_an_ending_is_harmless(filename: str | None, content_type: str) -> None:
    """A few letters and digits, whatever the mail says."""
    found = ending(filename, content_type)
    assert found.isascii() and found.isalnum() and found == found.lower() and 0 < len(found) <= 10


@pytest.mark.parametrize(
    ("filename", "content_type", "expected"),
    [
        ("plan.gif", "text/plain", "gif"),
        ("PLAN.GIF", "text/plain", "gif"),
        ("plan", "image/gif", "gif"),
        (None, "image/jpeg", "jpeg"),
        (None, "message/rfc822", "eml"),
        (None, "x/y", "bin"),
        ("a.b/c", "x/y", "bin"),
        ("a." + "x" * 11, "x/y", "bin"),
    ],
)
def test_the_ending_of_a_file(filename: str | None, content_type: str, expected: str) -> None:
    """Its own where it has one, else one that fits its type: a double click opens it."""
    assert ending(filename, content_type) == expected


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_of_an_attachment_is_a_path(tmp_path: Path, name: str) -> None:
    """C93: the file's name is the server's own, the mail's name is recorded; nothing is written outside."""
    encoded = base64.b64encode(name.encode("utf-8", "replace")).decode()
    content = (
        f"Content-Type: image/gif\r\nContent-Disposition: attachment; filename==?utf-8?B?{encoded}?=\r\n\r\nGIF89a"
    ).encode()
    Store(tmp_path / "store", "smtp.a.test", durable=False).deliver("17-a-1", TRACE, content, ["../../obiwan"])
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    attached, raw = files(tmp_path / "store")
    assert PurePosixPath(attached).parent == PurePosixPath("attachments/17-a-1")
    assert PurePosixPath(attached).stem == "1"
    assert PurePosixPath(raw).parts[:2] == ("maildir", folder_name("../../obiwan"))


def test_nothing_is_overwritten(tmp_path: Path, in_store: Store) -> None:
    """Two mails of one id (there are none) would not disturb each other: the second fails, and removes nothing."""
    content = with_attachments(("plan.gif", GIF))
    in_store.deliver("17-a-1", TRACE, content, ["obiwan"])
    before = files(tmp_path)
    with pytest.raises(FileExistsError):
        in_store.deliver("17-a-1", TRACE, content, ["obiwan"])
    assert files(tmp_path) == before


def failing(real: Callable[..., object], at: int) -> Callable[..., object]:
    """The system's call, of which the one of that number fails."""
    calls = 0

    def call(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            if real.__name__ == "close":
                real(*arguments)  # it is closed all the same
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("name", ["write", "open", "rename", "fsync", "mkdir", "close"])
def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """C43: wherever the disk fails, at each call of the system in turn, no file of the mail is left, in no mailbox."""
    content = with_attachments(("one.gif", GIF), ("two.gif", GIF))
    folder = tmp_path
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        in_store = Store(folder, "smtp.a.test", durable=True)
        with monkeypatch.context() as patched:
            patched.setattr(os, name, failing(getattr(os, name), at))
            try:
                in_store.deliver("17-a-1", TRACE, content, ["obiwan", "vader"])
            except OSError as error:
                failed = error.errno
            else:
                break  # it took fewer calls than that
        assert failed == errno.ENOSPC
        assert files(folder) == []
        assert not (folder / "attachments" / "17-a-1").exists()
    assert at > 2
    assert len(files(folder)) == 4


def test_a_durable_delivery_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C47: every file, and every folder with a new name in it, is forced to the disk before the 250."""
    synced: set[Path] = set()
    names: dict[int, Path] = {}
    opener, fsync = os.open, os.fsync

    def open_and_remember(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opener(path, flags, mode)
        names[descriptor] = Path(path)
        return descriptor

    def sync_and_remember(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(names[descriptor])

    monkeypatch.setattr(os, "open", open_and_remember)
    monkeypatch.setattr(os, "fsync", sync_and_remember)
    content = with_attachments(("plan.gif", GIF))
    stored = Store(tmp_path / "store", "smtp.a.test", durable=True).deliver("17-a-1", TRACE, content, ["obiwan"])
    monkeypatch.undo()
    top = tmp_path / "store"
    box = top / "maildir" / "obiwan"
    files_of_it = {box / "tmp" / stored.path.name, top / "attachments/17-a-1/1.gif"}
    folders = {tmp_path, top, top / "maildir", box, box / "new", top / "attachments", top / "attachments" / "17-a-1"}
    assert synced >= files_of_it | folders


def test_a_fast_delivery_waits_for_no_disk(in_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the system's hands."""
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("fsync in fast mode"))
    in_store.deliver("17-a-1", TRACE, with_attachments(("plan.gif", GIF)), ["obiwan"])


def test_a_mail_is_removed_wherever_a_reader_has_moved_it(tmp_path: Path, in_store: Store) -> None:
    """To `cur`, with flags; and only that mail."""
    folder = tmp_path / "smtp.jaku.com"
    content = with_attachments(("plan.gif", GIF))
    stored = in_store.deliver("17-a-1", TRACE, content, ["obiwan", "vader"])
    in_store.deliver("17-a-11", TRACE, content, ["obiwan"])
    moved = folder / "maildir/vader/cur" / f"{stored.path.name}:2,S"
    (folder / "maildir/vader/new" / stored.path.name).rename(moved)
    addresses = tuple(Address.parse(f"{name}@jaku.com") for name in ("Obiwan", "vader"))
    mail = Mail(
        id="17-a-1",
        hostname="smtp.jaku.com",
        envelope=Envelope(addresses[0], ()),
        delivered_to=addresses,
        addressed_to=addresses,
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        subject="",
        text="",
        attachments=Attachments(),
        defects=(),
        path=stored.path,
        _read=bytes,
        _ours=lambda mail_id: False,
    )
    for _ in range(2):
        store.remove(folder, mail)
        assert files(folder) == ["attachments/17-a-11/1.gif", "maildir/obiwan/new/17-a-11.smtp.jaku.com"]
    assert [path.name for path in (folder / "attachments").iterdir()] == ["17-a-11"]
