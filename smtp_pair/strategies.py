"""Hypothesis strategies for what travels: addresses, file names, attachments and whole mails.

    from hypothesis import given
    from smtp_pair import strategies as mail

    @given(mail.attachments())
    def test_whatever_is_attached_arrives(mail_pair_session, attachment):
        with mail_pair_session.fresh() as pair:
            pair.jaku.send("luke@jaku.com", attachments={attachment.filename: attachment.content})
            assert pair.jaku.messages[0].attachments[0].content == attachment.content

They need the extra: ``pip install smtp-pair[strategies]``. Every generated domain ends in a name that RFC 6761
reserves: no real person can get mail from a test. A big content is expanded from a small seed: a megabyte is drawn as
quickly as a letter, shrinks to one, and a failing example says ``expand(seed=0, size=1048576)``.
"""

from __future__ import annotations

import hashlib
import random
import re
import string
from dataclasses import dataclass, field
from email import encoders
from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, compat32

try:
    from hypothesis import strategies as st
except ImportError as missing:  # said here, and not as a puzzle in the first test
    raise ImportError("smtp_pair.strategies needs hypothesis: pip install smtp-pair[strategies]") from missing

from smtp_pair.clients.message import Attachment, Draft, render
from smtp_pair.faults import NOISE, Fault, Phase
from smtp_pair.mail.address import DOMAIN_LIMIT, LOCAL_LIMIT, Address

__all__ = [
    "RawMail",
    "addresses",
    "attachments",
    "contents",
    "expand",
    "fault_schedules",
    "faults",
    "filenames",
    "mails",
]

MEGABYTE = 1 << 20

_TALK: tuple[Phase, ...] = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot")
_RESERVED = ("test", "example", "invalid")  # RFC 6761: nobody can be reached there
_ATEXT = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-"
_QTEXT = "".join(map(chr, range(32, 127)))
_BEYOND_ASCII = st.characters(min_codepoint=0xA1, exclude_categories=["C", "Z"])
_U_LABEL = "äöüéñçøåжшдяαβγ例え測試"

