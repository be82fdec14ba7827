"""Each wait in each kind of test: what `tox run -e repeat` does five hundred times.

A client of its own thread sends while the test waits, so that each turn meets the mail at another moment of its way.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.to_thread
import pytest

from smtp_pair import Domain, Network, Server
from smtp_pair.pytest_plugin import MailNetwork

LONG = 60.0  # never waited for: what is awaited comes


@pytest.fixture
def network(mail_network: MailNetwork) -> Network:
    return mail_network(Domain("a.test", unreachable="bounce"), "b.test")


@pytest.fixture
def meanwhile(network: Network) -> Iterator[Callable[[], None]]:
    """Sends two mails and one that bounces, from another thread."""
    threads: list[threading.Thread] = []

    def work() -> None:
        for title in ("one", "two"):
            network["a.test"].send(["ann@b.test", "me@a.test"], subject=title)
        network["a.test"].send("x@nowhere.test", sender="me@a.test")

    def start() -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def all_is_told(a: Server, b: Server) -> None:
    """What was said is there, whatever came first."""
    assert "250 2.0.0 taken as" in str(a.transcripts[0])
    assert b.transcripts[0].client == "smtp.a.test"


def test_plain(network: Network, meanwhile: Callable[[], None]) -> None:
    """In a plain test."""
    a, b = network["a.test"], network["b.test"]
    meanwhile()
    assert {mail.subject for mail in b.wait_for_all(2, timeout=LONG)} == {"one", "two"}
    assert a.wait_for(subject="two", timeout=LONG).delivered_to == ("me@a.test",)
    assert a.wait_for_bounce("x@nowhere.test", timeout=LONG).envelope.sender == ""
    b.assert_no_mail(subject="three")
    all_is_told(a, b)


@pytest.mark.asyncio
async def test_under_pytest_asyncio(network: Network, meanwhile: Callable[[], None]) -> None:
    """All of them at once, on the loop of the test."""
    a, b = network["a.test"], network["b.test"]
    meanwhile()
    both, two, bounce, _ = await asyncio.gather(
        b.wait_for_all_async(2, timeout=LONG),
        a.wait_for_async(subject="two", timeout=LONG),
        a.wait_for_bounce_async("x@nowhere.test", timeout=LONG),
        b.assert_no_mail_async(subject="three", within=0.01),
    )
    assert {mail.subject for mail in both} == {"one", "two"}
    assert (two.delivered_to, bounce.envelope.sender) == (("me@a.test",), "")
    all_is_told(a, b)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_under_anyio(network: Network, meanwhile: Callable[[], None], anyio_backend: str) -> None:
    """In tasks of a group; a blocking wait in a thread beside them."""
    a, b = network["a.test"], network["b.test"]
    found: list[str] = []

    async def bounce() -> None:
        found.append((await a.wait_for_bounce_async("x@nowhere.test", timeout=LONG)).envelope.sender)

    async def blocking() -> None:
        await anyio.to_thread.run_sync(lambda: found.extend(mail.subject for mail in b.wait_for_all(2, timeout=LONG)))

    async with anyio.create_task_group() as group:
        group.start_soon(bounce)
        group.start_soon(blocking)
        meanwhile()
    assert set(found) == {"", "one", "two"}
    all_is_told(a, b)
