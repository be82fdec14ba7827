"""How the plugin comes into a run of pytest, and what it costs there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

RunSuite = Callable[..., pytest.RunResult]

REGISTERED_ONCE = """
    import sys

    def test_once(pytestconfig, mail_pair):
        plugin = sys.modules["smtp_pair.pytest_plugin"]
        names = [name for name, module in pytestconfig.pluginmanager.list_name_plugin() if module is plugin]
        assert names == ["smtp_pair.pytest_plugin"]
"""


@pytest.mark.parametrize(
    "conftest", ["", 'pytest_plugins = ["smtp_pair.pytest_plugin"]'], ids=["installed", "named too"]
)
def test_it_is_registered_once(run_suite: RunSuite, conftest: str) -> None:
    """Being installed is enough, and who names it in ``pytest_plugins`` besides gets it no second time."""
    run_suite(REGISTERED_ONCE, conftest=conftest).assert_outcomes(passed=1)


def test_without_autoload(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pytest loads no installed plugin, naming it loads it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest('pytest_plugins = ["smtp_pair.pytest_plugin"]')
    pytester.makepyfile(REGISTERED_ONCE)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=1)


def test_it_can_be_left_out(run_suite: RunSuite) -> None:
    """With ``-p no:smtp_pair.pytest_plugin`` nothing of it is there."""
    result = run_suite("def test_it(mail_pair): ...", "-p", "no:smtp_pair.pytest_plugin")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*fixture 'mail_pair' not found"])
    result.stdout.no_fnmatch_line("*mail_pair_session*")


def test_it_costs_a_run_that_does_not_use_it_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a suite beside which it is merely installed, loading it imports neither aiosmtpd (110 ms) nor hypothesis nor
    pybase64, and nothing of smtp_pair but the plugin."""
    pytester.makepyfile("""
        import sys

        def test_what_is_imported():
            assert not {"aiosmtpd", "hypothesis", "pybase64"} & sys.modules.keys()
            ours = {name for name in sys.modules if name.partition(".")[0] == "smtp_pair"}
            assert ours == {"smtp_pair", "smtp_pair.pytest_plugin"}
    """)
    # Other plugins that are installed may import what they like.
    arguments = ("-p", "no:cacheprovider", "-p", "smtp_pair.pytest_plugin")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=1)


def test_the_servers_do_not_need_what_tests_need() -> None:
    """A pair that delivers a mail imports neither hypothesis nor pytest."""
    program = """
import sys
import smtp_pair
with smtp_pair.Pair() as pair:
    pair.jaku.send("vader@deathstar.com", attachments={"a.bin": bytes(300)})
    pair.deathstar.wait_for()
print(*sorted({"hypothesis", "pytest", "trustme", "tkinter"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_it_survives_pytest_inside_pytest(pytester: pytest.Pytester) -> None:
    """The suite of another plugin runs pytest inside pytest, which forgets after each run the modules that were
    imported in it: the next run does not meet classes of the last one."""
    pytester.makeconftest('pytest_plugins = ["pytester"]')
    pytester.makepyfile("""
        import pytest

        INNER = '''
        from smtp_pair import Domain

        def test_inner(mail_network):
            net = mail_network(Domain("a.test"), "b.test")
            net["a.test"].send("ann@b.test")
            net["b.test"].wait_for()
        '''

        @pytest.mark.parametrize("turn", [1, 2])
        def test_outer(pytester, turn):
            pytester.makepyfile(INNER)
            pytester.runpytest_inprocess().assert_outcomes(passed=1)
    """)
    pytester.makefile(".ini", pytest="[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