# fmt: off
_NAMES = (
    "", ".", "..", " ", "-rf", ".hidden", "no ending", "name.", " spaces around ", "two.endings.tar.gz",
    "CON", "con.txt", "NUL", "nul.tar.gz", "COM1", "LPT9.doc", "aux.h", "PRN ",
    "../../etc/passwd", "/etc/passwd", "a/b", "./x", "~/.ssh/id_rsa", "file:///etc/passwd",
    "..\\..\\windows\\system32\\x.dll", "C:\\boot.ini", "\\\\server\\share\\x", "C:x", "x:stream",
    'a"b.txt', '"quoted"', "a;b.txt", "a\\b", 'a\\"b', "it's", "a=b", "a,b", "(comment).txt", "<x@y>", "?*|<>:",
    "utf-8''x%41.txt", "=?utf-8?q?a=2Etxt?=", "a%00b", "a%2Fb", "100%", "a*b", "filename*0*=x",
    "$(reboot)", "`id`", "| cat", "; ls", "%n%s", "{0}", "tab\there.txt",
    "\u202egpj.exe", "שלום.txt", "ملف.pdf", "文件.zip", "e\u0301.txt", "é.txt", "\uff23\uff2f\uff2e", "\U0001f389.png",
    "a\u200bb", "a\u00a0b", "\ufeffbom.txt", "\ue000", "\ufffd",
)
_TYPES = (
    "application/octet-stream", "application/pdf", "application/zip", "application/x-msdownload", "image/jpeg",
    "image/gif", "image/svg+xml", "text/plain", "text/html", "text/csv", "audio/mpeg", "video/mp4", "font/woff2",
)
_CONTENTS = (
    b"\r\n.\r\n", b".\r\n..\r\n...", b"From me\nFrom you\n", b"--\r\n----\r\n", b"\r\r\n\n\r", b"=20=\r\n",
    bytes(range(256)), b"\x00", b"\xff\xfe\x00\x00", b"UEsDBA==", b"QUIT\r\n",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class RawMail:
    """A mail as it is sent, and what is known to be in it."""

    title: str
    attachments: tuple[Attachment, ...]
    raw: bytes = field(repr=False)
    """The whole mail: CRLF at every line's end; beyond ASCII only in some texts (RFC 6152)."""


def addresses(*, domains: st.SearchStrategy[str] | None = None, utf8: bool = False) -> st.SearchStrategy[Address]:
    """Mail addresses as RFC 5321 allows them: plain, quoted, with a local part or a domain of the greatest length.

    ``domains`` replaces the domain names: ``addresses(domains=st.just("jaku.com"))``. With ``utf8`` some addresses go
    beyond ASCII (RFC 6531), on both sides of the @; a client has to say SMTPUTF8 for them.

    Examples shrink towards ``0@test``.
    """
    if domains is None:
        domains = _domains(utf8)
    _expect_strategy("domains", domains, 'st.just("jaku.com")')
    return st.builds(Address, _locals(utf8), domains)


def filenames(*, max_size: int = 300, controls: bool = False) -> st.SearchStrategy[str]:
    """Names that a mail may give an attachment, the nasty ones among them: empty, in any script and direction, names
    of devices (``CON``), paths (``../../x``, ``C:\\x``), full of quotes, semicolons, percent signs and the like, and
    as long as ``max_size`` characters.

    With ``controls`` also names with control characters, except line ends. RFC 2231 can carry them; the clients of
    smtp_pair refuse to.

    Examples shrink towards the empty name.
    """
    if max_size < 0:
        raise ValueError(f"max_size={max_size!r} leaves no name, not even the empty one: give 0 or more")
    excluded = ["Cs"] if controls else ["Cs", "Cc", "Zl", "Zp"]
    anything = st.characters(exclude_categories=excluded, exclude_characters="\r\n\x85\u2028\u2029")  # type: ignore[arg-type]
    special = st.sampled_from("\"\\;=%'*?()<>@,:/[] ab." + ("\x00\x07\x1b\x7f\x9b" if controls else "\t"))
    piece = st.text(st.one_of(anything, special), min_size=1, max_size=12)
    return st.one_of(
        st.text(st.sampled_from("abc. "), max_size=min(8, max_size)),
        st.sampled_from([name for name in _NAMES if len(name) <= max_size]),
        st.text(special, max_size=min(40, max_size)),
        st.text(anything, max_size=min(80, max_size)),
        st.builds("/".join, st.lists(piece, max_size=6)).map(lambda path: path[:max_size]),
        st.builds(_repeated, piece, st.just(max_size)),
    )


def contents(*, min_size: int = 0, max_size: int = MEGABYTE) -> st.SearchStrategy[bytes]:
    """Octets of a file, of any kind, as many as ``min_size`` to ``max_size``.

    Examples shrink towards few octets.
    """
    if not 0 <= min_size <= max_size:
        raise ValueError(f"give 0 <= min_size <= max_size: {min_size!r} and {max_size!r} leave no size")
    choices: list[st.SearchStrategy[bytes]] = []
    if min_size <= 200:
        choices.append(st.binary(min_size=min_size, max_size=min(200, max_size)))
    fitting = [content for content in _CONTENTS if min_size <= len(content) <= max_size]
    if fitting:
        choices.append(st.sampled_from(fitting))
    sizes = st.one_of(st.integers(min_size, max_size), st.just(max_size))
    choices.append(st.builds(expand, seed=st.integers(0, 0xFFFF), size=sizes))
    return st.one_of(choices)


def expand(*, seed: int, size: int) -> bytes:
    """The ``size`` octets that a failing example names by their seed."""
    octets = _Expanded(random.Random(seed).randbytes(size))
    octets.source = f"expand(seed={seed}, size={size})"
    return octets


class _Expanded(bytes):
    """Octets that show where they come from: a report of a megabyte is of no use, and hypothesis warns of it."""

    source: str

    def __repr__(self) -> str:
        return self.source


def attachments(
    *,
    filenames: st.SearchStrategy[str] | None = None,
    contents: st.SearchStrategy[bytes] | None = None,
    content_types: st.SearchStrategy[str] | None = None,
) -> st.SearchStrategy[Attachment]:
    """Attachments of any name, any octets from none to a megabyte, and any type: values with ``filename``,
    ``content`` and ``content_type``, which ``Draft(attachments=[...])`` takes as they are.

    Each of the three can be replaced: ``attachments(contents=st.binary(max_size=100))``. Names come from
    :func:`filenames` and octets from :func:`contents`; a type that base64 is not allowed for (``multipart/...``,
    ``message/...``) becomes ``application/octet-stream``.
    """
    if filenames is None:
        filenames = _filenames()
    if contents is None:
        contents = _contents()
    if content_types is None:
        content_types = _content_types()
    _expect_strategy("filenames", filenames, 'st.just("a.txt")')
    _expect_strategy("contents", contents, "st.binary()")
    _expect_strategy("content_types", content_types, 'st.just("image/png")')
    return st.builds(Attachment, filename=filenames, content=contents, content_type=content_types)


def mails(
    *,
    attachments: st.SearchStrategy[Attachment] | None = None,
    min_attachments: int = 0,
    max_attachments: int = 3,
) -> st.SearchStrategy[RawMail]:
    """Whole mails in octets, with what is known to be in them: ``raw``, ``title``, ``attachments``.

    Some are built by smtp_pair's own clients, some by the standard library's ``email``, in its modern and its legacy
    form, for these write names and contents in different ways. ``attachments`` replaces what is attached.

    Examples shrink towards a mail of smtp_pair's own with few and small attachments.
    """
    if not 0 <= min_attachments <= max_attachments:
        given = f"{min_attachments!r} and {max_attachments!r} leave no number of attachments"
        raise ValueError(f"give 0 <= min_attachments <= max_attachments: {given}")
    if attachments is None:
        attachments = _attachments()
    _expect_strategy("attachments", attachments, "attachments(contents=st.binary())")
    several = st.lists(attachments, min_size=min_attachments, max_size=max_attachments)
    title = st.one_of(st.text(st.sampled_from(string.ascii_letters + " .,"), max_size=30), _titles())
    text = st.one_of(st.just("Hello.\n"), _texts())
    return st.one_of(
        st.builds(_rendered, title=title, text=text, attachments=several),
        st.builds(_modern, title=title, text=text, attachments=several, encoding=st.sampled_from(_ENCODINGS)),
        st.builds(_legacy, title=title, text=text, attachments=several),
    )


def faults(*, max_times: int = 3, duplicates: bool = False) -> st.SearchStrategy[Fault]:
    """Faults that a mail survives: each comes to pass ``max_times`` at most, and none takes time or refuses for good. A
    client that tries again gets its mail through; with ``duplicates`` perhaps more than once, for some of the faults
    keep it from learning that its mail was taken.

    Examples shrink towards one refusal with 421 in place of the greeting.
    """
    if max_times < 1:
        raise ValueError(f"max_times={max_times!r} leaves no fault: give 1 or more")
    times, octets, here = st.integers(1, max_times), st.integers(0, 200), st.just(True)
    talk, everywhere, before = (st.sampled_from(phases) for phases in (_TALK, ("connect", *_TALK), _TALK[:-1]))
    code = st.sampled_from(("421", "450", "451", "452"))
    unheard = [
        st.builds(Fault, phase=st.just("accepted"), drop=here, times=times),
        st.builds(Fault, phase=st.just("accepted"), garbage=st.just(NOISE), times=times),
    ]
    return st.one_of(
        st.builds(Fault, phase=talk, reply=code, times=times),
        st.builds(Fault, phase=everywhere, drop=here, times=times),
        st.builds(Fault, after=before, bytes=octets, drop=here, times=times),
        st.builds(Fault, phase=everywhere, reset=here, times=times),
        st.builds(Fault, phase=talk, half_close=here, times=times),
        st.builds(Fault, phase=talk, garbage=st.just(NOISE), times=times),
        st.builds(Fault, store=st.sampled_from(("full", "error")), times=times),
        st.builds(Fault, hide=st.sampled_from((("PIPELINING",), ("SIZE",), ("DSN", "8BITMIME"))), times=times),
        st.builds(Fault, phase=talk, reply=code, probability=st.sampled_from((0.25, 0.5)), times=times),
        *(unheard if duplicates else ()),
    )


def fault_schedules(
    *, max_faults: int = 4, max_times: int = 3, duplicates: bool = False
) -> st.SearchStrategy[tuple[Fault, ...]]:
    """Several of :func:`faults`, in the order in which a server looks at them: ``server.faults.add(*schedule)``.

    Examples shrink towards none.
    """
    if max_faults < 0:
        raise ValueError(f"max_faults={max_faults!r} is no number of faults: give 0 or more")
    return st.lists(faults(max_times=max_times, duplicates=duplicates), max_size=max_faults).map(tuple)


# Arguments above hide these names.
_filenames, _contents, _attachments = filenames, contents, attachments


def _expect_strategy(name: str, value: object, example: str) -> None:
    if not isinstance(value, st.SearchStrategy):
        raise TypeError(f"{name}={value!r} is not a strategy; write for example {name}={example}")


# -- the pieces ----------------------------------------------------------------------------------------------------


def _locals(utf8: bool) -> st.SearchStrategy[str]:
    atom = st.text(st.sampled_from(_ATEXT), min_size=1, max_size=LOCAL_LIMIT)
    quoted = st.text(st.sampled_from(_QTEXT), max_size=LOCAL_LIMIT)
    kinds = [
        st.text(st.sampled_from(string.digits + string.ascii_letters), min_size=1, max_size=12),
        st.lists(atom, min_size=1, max_size=4).map(lambda atoms: _dotted(atoms, LOCAL_LIMIT)),
        st.text(st.sampled_from(_ATEXT), min_size=LOCAL_LIMIT, max_size=LOCAL_LIMIT),
        quoted,
        st.sampled_from(("postmaster", "a@b", "a b", 'a"b', "a\\b", "a>b", "..", "a/b", "../x", "%s", "con", " ")),
    ]
    if utf8:
        kinds.append(st.text(_BEYOND_ASCII, min_size=1, max_size=LOCAL_LIMIT // 4))  # a character has 4 octets at most
    return st.one_of(kinds)


def _domains(utf8: bool) -> st.SearchStrategy[str]:
    label = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", fullmatch=True)
    top = st.sampled_from(_RESERVED)
    room = DOMAIN_LIMIT - max(map(len, _RESERVED)) - 1
    some = st.lists(label, min_size=1, max_size=5).map(lambda labels: _dotted(labels, room))
    kinds = [top, st.builds("{}.{}".format, some, top), st.builds(_longest_domain, st.sampled_from("aZ9"), top)]
    if utf8:
        kinds.append(st.builds("{}.{}".format, st.text(_U_LABEL, min_size=1, max_size=8), top))
    return st.one_of(kinds)


def _dotted(parts: list[str], room: int) -> str:
    """As many of the parts, joined by dots, as there is room for; one at least."""
    joined = parts[0]
    for part in parts[1:]:
        if len(joined) + 1 + len(part) <= room:
            joined += f".{part}"
    return joined


def _longest_domain(char: str, top: str) -> str:
    left = DOMAIN_LIMIT - len(top) - 1
    labels = [char * 63, char * 63, char * 63, char * (left - 3 * 64)]
    return ".".join([*labels, top])


def _repeated(piece: str, size: int) -> str:
    return (piece * (size // len(piece) + 1))[:size]


def _content_types() -> st.SearchStrategy[str]:
    token = st.text(st.sampled_from(string.ascii_lowercase + string.digits + "+.-"), min_size=1, max_size=20)
    return st.one_of(st.sampled_from(_TYPES), st.builds("x-{}/x{}".format, token, token))


def _titles() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=60)


def _texts() -> st.SearchStrategy[str]:
    line = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=100)
    nasty = st.sampled_from((".", "..", "From me", "--", "-- ", "x" * 1000, "=20", " ", "QUIT"))
    return st.lists(st.one_of(line, nasty), max_size=5).map(lambda lines: "".join(f"{line}\n" for line in lines))


# -- the mails -----------------------------------------------------------------------------------------------------

_ENCODINGS = ("base64", "quoted-printable")
_QUOTABLE = 1 << 16  # three octets for one: bigger contents go in base64
# What the standard library writes in a way that it reads back itself; other names go the legacy way.
_TAME_NAME = re.compile(r"[A-Za-z0-9._-]+( [A-Za-z0-9._-]+)*|[^\W\d_]+")
_SENDER, _RECIPIENT = "sender@example.test", "recipient@example.test"


def _rendered(title: str, text: str, attachments: list[Attachment]) -> RawMail:
    draft = Draft(_SENDER, [_RECIPIENT], title, text, attachments)
    return RawMail(title, tuple(attachments), render(draft))


def _modern(title: str, text: str, attachments: list[Attachment], encoding: str) -> RawMail:
    if not all(_TAME_NAME.fullmatch(attachment.filename) for attachment in attachments):
        return _legacy(title, text, attachments)
    message = EmailMessage(SMTP)
    title = _addressed(message, title)
    message.set_content(text)
    if attachments:
        message.make_mixed(boundary=_boundary(text))
    for attachment in attachments:
        kind, _, subtype = attachment.content_type.partition("/")
        quoted = encoding if len(attachment.content) <= _QUOTABLE else "base64"
        message.add_attachment(
            attachment.content, maintype=kind, subtype=subtype, filename=attachment.filename, cte=quoted
        )
    return RawMail(title, tuple(attachments), message.as_bytes())


def _legacy(title: str, text: str, attachments: list[Attachment]) -> RawMail:
    message = MIMEMultipart(boundary=_boundary(text))
    title = _addressed(message, title)
    message.attach(MIMEText(text))
    for attachment in attachments:
        part = MIMEBase(*attachment.content_type.split("/", 1))
        part.set_payload(attachment.content)
        encoders.encode_base64(part)
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", attachment.filename))
        message.attach(part)
    return RawMail(title, tuple(attachments), message.as_bytes(policy=compat32.clone(linesep="\r\n")))


def _addressed(message: Message, title: str) -> str:
    """Gives the title as it is in the mail: ``email`` loses spaces beside words that it encodes."""
    title = " ".join(title.split())
    message["From"], message["To"], message["Subject"] = _SENDER, _RECIPIENT, title
    return title


def _boundary(text: str) -> str:
    """One that the text can't hold. (``email`` takes a random one, and a strategy may not.)"""
    return f"=_{hashlib.sha256(text.encode()).hexdigest()[:40]}"
