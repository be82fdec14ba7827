"""Each fixture of the plugin, in a plain suite of a user."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RunSuite = Callable[..., pytest.RunResult]


def test_mail_pair(run_suite: RunSuite) -> None:
    """The test of the README, as it stands: no import, no port, no sleep. Each test has a pair of its own, under its
    own tmp_path, which is stopped at the end."""
    result = run_suite("""
        import smtplib, socket
        import pytest

        ports = []

        def test_a_mail_is_forwarded(mail_pair):
            with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port) as client:
                client.sendmail("app@example.org", ["vader@deathstar.com"], "Subject: Welcome\\r\\n\\r\\nCome.")
            mail = mail_pair.deathstar.wait_for(to="vader@deathstar.com", subject="Welcome")
            assert mail.hops == ["smtp.jaku.com", "smtp.deathstar.com"]
            ports.append(mail_pair.jaku.port)

        def test_the_next_one_is_fresh(mail_pair, tmp_path):
            assert mail_pair.deathstar.messages == []
            assert mail_pair.directory.is_relative_to(tmp_path)
            mail_pair.jaku.send("obiwan@jaku.com")
            assert mail_pair.jaku.messages[0].path.is_relative_to(tmp_path)

        def test_the_first_one_has_stopped():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", ports[0]))
    """)
    result.assert_outcomes(passed=3)


def test_the_folder_of_mail_pair(run_suite: RunSuite) -> None:
    """Of a test without a tmp_path it is one like it, made with the first mail: most tests send none."""
    result = run_suite("""
        def test_nothing_is_sent(mail_pair, tmp_path_factory):
            assert list(tmp_path_factory.getbasetemp().glob("test_*")) == []

        def test_something_is_sent(mail_pair, tmp_path_factory):
            mail_pair.jaku.send("obiwan@jaku.com")
            (folder,) = tmp_path_factory.getbasetemp().glob("test_something_is_sent0")
            assert mail_pair.directory == folder / "mail"
            assert mail_pair.jaku.messages[0].path.is_relative_to(folder)
    """)
    result.assert_outcomes(passed=2)


def test_mail_pair_config_for_a_test(run_suite: RunSuite) -> None:
    """Overridden in a function's scope, it changes what ``mail_pair`` starts with: names or Domain values."""
    result = run_suite("""
        import pytest
        from smtp_pair import Domain

        @pytest.fixture
        def mail_pair_config():
            return Domain("a.test", users=["ann"]), "b.test"

        def test_the_names_are_ours(mail_pair):
            assert [server.domain for server in mail_pair] == ["a.test", "b.test"]
            replies = mail_pair.jaku.send(["ann@a.test", "eve@a.test", "bob@b.test"])
            assert [(reply.code, reply.enhanced) for reply in replies.values()] == [
                (250, "2.0.0"), (550, "5.1.1"), (250, "2.0.0")
            ]
            mail_pair.deathstar.wait_for(to="bob@b.test")

        @pytest.mark.parametrize("mail_pair_config", [(Domain("c.test"), Domain("d.test"))])
        def test_a_parameter_does_it_too(mail_pair):
            assert mail_pair["c.test"] is mail_pair.jaku
    """)
    result.assert_outcomes(passed=2)


