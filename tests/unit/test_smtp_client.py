"""One connection to a next hop: what is said, and what each recipient is told, whatever the hop does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from smtp_pair.mail.address import NULL_PATH, Address
from smtp_pair.mail.envelope import NO_OPTIONS, Envelope, Recipient
from smtp_pair.mail.errors import DeliveryError
from smtp_pair.mail.reply import Reply
from smtp_pair.routes import NextHop
from smtp_pair.smtp_client import Broken, Patience, SmtpClient

if TYPE_CHECKING:
    from tests.unit.conftest import Says, ScriptedHop

    StartHop = Callable[..., Awaitable[ScriptedHop]]
    PassTime = Callable[[float], Awaitable[None]]

pytestmark = pytest.mark.asyncio

CLOSE, SILENT, RESET = b"<close>", b"<silent>", b"<reset>"
ALL = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000")
ONE_BY_ONE = ("8BITMIME", "SMTPUTF8", "SIZE 1000000")
LUKE = Address.parse("luke@jaku.com")
ONE, TWO, THREE = map(Address.parse, ("one@hop.test", "two@hop.test", "three@hop.test"))
MAIL = b"Subject: x\r\n\r\nbody\r\n"
PATIENT = Patience(connect=30, reply=30, final=30)


def envelope(*recipients: Address, sender: Address = LUKE, options: Mapping[str, str] = NO_OPTIONS) -> Envelope:
    return Envelope(sender, tuple(map(Recipient, recipients)), options)


def codes(replies: Sequence[Reply]) -> list[int]:
    return [reply.code for reply in replies]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[SmtpClient]]]:
    """Connects clients, and drops them at the end."""
    clients: list[SmtpClient] = []

    async def start(hop: ScriptedHop, patience: Patience = PATIENT) -> SmtpClient:
        clients.append(await SmtpClient.connect(hop.hop, "smtp.jaku.com", patience))
        return clients[-1]

    yield start
    for client in clients:
        client.abort()
    await asyncio.sleep(0)


Connect = Callable[..., Awaitable[SmtpClient]]


async def test_what_is_said(scripted_hop: StartHop, connect: Connect) -> None:
    """EHLO with the server's name, then the mail in the order of RFC 5321 3.3; a reply for each recipient."""
    hop = await scripted_hop({"RCPT": [b"250 2.1.5 one", b"251 2.1.5 two"]}, ALL)
    client = await connect(hop)
    replies = await client.send(envelope(ONE, TWO), MAIL)
    assert codes(replies) == [250, 250]
    assert hop.said == [
        [
            b"EHLO smtp.jaku.com",
            b"MAIL FROM:<luke@jaku.com> SIZE=%d" % len(MAIL),
            b"RCPT TO:<one@hop.test>",
            b"RCPT TO:<two@hop.test>",
            b"DATA",
        ]
    ]
    assert hop.mails == [MAIL]
    assert client.usable


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
async def test_many_mails_on_one_connection(scripted_hop: StartHop, connect: Connect, offers: Sequence[str]) -> None:
    """Also where one of them was refused in part or whole: the transaction does not linger (RFC 5321 4.1.1.5)."""
    hop = await scripted_hop({}, offers)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE), MAIL)) == [250]
    hop.say("MAIL", b"451 x")
    assert codes(await client.send(envelope(ONE), MAIL)) == [451]
    hop.say("MAIL", None)
    hop.say("RCPT", b"550 x")
    assert codes(await client.send(envelope(ONE, TWO), MAIL)) == [550, 550]
    hop.say("RCPT", None)
    hop.say("DATA", b"451 x")
    assert codes(await client.send(envelope(ONE), MAIL)) == [451]
    hop.say("DATA", None)
    assert client.usable
    assert codes(await client.send(envelope(ONE, TWO), MAIL)) == [250, 250]
    assert hop.mails == [MAIL, MAIL]
    assert hop.connections == 1
    assert hop.verbs().count("RSET") == 2  # after all recipients were refused, and after DATA was


