"""What a mail says and carries: which part is its text and which an attachment, what is told as a defect, and that a
hostile mail costs no more than its length. The rules C89 to C94 are in `test_mime_rules.py`."""

from __future__ import annotations

import base64
import gc
import importlib.util
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_pair.mail import decoding
from smtp_pair.mail.attachment import DEFECT_LIMIT, Parsed, parse
from smtp_pair.mail.header import PARAMETER_LIMIT, SIZE_LIMIT, Heading, heading

PLAIN = b"Content-Type: text/plain\r\n\r\nplain"
HTML = b"Content-Type: text/html\r\n\r\n<p>html"
CALENDAR = b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR"
IMAGE = b"Content-Type: image/gif\r\nContent-Disposition: inline\r\nContent-ID: <a>\r\n\r\nGIF89a"
PDF = b"Content-Type: application/pdf\r\n\r\n%PDF"


def multipart(kind: str, *parts: bytes) -> bytes:
    """A multipart with its header; its boundary is its kind."""
    boundary = kind.encode()
    head = b"Content-Type: multipart/" + boundary + b"; boundary=" + boundary + b"\r\n"
    return head + b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts) + b"\r\n--" + boundary + b"--\r\n"


def attached(part: bytes) -> bytes:
    return b"Content-Disposition: attachment\r\n" + part


def named(part: bytes) -> bytes:
    return b"Content-Disposition: inline; filename=a.txt\r\n" + part


def types(parsed: Parsed) -> list[str]:
    return [part.content_type for part in parsed.attachments]


def everything(parsed: Parsed) -> tuple[object, ...]:
    """All that can be seen of a mail."""
    parts = []
    for part in parsed.attachments:
        decoded = part.decode()
        octets = bytes(decoded)
        parts.append((part.filename, part.content_type, part.encoding, part.disposition, octets, decoded.defects))
    return parsed.subject, parsed.date, parsed.text, parsed.defects, parts


# -- what is the text, and what an attachment ---------------------------------------------------------------------


def test_a_mail() -> None:
    """Subject and date, the text with its lines ended by LF, the attachments in order, and nothing amiss."""
    mail = (
        b"Date: Wed, 25 May 1977 12:00:00 +0000\r\nSubject: =?utf-8?q?Hello_th=C3=A9re?=\r\nMIME-Version: 1.0\r\n"
        + multipart("mixed", PLAIN + b"\r\n\r\nmore\r\n", attached(PDF), IMAGE)
    )
    parsed = parse(mail)
    assert (parsed.subject, parsed.date) == ("Hello thére", "Wed, 25 May 1977 12:00:00 +0000")
    assert parsed.text == "plain\n\nmore\n"
    assert [(part.content_type, part.disposition, part.encoding) for part in parsed.attachments] == [
        ("application/pdf", "attachment", "7bit"),
        ("image/gif", "inline", "7bit"),
    ]
    assert parsed.defects == ()


