"""Does to one connection what the faults of its server say. A session asks it only while there are faults."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from smtp_pair.fault_list import Faults, InForce, Moment
from smtp_pair.faults import PHASES, Fired, Phase
from smtp_pair.mail.address import Address, parse_path
from smtp_pair.mail.errors import AddressError
from smtp_pair.mail.reply import OUR_FAULT, Reply
from smtp_pair.protocol import Conversation, Expects
from smtp_pair.tls import broken_context

_PIECE = 1 << 16
_TENTH = 10  # a throttled session moves so many times a second
_HANDSHAKE_FAILURE = bytes((21, 3, 3, 0, 2, 2, 40))  # a fatal alert (RFC 5246 7.2.2), which TLS 1.3 keeps
_TROUBLE = {"full": errno.ENOSPC, "error": errno.EIO}


class Ended(Exception):
    """The connection is to end here. ``polite``: it is closed as after a last word, else nothing more is said."""

    def __init__(self, *, polite: bool = False) -> None:
        super().__init__()
        self.polite = polite


@dataclass(frozen=True, slots=True)
class Reins:
    """What a session lets be done with its connection."""

    session: object
    reader: asyncio.StreamReader
    transport: Callable[[], asyncio.BaseTransport | None]
    """The one of now: TLS brings another."""
    flush: Callable[[], Awaitable[None]]
    send: Callable[[bytes], None]
    """Put octets behind what is to be said."""
    unread: Callable[[], int]
    """Octets that were read and not looked at."""
    client: Callable[[], str]
    fired: Callable[[Fired], None]


@dataclass(slots=True)
class Effects:
    """What is to come of a place, once all that takes time has been done."""

    reply: Reply | None = None
    garbage: bytes | None = None
    overlong: int = 0
    hidden: frozenset[str] = frozenset()
    tls: str = ""
    trouble: OSError | None = None

    @property
    def refusal(self) -> Reply | None:
        """The reply that stands for a refusal."""
        return self.reply if self.reply is not None and self.reply.refused else None

    def dressed(self, answer: Reply) -> bytes:
        """A reply of the server's own, as it is to go over the wire."""
        if self.reply is not None and answer.code // 100 == self.reply.code // 100:  # a challenge (334) is no success
            answer = self.reply
        wire = answer.wire
        last = len(wire) - wire.rfind(b"\r\n", 0, -2) - 2 if wire.count(b"\r\n") > 1 else len(wire)
        return wire[:-2] + b"x" * (self.overlong - last) + b"\r\n" if self.overlong else wire


@dataclass(slots=True)
class _Armed:
    """A fault that waits for octets."""

    one: InForce
    moment: Moment
    left: int


