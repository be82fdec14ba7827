"""``--mail-target``: the scenarios on another server, and what is said where one can't be had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import smtp_pair
from harness.behaviours import BEHAVIOURS
from harness.destinations import BEYOND, MIXED, PLAIN, VARIANTS
from harness.evidence import Transaction
from harness.plugin import Scenario, crowded
from harness.targets.differences import DIFFERENCES, Difference
from smtp_pair import Domain, Pair
from smtp_pair.pytest_plugin import MailNetwork

ROOT = Path(smtp_pair.__path__[0]).parent
ARGUMENTS = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/scenarios/test_matrix.py"]

Play = Callable[..., tuple[int, str]]


@pytest.fixture
def pytest_with(tmp_path: Path) -> Play:
    """Runs pytest on the matrix with these options; its exit code and what it says."""

    def run(*options: object, environment: dict[str, str] | None = None) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", *ARGUMENTS, "--basetemp", tmp_path / "inner", *options]
        done = subprocess.run(
            [*map(str, command)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_server_that_runs_already(mail_network: MailNetwork, pytest_with: Play, free_tcp_port: int) -> None:
    """HOST:PORT alone: what can't be seen there is skipped with its reason; with a neighbour's port what it hands on is
    seen arriving. (It is one of ours, and not told so.)"""
    network = mail_network("example.test", routes={"deathstar.com": f"127.0.0.1:{free_tcp_port}"})
    server = network["example.test"]
    words = ["--mail-target", server.address, "--mail-target-domain", "example.test", "-k", "test_outcome and scripted"]
    chosen = ["--deselect", "tests/scenarios/test_matrix.py::test_outcome_the_other_way_round", "-rs"]
    code, said = pytest_with(*words, *chosen)
    assert code == 0, said
    assert "does not say where it hands on mail for deathstar.com" in said
    assert "it has no way to wall.test and slow.test" in said
    assert f"{server.address}: " in said.partition("mail targets")[2]
    maildir = server.directory / "maildir" / "obiwan"
    assert len(list(maildir.glob("new/*"))) > 0
    code, said = pytest_with(
        *words, "--mail-target-neighbour", free_tcp_port, "-k", "test_outcome[ and scripted-forward"
    )
    assert code == 0, said
    assert " passed" in said and " skipped" not in said.rpartition("=")[2]


def test_a_server_that_loses_mail_fails(mail_network: MailNetwork, pytest_with: Play, free_tcp_port: int) -> None:
    """One that takes what it should refuse does not pass."""
    server = mail_network(Domain("example.test", unreachable="ignore"))["example.test"]
    words = ["--mail-target", server.address, "--mail-target-domain", "example.test"]
    code, said = pytest_with(*words, "-k", "test_outcome and scripted-unreachable and not other_way")
    assert code == 1
    assert "1 failed" in said or " failed" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--mail-target", "sendmail"], "'sendmail' is none of embedded, postfix, exim, opensmtpd, nor HOST:PORT"),
        (["--mail-target", "127.0.0.1:25"], "--mail-target-domain must say which domain it serves"),
        (["--mail-target", "192.0.2.1:25", "--mail-target-domain", "a.test"], "--yes-this-host 192.0.2.1"),
        (
            ["--mail-target", "127.0.0.1:2525", "--mail-target-domain", "a.test", "--mail-target-maildir", "/nowhere"],
            "/nowhere has no folder new",
        ),
    ],
)
def test_bad_options(pytest_with: Play, words: list[str], why: str) -> None:
    """One error that names the culprit, before any test."""
    code, said = pytest_with(*words)
    assert code == 4
    assert why in said


def test_those_that_are_not_here(pytest_with: Play) -> None:
    """Each is skipped, and the reason is in the output, with the count."""
    names = ["postfix", "exim", "opensmtpd"]
    words = [word for name in names for word in ("--mail-target", name)]
    code, said = pytest_with(*words, "-k", "scripted-local and not written", environment={"SMTP_PAIR_NO_TARGETS": "1"})
    assert code == 0, said
    for name in names:
        assert f"{name}: SMTP_PAIR_NO_TARGETS is set" in said
    assert " skipped" in said


@pytest.mark.parametrize("difference", [pytest.param(each, id=f"{each.target}-{each.rule}") for each in DIFFERENCES])
def test_each_difference_is_met(difference: Difference, mail_pair: Pair) -> None:
    """No line of the list is stale: there is a scenario to which it applies, and there it changes what is expected.
    (That the server still does so, the scenario itself shows, for then nothing else passes.)"""
    met = []
    for destination in (*PLAIN, *VARIANTS, *MIXED, *BEYOND):
        for behaviour in BEHAVIOURS:
            draft, meanings = crowded(Scenario(behaviour, destination), mail_pair.jaku, mail_pair.deathstar)
            transaction = Transaction(draft, meanings, {}, b"Subject: neither Date nor Message-ID\r\n\r\n")
            if difference.when(transaction):
                met.append(difference.then(transaction) != transaction)
    assert met and all(met)
