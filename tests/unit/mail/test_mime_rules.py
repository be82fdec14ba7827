"""MIME, to disk: the rules C89 to C94, each through `parse`, and those about files through a real `Store`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import quopri
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.mail.attachment import Part, parse
from smtp_pair.mail.multipart import DEPTH_LIMIT, PART_LIMIT
from smtp_pair.store import Store

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"


def one(header: bytes, body: bytes = b"") -> Part:
    """The only attachment of a mail that is nothing else."""
    parsed = parse(b"Content-Type: application/x-test\r\n" + header + b"\r\n\r\n" + body)
    (part,) = parsed.attachments
    assert (parsed.text, parsed.defects) == ("", ())
    return part


def decoded(encoding: str, body: bytes) -> tuple[bytes, list[str]]:
    """What a body in a transfer encoding stands for, and what is said of it."""
    found = one(b"Content-Transfer-Encoding: " + encoding.encode(), body).decode()
    return bytes(found), found.defects


def named(value: bytes) -> str | None:
    """The name in a Content-Disposition."""
    return one(b"Content-Disposition: " + value).filename


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "b", close: bytes = b"\r\n--b--\r\n") -> bytes:
    """A whole mail. A part comes with its header and the empty line, and without the line end before the boundary."""
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="{boundary}"\r\n'.encode()
    return head + b"".join(b"\r\n--" + boundary.encode() + b"\r\n" + part for part in parts) + close


def attachment(name: bytes, content: bytes) -> bytes:
    """A part in base64, as mailers write it."""
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")[:-2]
    return (
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="' + name + b'"\r\n\r\n' + encoded
    )


def contents(mail: bytes) -> list[bytes]:
    """The decoded attachments."""
    return [bytes(part.decode()) for part in parse(mail).attachments]


# -- C89: base64 ------------------------------------------------------------------------------------------------

foreign = st.sampled_from([b"\r\n", b" ", b"\t", b"!", b"-", b"_", b".", b"\x00", b"\x80", b"\xff", b"\r\n\r\n"])


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 400), foreign), max_size=8))
def test_c89_foreign_characters_are_ignored(content: bytes, strangers: list[tuple[int, bytes]]) -> None:
    """Whatever stands between the characters of base64, the octets are those that were sent; line ends and white space
    are no defect, anything else is one."""
    body = base64.b64encode(content)
    for at, stranger in strangers:
        body = body[:at] + stranger + body[at:]
    octets, defects = decoded("base64", body)
    assert octets == content
    assert bool(defects) == any(stranger.strip() for _, stranger in strangers)


@pytest.mark.parametrize("width", [4, 60, 72, 76, 77, 990, 1 << 20])
@pytest.mark.parametrize("stranger", [b"", b"!", b"\r\n", b"\r\n ", b"----"])
@pytest.mark.parametrize("size", [100_000, 98_496])
def test_c89_in_lines_of_any_width(width: int, stranger: bytes, size: int) -> None:
    """Big bodies are decoded many lines at a time; a foreign octet in the midst of them, or a line end where none is
    wont to be, changes nothing."""
    content = hashlib.shake_128(b"c89").digest(size)
    body = base64.b64encode(content)
    body = b"\r\n".join(body[at : at + width] for at in range(0, len(body), width))
    octets, defects = decoded("base64", body[:70_001] + stranger + body[70_001:])
    assert octets == content
    assert bool(defects) == bool(stranger.strip())


def test_c89_exchanged_line_ends_hide_no_foreign_character() -> None:
    """A line end less and two foreign characters more leave the length as it was, and are found out all the same."""
    body = bytearray(base64.encodebytes(bytes(100_000)).replace(b"\n", b"\r\n"))
    body[76:78] = b"!!"
    assert decoded("base64", bytes(body)) == (bytes(100_000), ["characters foreign to base64 are ignored"])


@pytest.mark.parametrize(
    ("body", "content", "defect"),
    [
        (b"QUJDRA==", b"ABCD", ""),
        (b"QUJDRA", b"ABCD", "base64 without its padding"),
        (b"QUJDRA=", b"ABCD", "base64 without its padding"),
        (b"QUJDREU", b"ABCDE", "base64 without its padding"),
        (b"QUJDRA====", b"ABCD", ""),
        (b"QUJD====", b"ABC", ""),
        (b"QUJDR", b"ABC", "base64 ends within an octet: its last character is left out"),
        (b"Q", b"", "base64 ends within an octet: its last character is left out"),
        (b"====", b"", ""),
        (b"", b"", ""),
        (b"QQ==\r\nQUJD", b"A", "base64 goes on after its padding: the rest is left out"),
        (b"QUI=QUJD", b"AB", "base64 goes on after its padding: the rest is left out"),
        (b"Q=UJD", b"ABC", "characters foreign to base64 are ignored"),
        (b"QU=JD", b"ABC", "characters foreign to base64 are ignored"),
        (b"QUJD=QUJD", b"ABCABC", "characters foreign to base64 are ignored"),
        (b"QR==", b"A", ""),
    ],
)
def test_c89_padding_and_end(body: bytes, content: bytes, defect: str) -> None:
    """Padding may be missing; where it completes a group it ends the data (RFC 2045 6.8); as much as can be is decoded,
    and a defect says what is amiss."""
    assert decoded("base64", body) == (content, [defect] if defect else [])


# -- C90: quoted-printable, and everything else -------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_c90_what_the_standard_library_encodes(content: bytes) -> None:
    """Any octets come back out of quoted-printable, soft line breaks and all."""
    content = content.replace(b"\r", b"").replace(b"\n", b"\r\n")
    body = quopri.encodestring(content.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    assert decoded("quoted-printable", body) == (content, [])


@pytest.mark.parametrize(
    ("body", "content", "defective"),
    [
        (b"soft=\r\n break", b"soft break", False),
        (b"soft= \t\r\n break", b"soft break", False),
        (b"soft at the end=", b"soft at the end", False),
        (b"soft at the end= ", b"soft at the end", False),
        (b"hard \t\r\n break  ", b"hard\r\n break", False),
        (b"kept=20\r\nspace", b"kept \r\nspace", False),
        (b"=41=4a=4A=c3=BF", b"AJJ\xc3\xbf", False),
        (b"1=2, =XY, =4, 100=%", b"1=2, =XY, =4, 100=%", True),
        (b"==41", b"==41", True),
        (b"=4", b"=4", True),
        (b"raw \xe9 and \x00", b"raw \xe9 and \x00", False),
        (b"_=\r\n\r\n_", b"_\r\n_", False),
    ],
)
def test_c90_soft_breaks_and_escapes(body: bytes, content: bytes, defective: bool) -> None:
    """Soft breaks go, white space at the end of a line goes (RFC 2045 6.7 (3)), hex may be lower case, and a = that
    escapes nothing is kept as it stands."""
    octets, defects = decoded("quoted-printable", body)
    assert octets == content
    assert bool(defects) == defective


@pytest.mark.parametrize("encoding", ["x-rot13", "base-64", "\x1b[2J", "é", "x" * 1000])
def test_c90_an_unknown_encoding_is_stored_as_it_is(encoding: str) -> None:
    """The octets stay those of the mail, and the defect names the encoding without its controls, and not at length."""
    octets, (defect,) = decoded(encoding, GIF)
    assert octets == GIF
    assert "unknown transfer encoding" in defect
    assert defect.isprintable()
    assert len(defect) < 100


@pytest.mark.parametrize("encoding", ["", "7bit", "8BIT", "Binary (so to speak)"])
def test_c90_no_encoding(encoding: str) -> None:
    """7bit, 8bit, binary and none at all: the octets of the mail, its line ends included."""
    assert decoded(encoding, b"a\r\n\x00\xff=41") == (b"a\r\n\x00\xff=41", [])


@pytest.mark.parametrize("encoding", ["x-uuencode", "uuencode", "X-UUE", "uue"])
@given(content=st.binary(max_size=200))
def test_c90_uuencode(encoding: str, content: bytes) -> None:
    """Uuencode, which nobody standardised, is decoded too, whatever stands before and after it."""
    lines = [binascii.b2a_uu(content[at : at + 45])[:-1] for at in range(0, len(content), 45)]
    body = b"\r\n".join([b"see below", b"begin 644 x.bin", *lines, b"`", b"end", b"see above"])
    assert decoded(encoding, body) == (content, [])


@pytest.mark.parametrize(
    ("body", "content", "defect"),
    [
        (b"no begin", b"no begin", "uuencode without its begin: left as it is"),
        (b"begin 644 x\r\n#04)#", b"ABC", "uuencode without its end"),
        (b"begin 644 x\r\n#04)#superfluous\r\n\r\nend", b"ABC", ""),
        (b"begin 644 x\r\n#04)#\r\n\xff\xff\r\nend", b"ABC", "lines that are no uuencode are left out"),
    ],
)
def test_c90_broken_uuencode(body: bytes, content: bytes, defect: str) -> None:
    """As much as can be is decoded, and a defect says what is amiss."""
    assert decoded("x-uuencode", body) == (content, [defect] if defect else [])


def test_c90_a_broken_part_is_stored_and_told(tmp_path: Path) -> None:
    """What is wrong with an attachment is told of it, and of the mail, which is delivered all the same."""
    broken = b"Content-Type: image/x\r\nContent-Transfer-Encoding: x-rot13\r\n\r\nNOP"
    mail = multipart(attachment(b"a.gif", b"A"), broken, close=b"")
    stored = Store(tmp_path, "a.test", durable=False).deliver("id1", b"", mail, ["vader"])
    unknown = "unknown transfer encoding 'x-rot13': left as it is"
    assert [(kept.content, kept.defects) for kept in stored.attachments] == [(b"A", ()), (b"NOP", (unknown,))]
    assert stored.defects == ("a multipart that is not closed", f"attachment 2: {unknown}")


# -- C91: where parts begin and end ---------------------------------------------------------------------------------


def test_c91_preamble_and_epilogue_are_ignored() -> None:
    """What stands before the first boundary and after the last is no part, not even if it looks like one."""
    mail = multipart(b"\r\ntext", attachment(b"a", b"A"), close=b"\r\n--b--\r\nepilogue\r\n--b\r\n\r\nno part\r\n")
    mail = mail.replace(b'"b"\r\n', b'"b"\r\n\r\npreamble\r\n--b--\r\n', 1)
    parsed = parse(mail)
    assert (parsed.text, contents(mail), parsed.defects) == ("text", [b"A"], ())


@pytest.mark.parametrize("close", [b"", b"\r\n", b"\r\n--b", b"\r\n--b-", b"\r\n--bb--\r\n", b" --b--\r\n"])
def test_c91_a_missing_last_boundary_is_tolerated(close: bytes) -> None:
    """A mail cut short before its last boundary still has its parts; the defect is told."""
    parsed = parse(multipart(b"\r\ntext", attachment(b"a", b"A" * 30), close=close))
    assert bytes(parsed.attachments[0].decode())[:30] == b"A" * 30
    assert parsed.defects == ("a multipart that is not closed",)


@pytest.mark.parametrize("content", [b"", b"\r\n", b"a", b"a\r\n", b"\r\na\r\n\r\n"])
def test_c91_the_line_end_before_a_boundary_belongs_to_it(content: bytes) -> None:
    """One line end, and no more, is taken off (RFC 2046 5.1.1)."""
    part = b"Content-Type: image/x\r\n\r\n" + content
    assert contents(multipart(part, part)) == [content, content]


@pytest.mark.parametrize("padding", [b" ", b"\t", b" \t  " * 100])
def test_c91_white_space_after_a_boundary(padding: bytes) -> None:
    """A boundary may be followed by white space (transport padding), the last one too."""
    mail = multipart(attachment(b"a", b"A"), attachment(b"b", b"B")).replace(b"--b", b"--b" + padding)
    assert contents(mail.replace(b"--b" + padding + b"--", b"--b--" + padding)) == [b"A", b"B"]


@pytest.mark.parametrize("line", [b"--ba", b"--b-", b"--b---", b" --b", b"x--b", b"-b", b"--B", b"\x00--b", b"--b x"])
def test_c91_a_line_that_only_looks_like_a_boundary(line: bytes) -> None:
    """A boundary is a whole line, letter for letter."""
    text = b"one\r\n" + line + b"\r\ntwo"
    assert contents(multipart(b"Content-Type: image/x\r\n\r\n" + text)) == [text]


@pytest.mark.parametrize("distance", [1 << 12, 1 << 14, 1 << 16])
def test_c91_however_far_a_boundary_is_from_the_last_dash(distance: int) -> None:
    """Boundaries are looked for near dashes, and found at any distance from one, at the edge of what is near too."""
    for far in range(distance - 20, distance + 20):
        text = b"-" + b"x" * far
        assert contents(multipart(b"Content-Type: image/x\r\n\r\n" + text, attachment(b"a", b"A"))) == [text, b"A"]


def test_c91_a_boundary_that_begins_another() -> None:
    """b, bc and b-- at once: each line belongs to the one that it names whole, an inner boundary not to the outer."""
    inner = multipart(attachment(b"a", b"A"), attachment(b"b", b"B"), boundary="bc", close=b"\r\n--bc--")
    innermost = multipart(attachment(b"c", b"C"), boundary="bcd", close=b"\r\n--bcd--\r\n--bc\r\n--bcd")
    mail = multipart(inner, innermost, attachment(b"d", b"D"))
    assert contents(mail) == [b"A", b"B", b"C", b"D"]
    assert parse(mail).defects == ()


def test_c91_an_outer_boundary_ends_what_is_inside() -> None:
    """Where the inner last boundary is missing, the outer one ends the inner multipart, and what follows is outside."""
    inner = multipart(attachment(b"a", b"A"), boundary="i", close=b"")
    mail = multipart(inner, b"Content-Type: image/x\r\n\r\n--i\r\n")
    assert contents(mail) == [b"A", b"--i\r\n"]
    assert parse(mail).defects == ("a multipart that is not closed",)


@pytest.mark.parametrize(
    ("content_type", "defect"),
    [
        (b"multipart/mixed", "a multipart without a boundary"),
        (b'multipart/mixed; boundary=""', "a multipart without a boundary"),
        (b'multipart/mixed; boundary="' + b"b" * 1000 + b'"', "a multipart without a boundary"),
        (b"multipart/mixed; boundary=c", "a multipart whose boundary never appears"),
    ],
)
def test_c91_a_multipart_that_cannot_be_split(content_type: bytes, defect: str) -> None:
    """It is one attachment, left as it is, and nothing of it is lost."""
    body = b"\r\n--b\r\n\r\ntext\r\n--b--\r\n"
    (part,) = parse(b"Content-Type: " + content_type + b"\r\n\r\n" + body).attachments
    assert (part.content_type, bytes(part.decode()), part.defects) == ("multipart/mixed", body, (defect,))


def test_c91_nothing_between_two_boundaries() -> None:
    """Two boundaries in a row have no part between them; an empty line between them is an empty part."""
    image = b"Content-Type: image/x\r\n\r\n"
    assert contents(multipart(image + b"A\r\n--b\r\n--b", image + b"B", close=b"\r\n--b\r\n--b--\r\n")) == [b"A", b"B"]
    assert contents(multipart(b"\r\ntext", b"", image)) == [b"", b""]


def test_c91_a_boundary_with_a_colon_is_no_header() -> None:
    """RFC 2046's own example of a boundary has a colon, and may follow the header at once."""
    boundary = "gc0pJq0M:08jU534c0p"
    close = f"\r\n--{boundary}--\r\n".encode()
    mail = multipart(b"Content-Type: image/x", attachment(b"a", b"A"), boundary=boundary, close=close)
    assert contents(mail) == [b"", b"A"]
    assert parse(mail).attachments[0].defects == ()


