"""A next hop that fails, in every way and at every phase: the mail arrives once where that is possible, and where it is
not its sender is told once. The clock is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sending import RECIPIENT, Sending, sending
from harness.unruly_hop import CLOSE, RESET, SILENT, Raw, Says, UnrulyHop
from smtp_pair import journal
from smtp_pair.config import Limits
from smtp_pair.pytest_plugin import MailNetwork

IMPATIENT = 0.3
"""Seconds: the only ones that pass here, where a hop says nothing."""
BEFORE_THE_END = ("greeting", "EHLO", "MAIL", "RCPT", "DATA")
PHASES = (*BEFORE_THE_END, "dot")


@pytest.fixture
def hop() -> Iterator[UnrulyHop]:
    with UnrulyHop() as hop:
        yield hop


@pytest.fixture
def mail(mail_network: MailNetwork, hop: UnrulyHop) -> Sending:
    return sending(mail_network, hop)


FAULTS: dict[str, Says] = {
    "4xx": b"451 4.3.0 later",
    "421": b"421 4.3.2 shutting down",
    "a code nobody knows": b"499 4.9.9 hm",
    "without an enhanced code": b"450 busy",
    "hangs up": CLOSE,
    "resets": RESET,
    "garbage": Raw(b"\x00\xff\xfe garbage\r\n"),
    "no reply at all": Raw(b"\r\n"),
    "a reply that is none": Raw(b"OK fine\r\n"),
    "two codes in one reply": Raw(b"250-one\r\n451 two\r\n"),
    "a code of another kind": Raw(b"199 what\r\n"),
    "a line that does not end": Raw(b"250 " + b"x" * 100_000 + b"\r\n"),
    "a reply that does not end": Raw(b"250-more\r\n", endless=True),
    "a line that never ends": Raw(b"x" * 10_000, endless=True),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes(mail: Sending, phase: str, fault: str) -> None:
    """At the next attempt all is well: the hop has the mail once, and nobody is told of anything. Where the fault hit
    the reply after the dot, a hop may have it twice, for nobody could know; the other side took it once."""
    mail.hop.says(phase, FAULTS[fault])
    mail.send()
    mail.until_nothing_waits()
    assert len(mail.hop.taken) == 1
    assert len(mail.hop.came) == (2 if phase == "dot" else 1)
    assert mail.notifications == []
    assert mail.events() == ["deferred", "forwarded"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays(mail: Sending, phase: str, fault: str) -> None:
    """After the last attempt before the expiry its sender is told once: 4.4.7 (C80), with what the hop said."""
    mail.hop.always(phase, FAULTS[fault])
    mail.send()
    mail.until_nothing_waits()
    assert mail.hop.taken == []
    [status] = mail.told().recipients
    assert (status.recipient, status.action, status.status) == (RECIPIENT, "failed", "4.4.7")
    assert len(status.diagnostic) < 600
    assert mail.events() == ["deferred", "failed"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("code", [b"550 5.7.1 no", b"554 no", b"599 never"])
def test_a_refusal_for_good(mail: Sending, phase: str, code: bytes) -> None:
    """5xx, whatever follows the digit, and whatever it is said to: not tried again, and its sender is told once."""
    mail.hop.always(phase, code)
    mail.hop.always("HELO", code)
    mail.send()
    mail.network.settle()
    assert mail.server.queue == []
    assert mail.events()[0] == "failed"
    assert len(mail.hop.conversations) == 1
    [status] = mail.told().recipients
    assert (status.recipient, status.action, status.status[0]) == (RECIPIENT, "failed", "5")
    assert status.diagnostic.startswith(code.decode()[:3])
    assert mail.hop.taken == []


@pytest.mark.parametrize("phase", PHASES)
def test_silence(mail_network: MailNetwork, hop: UnrulyHop, phase: str) -> None:
    """A hop that says nothing is waited for as long as the limits say, and tried again."""
    final = phase == "dot"
    limits = Limits(final=IMPATIENT) if final else Limits(reply=IMPATIENT)
    mail = sending(mail_network, hop, limits=limits)
    hop.says(phase, SILENT)
    mail.send()
    mail.until_nothing_waits()
    assert (len(hop.taken), len(hop.came)) == (1, 2 if final else 1)
    assert mail.notifications == []
    [deferred] = [fact for fact in journal.read(mail.server.directory) if fact.event == "deferred"]
    assert "451 4.4.2" in deferred.data["reply"] and f"silent for {IMPATIENT:g} s" in deferred.data["reply"]


def test_no_connection(mail_network: MailNetwork) -> None:
    """A hop that is down is tried again, and has the mail when it is up."""
    with UnrulyHop(down=True) as hop:
        mail = sending(mail_network, hop)
        mail.send()
        mail.network.settle()
        [waiting] = mail.server.queue
        assert waiting.attempts == 1 and waiting.last.startswith("451 4.4.1")
        hop.up()
        mail.until_nothing_waits()
        assert len(hop.taken) == 1
        assert mail.notifications == []


def test_no_connection_ever(mail_network: MailNetwork) -> None:
    """A hop that stays down: one notification, that says 4.4.7 and why."""
    with UnrulyHop(down=True) as hop:
        mail = sending(mail_network, hop)
        mail.send()
        mail.until_nothing_waits()
        [status] = mail.told().recipients
        assert status.status == "4.4.7" and "4.4.1" in status.diagnostic and "refused" in status.diagnostic


@pytest.mark.parametrize("fault", [b"450 4.2.0 later", b"550 5.1.1 nobody"])
def test_one_of_two_recipients(mail: Sending, fault: bytes) -> None:
    """What one recipient is answered is not the other's: he has it once, and is not told of in the notification."""
    mail.hop.says("RCPT", b"250 2.1.5 OK", fault)
    if fault.startswith(b"4"):
        mail.hop.says("RCPT", fault)
    mail.send("bob@far.test", "eve@far.test")
    mail.until_nothing_waits()
    assert [one.recipients for one in mail.hop.taken] == [[b"RCPT TO:<bob@far.test>"]]
    assert [status.recipient for status in mail.told().recipients] == ["eve@far.test"]
    assert len(mail.hop.said("RCPT")) == (3 if fault.startswith(b"4") else 2)


def test_the_hop_is_lost_between_two_recipients(mail: Sending) -> None:
    """It refused one for good and then hung up: the refusal holds, the other one is tried again."""
    mail.hop.offers = ()
    mail.hop.says("RCPT", b"550 5.1.1 nobody", CLOSE)
    mail.send("eve@far.test", "bob@far.test")
    mail.until_nothing_waits()
    assert [one.recipients for one in mail.hop.taken] == [[b"RCPT TO:<bob@far.test>"]]
    assert [status.recipient for status in mail.told().recipients] == ["eve@far.test"]


@pytest.mark.parametrize("fault", [CLOSE, RESET])
def test_lost_after_the_dot_for_good(mail: Sending, fault: Says) -> None:
    """A hop that has all of the mail and never says so (C79): it may have it more than once, and its sender is told,
    once, that nobody knows."""
    mail.hop.always("dot", fault)
    mail.send()
    mail.until_nothing_waits()
    assert [one.content for one in mail.hop.came] == [mail.hop.came[0].content] * 2
    [status] = mail.told().recipients
    assert status.status == "4.4.7" and "4.4.2" in status.diagnostic
