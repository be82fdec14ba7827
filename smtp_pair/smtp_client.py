"""Speaks SMTP to a next hop: pipelined, on a connection that is kept, with a reply for each recipient.

    connect -> greeting -> EHLO [-> STARTTLS -> EHLO] [-> AUTH] -> { MAIL RCPT... DATA -> content -> reply } ... -> QUIT

Where the hop offers PIPELINING the commands of a mail go out in one write and the replies come back in one read
(RFC 2920), so that a forwarded mail costs two round trips.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

from smtp_pair import content as wire
from smtp_pair import tls
from smtp_pair.config import is_loopback
from smtp_pair.connection import Connection
from smtp_pair.mail import reply
from smtp_pair.mail.envelope import Envelope, Recipient
from smtp_pair.mail.errors import DeliveryError
from smtp_pair.mail.reply import Reply
from smtp_pair.recorder import Log, Silent, Tape
from smtp_pair.routes import NextHop

_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a next hop may take (RFC 5321 4.5.3.2)."""

    connect: float = 30.0
    reply: float = 300.0
    final: float = 600.0
    """For the reply after the final dot: a server may well work before it answers."""


class Broken(DeliveryError):
    """The connection is of no more use, and of the mail, if there was one, the hop has said nothing yet (but 421,
    which an idle hop may have said long before)."""


class TlsFailed(DeliveryError):
    """The handshake did not succeed; the connection is of no more use."""


