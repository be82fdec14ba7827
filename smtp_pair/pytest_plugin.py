"""The pytest plugin: the servers as fixtures.

=====================  ===============================================================================================
fixture                gives
=====================  ===============================================================================================
``mail_pair``          a running :class:`~smtp_pair.network.Pair`, new for each test, in the test's own folder
``mail_network``       a function that starts a :class:`~smtp_pair.network.Network` of any domains
``mail_pair_session``  a pair for the whole session, with ``with pair.fresh():``; for hypothesis and slow suites
``mail_pair_config``   what the pairs are made of: override it to change that
``mail_env``           the pair's address in environment variables, for a subprocess
``mail_extensions``    what the servers do not offer in this run of a test that has the marker of that name
=====================  ===============================================================================================

The marker ``mail_extensions`` runs a test with several subsets of the extensions that the servers of ``mail_pair`` and
``mail_network`` offer (``smtp_pair.extension_sets`` says which).

All of them serve plain tests, pytest-asyncio and anyio alike: the servers run on a thread and event loop of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

# smtp_pair's own modules are imported where they are used: this file is loaded in every run of every suite.
if TYPE_CHECKING:
    from smtp_pair.config import Domain, Durability, Retry
    from smtp_pair.network import Network, Pair, RouteTo


class MailNetwork(Protocol):
    """What the fixture ``mail_network`` gives."""

    def __call__(
        self,
        *domains: Domain | str,
        routes: Mapping[str, RouteTo] | None = None,
        directory: Path | str | None = None,
        host: str = "127.0.0.1",
        durability: Durability = "fast",
        retry: Retry | None = None,
        clock: Literal["system", "manual"] = "system",
        seed: int | None = None,
        dns: bool | str = False,
        allow_remote: bool = False,
    ) -> Network:
        """Start a network; it is stopped at the end of the test. The arguments are Network's."""
        ...


MARKER = "mail_extensions"
_SERVED = ("mail_pair", "mail_network")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*, without=None, combinations=None, only=None): run the test with several subsets of the SMTP "
        "extensions that mail_pair and mail_network offer: with all and without each, with every combination hidden, "
        "or with only these.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the marker is run once with each subset."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None:
        return
    from smtp_pair.extension_sets import hidden_sets
    from smtp_pair.mail.errors import ConfigError

    try:
        sets = hidden_sets(marker.args, marker.kwargs)
        if not set(_SERVED) & set(metafunc.fixturenames):
            raise ConfigError(f"{MARKER}: {metafunc.definition.name} has none of the fixtures {', '.join(_SERVED)}")
    except ConfigError as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from None
    if MARKER not in metafunc.fixturenames:
        metafunc.fixturenames.append(MARKER)
    metafunc.parametrize(MARKER, list(sets.values()), ids=list(sets), indirect=True)


@pytest.fixture
def mail_extensions(request: pytest.FixtureRequest) -> frozenset[str]:
    """The extensions that no server offers in this run of the test; none without the marker."""
    hidden: frozenset[str] = getattr(request, "param", frozenset())
    return hidden


def _without(domain: Domain | str, hidden: frozenset[str]) -> Domain | str:
    """The domain, with the extensions hidden by its configuration."""
    if not hidden:
        return domain
    from dataclasses import replace

    from smtp_pair.config import Domain
    from smtp_pair.faults import Fault

    config = Domain(domain) if isinstance(domain, str) else domain
    return replace(config, faults=(*config.faults, Fault(hide=sorted(hidden))))


@pytest.fixture(scope="session")
def mail_pair_config() -> tuple[Domain | str, Domain | str]:
    """The two domains of ``mail_pair`` and ``mail_pair_session``. Override it with a tuple of two
    :class:`~smtp_pair.config.Domain` values (or names), in the session's scope where ``mail_pair_session`` is used."""
    return "jaku.com", "deathstar.com"


@pytest.fixture
def mail_pair(
    mail_pair_config: tuple[Domain | str, Domain | str], mail_extensions: frozenset[str], tmp_path: Path
) -> Iterator[Pair]:
    """Two running mail servers that know each other, ``.jaku`` and ``.deathstar``: new for each test."""
    from smtp_pair.network import Pair

    jaku, deathstar = mail_pair_config
    hidden = mail_extensions
    with Pair(_without(jaku, hidden), _without(deathstar, hidden), directory=tmp_path / "mail") as pair:
        yield pair


@pytest.fixture(scope="session")
def mail_pair_session(
    mail_pair_config: tuple[Domain | str, Domain | str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """One pair for the whole session: ``with mail_pair_session.fresh() as pair:`` begins with empty mailboxes."""
    from smtp_pair.network import Pair

    with Pair(*mail_pair_config, directory=tmp_path_factory.mktemp("mail")) as pair:
        yield pair


@pytest.fixture
def mail_network(tmp_path: Path, mail_extensions: frozenset[str]) -> Iterator[MailNetwork]:
    """Starts networks of any domains: ``mail_network("a.test", Domain("b.test", users=["ann"]), routes={...})``."""
    from smtp_pair.network import Network

    with ExitStack() as running:
        count = 0

        def start(
            *domains: Domain | str,
            routes: Mapping[str, RouteTo] | None = None,
            directory: Path | str | None = None,
            host: str = "127.0.0.1",
            durability: Durability = "fast",
            retry: Retry | None = None,
            clock: Literal["system", "manual"] = "system",
            seed: int | None = None,
            dns: bool | str = False,
            allow_remote: bool = False,
        ) -> Network:
            nonlocal count
            count += 1
            network = Network(
                *(_without(domain, mail_extensions) for domain in domains),
                routes=routes,
                directory=directory or tmp_path / f"mail-network-{count}",
                host=host,
                durability=durability,
                retry=retry,
                clock=clock,
                seed=seed,
                dns=dns,
                allow_remote=allow_remote,
            )
            return running.enter_context(network)

        yield start


@pytest.fixture
def mail_env(mail_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The pair's first server (jaku) in the environment variables that programs read, for this test and whatever
    process it starts: SMTP_HOST and SMTP_PORT, EMAIL_HOST, EMAIL_PORT and EMAIL_URL, MAIL_SERVER and MAIL_PORT. Where
    the server has TLS, SSL_CERT_FILE names the certificate of the authority to trust."""
    host, port = mail_pair.jaku.host, str(mail_pair.jaku.port)
    variables = {
        "SMTP_HOST": host,
        "SMTP_PORT": port,
        "EMAIL_HOST": host,
        "EMAIL_PORT": port,
        "EMAIL_URL": f"smtp://{host}:{port}",
        "MAIL_SERVER": host,
        "MAIL_PORT": port,
    }
    if mail_pair.jaku.config.tls != "off":
        from smtp_pair.tls import write_authority

        authority = mail_pair.directory / "ca.pem"
        write_authority(authority)
        variables["SSL_CERT_FILE"] = str(authority)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
