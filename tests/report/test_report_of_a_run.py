"""--mail-report: one file of a run, whoever ran its tests; and nothing of it where nobody asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.report.conftest import RunSuite

SOURCE = """
import pytest

@pytest.mark.parametrize("number", range(12))
def test_sends(mail_pair, number):
    mail_pair.jaku.send(["vader@deathstar.com", "you@nowhere.test"], subject=f"Plans {number}")
    mail_pair.deathstar.wait_for(subject=f"Plans {number}")

def test_waits_in_vain(mail_pair):
    mail_pair.jaku.send("luke@jaku.com", subject="Plans")
    mail_pair.jaku.wait_for(subject="Invoice", timeout=0.01)

def test_shared_first(mail_pair_session):
    mail_pair_session.jaku.send("luke@jaku.com", subject="First of all")

def test_shared_second(mail_pair_session):
    with mail_pair_session.fresh() as pair:
        pair.jaku.send("luke@jaku.com", subject="Second of all")

def test_without_mail():
    pass
"""
HEADS = re.compile(r"<h3>([^<]*test_of_a_user[^<]*)</h3>")


@pytest.fixture
def file(pytester: pytest.Pytester) -> Path:
    return pytester.path / "out" / "mail.html"


@pytest.mark.parametrize("processes", [(), ("-n", "4")], ids=["one process", "four"])
def test_one_report_has_all_tests(run_suite: RunSuite, file: Path, processes: tuple[str, ...]) -> None:
    """Those that pass too, each once, failures first; the time line has a row for each process; the terminal says
    where it is."""
    result = run_suite(SOURCE, "--mail-report=out/mail.html", *processes)
    result.assert_outcomes(passed=15, failed=1)
    result.stdout.fnmatch_lines(["*mail report: out/mail.html*"])
    page = file.read_text("utf-8")
    heads = HEADS.findall(page)
    assert len(heads) == len(set(heads)) == 15
    assert heads[0] == "test_of_a_user.py::test_waits_in_vain"
    assert page.count("Plans 11</span>") == 1
    workers = set(re.findall(r'<span class="worker">(gw\d|all tests)</span>', page))
    assert workers == ({"gw0", "gw1", "gw2", "gw3"} if processes else {"all tests"})
    assert "1 without mail" in page
    assert list(file.parent.iterdir()) == [file]


def test_the_raw_mails_are_where_it_says(run_suite: RunSuite, file: Path) -> None:
    """Each link leads to a file, as seen from the report."""
    run_suite(SOURCE, "--mail-report=out/mail.html")
    links = re.findall(r'href="([^"#]+)"', file.read_text("utf-8"))
    assert len(links) >= 14
    assert [link for link in links if not (file.parent / link).is_file()] == []


def test_a_shared_network_tells_each_test_its_own(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """The journal of a network that lives for the whole session is that of all tests; each has what happened in it."""
    run_suite(SOURCE, "--mail-report=mail.html", "-k", "shared")
    titles = {}
    for path in pytester.path.glob("test-results/*/test.json"):
        kept = json.loads(path.read_bytes())
        titles[kept["name"].rpartition("_")[2]] = [fact["title"] for fact in kept["facts"]]
    assert titles == {"first": ["First of all"], "second": ["Second of all"]}


def test_what_is_on_its_way_when_a_test_ends_is_in_it(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """A test that does not wait for what it sent."""
    run_suite(
        """
def test_it(mail_pair):
    for number in range(20):
        mail_pair.jaku.send("vader@deathstar.com", subject=f"Plans {number}")
""",
        "--mail-report=mail.html",
    )
    assert len(list(pytester.path.glob("test-results/*/mails/smtp.deathstar.com/*.eml"))) == 20


def test_a_failure_in_teardown_is_the_tests_outcome(run_suite: RunSuite, file: Path) -> None:
    """As pytest has it."""
    result = run_suite(
        """
import pytest

@pytest.fixture
def breaks(mail_pair):
    yield mail_pair
    raise RuntimeError("too late")

def test_it(breaks):
    breaks.jaku.send("luke@jaku.com", subject="Plans")
""",
        "--mail-report=out/mail.html",
    )
    result.assert_outcomes(passed=1, errors=1)
    page = file.read_text("utf-8")
    assert '<details class="test failed"' in page or 'class="test failed"' in page
    assert "RuntimeError: too late" in page


def test_nothing_of_it_is_loaded_where_nobody_asks(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """A run without the option pays for none of it: no module of the report is imported, no journal is read, and
    nothing is written."""
    conftest = """
