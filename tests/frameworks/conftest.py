"""A server for a framework to send its mail to, in each way in which it may want to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from smtp_pair import Domain, Mail, Network, Server
from smtp_pair.pytest_plugin import MailNetwork

LOGIN = {"auth": {"luke@a.test": "secret:/@ 1"}, "auth_required": True}
WAYS: Mapping[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, "ESMTP"),
    "login": (LOGIN, "ESMTPA"),
    "starttls": ({"tls": "required"}, "ESMTPS"),
    "starttls-login": ({"tls": "required", **LOGIN}, "ESMTPSA"),
    "implicit-login": ({"tls": "implicit", **LOGIN}, "ESMTPSA"),
}
"""What the server is told, and what it then calls the way a mail came in that had to keep to it (RFC 3848)."""


@dataclass(frozen=True)
class Told:
    """Two servers, of which the first wants what it was told, and passes mail on to the second."""

    network: Network
    protocol: str

    @property
    def server(self) -> Server:
        """The one that the framework is to send to."""
        return self.network["a.test"]

    def arrived(self, subject: str) -> Mail:
        """The mail, at the second server; it came into the first one as that one wants it."""
        mail = self.network["deathstar.com"].wait_for(to="leia@deathstar.com", subject=subject)
        assert f"by smtp.a.test (smtp-pair) with {self.protocol} id".encode() in mail.raw
        assert mail.hops == ["smtp.a.test", "smtp.deathstar.com"]
        return mail


@pytest.fixture(params=WAYS)
def told(request: pytest.FixtureRequest, mail_network: MailNetwork) -> Told:
    """Each of the ways."""
    settings, protocol = WAYS[request.param]
    return Told(mail_network(Domain("a.test", **settings), "deathstar.com"), protocol)


@pytest.fixture
def trusted(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the authority to trust, for those who take no file."""
    variables = told.server.settings("env")
    if "SSL_CERT_FILE" in variables:
        monkeypatch.setenv("SSL_CERT_FILE", variables["SSL_CERT_FILE"])


async def hung_up() -> None:
    """Wait until no connection is open on this loop. aiosmtplib waits for no end of TLS, and a loop that is closed
    before it leaves a ResourceWarning to whichever test comes next."""
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    while len(selector.get_map()) > 1:  # noqa: ASYNC110  # the loop's own; nobody tells when the others are gone
        await asyncio.sleep(0)