@pytest.mark.parametrize(
    ("mail", "text", "attachments"),
    [
        # not a multipart
        (b"Subject: x\r\n\r\nplain", "plain", []),
        (PLAIN, "plain", []),
        (HTML, "<p>html", []),
        (b"Content-Disposition: inline\r\n" + PLAIN, "plain", []),
        (attached(PLAIN), "", ["text/plain"]),
        (named(PLAIN), "", ["text/plain"]),
        (PLAIN.replace(b"plain\r\n", b"plain; name=a.txt\r\n"), "", ["text/plain"]),
        (b"Content-Disposition: x-unknown\r\n" + PLAIN, "", ["text/plain"]),  # RFC 2183 2.8
        (CALENDAR, "", ["text/calendar"]),
        (IMAGE, "", ["image/gif"]),
        (PDF, "", ["application/pdf"]),
        (b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n", "", ["message/rfc822"]),
        # the first text/plain, else the first text/html; further texts are attachments
        (multipart("mixed", PLAIN, PLAIN + b" 2", HTML), "plain", ["text/plain", "text/html"]),
        (multipart("mixed", HTML, PLAIN), "plain", ["text/html"]),
        (multipart("mixed", HTML, HTML + b" 2"), "<p>html", ["text/html"]),
        (multipart("mixed", attached(PLAIN), HTML, PDF), "<p>html", ["text/plain", "application/pdf"]),
        (multipart("mixed", named(PLAIN), PLAIN + b" 2"), "plain 2", ["text/plain"]),
        (multipart("mixed", PDF, IMAGE, CALENDAR), "", ["application/pdf", "image/gif", "text/calendar"]),
        # the other forms of the text are no attachments; a calendar entry is
        (multipart("alternative", PLAIN, HTML), "plain", []),
        (multipart("alternative", HTML, PLAIN), "plain", []),
        (multipart("alternative", HTML), "<p>html", []),
        (multipart("alternative", PLAIN, HTML, CALENDAR), "plain", ["text/calendar"]),
        (multipart("alternative", PLAIN, HTML.replace(b"html\r\n", b"enriched\r\n", 1)), "plain", []),
        (multipart("alternative", PLAIN, attached(HTML)), "plain", ["text/html"]),
        (multipart("alternative", PLAIN, named(HTML)), "plain", ["text/html"]),
        (multipart("alternative", PLAIN, PDF), "plain", ["application/pdf"]),
        # as mailers nest them
        (multipart("mixed", multipart("alternative", PLAIN, HTML), PDF), "plain", ["application/pdf"]),
        (multipart("alternative", PLAIN, multipart("related", HTML, IMAGE)), "plain", ["image/gif"]),
        (multipart("related", multipart("alternative", PLAIN, HTML), IMAGE), "plain", ["image/gif"]),
        (
            multipart("alternative", PLAIN, multipart("mixed", HTML, PDF, HTML)),
            "plain",
            ["application/pdf", "text/html"],
        ),
        (multipart("signed", PLAIN, PDF.replace(b"pdf", b"pgp-signature")), "plain", ["application/pgp-signature"]),
    ],
)
def test_the_text_and_the_attachments(mail: bytes, text: str, attachments: list[str]) -> None:
    """The text is the first text/plain, else the first text/html, that has no name and is not attached; its other forms
    are left out, and every other leaf is an attachment."""
    parsed = parse(mail)
    assert (parsed.text, types(parsed), parsed.defects) == (text, attachments, ())


@pytest.mark.parametrize(
    ("mail", "text", "defects"),
    [
        (b"", "", ()),
        (b"\r\n", "", ()),
        (b"\r\nno header\r\n", "no header\n", ()),
        (b"Subject: no body", "", ()),
        (b"Subject: no body\r\n", "", ()),
        (b"Subject: no body\r\n\r\n", "", ()),
        (b"From vader Wed May 25 1977\r\nSubject: x\r\n\r\ntext", "text", ()),
        (b"Subject : x\r\n\r\ntext", "text", ()),
        (b"Subject: x\r\ntext\r\nX: y", "text\nX: y", ("no empty line between header and body",)),
        (b"text", "text", ("no empty line between header and body",)),
        (b"Subject: x\r\n \t\r\n\r\ntext", "text", ()),
    ],
)
def test_where_the_header_ends(mail: bytes, text: str, defects: tuple[str, ...]) -> None:
    """At the first empty line, or before the first that can't be a header's; a line of white space only is folding."""
    parsed = parse(mail)
    assert (parsed.text, parsed.defects) == (text, defects)


@given(st.binary(max_size=100), st.sampled_from([b"", b"Subject: x\r\n", b"X: y\r\n z\r\n"]))
def test_the_short_way_and_the_long_way_agree(body: bytes, head: bytes) -> None:
    """A mail without MIME fields takes a short cut, and is read as if it said text/plain."""
    assert everything(parse(head + b"\r\n" + body)) == everything(
        parse(head + b"Content-Type: text/plain\r\n\r\n" + body)
    )


@pytest.mark.parametrize(
    ("charset", "octets", "text", "defective"),
    [
        ("utf-8", "café ☃".encode(), "café ☃", False),
        ("UTF8", "café".encode(), "café", False),
        ("ISO-8859-1", b"caf\xe9", "café", False),
        ("windows-1252", b"\x80", "€", False),
        ("koi8-u", b"\xa4", "є", False),
        ("iso-2022-jp", "テスト".encode("iso-2022-jp"), "テスト", False),
        ("utf-16", "☃".encode("utf-16"), "☃", False),
        ("us-ascii", "café".encode(), "café", True),
        ("us-ascii", b"caf\xe9", "café", True),
        ("utf-8", b"caf\xe9", "caf\ufffd", True),
        ("utf-7", b"+2AA-", "?", False),
        ("x-unknown", "café".encode(), "café", True),
        ("x-unknown", b"caf\xe9", "café", True),
        ("", b"text", "text", True),
        # codecs of Python that are no charsets
        *[
            (codec, b"\\d-mbk-", "\\d-mbk-", True)
            for codec in ("unicode_escape", "idna", "punycode", "rot13", "undefined")
        ],
        *[
            (codec, b"QUJD", "QUJD", True)
            for codec in ("base64", "hex", "zlib", "os", "encodings.idna", "a" * 9999, "\x1b[2J")
        ],
    ],
)
def test_charsets(charset: str, octets: bytes, text: str, defective: bool) -> None:
    """The charset decides; where it is wrong or unknown, the text is read as well as can be, and a defect says so."""
    parsed = parse(f'Content-Type: text/plain; charset="{charset}"\r\n\r\n'.encode() + octets)
    assert parsed.text == text
    assert bool(parsed.defects) == defective
    assert all(defect.isprintable() and len(defect) < 80 for defect in parsed.defects)


def test_no_module_is_imported_for_a_charset() -> None:
    """A charset is looked up in a table: a stranger's word makes nothing be imported, or kept."""
    before = set(sys.modules)
    parse(b"Content-Type: text/plain; charset=antigravity\r\n\r\n")
    parse(b"Content-Type: text/plain; charset=idna\r\n\r\n\xff")
    assert set(sys.modules) - before == set()


# -- subject and date of a mail that is only passed on ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("mail", "found"),
    [
        (b"Subject: Hello\r\nDate: today \r\n\r\nSubject: no\r\n", ("Hello", "today")),
        (b"Date: today\r\nSubject: Hello", ("Hello", "today")),
        (b"subject: =?utf-8?q?H=C3=A9llo?=\r\n there\r\nSUBJECT: two\r\n\r\n", ("Héllo there", "")),
        (b"\r\nSubject: no\r\n", ("", "")),
        (b"", ("", "")),
    ],
)
def test_the_heading(mail: bytes, found: tuple[str, str]) -> None:
    """Subject and date are read out of the header alone, the first of each, the same as `parse` reads them."""
    assert heading(mail) == Heading(*found) == (parse(mail).subject, parse(mail).date)


