"""``--mail-target``: on whose servers the scenarios are played, and what came of it.

    pytest tests/scenarios/test_matrix.py --mail-target postfix --mail-target exim
    pytest tests/scenarios/test_matrix.py --mail-target 127.0.0.1:2525 --mail-target-domain example.test

With one of these every test that plays a scenario has the server's name in its id. At the end of the run there is a
line for each server: how many scenarios were played, and where it differs from ours with good reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

pytest.register_assert_rewrite("harness.targets.place")

from harness.destinations import BOUNCED, DELAYED, FORWARDED, Destination  # noqa: E402
from harness.stage import ExternalTarget, Stage, Target  # noqa: E402
from harness.targets.catalogue import DAEMONS, EMBEDDED, NAMES  # noqa: E402
from harness.targets.external import Elsewhere  # noqa: E402
from smtp_pair.config import destination, is_loopback  # noqa: E402
from smtp_pair.mail.errors import ConfigError  # noqa: E402
from smtp_pair.routes import NextHop  # noqa: E402

TARGET, DIFFERENCE, COUNT = "mail target", "difference", "count"
"""Names of properties of a test's report. A count is a line for people, at the end of the run."""


class HasStage(Protocol):
    """A server that scenarios can be played on."""

    def stage(self, folder: Path) -> AbstractContextManager[Stage]:
        """The server, and new neighbours of ours."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One server that ``--mail-target`` names."""

    name: str
    target: HasStage | None
    """None: ours."""
    elsewhere: Elsewhere | None = None

    def why_not(self, destination: Destination) -> str:
        """Why a mail to this destination can't be asked of it; "" where it can."""
        if self.elsewhere is None:
            return ""
        meanings = set(destination.meanings.values())
        if not meanings.isdisjoint({BOUNCED, DELAYED}):
            return "it has no way to wall.test and slow.test"
        if FORWARDED in meanings and not self.elsewhere.neighbour:
            return "--mail-target-neighbour PORT does not say where it hands on mail for deathstar.com"
        if any("here_host" in template for template in destination.meanings):
            return "nobody has said what it calls itself"
        return ""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mail targets", "on whose servers the scenarios are played")
    group.addoption(
        "--mail-target",
        action="append",
        default=[],
        metavar="NAME|HOST:PORT",
        help=f"one of {', '.join(NAMES)}, or a server that runs already; may be given several times",
    )
    group.addoption("--mail-target-domain", metavar="D", help="the domain that the server at HOST:PORT serves")
    group.addoption(
        "--mail-target-neighbour",
        type=int,
        default=0,
        metavar="PORT",
        help="where the server at HOST:PORT hands on mail for deathstar.com; a server of ours listens there",
    )
    group.addoption(
        "--mail-target-maildir",
        type=Path,
        metavar="DIR",
        help="where the server at HOST:PORT delivers mail for its domain; nothing in it is removed",
    )
    group.addoption("--yes-this-host", metavar="HOST", help="a server beyond this machine has to be named twice")


def pytest_configure(config: pytest.Config) -> None:
    for name in config.getoption("mail_target"):
        if name not in NAMES:
            _elsewhere(name, config)  # says now what is wrong


def _elsewhere(name: str, config: pytest.Config) -> Elsewhere:
    domain = config.getoption("mail_target_domain")
    try:
        hop = destination(name, allow_remote=True)
    except ConfigError as error:
        raise pytest.UsageError(
            f"--mail-target: {name!r} is none of {', '.join(NAMES)}, nor HOST:PORT: {error}"
        ) from None
    if not isinstance(hop, NextHop):
        raise pytest.UsageError(f"--mail-target: {name!r} is not HOST:PORT")
    host, port = hop.host, hop.port
    if not domain:
        raise pytest.UsageError(f"--mail-target {name}: --mail-target-domain must say which domain it serves")
    if not is_loopback(host) and config.getoption("yes_this_host") != host:
        raise pytest.UsageError(
            f"--mail-target {name}: this is not this machine. Only where it is yours to test: --yes-this-host {host}"
        )
    maildir: Path | None = config.getoption("mail_target_maildir")
    if maildir is not None and not (maildir / "new").is_dir():
        raise pytest.UsageError(f"--mail-target-maildir: {maildir} has no folder new")
    return Elsewhere(host, port, domain, config.getoption("mail_target_neighbour"), maildir)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ours alone is no parameter: the ids of tests are what they were."""
    names = list(dict.fromkeys(metafunc.config.getoption("mail_target")))
    if "mail_target" in metafunc.fixturenames and names not in ([], [EMBEDDED]):
        metafunc.parametrize("mail_target", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def mail_target(request: pytest.FixtureRequest) -> Iterator[Chosen]:
    """The server that scenarios are played on, for the whole session; stopped at its end, also when it is cut short."""
    name: str = getattr(request, "param", EMBEDDED)
    if name == EMBEDDED:
        yield Chosen(name, None)
    elif name in DAEMONS:
        kind = DAEMONS[name]
        if reason := kind.why_not():
            pytest.skip(f"{name}: {reason}")
        target = Target(kind)
        try:
            yield Chosen(name, target)
        finally:
            target.close()
    else:
        elsewhere = _elsewhere(name, request.config)
        yield Chosen(name, ExternalTarget(elsewhere), elsewhere)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The counts, where there are some."""
    _scenarios(terminalreporter, config)
    lines = [
        str(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == COUNT and report.when == "call"
    ]
    if lines:
        terminalreporter.section("counted")
    for line in sorted(lines):
        terminalreporter.write_line(line)


def _scenarios(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    names = list(dict.fromkeys(config.getoption("mail_target")))
    if not names:
        return
    terminalreporter.section("mail targets")
    for name in names:
        outcomes: Counter[str] = Counter()
        differences: Counter[str] = Counter()
        for outcome in ("passed", "failed", "skipped"):
            for report in terminalreporter.getreports(outcome):
                properties: Mapping[str, object] = dict(getattr(report, "user_properties", ()))
                if properties.get(TARGET) == name:
                    outcomes[outcome] += report.when == "call" or outcome != "passed"
                    differences.update(str(value) for key, value in report.user_properties if key == DIFFERENCE)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count)
        terminalreporter.write_line(f"{name}: {outcomes.total()} scenarios: {counts or 'none played'}")
        for difference, count in sorted(differences.items()):
            terminalreporter.write_line(f"    {count} with a listed difference: it {difference}")
