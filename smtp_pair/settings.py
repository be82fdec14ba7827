"""What frameworks are to be told so that they send their mail to a server: :meth:`smtp_pair.server.Server.settings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from smtp_pair.mail.errors import ConfigError

_DJANGO_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


def of(framework: str, host: str, port: int) -> dict[str, Any]:
    """The settings, by their names in that framework. Raises ConfigError for one that is not known here."""
    make = _FRAMEWORKS.get(framework)
    if make is None:
        raise ConfigError(f"settings: {framework!r} is none of {', '.join(_FRAMEWORKS)}")
    return make(host, port)


def _django(host: str, port: int) -> dict[str, Any]:
    """The backend is named too: Django's own test runner and pytest-django put one that keeps mail in memory there."""
    try:
        from django import VERSION
    except ImportError:
        VERSION = (6, 1)
    if VERSION >= (6, 1):  # which warns about the old names
        return {"MAILERS": {"default": {"BACKEND": _DJANGO_BACKEND, "OPTIONS": {"host": host, "port": port}}}}
    return {"EMAIL_BACKEND": _DJANGO_BACKEND, "EMAIL_HOST": host, "EMAIL_PORT": port}


def _flask_mail(host: str, port: int) -> dict[str, Any]:
    """Flask-Mail sends nothing under TESTING unless it is told to."""
    return {"MAIL_SERVER": host, "MAIL_PORT": port, "MAIL_SUPPRESS_SEND": False}


def _fastapi_mail(host: str, port: int) -> dict[str, Any]:
    """The arguments of ConnectionConfig."""
    return {
        "MAIL_SERVER": host,
        "MAIL_PORT": port,
        "MAIL_USERNAME": "",
        "MAIL_PASSWORD": "",
        "MAIL_FROM": "app@example.org",
        "USE_CREDENTIALS": False,
        "MAIL_STARTTLS": False,
        "MAIL_SSL_TLS": False,
    }


def _smtplib(host: str, port: int) -> dict[str, Any]:
    """The arguments of smtplib.SMTP; with a name of its own, which it else looks up."""
    return {"host": host, "port": port, "local_hostname": "client.example"}


_FRAMEWORKS: Mapping[str, Callable[[str, int], dict[str, Any]]] = {
    "django": _django,
    "flask-mail": _flask_mail,
    "fastapi-mail": _fastapi_mail,
    "smtplib": _smtplib,
}