# -- C92: names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name"),
    [
        # RFC 2045: tokens, quoted strings, comments, folding
        (b"attachment; filename=plan.gif", "plan.gif"),
        (b'ATTACHMENT;FileName = "plan.gif" ;x=y', "plan.gif"),
        (b'attachment; filename="semi;colon.bin"; size=3', "semi;colon.bin"),
        (b'attachment; filename="a \\"b\\" \\\\ c.gif"', 'a "b" \\ c.gif'),
        (b'attachment (not; filename="this.gif" (nor this)); filename (is) = (so) "plan.gif" (!)', "plan.gif"),
        (b'attachment;\r\n\tfilename="a\r\n b.gif"', "a b.gif"),
        # RFC 2231: encoded, continued, both, in any order
        (b"attachment; filename*=utf-8''na%C3%AFve.gif", "naïve.gif"),
        (b"attachment; filename*=ISO-8859-1'fr'na%efve%20plan.gif", "naïve plan.gif"),
        (b"attachment; filename*=iso-2022-jp''%1B%24B%25F%259%25H%1B%28B.gif", "テスト.gif"),
        (b"attachment; filename*=''plan%20a.gif", "plan a.gif"),
        (b"attachment; filename*=utf-8'%27'it%27s.gif", "it's.gif"),
        (b'attachment; filename*0="a very "; filename*1=long; filename*2=" name.gif"', "a very long name.gif"),
        (b'attachment; filename*2=" name.gif"; filename*0="a very "; filename*1=long', "a very long name.gif"),
        (b"attachment; filename*0*=utf-8''a%20%C3; filename*1*=%AF%20b; filename*2=\"%20.gif\"", "a ï b%20.gif"),
        (b"attachment; " + b"; ".join(b"filename*%d=%d" % (n, n % 10) for n in range(12)), "012345678901"),
        (b"attachment; filename=old.gif; filename*=utf-8''n%C3%A9w.gif", "néw.gif"),
        (b"attachment; filename*=utf-8''n%C3%A9w.gif; filename=old.gif", "néw.gif"),
        (b"attachment; filename=plan.gif; filename*=utf-8''", "plan.gif"),
        # RFC 2047, which does not allow it here, and is used all the same
        (b'attachment; filename="=?utf-8?b?bmHDr3Zl?= =?utf-8?q?_plan.gif?="', "naïve plan.gif"),
        (b'attachment; filename="=?utf-8?b?bmHDr3Zl?=.gif"', "naïve.gif"),
        (b"attachment; filename==?iso-8859-1?q?na=EFve_plan.gif?=", "naïve plan.gif"),
        (b'attachment; filename="=?utf-8?b?bmHD?=\r\n =?utf-8?b?r3ZlLmdpZg==?="', "naïve.gif"),
        (b'attachment; filename*0="=?utf-8?q?na=C3"; filename*1="=AFve?=.gif"', "naïve.gif"),
        # neither: raw octets
        ('attachment; filename="naïve ☃.gif"'.encode(), "naïve ☃.gif"),
        ("attachment; filename=naïve.gif".encode(), "naïve.gif"),
        ('attachment; filename="naïve.gif"'.encode("latin-1"), "naïve.gif"),
        # what should have been quoted, and what never ends
        (b"attachment; filename=my plan.gif; size=3", "my plan.gif"),
        (b"attachment; filename=plan(1),[2]@3=4.gif", "plan(1),[2]@3=4.gif"),
        (b'attachment; filename="plan.gif', "plan.gif"),
        (b'attachment; filename="plan.gif" (', "plan.gif"),
        (b'attachment; filename="plan.gif"s (x)(y "z"; size=3', "plan.gif"),
        (b'attachment filename="plan.gif"', "plan.gif"),
        (b'filename="plan.gif"', "plan.gif"),
        (b"attachment;; ;=; ;filename=plan.gif", "plan.gif"),
        # no name
        (b"attachment", None),
        (b'attachment; filename=""', None),
        (b"attachment; filename", None),
        (b"attachment; filename*x=plan.gif", None),
    ],
)
def test_c92_the_name_in_content_disposition(value: bytes, name: str | None) -> None:
    """Continued, encoded and charset names are decoded, and what mailers write instead of them."""
    assert named(value) == name


