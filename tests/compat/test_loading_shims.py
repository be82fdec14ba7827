"""The shims' fixtures are there where they are asked for, and nowhere else."""

from __future__ import annotations

import importlib.util

import pytest

SUITE = """
    import smtplib

    def test_smtpd(smtpd):
        with smtplib.SMTP(smtpd.hostname, smtpd.port, local_hostname="c.test") as client:
            client.sendmail("a@one.test", ["b@two.test"], "Subject: Hello\\r\\n\\r\\n")
        assert [message["Subject"] for message in smtpd.messages] == ["Hello"]

    def test_smtpserver(smtpserver):
        with smtplib.SMTP(*smtpserver.addr, local_hostname="c.test") as client:
            client.sendmail("a@one.test", ["b@two.test"], "Subject: Hello\\r\\n\\r\\n")
        assert [message["Subject"] for message in smtpserver.outbox] == ["Hello"]
"""
# The originals may be installed beside it, for the benchmarks.
OPTIONS = ["-p", "no:smtpd", "-p", "no:localserver", "-p", "no:pytest-localserver", "-p", "no:cacheprovider"]


@pytest.mark.parametrize("workers", [0, 2])
def test_as_plugins_of_a_users_suite(workers: int, pytester: pytest.Pytester) -> None:
    """Both at once, one after the other and in parallel."""
    plugins = ["smtp_pair.compat.smtpdfix", "smtp_pair.compat.pytest_localserver"]
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(f"pytest_plugins = {plugins}")
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess(*OPTIONS, *(["-n", str(workers)] if workers else [])).assert_outcomes(passed=2)


def test_the_original_may_stay_installed(pytester: pytest.Pytester) -> None:
    """What a conftest.py loads goes before what an installed package brings."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest('pytest_plugins = ["smtp_pair.compat.smtpdfix", "smtp_pair.compat.pytest_localserver"]')
    theirs = "import pytest\n" + "".join(
        f"@pytest.fixture\ndef {name}(): pytest.fail('theirs')\n" for name in ("smtpd", "smtpserver")
    )
    pytester.makepyfile(SUITE, theirs=theirs)
    pytester.runpytest_subprocess("-p", "theirs", *OPTIONS, "-k", "test_smtp").assert_outcomes(passed=2)


def test_unasked_they_are_not_there(pytester: pytest.Pytester) -> None:
    """Whoever has the originals keeps them."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*fixture 'smtpd' not found", "*fixture 'smtpserver' not found"])


@pytest.mark.parametrize("name", ["smtpd", "smtpserver"])
def test_each_fixture_says_how_to_move_on(name: str) -> None:
    """In what `pytest --fixtures` shows of it."""
    module = "smtp_pair.compat." + ("smtpdfix" if name == "smtpd" else "pytest_localserver")
    assert importlib.util.find_spec(module) is not None
    said = getattr(__import__(module, fromlist=[name]), name).__doc__
    assert "mail_pair" in said
    assert "docs/migrating.md" in said
