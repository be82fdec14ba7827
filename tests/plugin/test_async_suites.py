"""The fixtures in asynchronous suites, and in parallel ones: they are plain fixtures, and serve all alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

RunSuite = Callable[..., pytest.RunResult]

# A client that blocks the test's own loop (smtplib) would hang if the servers ran on it.
BODY = """
    import asyncio, smtplib
    import aiosmtplib
    import pytest

    MAIL = "Subject: {}\\r\\n\\r\\nHello.\\r\\n"
    {mark}

    async def test_a_client_that_does_not_block(mail_pair):
        await aiosmtplib.send(
            MAIL.format("One"),
            sender="app@example.org",
            recipients=["vader@deathstar.com"],
            hostname=mail_pair.jaku.host,
            port=mail_pair.jaku.port,
        )
        mail = await mail_pair.deathstar.wait_for_async(to="vader@deathstar.com", subject="One")
        assert mail.hops == ["smtp.jaku.com", "smtp.deathstar.com"]

    async def test_a_client_that_blocks(mail_pair):
        with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port, local_hostname="app") as client:
            client.sendmail("app@example.org", ["vader@deathstar.com"], MAIL.format("Two"))
        mail_pair.deathstar.wait_for(subject="Two")
        mail_pair.jaku.send("obiwan@jaku.com", subject="Three")
        assert await mail_pair.jaku.wait_for_async() is mail_pair.jaku.messages[0]

    async def test_the_loop_goes_on_while_one_waits(mail_pair):
        waiting = asyncio.ensure_future(mail_pair.deathstar.wait_for_async(subject="Four", timeout=60))
        await asyncio.sleep(0)
        mail_pair.jaku.send("vader@deathstar.com", subject="Not yet")
        assert not waiting.done()
        mail_pair.jaku.send("vader@deathstar.com", subject="Four")
        assert (await waiting).subject == "Four"

    async def test_other_fixtures(mail_network, mail_pair_session, mail_env):
        net = mail_network("a.test", "b.test")
        net["a.test"].send("ann@b.test")
        await net["b.test"].wait_for_async(to="ann@b.test")
        with mail_pair_session.fresh() as pair:
            pair.jaku.send("vader@deathstar.com")
            await pair.deathstar.wait_for_async()

    def test_a_plain_one_beside_them(mail_pair):
        mail_pair.jaku.send("vader@deathstar.com")
        mail_pair.deathstar.wait_for()
"""


def body(mark: str = "") -> str:
    return BODY.replace("{mark}", mark)


def test_pytest_asyncio_strict(run_suite: RunSuite) -> None:
    """With marks on the tests, which is pytest-asyncio's default."""
    source = body("pytestmark = pytest.mark.asyncio").replace(
        "    def test_a_plain_one",
        "    @pytest.mark.filterwarnings('ignore:.*is marked with')\n    def test_a_plain_one",
    )
    run_suite(source, settings="asyncio_mode = strict").assert_outcomes(passed=5)


def test_pytest_asyncio_auto(run_suite: RunSuite) -> None:
    """Without marks, in its auto mode, where it would take over any asynchronous fixture."""
    run_suite(body(), settings="asyncio_mode = auto").assert_outcomes(passed=5)


def test_one_loop_for_the_session(run_suite: RunSuite) -> None:
    """With a loop that all tests share."""
    settings = "asyncio_mode = auto\nasyncio_default_test_loop_scope = session"
    run_suite(body(), settings=settings).assert_outcomes(passed=5)


def test_anyio(run_suite: RunSuite) -> None:
    """With anyio's marks and its own runner."""
    source = body("pytestmark = pytest.mark.anyio")
    run_suite(source, conftest=ON_ASYNCIO).assert_outcomes(passed=5)


ON_ASYNCIO = """
    import pytest

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""


def test_anyio_on_trio(run_suite: RunSuite) -> None:
    """anyio's marks run a test on trio too, where that is installed: a wait is woken there, ends in vain, and is
    cancelled, as on asyncio."""
    result = run_suite(
        """
        import anyio
        import pytest
        from smtp_pair import MailNotFound, UnexpectedMail

        pytestmark = pytest.mark.anyio

        async def test_it(mail_pair, anyio_backend_name):
            server, sent = mail_pair.jaku, []

            async def wait(title):
                sent.append((await server.wait_for_async(subject=title, timeout=60)).subject)

            async with anyio.create_task_group() as group:
                group.start_soon(wait, "One")
                group.start_soon(wait, "Two")
                await anyio.lowlevel.checkpoint()
                for title in ("Zero", "One", "Two"):
                    await anyio.to_thread.run_sync(lambda: server.send("luke@jaku.com", subject=title))
            assert sorted(sent) == ["One", "Two"]
            with pytest.raises(MailNotFound, match="3 of 4 mails"):
                await server.wait_for_all_async(4, timeout=0.01)
            await server.assert_no_mail_async(subject="Three", within=0.01)
            with anyio.move_on_after(0.01) as scope:
                await server.wait_for_all_async(4, timeout=60)
            assert scope.cancelled_caught and not server._inbox._listeners
        """,
        conftest="""
        import pytest

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param
        """,
    )
    result.assert_outcomes(passed=2)


def test_xdist(run_suite: RunSuite) -> None:
    """Under ``-n 2`` each worker has servers of its own, the session's pair too."""
    result = run_suite(
        """
        import os
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_in_parallel(mail_pair, mail_pair_session, number, testrun_uid, tmp_path):
            mail_pair.jaku.send("vader@deathstar.com", subject=f"{number}")
            assert mail_pair.deathstar.wait_for().subject == f"{number}"
            with mail_pair_session.fresh() as pair:
                pair.deathstar.send("obiwan@jaku.com", subject=f"{number}")
                assert pair.jaku.wait_for(timeout=30).subject == f"{number}"
                assert len(pair.jaku.messages) == 1
            assert os.environ["PYTEST_XDIST_WORKER"] in str(mail_pair.directory)
            assert os.environ["PYTEST_XDIST_WORKER"] in str(mail_pair_session.directory)
        """,
        "-n",
        "2",
        "-p",
        "xdist",
    )
    result.assert_outcomes(passed=6)
