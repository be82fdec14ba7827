"""The pytest plugin: the servers as fixtures.

=====================  ===============================================================================================
fixture                gives
=====================  ===============================================================================================
``mail_pair``          a running :class:`~smtp_pair.network.Pair`, new for each test, in the test's own folder
``mail_network``       a function that starts a :class:`~smtp_pair.network.Network` of any domains
``mail_pair_session``  a pair for the whole session, with ``with pair.fresh():``; for hypothesis and slow suites
``mail_pair_config``   what the pairs are made of: override it to change that
``mail_env``           the pair's address in environment variables, for a subprocess
=====================  ===============================================================================================

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


@pytest.fixture(scope="session")
def mail_pair_config() -> tuple[Domain | str, Domain | str]:
    """The two domains of ``mail_pair`` and ``mail_pair_session``. Override it with a tuple of two
    :class:`~smtp_pair.config.Domain` values (or names), in the session's scope where ``mail_pair_session`` is used."""
    return "jaku.com", "deathstar.com"


@pytest.fixture
def mail_pair(mail_pair_config: tuple[Domain | str, Domain | str], tmp_path: Path) -> Iterator[Pair]:
    """Two running mail servers that know each other, ``.jaku`` and ``.deathstar``: new for each test."""
    from smtp_pair.network import Pair

    with Pair(*mail_pair_config, directory=tmp_path / "mail") as pair:
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
def mail_network(tmp_path: Path) -> Iterator[MailNetwork]:
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
                *domains,
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
    process it starts: SMTP_HOST and SMTP_PORT, EMAIL_HOST, EMAIL_PORT and EMAIL_URL, MAIL_SERVER and MAIL_PORT; where
    it knows users, one of them as SMTP_USER, SMTP_PASSWORD and their kin. Where the server has TLS, SSL_CERT_FILE names
    the certificate of the authority to trust."""
    nobody = callable(mail_pair.jaku.config.auth)  # whoever that may know
    variables: Mapping[str, str] = mail_pair.jaku.settings("env", user="" if nobody else None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
