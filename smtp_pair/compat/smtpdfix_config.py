"""What smtpdfix's server is told: from environment variables, and by assignment while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

File = str | os.PathLike[str]

_YES = ("y", "yes", "t", "true", "on", "1")
_NO = ("n", "no", "f", "false", "off", "0")


def to_bool(value: Any) -> bool:
    """A truth, in Python or in words. Raises ValueError for a word that is none."""
    if not isinstance(value, str):
        return bool(value)
    if value.lower() not in (*_YES, *_NO):
        raise ValueError(f"invalid truth value {value.lower()}")
    return value.lower() in _YES


class EventHandler:
    """Those who are told: ``config.OnChanged += function``, and ``-=``."""

    def __init__(self) -> None:
        self._handlers: list[Callable[..., Any]] = []

    def __iadd__(self, handler: Callable[..., Any]) -> EventHandler:
        if handler not in self._handlers:
            self._handlers.append(handler)
        return self

    def __isub__(self, handler: Callable[..., Any]) -> EventHandler:
        self._handlers.remove(handler)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        for handler in tuple(self._handlers):
            handler(*args, **kwargs)


def _setting(name: str, kind: Callable[[Any], Any], doc: str) -> Any:
    """An attribute that is brought into its kind, and of whose change all are told."""
    hidden = f"_{name}"

    def set_it(config: Config, value: Any) -> None:
        setattr(config, hidden, kind(value))
        config.OnChanged()

    return property(lambda config: getattr(config, hidden), set_it, doc=doc)


class Config:
    """The settings; each has an environment variable of its name with SMTPD_ in front, read when this is made.

    Raises ValueError for a variable that is no number or truth, FileNotFoundError for a file that is not there.
    """

    def __init__(self) -> None:
        env = os.environ.get
        self.OnChanged = EventHandler()
        """Called after each change."""
        self._host = env("SMTPD_HOST", "localhost")
        self._port = int(env("SMTPD_PORT", "0"))
        self._ready_timeout = float(env("SMTPD_READY_TIMEOUT", "10.0"))
        self._login_username = env("SMTPD_LOGIN_NAME", "user")
        self._login_password = env("SMTPD_LOGIN_PASSWORD", "password")
        self._enforce_auth = to_bool(env("SMTPD_ENFORCE_AUTH", "False"))
        self._auth_require_tls = to_bool(env("SMTPD_AUTH_REQUIRE_TLS", "True"))
        self._use_starttls = to_bool(env("SMTPD_USE_STARTTLS", "False"))
        self._use_ssl = to_bool(env("SMTPD_USE_SSL", "False")) or to_bool(env("SMTPD_USE_TLS", "False"))
        self._ssl_cert_files = _files((env("SMTPD_SSL_CERTIFICATE_FILE"), env("SMTPD_SSL_KEY_FILE")))

    def tell_host_and_port(self, host: str, port: int) -> None:
        """What a server found out by itself: nobody is told of it."""
        self._host, self._port = host, int(port)

    host = _setting("host", lambda value: value, "An address of this machine's loopback, or localhost.")
    port = _setting("port", int, "The TCP port; 0: a free one, found at the start.")
    ready_timeout = _setting("ready_timeout", float, "Kept for old callers: the start waits for nothing.")
    login_username = _setting("login_username", lambda value: value, "Who may log in.")
    login_password = _setting("login_password", lambda value: value, "And the password.")
    enforce_auth = _setting("enforce_auth", to_bool, "Whether every mail needs AUTH.")
    auth_require_tls = _setting("auth_require_tls", to_bool, "Whether a password is taken over TLS alone.")
    use_starttls = _setting("use_starttls", to_bool, "STARTTLS, without which no mail is taken; goes before use_ssl.")
    use_ssl = _setting("use_ssl", to_bool, "TLS from the first octet on.")

    @property
    def ssl_cert_files(self) -> tuple[File | None, File | None]:
        """The certificate and its key; the second None where both are in one file. Raises FileNotFoundError, when it
        is set, for a file that is not there."""
        return self._ssl_cert_files

    @ssl_cert_files.setter
    def ssl_cert_files(self, value: File | tuple[File | None, File | None] | None) -> None:
        self._ssl_cert_files = _files(value if isinstance(value, tuple) else (value, None))
        self.OnChanged()


def _files(files: tuple[File | None, File | None]) -> tuple[File | None, File | None]:
    for file in files:
        if file is not None and not Path(file).is_file():
            raise FileNotFoundError(f"no such file: {file}")
    return files