# -- octets out of a part ---------------------------------------------------------------------------------------------


def big(size: int) -> bytes:
    encoded = base64.encodebytes(bytes(size)).replace(b"\n", b"\r\n")
    return multipart("mixed", b"Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded)


def test_a_big_attachment_is_never_held_whole() -> None:
    """It is decoded in pieces while they are taken; what is in memory beside the mail does not depend on its size."""
    size = 4 << 20
    mail = big(size)
    gc.collect()
    tracemalloc.start()
    try:
        (part,) = parse(mail).attachments
        assert sum(len(piece) for piece in part.decode()) == size
        assert tracemalloc.get_traced_memory()[1] < 512 << 10
    finally:
        tracemalloc.stop()


def test_what_is_not_encoded_is_not_copied() -> None:
    """A part in 8bit is handed on as a view of the mail."""
    mail = b"Content-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + bytes(1000)
    (piece,) = parse(mail).attachments[0].decode()
    assert isinstance(piece, memoryview)
    assert piece.obj is mail


def test_a_part_is_decoded_as_often_as_is_asked() -> None:
    """Each `decode` begins anew, and its defects are its own."""
    (part,) = parse(b"Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUI!").attachments
    for _ in range(2):
        decoded = part.decode()
        assert bytes(decoded) == b"AB"
        assert decoded.defects == ["characters foreign to base64 are ignored", "base64 without its padding"]
    assert part.defects == ()


@given(st.binary(max_size=200), st.sampled_from([b"", b"!", b"\r\n", b"="]))
@example(bytes(100_000), b"!")
def test_without_pybase64(content: bytes, stranger: bytes) -> None:
    """Where pybase64 can't be installed, the standard library gives the same octets and the same defects."""
    body = base64.encodebytes(content).replace(b"\n", b"\r\n").replace(b"A", b"A" + stranger, 1)
    with_it, without = (
        [bytes(found := module.Decoded("base64", memoryview(body), [])), found.defects] for module in (decoding, SLOW)
    )
    assert with_it == without


def _without_pybase64() -> Any:
    """A second copy of the module, imported where there is no pybase64."""
    spec = importlib.util.spec_from_file_location("decoding_without_pybase64", decoding.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pybase64", None)
        spec.loader.exec_module(module)
    assert module.b64decode.__module__ == "binascii"
    return module


SLOW = _without_pybase64()


# -- strangers --------------------------------------------------------------------------------------------------------

SCRAPS = (
    b'Content-Type: |multipart/mixed|text/plain|; |boundary=|b|"|\\|(|)|\r\n|\r\n\r\n|--b|--|Content-Disposition: |x'
    b"|filename|*|*0|=|utf-8''|%F0|%|=?utf-8?b?|=?utf-7?q?+2AA-?=|?=|Content-Transfer-Encoding: |quoted-printable"
    b"|base64|x-uuencode|begin 644 x\r\n|QUJD|=3D|Subject: |Date: |\xed\xa0\x80|\xff|\x00|\n|\r| |\t|:|utf-16|'"
)


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(SCRAPS.split(b"|")) | st.binary(max_size=3), max_size=40).map(b"".join)
)
def test_nothing_raises(mail: bytes) -> None:
    """Whatever the octets are, there is an answer; all of it can be written as JSON and as UTF-8; and the heading is
    that of the mail."""
    parsed = parse(mail)
    found = everything(parsed)
    assert json.loads(json.dumps(found, default=repr).encode()) is not None
    assert repr(found).encode()
    for text in (
        parsed.subject,
        parsed.date,
        parsed.text,
        *parsed.defects,
        *(part.filename for part in parsed.attachments),
    ):
        assert (text or "").encode().decode() == (text or "")
    assert all(defect.isprintable() for defect in parsed.defects)
    assert heading(mail) == (parsed.subject, parsed.date)


