"""Fixtures for the tests of ``docs/behaviour.md`` (loaded by ``conftest.py``).

``wire`` connects to a server, ``rule`` takes note of what the server answered: the table is made of these notes
(``behaviour_table.py``). A test of ``tests/rules`` that is named after a rule and notes nothing has failed. ``way`` is
a recipient here and one a hop away; ``next_hop`` makes servers for what lies beyond.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from harness.next_hop import ScriptedHop
from harness.rules import RULES
from harness.wire import Wire, codes
from smtp_pair.mail.reply import Reply

if TYPE_CHECKING:
    from smtp_pair import Mail, Pair, Server

PROPERTY = "rule"
"""The name of a note among the properties of a test's report."""
_NAMED = re.compile(r"test_c([0-9]+)_")
_WIRES: pytest.StashKey[list[Wire]] = pytest.StashKey()


def rule_number(test: str) -> int | None:
    """The number of the rule in a test's name."""
    match = _NAMED.match(test)
    return int(match[1]) if match is not None else None


class Notes:
    """What a test saw of its rule."""

    def __init__(self, item: pytest.Item, number: int) -> None:
        self.number = number
        self._item = item

    def reply(self, reply: Reply, *, to: str = "") -> Reply:
        """Note the reply for the table, ``to`` what; gives it back."""
        self.observed(f"{to}: {codes(reply)}" if to else codes(reply))
        return reply

    def observed(self, what: str) -> None:
        """Note, in words, what else the server did: ``closes the connection``."""
        note = (PROPERTY, f"{self.number} {what}")
        if note not in self._item.user_properties:
            self._item.user_properties.append(note)


class Connect(Protocol):
    """What the fixture ``wire`` gives."""

    def __call__(self, server: Server, *, hello: bool = True, tls: ssl.SSLContext | None = None) -> Wire: ...


@pytest.fixture
def rule(request: pytest.FixtureRequest) -> Notes:
    """Takes note of what was seen of the rule in the test's name (``test_c45_...``)."""
    number = rule_number(request.node.name)
    assert number is not None and number in RULES, f"{request.node.name} is not named after a rule: test_c45_..."
    return Notes(request.node, number)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Connects to a server, reads its greeting and says EHLO; with ``hello=False`` does no more than connect.

    ``tls`` is for servers that speak it from the first octet on. A failed test shows every conversation.
    """
    wires = request.node.stash.setdefault(_WIRES, [])

    def connect(server: Server, *, hello: bool = True, tls: ssl.SSLContext | None = None) -> Wire:
        client = Wire(server.host, server.port, tls=tls)
        wires.append(client)
        if hello:
            client.reply()
            client.hello()
        return client

    yield connect
    for client in wires:
        client.close()


@dataclass(frozen=True, slots=True)
class Way:
    """A recipient that clients of jaku may name, and where its mail comes to lie."""

    pair: Pair
    start: Server
    """The server to connect to."""
    recipient: str
    end: Server

    @property
    def mails(self) -> list[Mail]:
        """What has come to the end, once nothing moves any more; nothing else may have come anywhere."""
        self.pair.settle()
        assert self.end is self.start or not self.start.messages, "a mail came to the wrong server"
        return self.end.messages


@pytest.fixture(params=["local", "forward"])
def way(request: pytest.FixtureRequest, mail_pair: Pair) -> Way:
    """The way of a mail: it stays at the first server, or goes on to the second."""
    if request.param == "local":
        return Way(mail_pair, mail_pair.jaku, "obiwan@jaku.com", mail_pair.jaku)
    return Way(mail_pair, mail_pair.jaku, "vader@deathstar.com", mail_pair.deathstar)


class MakeHop(Protocol):
    """What the fixture ``next_hop`` gives."""

    def __call__(self, *offers: str) -> ScriptedHop: ...


@pytest.fixture
def next_hop() -> Iterator[MakeHop]:
    """Starts next hops that offer what they are told: ``routes={"far.test": next_hop("PIPELINING").address}``."""
    with ExitStack() as running:
        yield lambda *offers: running.enter_context(ScriptedHop(*offers))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test of a rule that notes nothing would leave a hole in the table."""
    yield
    silent = not any(name == PROPERTY for name, _ in item.user_properties)
    if silent and rule_number(item.name) is not None and "rules" in item.path.parent.parts[-1:]:
        pytest.fail(f"{item.name} noted no reply: rule.reply(reply), or rule.observed('closes the connection')")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        wires: list[Wire] = item.stash.get(_WIRES, [])
        for number, client in enumerate(wires, 1):
            report.sections.append((f"conversation {number}", client.conversation))
    return report


# -- what the table is made of -----------------------------------------------------------------------------------------


class Record:
    """Writes down, as JSON, the tests that there are for each rule and what they noted. Of what was collected only
    ``tests/rules`` is run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[int, list[str]] = {}
        self._notes: dict[int, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            number = rule_number(item.name)
            if number is not None:
                self._tests.setdefault(number, []).append(item.nodeid)
        items[:] = [item for item in items if item.path.parent.name == "rules"]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties if report.when == "call" else ():
            if name == PROPERTY:
                number, _, what = str(value).partition(" ")
                notes = self._notes.setdefault(int(number), [])
                if what not in notes:
                    notes.append(what)

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps({"tests": self._tests, "notes": self._notes}), "utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-rules", type=Path, metavar="FILE", help="for harness.behaviour_table")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record-rules")
    if path is not None:
        config.pluginmanager.register(Record(path))
