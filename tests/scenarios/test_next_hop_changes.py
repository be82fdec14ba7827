"""A next hop whose offers change between connections, and one with which TLS does not come about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sending import Sending, sending
from harness.unruly_hop import CLOSE, RESET, SILENT, Raw, Says, UnrulyHop
from smtp_pair.config import Limits
from smtp_pair.pytest_plugin import MailNetwork

IMPATIENT = 0.3
"""Seconds: the only ones that pass here."""
CLOSING = b"421 4.3.2 closing"
"""At the next attempt there is a new connection."""


@pytest.fixture
def hop() -> Iterator[UnrulyHop]:
    with UnrulyHop() as hop:
        yield hop


@pytest.fixture
def mail(mail_network: MailNetwork, hop: UnrulyHop) -> Sending:
    return sending(mail_network, hop)


def test_pipelining_vanishes(mail: Sending) -> None:
    """A mail goes out in a group or command by command, as the connection at hand offers."""
    mail.hop.says("RCPT", CLOSING)
    mail.send()
    mail.network.settle()
    mail.hop.offers = ()
    mail.until_nothing_waits()
    assert len(mail.hop.taken) == 1
    assert mail.hop.taken[0].sender == b"MAIL FROM:<ann@a.test>"
    assert mail.hop.conversations[0][1].startswith(b"MAIL FROM:<ann@a.test> SIZE=")
    assert mail.notifications == []


def test_what_the_mail_needs_vanishes(mail: Sending) -> None:
    """A mail with 8-bit octets, which the hop took before and takes no more, is not mangled: its sender is told
    (C61)."""
    mail.hop.says("RCPT", CLOSING)
    mail.send_8bit()
    mail.network.settle()
    mail.hop.offers = ("PIPELINING",)
    mail.until_nothing_waits()
    assert mail.hop.came == []
    assert [one.status for one in mail.told().recipients] == ["5.6.3"]


def test_what_the_mail_needs_comes(mail: Sending) -> None:
    """The other way round: a hop that is being set up is given no mail that it can't take, and the sender is told;
    the next mail goes through."""
    mail.hop.offers = ()
    mail.send_8bit()
    mail.until_nothing_waits()
    assert [one.status for one in mail.told().recipients] == ["5.6.3"]
    mail.hop.offers = ("8BITMIME", "SMTPUTF8")
    mail.hop.hang_up()
    mail.send_8bit()
    mail.until_nothing_waits()
    assert len(mail.hop.taken) == 1


def test_ehlo_is_not_known_any_more(mail: Sending) -> None:
    """HELO does for a plain mail."""
    mail.hop.says("RCPT", CLOSING)
    mail.send()
    mail.network.settle()
    mail.hop.always("EHLO", b"500 what")
    mail.until_nothing_waits()
    assert len(mail.hop.taken) == 1
    assert [line[:4] for line in mail.hop.conversations[1]][:3] == [b"EHLO", b"HELO", b"MAIL"]


# -- TLS --------------------------------------------------------------------------------------------------------

TLS_FAULTS: dict[str, tuple[str, Says]] = {
    "not now": ("STARTTLS", b"454 4.7.0 not now"),
    "never": ("STARTTLS", b"502 5.5.1 what"),
    "lost before": ("STARTTLS", CLOSE),
    "lost in the handshake": ("handshake", CLOSE),
    "reset in the handshake": ("handshake", RESET),
    "garbage in the handshake": ("handshake", Raw(b"250 OK, is it not?\r\n" * 10)),
}


@pytest.mark.parametrize("fault", TLS_FAULTS)
def test_tls_fails_where_it_is_demanded(mail_network: MailNetwork, hop: UnrulyHop, fault: str) -> None:
    """Nothing of the mail is said in the clear; when it does not come about its sender is told once."""
    mail = sending(mail_network, hop, tls="required")
    hop.offers = ("PIPELINING", "STARTTLS")
    hop.always(*TLS_FAULTS[fault])
    mail.send()
    mail.until_nothing_waits()
    assert hop.said("MAIL") == []
    assert len(hop.conversations) == 2
    [status] = mail.told().recipients
    assert status.status == "4.4.7"
    assert "451 4.7.5" in status.diagnostic or "451 4.4.2" in status.diagnostic


def test_tls_is_not_offered_where_it_is_demanded(mail_network: MailNetwork, hop: UnrulyHop) -> None:
    """The same for a hop, or somebody between, that does not offer it."""
    mail = sending(mail_network, hop, tls="required")
    mail.send()
    mail.until_nothing_waits()
    assert hop.said("MAIL") == []
    [status] = mail.told().recipients
    assert status.status == "4.4.7" and "451 4.7.5" in status.diagnostic


def test_a_silent_handshake(mail_network: MailNetwork, hop: UnrulyHop) -> None:
    """It is waited for as long as for a connection."""
    mail = sending(mail_network, hop, tls="required", limits=Limits(connect=IMPATIENT))
    hop.offers = ("STARTTLS",)
    hop.always("handshake", SILENT)
    mail.send()
    mail.network.settle()
    [waiting] = mail.server.queue
    assert waiting.last.startswith("451 4.7.5") and "the handshake takes too long" in waiting.last


@pytest.mark.parametrize("fault", TLS_FAULTS)
def test_tls_fails_where_it_is_welcome(mail_network: MailNetwork, hop: UnrulyHop, fault: str) -> None:
    """In the clear is as good as never having tried (RFC 7435): one copy, at the first attempt or at the next."""
    mail = sending(mail_network, hop, tls="opportunistic")
    hop.offers = ("PIPELINING", "STARTTLS")
    hop.always(*TLS_FAULTS[fault])
    mail.send()
    mail.network.settle()
    hop.behaves()
    hop.offers = ("PIPELINING",)
    mail.until_nothing_waits()
    assert len(hop.taken) == 1
    assert mail.notifications == []
