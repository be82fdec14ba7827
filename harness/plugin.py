"""The scenario matrix, for this repository's own suite (loaded by ``conftest.py``).

A scenario is a client's behaviour to a destination, ``interactive-forward``. Its id says so in every test that plays
it: ``pytest -k forward``, ``-k unreachable`` and ``-k "interactive and local"`` select what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

pytest.register_assert_rewrite("harness.durable_house", "harness.evidence", "harness.notifications", "harness.sending")

from harness.behaviours import BEHAVIOURS, Behaviour, Wire  # noqa: E402
from harness.destinations import PLAIN, Destination, crowd  # noqa: E402
from harness.evidence import Transaction, check  # noqa: E402
from smtp_pair.clients import samples  # noqa: E402
from smtp_pair.clients.message import Attachment, Draft, Mailbox  # noqa: E402

if TYPE_CHECKING:
    from smtp_pair import Pair

# No line is a single dot, which ends the text for the interactive client, and none begins with "From ", before which
# smtplib's send_message puts a ">".
TEXT = "Greetings.\n.a dot\n..two dots\n  and é, ß, 星.\n"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A client's behaviour to a destination."""

    behaviour: Behaviour
    destination: Destination

    @property
    def id(self) -> str:
        return f"{self.behaviour.id}-{self.destination.id}"

    def play(self, pair: Pair, folder: Path, *, backwards: bool = False) -> None:
        """Hand the mail to one server of a pair that has none yet, and check all that becomes of it on both."""
        here, there = (pair.deathstar, pair.jaku) if backwards else (pair.jaku, pair.deathstar)
        meanings = crowd(self.destination.at(here, there), self.behaviour.crowd)
        drafts = [_draft(f"luke@{here.domain}", meanings, number) for number in range(1, self.behaviour.mails + 1)]
        wire = Wire()
        with wire.recorded():
            answers = self.behaviour.send(here, drafts, folder)
        contents: Sequence[bytes | None] = wire.contents or [None] * len(drafts)
        transactions = [
            Transaction(draft, meanings, told, content)
            for draft, told, content in zip(drafts, answers, contents, strict=True)
        ]
        pair.settle()
        check(here, there, transactions)


def _draft(sender: str, recipients: Iterable[str], number: int) -> Draft:
    attachments = [Attachment(name, content) for name, content in samples.files()]
    attachments += [
        Attachment("Pläne für den Stern \u2620.bin", bytes(range(256)) * 300),
        Attachment("empty", b""),
    ]
    people = [Mailbox(address, f"Reader {n}") for n, address in enumerate(recipients, 1)]
    return Draft(sender, people, f"Grüße, {number}. Brief", TEXT, attachments)


def matrix(
    destinations: Sequence[Destination] = PLAIN, behaviours: Sequence[Behaviour] = BEHAVIOURS
) -> pytest.MarkDecorator:
    """Parametrises the argument ``scenario`` of a test with every behaviour to every destination."""
    scenarios = [Scenario(behaviour, destination) for behaviour in behaviours for destination in destinations]
    return pytest.mark.parametrize("scenario", [pytest.param(each, id=each.id) for each in scenarios])


class Play(Protocol):
    """What the fixture ``play`` gives."""

    def __call__(self, scenario: Scenario, *, backwards: bool = False) -> None: ...


@pytest.fixture
def play(mail_pair: Pair, tmp_path: Path) -> Play:
    """Plays a scenario on a pair of its own, from jaku to deathstar or ``backwards``, and checks what became of it."""
    folder = tmp_path / "files of the client"
    folder.mkdir()

    def play(scenario: Scenario, *, backwards: bool = False) -> None:
        scenario.play(mail_pair, folder, backwards=backwards)

    return play
