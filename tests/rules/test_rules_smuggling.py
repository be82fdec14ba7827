"""Where a mail ends, and nowhere else: line ends, dots, and mails hidden in mails (C44 to C46, CVE-2023-51764)."""

from __future__ import annotations

import random
import re
from itertools import combinations, pairwise

import pytest

from harness.rules_plugin import Connect, MakeHop, Notes, Way
from harness.wire import Wire, codes
from smtp_pair import Domain, Pair
from smtp_pair.content import ContentReader
from smtp_pair.pytest_plugin import MailNetwork

HEAD = b"Subject: first\r\n\r\nfirst"
SMUGGLED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<%b>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled"
END = b"\r\n.\r\n"

BARE = [
    # what some server somewhere took for the end of a mail
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\n\n.\n\n",
    b"\r\r.\r\r",
    b"\n\r.\r\n",
    b"\r\n\r.\r\n",
    b"\r\n.\r\r\n",
    b"\r\n.\n\r\n",
    b"\r\n.\r\x00\n",
    b"\r\n.\n\r",
    b"\n..\r\n",
    b"\n..\n",
    b"\n.\x00\r\n",
]
WHOLE = [
    # the same with nothing but CRLF for a line end
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n. \r\n",
    b"\r\n.\t\r\n",
    b"\r\n..\r\n",
    b"\r\n...\r\n",
    b"\x0b.\x0b",
    b"\x0c.\x0c",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\\r\\n.\\r\\n",
    b"%0d%0a.%0d%0a",
]
VARIANTS = pytest.mark.parametrize("variant", BARE + WHOLE, ids=lambda variant: repr(variant)[2:-1])
PIECES = pytest.mark.parametrize("each", [False, True], ids=["at_once", "octet_by_octet"])


def arrives(wire: bytes) -> bytes:
    """What a content on the wire means: every CR, LF and CRLF ends a line, and a dot is dropped where an LF comes
    before it. Written line by line, unlike the product's."""
    content, before = b"", b"\r\n"
    for line, end in re.findall(rb"([^\r\n]*)(\r\n|\r|\n)", wire):
        content += (line[1:] if line[:1] == b"." and before.endswith(b"\n") else line) + b"\r\n"
        before = end
    return content


def one_mail(client: Wire, recipient: str, content: bytes, *, each: bool = False) -> str:
    """Send a content and its end; the codes of the one reply that follows. Nothing else was answered: NOOP is next."""
    client.open(recipient)
    assert client.ask(b"DATA").code == 354
    whole = content + END
    around = range(len(HEAD), len(HEAD) + 8)
    client.say(whole, cuts=[*around, *range(len(whole) - 5, len(whole))] if each else ())
    answer = client.reply()
    assert client.ask(b"NOOP").text == "still here"
    return codes(answer)


@PIECES
@VARIANTS
def test_c44_only_crlf_dot_crlf_ends(way: Way, wire: Connect, rule: Notes, variant: bytes, each: bool) -> None:
    """What looks like an end and is none, with a mail hidden behind it: one mail arrives, with all of it inside."""
    content = HEAD + variant + SMUGGLED % way.recipient.encode()
    assert one_mail(wire(way.start), way.recipient, content, each=each) == "250 2.0.0"
    rule.observed("250 2.0.0")
    [mail] = way.mails
    assert mail.content == arrives(content + b"\r\n")
    assert b"evil@example.org" in mail.content


@VARIANTS
def test_c44_at_the_very_end(way: Way, wire: Connect, rule: Notes, variant: bytes) -> None:
    """The same as the last octets before the real end."""
    assert one_mail(wire(way.start), way.recipient, HEAD + variant) == "250 2.0.0"
    rule.observed("250 2.0.0")
    assert [mail.content for mail in way.mails] == [arrives(HEAD + variant + b"\r\n")]


