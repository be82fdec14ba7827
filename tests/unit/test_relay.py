"""One attempt at one next hop: always a reply for each recipient, connections kept, nothing taken sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.mail.reply import Reply
from smtp_pair.relay import AT_ONCE, KEEP, Relay
from smtp_pair.routes import NextHop
from smtp_pair.smtp_client import Patience, SmtpClient

if TYPE_CHECKING:
    from tests.unit.conftest import Says, ScriptedHop

    StartHop = Callable[..., Awaitable[ScriptedHop]]
    PassTime = Callable[[float], Awaitable[None]]

pytestmark = pytest.mark.asyncio

CLOSE, SILENT, RESET = b"<close>", b"<silent>", b"<reset>"
OFFERS = [("PIPELINING",), ()]
MAIL = b"Subject: x\r\n\r\nbody\r\n"
ENVELOPE = Envelope(
    Address.parse("luke@jaku.com"), tuple(Recipient(Address.parse(f"{name}@hop.test")) for name in ("one", "two"))
)


async def read() -> bytes:
    return MAIL


def codes(replies: Sequence[Reply]) -> list[int]:
    return [reply.code for reply in replies]


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[Relay]:
    one = Relay("smtp.jaku.com", Patience(connect=30, reply=30, final=30))
    yield one
    await one.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("offers", OFFERS)
async def test_a_connection_is_kept_for_the_next_mail(
    scripted_hop: StartHop, relay: Relay, offers: Sequence[str]
) -> None:
    """One connection carries them all, with one EHLO; at the end the relay parts politely."""
    hop = await scripted_hop({}, offers)
    for _ in range(3):
        assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.mails == [MAIL] * 3
    assert hop.verbs().count("EHLO") == hop.connections == 1
    await relay.close()
    await asyncio.wait(hop.sessions)
    assert hop.verbs()[-1] == "QUIT"


@pytest.mark.parametrize("offers", OFFERS)
async def test_a_session_that_takes_no_more_mails_is_given_up(
    scripted_hop: StartHop, relay: Relay, offers: Sequence[str]
) -> None:
    """Where MAIL is refused for now, it may be for the mails before: the next attempt begins another session."""
    hop = await scripted_hop({"MAIL": [b"250 2.1.0 x", b"452 4.5.3 too many mails", b"250 2.1.0 x"]}, offers)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [452, 452]
    assert hop.connections == 1
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.connections == 2


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ({"greeting": b"554 5.7.1 no"}, [554, 554]),
        ({"greeting": CLOSE}, [451, 451]),
        ({"EHLO": b"421 no"}, [421, 421]),
        ({"MAIL": b"552 no"}, [552, 552]),
        ({"MAIL": CLOSE}, [451, 451]),
        ({"MAIL": b"421 no", "RCPT": CLOSE}, [421, 421]),
        ({"RCPT": [b"550 no", b"250 yes"]}, [550, 250]),
        ({"RCPT": [b"550 no", b"250 yes"], "dot": CLOSE}, [550, 451]),
        ({"DATA": b"421 no"}, [421, 421]),
        ({"dot": b"451 no"}, [451, 451]),
        ({"dot": CLOSE}, [451, 451]),
        ({"dot": b"nonsense"}, [451, 451]),
    ],
)
async def test_always_a_reply_for_each_recipient(
    scripted_hop: StartHop, relay: Relay, offers: Sequence[str], replies: dict[str, Says], expected: list[int]
) -> None:
    """On a new connection, whatever happens: nothing is raised, nothing is tried twice (that is the spool's to decide);
    and the next attempt works, over the same connection or a new one."""
    hop = await scripted_hop(replies, offers)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == expected
    assert hop.connections == 1
    for where in replies:
        hop.say(where, None)
    taken = list(hop.mails)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.mails == [*taken, MAIL]


async def test_nobody_there(relay: Relay) -> None:
    """451 4.4.1 for each recipient, at once."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    replies = await relay.attempt(NextHop("127.0.0.1", port), ENVELOPE, read)
    assert [(reply.code, reply.enhanced) for reply in replies] == [(451, "4.4.1")] * 2


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("how", [CLOSE, RESET, b"421 4.4.2 idle for too long"])
async def test_an_idle_connection_that_the_hop_gave_up(
    scripted_hop: StartHop, relay: Relay, offers: Sequence[str], how: bytes
) -> None:
    """It says nothing about the mail: a new connection decides, at once, and the mail is sent once."""
    hop = await scripted_hop({}, offers)
    await relay.attempt(hop.hop, ENVELOPE, read)
    hop.say("MAIL", [how, b"250 x"])
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.mails == [MAIL] * 2
    assert hop.connections == 2


async def test_an_idle_connection_that_the_hop_closed(scripted_hop: StartHop, relay: Relay) -> None:
    """It is not even tried, once its end has been read; nor is one on which the hop has spoken unasked."""
    hop = await scripted_hop()
    await relay.attempt(hop.hop, ENVELOPE, read)
    hop.hang_up(b"421 4.4.2 idle for too long\r\n")
    await asyncio.wait(hop.sessions)
    for _ in range(10):
        await asyncio.sleep(0)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.connections == 2
    assert hop.verbs(0).count("MAIL") == 1


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("where", ["RCPT", "DATA", "dot"])
@pytest.mark.parametrize("how", [CLOSE, b"nonsense"])
async def test_a_kept_connection_that_breaks_later(
    scripted_hop: StartHop, relay: Relay, offers: Sequence[str], where: str, how: bytes
) -> None:
    """C79: once the hop has said something of the mail, the relay does not send it again by itself: it may have it."""
    hop = await scripted_hop({}, offers)
    await relay.attempt(hop.hop, ENVELOPE, read)
    hop.say(where, how)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [451, 451]
    assert hop.connections == 1
    hop.say(where, None)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.connections == 2


async def test_a_hop_that_closes_after_each_mail(scripted_hop: StartHop, relay: Relay) -> None:
    """As some do: every mail is sent, each once."""
    hop = await scripted_hop({"dot": b"250 2.0.0 taken\r\n421 4.3.2 closing"})
    for _ in range(3):
        assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.mails == [MAIL] * 3


async def test_a_kept_connection_is_given_up_after_a_while(
    scripted_hop: StartHop, relay: Relay, pass_time: PassTime
) -> None:
    """An idle connection is not held for ever; the next mail makes a new one."""
    hop = await scripted_hop()
    await relay.attempt(hop.hop, ENVELOPE, read)
    await pass_time(KEEP + 1)
    await asyncio.wait(hop.sessions)
    await relay.attempt(hop.hop, ENVELOPE, read)
    assert hop.connections == 2
    assert hop.mails == [MAIL] * 2


async def test_so_many_connections_at_once(scripted_hop: StartHop, relay: Relay) -> None:
    """A queue does not flood its hop; another hop is not held up by a full one; everything is sent in the end."""
    hop, other = await scripted_hop({"MAIL": SILENT}), await scripted_hop()
    attempts = [asyncio.ensure_future(relay.attempt(hop.hop, ENVELOPE, read)) for _ in range(AT_ONCE + 5)]
    while hop.waiting < AT_ONCE:
        await hop.silent.wait()
        hop.silent.clear()
    assert codes(await relay.attempt(other.hop, ENVELOPE, read)) == [250, 250]
    for _ in range(20):
        await asyncio.sleep(0)
    assert hop.connections == AT_ONCE
    hop.say("MAIL", None)
    hop.go_on()
    replies = await asyncio.gather(*attempts)
    assert all(codes(each) == [250, 250] for each in replies)
    assert len(hop.mails) == AT_ONCE + 5
    assert hop.connections == AT_ONCE


async def test_an_attempt_that_is_called_off(scripted_hop: StartHop, relay: Relay) -> None:
    """At a stop: its connection is dropped, and its place is free for the next."""
    hop = await scripted_hop({"dot": SILENT})
    for _ in range(AT_ONCE + 1):
        hop.silent.clear()
        attempt = asyncio.ensure_future(relay.attempt(hop.hop, ENVELOPE, read))
        await hop.silent.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    hop.say("dot", None)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]


async def test_a_fault_of_ours_leaks_no_connection(
    scripted_hop: StartHop, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool hears of it and puts the mail off; the connection is dropped: nobody knows what was said on it."""
    hop = await scripted_hop()
    await relay.attempt(hop.hop, ENVELOPE, read)

    async def fail(*_: object) -> None:
        raise RuntimeError("ours")

    with monkeypatch.context() as patched:
        patched.setattr(SmtpClient, "_content", fail)
        with pytest.raises(RuntimeError, match="ours"):
            await relay.attempt(hop.hop, ENVELOPE, read)
    await asyncio.wait(hop.sessions)
    assert codes(await relay.attempt(hop.hop, ENVELOPE, read)) == [250, 250]
    assert hop.connections == 2
