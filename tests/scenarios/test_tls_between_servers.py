"""From server to server with TLS and AUTH: what is demanded, what is proved, and what happens when it can't be."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest

from harness.next_hop import ScriptedHop
from harness.tls_hop import BROKEN, TlsHop, context
from smtp_pair import Domain, Network, Server, config_file
from smtp_pair.config import Retry, Tls
from smtp_pair.facts import Fact
from smtp_pair.journal import read
from smtp_pair.network import RouteTo
from smtp_pair.pytest_plugin import MailNetwork
from smtp_pair.routes import TlsTowards

ONCE = Retry(first=3600)
"""The second attempt is none of the test's."""
USERS = {"relay": "the f0rce", "vader": "dark side"}


def sent(mail_network: MailNetwork, route: RouteTo) -> tuple[Network, Fact]:
    """A mail to a next hop, and what became of it at the first attempt."""
    network = mail_network("jaku.com", routes={"hop.test": route}, retry=ONCE)
    network["jaku.com"].send("leia@hop.test", subject="Onward", sender="luke@jaku.com")
    network.settle()
    return network, first_attempt(network["jaku.com"])


def first_attempt(server: Server) -> Fact:
    """What came of it."""
    return next(fact for fact in read(server.directory) if fact.event in ("forwarded", "deferred", "failed"))


# -- the servers of a network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["", "auth_required"])
@pytest.mark.parametrize(("tls", "letter"), [("off", ""), ("offered", "S"), ("required", "S"), ("implicit", "S")])
@pytest.mark.parametrize(("sender", "word"), [("luke@jaku.com", "ESMTP"), ("lüke@jaku.com", "UTF8SMTP")])
def test_what_the_received_field_says(
    mail_network: MailNetwork, tls: Tls, letter: str, auth: str, sender: str, word: str
) -> None:
    """Servers of one network speak TLS, and say who they are, as each one demands; the Received field tells (C70,
    RFC 3848, RFC 6531 4.3)."""
    deathstar = Domain("deathstar.com", tls=tls, auth=USERS if auth else None, auth_required=bool(auth))
    network = mail_network("jaku.com", deathstar)
    answers = network["jaku.com"].send("vader@deathstar.com", sender=sender)
    assert [answer.code for answer in answers.values()] == [250]
    mail = network["deathstar.com"].wait_for()
    assert mail.hops == ["smtp.jaku.com", "smtp.deathstar.com"]
    last, first = mail.raw.split(b"Received: from ")[1:3]
    assert f" with {word}{letter}{'A' if auth else ''} id ".encode() in last
    assert f" with {word} id ".encode() in first


def test_a_chain_of_servers(mail_network: MailNetwork) -> None:
    """Through aliases from one to the next, each with another kind of TLS; nothing is changed on the way."""
    network = mail_network(
        Domain("a.test", tls="required", aliases={"all": ["all@b.test"]}),
        Domain("b.test", tls="implicit", aliases={"all": ["all@c.test"]}),
        Domain("c.test", tls="offered", auth=USERS, auth_required=True),
        "jaku.com",
    )
    content = b"Subject: Far\r\n\r\n" + b"x" * 998 + b"\r\n.\r\n..\r\n\xff\x00\r\n"
    attachment = {"a.bin": content * 1000}
    network["jaku.com"].send("all@a.test", subject="Far", attachments=attachment)
    mail = network["c.test"].wait_for(to="all@c.test")
    assert mail.hops == [f"smtp.{name}" for name in ("jaku.com", "a.test", "b.test", "c.test")]
    assert mail.attachments["a.bin"].content == content * 1000


def test_without_the_password_of_the_next_server(mail_network: MailNetwork) -> None:
    """AUTH by a callback has no password that the network could know of: its servers are refused like anybody."""
    deathstar = Domain("deathstar.com", auth=lambda credentials: True, auth_required=True)
    network = mail_network("jaku.com", deathstar)
    network["jaku.com"].send("vader@deathstar.com")
    network.settle()
    fact = first_attempt(network["jaku.com"])
    assert (fact.event, fact.data["reply"][:9]) == ("failed", "530 5.7.0")


