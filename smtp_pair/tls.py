"""Certificates and contexts: a certificate authority for tests, and what servers and clients make of it.

The authority lives as long as the process, on nobody's disk but where :func:`write_authority` puts its certificate.
Raises ConfigError where the extra ``tls`` (trustme) is not installed.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from smtp_pair.mail.errors import ConfigError

if TYPE_CHECKING:
    import trustme

    from smtp_pair.config import Certificate

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@cache
def _authority() -> trustme.CA:
    try:
        import trustme  # late: it costs 150 ms
    except ImportError:
        raise ConfigError("tls: needs a package that is not there: pip install 'smtp-pair[tls]'") from None
    return trustme.CA(organization_name="smtp-pair, for tests")


@cache
def server_context(*names: str) -> ssl.SSLContext:
    """For a server of these names; a client may also call it by an address of this machine's loopback."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert(*names, *LOOPBACK).configure_cert(context)
    return context


@cache
def broken_context(how: str, *names: str) -> ssl.SSLContext:
    """For a server of these names whose certificate no client should take (``server.faults.tls``)."""
    authority = _authority()
    names = (*names, *LOOPBACK)
    begin, end = None, None
    if how == "unknown CA":
        import trustme

        authority = trustme.CA(organization_name="nobody that anybody knows")
    elif how == "wrong host":
        names = ("elsewhere.invalid",)
    elif how == "expired":
        begin, end = datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 2, 2, tzinfo=UTC)
    else:
        raise ValueError(f"no certificate is broken by {how!r}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, not_before=begin, not_after=end).configure_cert(context)
    return context


def context_for(certificate: Certificate | None, *names: str) -> ssl.SSLContext:
    """For a server with that certificate; without one, with the test authority's for these names.

    Raises ConfigError for a file that is none, naming it.
    """
    if certificate is None:
        return server_context(*names)
    if isinstance(certificate, ssl.SSLContext):
        return certificate
    files = [os.fspath(file) for file in (certificate if isinstance(certificate, tuple) else (certificate,))]
    for file in files:
        if not os.path.isfile(file):
            raise ConfigError(f"certificate: there is no file {file!r}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(files[0], files[-1], password=_no_password)
    except (OSError, ConfigError) as error:  # ssl.SSLError among them
        raise ConfigError(f"certificate: {' and '.join(files)}: no certificate with its key: {error}") from None
    return context


def _no_password() -> str:
    """Else OpenSSL asks for it on the terminal, and waits."""
    raise ConfigError("the key is encrypted")


def client_context() -> ssl.SSLContext:
    """A new context that trusts the test authority, besides those that the system does."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


@cache
def trusting_context() -> ssl.SSLContext:
    """The context for next hops that must prove who they are: to the system, or as one of this process's servers."""
    try:
        return client_context()
    except ConfigError:  # without trustme no server here has a certificate; others may
        return ssl.create_default_context()


@cache
def opportunistic_context() -> ssl.SSLContext:
    """For next hops of which nothing is demanded: encrypted, whoever it is, is better than not (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def write_certificate(path: Path, *names: str) -> None:
    """Write one PEM file that serves both sides: a server as its key and certificate, a client as whom to trust.
    Raises OSError."""
    issued = _authority().issue_cert(*names, *LOOPBACK)
    parts = (issued.private_key_pem, *issued.cert_chain_pems, _authority().cert_pem)
    path.touch(0o600)
    path.write_bytes(b"".join(part.bytes() for part in parts))


def authority_pem() -> str:
    """The authority's certificate."""
    return _authority().cert_pem.bytes().decode()


def write_authority(path: Path) -> None:
    """Write the authority's certificate, PEM, for clients that are told a file. Raises OSError."""
    _authority().cert_pem.write_to_path(path)
