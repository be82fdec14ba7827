"""Carries a :class:`~smtp_pair.protocol.Conversation` over aiosmtpd: octets in, accepted mails and replies out.

aiosmtpd keeps the transport, the streams and the upgrade to TLS; this is the only module that knows it. Its verbs,
its loop over commands and its read of DATA are not used, so that there is one state machine, in ``protocol.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from aiosmtpd.smtp import SMTP

from smtp_pair.content import ChunkReader, ContentReader
from smtp_pair.faults import Fired
from smtp_pair.house import House, Receipt
from smtp_pair.mail import reply
from smtp_pair.mail.envelope import Origin
from smtp_pair.mail.reply import Reply
from smtp_pair.mischief import Ended, Mischief, Reins
from smtp_pair.protocol import LONGEST_LINE, Conversation, Expects
from smtp_pair.recorder import Log

log = logging.getLogger(__name__)

_PIECE = 1 << 16
_LINGER = 1.0  # seconds
_SEND_BUFFER = 1 << 16
"""Octets that the system keeps for a client that does not read; left to itself it keeps megabytes."""
_AT_ONCE = frozenset({b"EHLO", b"HELO", b"MAIL", b"RCPT", b"NOOP", b"RSET"})
"""Commands that nothing but a command follows."""
_GROUP = 100
"""Replies that wait for each other at most. A flood of pipelined commands fills no memory with the replies to them, and
every other session has its turn in between."""


class Session(SMTP):
    """One connection."""

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        # aiosmtpd's own __init__ costs 100 to 185 us a connection (inspect.getmembers, twice, and a logged line): set
        # only what the parts of it that are used look at.
        asyncio.StreamReaderProtocol.__init__(
            self, asyncio.StreamReader(limit=_PIECE, loop=loop), self._cb_client_connected, loop=loop
        )
        self.loop = loop
        self.session = None
        self.envelope = None
        self.transport = None
        self._tls_protocol = None
        self._original_transport = None
        self._timeout_handle = None
        self._handler_coroutine = None
        self._house = house
        self._faults = house.faults
        self._mischief: Mischief | None = None  # made when there is a fault to do
        self._from = ("unknown", 0)
        self._waiting: asyncio.Future[bytes | None] | None = None
        self._idle = False  # all that was heard is answered, and what is waited for begins a line
        self._unread = b""  # read, and not yet looked at
        self._unsent: list[bytes] = []
        self._heard = 0.0
        self._began = 0.0
        self._busy = False  # a mail is being stored: the time that we take is not the client's
        self._upgrading = False  # in a handshake
        self._cutting = False
        self._talk: Conversation | None = None
        self._parting: Reply | None = reply.SHUTTING_DOWN
        self._log: Log  # from connection_made on

    # -- what aiosmtpd calls -----------------------------------------------------------------------------------------

    def _set_rset_state(self) -> None:
        """The transaction is the conversation's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        if self._house.implicit and isinstance(transport, asyncio.ReadTransport):
            transport.pause_reading()  # what it says first is a handshake, and not ours to read
        wire = transport.get_extra_info("socket")
        if wire is not None:  # a transport in memory has none
            with contextlib.suppress(OSError):  # on macOS, when the client has left already
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(transport, "max_size"):
            # asyncio asks the system for 256 KiB at once, in memory that is new each time: fetching and returning its
            # pages takes as long as all else.
            transport.max_size = _PIECE
        self._began = self.loop.time()
        self._house.sessions.add(self)
        super().connection_made(transport)
        if self.session is not None and self.session.peer:
            self._from = (str(self.session.peer[0]), int(self.session.peer[1]))
        self._house.peers[self._from[0]] += 1
        self._log = self._house.tape.answers(self._from, self._began, self.loop.time)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        if self not in self._house.sessions:
            return  # told already: see _handle_client
        self._house.sessions.discard(self)
        host = self._peer()[0]
        self._house.peers[host] -= 1
        if not self._house.peers[host]:
            del self._house.peers[host]
        if error is not None and not self._upgrading:  # a handshake that fails is told by itself
            self._log.note(f"the connection was lost: {error.strerror if isinstance(error, OSError) else error}")
        if self._mischief is not None:
            self._faults.stalled.discard(self)
        self._log.end()
        super().connection_lost(error)

    def data_received(self, octets: bytes) -> None:
        """What is waited for goes straight to the one who waits; all else through the stream, which holds the client up
        when there is too much of it. The stream's way takes two copies, and more time than the answer to a command."""
        waiting = self._waiting
        if waiting is None or waiting.done():
            super().data_received(octets)
        else:
            if self._idle and self._answered_at_once(octets):
                if self._talk is not None and self._talk.expects is Expects.COMMAND:
                    return
                octets = b""  # that was the last answer
            self._reader._waiter = None  # type: ignore[attr-defined]  # more, or the end, may come in this very turn
            waiting.set_result(octets)

    def _answered_at_once(self, octets: bytes) -> bool:
        """Whether the octets were one command, and are answered already, from where they came in. To wake up the loop
        over commands takes longer than that; everything else it does, and whatever may have to wait."""
        if octets[:4] not in _AT_ONCE or octets.find(b"\n") != len(octets) - 1 or len(octets) > LONGEST_LINE:
            return False
        talk, wire = self._talk, self.transport
        if talk is None or talk.authenticating or self._faults.active or not isinstance(wire, asyncio.WriteTransport):
            return False
        if wire.is_closing() or wire.get_write_buffer_size():
            return False  # it does not read what it is told
        self._heard = self.loop.time()
        line = octets[:-2] if octets.endswith(b"\r\n") else octets[:-1]
        if line[:4] == b"RCPT":  # a refusal is told before it is said: what was asked comes first
            self._log.command(line, self._heard)
            said = self._said_to(talk, line)
            self._log.reply(said, self._heard)
        else:
            said = self._said_to(talk, line)
            self._log.exchange(line, said, self._heard)
        wire.write(said)
        return True

    def _said_to(self, talk: Conversation, line: bytes) -> bytes:
        answer = self._obey(talk, line)
        return answer.wire if answer is not None else b""

    def eof_received(self) -> bool | None:
        """The client will say no more, and may well listen: stock cancels the handler here, in the middle of storing
        a mail, and the half-closed client never gets its reply."""
        if self._mischief is not None:
            self._mischief.left()
        return asyncio.StreamReaderProtocol.eof_received(self)

    def _reset_timeout(self, duration: float | None = None) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._heard = self.loop.time()
        limits = self._house.rules.limits
        self._timeout_handle = self.loop.call_later(duration or min(limits.idle, limits.session), self._timeout_cb)

    def _timeout_cb(self) -> None:
        """Re-armed rather than moved at each octet: one timer a connection, not one a command."""
        limits = self._house.rules.limits
        now = self.loop.time()
        to_say = limits.idle if self._busy else self._heard + limits.idle - now
        # A client that sends an octet now and then is never idle, and still has a slot that others want.
        to_end = limits.idle if self._busy else self._began + limits.session - now
        if to_say > 0 and to_end > 0:
            self._timeout_handle = self.loop.call_later(min(to_say, to_end), self._timeout_cb)
        else:
            self.end(reply.IDLE if to_say <= 0 else reply.SESSION_TOO_LONG)
            # Whoever has read nothing for so long does not read the last word either, and holds a slot all the same.
            self._timeout_handle = self.loop.call_later(_LINGER, self._abort)

    async def _handle_client(self) -> None:
        talk = self._talk = Conversation(self._house.rules, self._house.door, self._from[0])
        try:
            if self._faults.active:
                await self._disturbed.connect()
            if self._house.implicit and not await self._start_tls(talk):
                return
            if self._crowded():
                self._say(reply.TOO_MANY_CONNECTIONS)
            else:
                if self._faults.active:
                    await self._disturbed.greeting(talk, talk.greeting())
                else:
                    self._say(talk.greeting())
                await self._converse(talk)
                if talk.expects is Expects.COMMAND:
                    self._log.note("the client hung up")
            await self._flush()
            await self._let_it_read()
        except Ended as ended:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if ended.polite:
                    await self._flush()
                    await self._let_it_read(more=True)
        except asyncio.CancelledError:
            # Ended from our side, or the connection is lost: in both cases a last word can do no harm.
            if self._parting is not None:
                self._say(self._parting)
                self._write()
        except OSError:
            pass  # the connection is lost
        except Exception:
            log.exception("session with %s failed", self._client())
            self._say(reply.OUR_FAULT)
            self._write()
        finally:
            if self.transport is not None:
                self._writer.close()
            if self._upgrading:
                # asyncio tells the protocol nothing of a connection that is lost in a handshake: it would count against
                # the limits for ever.
                self.loop.call_soon(self.connection_lost, None)

    async def _let_it_read(self, *, more: bool = False) -> None:
        """Closing with octets unread resets the connection, and the client may lose the reply that says why: so its
        rest is read away first, for as long as it takes to hang up, or for a moment. ``more``: it was about to go
        on."""
        if not more and not self._unread and not self._reader._buffer:  # type: ignore[attr-defined]
            return
        self._parting = None
        if isinstance(self.transport, asyncio.WriteTransport) and self.transport.can_write_eof():
            self.transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_PIECE):
                    pass

    def _crowded(self) -> bool:
        limits = self._house.rules.limits
        return (
            len(self._house.sessions) > limits.connections
            or self._house.peers[self._peer()[0]] > limits.connections_of_one
        )

    # -- the talk ----------------------------------------------------------------------------------------------------

    def end(self, parting: Reply) -> None:
        """End the session from our side, with a last reply. A mail that is being accepted is accepted all the same."""
        self._parting = parting
        if self._handler_coroutine is not None and not self._handler_coroutine.done():
            self._handler_coroutine.cancel()
        else:
            self._abort()  # all was said, and the client does not read it

    async def ended(self) -> None:
        """Wait until nothing of the session runs any more, and drop the connection."""
        if self._handler_coroutine is not None:
            await asyncio.gather(self._handler_coroutine, return_exceptions=True)
        self._abort()

    @property
    def helo(self) -> str:
        """What the client called itself."""
        return self._talk.client if self._talk is not None else ""

    def cut(self) -> None:
        """Break the connection; while a mail is being taken, once that is answered: it shall not come twice."""
        self._cutting = True
        if not self._busy:
            self._parting = None
            self._abort()

    def _abort(self) -> None:
        """Drop a connection that is closed on our side, whatever the client has not read, or, in TLS, not confirmed."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def _converse(self, talk: Conversation) -> None:
        while talk.expects is not Expects.NOTHING:
            match talk.expects:
                case Expects.COMMAND:
                    line = await self._line()
                    if line is None:
                        return
                    secret = talk.authenticating or line.lstrip()[:4].upper() == b"AUTH"
                    self._log.command(line, self._heard, secret=secret)  # whatever a fault may make of it
                    if self._faults.active:
                        await self._disturbed.command(talk, line, self._obey)
                    elif (answer := self._obey(talk, line)) is not None:
                        self._say(answer)
                    if len(self._unsent) >= _GROUP:
                        await self._flush()
                        await asyncio.sleep(0)
                case Expects.CONTENT:
                    if not await self._take_content(talk):
                        return
                case Expects.CHUNK:
                    if not await self._take_chunk(talk):
                        return
                case Expects.HANDSHAKE:
                    if not await self._start_tls(talk):
                        return

    @property
    def _disturbed(self) -> Mischief:
        """What does the faults to this connection."""
        if self._mischief is None:
            reins = Reins(
                self,
                self._reader,
                lambda: self.transport,
                self._flush,
                self._unsent.append,
                lambda: len(self._unread) + len(self._reader._buffer),  # type: ignore[attr-defined]
                self._client,
                self._fired,
            )
            self._mischief = Mischief(self._faults, reins)
        return self._mischief

    def _fired(self, fired: Fired) -> None:
        """A fault comes to pass."""
        self._faults.note(fired)
        self._log.note(f"fault: {fired.fault}")

    def _obey(self, talk: Conversation, line: bytes, refusal: Reply | None = None) -> Reply | None:
        secret = talk.authenticating
        try:
            answer = talk.command(line) if refusal is None else talk.refuse(line, refusal)
            if answer is not None and answer.code >= 400 and line[:4].upper() == b"RCPT" and not secret:
                self._house.refused(self._client(), talk.sender, line[8:].decode("utf-8", "replace").strip(), answer)
        except Exception:
            # A fault of ours is no reason to refuse a mail for good, nor for a stranger to read about it (C43); and a
            # password has no business in a log.
            secret = secret or line[:4].upper() == b"AUTH"
            log.exception("command %r failed", b"AUTH ..." if secret else line[:80])
            return reply.OUR_FAULT
        return answer

    async def _start_tls(self, talk: Conversation) -> bool:
        """Upgrade the connection. False: the handshake failed, and there is nobody left to talk to."""
        assert self._house.tls is not None
        await self._flush()
        context = self._house.tls
        if self._faults.active:
            context = await self._disturbed.handshake(context, implicit=self._house.implicit)
        self._upgrading = True
        limits = self._house.rules.limits
        # What came after the command and before the handshake is anybody's who can write to the wire (CVE-2011-0411).
        self._unread = b""
        self._reader._buffer.clear()  # type: ignore[attr-defined]
        try:
            patience = min(limits.idle, limits.handshake)
            await self._writer.start_tls(context, ssl_handshake_timeout=patience)
        except (OSError, EOFError) as error:  # ssl.SSLError among them
            log.info("no TLS with %s: %s", self._client(), error)
            self._log.note(f"no TLS: {getattr(error, 'reason', None) or str(error) or 'the connection was closed'}")
            return False
        self._upgrading = False
        self.transport = self._writer.transport
        self._reader._transport = self.transport  # type: ignore[attr-defined]
        talk.secured()
        self._log.note(f"{self._writer.get_extra_info('ssl_object').version()} from here on")
        return True

    async def _take_content(self, talk: Conversation) -> bool:
        """Read what follows DATA and hand the mail over. False: there is nothing more to talk about."""
        if self._unread or self._reader._buffer:  # type: ignore[attr-defined]
            # Sent before the 354, so by a client that did not care whether it came: after a refusal it would have been
            # taken for commands (RFC 2920 3.1).
            self._say(reply.TALKS_TOO_EARLY)
            return False
        if self._faults.active:
            await self._disturbed.content()
        reader = ContentReader(self._house.rules.size)
        rest = None
        while rest is None:
            chunk = await self._read()
            if not chunk:
                self._log.note("the client hung up in the middle of a mail")
                return False
            rest = reader.feed(chunk)
        self._unread = rest
        await self._hand_over(talk, reader)
        return True

    async def _take_chunk(self, talk: Conversation) -> bool:
        """Read the octets that follow BDAT; after the last chunk, hand the mail over. False: the client has left."""
        if self._faults.active:
            await self._disturbed.content()
        left = talk.chunk
        while left > 0:
            octets = self._unread or await self._read()
            if not octets:
                self._log.note("the client hung up in the middle of a mail")
                return False
            talk.take(octets[:left])
            self._unread = octets[left:]
            left -= len(octets)
        self._log.chunk(talk.chunk, self._heard)
        answer = talk.chunk_ended()
        if answer is None:
            await self._hand_over(talk, talk.chunks)
        else:
            self._say(answer)
        return True

    async def _hand_over(self, talk: Conversation, reader: ContentReader | ChunkReader) -> None:
        """The mail is here whole: it is accepted, or it is not."""
        content = reader.content()
        self._log.body(content, self._heard, too_big=reader.too_big)
        effects = await self._disturbed.dot() if self._faults.active else None
        origin = Origin(talk.client, *self._peer(), talk.with_protocol)
        envelope = talk.content_ended()
        objection = self._objection(reader, content)
        if effects is not None and self._disturbed.answers(talk, effects):
            return
        if objection is not None:
            self._say(objection)
            return
        del reader
        if effects is not None and effects.trouble is not None and self._house.accept_in_trouble is not None:
            taken = self._house.accept_in_trouble(envelope, content, origin, effects.trouble)
        else:
            taken = self._house.accept(envelope, content, origin)
        del content  # a big mail is not to be held here as well while it is being stored
        receipt = await self._shielded(taken) if isinstance(taken, asyncio.Future) else taken
        try:
            if effects is None:
                self._say(receipt.reply)
            else:
                await self._disturbed.receipt(effects, receipt.reply)
            await self._flush()
        finally:
            self._announce(receipt)
        if effects is not None and receipt.reply.accepted:
            await self._disturbed.after_dot()

    def _announce(self, receipt: Receipt) -> None:
        """The client has its 250: what fails from here on is ours alone."""
        try:
            receipt.announce()
        except Exception:
            log.exception("a mail was taken, and what follows failed")

    def _objection(self, reader: ContentReader | ChunkReader, content: bytes) -> Reply | None:
        rules = self._house.rules
        if reader.too_big:
            return reply.TOO_BIG
        if reader.bare and rules.reject_bare_newline:
            return reply.BARE_NEWLINE
        most = rules.limits.header
        if len(content) > most and not content.startswith(b"\r\n") and content.find(b"\r\n\r\n", 0, most + 2) < 0:
            return reply.HEADER_TOO_BIG
        return None

    async def _shielded(self, taken: asyncio.Future[Receipt]) -> Receipt:
        """The mail has come whole: it is accepted even if the client goes away or the server stops meanwhile."""
        self._busy = True
        try:
            return await asyncio.shield(taken)
        except asyncio.CancelledError:
            taken.add_done_callback(lambda done: self._announce(done.result()))
            raise
        finally:
            self._busy = False
            self._heard = self.loop.time()
            if self._cutting:
                self.loop.call_soon(self.cut)  # the reply is written first

    # -- octets ------------------------------------------------------------------------------------------------------

    async def _line(self) -> bytes | None:
        """The next command line, without its end; None when the client has left. Of a line that is too long, only so
        much is kept that it is seen to be; its tail is never taken for a command (C18)."""
        if not self._unread:
            self._idle = True
            self._unread = await self._read()
            self._idle = False
            if not self._unread:
                return None
        line = b""
        longest = LONGEST_LINE + 2
        while (at := self._unread.find(b"\n")) < 0:
            line = (line + self._unread)[:longest]
            self._unread = await self._read()
            if not self._unread:
                return None
        line = (line + self._unread[:at])[:longest]
        self._unread = self._unread[at + 1 :]
        return line.removesuffix(b"\r")

    async def _read(self) -> bytes:
        """What the client says next. Before waiting for it, it gets the replies to all that it said: those to a
        pipelined group in one segment (RFC 2920)."""
        if self._unsent:
            await self._flush()
        chunk = await (self._disturbed.read() if self._faults.active else self._next())
        self._heard = self.loop.time()
        return chunk

    async def _next(self) -> bytes:
        """What comes next: straight from the transport, or, where the stream has something or is at its end, from
        there."""
        stream = self._reader
        if stream._buffer or stream._eof or stream._paused or stream._exception is not None:  # type: ignore[attr-defined]
            return await stream.read(_PIECE)
        # The stream wakes up its own waiter when it ends: it is this one.
        stream._waiter = self._waiting = self.loop.create_future()  # type: ignore[attr-defined]
        try:
            octets = await self._waiting
        finally:
            stream._waiter = self._waiting = None  # type: ignore[attr-defined]
        return await stream.read(_PIECE) if octets is None else octets

    def _say(self, answer: Reply) -> None:
        self._unsent.append(answer.wire)

    def _write(self) -> None:
        if self._unsent and self.transport is not None:
            wire = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
            self._log.reply(wire, self.loop.time())
            self._writer.write(wire)
        self._unsent.clear()

    async def _flush(self) -> None:
        if self._unsent and self._faults.active:
            octets = b"".join(self._unsent)
            self._unsent.clear()
            self._log.reply(octets, self.loop.time())
            await self._disturbed.write(self._writer, octets)
        elif self._unsent:
            self._write()
            wire = self.transport
            if not isinstance(wire, asyncio.WriteTransport) or wire.is_closing() or wire.get_write_buffer_size():
                await self._writer.drain()  # a client that does not read waits here, and holds up nobody else

    # -- who is there ------------------------------------------------------------------------------------------------

    def _peer(self) -> tuple[str, int]:
        return self._from

    def _client(self) -> str:
        host, port = self._peer()
        return f"[{host}]:{port}"
