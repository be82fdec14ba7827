"""The marker ``mail_extensions``: a test is run once with each subset."""

from __future__ import annotations

from collections.abc import Callable

import pytest

SUITE = """
import smtplib
import pytest

{marker}
def test_it({fixture}, mail_extensions):
    server = {server}
    with smtplib.SMTP(server.host, server.port, local_hostname="c.example") as client:
        client.ehlo()
        offered = {{name.upper() for name in client.esmtp_features}}
        assert not offered & mail_extensions
        client.sendmail("a@x.test", ["luke@" + server.domain], "Subject: x\\r\\n\\r\\n")
    assert server.messages[0].subject == "x"
    print("HIDDEN", sorted(mail_extensions))
"""
PAIR = {"fixture": "mail_pair", "server": "mail_pair.jaku"}
NETWORK = {"fixture": "mail_network", "server": 'mail_network("a.test")["a.test"]'}
RunSuite = Callable[..., pytest.RunResult]


@pytest.mark.parametrize("how", [PAIR, NETWORK], ids=["pair", "network"])
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ('without=["pipelining", ("SIZE", "8BITMIME")]', ["all", "without-PIPELINING", "without-SIZE-8BITMIME"]),
        ('combinations=["DSN", "SIZE"]', ["all", "without-DSN", "without-SIZE", "without-DSN-SIZE"]),
        ('only=[[], "SIZE", ("SIZE", "DSN")]', ["none", "only+SIZE", "only+SIZE+DSN"]),
    ],
)
def test_each_subset_is_a_run(run_suite: RunSuite, how: dict[str, str], arguments: str, names: list[str]) -> None:
    """With a name of its own; what is hidden is not offered, and mail arrives all the same."""
    result = run_suite(SUITE.format(marker=f"@pytest.mark.mail_extensions({arguments})", **how), "-v", "-s")
    assert result.parseoutcomes() == {"passed": len(names)}
    for name in names:
        result.stdout.fnmatch_lines([f"*test_it?{name.replace('[', '?')}]*"])


def test_without_the_marker_nothing_is_hidden(run_suite: RunSuite) -> None:
    result = run_suite(SUITE.format(marker="", **PAIR), "-s")
    assert result.parseoutcomes() == {"passed": 1}
    result.stdout.fnmatch_lines(["*HIDDEN []*"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "nothing: it takes one of without=, combinations=, only="),
        ('"SIZE"', "'SIZE': it takes one of"),
        ('without=["SIZE"], only=["SIZE"]', "without and only: it takes one of"),
        ('hide=["SIZE"]', "hide: it takes one of"),
        ('without="SIZE"', "without: 'SIZE' is no list of extensions"),
        ("without=[]", "without: the list is empty"),
        ('without=["SIZES"]', "without: 'SIZES' is no extension"),
        ("without=[[]]", "a group of no names"),
        ("only=[3]", "only: 3 is no extension"),
        ('combinations=["SIZE","DSN","HELP","AUTH","STARTTLS","CHUNKING","SMTPUTF8"]', "7 names are 128 runs"),
    ],
)
def test_what_can_not_be_is_said(run_suite: RunSuite, arguments: str, said: str) -> None:
    """One line that names the test and the culprit, and no test is run."""
    result = run_suite(SUITE.format(marker=f"@pytest.mark.mail_extensions({arguments})", **PAIR))
    text = result.stdout.str() + result.stderr.str()
    assert said in text and "test_of_a_user.py::test_it" in text
    assert "passed" not in result.parseoutcomes()


def test_a_test_without_servers_is_told(run_suite: RunSuite) -> None:
    result = run_suite("import pytest\n\n@pytest.mark.mail_extensions(without=['SIZE'])\ndef test_it(): pass\n")
    text = result.stdout.str() + result.stderr.str()
    assert "test_it has none of the fixtures mail_pair, mail_network" in text


def test_the_marker_is_known(run_suite: RunSuite) -> None:
    result = run_suite("", "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.mail_extensions(*"])