@pytest.mark.parametrize(
    ("parameter", "disposition", "name"),
    [
        (b'; name="a.gif"', b"", "a.gif"),
        (b'; name="a.gif"', b"attachment", "a.gif"),
        (b'; name="a.gif"', b'attachment; filename="b.gif"', "b.gif"),
        (b'; name="a.gif"', b'attachment; filename=" "', "a.gif"),
        (b"; name*=utf-8''%C3%AF.gif", b"", "ï.gif"),
        (b'; name="=?utf-8?q?=C3=AF?=.gif"', b"", "ï.gif"),
    ],
)
def test_c92_the_name_in_content_type_stands_in(parameter: bytes, disposition: bytes, name: str) -> None:
    """Where Content-Disposition names nothing, the `name` of Content-Type counts."""
    mail = b"Content-Type: image/gif" + parameter + b"\r\nContent-Disposition: " + disposition + b"\r\n\r\n"
    assert [part.filename for part in parse(mail).attachments] == [name]


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (b"Hello  there ", "Hello  there "),
        (b"Hello\r\n there", "Hello there"),
        (b"=?utf-8?q?Hello_there?=", "Hello there"),
        (b"=?UTF-8?B?SGVsbG8=?= there", "Hello there"),
        (b"=?utf-8?q?Hel?= =?iso-8859-1?q?l?=\r\n\t=?us-ascii*en?q?o?=", "Hello"),
        (b"=?iso-8859-2*pl?q?=B1?=", "ą"),
        (b"=?utf-8?b?4pg=?= =?utf-8?b?gw==?=", "☃"),
        (b"=?utf-8?q?=E2=98=83?=\xe2\x98\x83=?utf-8?q?=E2=98=83?=", "☃☃☃"),
        (b"a=?utf-8?q?b?=c", "abc"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?x-unknown?q?caf=C3=A9?=", "café"),
        (b"=?x-unknown?q?caf=E9?=", "café"),
        (b"=?utf-8?q?caf=E9?=", "caf\ufffd"),
        (b"=?utf-8?b?SGVsbG8?=", "Hello"),
        (b"=?utf-8?x?SGVsbG8=?=", "=?utf-8?x?SGVsbG8=?="),
        (b"=?utf-8?q?never ends", "=?utf-8?q?never ends"),
        ("café ☃".encode(), "café ☃"),
        ("café".encode("latin-1"), "café"),
        (b"", ""),
    ],
)
def test_c92_the_subject(value: bytes, subject: str) -> None:
    """Encoded words are decoded wherever they stand, neighbours joined, even within a character; unknown charsets and
    raw octets are read as well as can be."""
    assert parse(b"Subject: " + value + b"\r\n\r\n").subject == subject


