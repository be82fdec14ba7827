"""What a running network has to tell of a test, as values: its servers, its facts, its mails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from smtp_pair.facts import Fact
from smtp_pair.mail.message import Mail
from smtp_pair.network import Network
from smtp_pair.report.run import MailSeen, ServerSeen


def servers(networks: Iterable[Network]) -> tuple[ServerSeen, ...]:
    """How each server stands now."""
    return tuple(
        ServerSeen(
            server.hostname, server.domain, len(server.messages), server.transcripts_dropped, tuple(server.queued())
        )
        for network in networks
        for server in network
    )


def routes(networks: Iterable[Network]) -> tuple[tuple[str, str], ...]:
    """The ways to domains that are not the servers' own."""
    return tuple((domain, str(to)) for network in networks for domain, to in network.routes.items())


def facts(networks: Iterable[Network], since: float = 0.0) -> Iterator[Fact]:
    """What happened, as far as it can be read, from ``since`` on (in seconds since the epoch)."""
    for network in networks:
        for server in network:
            with suppress(OSError, ValueError):  # a test may do to the journal what it likes
                yield from [fact for fact in server.facts if fact.moment >= since]


def mails(kept: Sequence[tuple[Mail, Path, int]], folder: Path) -> tuple[MailSeen, ...]:
    """The mails whose raw form was kept: mail, file, octets. ``folder`` is what files are named from."""
    found = [
        MailSeen(
            mail.hostname,
            mail.id,
            mail.received_at.timestamp(),
            mail.envelope.sender,
            tuple(mail.delivered_to),
            mail.subject,
            size,
            path.relative_to(folder).as_posix(),
            path.read_bytes,
        )
        for mail, path, size in kept
    ]
    return tuple(sorted(found, key=lambda mail: mail.moment))
