"""Certificates and contexts of the test authority."""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from smtp_pair import Domain, Network, Pair, tls
from smtp_pair.mail.errors import ConfigError


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """Both sides of a handshake, without a socket; the version that they agree on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    ends = [ours, theirs]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    return ours.version()


@pytest.mark.parametrize("name", ["smtp.jaku.com", "jaku.com", "localhost", "127.0.0.1", "::1"])
def test_a_server_is_trusted_by_its_names(name: str) -> None:
    """Its own names, and the addresses of this machine's loopback."""
    context = tls.server_context("smtp.jaku.com", "jaku.com")
    assert handshake(context, tls.client_context(), name) == "TLSv1.3"


@pytest.mark.parametrize("name", ["deathstar.com", "a.jaku.com", "127.0.0.2"])
def test_and_by_no_other(name: str) -> None:
    """Whoever is led to the wrong server is told."""
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls.server_context("smtp.jaku.com", "jaku.com"), tls.client_context(), name)


def test_a_name_beyond_ascii() -> None:
    """Is in the certificate as its A-label (RFC 5890), which is what clients look for."""
    context = tls.server_context("smtp.bücher.example", "bücher.example")
    assert handshake(context, tls.client_context(), "smtp.xn--bcher-kva.example") == "TLSv1.3"


def test_whoever_knows_only_the_system_refuses() -> None:
    """The authority is nobody's but the tests'."""
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls.server_context("smtp.jaku.com"), ssl.create_default_context(), "smtp.jaku.com")


def test_opportunistic_takes_any_certificate() -> None:
    """Encrypted, whoever it is (RFC 7435)."""
    assert handshake(tls.server_context("smtp.jaku.com"), tls.opportunistic_context(), "else.test") == "TLSv1.3"


def test_old_protocols_are_not_spoken() -> None:
    """Neither side goes below TLS 1.2."""
    for context in (tls.server_context("smtp.jaku.com"), tls.client_context(), tls.opportunistic_context()):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_client_context_is_its_owners() -> None:
    """Each one is new: a test may change it. Those of the servers are made once."""
    assert tls.client_context() is not tls.client_context()
    assert tls.server_context("a.test") is tls.server_context("a.test") is not tls.server_context("b.test")


def test_the_authority_in_a_file(tmp_path: Path) -> None:
    """For clients that are told a file; the key is not in it."""
    path = tmp_path / "ca.pem"
    tls.write_authority(path)
    assert b"PRIVATE KEY" not in path.read_bytes()
    context = ssl.create_default_context(cafile=path)
    assert handshake(tls.server_context("smtp.jaku.com"), context, "smtp.jaku.com") == "TLSv1.3"


# -- without trustme ---------------------------------------------------------------------------------------------------


@pytest.fixture
def no_trustme(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra had not been installed, and nothing been cached."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    for name in ("_authority", "server_context", "trusting_context"):
        monkeypatch.setattr(tls, name, cache(getattr(tls, name).__wrapped__))


@pytest.mark.usefixtures("no_trustme")
def test_without_the_extra(tmp_path: Path) -> None:
    """A domain with TLS says at once, and before it makes anything, what is to be installed; so does whoever asks for
    the authority."""
    for ask in (
        lambda: Network(Domain("a.test", tls="offered"), directory=tmp_path / "mail"),
        Network("a.test").client_context,
        lambda: tls.write_authority(tmp_path / "ca.pem"),
    ):
        with pytest.raises(ConfigError, match=r"^tls: .*pip install 'smtp-pair\[tls\]'$"):
            ask()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_trustme")
def test_without_the_extra_others_may_still_have_tls() -> None:
    """A next hop's certificate is looked at with what the system trusts."""
    context = tls.trusting_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


# -- for a subprocess --------------------------------------------------------------------------------------------------

PROGRAM = """
import os, smtplib, ssl
with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"]), local_hostname="client.example") as client:
    client.starttls(context=ssl.create_default_context())
    client.sendmail("app@example.org", ["luke@jaku.com"], "Subject: From a program\\r\\n\\r\\n")
"""


class TestEnvironment:
    """``mail_env`` of a pair with TLS."""

    @pytest.fixture
    def mail_pair_config(self) -> tuple[Domain, Domain]:
        return Domain("jaku.com", tls="required"), Domain("deathstar.com")

    def test_a_program_trusts_the_server(self, mail_pair: Pair, mail_env: Mapping[str, str]) -> None:
        """SSL_CERT_FILE names the authority, in the test's own folder: a program that does nothing special about TLS
        delivers, in a process of its own."""
        assert Path(mail_env["SSL_CERT_FILE"]).is_relative_to(mail_pair.directory)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env={**os.environ}
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [mail.subject for mail in mail_pair.jaku.messages] == ["From a program"]

    @pytest.mark.usefixtures("mail_env")
    def test_so_does_this_process(self, mail_pair: Pair) -> None:
        """A context that is made during the test."""
        with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port, local_hostname="client.example") as client:
            assert client.starttls(context=ssl.create_default_context())[0] == 220


def test_without_tls_nothing_is_said_of_it(mail_env: Mapping[str, str]) -> None:
    """SSL_CERT_FILE would take the system's authorities away from the program."""
    assert "SSL_CERT_FILE" not in mail_env