@pytest.mark.parametrize(
    "value",
    [
        b"attachment; filename*=utf-7''+2AA-.gif",
        b'attachment; filename="=?utf-7?q?+2AA-?=.gif"',
        b"attachment; filename*=utf-8''%ED%A0%80.gif",
        b'attachment; filename="\xed\xa0\x80.gif"',
        b"attachment; filename*=utf-16le''%00%D8.gif",
    ],
)
def test_c92_no_half_of_a_character(value: bytes) -> None:
    """A name can always be written as UTF-8, so into JSON, whatever the mail spells."""
    name = named(value)
    assert name is not None
    assert name.encode().decode() == name


# -- C93: names are no paths ----------------------------------------------------------------------------------------

NAMES = [
    b"../../etc/passwd",
    b"..\\\\..\\\\windows\\\\win.ini",
    b"/etc/passwd",
    b"C:\\\\boot.ini",
    b"\\\\\\\\server\\\\share\\\\x",
    b"CON",
    b"nul.txt",
    b"com1.gif",
    b"aux",
    b".",
    b"..",
    b"...",
    b".htaccess",
    b"x.gif.",
    b"x.gif ",
    b"x:stream.gif",
    b"a\x00b.gif",
    b"\x1b[2J.gif",
    b"*?<>|.gif",
    b"x" * 5000 + b".gif",
    b"." + b"y" * 5000,
    b"1.gif",
    b"~",
    b"-rf",
    b"$(reboot).gif",
    "\u202efig.exe".encode(),
]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_c93_a_path_in_a_name_is_never_used(tmp_path: Path) -> None:
    """Whatever the names are, the files have the server's own, lie in the mail's own folder, and hold the octets; what
    the mail called them is recorded."""
    inside = tmp_path / "inside"
    inside.mkdir()
    mail = multipart(*(attachment(name, b"%d" % number) for number, name in enumerate(NAMES)))
    stored = Store(inside, "a.test", durable=False).deliver("id1", b"", mail, ["vader"])
    assert len(files(tmp_path)) == len(files(inside)) == len(NAMES) + 1  # and the mail itself
    for number, (name, kept) in enumerate(zip(NAMES, stored.attachments, strict=True)):
        assert kept.path.parent == inside / "attachments" / "id1"
        assert kept.path.stem == str(number + 1)
        assert kept.path.suffix[1:].isalnum() and kept.path.name.isascii() and len(kept.path.name) < 20
        assert kept.path.read_bytes() == b"%d" % number
        assert kept.filename == name.decode().replace("\\\\", "\\").strip()


