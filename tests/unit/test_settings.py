"""What frameworks are told; that they deliver with it is shown by the README and by tests/frameworks."""

from __future__ import annotations

import smtplib
from pathlib import Path
from typing import Any

import pytest

from smtp_pair import ConfigError, Domain, Pair, settings


def test_smtplib_takes_its_settings(mail_pair: Pair) -> None:
    """They are the arguments of smtplib.SMTP."""
    with smtplib.SMTP(**mail_pair.jaku.settings("smtplib")) as client:
        client.sendmail("app@jaku.com", ["obiwan@jaku.com"], "Subject: Told\r\n\r\n")
    assert mail_pair.jaku.messages[0].subject == "Told"


def of(framework: str, folder: Path) -> Any:
    return settings.of(framework, Domain("a.test"), "127.0.0.1", 2525, folder, user=None, password="")


OLD_NAMES = {"BACKEND", "HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL"}


@pytest.mark.parametrize(
    ("version", "names"), [((6, 0), {f"EMAIL_{name}" for name in OLD_NAMES}), ((6, 1), {"MAILERS"})]
)
def test_django_is_told_in_the_names_of_its_version(
    version: tuple[int, int], names: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From 6.1 on the old names are a warning."""
    monkeypatch.setattr("django.VERSION", version)
    assert set(of("django", tmp_path)) == names


@pytest.mark.parametrize("framework", ["flask-mail", "fastapi-mail", "env"])
def test_the_others_are_told_host_and_port(framework: str, tmp_path: Path) -> None:
    """And that mail is to be sent for real. Without TLS nothing is written."""
    told = of(framework, tmp_path)
    assert (told["MAIL_SERVER"], int(told["MAIL_PORT"])) == ("127.0.0.1", 2525)
    assert list(tmp_path.iterdir()) == []


def test_a_framework_that_is_not_known(mail_pair: Pair) -> None:
    """One error, which names those that are."""
    known = "django, flask-mail, fastapi-mail, smtplib, aiosmtplib, env"
    with pytest.raises(ConfigError, match=f"settings: 'rails' is none of {known}"):
        mail_pair.jaku.settings("rails")
