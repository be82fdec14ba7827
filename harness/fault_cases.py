"""Faults, each at a place, and what real clients do with it: smtplib, aiosmtplib and our own relay.

A case is a fault and the kind of server that it needs. A client sends one mail to such a server and says in a few words
how that ended: ``sent``, ``SMTPDataError 451``, ``put off, 451 4.4.2``. ``docs/faults.md`` is made of these words
(``fault_table.py``).
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import aiosmtplib

from smtp_pair import Domain, Network, Server
from smtp_pair.faults import NOISE, BrokenTls, Fault, Phase

MAIL = b"From: luke@a.test\r\nTo: leia@b.test\r\nSubject: Plans\r\n\r\n" + b"The plans are in the droid.\r\n" * 20
SENDER, RECIPIENT = "luke@a.test", "leia@b.test"
PATIENCE = 0.5
"""Seconds that a client waits where it waits in vain; all else is awaited much longer."""
LONG = 30.0


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and the server that is told to do it."""

    fault: Fault | None
    """None: the network is partitioned."""
    server: str = "plain"
    """``plain``, ``offered`` or ``required`` (TLS), ``auth``."""
    waits: bool = False
    """Whether a client waits in vain."""
    twice: bool = False
    """Whether a mail comes twice, if its client tries again: it was taken, and the client could not know (RFC 1047)."""

    @property
    def name(self) -> str:
        """For a test's name and the table."""
        if self.fault is None:
            return "partition"
        words = f"{self.fault.place} garbage" if self.fault.garbage == NOISE else str(self.fault)
        return words + _ON.get(self.server, "")

    @property
    def domain(self) -> Domain:
        """The server's configuration."""
        return _DOMAINS[self.server]


_ON = {"required": " (TLS is required)"}
_DOMAINS = {
    "plain": Domain("b.test"),
    "offered": Domain("b.test", tls="offered"),
    "required": Domain("b.test", tls="required"),
    "auth": Domain("b.test", auth={"luke": "secret"}, auth_required=True),
}


_TALK: tuple[Phase, ...] = ("MAIL", "RCPT", "DATA", "dot")
_BROKEN: tuple[BrokenTls, ...] = get_args(BrokenTls)
_UNHEARD: list[dict[str, Any]] = [{kind: True} for kind in ("drop", "reset", "half_close", "garbage")]


