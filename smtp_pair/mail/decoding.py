"""Octets out of a transfer encoding (RFC 2045 6), text out of a charset.

What is broken is decoded as far as it goes, and told in words in a list of ``defects``; nothing here raises. It reads
as the standard library does, save where ``tests/unit/mail/test_mime_beside_stdlib.py`` says why not.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache

try:
    from pybase64 import b64decode
except ImportError:  # no wheel for this machine: the same octets at a quarter of the speed
    from binascii import a2b_base64 as b64decode  # type: ignore[assignment]  # takes more, no less

PIECE = 64 << 10
"""Octets of base64 decoded at a time. They stay in the processor's cache and need no fresh memory from the system:
twice as fast as the whole at once."""

_IN_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_IN_BASE64 = bytes(octet for octet in range(256) if octet not in _IN_BASE64)
_WHITE_SPACE = b" \t\r\n"
# Padding ends the data where it completes a group of four (RFC 2045 6.8); elsewhere a "=" is one more foreign octet.
_UP_TO_PADDING = re.compile(rb"(?:=*[^=]=*[^=]=?[^=][^=])*=*[^=]=*[^=](?:==|=?[^=]=)")

_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]+(?=\r\n|\Z)")  # tried at the first of many blanks only: linear
_STRAY_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r\n|\Z)=?")  # and what follows it, kept too (RFC 2045 6.7)

_UU_BEGIN = re.compile(rb"begin [0-7]+ ")

# Charsets are looked up here and not with codecs.lookup: that imports whatever module a stranger's mail names, keeps
# each name for ever, and has idna and punycode (quadratic, CVE-2022-45061) and unicode_escape (which warns) on offer.
_UNLISTED = ("cp720", "cp737", "cp874", "iso8859_1", "koi8_t", "koi8_u", "mac_croatian", "mac_romanian", "utf_8_sig")
_NO_CHARSETS = {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_CODECS = {codec: codec for codec in (*aliases.values(), *_UNLISTED)} | aliases


class Decoded:
    """The octets of a part, decoded as they are taken, once: piece by piece (``for piece in decoded``) or together
    (``bytes(decoded)``). When all are taken, ``defects`` is whole."""

    __slots__ = ("_pieces", "defects")

    def __init__(self, encoding: str, raw: memoryview, defects: list[str]) -> None:
        """``encoding`` is in lower case, ``raw`` as it stands in the mail, ``defects`` what is known before."""
        self.defects = defects
        decoder = _DECODERS.get(encoding)
        if decoder is None:
            defects.append(f"unknown transfer encoding {encoding[:40]!a}: left as it is")
            decoder = _as_it_is
        self._pieces = decoder(raw, defects)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return self._pieces

    def __bytes__(self) -> bytes:
        return b"".join(self._pieces)


def text(octets: bytes, charset: str, defects: list[str]) -> str:
    """``octets`` as text that can be written as UTF-8: without halves of surrogate pairs.

    Octets that are not in the charset become U+FFFD; if the charset is ASCII, or nobody knows it, they are guessed.
    """
    codec = _codec(charset)
    if codec is None:
        defects.append(f"unknown charset {charset[:40]!a}")
        return guessed(octets, defects)
    try:
        decoded = octets.decode(codec)
    except UnicodeError:
        defects.append(f"octets that are not in the charset {codec.replace('_', '-')}")
        decoded = guessed(octets, defects) if codec == "ascii" else octets.decode(codec, "replace")
    if decoded.isascii():
        return decoded
    return decoded.encode("utf-8", "replace").decode()  # UTF-7 can spell half a surrogate pair


@lru_cache(maxsize=64)
def _codec(charset: str) -> str | None:
    codec = _CODECS.get(normalize_encoding(charset).lower().replace(".", "_"))
    return None if codec in _NO_CHARSETS else codec


def guessed(octets: bytes, defects: list[str]) -> str:
    """``octets`` as UTF-8, or as Latin-1 where they are no UTF-8."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        defects.append("octets that are not UTF-8: read as Latin-1")
        return octets.decode("latin-1")