async def test_commands_go_out_together() -> None:
    """RFC 2920, where PIPELINING is offered: DATA has been said when the hop answers MAIL."""

    async def wait_for_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        await reader.readline()
        writer.write(b"250-x\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 x\r\n250 x\r\n250 x\r\n354 x\r\n")
        contents.append(await reader.readuntil(b"\r\n.\r\n"))
        writer.write(b"250 x\r\n")
        await reader.read()
        writer.close()

    contents: list[bytes] = []
    server = await asyncio.start_server(wait_for_all, "127.0.0.1", 0)
    async with server:
        hop = NextHop("127.0.0.1", server.sockets[0].getsockname()[1], tls="off")
        client = await SmtpClient.connect(hop, "smtp.jaku.com", PATIENT)
        assert codes(await client.send(envelope(ONE, TWO), MAIL)) == [250, 250]
        await client.close()
    assert contents == [MAIL + b".\r\n"]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"RCPT": b"550 no"}, ["EHLO", "MAIL", "RCPT", "RCPT", "RSET"]),
        ({"MAIL": b"550 no"}, ["EHLO", "MAIL"]),
    ],
)
async def test_nothing_in_vain_without_pipelining(
    scripted_hop: StartHop, connect: Connect, replies: dict[str, Says], said: list[str]
) -> None:
    """Each command waits for its reply; a mail that has no recipient left is not gone on with."""
    hop = await scripted_hop(replies, ONE_BY_ONE)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, TWO), MAIL)) == [550, 550]
    assert hop.verbs() == said


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ({"MAIL": b"451 4.3.0 x"}, [451, 451, 451]),
        ({"MAIL": b"552 5.3.4 x"}, [552, 552, 552]),
        ({"RCPT": [b"250 x", b"450 x", b"550 x"]}, [250, 450, 550]),
        ({"RCPT": [b"550 x", b"550 x", b"450 x"]}, [550, 550, 450]),
        ({"RCPT": [b"550 x", b"250 x", b"550 x"], "dot": b"451 x"}, [550, 451, 550]),
        ({"DATA": b"451 x"}, [451, 451, 451]),
        ({"DATA": b"554 x"}, [554, 554, 554]),
        ({"RCPT": [b"550 x", b"250 x", b"450 x"], "DATA": b"452 x"}, [550, 452, 450]),
        ({"dot": b"452 x"}, [452, 452, 452]),
        ({"dot": b"550 x"}, [550, 550, 550]),
        ({"dot": b"299 x"}, [299, 299, 299]),
    ],
)
async def test_each_recipient_has_its_reply(
    scripted_hop: StartHop, connect: Connect, offers: Sequence[str], replies: dict[str, Says], expected: list[int]
) -> None:
    """C77: its own where it was refused by itself, the final one where it was not; the connection is good for more."""
    hop = await scripted_hop(replies, offers)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, TWO, THREE), MAIL)) == expected
    assert client.usable
    assert len(hop.mails) == (1 if 250 in expected or 299 in expected else 0)


async def test_a_hop_that_wants_data_for_nobody(scripted_hop: StartHop, connect: Connect) -> None:
    """RFC 2920 3.1: 354 although every recipient was refused; an empty mail ends it, and no content goes out."""
    hop = await scripted_hop({"RCPT": b"550 5.1.1 no", "DATA": b"354 go"}, ALL)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, TWO), MAIL)) == [550, 550]
    assert hop.mails == [b""]
    assert client.usable


WHERE = ["MAIL", "RCPT", "DATA", "dot"]


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
@pytest.mark.parametrize("how", [CLOSE, RESET, SILENT, b"nonsense", b"2500 x", b"999 x", b"250-" + b"x" * 70_000])
@pytest.mark.parametrize("where", WHERE)
async def test_a_hop_that_is_lost(
    scripted_hop: StartHop, connect: Connect, pass_time: PassTime, offers: Sequence[str], how: bytes, where: str
) -> None:
    """C79: dropped, reset, silent or talking nonsense, at each point of the talk: it is passing, for all, and the
    connection is not used again. Before the hop said anything of the mail, it is Broken: another connection decides."""
    hop = await scripted_hop({where: how}, offers)
    client = await connect(hop)
    sending = asyncio.ensure_future(client.send(envelope(ONE, TWO), MAIL))
    if how == SILENT:
        await hop.silent.wait()
        await pass_time(31)
    if where == "MAIL":
        with pytest.raises(Broken) as broken:
            await sending
        replies = [broken.value.reply] * 2
    else:
        replies = await sending
    assert [(reply.code, reply.enhanced) for reply in replies] == [(451, "4.4.2")] * 2
    assert "the connection to hop.test (127.0.0.1:" in replies[0].text
    assert not client.usable
    assert hop.mails == []


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
@pytest.mark.parametrize("where", ["DATA", "dot"])
async def test_what_was_refused_before_stays_refused(
    scripted_hop: StartHop, connect: Connect, offers: Sequence[str], where: str
) -> None:
    """C77: a hop that is lost later takes nothing back of what it has said of a recipient."""
    hop = await scripted_hop({"RCPT": [b"550 5.1.1 no", b"250 x", b"450 x"], where: CLOSE}, offers)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, TWO, THREE), MAIL)) == [550, 451, 450]
    assert not client.usable


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ({"MAIL": b"354 x"}, [451, 451]),
        ({"RCPT": [b"354 x", b"250 x"]}, [451, 451]),
        ({"RCPT": [b"550 x", b"354 x"]}, [550, 451]),
        ({"DATA": b"250 x"}, [451, 451]),
        ({"DATA": b"355 x"}, [451, 451]),
        ({"dot": b"354 x"}, [451, 451]),
    ],
)
async def test_a_hop_that_is_out_of_step(
    scripted_hop: StartHop, connect: Connect, offers: Sequence[str], replies: dict[str, Says], expected: list[int]
) -> None:
    """A reply that does not fit its command is not believed: a 250 to DATA, taken for a yes, would lose the mail."""
    hop = await scripted_hop(replies, offers)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, TWO), MAIL)) == expected
    assert not client.usable
    assert hop.mails == []


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ({"RCPT": [b"250 x", b"421 x"]}, [250, 421]),
        ({"DATA": b"421 x"}, [421, 421]),
        ({"dot": b"421 x"}, [421, 421]),
    ],
)
async def test_a_hop_that_is_closing(
    scripted_hop: StartHop, connect: Connect, offers: Sequence[str], replies: dict[str, Says], expected: list[int]
) -> None:
    """421 (RFC 5321 3.8) is the answer, and the connection is not used again."""
    hop = await scripted_hop(replies, offers)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, TWO), MAIL)) == expected
    assert not client.usable


