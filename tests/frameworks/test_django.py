"""Django, whichever version is installed, sends its mail by the settings that it is told."""

from __future__ import annotations

import re

import django
import pytest
from django.conf import settings as django_settings
from django.core.mail import EmailMultiAlternatives
from django.test.utils import override_settings

from smtp_pair import ConfigError
from tests.frameworks.conftest import Told


@pytest.fixture(autouse=True)
def _set_up() -> None:
    if not django_settings.configured:
        django_settings.configure()
        django.setup()


@pytest.mark.usefixtures("trusted")
def test_django_sends(told: Told) -> None:
    """Its real backend: text, HTML and an attachment, over TLS and logged in where that is wanted."""
    mail = EmailMultiAlternatives("Rechnung für Léia", "See the file.", "shop@a.test", ["leia@deathstar.com"])
    mail.attach_alternative("<p>See the <b>file</b>.</p>", "text/html")
    mail.attach("größe.pdf", b"%PDF-1.7 \x00\xff", "application/pdf")
    with override_settings(**told.server.settings("django")):
        assert mail.send() == 1
    received = told.arrived("Rechnung für Léia")
    assert received.text.strip() == "See the file."
    assert received.attachments["größe.pdf"].content == b"%PDF-1.7 \x00\xff"


@pytest.mark.usefixtures("trusted")
def test_a_projects_own_settings_do_not_shine_through(told: Told) -> None:
    """A user or TLS of production is not taken along: all of the kind are told, also those that say no."""
    mine = told.server.settings("django")
    theirs = {name: "production" for name in mine if name not in ("MAILERS", "EMAIL_BACKEND", "EMAIL_PORT")}
    with override_settings(**theirs), override_settings(**mine):
        EmailMultiAlternatives("Own", "", "shop@a.test", ["leia@deathstar.com"]).send()
    told.arrived("Own")


def test_trust_has_to_come_from_the_environment(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django takes no file of authorities: told so at once, with the file, and not by a failing handshake."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if told.server.config.tls == "off":
        assert told.server.settings("django")
        return
    authority = told.server.settings("env")["SSL_CERT_FILE"]
    why = f'settings: django: takes no file of authorities to trust: put SSL_CERT_FILE="{authority}" into'
    with pytest.raises(ConfigError, match=re.escape(why)):
        told.server.settings("django")


def test_the_names_are_those_of_the_version(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """MAILERS from 6.1 on, which warns about the old ones."""
    monkeypatch.setenv("SSL_CERT_FILE", told.server.settings("env").get("SSL_CERT_FILE", ""))
    assert ("MAILERS" in told.server.settings("django")) is (django.VERSION >= (6, 1))
