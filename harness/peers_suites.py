"""smtpdfix's and pytest-localserver's own tests of SMTP, run on the shims: ``python -m harness.peers_suites``.

The source distributions come from PyPI, with pip, and are kept in no repository. The shims take the packages' place
(``peers_aliases.py``); what fails must be what :data:`SUITES` says, no less and no more, each with its reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
_TIMEOUT = 120.0  # seconds, for a whole suite


class NotHere(Exception):
    """The source distribution can't be had: most likely there is no network."""


@dataclass(frozen=True)
class Suite:
    """One peer's suite at one version."""

    name: str
    version: str
    package: str
    """Its package, which is taken away before the tests run."""
    tests: tuple[str, ...]
    kept: tuple[str, ...] = ()
    """Modules of the package that the tests need for themselves."""
    differences: Mapping[str, str] = field(default_factory=dict)
    """Tests that fail on the shim, and why they are meant to."""


_PLAIN = "their PLAIN response is 'user password'; RFC 4616 2 wants NUL user NUL password, which a client sends"
_WORDING = "the same code in this package's own words, with an enhanced code where theirs has none"
_PRIVATE = "reaches into their subclass of aiosmtpd, with mocks; the same is asked over the wire in tests/rules"
_ORDER = "the order of commands comes first (RFC 5321 4.1.4): 503, and 530 to the MAIL that could be taken otherwise"

# Their test_exception_handler passes, though for a reason of its own: it brings the server down through `server.loop`,
# and here no test can reach the loop of all servers.
SUITES = (
    Suite(
        "smtpdfix",
        "0.5.3",
        "smtpdfix",
        ("tests",),
        kept=("certs.py",),
        differences={
            **dict.fromkeys(("test_fixture::test_AUTH_PLAIN", "test_fixture::test_AUTH_PLAIN_two_parts"), _PLAIN),
            "test_fixture::test_AUTH_PLAIN_failure": _PLAIN,
            "test_fixture::test_AUTH_LOGIN_success": "the prompt is 'Password:', which some clients insist on",
            "test_fixture::test_login_already_done": _WORDING,
            "test_smtp::test_auth_first[MAIL]": _WORDING,
            "test_smtp::test_auth_first[RCPT]": _ORDER,
            "test_smtp::test_auth_first[DATA]": _ORDER,
            "test_fixture::test_mock_patch": _ORDER,
            "test_fixture::test_monkeypatch": _ORDER,
            "test_smtp::test_starttls_with_arg": _PRIVATE,
            "test_smtp::test_starttls_no_context": _PRIVATE,
            "test_smtp::test_starttls_CancelledError": _PRIVATE,
            "test_smtp::test_starttls_Exception": _PRIVATE,
        },
    ),
    Suite("pytest-localserver", "0.10.0.post0", "pytest_localserver", ("tests/test_smtp.py",)),
)


def source(suite: Suite, kept: Path, folder: Path) -> Path:
    """The source distribution, unpacked in ``folder``; its archive is kept in ``kept`` for the next time. Raises
    NotHere."""
    kept.mkdir(parents=True, exist_ok=True)
    if not (archives := list(kept.glob("*.tar.gz"))):
        requirement = f"{suite.name}=={suite.version}"
        command = [sys.executable, "-m", "pip", "download", "--no-binary", ":all:", "--no-deps", "--dest", str(folder)]
        done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
        archives = list(folder.glob("*.tar.gz"))
        if done.returncode or not archives:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["no file"]
            raise NotHere(f"{requirement} can't be downloaded: {said[-1]}")
        archives = [archives[0].replace(kept / archives[0].name)]
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    top = next(path.parent for path in folder.glob("*/PKG-INFO"))
    for module in suite.kept:
        (top / suite.package / module).rename(top / module)
    (top / suite.package).rename(top / f"{suite.package}.away")
    return top


def run(suite: Suite, top: Path) -> dict[str, str]:
    """What became of each test in the unpacked source: ``passed``, or the first line of what it says."""
    report = top / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", "-p", "no:cacheprovider"]
    command += ["-p", "harness.peers_aliases", "-p", "pytest_asyncio.plugin", "-o", "addopts="]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SMTPD_", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, *suite.tests],
        cwd=top,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT,
    )
    outcomes = _outcomes(report) if report.exists() else {}
    if not outcomes:
        raise RuntimeError(f"{suite.name}: its tests did not run:\n{done.stdout}\n{done.stderr}")
    return outcomes


def _outcomes(report: Path) -> dict[str, str]:
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
        said = "passed" if wrong is None else (wrong.get("message") or wrong.tag).splitlines()[0]
        outcomes[f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"] = said
    return outcomes


def surprises(suite: Suite, outcomes: Mapping[str, str]) -> list[str]:
    """What is not as :data:`SUITES` says: failures that are not named, and named ones that are none."""
    found = [
        f"{test} fails: {said}" for test, said in outcomes.items() if said != "passed" and test not in suite.differences
    ]
    found += [
        f"{test} {'passes' if test in outcomes else 'is not there'}: it need not be named"
        for test in suite.differences
        if outcomes.get(test, "passed") == "passed"
    ]
    return found


def main() -> int:
    """Run both suites and show what came of them."""
    wrong = 0
    for suite in SUITES:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as kept:
            try:
                outcomes = run(suite, source(suite, Path(kept), Path(folder)))
            except NotHere as error:
                print(error)
                return 1
        unexpected = surprises(suite, outcomes)
        wrong += len(unexpected)
        passed = sum(said == "passed" for said in outcomes.values())
        print(f"{suite.name} {suite.version}: {passed} of {len(outcomes)} pass, {len(suite.differences)} are to differ")
        for test, why in suite.differences.items():
            print(f"  {test}: {why}")
        for line in unexpected:
            print(f"  UNEXPECTED {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
