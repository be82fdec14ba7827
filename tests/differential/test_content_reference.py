"""The content of a mail is found and mended as a slow reader does it, an octet at a time, however it is cut; and by
BDAT it is what it would have been by DATA."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.memory_transport import MemoryClient
from harness.reference import mend, read_content
from harness.sessions import cut
from harness.stock import Taken, codes, our_house
from smtp_pair import content
from smtp_pair.content import ChunkReader, ContentReader, LineEnds, has_bare_line_ends, stuff
from smtp_pair.session import Session

MANY = settings(max_examples=20 * settings().max_examples)
"""A thousand cases, four thousand on CI."""
NO_LIMIT = 1 << 20
START = [b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<a@b>\r\n"]

# Few letters, so that line ends and dots meet in every way.
wires = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n.", b"\0", b"\xff"]), max_size=16).map(
    b"".join
)
paces = st.one_of(st.just([1]), st.lists(st.integers(1, 7), min_size=1, max_size=4))


def read(chunks: Iterable[bytes], limit: int = NO_LIMIT) -> tuple[ContentReader, bytes | None]:
    """What our reader makes of the chunks, and what it leaves; None: it still waits for the end."""
    reader, coming = ContentReader(limit), iter(chunks)
    for chunk in coming:
        rest = reader.feed(chunk)
        if rest is not None:
            return reader, rest + b"".join(coming)
    return reader, None


@MANY
@given(wires, st.sampled_from([b"", b".\r\n", b"\r\n.\r\n", b"\n.\r\n", b"\r.\r\n"]), wires, paces)
@example(b"\r\n.\r", b"", b"\n", [1])
@example(b"", b".\r\n", b"", [1])
@example(b".\r\n.\r\n", b"", b"", [2])
def test_the_end_and_what_is_before_and_after_it(before: bytes, end: bytes, after: bytes, pace: list[int]) -> None:
    """The end is found where it is, and nowhere else; the content and what follows are the same (C44, C45, C46)."""
    wire = before + end + after
    expected = read_content(wire)
    reader, rest = read(cut(wire, pace))
    if expected is None:
        assert rest is None
        return
    assert rest == expected.rest
    assert reader.content() == expected.octets
    assert reader.bare == expected.bare
    assert not reader.too_big


@pytest.mark.parametrize(
    "wire", [b"a\r\n.b\r\n..\r\n.\r\nQUIT\r\n", b".\r\nQUIT\r\n", b"\n.\r\n\r.\r\n.\r\n", b"..\r\n.\r\n."]
)
def test_every_two_joints(wire: bytes) -> None:
    """Wherever a content is cut into three, it is the same."""
    expected = read_content(wire)
    assert expected is not None
    for one, other in combinations(range(len(wire) + 1), 2):
        reader, rest = read(filter(None, (wire[:one], wire[one:other], wire[other:])))
        assert (rest, reader.content()) == (expected.rest, expected.octets)


@MANY
@given(wires, paces, st.integers(1, 24))
def test_the_limit(before: bytes, pace: list[int], limit: int) -> None:
    """A content is too big when it is bigger than the limit once it is mended, dots and its end not counted; its end is
    found all the same, and nothing of it is left over (C54)."""
    wire = before + b"\r\n.\r\nQUIT\r\n"
    expected = read_content(wire)
    assert expected is not None
    reader, rest = read(cut(wire, pace), limit)
    assert rest == expected.rest
    content = reader.content()
    assert reader.too_big == (len(expected.octets) > limit)
    assert content == (b"" if reader.too_big else expected.octets)


@MANY
@given(wires)
def test_sent_on_and_read_again(wire: bytes) -> None:
    """What is stored, and put on the wire for the next hop, arrives there as it was: one end, no bare CR or LF."""
    content, _ = mend(wire + b"\r\n", dots=False)
    stuffed, end = stuff(content)
    again = read_content(stuffed + end)
    assert again is not None
    assert (again.octets, again.bare, again.rest) == (content, False, b"")


@MANY
@given(wires, paces)
def test_chunks_have_no_dots(octets: bytes, pace: list[int]) -> None:
    """A content in chunks is the same without dots and end, with CRLF at its last line too (C59)."""
    reader = ChunkReader(NO_LIMIT)
    for chunk in cut(octets, pace):
        reader.feed(chunk)
    expected, bare = mend(octets, dots=False)
    assert reader.content() == (expected if expected.endswith(b"\r\n") or not expected else expected + b"\r\n")
    assert reader.bare == bare


# -- through a session ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def sent(loop: asyncio.AbstractEventLoop, *octets: bytes, reject: bool = False) -> tuple[list[int], list[Taken]]:
    """The codes that a session of ours answers with, and the mails that it takes."""
    mails: list[Taken] = []
    with MemoryClient(loop, Session(our_house(mails, size=60, reject_bare=reject), loop)) as client:
        client.say(*START)
        return codes(client.say(*octets)), mails


def in_chunks(content: bytes, sizes: Sequence[int]) -> bytes:
    """The content as BDAT commands, the last one LAST."""
    pieces = list(cut(content, sizes))
    commands = b"".join(b"BDAT %d\r\n%b" % (len(piece), piece) for piece in pieces[:-1])
    last = pieces[-1] if pieces else b""
    return commands + b"BDAT %d LAST\r\n%b" % (len(last), last)


@MANY
@given(wires, st.lists(st.integers(1, 30), min_size=1, max_size=3), paces, st.booleans())
def test_bdat_takes_what_data_takes(
    loop: asyncio.AbstractEventLoop, octets: bytes, sizes: list[int], pace: list[int], reject: bool
) -> None:
    """The same mail, or the same refusal, by BDAT in any chunks and cut in any way as by DATA (C59)."""
    content = octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"
    by_data, mails = sent(loop, b"DATA\r\n", dotted(content) + b".\r\nNOOP\r\n", reject=reject)
    by_bdat, same = sent(loop, *cut(in_chunks(content, sizes) + b"NOOP\r\n", pace), reject=reject)
    assert by_data[1:] == by_bdat[-2:], "the reply to the mail, and to what follows it"
    assert same == mails


def dotted(content: bytes) -> bytes:
    """With a dot before each line that begins with one, after a bare LF too, as a client's transfer adds them."""
    doubled = content.replace(b"\n.", b"\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@MANY
@given(
    st.integers(0, 5),
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b""])), max_size=3),
    paces,
)
@example(4, 3, [(5, b"\n")], [18])
@example(4, 3, [(17, b"")], [17])
@example(1, 9, [], [3])
def test_a_bare_line_end_among_even_lines(
    length: int, lines: int, amiss: list[tuple[int, bytes]], pace: list[int]
) -> None:
    """Lines of one length, as big mails have them, are looked at in a way of their own: with it, too, a CR or an LF
    by itself is seen wherever it stands, and however the octets are cut (CVE-2023-51764)."""
    octets = (b"b" * length + b"\r\n") * lines
    for at, instead in amiss:
        octets = octets[:at] + instead + octets[at + 1 :]
    ends = LineEnds()
    with mock.patch.object(content, "_SMALL", 0):
        for piece in cut(octets, [size * (length + 2) if size % 2 else size for size in pace]):
            ends.feed(piece)
    assert ends.bare() == bool(BARE.search(octets))


@given(st.integers(1, 100), st.integers(0, 1 << 16), st.sampled_from([b"\r", b"\n", b"."]))
@example(76, 1, b"\n")
def test_a_bare_line_end_in_a_big_piece(length: int, at: int, octet: bytes) -> None:
    """The same at the size at which that way is taken."""
    octets = ((b"b" * length + b"\r\n") * (1 << 16))[: 1 << 16]
    octets = octets[:at] + octet + octets[at:]
    assert has_bare_line_ends(octets) == bool(BARE.search(octets))
