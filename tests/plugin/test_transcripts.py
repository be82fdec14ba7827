"""What a failing test shows and keeps of its mail, and what a passing one does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from smtp_pair import transcript
from smtp_pair.pytest_report import folder_name

RunSuite = Callable[..., pytest.RunResult]

SENDS = """
def test_it(mail_pair):
    mail_pair.jaku.send(["vader@deathstar.com"], subject="Plans")
    assert mail_pair.deathstar.wait_for(subject="Plans").subject == "{}"
"""
FAILS, PASSES = SENDS.format("another"), SENDS.format("Plans")
SHOWN = [
    "*- mail transcript -*",
    "client 1 -> smtp.jaku.com, 0.000 s",
    "   0.* reply: 220 smtp.jaku.com ESMTP smtp-pair",
    "   0.* send: RCPT TO:<vader@deathstar.com>",
    "   0.* send: ?* octets, sha256 ????????????????]",
    "   0.* reply: 250 2.0.0 taken as *",
    "smtp.jaku.com -> smtp.deathstar.com, 0.* s",
    "   0.* send: ?1 trace field, then * octets, sha256 ????????????????]",
    "smtp.deathstar.com: delivered 1",
    "kept in test-results/test_of_a_user-py-test_it-*",
]


@pytest.fixture
def results(pytester: pytest.Pytester) -> Path:
    return pytester.path / "test-results"


def kept(results: Path) -> list[str]:
    return sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file())


def test_a_failing_test_shows_what_was_said(run_suite: RunSuite) -> None:
    """A section of the report, after the traceback."""
    result = run_suite(FAILS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(SHOWN)


def test_where_nobody_said_anything(run_suite: RunSuite) -> None:
    """A mail that went elsewhere is waited for in vain: the report tells where the servers were."""
    result = run_suite("def test_it(mail_pair): mail_pair.jaku.wait_for(timeout=0)")
    result.stdout.re_match_lines(
        [
            "-* mail transcript -*",
            r"no client said anything to smtp.jaku.com at 127.0.0.1:\d+, smtp.deathstar.com at 127.0.0.1:\d+$",
        ],
    )


def test_under_xdist_as_well(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """Reports travel between processes."""
    result = run_suite(FAILS, "-n2", "--junit-xml=report.xml")
    result.stdout.fnmatch_lines(SHOWN)
    assert "mail_transcript" in (pytester.path / "report.xml").read_text("utf-8")


def test_in_junit_xml_it_is_a_property(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """Of the one test that failed."""
    run_suite(FAILS + PASSES.replace("test_it", "test_other"), "--junit-xml=report.xml")
    report = ElementTree.parse(pytester.path / "report.xml")
    [shown] = report.iter("property")
    assert shown.get("name") == "mail_transcript"
    assert "\nsmtp.jaku.com -> smtp.deathstar.com, " in (shown.get("value") or "")
    assert [case.get("name") for case in report.iter("testcase") if case.find("properties") is not None] == ["test_it"]


def test_a_passing_test_shows_and_keeps_nothing(run_suite: RunSuite, results: Path) -> None:
    """Nor one that is skipped, or expected to fail."""
    result = run_suite(
        PASSES
        + """
import pytest
@pytest.mark.xfail
def test_expected(mail_pair):
    assert False
def test_skipped(mail_pair):
    pytest.skip()
