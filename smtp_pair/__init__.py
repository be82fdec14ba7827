"""A small internet of mail that starts in a millisecond, for tests and for looking at.

Real SMTP servers that know each other, on ports of their own, without root, Docker or sleeping: jaku.com and
deathstar.com, or any domains. They deliver, forward, refuse and retry like the real thing.

    with smtp_pair.Pair() as pair:
        pair.jaku.send("vader@deathstar.com", subject="Welcome")
        mail = pair.deathstar.wait_for(subject="Welcome")

With pytest there is nothing to import: the fixtures ``mail_pair`` and ``mail_network`` are there once the package is.

The mail's journey, and where each part of it is written down::

    client        clients/, or anybody's program
      |           listener.py binds the port, session.py carries octets
    session       protocol.py says what may be said when, content.py finds the end of the mail
      |           policy.py and routes.py: may this recipient enter, and which way is it?
    acceptance    acceptance.py: on disk and in the journal, or refused; then the 250
      |\\
      | store     store.py: the mailbox on this server, attachments decoded
      |           (mail/attachment.py takes a mail apart), inbox.py: the test that waits for it
    spool         spool.py: what has still to go elsewhere, tried again while that may help
      |
    relay         relay.py, smtp_client.py: to the next hop's session
      |
    journal       facts.py, journal.py, server_msg.py: what happened, for programs and for people

``mail/`` holds what travels: addresses, envelopes, replies, trace fields. ``server.py`` puts one server together,
``network.py`` several. What varies (time, ports, names, the folder) is handed in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Address",
    "Attachment",
    "Config",
    "ConfigError",
    "Domain",
    "Envelope",
    "Limits",
    "Mail",
    "MailDiffers",
    "MailNotFound",
    "Network",
    "NotConserved",
    "NotRunning",
    "Pair",
    "Reply",
    "Retry",
    "Server",
    "SmtpPairError",
    "StartError",
    "UnexpectedMail",
    "assert_mail_like",
]

if TYPE_CHECKING:
    from smtp_pair.config import Config, Domain, Limits, Retry
    from smtp_pair.golden import MailDiffers, assert_mail_like
    from smtp_pair.mail.address import Address
    from smtp_pair.mail.envelope import Envelope
    from smtp_pair.mail.errors import (
        ConfigError,
        MailNotFound,
        NotConserved,
        NotRunning,
        SmtpPairError,
        StartError,
        UnexpectedMail,
    )
    from smtp_pair.mail.message import Attachment, Mail
    from smtp_pair.mail.reply import Reply
    from smtp_pair.network import Network, Pair
    from smtp_pair.server import Server

# Imported when first asked for: the pytest plugin loads this package in every run of every suite beside which it is
# installed, and aiosmtpd alone costs 110 ms.
_HOMES = {
    "Address": "mail.address",
    "Attachment": "mail.message",
    "Config": "config",
    "ConfigError": "mail.errors",
    "Domain": "config",
    "Envelope": "mail.envelope",
    "Limits": "config",
    "Mail": "mail.message",
    "MailDiffers": "golden",
    "MailNotFound": "mail.errors",
    "Network": "network",
    "NotConserved": "mail.errors",
    "NotRunning": "mail.errors",
    "Pair": "network",
    "Reply": "mail.reply",
    "Retry": "config",
    "Server": "server",
    "SmtpPairError": "mail.errors",
    "StartError": "mail.errors",
    "UnexpectedMail": "mail.errors",
    "assert_mail_like": "golden",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not kept here: pytest inside pytest (pytester) forgets the modules that a run imported, and would be given their
    # classes again beside new ones.
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