def test_defects_have_a_cap() -> None:
    """Each is told once, and a mail that has nothing else can't fill the journal with them."""
    words = b" ".join(b"=?x-%d?q?a?=" % number for number in range(1000))
    assert len(parse(b"Subject: " + words + b"\r\n\r\n").defects) == DEFECT_LIMIT
    assert len(parse(b"Subject: " + b"=?x?q?a?= =?y?q?a?= " * 1000 + b"\r\n\r\n").defects) == 2


def test_a_defect_of_the_mail_is_not_its_attachments() -> None:
    """What is wrong with the mail's own header is told once, even where the mail is nothing but an attachment."""
    parsed = parse(b"Content-Type: image/x\r\nno header\r\n")
    assert parsed.defects == ("no empty line between header and body",)
    assert parsed.attachments[0].decode().defects == []


def test_a_header_has_a_cap() -> None:
    """What lies beyond it counts as body, is told, and hides no part."""
    mail = b"X: y\r\n" * (SIZE_LIMIT // 6 + 1) + b"Subject: x\r\n\r\ntext"
    parsed = parse(mail)
    assert parsed.subject == ""
    assert parsed.text.endswith("Subject: x\n\ntext")
    assert parsed.defects == (f"a header of more than {SIZE_LIMIT:,} octets: the rest counts as body",)
    long = b"Content-Type: image/x\r\nX: " + b"y" * SIZE_LIMIT + b"\r\n\r\nA"
    first, second = parse(multipart("mixed", long, IMAGE)).attachments
    assert (len(first.defects), second.content_type) == (1, "image/gif")


def test_parameters_have_a_cap() -> None:
    """Those beyond it are not read, and that is told."""
    field = b"Content-Disposition: attachment" + b"; x=y" * PARAMETER_LIMIT + b"; filename=a\r\n\r\n"
    (part,) = parse(field).attachments
    assert (part.filename, part.defects) == (None, (f"more than {PARAMETER_LIMIT:,} parameters: the rest is not read",))


def deep(n: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(n // 20))


def deep_and_alike(n: int) -> bytes:
    """The most that may be open at once, each boundary the beginning of the next, and lines that begin like all."""
    opened = [
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"b" * i, b"b" * i) for i in range(1, 51)
    ]
    return b"".join(opened) + b"--bx\r\n" * n


def in_a_part(header: bytes, body: bytes = b"") -> bytes:
    return multipart("mixed", header + b"\r\n\r\n" + body)


def disposition(value: bytes) -> bytes:
    return in_a_part(b"Content-Disposition: attachment; " + value)


def encoded(encoding: bytes, body: bytes) -> bytes:
    return in_a_part(b"Content-Type: image/x\r\nContent-Transfer-Encoding: " + encoding, body)


MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "multiparts in multiparts": deep,
    "boundaries that begin alike": deep_and_alike,
    "tiny parts": lambda n: MIXED + b"--b\r\n\r\nx\r\n" * n,
    "parts without an empty line": lambda n: MIXED + b"--b\r\nX: y\r\n" * n,
    "boundaries in a row": lambda n: MIXED + b"--b\r\n" * n,
    "lines like boundaries": lambda n: MIXED + b"--bx\r\n" * n,
    "dashes": lambda n: MIXED + b"-" * n,
    "lines of dashes": lambda n: MIXED + b"--\r\n" * n,
    "a boundary and blanks": lambda n: MIXED + b"--b" + b" " * n + b"x\r\n",
    "header fields": lambda n: in_a_part(b"X: y\r\n" * n),
    "the same field": lambda n: b"Subject: x\r\n" * n,
    "a long header of a part": lambda n: in_a_part(b"X: " + b"y" * (20 * n)),
    "foldings": lambda n: b"Subject: x" + b"\r\n " * n,
    "no colon": lambda n: b"X" * n,
    "blanks, and no colon": lambda n: b"X" + b" " * n,
    "parameters": lambda n: disposition(b"a=b;" * n),
    "semicolons": lambda n: disposition(b";" * n),
    "sections": lambda n: disposition(b"".join(b"filename*%d=x;" % i for i in range(n))),
    "percent signs": lambda n: disposition(b"filename*=utf-8''" + b"%41" * n),
    "comments that open": lambda n: disposition(b"filename=" + b"(" * n),
    "comments": lambda n: disposition(b"filename=" + b" ()" * n),
    "parentheses": lambda n: disposition(b"filename=" + b"a(" * n),
    "quotes": lambda n: disposition(b"filename=" + b'"' * n),
    "backslashes": lambda n: disposition(b'filename="' + b"\\" * n),
    "encoded words": lambda n: b"Subject: " + b"=?utf-8?q?a?= " * n,
    "encoded words that open": lambda n: b"Subject: " + b"=?" * n,
    "encoded words half open": lambda n: b"Subject: " + b"=?a?q?" * n,
    "blanks in a type": lambda n: b"Content-Type: a" + b" " * n + b"/b\r\n\r\n",
    "base64 padding": lambda n: encoded(b"base64", b"A=" * n),
    "base64 padding, then more": lambda n: encoded(b"base64", b"=" * n + b"AAAA"),
    "base64 in short lines": lambda n: encoded(b"base64", b"AAAA\r\n" * n),
    "quoted-printable blanks": lambda n: encoded(b"quoted-printable", b" " * n + b"x"),
    "quoted-printable signs": lambda n: encoded(b"quoted-printable", b"=" * n + b"x"),
    "uuencode": lambda n: encoded(b"x-uuencode", b"begin 644 x\r\n" + b"#04)#\r\n" * n),
    "uuencode that never begins": lambda n: encoded(b"x-uuencode", b"begin 644\r\n" * n),
}


class Watched(bytes):
    """A mail that counts the octets that are searched."""

    searched = 0

    def find(self, sub: Any, start: Any = 0, end: Any = sys.maxsize) -> int:
        found = super().find(sub, start, end)
        Watched.searched += max((found if found >= 0 else min(end, len(self))) - start, 0)
        return found


def steps(mail: bytes) -> int:
    """How many calls are made, and octets searched for boundaries and line ends, in reading a mail."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    Watched.searched = 0
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        everything(parse(Watched(mail)))
    finally:
        sys.setprofile(before)
    return calls + Watched.searched


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_mail_costs_no_more_than_its_length(hostile: Callable[[int], bytes]) -> None:
    """Calls made and octets searched grow with the mail's length and not with its square: eightfold for eightfold."""
    small, large = hostile(1000), hostile(8000)
    assert len(large) > 4 * len(small)
    assert steps(large) < 12 * steps(small) + 1000


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_no_expression_runs_away(hostile: Callable[[int], bytes]) -> None:
    """Nor does a regular expression, within which no steps can be counted, take the square: that would be 64-fold."""

    def seconds(mail: bytes) -> float:
        begun = time.process_time()
        everything(parse(mail))
        return time.process_time() - begun

    small, large = hostile(4000), hostile(32000)
    ratios = (seconds(large) / max(seconds(small), 0.0005) for _ in range(5))
    assert any(ratio < 32 for ratio in ratios)