def _cases() -> list[Case]:
    at: tuple[Phase, ...] = "connect", "greeting", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot", "QUIT"
    found = [Case(Fault(phase="greeting", reply=f"{code} not now")) for code in ("421", "554")]
    found += [Case(Fault(phase="EHLO", reply=f"{code} not now")) for code in ("421", "451", "502")]
    found += [Case(Fault(phase="STARTTLS", reply="454 not now"), kind) for kind in ("offered", "required")]
    found += [Case(Fault(phase="AUTH", reply=f"{code} not now"), "auth") for code in ("454", "535")]
    found += [Case(Fault(phase=phase, reply=f"{code} not now")) for phase in _TALK for code in ("421", "451", "550")]
    found += [Case(Fault(phase="body", bytes=100, reply="421 not now")), Case(Fault(phase="QUIT", reply="421 not now"))]
    found += [Case(Fault(phase=phase, delay=0.02)) for phase in ("connect", *_TALK)]
    found += [Case(Fault(throttle=50_000)), Case(Fault(throttle=50_000, phase="body"))]
    found += [Case(Fault(phase=phase, drop=True)) for phase in at]
    found += [Case(Fault(after=phase, drop=True)) for phase in ("RCPT", "dot")]
    found += [Case(Fault(after="DATA", bytes=100, drop=True)), Case(Fault(bytes=60, drop=True))]
    found += [Case(Fault(phase=phase, reset=True)) for phase in ("EHLO", "RCPT", "dot")]
    found += [Case(Fault(after="DATA", bytes=100, reset=True))]
    found += [Case(Fault(phase=phase, half_close=True)) for phase in ("greeting", "RCPT", "body", "dot")]
    found += [Case(Fault(phase=phase, stall=True), waits=True) for phase in at]
    found += [Case(Fault(after="DATA", bytes=100, stall=True), waits=True)]
    found += [Case(Fault(phase=phase, garbage=True)) for phase in ("greeting", "EHLO", "RCPT", "DATA", "dot")]  # type: ignore[arg-type]
    found += [Case(Fault(phase="RCPT", garbage=b"250 half a li"), waits=True)]
    found += [Case(Fault(phase="RCPT", overlong=size)) for size in (600, 10_000, 100_000)]
    found += [Case(Fault(phase=phase, overlong=100_000), twice=phase == "dot") for phase in ("greeting", "EHLO", "dot")]
    found += [Case(Fault(phase="accepted", **unheard), twice=True) for unheard in _UNHEARD]
    found += [Case(Fault(phase="accepted", delay=0.02)), Case(Fault(phase="accepted", stall=True), waits=True)]
    found += [Case(Fault(hide=[name])) for name in ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES")]
    found += [Case(Fault(tls=how), kind) for how in _BROKEN for kind in ("offered", "required")]
    found += [Case(Fault(store="full")), Case(Fault(store="error")), Case(Fault(down=True)), Case(None)]
    return found


CASES = _cases()


def smtplib_sends(network: Network, server: Server, case: Case) -> str:
    """The standard library's client; TLS and AUTH as the server has them."""
    patience = PATIENCE if case.waits else LONG
    try:
        with smtplib.SMTP(server.host, server.port, local_hostname="client.example", timeout=patience) as client:
            if case.server in ("offered", "required"):
                client.starttls(context=network.client_context())
            if case.server == "auth":
                client.login("luke", "secret")
            client.sendmail(SENDER, [RECIPIENT], MAIL)
    except (OSError, smtplib.SMTPException) as error:
        return _words(error)
    return "sent"


def aiosmtplib_sends(network: Network, server: Server, case: Case) -> str:
    """aiosmtplib's ``send``, which begins TLS where it is offered."""
    options: dict[str, Any] = {"username": "luke", "password": "secret"} if case.server == "auth" else {}

    async def send() -> None:
        try:
            await aiosmtplib.send(
                MAIL,
                sender=SENDER,
                recipients=[RECIPIENT],
                hostname=server.host,
                port=server.port,
                local_hostname="client.example",
                timeout=PATIENCE if case.waits else LONG,
                tls_context=network.client_context() if case.server in ("offered", "required") else None,
                start_tls=True if case.server == "required" else None,
                **options,
            )
        finally:
            # After an error it leaves its transport to be collected.
            for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]
                transport.abort()
            await asyncio.sleep(0)

    try:
        asyncio.run(send())
    except (OSError, aiosmtplib.SMTPException) as error:
        return _words(error)
    return "sent"


def relay_sends(network: Network, server: Server, case: Case) -> str:
    """Our own relay, from another server of the network."""
    first = network["a.test"]
    before = len(first.messages)
    first.send(RECIPIENT, sender=SENDER, subject="Plans", body="The plans are in the droid.\n" * 20)
    network.settle()
    waiting = first.queue
    if not waiting:
        bounces = [mail.delivery_status for mail in first.messages[before:]]
        return f"bounced, {bounces[0].recipients[0].status}" if bounces and bounces[0] else "sent"
    last = waiting[0].last
    return f"put off, {' '.join(last.split(' ')[:2])}" if last else "waits for its reply"


SENDS: dict[str, Callable[[Network, Server, Case], str]] = {
    "smtplib": smtplib_sends,
    "aiosmtplib": aiosmtplib_sends,
    "relay": relay_sends,
}


def _words(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, ssl.SSLError):
        return "SSLError"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"{name} {error.recipients[RECIPIENT][0]}"
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return f"{name} {error.recipients[0].code}"
    code = getattr(error, "smtp_code", None) or getattr(error, "code", None)
    return f"{name} {code}" if isinstance(code, int) and code > 0 else name
