"""Ours beside Postfix, and beside Exim: what they answer to the same clients means the same, and the same lies in all
mailboxes, but for the differences that are listed (``harness/house_differences.py``), each of which is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import NamedTuple

import pytest

from harness import house_comparison
from harness.common_sessions import common_session
from harness.comparison import ALIKE, Mismatch
from harness.differences import Difference
from harness.exchange import Exchange
from harness.house_differences import HOUSE_DIFFERENCES, MAIL, RCPT, REWRITINGS, Rewriting
from harness.sessions import Group, Session
from harness.stage import HERE, THERE, Target, embedded
from harness.target_options import COUNT
from harness.targets.catalogue import DAEMONS
from smtp_pair import Network

pytestmark = pytest.mark.mta

SESSIONS = {"postfix": 300, "exim": 100}
"""How many are played; Exim starts a process for each delivery."""
LISTED = [
    pytest.param(kind, each, id=f"{kind}-{each.name}")
    for table in (HOUSE_DIFFERENCES, REWRITINGS)
    for kind, lines in table.items()
    for each in lines
]


class Beside(NamedTuple):
    """Both, running."""

    kind: str
    play: Callable[[Session, Counter[str]], None]


@pytest.fixture(scope="module", params=HOUSE_DIFFERENCES)
def beside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    kind: str = request.param
    if reason := DAEMONS[kind].why_not():
        pytest.skip(f"{kind}: {reason}")
    folder = tmp_path_factory.mktemp(kind)
    with ExitStack() as running:
        target = Target(DAEMONS[kind])
        running.callback(target.close)
        theirs = running.enter_context(target.stage(folder / "theirs"))
        ours = embedded(running.enter_context(Network(HERE, THERE, directory=folder / "ours")))
        yield Beside(kind, partial(house_comparison.play, ours, theirs))


def test_random_sessions(beside: Beside, record_property: Callable[[str, object], None]) -> None:
    """Sessions in and out of order, with contents of any octets: nothing differs but what is listed, most is alike, and
    all that is listed is met."""
    seen: Counter[str] = Counter()
    for seed in range(SESSIONS[beside.kind]):
        beside.play(common_session(Random(seed)), seen)
    assert seen[ALIKE] > 0.75 * seen.total()
    assert set(seen) == {ALIKE, *(each.name for each in HOUSE_DIFFERENCES[beside.kind])} | {
        each.name for each in REWRITINGS[beside.kind]
    }
    counts = ", ".join(f"{name}: {count:,}" for name, count in seen.most_common())
    record_property(COUNT, f"ours beside {beside.kind}, {SESSIONS[beside.kind]} sessions: {counts}")


@pytest.mark.parametrize(("beside", "difference"), LISTED, indirect=["beside"])
def test_each_difference_is_there(beside: Beside, difference: Difference | Rewriting) -> None:
    """No line of a table is stale: its witness shows it, and nothing else that it could be; and it says why."""
    assert difference.reason
    seen: Counter[str] = Counter()
    beside.play(difference.witness, seen)
    assert seen[difference.name] == 1
    assert set(seen) <= {ALIKE, difference.name}


@pytest.mark.parametrize("kind", HOUSE_DIFFERENCES)
@pytest.mark.parametrize(
    "exchange",
    [
        Exchange("command", b"NOOP\r\n", 250, 500, "EHLO"),
        Exchange("command", b"VRFY obiwan@jaku.com\r\n", 252, 550, "EHLO"),
        Exchange("command", f"{MAIL}\r\n".encode(), 250, 501, "EHLO"),
        Exchange("command", f"{MAIL}\r\n".encode(), 503, 250, "EHLO", sender=True),
        Exchange("command", f"{RCPT}\r\n".encode(), 250, 450, "EHLO", sender=True),
        Exchange("command", b"RCPT TO:<paimon@nowhere.invalid>\r\n", 550, 250, "EHLO", sender=True),
        Exchange("command", b"DATA\r\n", 354, 554, "EHLO", sender=True),
        Exchange("content", b"x\r\n.\r\n", 250, 0),
        Exchange("content", b"x\r\n.\r\n", 550, 250),
    ],
)
def test_nothing_else_is_excused(kind: str, exchange: Exchange) -> None:
    """The tables hide no mistake in what is plainly right or plainly wrong."""
    assert not [each.name for each in HOUSE_DIFFERENCES[kind] if each.matches(exchange)]


def test_a_mail_that_differs_is_found(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees a mail that one of the two has changed."""
    monkeypatch.setattr("smtp_pair.content.unstuff", lambda wire: wire)
    hello = Group((b"EHLO client.example\r\n",))
    envelope = Group((f"{MAIL}\r\n{RCPT}\r\n".encode(),))
    mail = Group((b"DATA\r\n",), b"Subject: x\r\n\r\n..\r\n.\r\n")
    with pytest.raises(Mismatch, match="ours has"):
        beside.play([hello, *(Group((line + b"\r\n",)) for line in envelope.commands[0].splitlines()), mail], Counter())
