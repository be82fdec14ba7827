"""Every fault, at every place, with real clients. What they do with it is noted for ``docs/faults.md``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.fault_cases import CASES, RECIPIENT, SENDS, Case
from smtp_pair import Network
from smtp_pair.pytest_plugin import MailNetwork

pytest.importorskip("trustme")
# a partition lies between servers: other clients do not meet it
COMBINATIONS = [(client, case) for client in SENDS for case in CASES if client == "relay" or case.fault is not None]


@pytest.mark.parametrize(
    ("client", "case"), [pytest.param(client, case, id=f"{client}-{case.name}") for client, case in COMBINATIONS]
)
def test_what_a_client_does(
    client: str, case: Case, mail_network: MailNetwork, record_property: Callable[[str, object], None]
) -> None:
    """The fault comes to pass, where it should. A mail is there if its client was told so, and is not if not; what a
    relay has put off arrives once the fault is taken back, once. Afterwards all is as before."""
    network = mail_network("a.test", case.domain, clock="manual")
    server = network["b.test"]
    if case.fault is None:
        network.partition("a.test", "b.test")
    else:
        server.faults.add(case.fault)
    outcome = SENDS[client](network, server, case)
    record_property("fault", f"{case.name}\t{client}\t{outcome}")
    if case.fault is not None and not case.fault.down and fires(case, client):
        assert {(fired.fault, fired.phase) for fired in server.faults.seen} >= {(case.fault, case.fault.place)}
    if client == "relay":
        afterwards_the_relay(network, case, outcome)
    else:
        server.faults.clear()
        network.settle()
        come = outcome == "sent" or case.twice or fires_late(case)
        assert len(server.messages) == come
    server.faults.clear()
    network.heal()
    before = len(server.messages)
    assert SENDS[client](network, server, Case(None, case.server)) == "sent"
    assert len(server.messages) == before + 1


def fires(case: Case, client: str) -> bool:
    """Our relay keeps its connection, and so says no QUIT."""
    return not (client == "relay" and case.fault is not None and case.fault.place == "QUIT")


def fires_late(case: Case) -> bool:
    """Whatever comes of it, the mail is there."""
    return case.fault is not None and case.fault.place in ("accepted", "QUIT")


def afterwards_the_relay(network: Network, case: Case, outcome: str) -> None:
    first, second = network["a.test"], network["b.test"]
    second.faults.clear()
    network.heal()
    if case.fault is not None and case.fault.garbage and case.waits:
        second.faults.down().clear()  # half a line is never finished: only the end of the connection is an answer
    network.clock.advance(hours=1)
    arrived = [mail for mail in second.messages if RECIPIENT in mail.envelope.recipients]
    if outcome.startswith("bounced"):
        assert not arrived and [mail.delivery_status is not None for mail in first.messages] == [True]
    else:
        assert len(arrived) == 2 if case.twice else len(arrived) == 1
        assert not first.messages
    assert not first.queue
