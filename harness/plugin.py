"""The scenario matrix, for this repository's own suite (loaded by ``conftest.py``).

A scenario is a client's behaviour to a destination, ``interactive-forward``. Its id says so in every test that plays
it: ``pytest -k forward``, ``-k unreachable`` and ``-k "interactive and local"`` select what they say.

The server that is given the mail is ours, unless ``--mail-target`` names others (``target_options.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

pytest.register_assert_rewrite(
    "harness.durable_house",
    "harness.evidence",
    "harness.evidence_of_ours",
    "harness.notifications",
    "harness.sending",
)

from harness import evidence, evidence_of_ours, stage  # noqa: E402
from harness.behaviours import BEHAVIOURS, Behaviour, Wire  # noqa: E402
from harness.destinations import BOUNCED, DELAYED, DELIVERED, FORWARDED, PLAIN, Destination, Meaning, Serving, crowd  # noqa: E402
from harness.evidence import Transaction  # noqa: E402
from harness.stage import Stage  # noqa: E402
from harness.target_options import DIFFERENCE, TARGET, Chosen  # noqa: E402
from harness.targets.differences import expected_of  # noqa: E402
from harness.targets.external import External  # noqa: E402
from smtp_pair.clients import samples  # noqa: E402
from smtp_pair.clients.message import Attachment, Draft, Mailbox  # noqa: E402

if TYPE_CHECKING:
    from smtp_pair.pytest_plugin import MailNetwork

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

    @property
    def goes_beyond(self) -> bool:
        """Whether it needs the servers that lie beyond the pair."""
        return not {BOUNCED, DELAYED}.isdisjoint(self.destination.meanings.values())

    def play(self, stage: Stage, folder: Path, *, backwards: bool = False) -> set[str]:
        """Hand the mail to one server of a stage that has none yet, and check all that becomes of it on all of them.
        Gives the names of the listed differences that it met."""
        first = not backwards
        stage = stage.turned() if backwards else stage
        here, there = stage.here, stage.there
        drafts = [crowded(self, here, there, number)[0] for number in range(1, self.behaviour.mails + 1)]
        meanings = crowded(self, here, there)[1]
        wire = Wire()
        with wire.recorded():
            answers = self.behaviour.send(here, drafts, folder)
        contents: Sequence[bytes | None] = wire.contents or [None] * len(drafts)
        expected = [
            expected_of(stage.target, Transaction(draft, meanings, told, content), first=first)
            for draft, told, content in zip(drafts, answers, contents, strict=True)
        ]
        transactions = [transaction for transaction, _ in expected]
        for place, meaning in ((here, DELIVERED), (there, FORWARDED)):
            if isinstance(place, External):
                place.expected = sum(len(each.whose(meaning)) for each in transactions)
        stage.settle(copies_there=sum(bool(each.whose(FORWARDED)) for each in transactions))
        evidence.check(here, there, stage.beyond, transactions)
        if not self.goes_beyond:  # what ours writes down of bounces and delays is for tests/rules
            evidence_of_ours.check(here, there, transactions)
        return {difference.name for _, met in expected for difference in met}


def crowded(scenario: Scenario, here: Serving, there: Serving, number: int = 1) -> tuple[Draft, dict[str, Meaning]]:
    """A mail of a scenario, and what is to become of each of its recipients."""
    meanings = crowd(scenario.destination.at(here, there), scenario.behaviour.crowd)
    return _draft(f"luke@{here.domain}", meanings, number), meanings


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
def play(request: pytest.FixtureRequest, mail_target: Chosen, tmp_path: Path) -> Play:
    """Plays a scenario on a pair of its own, from jaku to deathstar or ``backwards``, and checks what became of it."""
    folder = tmp_path / "files of the client"
    folder.mkdir()
    item = request.node

    def play(scenario: Scenario, *, backwards: bool = False) -> None:
        item.user_properties.append((TARGET, mail_target.name))
        if reason := mail_target.why_not(scenario.destination):
            pytest.skip(f"{mail_target.name}: {reason}")
        if mail_target.target is None:
            scenario.play(_embedded(request, scenario), folder, backwards=backwards)
            return
        with mail_target.target.stage(tmp_path / "ours") as stage:
            met = scenario.play(stage, folder, backwards=backwards)
        item.user_properties.extend((DIFFERENCE, name) for name in sorted(met))

    return play


def _embedded(request: pytest.FixtureRequest, scenario: Scenario) -> Stage:
    if not scenario.goes_beyond:
        return stage.embedded(request.getfixturevalue("mail_pair"))
    mail_network: MailNetwork = request.getfixturevalue("mail_network")
    return stage.embedded(mail_network(stage.HERE, stage.THERE, *stage.beyond()))
