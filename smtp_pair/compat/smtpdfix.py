"""smtpdfix's ``smtpd``: ``pytest_plugins = ["smtp_pair.compat.smtpdfix"]``.

The same names: :class:`Config` with its environment variables, :class:`AuthController`, :class:`SMTPDFix`,
:class:`Authenticator`. What differs is on purpose: no port is picked before it is bound (``config.port`` is 0 until
the start), AUTH PLAIN is RFC 4616's, CRAM-MD5 is not offered, and a connection that fails takes no server down.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any

import pytest

from smtp_pair.compat.sink import Sink, parsed, peer
from smtp_pair.compat.smtpdfix_config import Config, EventHandler
from smtp_pair.config import Limits
from smtp_pair.mail.errors import ConfigError
from smtp_pair.mail.message import Mail
from smtp_pair.sasl import PASSWORD_MECHANISMS, Credentials

__all__ = ["AuthController", "Authenticator", "Config", "ConfigAuthenticator", "EventHandler", "SMTPDFix", "smtpd"]


_HANDSHAKE = 5.0
"""Seconds: as there. A client without TLS, to a server that begins with it, waits for as long."""


class Authenticator(ABC):
    """Who may log in: to be subclassed. :meth:`validate` alone is called; the others are there for old subclasses."""

    @abstractmethod
    def validate(self, username: str, password: str) -> bool:
        """Whether that is the user's password. Called on the server's thread; must not wait for anything."""

    @abstractmethod
    def verify(self, username: str) -> bool:
        """Whether there is such a user."""

    @abstractmethod
    def get_password(self, username: str) -> str:
        """The user's password."""