def test_mail_pair_config_for_the_session(run_suite: RunSuite) -> None:
    """Overridden in the session's scope, it is for the pair of the session as well."""
    result = run_suite(
        """
        def test_both_have_it(mail_pair, mail_pair_session):
            assert mail_pair is not mail_pair_session
            for pair in mail_pair, mail_pair_session:
                assert [server.domain for server in pair] == ["a.test", "b.test"]
        """,
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def mail_pair_config():
                return "a.test", "b.test"
        """,
    )
    result.assert_outcomes(passed=1)


def test_mail_pair_config_in_too_small_a_scope(run_suite: RunSuite) -> None:
    """A function's override can't serve the session's pair: pytest says so, and names both fixtures."""
    result = run_suite("""
        import pytest

        @pytest.fixture
        def mail_pair_config():
            return "a.test", "b.test"

        def test_it(mail_pair_session): ...
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ScopeMismatch*", "*mail_pair_session*"])


def test_a_config_that_cannot_be(run_suite: RunSuite) -> None:
    """An error at the fixture names the setting at fault."""
    result = run_suite("""
        import pytest

        @pytest.fixture
        def mail_pair_config():
            return "jaku.com", "jaku.com"

        def test_it(mail_pair): ...
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*ConfigError: name: 'jaku.com' is given to two domains"])


def test_mail_pair_session(run_suite: RunSuite) -> None:
    """One pair for all tests, each of which begins and ends with empty mailboxes; hypothesis takes it."""
    result = run_suite("""
        from hypothesis import given, settings, strategies as st

        seen = set()

        @given(body=st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20))
        @settings(max_examples=20, deadline=None)
        def test_each_example_is_fresh(mail_pair_session, body):
            with mail_pair_session.fresh() as pair:
                seen.add(pair.jaku.port)
                assert pair.jaku.messages == [] == pair.deathstar.messages
                pair.jaku.send(["obiwan@jaku.com", "vader@deathstar.com"], body=body, attachments={"a": b"a"})
                assert pair.jaku.messages[0].text.rstrip() == body.rstrip()
                pair.deathstar.wait_for(to="vader@deathstar.com")

        def test_the_next_test_has_the_same(mail_pair_session):
            seen.add(mail_pair_session.jaku.port)
            assert len(seen) == 1
            assert mail_pair_session.jaku.messages == []
            files = {path.name for path in mail_pair_session.directory.rglob("*") if path.is_file()}
            assert files == {"journal.jsonl", "ServerMSG.txt"}
    """)
    result.assert_outcomes(passed=2)


def test_mail_network(run_suite: RunSuite) -> None:
    """Starts networks of any domains: users, ways to other networks, what to do with mail that goes nowhere; all of
    them in the test's own folder, and stopped at its end."""
    result = run_suite("""
        import socket
        import pytest
        from smtp_pair import Domain, Limits

        ports = []

        def test_three_networks(mail_network, tmp_path):
            third = mail_network("third.test")
            net = mail_network(
                "a.test",
                Domain("b.test", users=["ann"], unreachable="ignore"),
                routes={"third.test": third["third.test"].address},
            )
            other = mail_network(Domain("a.test"))
            ports.extend(server.port for network in (third, net, other) for server in network)
            assert len(set(ports)) == 4
            assert all(network.directory.is_relative_to(tmp_path) for network in (third, net, other))
            assert len({network.directory for network in (third, net, other)}) == 3

            replies = net["a.test"].send(["ann@b.test", "joe@third.test", "x@nowhere.test"])
            assert [reply.code for reply in replies.values()] == [250, 250, 550]
            assert net["b.test"].wait_for(to="ann@b.test").hops == ["smtp.a.test", "smtp.b.test"]
            third["third.test"].wait_for(to="joe@third.test")

            replies = net["b.test"].send(["eve@b.test", "x@nowhere.test", "postmaster@b.test"])
            assert [reply.code for reply in replies.values()] == [550, 250, 250]
            other["a.test"].assert_no_mail()

        @pytest.mark.parametrize("port", range(4))
        def test_all_have_stopped(port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", ports[port]))

        def test_a_folder_of_ones_own(mail_network, tmp_path):
            net = mail_network("a.test", directory=tmp_path / "mine")
            net["a.test"].send("ann@a.test")
            assert (tmp_path / "mine" / "smtp.a.test" / "ServerMSG.txt").is_file()

        def test_nothing_started(mail_network):
            with pytest.raises(ValueError, match="a network needs a domain"):
                mail_network()
            with pytest.raises(ValueError, match="is not on this machine"):
                mail_network("a.test", routes={"b.test": "192.0.2.1:25"})
    """)
    result.assert_outcomes(passed=7)


def test_mail_env(run_suite: RunSuite) -> None:
    """A program that reads the usual variables, in a process of its own, sends to the pair; after the test they are
    what they were."""
    result = run_suite("""
        import os, subprocess, sys

        NAMES = "SMTP_HOST SMTP_PORT EMAIL_HOST EMAIL_PORT EMAIL_URL MAIL_SERVER MAIL_PORT".split()
        PROGRAM = (
            "import os, smtplib;"
            "client = smtplib.SMTP(os.environ['SMTP_HOST'], int(os.environ['SMTP_PORT']), local_hostname='app');"
            "client.sendmail('app@example.org', ['vader@deathstar.com'], 'Subject: From a process' + 2 * chr(10));"
            "client.quit()"
        )
        before = dict(os.environ)

        def test_a_subprocess(mail_pair, mail_env):
            jaku = mail_pair.jaku
            assert mail_env.keys() == set(NAMES)
            assert {name: os.environ[name] for name in NAMES} == dict(mail_env)
            assert mail_env["EMAIL_URL"] == f"smtp://{jaku.host}:{jaku.port}"
            assert mail_env["EMAIL_HOST"] == mail_env["MAIL_SERVER"] == mail_env["SMTP_HOST"] == jaku.host
            assert mail_env["EMAIL_PORT"] == mail_env["MAIL_PORT"] == mail_env["SMTP_PORT"] == str(jaku.port)
            subprocess.run([sys.executable, "-c", PROGRAM], check=True)
            mail_pair.deathstar.wait_for(subject="From a process")

        def test_they_are_gone():
            assert {name: os.environ.get(name) for name in NAMES} == {name: before.get(name) for name in NAMES}
    """)
    result.assert_outcomes(passed=2)


def test_the_fixtures_are_listed(run_suite: RunSuite) -> None:
    """``pytest --fixtures`` shows each with what it gives, and none that is not meant for users."""
    result = run_suite("", "--fixtures")
    for name in ("mail_pair", "mail_network", "mail_pair_session", "mail_pair_config", "mail_env", "mail_extensions"):
        result.stdout.re_match_lines([rf"{name}( \[session scope\])? -- .*pytest_plugin.py:\d+"])
    assert result.stdout.str().count("smtp_pair/pytest_plugin.py:") == 6
    assert "no docstring available" not in result.stdout.str().partition("smtp_pair.pytest_plugin")[2]