@pytest.mark.parametrize("offers", [ALL, ONE_BY_ONE])
async def test_a_hop_that_had_closed(scripted_hop: StartHop, connect: Connect, offers: Sequence[str]) -> None:
    """421 to MAIL and then nothing: of the mail it has said nothing, so it is Broken, with the 421 in it."""
    hop = await scripted_hop({"MAIL": b"421 4.4.2 idle for too long", "RCPT": CLOSE}, offers)
    client = await connect(hop)
    if "PIPELINING" in offers:
        with pytest.raises(Broken) as broken:
            await client.send(envelope(ONE), MAIL)
        replies: Sequence[Reply] = [broken.value.reply]
    else:
        replies = await client.send(envelope(ONE), MAIL)
    assert [str(reply) for reply in replies] == ["421 4.4.2 idle for too long"]
    assert not client.usable


@pytest.mark.parametrize("chunk", [b"250-x\r\n" * 1000, b"250-" + b"y" * 1000 + b"\r\n"], ids=["lines", "long lines"])
async def test_a_reply_without_end(chunk: bytes) -> None:
    """A hop that talks for ever is cut off after some octets, and fills neither the memory nor the journal."""
    talked = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 hop.test\r\n")
            await reader.readline()
            while True:
                writer.write(chunk)
                await writer.drain()
        except OSError:
            talked.set()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        hop = NextHop("127.0.0.1", server.sockets[0].getsockname()[1], tls="off")
        with pytest.raises(Broken, match="its reply does not end"):
            await SmtpClient.connect(hop, "smtp.jaku.com", PATIENT)
        await talked.wait()


@pytest.mark.parametrize(
    ("replies", "code", "enhanced"),
    [
        ({"greeting": b"554 5.7.1 go away"}, 554, "5.7.1"),
        ({"greeting": b"421 4.3.2 closing"}, 421, "4.3.2"),
        ({"greeting": b"250 hello"}, 451, "4.4.2"),
        ({"greeting": b"354 hello"}, 451, "4.4.2"),
        ({"greeting": b"HTTP/1.1 400 Bad Request"}, 451, "4.4.2"),
        ({"greeting": CLOSE}, 451, "4.4.2"),
        ({"greeting": RESET}, 451, "4.4.2"),
        ({"greeting": SILENT}, 451, "4.4.2"),
        ({"EHLO": b"421 4.3.2 closing"}, 421, "4.3.2"),
        ({"EHLO": b"354 x"}, 451, "4.4.2"),
        ({"EHLO": CLOSE}, 451, "4.4.2"),
        ({"EHLO": b"502 x", "HELO": b"550 5.7.1 go away"}, 550, "5.7.1"),
    ],
)
async def test_a_hop_that_does_not_let_us_in(
    scripted_hop: StartHop, connect: Connect, pass_time: PassTime, replies: dict[str, Says], code: int, enhanced: str
) -> None:
    """Its own reply where it is a refusal, else a passing one of ours; a 2xx that is no greeting accepts no mail."""
    hop = await scripted_hop(replies)
    connecting = asyncio.ensure_future(connect(hop))
    if SILENT in replies.values():
        await hop.silent.wait()
        await pass_time(31)
    with pytest.raises(DeliveryError) as refused:
        await connecting
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, enhanced)


