"""No mail hides in another one: every short string of CR, LF, dots and NULs between a mail and what would be a second
one, straight and a hop away, by DATA and by BDAT (CVE-2023-51764).

The rules' own tests (``tests/rules/test_rules_smuggling.py``) name the variants that are known; here are all of them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import pytest

from harness.memory_transport import MemoryClient
from harness.reference import mend, read_content
from harness.rules_plugin import Connect, MakeHop, Way
from harness.stock import Taken, codes, our_house
from harness.wire import Wire
from smtp_pair import Domain
from smtp_pair.mail.message import Mail
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.session import Session

END = b"\r\n.\r\n"
VARIANTS = [b"".join(some) for length in range(1, 6) for some in product((b"\r", b"\n", b".", b"\0"), repeat=length)]
VARIANTS.remove(END)
HEAD = b"Subject: first\r\n\r\nfirst"
WHOLE_LINES = re.compile(rb"(?:[^\r\n]*\r\n)*")
# What a server that is lenient takes for the end of a mail: any two of CRLF, CR and LF around a dot.
LENIENT_END = re.compile(rb"(?:\r\n|\r|\n)\.(?=\r\n|\r|\n)")


def hidden(variant: bytes, recipient: str) -> bytes:
    """A mail with another one in it, behind the variant."""
    commands = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient.encode()
    return HEAD + variant + commands + b"Subject: smuggled\r\n\r\nsmuggled"


def by_data(content: bytes) -> tuple[bytes, bytes]:
    """A content as it is, and its end."""
    return b"DATA\r\n", content + END


def by_bdat(content: bytes) -> tuple[bytes, bytes]:
    """A content in two chunks."""
    half = len(content) // 2
    return b"BDAT %d\r\n%b" % (half, content[:half]), b"BDAT %d LAST\r\n%b" % (len(content) - half, content[half:])


WayIn = Callable[[bytes], tuple[bytes, bytes]]
WAYS_IN = pytest.mark.parametrize("way_in", [by_data, by_bdat])


def sent(client: Wire, recipient: str, first: bytes, rest: bytes) -> int:
    """Send a mail and look that nothing but the mail is answered; the code of that."""
    client.say(b"MAIL FROM:<luke@example.org>\r\nRCPT TO:<%b>\r\n%b" % (recipient.encode(), first))
    assert [answer.code for answer in client.replies(3)] in ([250, 250, 354], [250, 250, 250])
    client.say(rest + b"NOOP\r\n")
    code = client.reply().code
    assert client.reply().text == "still here"
    return code


def expected(content: bytes, first: bytes) -> bytes:
    """What arrives of a content: by DATA without the dots of the transfer."""
    if first.startswith(b"DATA"):
        found = read_content(content + END)
        assert found is not None and not found.rest
        return found.octets
    return mend(content + b"\r\n", dots=False)[0]


def in_order(mails: Sequence[Mail]) -> list[bytes]:
    """The contents: those that were handed on may have overtaken each other."""
    return sorted(mail.content for mail in mails)


@WAYS_IN
def test_every_variant(way: Way, wire: Connect, way_in: WayIn) -> None:
    """One reply and one mail for each of 1,363, whole, without a bare CR or LF, and none from the smuggler."""
    client = wire(way.start)
    contents = [hidden(variant, way.recipient) for variant in VARIANTS]
    for content in contents:
        assert sent(client, way.recipient, *way_in(content)) == 250
    mails = way.mails
    assert len(mails) == len(contents)
    assert {mail.envelope.sender for mail in mails} == {"luke@example.org"}
    assert in_order(mails) == sorted(expected(content, way_in(content)[0]) for content in contents)
    assert all(WHOLE_LINES.fullmatch(mail.raw) for mail in mails)


@WAYS_IN
def test_every_variant_rejected(mail_network: MailNetwork, wire: Connect, way_in: WayIn) -> None:
    """With bare_newline="reject" those with a bare CR or LF are refused, once, and the others taken."""
    server = mail_network(Domain("a.test", bare_newline="reject"))["a.test"]
    taken: list[bytes] = []
    client = wire(server)
    for number, variant in enumerate(VARIANTS):
        if number % 15 == 0:  # before there are too many errors
            client = wire(server)
        content = hidden(variant, "x@a.test")
        bare = mend(content + b"\r\n")[1]
        assert sent(client, "x@a.test", *way_in(content)) == (550 if bare else 250)
        taken += [] if bare else [expected(content, way_in(content)[0])]
    assert in_order(server.messages) == sorted(taken)


@WAYS_IN
def test_every_variant_towards_a_lenient_server(
    mail_network: MailNetwork, wire: Connect, next_hop: MakeHop, way_in: WayIn
) -> None:
    """On the wire to a next hop that takes anything for an end there is one thing that it could take: the end."""
    hop = next_hop("PIPELINING", "8BITMIME")
    network = mail_network("a.test", routes={"far.test": hop.address})
    client = wire(network["a.test"])
    for variant in VARIANTS:
        assert sent(client, "x@far.test", *way_in(hidden(variant, "x@far.test"))) == 250
    network.settle()
    assert len(hop.contents) == len(hop.said(b"MAIL")) == len(VARIANTS)
    for content in hop.contents:
        assert WHOLE_LINES.fullmatch(content)
        assert [match.start() for match in LENIENT_END.finditer(content)] == [len(content) - len(END)]
    assert not hop.said(b"MAIL FROM:<EVIL")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("reject", [False, True], ids=["normalised", "rejected"])
@pytest.mark.parametrize(
    "variant", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\n.\r", b"..\r\n"]
)
def test_cut_at_every_place(loop: asyncio.AbstractEventLoop, variant: bytes, reject: bool) -> None:
    """Whatever two pieces the octets come in, there is one reply and at most one mail."""
    mails: list[Taken] = []
    whole = hidden(variant, "x@a.test") + END + b"NOOP\r\n"
    for cut in range(len(whole)):
        house = our_house(mails, size=1 << 20, reject_bare=reject)
        with MemoryClient(loop, Session(house, loop)) as client:
            client.say(b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<x@a.test>\r\nDATA\r\n")
            assert codes(client.say(whole[:cut], whole[cut:])) in ([250, 250], [550, 250])
    assert len({mail.content for mail in mails}) == len({mail.sender for mail in mails}) <= 1