""",
        "-rA",
    )
    result.assert_outcomes(passed=1, xfailed=1, skipped=1)
    result.stdout.no_fnmatch_line("*mail transcript*")
    assert not results.exists()


def test_what_is_kept(run_suite: RunSuite, results: Path) -> None:
    """The transcript, for programs and for people; what the client sent; each mail as its server stored it. All of it
    stays out of the repository."""
    run_suite(FAILS)
    [folder] = (path for path in results.iterdir() if path.is_dir())
    said = transcript.loads((folder / "transcript.jsonl").read_bytes())
    assert [(one.client, one.server) for one in said] == [
        ("client 1", "smtp.jaku.com"),
        ("smtp.jaku.com", "smtp.deathstar.com"),
    ]
    [body] = [event for event in said[0].events if event.kind == "body"]
    names = [f"bodies/{body.sha256}.eml", "mails/smtp.deathstar.com/1.eml"]
    assert kept(folder) == sorted([*names, "mail.html", "test.json", "transcript.jsonl", "transcript.txt"])
    assert len((folder / names[0]).read_bytes()) == body.size
    assert (folder / names[1]).read_bytes().endswith((folder / names[0]).read_bytes())
    assert b"Return-Path: <" in (folder / names[1]).read_bytes()
    assert (folder / "transcript.txt").read_text("utf-8").startswith("client 1 -> smtp.jaku.com, 0.000 s\n")
    assert (results / ".gitignore").read_text() == "*\n"
    for line in (folder / "transcript.jsonl").read_text("ascii").splitlines():
        assert {"at", "session", "client", "server", "event"} <= json.loads(line).keys()


def test_a_rerun_replaces_what_was_kept(run_suite: RunSuite, results: Path) -> None:
    """All of it; once the test passes, nothing of it is left, and others' results are let be."""
    run_suite(FAILS)
    [folder] = (path for path in results.iterdir() if path.is_dir())
    (folder / "of another run").touch()
    (results / "somebody else's").mkdir()
    run_suite(FAILS)
    assert (folder / "transcript.jsonl").exists()
    assert not (folder / "of another run").exists()
    run_suite(PASSES)
    assert not folder.exists()
    assert (results / "somebody else's").exists()


def test_always_or_never(run_suite: RunSuite, results: Path) -> None:
    """--mail-transcript=on is for passing tests too, off for none."""
    result = run_suite(PASSES, "-rP", "--mail-transcript=on")
    result.stdout.fnmatch_lines(SHOWN)
    assert len(kept(results)) == 6
    result = run_suite(FAILS, "--mail-transcript=off", "--mail-output=elsewhere")
    result.stdout.no_fnmatch_line("*mail transcript*")
    assert not (results.parent / "elsewhere").exists()


def test_each_option_has_its_twins(
    run_suite: RunSuite, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester
) -> None:
    """The command line decides before the environment, the environment before the ini file."""
    settings = "mail_output = from-ini\nmail_transcript = off\n"
    monkeypatch.setenv("SMTP_PAIR_MAIL_TRANSCRIPT", "retain-on-failure")
    run_suite(FAILS, settings=settings).stdout.fnmatch_lines(["kept in from-ini/*"])
    monkeypatch.setenv("SMTP_PAIR_MAIL_OUTPUT", "from/environment")
    run_suite(FAILS, settings=settings).stdout.fnmatch_lines(["kept in from/environment/*"])
    elsewhere = pytester.path.parent / "absolute"
    result = run_suite(FAILS, f"--mail-output={elsewhere}", settings=settings)
    result.stdout.fnmatch_lines([f"kept in {elsewhere}/*"])


@pytest.mark.parametrize(
    ("arguments", "settings", "environment", "message"),
    [
        (["--mail-transcript=never"], "", {}, "*--mail-transcript: invalid choice: 'never'*"),
        ([], "mail_conservation = yes", {}, "*mail_conservation in the ini file: 'yes' is none of on, off"),
        ([], "", {"SMTP_PAIR_MAIL_TRANSCRIPT": "1"}, "*SMTP_PAIR_MAIL_TRANSCRIPT: '1' is none of off, on, retain-on-*"),
    ],
)
def test_what_can_not_be_is_refused_at_once(
    run_suite: RunSuite,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    settings: str,
    environment: dict[str, str],
    message: str,
) -> None:
    """In one line that names the culprit."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run_suite(PASSES, *arguments, settings=settings)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_folder_that_can_not_be_written_is_told(run_suite: RunSuite, pytester: pytest.Pytester) -> None:
    """The failure is shown all the same, and is the only one."""
    (pytester.path / "in-the-way").touch()
    result = run_suite(FAILS, "--mail-output=in-the-way/below")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- mail transcript -*", "nothing could be kept in *in-the-way/below/*: *"])


def test_a_failure_before_the_test_and_in_a_session(run_suite: RunSuite, results: Path) -> None:
    """A fixture that fails after it has sent mail shows it; the pair of the session shows what was said since it was
    fresh, and has its mails still."""
    result = run_suite(
        """
        import pytest

        @pytest.fixture
        def sent(mail_network):
            mail_network("a.test")["a.test"].send("me@a.test")
            assert False

        def test_sent(sent):
            pass

        def test_first(mail_pair_session):
            with mail_pair_session.fresh() as pair:
                pair.jaku.send("first@jaku.com")

        def test_second(mail_pair_session):
            with mail_pair_session.fresh() as pair:
                pair.jaku.send("second@jaku.com")
                assert False
        """
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_sent*", "client 1 -> smtp.a.test, 0.000 s"])
    result.stdout.fnmatch_lines(["*test_second*", "client 1 -> smtp.jaku.com, 0.000 s", "*<second@jaku.com>"])
    result.stdout.no_fnmatch_line("*<first@jaku.com>")
    assert [name.split("/", 1)[1] for name in kept(results) if "/mails/" in name] == [
        "mails/smtp.jaku.com/1.eml",
        "mails/smtp.a.test/1.eml",
    ]


def test_no_secret_is_shown_or_kept(run_suite: RunSuite, results: Path) -> None:
    """Nor its base64, under TLS, of any mechanism, the client's first words or the answer to a challenge."""
    result = run_suite(
        """
        import base64, smtplib
        import smtp_pair

        def test_it(mail_network):
            domain = smtp_pair.Domain("a.test", tls="offered", auth={"luke": "s3cr3t"})
            network = mail_network(domain)
            for mechanism in ("auth_plain", "auth_login"):
                for initial in (True, False):
                    with smtplib.SMTP(network["a.test"].host, network["a.test"].port) as client:
                        client.starttls(context=network.client_context())
                        client.ehlo()
                        client.user, client.password = "luke", "s3cr3t"
                        name = mechanism[5:].upper()
                        client.auth(name, getattr(client, mechanism), initial_response_ok=initial)
            assert len(network.transcripts) == 4, "too early"
            assert False
        """
    )
    shown = result.stdout.str() + "".join((results / name).read_text("utf-8") for name in kept(results))
    assert shown.count("AUTH PLAIN") >= 4
    assert "235 2.7.0 welcome" in shown
    for secret in ("AGx1a2UAczNjcjN0", "czNjcjN0", "bHVrZQ=="):
        assert secret not in shown


