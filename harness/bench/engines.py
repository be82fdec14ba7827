"""The servers that are measured and can be started inside a Python process: ours, and those of the peers.

Each is started in a ``with`` that ends when the process does, takes mails into a :class:`~harness.bench.serve.Seen`,
and gives its ports: of one server, or of two that forward from the first to the second. As far as a peer lets us, each
has a name of its own (so that none is looked up) and takes mails as big as ours.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import importlib
import itertools
import smtplib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from harness.bench.serve import Seen

HOST = "127.0.0.1"
SIZE = 32 << 20
"""The largest mail: what all of them allow unless told otherwise."""
_TRIES = 20

Start = Callable[[Seen, Path, ExitStack], list[int]]


def free_port() -> int:
    """A port that was free a moment ago: what peers need that can't be told to take one."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


# -- ours ------------------------------------------------------------------------------------------------------------


def session_only(seen: Seen, folder: Path, stack: ExitStack) -> list[int]:
    """Our session with all its checks, limits, AUTH and STARTTLS, and nothing behind it but a count."""
    from smtp_pair import background

    return _session_only(seen, background.loop())


def session_on_uvloop(seen: Seen, folder: Path, stack: ExitStack) -> list[int]:
    """The same on the event loop of libuv."""
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return _session_only(seen, loop)


def _session_only(seen: Seen, loop: asyncio.AbstractEventLoop) -> list[int]:
    from smtp_pair.listener import listen
    from smtp_pair.session import Session

    house = counting_house(seen)
    [sock] = listen(HOST, 0, "bench")

    async def open_it() -> None:
        await loop.create_server(lambda: Session(house, loop), sock=sock, backlog=1024)

    port = int(sock.getsockname()[1])
    asyncio.run_coroutine_threadsafe(open_it(), loop).result()
    return [port]


def counting_house(seen: Seen) -> Any:
    """What sessions of ours share, with nothing behind it but a count."""
    from smtp_pair.config import Limits
    from smtp_pair.house import House, Receipt
    from smtp_pair.mail import reply
    from smtp_pair.protocol import Rules
    from smtp_pair.sasl import passwords
    from smtp_pair.tls import server_context

    class Door:
        def recipient(self, address: object, visit: object) -> reply.Reply:
            return reply.RECIPIENT_OK

    taken = Receipt(reply.stored("it"), lambda: None)

    def accept(envelope: object, content: bytes, origin: object) -> Receipt:
        seen.take(content)
        return taken

    authenticate = passwords({"luke": "secret"})
    mechanisms = ("PLAIN", "LOGIN")
    rules = Rules("smtp.bench.test", SIZE, Limits(), starttls=True, mechanisms=mechanisms, authenticate=authenticate)
    return House(rules, Door(), accept, lambda *_: None, server_context("smtp.bench.test", "bench.test"))


def _network(durability: Literal["fast", "durable"] = "fast", more: int = 0) -> Start:
    """A whole pair, as fixtures give it: attachments decoded, mail stored, journaled, forwarded; and more domains."""

    def start(seen: Seen, folder: Path, stack: ExitStack) -> list[int]:
        from smtp_pair.facts import Fact
        from smtp_pair.network import Network

        others = [f"d{number}.test" for number in range(more)]
        network = Network("jaku.com", "deathstar.com", *others, directory=folder, durability=durability)
        inbox = {server.hostname: server for server in stack.enter_context(network)}

        def listener(fact: Fact) -> None:
            if fact.event == "received" and fact.data["file"]:
                seen.content = lambda: inbox[fact.server].messages[-1].content
                seen.moments.append(time.perf_counter_ns())

        network.subscribe(listener)
        return [server.port for server in network.servers[:2]]

    return start


# -- aiosmtpd, and what people build on it ---------------------------------------------------------------------------


class Handler:
    """aiosmtpd asks it what to say to a mail."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Do nothing but count."""
        self._seen.take(envelope.content)
        return "250 OK"


