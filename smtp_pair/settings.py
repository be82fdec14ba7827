"""What frameworks are to be told so that they send their mail to a server: :meth:`smtp_pair.server.Server.settings`.

All of a framework's settings of the kind are given, also those that say no: a project's own (a user, TLS) are not to
shine through.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from smtp_pair import tls
from smtp_pair.config import Domain
from smtp_pair.mail.errors import ConfigError

_DJANGO_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
_NAME = "client.example"


@dataclass(frozen=True, slots=True)
class Access:
    """How a client comes in."""

    host: str
    port: int
    user: str = ""
    """Who it says it is; "": nobody in particular."""
    password: str = field(default="", repr=False)
    starttls: bool = False
    implicit: bool = False
    """TLS from the first octet on."""
    authority: Path | None = None
    """The certificate of the authority that it has to trust; None: no TLS, or a certificate that is not ours."""


def of(framework: str, config: Domain, host: str, port: int, folder: Path, *, user: str | None, password: str) -> Any:
    """The settings, by their names in that framework, for a server of that configuration; ``folder`` is where the
    authority's certificate is written, if there is to be one. Raises ConfigError for a framework that is not known
    here, or that can't be told what the server wants."""
    make = _FRAMEWORKS.get(framework)
    if make is None:
        raise ConfigError(f"settings: {framework!r} is none of {', '.join(_FRAMEWORKS)}")
    name, secret = _login(config, user, password)
    authority = None
    if config.tls != "off" and config.certificate is None:
        authority = folder / "ca.pem"
        folder.mkdir(parents=True, exist_ok=True)
        tls.write_authority(authority)
    starttls = config.tls in ("offered", "required")
    try:
        return make(Access(host, port, name, secret, starttls, config.tls == "implicit", authority))
    except ConfigError as error:
        raise ConfigError(f"settings: {framework}: {error}") from None


def _login(config: Domain, user: str | None, password: str) -> tuple[str, str]:
    """Who the client is to be: the one asked for, else the first of those who may."""
    if user == "" or (user is None and config.auth is None):
        return "", ""
    if isinstance(config.auth, Mapping):
        name = next(iter(config.auth)) if user is None else user
        if name not in config.auth:
            raise ConfigError(f"settings: user: {name!r} is none of {', '.join(config.auth)}")
        return name, password or config.auth[name]
    if user is None or not password:
        raise ConfigError('settings: auth is a function, which names nobody: give user= and password=, or user=""')
    return user, password


def _django(access: Access) -> dict[str, Any]:
    """The backend is named too: Django's own test runner and pytest-django put one that keeps mail in memory there."""
    _want_trust_from_the_environment(access)
    try:
        from django import VERSION
    except ImportError:
        VERSION = (6, 1)
    if VERSION >= (6, 1):  # which warns about the old names
        options = {
            "host": access.host,
            "port": access.port,
            "username": access.user,
            "password": access.password,
            "use_tls": access.starttls,
            "use_ssl": access.implicit,
        }
        return {"MAILERS": {"default": {"BACKEND": _DJANGO_BACKEND, "OPTIONS": options}}}
    return {
        "EMAIL_BACKEND": _DJANGO_BACKEND,
        "EMAIL_HOST": access.host,
        "EMAIL_PORT": access.port,
        "EMAIL_HOST_USER": access.user,
        "EMAIL_HOST_PASSWORD": access.password,
        "EMAIL_USE_TLS": access.starttls,
        "EMAIL_USE_SSL": access.implicit,
    }


def _want_trust_from_the_environment(access: Access) -> None:
    """For those who take no file of authorities: they trust what OpenSSL does, which is told by SSL_CERT_FILE."""
    if access.authority is None:
        return
    trusted = os.environ.get("SSL_CERT_FILE", "")
    if not os.path.isfile(trusted) or tls.authority_pem() not in Path(trusted).read_text("utf-8", "replace"):
        raise ConfigError(
            "takes no file of authorities to trust: put "
            f'SSL_CERT_FILE="{access.authority}" into the environment first (the fixture mail_env does)'
        )


