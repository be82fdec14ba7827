"""smtplib, aiosmtplib and any program that reads its environment send mail by what they are told."""

from __future__ import annotations

import smtplib
import subprocess
import sys
from collections.abc import Mapping
from email.message import EmailMessage

import aiosmtplib
import pytest

from smtp_pair import ConfigError, Domain
from smtp_pair.pytest_plugin import MailNetwork
from tests.frameworks.conftest import Told, hung_up

PROGRAM = """
import os, smtplib, ssl
from urllib.parse import unquote, urlsplit

url = urlsplit(os.environ["EMAIL_URL"])
kind = smtplib.SMTP_SSL if url.scheme == "smtp+ssl" else smtplib.SMTP
more = {"context": ssl.create_default_context()} if url.scheme == "smtp+ssl" else {}
with kind(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"]), local_hostname="program", **more) as client:
    if url.scheme == "smtp+tls":
        client.starttls(context=ssl.create_default_context())
    if "SMTP_USER" in os.environ:
        assert unquote(url.password) == os.environ["SMTP_PASSWORD"]
        client.login(os.environ["SMTP_USER"], os.environ["SMTP_PASSWORD"])
    client.sendmail("app@a.test", ["leia@deathstar.com"], "Subject: From afar\\r\\n\\r\\nHello.")
"""


def test_a_program_is_told_by_its_environment(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server is, who to be, and whom to trust: a program that does nothing special about TLS verifies it."""
    for name, value in told.server.settings("env").items():
        monkeypatch.setenv(name, value)
    subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], check=True, timeout=60)
    told.arrived("From afar")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_aiosmtplib_sends(told: Told) -> None:
    """All that it wants to know are arguments."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "app@a.test", "leia@deathstar.com", "Async"
    await aiosmtplib.send(mail, **told.server.settings("aiosmtplib"))
    await hung_up()
    told.arrived("Async")


def test_smtplib_sends(told: Told) -> None:
    """The arguments of its two classes; STARTTLS and the login are calls, and said to be."""
    server = told.server
    if server.config.auth is not None:
        with pytest.raises(ConfigError, match='settings: smtplib: takes no login as an argument: .* user=""'):
            server.settings("smtplib")
        return
    kind = smtplib.SMTP_SSL if server.config.tls == "implicit" else smtplib.SMTP
    with kind(**server.settings("smtplib", user="")) as client:
        if server.config.tls == "required":
            client.starttls(context=told.network.client_context())
        client.sendmail("app@a.test", ["leia@deathstar.com"], "Subject: Plain\r\n\r\n")
    told.arrived("Plain")


def test_who_to_be(mail_network: MailNetwork) -> None:
    """The first of the table, another of it, nobody; a function names nobody, and is told who."""
    server = mail_network(Domain("a.test", auth={"luke": "one", "leia": "two"}))["a.test"]
    assert server.settings("env")["SMTP_USER"] == "luke"
    leia = server.settings("aiosmtplib", user="leia")
    assert (leia["username"], leia["password"]) == ("leia", "two")
    assert "SMTP_USER" not in server.settings("env", user="")
    with pytest.raises(ConfigError, match="settings: user: 'han' is none of luke, leia"):
        server.settings("env", user="han")
    asks = mail_network(Domain("a.test", auth=lambda who: who.secret == "three"))["a.test"]
    with pytest.raises(ConfigError, match="settings: auth is a function, which names nobody: give user= and password="):
        asks.settings("env")
    assert asks.settings("env", user="han", password="three")["EMAIL_URL"].startswith("smtp://han:three@")


class TestSomebodyUnknown:
    """``mail_env`` of a pair whose ``auth`` is a function."""

    @pytest.fixture
    def mail_pair_config(self) -> tuple[Domain, str]:
        return Domain("jaku.com", auth=lambda who: False), "deathstar.com"

    def test_nobody_is_named(self, mail_env: Mapping[str, str]) -> None:
        """The place is told all the same: mail for the domain itself needs no login."""
        assert "SMTP_USER" not in mail_env
        with smtplib.SMTP(mail_env["SMTP_HOST"], int(mail_env["SMTP_PORT"]), local_hostname="c.test") as client:
            assert client.sendmail("app@a.test", ["obiwan@jaku.com"], "Subject: Hello\r\n\r\n") == {}