# -- a next hop elsewhere ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("towards", ["opportunistic", "required", "implicit"])
def test_a_hop_that_proves_who_it_is(mail_network: MailNetwork, towards: TlsTowards) -> None:
    """By the address of its route; after the handshake nothing is said in the clear."""
    with TlsHop(context("127.0.0.1"), implicit=towards == "implicit") as hop:
        _, fact = sent(mail_network, {"hop": hop.address, "tls": towards})
    assert fact.event == "forwarded"
    [said] = hop.connections
    assert said.clear == ([] if towards == "implicit" else [b"EHLO smtp.jaku.com\r\n", b"STARTTLS\r\n"])
    assert said.secret[:2] == [b"EHLO smtp.jaku.com\r\n", b"MAIL FROM:<luke@jaku.com>\r\n"]
    assert len(said.contents) == 1


@pytest.mark.parametrize("towards", ["required", "implicit"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_hop_that_does_not(mail_network: MailNetwork, broken: str, towards: TlsTowards) -> None:
    """Expired, for another name, or by an authority that nobody trusts: put off with 4.7.5, and not a word of the mail
    was said."""
    with TlsHop(BROKEN[broken](), implicit=towards == "implicit") as hop:
        network, fact = sent(mail_network, {"hop": hop.address, "tls": towards})
    assert (fact.event, fact.data["reply"][:9]) == ("deferred", "451 4.7.5")
    assert "certificate verify failed" in fact.data["reply"].lower().replace("_", " ")
    [said] = hop.connections
    assert said.secret == said.contents == []
    assert not [line for line in said.clear if b"luke" in line]
    assert [waiting.recipient for waiting in network["jaku.com"].queue] == ["leia@hop.test"]


@pytest.mark.parametrize("broken", BROKEN)
def test_opportunistic_takes_any_certificate(mail_network: MailNetwork, broken: str) -> None:
    """Encrypted to whoever it is, is better than not (RFC 7435)."""
    with TlsHop(BROKEN[broken]()) as hop:
        _, fact = sent(mail_network, hop.address)
    assert fact.event == "forwarded"
    [said] = hop.connections
    assert said.clear[1:] == [b"STARTTLS\r\n"]
    assert len(said.contents) == 1


NO_CERTIFICATE = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no handshake succeeds with it
REFUSALS = [b"454 4.7.0 not now\r\n", b"502 5.5.1 no\r\n", b"554 5.7.3 never\r\n", b"250 2.0.0 what?\r\n"]
FAILS = pytest.mark.parametrize("go", [b"220 go ahead\r\n", *REFUSALS], ids=lambda go: go[:3].decode())


@FAILS
def test_opportunistic_falls_back(mail_network: MailNetwork, go: bytes) -> None:
    """A handshake that fails, or is refused, is no worse than no TLS at all: on a new connection, in the clear."""
    with TlsHop(NO_CERTIFICATE, go=go) as hop:
        _, fact = sent(mail_network, hop.address)
    assert fact.event == "forwarded"
    first, second = hop.connections
    assert first.contents == first.secret == []
    assert [line.split()[0] for line in second.clear[:2]] == [b"EHLO", b"MAIL"]
    assert len(second.contents) == 1


@FAILS
def test_but_not_with_a_password(mail_network: MailNetwork, go: bytes) -> None:
    """Whoever breaks the handshake must not be told the password for it: put off with 4.7.5."""
    with TlsHop(NO_CERTIFICATE, "AUTH PLAIN", go=go) as hop:
        _, fact = sent(mail_network, {"hop": hop.address, "user": "relay", "password": USERS["relay"]})
    assert (fact.event, fact.data["reply"][:9]) == ("deferred", "451 4.7.5")
    assert not [line for said in hop.connections for line in said.clear if b"AUTH" in line]


@FAILS
def test_required_does_not_fall_back(mail_network: MailNetwork, go: bytes) -> None:
    """Put off with 4.7.5, also where the hop refuses STARTTLS for good: that says nothing about the mail."""
    with TlsHop(NO_CERTIFICATE, go=go) as hop:
        _, fact = sent(mail_network, {"hop": hop.address, "tls": "required"})
    assert (fact.event, fact.data["reply"][:9]) == ("deferred", "451 4.7.5")
    assert [said.contents for said in hop.connections] == [[]]


@pytest.mark.parametrize("towards", ["required", "implicit"])
def test_a_hop_without_tls(mail_network: MailNetwork, towards: TlsTowards) -> None:
    """Put off with 4.7.5: whoever is between may have hidden STARTTLS."""
    with ScriptedHop("PIPELINING") as hop:
        _, fact = sent(mail_network, {"hop": hop.address, "tls": towards})
    assert (fact.event, fact.data["reply"][:9]) == ("deferred", "451 4.7.5")
    assert hop.said(b"MAIL") == hop.contents == []


def test_off_is_off(mail_network: MailNetwork) -> None:
    """STARTTLS is not said, though it is offered."""
    with TlsHop(context("127.0.0.1")) as hop:
        _, fact = sent(mail_network, {"hop": hop.address, "tls": "off"})
    assert fact.event == "forwarded"
    [said] = hop.connections
    assert [line.split()[0] for line in said.clear[:2]] == [b"EHLO", b"MAIL"]


# -- with a password ---------------------------------------------------------------------------------------------------


def test_a_password_is_said_in_tls_alone(mail_network: MailNetwork) -> None:
    """AUTH PLAIN after the second EHLO; it is in no file and no reply."""
    secret = base64.b64encode(b"\0relay\0the f0rce")
    with TlsHop(context("127.0.0.1"), "AUTH LOGIN PLAIN") as hop:
        route: RouteTo = {"hop": hop.address, "tls": "required", "user": "relay", "password": "the f0rce"}
        network, fact = sent(mail_network, route)
    assert fact.event == "forwarded"
    [said] = hop.connections
    assert said.secret[1] == b"AUTH PLAIN " + secret + b"\r\n"
    network.stop()
    files = [path.read_bytes() for path in network.directory.rglob("*") if path.is_file()]
    assert files
    assert not [octets for octets in files if secret in octets or b"f0rce" in octets]


@pytest.mark.parametrize(
    ("offers", "answer", "event", "codes"),
    [
        ("AUTH PLAIN", b"535 5.7.8 wrong\r\n", "failed", "535 5.7.8"),
        ("AUTH PLAIN", b"454 4.7.0 later\r\n", "deferred", "454 4.7.0"),
        ("AUTH CRAM-MD5", b"", "deferred", "451 4.7.0"),
        ("SIZE", b"", "deferred", "451 4.7.0"),
    ],
)
def test_a_password_that_is_not_taken(
    mail_network: MailNetwork, offers: str, answer: bytes, event: str, codes: str
) -> None:
    """What the hop says to it decides; where it does not ask for one in a way that is known, the mail is put off."""
    with TlsHop(context("127.0.0.1"), offers, answers={b"AUTH": answer}) as hop:
        _, fact = sent(mail_network, {"hop": hop.address, "user": "relay", "password": "wrong"})
    assert (fact.event, fact.data["reply"][:9]) == (event, codes)
    assert not [line for line in hop.connections[0].secret if line.startswith(b"MAIL")]


def test_no_password_in_the_clear_beyond_this_machine(
    mail_network: MailNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hop elsewhere is told none where TLS did not come about, for somebody on the way may have taken STARTTLS out of
    the offer: put off with 4.7.5. (No hop elsewhere can be had here: this machine is made to look like one.)"""
    monkeypatch.setattr("smtp_pair.smtp_client.is_loopback", lambda host: False)
    with TlsHop(context("127.0.0.1"), "AUTH PLAIN") as hop:
        route: RouteTo = {"hop": hop.address, "tls": "off", "user": "relay", "password": "the f0rce"}
        _, fact = sent(mail_network, route)
    assert (fact.event, fact.data["reply"][:9]) == ("deferred", "451 4.7.5")
    assert not [line for line in hop.connections[0].clear if line.startswith(b"AUTH")]


# -- in a file ---------------------------------------------------------------------------------------------------------

CONFIG = """
[[domain]]
name = "jaku.com"
tls = "offered"
auth = { luke = "secret" }

[routes]
"hop.test" = { hop = "HOP", tls = "required", user = "relay", password = "the f0rce" }
"""


def test_the_same_in_toml(mail_network: MailNetwork, tmp_path: Path) -> None:
    """A table of a route in a configuration file is what it is in Python."""
    with TlsHop(context("127.0.0.1"), "AUTH PLAIN") as hop:
        path = tmp_path / "mail.toml"
        path.write_text(CONFIG.replace("HOP", hop.address))
        config = config_file.load(path)
        network = mail_network("other.test", *config.domains, routes=config.routes)
        network["other.test"].send("leia@hop.test")
        network.settle()
    [said] = hop.connections
    assert [line.split()[0] for line in said.secret[:3]] == [b"EHLO", b"AUTH", b"MAIL"]
    assert len(said.contents) == 1