class ConfigAuthenticator(Authenticator):
    """Knows one user, the configuration's: ``login_username`` with ``login_password``."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def validate(self, username: str, password: str) -> bool:
        return (username, password) == (self.config.login_username, self.config.login_password)

    def verify(self, username: str) -> bool:
        raise NotImplementedError

    def get_password(self, username: str | None) -> str:
        return str(self.config.login_password)


class AuthController:
    """A server that takes any mail, told by ``config``; where a setting changes while it runs, it starts anew on the
    same port, its messages kept.

    ``hostname`` and ``port`` go before the configuration's; ``ssl_context`` before its certificate. ``loop`` and
    ``ready_timeout`` are there for old callers: all servers share one loop, and no start is waited for. :meth:`start`
    raises StartError where the port is taken, FileNotFoundError where TLS has no certificate.
    """

    def __init__(
        self,
        loop: Any = None,
        hostname: str | None = None,
        port: int | None = None,
        ready_timeout: float | None = None,
        ssl_context: SSLContext | None = None,
        config: Config | None = None,
        authenticator: Authenticator | None = None,
        messages: list[Message] | None = None,
    ) -> None:
        self.config = config or Config()
        self._messages = messages if messages is not None else []
        self._ssl_context = ssl_context
        self._authenticator = authenticator
        self._sink: Sink | None = None
        self.config.tell_host_and_port(hostname or self.config.host or "localhost", port or self.config.port)
        self.config.OnChanged += self.reset

    @property
    def hostname(self) -> str:
        """Where to connect."""
        return self.config.host or "localhost"

    @property
    def port(self) -> int:
        """Where to connect; 0 before the first start where no port was asked for."""
        return int(self.config.port)

    @property
    def messages(self) -> list[Message]:
        """The mails that came, oldest first, each an ``email.message.Message`` with the fields X-Peer, X-MailFrom and
        X-RcptTo; a copy."""
        if self._sink is not None:
            self._messages += map(_message, self._sink.take())
        return self._messages.copy()

    def start(self) -> None:
        if self._sink is None:
            sink = Sink(self.hostname, self.port, **self._settings())
            sink.start()
            self._sink = sink
            self.config.tell_host_and_port(self.hostname, sink.port)

    def stop(self) -> None:
        """Stop it; a second time does nothing. Its messages stay."""
        if self._sink is not None:
            self._sink.stop()
            _ = self.messages
            self._sink = None

    def reset(self, persist_messages: bool = True) -> None:
        """Begin anew with the configuration as it is now, if it runs; without its messages where they are not to be
        kept."""
        runs = self._sink is not None
        self.stop()
        if not persist_messages:
            self._messages.clear()
        if runs:
            self.start()

    def _settings(self) -> dict[str, Any]:
        """The configuration, in the words of :class:`~smtp_pair.config.Domain`."""
        config = self.config
        settings: dict[str, Any] = {
            "auth_required": config.enforce_auth,
            "auth_requires_tls": config.auth_require_tls,
            "limits": Limits(handshake=_HANDSHAKE),
        }
        if config.use_starttls or config.use_ssl:  # STARTTLS goes first, as there
            settings["tls"] = "required" if config.use_starttls else "implicit"
            settings["certificate"] = self._ssl_context or self._certificate()
        if self._authenticator is not None or config.enforce_auth:
            settings["auth"] = self._knows
        return settings

    def _certificate(self) -> Any:
        certificate, key = self.config.ssl_cert_files
        for file in (certificate, *([key] if key else [])):
            if not file or not Path(file).is_file():
                raise FileNotFoundError(errno.ENOENT, "no certificate for TLS: see ssl_cert_files", file)
        return (certificate, key) if key else certificate

    def _knows(self, credentials: Credentials) -> bool:
        return (
            self._authenticator is not None
            and credentials.mechanism in PASSWORD_MECHANISMS
            and bool(self._authenticator.validate(credentials.user, credentials.secret))
        )


class SMTPDFix:
    """A server for the length of a ``with``: ``with SMTPDFix() as server: ... server.messages``."""

    def __init__(self, hostname: str | None = None, port: int | None = None, config: Config | None = None) -> None:
        self.hostname = hostname
        self.port = int(port) if port is not None else 0
        self.config = config or Config()

    def __enter__(self) -> AuthController:
        self.controller = AuthController(
            hostname=self.hostname,
            port=self.port,
            config=self.config,
            authenticator=ConfigAuthenticator(self.config),
        )
        self.controller.start()
        return self.controller

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.controller.stop()


@pytest.fixture(scope="session")
def _smtpd_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The test authority's certificate for localhost, in one file with its key; "" without the extra ``tls``."""
    from smtp_pair import tls

    file = tmp_path_factory.mktemp("certs") / "cert.pem"
    try:
        tls.write_certificate(file)
    except ConfigError:
        return ""
    return str(file)


@pytest.fixture
def smtpd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuthController]:
    """A running SMTP server that takes any mail: smtpdfix's, until the suite has moved to ``mail_pair``.

    ``smtpd.hostname`` and ``smtpd.port`` become ``mail_pair.jaku.host`` and ``.port``; ``smtpd.messages`` becomes
    ``mail_pair.jaku.messages``, or better ``mail_pair.jaku.wait_for(subject=...)``; ``smtpd.config`` becomes a
    ``Domain(tls="required", auth={"user": "password"})``. A server for any domain, as this one is, is
    ``mail_network(Domain("any.test", catch_all=True))``. docs/migrating.md.
    """
    if "SMTPD_SSL_CERTIFICATE_FILE" not in os.environ:
        certificate: str = request.getfixturevalue("_smtpd_certificate")
        if certificate:
            monkeypatch.setenv("SMTPD_SSL_CERTIFICATE_FILE", certificate)
    with SMTPDFix() as controller:
        yield controller


def _message(mail: Mail) -> Message:
    message = parsed(mail)
    message["X-Peer"] = str(peer(mail))
    message["X-MailFrom"] = str(mail.envelope.sender)
    message["X-RcptTo"] = ", ".join(mail.envelope.recipients)
    return message
