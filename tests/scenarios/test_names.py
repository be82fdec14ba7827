"""Mail that finds its way by DNS: a real name server, real look-ups, and what becomes of mail when they go wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.processes import servers
from smtp_pair import Network
from smtp_pair.clients.quick import send
from smtp_pair.dns_server import DnsServer
from smtp_pair.mail.errors import ConfigError, StartError

SENDER = "me@a.test"


@pytest.fixture
def network() -> Iterator[Network]:
    """Two domains that know each other through their name server alone, on a clock that the test moves."""
    pytest.importorskip("dns", reason="dnspython is not installed: no names are looked up")
    with Network("a.test", "b.test", clock="manual", dns=True) as running:
        yield running


def bounced(network: Network, recipient: str) -> tuple[str, str]:
    """Send to a recipient; the status and the diagnostic of the notification that comes back."""
    network["a.test"].send(recipient, sender=SENDER)
    network.settle()
    told = network["a.test"].wait_for_bounce(recipient).delivery_status
    assert told is not None
    return told[recipient].status, told[recipient].diagnostic


def test_the_exchanger_of_a_domain_gets_its_mail(network: Network) -> None:
    """The MX record is asked for, then the address of the host that it names."""
    network["a.test"].send("ann@B.test", subject="By name")
    assert network["b.test"].wait_for(subject="By name").hops == ["smtp.a.test", "smtp.b.test"]
    assert ("b.test", "MX") in network.dns.queries
    assert ("smtp.b.test", "A") in network.dns.queries


def test_a_domain_without_mx_is_its_own_exchanger(network: Network) -> None:
    """RFC 5321 5.1: the address of the domain itself, the implicit MX."""
    network.dns.add("smtp.b.test.", "TXT", "x")
    network["a.test"].send("ann@smtp.b.test", subject="Implicit")
    assert network["b.test"].wait_for(subject="Implicit").envelope.recipients == ["ann@smtp.b.test"]


def test_a_domain_that_is_not_there_bounces(network: Network) -> None:
    """NXDOMAIN is permanent: 5.1.2."""
    assert bounced(network, "ann@nowhere.test") == ("5.1.2", "550 5.1.2 there is no domain nowhere.test")


def test_c41_a_null_mx_takes_no_mail(network: Network) -> None:
    """RFC 7505: the single exchanger "." means 556 5.1.10, and nobody is connected to."""
    network.dns.add("null.test", "MX", "0 .")
    assert bounced(network, "ann@null.test")[0] == "5.1.10"


def test_a_name_without_a_host_bounces(network: Network) -> None:
    """A domain that is there, with neither exchanger nor address, has nowhere to send to: 5.4.4."""
    network.dns.add("empty.test", "TXT", "nothing here")
    assert bounced(network, "ann@empty.test")[0] == "5.4.4"


def test_the_next_exchanger_is_tried(network: Network) -> None:
    """The best one is dead and the second has the domain: one copy, nothing queued, nothing bounced."""
    network.dns.remove("b.test")
    network.dns.add("b.test", "MX", "20 smtp.b.test")
    network.dns.add("b.test", "MX", "10 dead.test")
    network.dns.add("dead.test", "A", "127.0.0.1")  # on port 25, where nobody listens
    network["a.test"].send("ann@b.test", subject="Second", sender=SENDER)
    network.settle()
    assert [mail.subject for mail in network["b.test"].messages] == ["Second"]
    assert network["a.test"].queue == []


def test_a_server_that_is_an_exchanger_itself_looks_only_at_better_ones(network: Network) -> None:
    """RFC 5321 5.1: else two servers that do not serve the domain would pass its mail on to each other for good."""
    network.dns.add("lost.test", "MX", "10 smtp.a.test")
    status, diagnostic = bounced(network, "ann@lost.test")
    assert status == "5.4.6"
    assert "leads back" in diagnostic


@pytest.mark.parametrize("trouble", ["SERVFAIL", "REFUSED", "timeout", "wrong"])
def test_a_name_server_in_trouble_puts_mail_off(network: Network, trouble: str) -> None:
    """No answer, no good answer and an answer to another question are passing: the mail waits, and goes when it can."""
    network.dns.fail("b.test", trouble)  # type: ignore[arg-type]
    network["a.test"].send("ann@b.test", subject="Patience", sender=SENDER)
    network.settle()
    (waiting,) = network["a.test"].queue
    assert waiting.last.startswith("451 4.4.3 ")
    network.dns.fail("b.test", None)
    network.clock.advance(minutes=5)
    assert [mail.subject for mail in network["b.test"].messages] == ["Patience"]
    assert network["a.test"].queue == []


def test_a_host_beyond_this_machine_is_never_connected_to(network: Network) -> None:
    """No test mails a real person, whatever a name server says."""
    network.dns.add("real.test", "MX", "10 mail.real.test")
    network.dns.add("mail.real.test", "A", "192.0.2.1")
    status, diagnostic = bounced(network, "ann@real.test")
    assert status == "5.7.1"
    assert "not on this machine" in diagnostic


def test_an_address_literal_is_not_looked_up(network: Network) -> None:
    """A foreign literal has no route (C33)."""
    replies = network["a.test"].send("ann@[192.0.2.1]", sender=SENDER)
    assert replies["ann@[192.0.2.1]"].code == 550
    assert network.dns.queries == []


def test_a_name_server_by_its_address() -> None:
    """``dns="HOST:PORT"`` asks that server, for domains that the network does not know itself."""
    pytest.importorskip("dns", reason="dnspython is not installed: no names are looked up")
    with Network("b.test", dns=True) as far:
        name_server = f"{far.dns.host}:{far.dns.port}"
        with Network("a.test", clock="manual", dns=name_server) as near:
            near["a.test"].send("ann@nowhere.test", sender=SENDER)
            assert near["a.test"].wait_for_bounce("ann@nowhere.test").envelope.sender == ""
            assert ("nowhere.test", "MX") in far.dns.queries


@pytest.mark.parametrize(
    ("name_server", "why"),
    [("nonsense", "is not HOST:PORT"), ("192.0.2.1:53", "not on this machine"), (".", "HOST:PORT")],
)
def test_a_name_server_that_can_not_be(name_server: str, why: str) -> None:
    """One error, at once, that names the argument."""
    with pytest.raises(ConfigError, match=f"^dns: .*{why}"):
        Network("a.test", dns=name_server)


def test_records_and_trouble_that_can_not_be(network: Network) -> None:
    """One error, when it is given."""
    with pytest.raises(ConfigError, match="no MX record: 'ten smtp'"):
        network.dns.add("x.test", "MX", "ten smtp")
    with pytest.raises(ConfigError, match="'FLOOD' is none of NXDOMAIN"):
        network.dns.fail("x.test", "FLOOD")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="start it with dns=True"):
        _ = Network("a.test").dns


def test_rubbish_does_not_stop_the_name_server(network: Network) -> None:
    """Packets that are no questions get no answer, and the next question does."""
    assert network.dns.answer_or_none(b"") is None
    assert network.dns.answer_or_none(b"\x00" * 12) is None
    network["a.test"].send("ann@b.test", subject="Still there")
    assert network["b.test"].wait_for(subject="Still there").hops == ["smtp.a.test", "smtp.b.test"]


def test_up_asks_the_name_server_of_its_configuration(tmp_path: Path) -> None:
    """`dns` in the file: a domain that is not there bounces; nothing beyond this machine is connected to."""
    pytest.importorskip("dns", reason="dnspython is not installed: no names are looked up")
    with Network("b.test", dns=True) as far, servers(tmp_path) as start:
        far.dns.add("real.test", "A", "192.0.2.1")
        config = tmp_path / "servers.toml"
        config.write_text(f'dns = "{far.dns.host}:{far.dns.port}"\n[[domain]]\nname = "a.test"\nport = 0\n')
        running = start("--config", config, "--data", tmp_path / "data")
        host, _, port = running.servers["a.test"].rpartition(":")
        for recipient, said in (("ann@nowhere.test", "550 5.1.2"), ("ann@real.test", "550 5.7.1")):
            send(host, int(port), recipient, subject="", body="", attachments={}, sender=SENDER)
            assert said in running.expect("failed ")
        assert running.stop() == 0


def test_a_name_server_whose_port_is_taken(network: Network) -> None:
    """Is named, and no server of the network stays: all ports can be taken again, and are at the next start."""
    network.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((network.dns.host, network.dns.port))
        with pytest.raises(StartError, match=f"the name server can't use 127.0.0.1:{network.dns.port}: "):
            network.start()
    network.start()
    network["a.test"].send("ann@b.test", subject="By name")
    network["b.test"].wait_for(subject="By name")


def test_a_name_server_that_does_not_begin(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that fails half-way leaves nothing: whatever was bound is given up."""
    network.stop()

    async def fail(server: DnsServer) -> None:
        raise OSError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr(DnsServer, "open", fail)
        with pytest.raises(OSError, match="out of order"):
            network.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((network["a.test"].host, network["a.test"].port))
    network.start()
    network["a.test"].send("ann@b.test", subject="By name")
    network["b.test"].wait_for(subject="By name")
