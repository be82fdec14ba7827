"""A server with mail for an unruly next hop, and what became of it; the clock is moved by hand."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

from harness.unruly_hop import UnrulyHop
from smtp_pair import journal
from smtp_pair.config import Domain, Limits, Retry
from smtp_pair.mail.bounce import DeliveryStatus

if TYPE_CHECKING:
    from smtp_pair import Mail, Network, Server
    from smtp_pair.pytest_plugin import MailNetwork

RETRY = Retry(first=10, most=10, expiry=15, warn=1000, jitter=0)
"""Two attempts, 10 s apart."""
SENDER, RECIPIENT = "ann@a.test", "bob@far.test"


class Sending:
    """A server with mail for a next hop, and what became of it."""

    def __init__(self, network: Network, hop: UnrulyHop) -> None:
        self.network = network
        self.server: Server = network["a.test"]
        self.hop = hop

    def send(self, *recipients: str) -> None:
        replies = self.server.send(recipients or RECIPIENT, subject="Hello", body="hello", sender=SENDER)
        assert {reply.code for reply in replies.values()} == {250}

    def send_8bit(self) -> None:
        with smtplib.SMTP(self.server.host, self.server.port, local_hostname="client.example") as client:
            octets = b"Subject: Gr\xfc\xdfe\r\n\r\ngr\xfc\xdfe\r\n"
            assert client.sendmail(SENDER, [RECIPIENT], octets, mail_options=["BODY=8BITMIME"]) == {}

    def until_nothing_waits(self) -> None:
        self.network.settle()
        for _ in range(10):
            if not self.server.queue:
                break
            self.network.clock.advance(10)
        assert self.server.queue == []
        assert not list((self.server.directory / "spool").rglob("*.eml"))

    @property
    def notifications(self) -> list[Mail]:
        """What came back; and each is one, to the sender alone."""
        mails = self.server.messages
        assert all(mail.delivery_status is not None and mail.delivered_to == (SENDER,) for mail in mails)
        return mails

    def told(self) -> DeliveryStatus:
        """The one notification."""
        [mail] = self.notifications
        status = mail.delivery_status
        assert status is not None
        return status

    def events(self) -> list[str]:
        facts = journal.read(self.server.directory)
        return [fact.event for fact in facts if fact.event in ("forwarded", "deferred", "failed")]


def sending(mail_network: MailNetwork, hop: UnrulyHop, *, tls: str = "off", limits: Limits | None = None) -> Sending:
    domain = Domain("a.test", limits=limits or Limits(), retry=RETRY)
    routes = {"far.test": {"hop": hop.address, "tls": tls}}
    return Sending(mail_network(domain, routes=routes, clock="manual"), hop)