class SmtpClient:
    """One connection to one next hop. Everything raised is a DeliveryError, with the reply that stands for it."""

    def __init__(self, hop: NextHop, patience: Patience) -> None:
        self._hop = hop
        self._patience = patience
        self._log: Log = Silent()
        self._time = asyncio.get_running_loop().time
        self._connection: Connection
        self.offers: dict[str, str] = {}
        """What EHLO offered: keyword (upper case) to its arguments."""
        self.usable = False
        """Whether another mail can go over it."""

    @classmethod
    async def connect(
        cls, hop: NextHop, hostname: str, patience: Patience | None = None, tape: Tape | None = None
    ) -> SmtpClient:
        """Connect and say hello as ``hostname``, with TLS and AUTH as the hop offers and its route demands. ``tape``
        records what is said."""
        try:
            return await cls._connect(hop, hostname, patience, tape)
        except TlsFailed:
            if hop.tls != "opportunistic" or hop.user:
                raise  # a password is not said in the clear because somebody broke the handshake
            # A broken certificate or an old protocol is no worse than no TLS at all (RFC 7435).
            return await cls._connect(replace(hop, tls="off"), hostname, patience, tape)

    @classmethod
    async def _connect(cls, hop: NextHop, hostname: str, patience: Patience | None, tape: Tape | None) -> SmtpClient:
        self = cls(hop, patience or Patience())
        context = tls.trusting_context() if hop.tls == "implicit" else None
        name = hop.name or hop.host if context is not None else None
        try:
            async with asyncio.timeout(self._patience.connect):
                self._connection = await Connection.open(hop.host, hop.port, context, name)
        except OSError as error:  # TimeoutError is one, and ssl.SSLError
            why = "the connection takes too long" if isinstance(error, TimeoutError) else _why(error)
            if tape is not None:
                tape.in_vain(hop, why, self._time)
            if isinstance(error, ssl.SSLError):
                raise TlsFailed(reply.tls_failed(str(hop), why)) from None
            raise DeliveryError(reply.no_answer(str(hop), why)) from None
        if tape is not None:
            self._log = tape.speaks(hop, self._connection.own_end, self._time)
            if context is not None:
                self._log.note(f"{self._connection.tls_version} from here on")
        try:
            await self._introduce(hostname)
        except BaseException:
            self.abort()
            raise
        self.usable = True
        return self

    async def send(self, envelope: Envelope, content: bytes) -> list[Reply]:
        """Send a mail; the replies stand for its recipients, in their order.

        When the hop is lost on the way, those that it has refused keep the reply that is their own. Raises Broken
        when it is lost before it said anything.
        """
        lacking = self._lacking(envelope, content)
        if lacking is not None:
            return [lacking] * len(envelope.forward_paths)
        commands = [self._mail(envelope, content)]
        commands += [self._rcpt(path) for path in envelope.forward_paths]
        commands.append(b"DATA\r\n")
        answers: list[Reply] = []
        try:
            if "PIPELINING" in self.offers:
                group = b"".join(commands)
                self._log.commands(group, self._time())
                self._connection.write(group)
                for _ in commands:
                    answers.append(await self._reply())
            else:
                await self._one_by_one(commands, answers)
            final = await self._content(answers, content)
        except Broken as broken:
            self.usable = False
            if all(answer.code == 421 for answer in answers):
                raise (Broken(answers[0]) if answers else broken) from None
            final = broken.reply
            answers += [final] * (len(commands) - len(answers))
        if any(answer.code == 421 for answer in [*answers, final]):
            self.usable = False  # it is closing (RFC 5321 3.8)
        sender, *recipients = answers[: 1 + len(envelope.forward_paths)]
        if not sender.accepted:
            return [sender if sender.refused else final] * len(envelope.forward_paths)
        return [answer if answer.refused else final for answer in recipients]

    async def close(self) -> None:
        """Part politely, without waiting for an answer."""
        self.usable = False
        try:
            with contextlib.suppress(OSError):  # TimeoutError is one: the hop does not read what it is told
                self._log.command(b"QUIT", self._time())
                self._connection.write(b"QUIT\r\n")
                await self._connection.close(self._time() + 1.0)
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        self.usable = False
        self._log.end()
        self._connection.abort()

    @property
    def gone(self) -> bool:
        """Whether the other side is known to have closed it, or has spoken unasked: its words would be taken for the
        answer to something else."""
        return self._connection.unasked or self._connection.closed

    async def _introduce(self, hostname: str) -> None:
        greeting = await self._reply()
        if greeting.refused:
            raise DeliveryError(greeting)
        if greeting.code != 220:
            raise self._broken(f"it greets with {greeting.code}")
        await self._hello(hostname)
        if self._hop.tls in ("opportunistic", "required"):
            if "STARTTLS" in self.offers:
                await self._start_tls()
                await self._hello(hostname)  # what was said in the clear is anybody's word (RFC 3207 4.2)
            elif self._hop.tls == "required":
                raise DeliveryError(reply.tls_failed(str(self._hop), "it is not offered"))
        if self._hop.user:
            await self._authenticate()

    async def _hello(self, hostname: str) -> None:
        self.offers = {}
        hello = await self._ask(b"EHLO %b\r\n" % hostname.encode())
        if hello.accepted:
            for line in hello.text.split("\n")[1:]:
                keyword, _, arguments = line.partition(" ")
                self.offers[keyword.upper()] = arguments
        elif hello.permanent:
            hello = await self._ask(b"HELO %b\r\n" % hostname.encode())
        if hello.refused:
            raise DeliveryError(hello)
        if not hello.accepted:
            raise self._broken(f"it answers {hello.code} to EHLO")

    async def _start_tls(self) -> None:
        go = await self._ask(b"STARTTLS\r\n")
        if go.code != 220:
            raise TlsFailed(reply.tls_failed(str(self._hop), f"it says {go}"))
        demanding = self._hop.tls == "required"
        context = tls.trusting_context() if demanding else tls.opportunistic_context()
        try:
            async with asyncio.timeout(self._patience.connect):
                await self._connection.start_tls(context, self._hop.name or self._hop.host)
        except (OSError, EOFError) as error:  # TimeoutError is one, and ssl.SSLError
            why = "the handshake takes too long" if isinstance(error, TimeoutError) else _why(error)
            self._log.note(f"no TLS: {why}")
            raise TlsFailed(reply.tls_failed(str(self._hop), why)) from None
        self._log.note(f"{self._connection.tls_version} from here on")

    async def _authenticate(self) -> None:
        if "PLAIN" not in self.offers.get("AUTH", "").upper().split():
            raise DeliveryError(reply.no_auth(str(self._hop)))
        if not self._connection.in_tls and not is_loopback(self._hop.host):
            # Whoever strips STARTTLS from the offer on the way would be told the password.
            raise DeliveryError(reply.tls_failed(str(self._hop), "and no password without it"))
        proof = base64.b64encode(f"\0{self._hop.user}\0{self._hop.password}".encode())
        answer = await self._ask(b"AUTH PLAIN %b\r\n" % proof, secret=True)
        if not answer.accepted:
            raise DeliveryError(answer)

    def _lacking(self, envelope: Envelope, content: bytes) -> Reply | None:
        """What the hop would have to offer for this mail, and does not."""
        if "SMTPUTF8" not in self.offers:
            paths = (envelope.sender, *envelope.recipients)
            header = content[: content.find(b"\r\n\r\n")]
            if not all(path.isascii() for path in paths) or (envelope.smtputf8 and not header.isascii()):
                return reply.lacks_smtputf8(str(self._hop))
        if "8BITMIME" not in self.offers and not content.isascii():
            return reply.lacks_8bitmime(str(self._hop))
        return None

    def _mail(self, envelope: Envelope, content: bytes) -> bytes:
        parameters = ""
        if "SIZE" in self.offers:
            parameters += f" SIZE={len(content)}"
        if "8BITMIME" in self.offers and (envelope.options.get("BODY") == "8BITMIME" or not content.isascii()):
            parameters += " BODY=8BITMIME"
        if "SMTPUTF8" in self.offers and envelope.smtputf8:
            parameters += " SMTPUTF8"
        if "DSN" in self.offers:
            parameters += _options(envelope.options, "RET", "ENVID")
        return f"MAIL FROM:<{envelope.sender}>{parameters}\r\n".encode()

    def _rcpt(self, path: Recipient) -> bytes:
        parameters = _options(path.options, "NOTIFY", "ORCPT") if "DSN" in self.offers else ""
        return f"RCPT TO:<{path.address}>{parameters}\r\n".encode()

    async def _one_by_one(self, commands: list[bytes], answers: list[Reply]) -> None:
        """For a hop without PIPELINING: stop asking as soon as the mail has no recipient left."""
        for command in commands[:-1]:
            answers.append(await self._ask(command))
            if not answers[0].accepted:
                break
        if any(answer.accepted for answer in answers[1:]):
            answers.append(await self._ask(commands[-1]))
        else:
            answers.append(reply.RCPT_FIRST)

    async def _content(self, answers: list[Reply], content: bytes) -> Reply:
        """The mail itself, if it is wanted; the reply that decides for all recipients that were accepted."""
        *before, go = answers
        # Whoever is out of step is not believed: to take a 250 to DATA for a yes would lose the mail.
        if any(not answer.accepted and not answer.refused for answer in before):
            raise self._broken("its replies are out of step")
        if go.code != 354:
            if not go.refused:
                raise self._broken(f"it answers {go.code} to DATA")
            if before[0].accepted and not any(answer.code == 421 for answer in answers):
                # whatever the hop thinks of DATA, the transaction must not linger on a kept connection
                await self._reset()
            return go
        if not before[0].accepted or not any(answer.accepted for answer in before[1:]):
            # 354 all the same, with nobody to send to: an empty mail is the only way out (RFC 2920 3.1)
            self._log.body(b"", self._time())
            self._connection.write(b".\r\n")
            return await self._reply(self._patience.final)
        self._log.body(content, self._time())
        if len(content) <= _PIECE:
            self._connection.write(b"".join(wire.stuff(content)))
        else:
            await self._in_pieces(content)
        final = await self._reply(self._patience.final)
        if not final.accepted and not final.refused:
            raise self._broken(f"it answers {final.code} to the mail")
        return final

    async def _in_pieces(self, content: bytes) -> None:
        until = self._time() + self._patience.final
        with self._guarded(self._patience.final):
            for piece in wire.stuffed_pieces(content):
                self._connection.write(piece)
                await self._connection.room(until)
            self._connection.write(wire.end_after(content))

    async def _reset(self) -> None:
        try:
            answer = await self._ask(b"RSET\r\n")
        except Broken:
            self.usable = False
        else:
            self.usable = answer.accepted

    async def _ask(self, command: bytes, *, secret: bool = False) -> Reply:
        self._log.commands(command, self._time(), secret=secret)
        self._connection.write(command)
        return await self._reply()

    async def _reply(self, patience: float | None = None) -> Reply:
        # all but the first of the replies to a pipelined group have come with it
        try:
            lines = self._connection.taken() or await self._reply_to_come(patience or self._patience.reply)
            self._log.reply(b"".join(lines), self._time())
            return _parsed(lines[0]) if len(lines) == 1 else Reply.parse(lines)
        except ValueError as error:
            raise self._broken(str(error)) from None

    async def _reply_to_come(self, patience: float) -> list[bytes]:
        with self._guarded(patience):
            return await self._connection.reply(self._time() + patience)

    @contextmanager
    def _guarded(self, patience: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise self._broken(f"silent for {patience:g} s") from None
        except (ValueError, EOFError) as error:
            raise self._broken(str(error)) from None
        except OSError as error:
            raise self._broken(_why(error)) from None

    def _broken(self, why: str) -> Broken:
        self._log.note(why)
        return Broken(reply.connection_broke(str(self._hop), why))


@lru_cache(maxsize=128)
def _parsed(line: bytes) -> Reply:
    """A hop says the same few replies again and again."""
    return Reply.parse([line])


def _options(options: Mapping[str, str], *names: str) -> str:
    """Those of the options, as parameters: what the first client asked for is passed on as it was (RFC 3461 5.2.2)."""
    return "".join(f" {name}={options[name]}" for name in names if name in options)


def _why(error: Exception) -> str:
    """The system's or the TLS library's own word for what went wrong, without asyncio's around it."""
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or "the connection was closed"