class FileHandler(Handler):
    """One file for each mail."""

    def __init__(self, seen: Seen, folder: Path) -> None:
        super().__init__(seen)
        self._folder = folder
        self._numbers = itertools.count()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Write it down."""
        (self._folder / f"{next(self._numbers)}.eml").write_bytes(envelope.content)
        return await super().handle_DATA(server, session, envelope)


class DecodingHandler(FileHandler):
    """The mail in a file, and each attachment decoded in another, by the standard library."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Decode it, and write it down."""
        decode_by_stdlib(envelope.content, self._folder)
        return await super().handle_DATA(server, session, envelope)


def decode_by_stdlib(content: bytes, folder: Path) -> list[Path]:
    """Each attachment in a file, as a reader of the documentation of ``email`` would do it."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    written = []
    for number, part in enumerate(message.iter_attachments()):
        written.append(folder / f"{number}.bin")
        written[-1].write_bytes(part.get_content())
    return written


class BlockingForwarder(Handler):
    """Sends the mail on by smtplib, in the handler: as students do."""

    def __init__(self, seen: Seen, port: int) -> None:
        super().__init__(seen)
        self._port = port

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Everything else waits meanwhile."""
        with smtplib.SMTP(HOST, self._port, local_hostname="smtp.bench.test") as client:
            client.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        return "250 OK"


class KeptForwarder(Handler):
    """Sends the mail on by aiosmtplib, on a connection that is kept."""

    def __init__(self, seen: Seen, port: int) -> None:
        super().__init__(seen)
        self._lock = asyncio.Lock()
        library: Any = importlib.import_module("aiosmtplib")
        self._client = library.SMTP(hostname=HOST, port=port, local_hostname="smtp.bench.test", start_tls=False)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """One mail after the other over the one connection."""
        async with self._lock:
            if not self._client.is_connected:
                await self._client.connect()
            await self._client.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        return "250 OK"


def controller(handler: object, stack: ExitStack) -> int:
    """A running Controller of aiosmtpd's; gives its port."""
    from aiosmtpd.controller import Controller

    for _ in range(_TRIES):
        port = free_port()
        running = Controller(handler, hostname=HOST, port=port, server_hostname="smtp.bench.test", data_size_limit=SIZE)
        with suppress(OSError):  # somebody else was faster
            running.start()
            stack.callback(running.stop)
            return port
    raise RuntimeError("no Controller starts")


def _forwarding(forwarder: Callable[[Seen, int], Handler]) -> Start:
    """Two servers; the second one stores its mails, as ours does."""

    def start(seen: Seen, folder: Path, stack: ExitStack) -> list[int]:
        second = controller(FileHandler(seen, folder), stack)
        return [controller(forwarder(seen, second), stack), second]

    return start


def _smtpdfix(seen: Seen, folder: Path, stack: ExitStack) -> list[int]:
    server = stack.enter_context(importlib.import_module("smtpdfix").SMTPDFix(HOST, free_port()))
    keep = server.handler.handle_message

    def handle_message(message: Any) -> None:
        keep(message)
        seen.take(b"")

    server.handler.handle_message = handle_message
    return [int(server.port)]


ENGINES: dict[str, Start] = {
    "session": session_only,
    "session on uvloop": session_on_uvloop,
    "pair": _network(),
    "another pair": _network(),
    "pair of many mails": _network(),
    "pair among few": _network(),
    "hundred domains": _network(more=98),
    "durable pair": _network("durable"),
    "thousand domains": _network(more=998),
    "aiosmtpd": lambda seen, folder, stack: [controller(Handler(seen), stack)],
    "aiosmtpd, a file each": lambda seen, folder, stack: [controller(FileHandler(seen, folder), stack)],
    "aiosmtpd, stdlib email": lambda seen, folder, stack: [controller(DecodingHandler(seen, folder), stack)],
    "smtplib in the handler": _forwarding(BlockingForwarder),
    "aiosmtplib kept": _forwarding(KeptForwarder),
    "smtpdfix": _smtpdfix,
}
