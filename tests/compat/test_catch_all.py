"""A domain that takes the mail of all others, and servers with a certificate of their own."""

from __future__ import annotations

import smtplib
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from smtp_pair import ConfigError, Domain, Limits, Network
from smtp_pair.pytest_plugin import MailNetwork


def test_whatever_the_domain(mail_network: MailNetwork) -> None:
    """It is delivered here, as one mail, in the mailboxes of the local parts; a domain with a route goes its way."""
    network = mail_network(Domain("any.test", catch_all=True), "b.test")
    server = network["any.test"]
    replies = server.send(["ann@x.test", "bob@y.test", "me@any.test", "leia@b.test"], subject="All")
    assert [answer.code for answer in replies.values()] == [250] * 4
    (mail,) = server.messages
    assert mail.delivered_to == ("ann@x.test", "bob@y.test", "me@any.test")
    assert sorted(box.name for box in (server.directory / "maildir").iterdir()) == ["ann", "bob", "me"]
    assert network["b.test"].wait_for(subject="All").delivered_to == ("leia@b.test",)


def test_what_else_a_domain_says_still_holds(mail_network: MailNetwork) -> None:
    """Its users are the only ones, of any domain."""
    server = mail_network(Domain("any.test", catch_all=True, users=["ann"]))["any.test"]
    assert [answer.code for answer in server.send(["ann@x.test", "bob@x.test"]).values()] == [250, 550]


def test_not_beside_a_name_server() -> None:
    """Who may know the way to any domain: nothing would be left, or nothing would be asked."""
    with pytest.raises(ConfigError, match="catch_all: a.test can't take what a name server may know the way to"):
        Network(Domain("a.test", catch_all=True), "b.test", dns=True)


@pytest.mark.parametrize("form", ["one file", "two files", "context"])
def test_a_certificate_of_ones_own(form: str, mail_network: MailNetwork, tmp_path: Path) -> None:
    """In whichever form; a client that trusts its authority is content."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    both, chain, key = (tmp_path / name for name in ("both.pem", "cert.pem", "key.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(both)
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    certificate = {"one file": both, "two files": (str(chain), key), "context": context}[form]
    server = mail_network(Domain("a.test", tls="required", certificate=certificate))["a.test"]  # type: ignore[arg-type]
    assert "SSL_CERT_FILE" not in server.settings("env")  # whom to trust is not ours to say
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with smtplib.SMTP(server.host, server.port, local_hostname="c.test") as client:
        client.starttls(context=trust)
        client.sendmail("a@one.test", ["b@a.test"], "Subject: Sealed\r\n\r\n")
    assert server.messages[0].subject == "Sealed"


def test_certificates_that_are_none(tmp_path: Path) -> None:
    """One error each, which names the file or the value."""
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    for certificate, why in {
        "nowhere.pem": "certificate: there is no file 'nowhere.pem'",
        str(rubbish): "rubbish.pem: no certificate with its key",
    }.items():
        with pytest.raises(ConfigError, match=why):
            Network(Domain("a.test", tls="required", certificate=certificate))
    for value in (5, "", ("a", "b", "c"), ["a", 5]):
        with pytest.raises(ConfigError, match="^certificate: .* is n"):
            Domain("a.test", tls="required", certificate=value)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="certificate: nobody would ever see it, for tls is off"):
        Domain("a.test", certificate="cert.pem")


@pytest.mark.parametrize("requires", [True, False])
def test_whether_a_password_needs_tls(requires: bool, mail_network: MailNetwork) -> None:
    """Said by itself: without TLS it is neither offered nor taken, or it is beside STARTTLS."""
    told = Domain("a.test", tls="off" if requires else "offered", auth={"luke": "secret"}, auth_requires_tls=requires)
    server = mail_network(told)["a.test"]
    with smtplib.SMTP(server.host, server.port, local_hostname="c.test") as client:
        client.ehlo()
        assert client.has_extn("auth") is not requires
        assert client.docmd("AUTH", "PLAIN AGx1a2UAc2VjcmV0")[0] == (538 if requires else 235)


def test_a_handshake_that_does_not_come_ends_the_connection(mail_network: MailNetwork) -> None:
    """Within its own limit, shorter than that of an idle session: a client that waits for a greeting in the clear, from
    a server that waits for TLS, is not kept for minutes."""
    told = Domain("a.test", tls="implicit", limits=Limits(handshake=0.1))
    server = mail_network(told)["a.test"]
    with socket.create_connection((server.host, server.port), timeout=30) as client:
        assert client.recv(100) == b""


def test_who_sent_a_mail(mail_network: MailNetwork) -> None:
    """Its origin: the client's name and address; on the second server that is the first."""
    network = mail_network("a.test", "b.test")
    with smtplib.SMTP(network["a.test"].host, network["a.test"].port, local_hostname="c.test") as client:
        assert client.sock is not None
        here = client.sock.getsockname()
        client.sendmail("me@a.test", ["ann@a.test", "leia@b.test"], "Subject: Hello\r\n\r\n")
    origin = network["a.test"].messages[0].origin
    assert origin is not None
    assert (origin.helo, origin.host, origin.port, origin.protocol) == ("c.test", *here, "ESMTP")
    onward = network["b.test"].wait_for(subject="Hello").origin
    assert onward is not None
    assert onward.helo == "smtp.a.test"