# -- conservation ------------------------------------------------------------------------------------------------------

LOSES = """
import pytest
from smtp_pair.spool import Spool

def lose(monkeypatch, pair):
    monkeypatch.setattr(Spool, "release", lambda spool, entry: None)
    pair.jaku.send("vader@deathstar.com", subject="Plans")
"""


def test_a_lost_mail_fails_the_test(run_suite: RunSuite) -> None:
    """At its end, in a few lines: the recipient, the mail, what became of it; then what was said."""
    result = run_suite(LOSES + "def test_it(monkeypatch, mail_pair): lose(monkeypatch, mail_pair)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_it*",
            "mail is not conserved (1 accepted: 1 queued):",
            "  lost: <vader@deathstar.com> of 'Plans' from <sender@example.org>, * on smtp.jaku.com",
            "      smtp.jaku.com accepted it, and has neither passed it on nor kept it",
            "*- mail transcript -*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("mark", "arguments"), [("@pytest.mark.mail_losses('on purpose')\n", []), ("", ["--mail-conservation=off"])]
)
def test_a_test_may_lose_mail_on_purpose(run_suite: RunSuite, mark: str, arguments: list[str]) -> None:
    """It says so; or nobody looks."""
    source = LOSES + mark + "def test_it(monkeypatch, mail_pair): lose(monkeypatch, mail_pair)"
    run_suite(source, "--strict-markers", *arguments).assert_outcomes(passed=1)


def test_a_test_that_has_failed_fails_once(run_suite: RunSuite) -> None:
    """What it asserts is nearer to the cause."""
    source = LOSES + "def test_it(monkeypatch, mail_pair): lose(monkeypatch, mail_pair); assert False"
    run_suite(source).assert_outcomes(failed=1)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nodeid", ["a.py::test[CON]", "a.py::test[../../etc]", "a.py::" + "x" * 500, "ä.py::tëst[\x1b\udcff]", "a:b*?<>|"]
)
def test_the_name_of_a_folder_is_safe(nodeid: str) -> None:
    """On any system: short, plain characters, no reserved name, nothing hidden."""
    name = folder_name(nodeid)
    assert len(name) <= 90
    assert name.isascii()
    assert name.replace("-", "").replace("_", "").isalnum()


def test_no_two_tests_share_a_folder() -> None:
    """Not where case does not count either."""
    ids = ["a.py::test[x]", "a.py::test[X]", "a.py::test-x", "a.py::test/x", "a/py::test[x]"]
    assert len({folder_name(nodeid).casefold() for nodeid in ids}) == len(ids)
