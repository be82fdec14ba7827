"""What frameworks are told; that they deliver with it is shown by the README and by tests/clients."""

from __future__ import annotations

import smtplib

import pytest

from smtp_pair import ConfigError, Pair, settings


def test_smtplib_takes_its_settings(mail_pair: Pair) -> None:
    """They are the arguments of smtplib.SMTP."""
    with smtplib.SMTP(**mail_pair.jaku.settings("smtplib")) as client:
        client.sendmail("app@jaku.com", ["obiwan@jaku.com"], "Subject: Told\r\n\r\n")
    assert mail_pair.jaku.messages[0].subject == "Told"


@pytest.mark.parametrize(
    ("version", "names"), [((6, 0), {"EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT"}), ((6, 1), {"MAILERS"})]
)
def test_django_is_told_in_the_names_of_its_version(
    version: tuple[int, int], names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 6.1 on the old names are a warning."""
    monkeypatch.setattr("django.VERSION", version)
    assert set(settings.of("django", "127.0.0.1", 2525)) == names


@pytest.mark.parametrize("framework", ["flask-mail", "fastapi-mail"])
def test_the_others_are_told_host_and_port(framework: str) -> None:
    """And that mail is to be sent for real."""
    told = settings.of(framework, "127.0.0.1", 2525)
    assert (told["MAIL_SERVER"], told["MAIL_PORT"]) == ("127.0.0.1", 2525)


def test_a_framework_that_is_not_known(mail_pair: Pair) -> None:
    """One error, which names those that are."""
    with pytest.raises(ConfigError, match="settings: 'rails' is none of django, flask-mail, fastapi-mail, smtplib"):
        mail_pair.jaku.settings("rails")
