"""Plays a fuzzer's scripts to sessions in memory: hundreds in a second, and every octet to be said is known before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Self

from harness.findings import Finding, Watch
from harness.memory_transport import MemoryClient
from harness.rehearsal import Rehearsal
from harness.scripts import Script
from harness.stock import Taken, our_house
from smtp_pair.config import Limits
from smtp_pair.house import House, Receipt
from smtp_pair.mail import reply
from smtp_pair.mail.envelope import Envelope, Origin
from smtp_pair.mail.reply import Reply
from smtp_pair.sasl import MECHANISMS, Credentials
from smtp_pair.session import Session

STORED = reply.stored("it")
HONEST = (b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n", b"QUIT\r\n")


def authenticate(credentials: Credentials) -> bool:
    """One user, whatever the mechanism."""
    return credentials.user == "vader" and credentials.secret == "darkside"


class MemoryTrial:
    """A server of ours in memory, or rather two: a patient one that mends, a strict one that takes its time."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._watch = Watch()
        self._loop.set_exception_handler(self._watch.uncaught)
        self._mails: list[Taken] = []
        patient = our_house(self._mails, limits=Limits(errors=200, commands=1000, recipients=10), size=2000)
        strict = our_house(self._mails, limits=Limits(errors=5, commands=40, recipients=2, header=60), reject_bare=True)
        self._houses = [
            replace(
                house,
                rules=replace(house.rules, mechanisms=tuple(MECHANISMS), authenticate=authenticate),
                accept=accept,
            )
            for house, accept in ((patient, patient.accept), (strict, self._by_and_by))
        ]

    def _by_and_by(self, envelope: Envelope, content: bytes, origin: Origin) -> asyncio.Future[Receipt]:
        """As a server does whose disk is waited for."""
        self._mails.append(Taken(envelope.sender, tuple(envelope.recipients), content))
        taken: asyncio.Future[Receipt] = self._loop.create_future()
        self._loop.call_soon(taken.set_result, Receipt(STORED, lambda: None))
        return taken

    def __enter__(self) -> Self:
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()
        self._loop.close()

    def play(self, script: Script) -> None:
        """Raises Finding."""
        for house in self._houses:
            self._mails.clear()
            due: list[Taken] = []
            doubtful = self._play(house, script, due)
            if self._mails != due and self._mails != due[: len(due) - doubtful]:
                raise Finding(f"mails were taken: {self._mails}, and not {due}")
            self._look(house)

    def _play(self, house: House, script: Script, mails: list[Taken]) -> int:
        """How many mails, the last ones, may be lost, for their client was gone before the reply."""

        def accepted(envelope: Envelope, content: bytes) -> Reply:
            mails.append(Taken(envelope.sender, tuple(envelope.recipients), content))
            return STORED

        rehearsal = Rehearsal(house.rules, house.door, accepted)
        with MemoryClient(self._loop, Session(house, self._loop)) as client:
            _compare(client.said(), rehearsal)
            for action, following in pairwise([*script, "half close"]):
                if isinstance(action, bytes) and following in ("hang up", "reset"):
                    before = len(mails)
                    rehearsal.hear(action)
                    client.say_and_hang_up(action, ConnectionResetError() if following == "reset" else None)
                    return len(mails) - before
                if isinstance(action, bytes):
                    rehearsal.hear(action)
                    _compare(client.say(action), rehearsal)
                elif action == "half close":
                    rehearsal.hear_no_more()
                    client.half_close()
                    _compare(client.said(), rehearsal)
            if rehearsal.over and not (client.transport.ended or client.transport.closed):
                raise Finding("all was said, and the server does not close")
        return 0

    def _look(self, house: House) -> None:
        """Nothing is left of it, and the next client is served."""
        self._watch.look()
        timers = [each for each in self._loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
        tasks = asyncio.all_tasks(self._loop)
        if house.sessions or house.peers or tasks or timers:
            raise Finding(f"something is left: {house.sessions}, {house.peers}, {tasks}, {timers}")
        with MemoryClient(self._loop, Session(house, self._loop)) as client:
            client.say(*HONEST[:-2])
            said = client.say(*HONEST[-2:])
        if said != STORED.wire + reply.BYE.wire:
            raise Finding(f"an honest client is told {said!r}")


def _compare(said: bytes, rehearsal: Rehearsal) -> None:
    due = b"".join(each.wire for each in rehearsal.due())
    if said != due:
        raise Finding(f"it says {said!r}, and {due!r} is due")
