"""smtpdfix's face: what a suite that was written for it relies on, beyond what its own tests ask."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
import threading
from email.message import Message
from pathlib import Path

import pytest

from smtp_pair import StartError
from smtp_pair.compat.smtpdfix import (
    AuthController,
    Authenticator,
    Config,
    SMTPDFix,
    _smtpd_certificate,
    smtpd,
)

__all__ = ["_smtpd_certificate", "smtpd"]  # fixtures
MAIL = "From: a@one.test\r\nTo: b@two.test\r\nSubject: Hello\r\n\r\nThere.\r\n"


def send(server: AuthController, *to: str) -> tuple[str, int]:
    """Send a mail; what the client's end of the connection was."""
    with smtplib.SMTP(server.hostname, server.port, local_hostname="c.test") as client:
        assert client.sock is not None
        name: tuple[str, int] = client.sock.getsockname()[:2]
        client.sendmail("a@one.test", to, MAIL)
    return name


def test_a_message_tells_its_envelope(smtpd: AuthController) -> None:
    """It is as its client sent it, whatever the domains, with the three fields added; the list is a copy."""
    client = send(smtpd, "b@two.test", "c@three.test")
    (message,) = smtpd.messages
    assert type(message) is Message
    assert message.items() == [
        *[("From", "a@one.test"), ("To", "b@two.test"), ("Subject", "Hello")],
        *[("X-Peer", str(client)), ("X-MailFrom", "a@one.test"), ("X-RcptTo", "b@two.test, c@three.test")],
    ]
    assert message.get_payload() == "There.\r\n"
    smtpd.messages.clear()
    assert smtpd.messages == [message]


def test_a_setting_that_changes_starts_it_anew(smtpd: AuthController) -> None:
    """On the same port, with what came before; `reset` without persistence forgets that."""
    send(smtpd, "b@two.test")
    port = smtpd.port
    smtpd.config.enforce_auth = True
    smtpd.config.auth_require_tls = False
    assert (smtpd.port, len(smtpd.messages)) == (port, 1)
    with smtplib.SMTP(smtpd.hostname, port, local_hostname="c.test") as client:
        assert client.docmd("EHLO", "c.test")[0] == 250
        assert client.mail("a@one.test")[0] == 530
        client.login("user", "password")
        client.sendmail("a@one.test", ["b@two.test"], MAIL)
    assert len(smtpd.messages) == 2
    smtpd.reset(persist_messages=False)
    assert smtpd.messages == []


def test_no_password_in_the_clear_unless_it_may(smtpd: AuthController) -> None:
    """Neither offered nor taken, until auth_require_tls is off."""
    with smtplib.SMTP(smtpd.hostname, smtpd.port, local_hostname="c.test") as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", "PLAIN AHUAcA==")[0] == 538


def test_the_fixtures_certificate_is_one_to_trust(smtpd: AuthController) -> None:
    """The file in the environment is the server's certificate and, for the client, the authority."""
    context = ssl.create_default_context(cafile=os.environ["SMTPD_SSL_CERTIFICATE_FILE"])
    smtpd.config.use_ssl = True
    with smtplib.SMTP_SSL(smtpd.hostname, smtpd.port, local_hostname="c.test", context=context) as client:
        client.sendmail("a@one.test", ["b@two.test"], MAIL)
    smtpd.config.use_starttls = True  # which goes first
    with smtplib.SMTP(smtpd.hostname, smtpd.port, local_hostname="c.test") as client:
        client.starttls(context=context)
        client.login("user", "password")
        client.sendmail("a@one.test", ["b@two.test"], MAIL)
    assert len(smtpd.messages) == 2


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each variable, by smtpdfix's name."""
    file = tmp_path / "both.pem"
    file.touch()
    variables = {
        "HOST": "127.0.0.1",
        "PORT": "2525",
        "READY_TIMEOUT": "3",
        "LOGIN_NAME": "luke",
        "LOGIN_PASSWORD": "secret",
        "ENFORCE_AUTH": "yes",
        "AUTH_REQUIRE_TLS": "0",
        "USE_STARTTLS": "on",
        "USE_TLS": "true",
        "SSL_CERTIFICATE_FILE": str(file),
        "SSL_KEY_FILE": str(file),
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"SMTPD_{name}", value)
    config = Config()
    assert (config.host, config.port, config.ready_timeout) == ("127.0.0.1", 2525, 3.0)
    assert (config.login_username, config.login_password) == ("luke", "secret")
    assert (config.enforce_auth, config.auth_require_tls) == (True, False)
    assert (config.use_starttls, config.use_ssl, config.ssl_cert_files) == (True, True, (str(file), str(file)))
    monkeypatch.setenv("SMTPD_SSL_KEY_FILE", "nowhere.pem")
    with pytest.raises(FileNotFoundError, match="nowhere.pem"):
        Config()


def test_an_authenticator_of_ones_own() -> None:
    """It is asked for the name and the password, and its word counts."""

    class Even(Authenticator):
        def validate(self, username: str, password: str) -> bool:
            return len(password) % 2 == 0

        def verify(self, username: str) -> bool:
            return True

        def get_password(self, username: str) -> str:
            return ""

    config = Config()
    config.auth_require_tls = False
    controller = AuthController(hostname="127.0.0.1", config=config, authenticator=Even())
    controller.start()
    try:
        with smtplib.SMTP(controller.hostname, controller.port, local_hostname="c.test") as client:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("anyone", "odd")
            assert client.login("anyone", "even")[0] == 235
    finally:
        controller.stop()


def test_messages_outlive_the_server_and_nothing_else_does() -> None:
    """After the `with` they are still there; nobody answers on the port, and no thread was left."""
    threads = threading.active_count()
    with SMTPDFix(hostname="127.0.0.1") as server:
        assert server.port
        send(server, "b@two.test")
    assert [message["Subject"] for message in server.messages] == ["Hello"]
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 1)
    assert threading.active_count() <= threads + 1  # the one for all servers of the process


def test_a_port_that_is_taken_is_told_at_once() -> None:
    """With the port's number, and no wait."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port}: the port is in use"):
            AuthController(hostname="127.0.0.1", port=port).start()