class Mischief:
    """The faults of one session. On the servers' thread only."""

    def __init__(self, faults: Faults, reins: Reins) -> None:
        self._faults = faults
        self._reins = reins
        self._talk: Conversation | None = None
        self._armed: list[_Armed] = []
        self._slow: dict[InForce, bool] = {}
        """Whom a throttle has struck, and whom it has passed by."""
        self._slow_body: dict[InForce, bool] = {}
        self._in_body = False
        self._tls = ""
        self._ended: Moment | None = None
        self._left = asyncio.Event()

    def left(self) -> None:
        """The client will say no more."""
        self._left.set()

    # -- the places ------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Before anything is said."""
        moment = self._moment("connect")
        await self._disturb(moment)
        await self._arm(moment)

    async def greeting(self, talk: Conversation, greeting: Reply) -> None:
        """Say it, or what comes instead."""
        self._talk = talk
        moment = self._moment("greeting")
        effects = await self._disturb(moment)
        if effects.refusal is not None:
            self._reins.send(effects.refusal.wire)
            raise Ended(polite=True)
        self._say(effects, greeting)
        await self._arm(moment)

    async def command(
        self, talk: Conversation, line: bytes, answer: Callable[[Conversation, bytes, Reply | None], Reply | None]
    ) -> None:
        """Answer a command line: as always, or not. ``answer`` is given the refusal that it meets, or None."""
        self._talk = talk
        phase = None if talk.authenticating else _phase_of(line)
        if phase is None:
            said = answer(talk, line, None)
            if said is not None:
                self._reins.send(said.wire)
            return
        moment = self._moment(phase, line)
        effects = await self._disturb(moment)
        talk.hide(effects.hidden)
        self._tls = effects.tls
        refusal = effects.refusal or (OUR_FAULT if effects.garbage is not None else None)
        said = answer(talk, line, refusal)
        self._say(effects, said)
        if phase == "QUIT":
            talk.expects = Expects.NOTHING
        if said is None or not said.refused:
            await self._arm(moment)

    async def content(self) -> None:
        """The content of a mail, or a chunk of it, begins to come."""
        self._in_body = True
        self._slow_body.clear()
        await self._arm(self._moment("body"))

    async def dot(self) -> Effects:
        """The content has come whole."""
        self._in_body = False
        self._armed = [one for one in self._armed if one.moment.phase != "body"]
        self._ended = self._moment("dot")  # for the transaction is forgotten before the mail is answered
        return await self._disturb(self._ended)

    def answers(self, talk: Conversation, effects: Effects) -> bool:
        """Whether a fault answers the mail. If so it is said, and the mail is not taken."""
        refusal = effects.refusal
        if refusal is None and effects.garbage is None:
            return False
        if refusal is not None and refusal.code == 421:
            talk.expects = Expects.NOTHING
        self._say(effects, refusal)
        return True

    async def receipt(self, effects: Effects, answer: Reply) -> None:
        """Say what became of the mail, or, where it was taken, what comes instead."""
        if answer.accepted and self._ended is not None:
            effects.garbage = (await self._disturb(replace(self._ended, phase="accepted"))).garbage
        self._say(effects, answer)

    async def after_dot(self) -> None:
        """The mail was accepted, and that was said."""
        if self._ended is not None:
            await self._arm(self._ended)

    async def handshake(self, context: ssl.SSLContext, *, implicit: bool) -> ssl.SSLContext:
        """What TLS begins with: the server's own context, or a broken one."""
        if implicit:
            self._tls = (await self._disturb(self._moment("STARTTLS"))).tls
        if self._tls == "handshake failure":
            transport = self._reins.transport()
            if isinstance(transport, asyncio.ReadTransport):
                transport.resume_reading()  # implicit TLS has paused it
            await self._reins.reader.read(_PIECE)  # what the client says to begin with
            self._reins.send(_HANDSHAKE_FAILURE)
            raise Ended(polite=True)
        return broken_context(self._tls, *self._faults.names) if self._tls else context

    # -- octets ----------------------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """The next octets from the client, as slowly as they are to come; what waits for them may end the session."""
        rate = self._rate()
        most = min([_PIECE, *(armed.left for armed in self._armed)])
        chunk = await self._reins.reader.read(min(most, max(1, rate // _TENTH)) if rate else most)
        if rate:
            await asyncio.sleep(len(chunk) / rate)
        if chunk and self._armed:
            for armed in self._armed:
                armed.left -= len(chunk)
            await self._go_off()
        return chunk

    async def write(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        """Say octets, as slowly as they are to go."""
        rate = self._rate()
        piece = max(1, rate // _TENTH) if rate else len(octets)
        for start in range(0, len(octets), piece):
            some = octets[start : start + piece]
            writer.write(some)
            await writer.drain()
            if rate:
                await asyncio.sleep(len(some) / rate)

    def _rate(self) -> int:
        rates = []
        places: tuple[tuple[Phase, dict[InForce, bool]], ...] = (("any", self._slow), ("body", self._slow_body))
        for phase, known in places if self._in_body else places[:1]:
            moment = self._moment(phase)
            for one in self._faults.throttles(moment):
                if one not in known:
                    known[one] = one.strikes(moment)
                    if known[one]:
                        self._reins.fired(moment.fired(one.fault))
                if known[one] and one.fault.throttle:
                    rates.append(one.fault.throttle)
        return min(rates, default=0)

    # -- what is done ----------------------------------------------------------------------------------------------

    async def _disturb(self, moment: Moment) -> Effects:
        effects = Effects()
        for one in self._faults.at(moment):
            self._reins.fired(moment.fired(one.fault))
            fault = one.fault
            effects.reply = fault.reply if isinstance(fault.reply, Reply) else effects.reply
            effects.garbage = fault.garbage or effects.garbage
            effects.overlong = fault.overlong or effects.overlong
            effects.hidden |= frozenset(fault.hide) | ({"STARTTLS"} if fault.tls == "stripped" else set())
            effects.tls = fault.tls or effects.tls
            if fault.store is not None:
                code = _TROUBLE[fault.store]
                effects.trouble = OSError(code, os.strerror(code))
            await self._act(one)
        return effects

    async def _arm(self, moment: Moment) -> None:
        """What counts octets from here on begins to."""
        for one in self._faults.from_here(moment):
            self._armed.append(_Armed(one, moment, one.fault.bytes - self._reins.unread()))
        if self._armed:
            await self._go_off()

    async def _go_off(self) -> None:
        due = [armed for armed in self._armed if armed.left <= 0]
        self._armed = [armed for armed in self._armed if armed.left > 0]
        for armed in due:
            if not self._faults.holds(armed.one):
                continue
            fault = armed.one.fault
            self._reins.fired(armed.moment.fired(fault))
            if fault.garbage is not None:
                self._garble(fault.garbage)
                await self._reins.flush()
            elif isinstance(fault.reply, Reply):  # in the middle of a content: nothing sound can follow
                self._reins.send(fault.reply.wire)
                raise Ended(polite=True)
            await self._act(armed.one)

    async def _act(self, one: InForce) -> None:
        """What takes time, or ends the connection. What was said before goes out first."""
        fault = one.fault
        if fault.delay is not None:
            await self._reins.flush()
            await asyncio.sleep(fault.delay)
        elif fault.stall:
            await self._reins.flush()
            await self._stall(one)
        elif fault.drop:
            await self._reins.flush()
            raise Ended
        elif fault.reset:
            await self._reins.flush()
            self._break()
            raise Ended
        elif fault.half_close:
            await self._reins.flush()
            await self._fall_silent()
            raise Ended

    async def _stall(self, one: InForce) -> None:
        """Wait until it is taken back, or the client leaves. A stall that an address asks for is never taken back."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        in_force = self._faults.holds(one)

        def look() -> None:
            if in_force and not self._faults.holds(one):
                loop.call_soon_threadsafe(over.set)

        stop = self._faults.watch(look)
        self._faults.stalls(self._reins.session)
        if self._reins.reader._eof:  # type: ignore[attr-defined]  # at_eof() is false while anything is unread
            self._left.set()
        ways = [asyncio.ensure_future(event.wait()) for event in (over, self._left)]
        try:
            look()  # it may have been taken back a moment ago
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if self._left.is_set():
                raise Ended
        finally:
            stop()
            self._faults.stalled.discard(self._reins.session)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def _break(self) -> None:
        """Drop the connection with an RST: nothing lingers (SO_LINGER of 0)."""
        transport = self._reins.transport()
        if isinstance(transport, asyncio.WriteTransport):
            wire = transport.get_extra_info("socket")
            if wire is not None:
                with contextlib.suppress(OSError):
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

    async def _fall_silent(self) -> None:
        transport = self._reins.transport()
        wire = transport.get_extra_info("socket") if transport is not None else None
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_WR)  # below TLS too, which knows no half
        if isinstance(transport, asyncio.ReadTransport) and not transport.is_reading():
            transport.resume_reading()
        while await self._reins.reader.read(_PIECE):
            pass

    # -- words -----------------------------------------------------------------------------------------------------

    def _say(self, effects: Effects, answer: Reply | None) -> None:
        if effects.garbage is not None:
            self._garble(effects.garbage)
        elif answer is not None:
            self._reins.send(effects.dressed(answer))

    def _garble(self, octets: bytes) -> None:
        """Say octets that may be no reply."""
        self._reins.send(octets)
        if not octets.endswith(b"\n"):
            self._faults.stalls(self._reins.session)  # the client waits for the rest of the line

    def _moment(self, phase: Phase, line: bytes = b"") -> Moment:
        talk, reins = self._talk, self._reins
        if talk is None:
            return Moment(phase, reins.session, reins.client())
        sender = talk.sender if talk.in_transaction else None
        recipients: Sequence[Address] = talk.recipients
        if phase == "MAIL":
            sender = _path(line, b"FROM:")
        elif phase == "RCPT":
            named = _path(line, b"TO:")
            recipients = () if named is None else (named,)
        return Moment(phase, reins.session, reins.client(), talk.client, sender, recipients)


def _phase_of(line: bytes) -> Phase | None:
    verb = line.partition(b" ")[0].upper().decode("ascii", "replace")
    return next((phase for phase in PHASES if phase == verb), None)


def _path(line: bytes, keyword: bytes) -> Address | None:
    """The address in a MAIL or RCPT command; None: there is none, and that is answered as it deserves."""
    at = line.upper().find(keyword)
    try:
        return parse_path(line[at + len(keyword) :].decode("utf-8").strip(" "), utf8=True)[0] if at > 0 else None
    except (AddressError, UnicodeDecodeError):
        return None