def _flask_mail(access: Access) -> dict[str, Any]:
    """Flask-Mail sends nothing under TESTING unless it is told to. It trusts any certificate."""
    return {
        "MAIL_SERVER": access.host,
        "MAIL_PORT": access.port,
        "MAIL_USERNAME": access.user or None,
        "MAIL_PASSWORD": access.password or None,
        "MAIL_USE_TLS": access.starttls,
        "MAIL_USE_SSL": access.implicit,
        "MAIL_SUPPRESS_SEND": False,
    }


def _fastapi_mail(access: Access) -> dict[str, Any]:
    """The arguments of ConnectionConfig."""
    told = {
        "MAIL_SERVER": access.host,
        "MAIL_PORT": access.port,
        "MAIL_USERNAME": access.user,
        "MAIL_PASSWORD": access.password,
        "MAIL_FROM": "app@example.org",
        "USE_CREDENTIALS": bool(access.user),
        "MAIL_STARTTLS": access.starttls,
        "MAIL_SSL_TLS": access.implicit,
        "SUPPRESS_SEND": 0,
    }
    if access.authority is not None:
        told["CERT_BUNDLE"] = str(access.authority)
    return told


def _smtplib(access: Access) -> dict[str, Any]:
    """The arguments of smtplib.SMTP, or of SMTP_SSL; with a name of its own, which it else looks up."""
    if access.user:
        raise ConfigError('takes no login as an argument: call login() yourself, and ask for settings with user=""')
    told: dict[str, Any] = {"host": access.host, "port": access.port, "local_hostname": _NAME}
    if access.implicit:
        told["context"] = tls.client_context() if access.authority is not None else ssl.create_default_context()
    return told


def _aiosmtplib(access: Access) -> dict[str, Any]:
    """The arguments of aiosmtplib.SMTP and aiosmtplib.send."""
    told: dict[str, Any] = {
        "hostname": access.host,
        "port": access.port,
        "local_hostname": _NAME,
        "username": access.user or None,
        "password": access.password or None,
        "start_tls": access.starttls,
        "use_tls": access.implicit,
    }
    if access.authority is not None:
        told["cert_bundle"] = str(access.authority)
    return told


def _env(access: Access) -> dict[str, str]:
    """The variables that programs read. In EMAIL_URL, the schemes are django-environ's."""
    host, port = access.host, str(access.port)
    login = f"{quote(access.user, safe='')}:{quote(access.password, safe='')}@" if access.user else ""
    scheme = "smtp+tls" if access.starttls else "smtp+ssl" if access.implicit else "smtp"
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    variables = {
        "SMTP_HOST": host,
        "SMTP_PORT": port,
        "EMAIL_HOST": host,
        "EMAIL_PORT": port,
        "EMAIL_URL": f"{scheme}://{login}{place}",
        "MAIL_SERVER": host,
        "MAIL_PORT": port,
    }
    if access.user:
        variables |= dict.fromkeys(("SMTP_USER", "SMTP_USERNAME", "EMAIL_HOST_USER", "MAIL_USERNAME"), access.user)
        variables |= dict.fromkeys(("SMTP_PASSWORD", "EMAIL_HOST_PASSWORD", "MAIL_PASSWORD"), access.password)
    if access.starttls or access.implicit:
        which = "TLS" if access.starttls else "SSL"
        variables |= {f"EMAIL_USE_{which}": "true", f"MAIL_USE_{which}": "true"}
    if access.authority is not None:
        variables["SSL_CERT_FILE"] = str(access.authority)
    return variables


_FRAMEWORKS: Mapping[str, Callable[[Access], dict[str, Any]]] = {
    "django": _django,
    "flask-mail": _flask_mail,
    "fastapi-mail": _fastapi_mail,
    "smtplib": _smtplib,
    "aiosmtplib": _aiosmtplib,
    "env": _env,
}