def test_c93_two_attachments_of_one_name_are_both_kept(tmp_path: Path) -> None:
    """Neither overwrites the other, in one mail and in two."""
    store = Store(tmp_path, "a.test", durable=False)
    mail = multipart(
        attachment(b"plan.gif", b"one"), attachment(b"plan.gif", b"two"), attachment(b"PLAN.GIF", b"three")
    )
    kept = [
        *store.deliver("id1", b"", mail, ["vader"]).attachments,
        *store.deliver("id2", b"", mail, ["vader"]).attachments,
    ]
    assert [attachment.content for attachment in kept] == [b"one", b"two", b"three"] * 2
    assert len({attachment.path for attachment in kept}) == 6


def test_c93_a_mail_never_overwrites_another(tmp_path: Path) -> None:
    """A mail id that was used before is refused, and the files of the first mail stay as they are."""
    store = Store(tmp_path, "a.test", durable=False)
    store.deliver("id1", b"", multipart(attachment(b"a.gif", b"one")), ["vader"])
    before = {path: (tmp_path / path).read_bytes() for path in files(tmp_path)}
    with pytest.raises(FileExistsError):
        store.deliver("id1", b"", multipart(attachment(b"a.gif", b"two")), ["vader"])
    assert {path: (tmp_path / path).read_bytes() for path in files(tmp_path)} == before


