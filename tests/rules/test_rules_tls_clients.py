"""TLS and AUTH as real clients use them: smtplib and aiosmtplib, with and without the authority's certificate (C67 to
C69)."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable

import aiosmtplib
import pytest

from harness.rules_plugin import Connect, Notes
from smtp_pair import Domain, Network, Server, background
from smtp_pair.config import Tls
from smtp_pair.pytest_plugin import MailNetwork

NAME = "client.example"
SENDER, RECIPIENT = "luke@jaku.com", "obiwan@jaku.com"
USER, PASSWORD = "luke", "the f0rce'\\"
MAIL = "Subject: Encrypted\r\n\r\nHello.\r\n"
TLS = pytest.mark.parametrize("tls", ["offered", "required", "implicit"])

Send = Callable[[Server, ssl.SSLContext, bool], None]


@pytest.fixture
def network(mail_network: MailNetwork, tls: Tls) -> Network:
    return mail_network(Domain("jaku.com", tls=tls, auth={USER: PASSWORD}, auth_required=True))


def by_smtplib(server: Server, context: ssl.SSLContext, implicit: bool) -> None:
    """As the standard library's documentation shows it."""
    if implicit:
        client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, local_hostname=NAME, context=context)
    else:
        client = smtplib.SMTP(server.host, server.port, local_hostname=NAME)
    with client:
        if not implicit:
            client.starttls(context=context)
        client.login(USER, PASSWORD)
        client.sendmail(SENDER, [RECIPIENT], MAIL)


def by_aiosmtplib(server: Server, context: ssl.SSLContext, implicit: bool) -> None:
    async def send() -> None:
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=NAME,
            use_tls=implicit,
            start_tls=not implicit,
            tls_context=context,
            username=USER,
            password=PASSWORD,
        )
        async with client:
            await client.sendmail(SENDER, [RECIPIENT], MAIL)

    background.run(send())  # a loop that ends at once would not see TLS being closed


CLIENTS = pytest.mark.parametrize("send", [by_smtplib, by_aiosmtplib])


@TLS
@CLIENTS
def test_c67_real_clients(network: Network, rule: Notes, send: Send, tls: Tls) -> None:
    """They upgrade, verify the certificate, say who they are and deliver."""
    server = network["jaku.com"]
    send(server, network.client_context(), tls == "implicit")
    [mail] = server.messages
    assert mail.subject == "Encrypted"
    assert b" with ESMTPSA id " in mail.raw
    rule.observed("smtplib and aiosmtplib deliver with STARTTLS, with implicit TLS, and with AUTH")


@TLS
@CLIENTS
def test_c67_a_client_without_the_authority(network: Network, rule: Notes, send: Send, tls: Tls) -> None:
    """It does not know who signed the certificate, and refuses; no password was said, no mail came, and the next client
    is served."""
    server = network["jaku.com"]
    with pytest.raises((ssl.SSLCertVerificationError, aiosmtplib.SMTPConnectError)):
        send(server, ssl.create_default_context(), tls == "implicit")
    assert server.messages == []
    send(server, network.client_context(), tls == "implicit")
    assert len(server.messages) == 1
    rule.observed("a client without the authority's certificate refuses")


@pytest.mark.parametrize("tls", ["offered", "implicit"])
@pytest.mark.parametrize("name", ["smtp.jaku.com", "jaku.com", "SMTP.JAKU.COM", "localhost", "127.0.0.1", "::1"])
def test_c67_the_certificate_names_the_server(network: Network, rule: Notes, name: str, tls: Tls) -> None:
    """It is for the server's own names and for this machine's loopback."""
    with socket.create_connection((network["jaku.com"].host, network["jaku.com"].port), timeout=15) as plain:
        if tls == "offered":
            plain.sendall(b"EHLO client.example\r\nSTARTTLS\r\n")
            said = b""
            while b"220 2.0.0" not in said or not said.endswith(b"\r\n"):
                said += plain.recv(1 << 16)
        with network.client_context().wrap_socket(plain, server_hostname=name) as secure:
            assert secure.version() in ("TLSv1.2", "TLSv1.3")
    rule.observed("the certificate is for the server's names, localhost, 127.0.0.1 and ::1")


@pytest.mark.parametrize("tls", ["implicit"])
@pytest.mark.parametrize("name", ["smtp.deathstar.com", "com", "evil-jaku.com", "127.0.0.2"])
def test_c67_and_for_nobody_else(network: Network, wire: Connect, rule: Notes, name: str) -> None:
    """A client that is led astray notices."""
    server = network["jaku.com"]
    with socket.create_connection((server.host, server.port), timeout=15) as plain:
        with pytest.raises(ssl.SSLCertVerificationError):
            network.client_context().wrap_socket(plain, server_hostname=name)
    rule.observed("the certificate is for nobody else")


@pytest.mark.parametrize("tls", ["offered"])
def test_c69_real_clients_with_a_wrong_password(network: Network, rule: Notes, tls: Tls) -> None:
    """smtplib tries the mechanisms one after the other, and tells what the server said."""
    server = network["jaku.com"]
    with smtplib.SMTP(server.host, server.port, local_hostname=NAME) as client:
        client.starttls(context=network.client_context())
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(USER, "wrong")
        assert (refused.value.smtp_code, str(refused.value.smtp_error)[:8]) == (535, "b'5.7.8 ")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(SENDER, [RECIPIENT], MAIL)
    assert server.messages == []
    rule.observed("wrong: 535 5.7.8")
