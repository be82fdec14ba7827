"""Mail as clients send it: destinations times behaviours, as far as the client is told what becomes of it."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from harness.dialogue import Subject
from harness.wire_scripts.connection import trusting_context
from smtp_pair.clients import samples, scripted
from smtp_pair.clients.message import Attachment, ClientError, Draft, render

TAKEN, REFUSED = "taken", "refused"
Answers = Mapping[str, str]
"""For each recipient what the client was told: ``taken``, or the reply that refused it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way of sending, to recipients of which it is known what should become of them."""

    name: str
    meanings: Mapping[str, str]
    """TAKEN or REFUSED, for each recipient."""
    send: Callable[[Draft], Answers]

    def play(self, sender: str) -> tuple[bool, str, str]:
        """Whether all is as it should be; what should become of each, and what did. Nothing is raised."""
        recipients = list(self.meanings)
        files = [Attachment(name, content) for name, content in samples.files()]
        draft = Draft(sender, recipients, "Three files", "Greetings.\n.a dot\n..two dots\n", files)
        try:
            told = self.send(draft)
        except (OSError, smtplib.SMTPException, ClientError, ValueError) as error:
            told = dict.fromkeys(recipients, f"{type(error).__name__}: {error}")
        right = all(told.get(recipient, "nothing").startswith(meaning) for recipient, meaning in self.meanings.items())
        return right, _listed(self.meanings), _listed(told)


def scenarios(subject: Subject, has: Iterable[str], *, patience: float) -> list[Scenario]:
    """Those that make sense of a server that has these things (``wire_scripts/needs.py``)."""
    destinations = {"local": {subject.values["user"]: TAKEN}, "unreachable": {subject.nowhere: REFUSED}}
    if "route" in set(has):
        destinations["forward"] = {subject.route: TAKEN}
    destinations["one of each"] = {name: meaning for one in destinations.values() for name, meaning in one.items()}
    behaviours: dict[str, Callable[[Draft], Answers]] = {
        "smtplib": partial(_by_smtplib, subject, patience, 1),
        "smtplib, three mails on one connection": partial(_by_smtplib, subject, patience, 3),
    }
    if not subject.tls:  # of which the scripted client knows nothing
        behaviours["scripted client"] = partial(_by_scripted_client, subject, patience)
    return [
        Scenario(f"{behaviour}, {destination}", meanings, send)
        for behaviour, send in behaviours.items()
        for destination, meanings in destinations.items()
    ]


def _by_scripted_client(subject: Subject, patience: float, draft: Draft) -> Answers:
    result = scripted.send(draft, subject.host, subject.port, show=lambda _: None, timeout=patience)
    refused = {name: f"{REFUSED}: {refusal}" for name, refusal in result.refused.items()}
    return dict.fromkeys(result.accepted, TAKEN) | refused


def _by_smtplib(subject: Subject, patience: float, mails: int, draft: Draft) -> Answers:
    told: dict[str, str] = {}
    with _client(subject, patience) as client:
        for _ in range(mails):
            told |= _sent(client, draft.envelope_sender, draft.envelope_recipients, render(draft))
    return told


def _client(subject: Subject, patience: float) -> smtplib.SMTP:
    server, name = (subject.host, subject.port), subject.client
    if subject.tls == "implicit":
        return smtplib.SMTP_SSL(*server, local_hostname=name, timeout=patience, context=trusting_context())
    client = smtplib.SMTP(*server, local_hostname=name, timeout=patience)
    if subject.tls:
        try:
            client.starttls(context=trusting_context())
        except (OSError, smtplib.SMTPException):
            client.close()
            raise
    return client


def _sent(client: smtplib.SMTP, sender: str, recipients: Sequence[str], content: bytes) -> Answers:
    try:
        refused = client.sendmail(sender, recipients, content)
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    said = {name: f"{REFUSED}: {code} {text.decode('utf-8', 'replace')}" for name, (code, text) in refused.items()}
    return dict.fromkeys(recipients, TAKEN) | said


def _listed(answers: Mapping[str, str]) -> str:
    text = "; ".join(f"<{name}> {answer}" for name, answer in answers.items())
    return "".join(char if char.isprintable() else "?" for char in text)


def reachable(host: str, port: int, patience: float) -> str:
    """Why nobody can be reached there; "" where somebody can."""
    try:
        with socket.create_connection((host, port), patience):
            return ""
    except OSError as error:
        return error.strerror or str(error)
