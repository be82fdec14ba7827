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

All of them serve plain tests, pytest-asyncio and anyio (asyncio, trio) alike: the servers run on a thread and event
loop of their own.

A failing test shows what was said, and keeps it (``pytest_report.py``); at the end of each, no mail may be lost or
doubled. Options, each with its twin in the ini file (``mail_transcript``) and the environment
(``SMTP_PAIR_MAIL_TRANSCRIPT``): ``--mail-transcript``, ``--mail-output``, ``--mail-conservation``,
``--mail-report``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import pytest

# smtp_pair's own modules are imported where they are used: this file is loaded in every run of every suite.
if TYPE_CHECKING:
    import pluggy

    from smtp_pair.config import Domain, Durability, Retry
    from smtp_pair.network import Network, Pair, RouteTo

# -- options and reports -----------------------------------------------------------------------------------------------

NETWORKS: pytest.StashKey[list[Network]] = pytest.StashKey()
"""The networks that a test uses; of the session, those that all may use."""
FAILED: pytest.StashKey[bool] = pytest.StashKey()
SHOWN: pytest.StashKey[bool] = pytest.StashKey()

_SETTINGS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "transcript": (
        ("off", "on", "retain-on-failure"),
        "retain-on-failure",
        "show and keep what was said to the mail servers of a test: never, always, or (as long as nothing else is "
        "said) when it fails",
    ),
    "output": ((), "test-results", "the folder for what is kept of a test's mail (test-results)"),
    "conservation": (
        ("on", "off"),
        "on",
        "at the end of a test, fail it if a mail that a server accepted is lost, doubled or changed (on)",
    ),
    "report": (
        (),
        "",
        "write one HTML file about the mail of all tests: what was said, the mails, what became of them",
    ),
}
_FILES = ("report",)
_SET: pytest.StashKey[Mapping[str, str]] = pytest.StashKey()


MARKER = "mail_extensions"
_SERVED = ("mail_pair", "mail_network")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--mail-transcript, --mail-output, --mail-conservation, --mail-report."""
    group = parser.getgroup("smtp-pair", "mail servers (smtp-pair)")
    for name, (choices, _, purpose) in _SETTINGS.items():
        metavar = "|".join(choices) or ("FILE" if name in _FILES else "DIR")
        group.addoption(f"--mail-{name}", choices=choices or None, default=None, metavar=metavar, help=purpose)
        parser.addini(f"mail_{name}", purpose, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse at once what can't be."""
    config.addinivalue_line(
        "markers",
        "mail_losses(reason): this test loses mail, or doubles it, on purpose: no check at its end (smtp-pair)",
    )
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*, without=None, combinations=None, only=None): run the test with several subsets of the SMTP "
        "extensions that mail_pair and mail_network offer: with all and without each, with every combination hidden, "
        "or with only these.",
    )
    config.stash[_SET] = {name: _set(config, name) for name in _SETTINGS}
    report = setting(config, "report")
    if report and not hasattr(config, "workerinput"):  # with pytest-xdist, in the process that hands out the tests
        from smtp_pair.report.command import write
        from smtp_pair.report.gathering import Gathering

        file = config.invocation_params.dir / report
        if file.is_dir():
            raise pytest.UsageError(f"--mail-report: {report} is a folder; name a file in it, such as mail.html")
        config.pluginmanager.register(Gathering(file, config.invocation_params.dir, write), "smtp-pair-report")


def setting(config: pytest.Config, name: str) -> str:
    """What was set when the run began."""
    return config.stash[_SET][name]


def _set(config: pytest.Config, name: str) -> str:
    """What the command line says, else the environment, else the ini file. Raises UsageError, which names the
    culprit."""
    choices, default, _ = _SETTINGS[name]
    variable = f"SMTP_PAIR_MAIL_{name.upper()}"
    for place, value in (
        (f"--mail-{name}", config.getoption(f"mail_{name}")),
        (variable, os.environ.get(variable)),
        (f"mail_{name} in the ini file", config.getini(f"mail_{name}")),
    ):
        if value:
            if choices and value not in choices:
                raise pytest.UsageError(f"{place}: {value!r} is none of {', '.join(choices)}")
            return str(value)
    return default


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """A test that has mail servers shows and keeps what they said, where that is wanted."""
    outcome = yield
    networks = item.stash.get(NETWORKS, [])
    if "mail_pair_session" in getattr(item, "fixturenames", ()):
        networks = [*item.session.stash.get(NETWORKS, []), *networks]
    if networks:
        from smtp_pair.pytest_report import add

        add(item, call, outcome.get_result(), networks)


# -- fixtures ----------------------------------------------------------------------------------------------------------


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


def _folder(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Path | Callable[[], Path]:
    """The test's own tmp_path; for a test that has none, one like it, and not before the first mail: making it takes
    longer than starting the servers."""
    if "tmp_path" in request.fixturenames:
        return cast("Path", request.getfixturevalue("tmp_path")) / "mail"
    name = re.sub(r"\W", "_", request.node.name)[:30]  # as pytest itself names it
    factory.getbasetemp()  # made here, for two threads would make two of it
    return lambda: factory.mktemp(name) / "mail"


@pytest.fixture
def mail_pair(
    mail_pair_config: tuple[Domain | str, Domain | str],
    mail_extensions: frozenset[str],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    """Two running mail servers that know each other, ``.jaku`` and ``.deathstar``: new for each test."""
    from smtp_pair.network import Pair
    from smtp_pair.pytest_report import watched

    jaku, deathstar = (_without(domain, mail_extensions) for domain in mail_pair_config)
    with Pair(jaku, deathstar, directory=_folder(request, tmp_path_factory)) as pair, watched(request, pair):
        yield pair


@pytest.fixture(scope="session")
def mail_pair_session(
    request: pytest.FixtureRequest,
    mail_pair_config: tuple[Domain | str, Domain | str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    """One pair for the whole session: ``with mail_pair_session.fresh() as pair:`` begins with empty mailboxes."""
    from smtp_pair.network import Pair
    from smtp_pair.pytest_report import watched

    with Pair(*mail_pair_config, directory=tmp_path_factory.mktemp("mail")) as pair, watched(request, pair):
        yield pair


@pytest.fixture
def mail_network(
    request: pytest.FixtureRequest, tmp_path: Path, mail_extensions: frozenset[str]
) -> Iterator[MailNetwork]:
    """Starts networks of any domains: ``mail_network("a.test", Domain("b.test", users=["ann"]), routes={...})``."""
    from smtp_pair.network import Network
    from smtp_pair.pytest_report import watched

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
            running.enter_context(network)
            running.enter_context(watched(request, network))
            return network

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