# -- C94: message/rfc822, and other things that are not taken apart ---------------------------------------------------


def test_c94_a_message_is_stored_whole(tmp_path: Path) -> None:
    """A mail within a mail is one attachment, octet for octet, whatever parts it has."""
    inner = b"Subject: inner\r\n" + multipart(attachment(b"a.gif", b"A"), boundary="inner", close=b"\r\n--inner--\r\n")
    mail = multipart(b"\r\ntext", b"Content-Type: message/rfc822\r\n\r\n" + inner, attachment(b"b.gif", b"B"))
    stored = Store(tmp_path, "a.test", durable=False).deliver("id1", b"", mail, ["vader"])
    assert [(kept.content_type, kept.content) for kept in stored.attachments] == [
        ("message/rfc822", inner),
        ("application/octet-stream", b"B"),
    ]
    assert stored.attachments[0].path.suffix == ".eml"
    assert (stored.text, stored.defects) == ("text", ())


def test_c94_the_parts_of_a_digest_are_messages() -> None:
    """In a multipart/digest, a part that does not name its type is a message (RFC 2046 5.1.5)."""
    mail = multipart(b"\r\nSubject: a\r\n\r\nA", b"Content-Type: text/plain\r\n\r\ntext", kind="digest")
    parsed = parse(mail)
    assert [(part.content_type, bytes(part.decode())) for part in parsed.attachments] == [
        ("message/rfc822", b"Subject: a\r\n\r\nA")
    ]
    assert parsed.text == "text"