import sys

def pytest_sessionfinish(session):
    from smtp_pair import journal
    session.config.told = sorted(name for name in sys.modules if name.startswith("smtp_pair.report"))

def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.write_line(f"loaded: {config.told}")
"""
    pytester.makeconftest(conftest)
    result = run_suite(SOURCE, "-k", "sends or shared", "-p", "no:html", "-p", "no:allure_pytest")
    result.assert_outcomes(passed=14, deselected=2)
    result.stdout.fnmatch_lines(["loaded: []"])
    assert not (pytester.path / "test-results").exists()


@pytest.mark.parametrize("place", ["ini", "environment"])
def test_the_option_has_its_twins(
    place: str, run_suite: RunSuite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the ini file, and in the environment."""
    if place == "environment":
        monkeypatch.setenv("SMTP_PAIR_MAIL_REPORT", "mail.html")
    more = ("-o", "mail_report=mail.html") if place == "ini" else ()
    run_suite(SOURCE, "-k", "first", *more)
    assert (pytester.path / "mail.html").is_file()


def test_a_folder_is_no_file(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """Said before the first test runs."""
    (pytester.path / "out").mkdir()
    result = run_suite(SOURCE, "--mail-report=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mail-report: out is a folder; name a file in it, such as mail.html*"])


def test_a_report_that_cannot_be_written_is_said(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """At the end; the tests keep their outcome."""
    (pytester.path / "out").write_text("a file", "ascii")
    result = run_suite(SOURCE, "-k", "first", "--mail-report=out/mail.html")
    result.assert_outcomes(passed=1, deselected=15)
    result.stdout.fnmatch_lines(["*no mail report: *out/mail.html: *"])
    assert result.ret == 0


def test_without_any_mail_it_says_so(run_suite: RunSuite, file: Path) -> None:
    """An empty report is a report."""
    run_suite("def test_it(): pass", "--mail-report=out/mail.html")
    assert "No mail in any of them." in file.read_text("utf-8")


def test_a_test_may_remove_everything(run_suite: RunSuite, file: Path) -> None:
    """Mails, journals, folders: what is left is shown."""
    result = run_suite(
        """
import shutil

def test_it(mail_pair):
    mail_pair.jaku.send("luke@jaku.com", subject="Plans")
    (mail_pair.deathstar.directory / "journal.jsonl").parent.mkdir(exist_ok=True)
    (mail_pair.jaku.directory / "journal.jsonl").write_text("rubbish\\nand more\\n")
    shutil.rmtree(mail_pair.jaku.directory / "maildir")
""",
        "--mail-report=out/mail.html",
    )
    result.assert_outcomes(passed=1)
    assert "RCPT TO:&lt;luke@jaku.com&gt;" in file.read_text("utf-8")


# -- beside other people's reports -------------------------------------------------------------------------------------


def test_pytest_html_has_transcript_and_mails(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """As attachments of the test, as text."""
    pytest.importorskip("pytest_html", reason="pytest-html is in the group report")
    run_suite(
        SOURCE, "-k", "first", "--mail-report=mail.html", "--html=report.html", "--self-contained-html"
    ).assert_outcomes(passed=1, deselected=15)  # fmt: skip
    page = (pytester.path / "report.html").read_text("utf-8")
    assert "mail transcript" in page
    assert "smtp.jaku.com 1" in page


def test_allure_has_transcript_and_mails(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """As attachments of the test, as text."""
    pytest.importorskip("allure_pytest", reason="allure-pytest is in the group report")
    run_suite(SOURCE, "-k", "first", "--mail-report=mail.html", "--alluredir=allure")
    [told] = [json.loads(path.read_bytes()) for path in (pytester.path / "allure").glob("*-result.json")]
    attached = {
        one["name"]: (pytester.path / "allure" / one["source"]).read_text("utf-8") for one in told["attachments"]
    }
    assert attached.keys() == {"mail transcript", "smtp.jaku.com 1"}
    assert "RCPT TO:<luke@jaku.com>" in attached["mail transcript"]
    assert "Subject: First of all" in attached["smtp.jaku.com 1"]