@VARIANTS
def test_c44_in_chunks(way: Way, wire: Connect, rule: Notes, variant: bytes) -> None:
    """By BDAT, where no dot means anything: the octets arrive, with CRLF for each line end, and so they do a hop away,
    where they go by DATA; the same with a real end in them."""
    for inside in (variant, END):
        content = HEAD + inside + SMUGGLED % way.recipient.encode()
        client = wire(way.start)
        client.open(way.recipient)
        client.say(b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(content), content))
        assert codes(rule.reply(client.reply(), to="BDAT")) == "250 2.0.0"
        assert client.reply().text == "still here"
        assert way.mails[-1].content == re.sub(rb"\r\n|\r|\n", b"\r\n", content) + b"\r\n"
    assert len(way.mails) == 2


@VARIANTS
def test_c44_what_is_sent_on(
    mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, variant: bytes
) -> None:
    """On the wire to the next hop every line ends in CRLF, and CRLF.CRLF is there once, at the end."""
    hop = next_hop("PIPELINING", "8BITMIME", "SMTPUTF8")
    network = mail_network("a.test", routes={"far.test": hop.address})
    content = HEAD + variant + SMUGGLED % b"x@far.test"
    assert one_mail(wire(network["a.test"]), "x@far.test", content) == "250 2.0.0"
    rule.observed("250 2.0.0")
    network.settle()
    [sent] = hop.contents
    assert re.fullmatch(rb"(?:[^\r\n]*\r\n)*", sent)
    assert sent.count(END) == 1 and sent.endswith(END)
    assert len(hop.said(b"MAIL")) == 1
    assert arrives(sent.removesuffix(b".\r\n")).endswith(arrives(content + b"\r\n"))


@pytest.mark.parametrize("bare", [b"\n", b"\r", b"\n\n", b"\r\r", b"\n\r", b"\r\r\n", b"\n\r\n", b"a\nb\rc\r\nd"])
def test_c45_bare_lf_is_never_forwarded(way: Way, wire: Connect, rule: Notes, bare: bytes) -> None:
    """Nor a bare CR: each becomes CRLF when the mail comes in, in the header and in the body, and is so stored and sent
    on; no line is lost."""
    content = b"Subject: a" + bare + b"X-Second: b\r\n\r\nc" + bare + b"d" + bare
    assert one_mail(wire(way.start), way.recipient, content) == "250 2.0.0"
    rule.observed("250 2.0.0")
    [mail] = way.mails
    assert mail.content == arrives(content + b"\r\n")
    assert re.fullmatch(rb"(?:[^\r\n]*\r\n)*", mail.raw)


@pytest.mark.parametrize("variant", BARE, ids=lambda variant: repr(variant)[2:-1])
def test_c45_bare_newline_rejected(mail_network: MailNetwork, wire: Connect, rule: Notes, variant: bytes) -> None:
    """With bare_newline="reject" it is 550 5.5.2, after the end and once; no mail comes of it, by DATA nor by BDAT, and
    the session goes on."""
    server = mail_network(Domain("a.test", bare_newline="reject"))["a.test"]
    client = wire(server)
    content = HEAD + variant + SMUGGLED % b"obiwan@a.test"
    assert one_mail(client, "obiwan@a.test", content) == "550 5.5.2"
    client.open("obiwan@a.test")
    client.say(b"BDAT %d LAST\r\n%b" % (len(content), content))
    assert codes(rule.reply(client.reply(), to='bare_newline = "reject"')) == "550 5.5.2"
    assert one_mail(client, "obiwan@a.test", HEAD) == "250 2.0.0"
    assert [mail.content for mail in server.messages] == [HEAD + b"\r\n"]


@pytest.mark.parametrize("variant", WHOLE, ids=lambda variant: repr(variant)[2:-1])
def test_c45_whole_lines_are_not_rejected(
    mail_network: MailNetwork, wire: Connect, rule: Notes, variant: bytes
) -> None:
    """A mail with CRLF alone is none of those."""
    client = wire(mail_network(Domain("a.test", bare_newline="reject"))["a.test"])
    assert one_mail(client, "obiwan@a.test", HEAD + variant) == "250 2.0.0"
    rule.observed("250 2.0.0")