async def test_nobody_there() -> None:
    """451 4.4.1 with the hop's name and what is wrong; nobody is waited for."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(DeliveryError, match=rf"451 4.4.1 hop.test \(127.0.0.1:{port}\) does not answer"):
        await SmtpClient.connect(NextHop("127.0.0.1", port, "hop.test"), "smtp.jaku.com")


async def test_helo_for_a_hop_that_knows_no_ehlo(scripted_hop: StartHop, connect: Connect) -> None:
    """RFC 5321 3.2: no extension is used then."""
    hop = await scripted_hop({"EHLO": b"500 what?", "HELO": b"250 hop.test"}, ALL)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE), MAIL)) == [250]
    assert hop.said[0][1:3] == [b"HELO smtp.jaku.com", b"MAIL FROM:<luke@jaku.com>"]
    assert client.offers == {}


async def test_offers_in_any_case(scripted_hop: StartHop, connect: Connect) -> None:
    """RFC 5321 4.1.1.1: keywords are in any case; what they are followed by is kept."""
    hop = await scripted_hop({}, ("pipelining", "Size 123", "8bitMime"))
    client = await connect(hop)
    assert client.offers == {"PIPELINING": "", "SIZE": "123", "8BITMIME": "", "X": ""}


@pytest.mark.parametrize(
    ("offers", "mail", "sender", "options", "command"),
    [
        ((), MAIL, LUKE, {}, b"MAIL FROM:<luke@jaku.com>"),
        ((), MAIL, NULL_PATH, {}, b"MAIL FROM:<>"),
        (("SIZE",), b"x" * 7, LUKE, {}, b"MAIL FROM:<luke@jaku.com> SIZE=7"),
        (("8BITMIME",), MAIL, LUKE, {}, b"MAIL FROM:<luke@jaku.com>"),
        (("8BITMIME",), b"\xff", LUKE, {}, b"MAIL FROM:<luke@jaku.com> BODY=8BITMIME"),
        (("8BITMIME",), MAIL, LUKE, {"BODY": "8BITMIME"}, b"MAIL FROM:<luke@jaku.com> BODY=8BITMIME"),
        ((), MAIL, LUKE, {"BODY": "8BITMIME"}, b"MAIL FROM:<luke@jaku.com>"),
        (("SMTPUTF8",), MAIL, LUKE, {}, b"MAIL FROM:<luke@jaku.com>"),
        (("SMTPUTF8",), MAIL, LUKE, {"SMTPUTF8": ""}, b"MAIL FROM:<luke@jaku.com> SMTPUTF8"),
        ((), MAIL, LUKE, {"SMTPUTF8": ""}, b"MAIL FROM:<luke@jaku.com>"),
        (("SMTPUTF8",), MAIL, Address("é", "é.test"), {"SMTPUTF8": ""}, "MAIL FROM:<é@é.test> SMTPUTF8".encode()),
        ((), MAIL, Address('a "b', "a.test"), {}, b'MAIL FROM:<"a \\"b"@a.test>'),
    ],
)
async def test_what_the_hop_offers_is_used(
    scripted_hop: StartHop,
    connect: Connect,
    offers: Sequence[str],
    mail: bytes,
    sender: Address,
    options: dict[str, str],
    command: bytes,
) -> None:
    """SIZE, BODY and SMTPUTF8 where they are offered and there is something to say (C60, C62); C36: the null sender."""
    hop = await scripted_hop({}, offers)
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE, sender=sender, options=options), mail)) == [250]
    assert hop.said[0][1] == command


@pytest.mark.parametrize(
    ("offers", "mail", "recipient", "options", "code", "enhanced"),
    [
        (("SMTPUTF8",), b"Subject: x\r\n\r\n\xff\r\n", ONE, {}, 554, "5.6.3"),
        (("8BITMIME",), MAIL, Address("é", "hop.test"), {"SMTPUTF8": ""}, 553, "5.6.7"),
        (("8BITMIME",), MAIL, Address("a", "é.test"), {"SMTPUTF8": ""}, 553, "5.6.7"),
        (("8BITMIME",), "Subject: é\r\n\r\nx\r\n".encode(), ONE, {"SMTPUTF8": ""}, 553, "5.6.7"),
    ],
)
async def test_what_the_hop_does_not_offer_fails(
    scripted_hop: StartHop,
    connect: Connect,
    offers: Sequence[str],
    mail: bytes,
    recipient: Address,
    options: dict[str, str],
    code: int,
    enhanced: str,
) -> None:
    """C61: 8-bit octets without 8BITMIME: 5.6.3. C64: addresses or a header beyond ASCII without SMTPUTF8: 5.6.7.
    Nothing of the mail is said, and the connection is good for the next."""
    hop = await scripted_hop({}, offers)
    client = await connect(hop)
    (reply,) = await client.send(envelope(recipient, options=options), mail)
    assert (reply.code, reply.enhanced) == (code, enhanced)
    assert hop.verbs() == ["EHLO"]
    assert codes(await client.send(envelope(ONE), MAIL)) == [250]


async def test_8bit_in_the_body_alone_needs_no_smtputf8(scripted_hop: StartHop, connect: Connect) -> None:
    """C64: a mail that was announced as international, but has nothing of it in its envelope and header, goes."""
    hop = await scripted_hop({}, ("8BITMIME",))
    client = await connect(hop)
    mail = "Subject: x\r\n\r\né\r\n".encode()
    assert codes(await client.send(envelope(ONE, options={"SMTPUTF8": ""}), mail)) == [250]
    assert hop.mails == [mail]


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b""),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n..\r\n", b"a\r\n...\r\n"),
        (b"no line end", b"no line end\r\n"),
        (b"\0\r\n", b"\0\r\n"),
        (b"x" * 5000 + b"\r\n", b"x" * 5000 + b"\r\n"),
        ((b"." + b"y" * 100 + b"\r\n") * 20_000, (b".." + b"y" * 100 + b"\r\n") * 20_000),
    ],
    ids=range(8),
)
async def test_the_content_on_the_wire(scripted_hop: StartHop, connect: Connect, content: bytes, wire: bytes) -> None:
    """C46: dots are doubled and nothing else is changed; a big mail too; only CRLF.CRLF ends it (C44)."""
    hop = await scripted_hop()
    client = await connect(hop)
    assert codes(await client.send(envelope(ONE), content)) == [250]
    assert hop.mails == [wire]


async def test_a_hop_that_stops_reading(scripted_hop: StartHop) -> None:
    """A big mail to a hop that never reads it: given up when its time is over, and nothing more is written."""

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for reply in (b"250-x\r\n250 PIPELINING\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n"):
            await reader.readline()
            writer.write(reply)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await ended.wait()
        writer.transport.abort()

    ended = asyncio.Event()
    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        hop = NextHop("127.0.0.1", server.sockets[0].getsockname()[1], "hop.test", tls="off")
        client = await SmtpClient.connect(hop, "smtp.jaku.com", Patience(connect=30, reply=30, final=0.1))
        (reply,) = await client.send(envelope(ONE), b"x" * 30_000_000)
        assert str(reply) == f"451 4.4.2 the connection to hop.test (127.0.0.1:{hop.port}) broke: silent for 0.1 s"
        client.abort()
        ended.set()


async def test_parting_politely(scripted_hop: StartHop, connect: Connect) -> None:
    """QUIT (RFC 5321 4.1.1.10), without waiting for the answer."""
    hop = await scripted_hop({"QUIT": SILENT})
    client = await connect(hop)
    await client.close()
    assert client.gone
    assert not client.usable
    await client.close()
    client.abort()


async def test_a_connection_that_is_gone(scripted_hop: StartHop, connect: Connect) -> None:
    """Is known to be, once the other side has closed it."""
    hop = await scripted_hop()
    client = await connect(hop)
    assert not client.gone
    hop.hang_up()
    await client._connection._wait(asyncio.get_running_loop().time() + 30)
    assert client.gone


@given(
    st.lists(st.sampled_from([b"250 a", b"450 b", b"550 c", b"251 d", b"421 e"]), min_size=1, max_size=6), st.booleans()
)
async def test_any_mixture_of_replies(answers: list[bytes], pipelining: bool) -> None:
    """Whatever each recipient is answered: those that were accepted have the mail's reply, each other its own."""
    from tests.unit.conftest import ScriptedHop as Hop

    hop = await Hop({"RCPT": answers}, ALL if pipelining else ONE_BY_ONE).start()
    try:
        client = await SmtpClient.connect(hop.hop, "smtp.jaku.com", PATIENT)
        replies = await client.send(envelope(*(Address(f"r{n}", "hop.test") for n in range(len(answers)))), MAIL)
        client.abort()
    finally:
        await hop.stop()
    assert codes(replies) == [250 if answer[:1] == b"2" else int(answer[:3]) for answer in answers]
    assert hop.mails == ([MAIL] if 250 in codes(replies) else [])