def base64(raw: bytes, defects: list[str]) -> bytes:
    """What base64 with anything wrong stands for: foreign characters, padding amiss, an incomplete end."""
    clean = raw.translate(None, _NOT_IN_BASE64)
    foreign = len(clean) < len(raw) and len(clean) < len(raw.translate(None, _WHITE_SPACE))
    data = clean.rstrip(b"=")
    padding = len(clean) - len(data)
    if b"=" in data:
        end = _UP_TO_PADDING.match(clean)
        if end is not None and end.end() < len(data):
            defects.append("base64 goes on after its padding: the rest is left out")
            data, padding = end[0], 2
        else:
            foreign = True
        data = data.replace(b"=", b"")
    if foreign:
        defects.append("characters foreign to base64 are ignored")
    over = len(data) % 4
    if over == 1:
        defects.append("base64 ends within an octet: its last character is left out")
        data = data[:-1]
    elif over and padding < 4 - over:
        defects.append("base64 without its padding")
    return b64decode(data + b"=" * (-len(data) % 4))


def _base64(raw: memoryview, defects: list[str]) -> Iterator[bytes]:
    """Whole lines, many at a time, as long as nothing is wrong with them; then the rest with care.

    Nothing is wrong with lines whose ends are where they belong, and that give as many octets as the characters between
    the ends stand for.
    """
    at = 0
    line = bytes(raw[:PIECE]).find(b"\r\n")
    if line > 0 and line % 4 == 0:
        stride = line + 2
        while (lines := min(PIECE // stride, (len(raw) - at - 1) // stride)) > 0:  # without the last one: it is padded
            piece = raw[at : at + lines * stride]
            if piece[line::stride] != b"\r" * lines or piece[line + 1 :: stride] != b"\n" * lines:
                break
            try:
                octets = b64decode(piece)
            except binascii.Error:
                break
            if len(octets) != lines * line // 4 * 3:
                break
            yield octets
            at += len(piece)
    yield base64(bytes(raw[at:]), defects)


def _quoted_printable(raw: memoryview, defects: list[str]) -> Iterator[bytes]:
    body = _TRAILING_SPACE.sub(b"", raw)  # added on the way (RFC 2045 6.7 (3)); so "= " at a line's end is soft too
    body, strays = _STRAY_ESCAPE.subn(lambda stray: b"=3D" * len(stray[0]), body)
    if strays:
        defects.append("quoted-printable with a = that escapes nothing: kept")
    yield binascii.a2b_qp(body)


def _uuencode(raw: memoryview, defects: list[str]) -> Iterator[bytes | memoryview]:
    lines = iter(bytes(raw).split(b"\r\n"))
    if not any(_UU_BEGIN.match(line) for line in lines):
        defects.append("uuencode without its begin: left as it is")
        yield raw
        return
    pieces: list[bytes] = []
    broken = 0
    for line in lines:
        if line.strip() == b"end":
            break
        if not line:  # to a2b_uu it stands for 32 octets of zero
            continue
        try:
            pieces.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Some encoders add characters; the first one says how many octets, so how many characters, there are.
            try:
                pieces.append(binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3]))
            except binascii.Error:
                broken += 1
    else:
        defects.append("uuencode without its end")
    if broken:
        defects.append("lines that are no uuencode are left out")
    yield b"".join(pieces)


def _as_it_is(raw: memoryview, defects: list[str]) -> Iterator[memoryview]:
    yield raw


_DECODERS: Mapping[str, Callable[[memoryview, list[str]], Iterator[bytes | memoryview]]] = {
    "7bit": _as_it_is,
    "8bit": _as_it_is,
    "binary": _as_it_is,
    "base64": _base64,
    "quoted-printable": _quoted_printable,
    "uuencode": _uuencode,
    "x-uuencode": _uuencode,
    "uue": _uuencode,
    "x-uue": _uuencode,
}