def test_c94_an_outer_boundary_ends_a_message() -> None:
    """The outer boundary wins over anything in the message, even over a multipart in it that uses the same one."""
    inner = multipart(attachment(b"a.gif", b"A"), boundary="inner", close=b"")
    message = b"Content-Type: message/rfc822\r\n\r\n" + inner
    assert contents(multipart(message, message)) == [inner, inner]


def test_c94_nesting_has_a_cap() -> None:
    """Multiparts are taken apart down to the cap; what lies deeper is one attachment, left as it is, and told."""
    opened = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(DEPTH_LIMIT + 1)]
    closed = [b"\r\n--b%d--" % n for n in reversed(range(DEPTH_LIMIT + 1))]
    image = b"Content-Type: image/x\r\n\r\nA"
    assert contents(b"".join([*opened[:-1], image, *closed[1:]])) == [b"A"]
    (part,) = parse(b"".join([*opened, image, *closed])).attachments
    assert bytes(part.decode()) == b"--b50\r\n" + image + b"\r\n--b50--"
    assert part.defects == (f"multiparts nested deeper than {DEPTH_LIMIT}: left as it is",)


def test_c94_parts_have_a_cap() -> None:
    """Parts beyond the cap are left in the raw mail, and the defect says so."""
    image = b"Content-Type: image/x\r\n\r\nA"
    allowed = PART_LIMIT - 1  # the multipart is one, too
    assert len(contents(multipart(*[image] * allowed))) == allowed
    parsed = parse(multipart(*[image] * allowed, image))
    assert len(parsed.attachments) == allowed
    assert parsed.defects == (f"more than {PART_LIMIT:,} parts: the rest is not looked at",)