def test_c45_dots_after_a_bare_lf(way: Way, wire: Connect, rule: Notes) -> None:
    """smtplib's sendmail sends LF as it is and doubles the dots after it: they are undone there too."""
    content = b"Subject: dots\n\n..one\n...two\r\n..three\n..\n"
    assert one_mail(wire(way.start), way.recipient, content.removesuffix(b"\n")) == "250 2.0.0"
    rule.observed("250 2.0.0")
    assert [mail.content for mail in way.mails] == [b"Subject: dots\r\n\r\n.one\r\n..two\r\n.three\r\n.\r\n"]


LINES = [b"", b".", b"..", b"...", b". ", b".a", b"..a", b"a.", b"a", b" .", b"\x00.", b".\x00"]


def stuffed(content: bytes) -> bytes:
    """The transparency of RFC 5321 4.5.2, line by line."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)


@pytest.mark.parametrize("seed", range(4))
def test_c46_dots_both_ways(way: Way, wire: Connect, rule: Notes, seed: int) -> None:
    """Lines that begin with dots, in every order, in random pieces: octet for octet as they were, on every hop."""
    rng = random.Random(seed)
    client = wire(way.start)
    contents = [b"\r\n".join([*rng.choices(LINES, k=rng.randrange(12)), b""]) for _ in range(25)]
    for content in contents:
        client.open(way.recipient)
        client.ask(b"DATA")
        whole = stuffed(content) + b".\r\n"
        client.say(whole, cuts=rng.sample(range(len(whole)), k=min(len(whole), rng.randrange(6))))
        assert rule.reply(client.reply()).code == 250
    assert sorted(mail.content for mail in way.mails) == sorted(contents)


@pytest.mark.parametrize("line", LINES)
def test_c46_dots_on_the_wire(
    mail_network: MailNetwork, wire: Connect, rule: Notes, next_hop: MakeHop, line: bytes
) -> None:
    """What is sent on has one dot more where a line begins with one, by whichever way it came in."""
    hop = next_hop("PIPELINING", "8BITMIME")
    network = mail_network("a.test", routes={"far.test": hop.address})
    content = line + b"\r\n\r\n" + line + b"\r\n" + line + b"\r\n"
    client = wire(network["a.test"])
    client.open("x@far.test")
    client.data(stuffed(content))
    client.open("x@far.test")
    client.say(b"BDAT %d LAST\r\n%b" % (len(content), content))
    assert rule.reply(client.reply()).code == 250
    network.settle()
    assert len(hop.contents) == 2
    assert all(sent.endswith(b"\r\n" + stuffed(content) + b".\r\n") for sent in hop.contents)


def test_c46_dot_in_any_piece(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """Cut at every place around a dot, a mail is the same, and so is its end."""
    client = wire(mail_pair.jaku)
    content = b"a\r\n.b\r\n.\r\n..\r\n"
    whole = stuffed(content) + b".\r\n"
    for cut in range(len(whole)):
        client.open("obiwan@jaku.com")
        client.ask(b"DATA")
        client.say(whole, cuts=[cut])
        assert rule.reply(client.reply()).code == 250
    assert {mail.content for mail in mail_pair.jaku.messages} == {content}


@pytest.mark.parametrize("content", [b"", b".\r\n", b"a\r\n.b\r\n.\r\n..\r\n", b"a\n.\nb\r\n", b"\r\n\r.\r\r\n"])
def test_c46_in_any_three_pieces(rule: Notes, content: bytes) -> None:
    """The same without a wire, where no two pieces can run into one: cut twice anywhere, and octet by octet, with a
    command behind it, the content, its end and the rest are the same."""
    whole = stuffed(content) + b".\r\nNOOP\r\n"
    places = range(len(whole) + 1)
    for cuts in [*combinations(places, 2), places]:
        reader = ContentReader(1000)
        ends = [0, *cuts, len(whole)]
        pieces = [whole[start:end] for start, end in pairwise(ends) if start < end]
        rest = next(rest for rest in map(reader.feed, pieces) if rest is not None)
        assert b"NOOP\r\n".startswith(rest)
        assert reader.content() == arrives(stuffed(content))
    rule.observed("250 2.0.0")
