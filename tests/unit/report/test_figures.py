"""The sums behind the drawings, from facts as servers write them."""

from __future__ import annotations

from smtp_pair.facts import Fact
from smtp_pair.report.figures import latencies, net, over_time, span, spread, waits
from smtp_pair.report.run import Run, ServerSeen, Test
from smtp_pair.transcript import Event, Transcript


def received(mail: str, moment: float, *recipients: tuple[str, str], server: str = "smtp.a.test") -> Fact:
    there = [{"address": address, "outcome": outcome} for address, outcome in recipients]
    return Fact(
        "received", moment, server, mail, {"recipients": there, "title": f"title of {mail}", "sender": "me@a.test"}
    )


def attempt(event: str, mail: str, moment: float, recipient: str, hop: str, **more: object) -> Fact:
    data = {"recipient": recipient, "next_hop": hop, "reply": "451 4.3.0 no", "attempts": 1, **more}
    return Fact(event, moment, "smtp.a.test", mail, data)


FACTS = (
    received("1", 100.0, ("ann@a.test", "delivered"), ("bob@b.test", "queued")),
    Fact(
        "refused",
        100.5,
        "smtp.a.test",
        "",
        {"recipient": "<x@nowhere.test>", "reply": "550 5.1.2 no route", "sender": ""},
    ),
    attempt("deferred", "1", 101.0, "bob@b.test", "smtp.b.test (127.0.0.1:2525)", again=103.0),
    attempt("forwarded", "1", 103.0, "bob@b.test", "smtp.b.test (127.0.0.1:2626)"),
    received("2", 104.0, ("you@dead.test", "queued")),
    attempt("deferred", "2", 104.5, "you@dead.test", "127.0.0.1:9", again=999.0),
)
SAID = Transcript("client 1", "smtp.a.test", 0.0, (Event(0.25, "body"), Event(0.5, "reply", "250 2.0.0 taken")))
TEST = Test(
    "t", began=100.0, ended=102.0, servers=(ServerSeen("smtp.a.test", "a.test"),), sessions=(SAID,), facts=FACTS
)


def test_the_network_is_what_was_used() -> None:
    """A way for each pair of servers, whatever port they had; a stranger is no server; refusals by domain and reply."""
    found = net([TEST, TEST])
    [place] = found.places.values()
    assert (place.sessions, place.brought, place.accepted, place.delivered) == (2, 4, 4, 2)
    assert dict(place.refused) == {("nowhere.test", "550 5.1.2"): 2}
    ways = {target: (way.forwarded, way.deferred) for (_, target), way in found.ways.items()}
    assert ways == {"smtp.b.test": (2, 2), "127.0.0.1:9": (0, 2)}
    assert found.strangers == ["127.0.0.1:9", "smtp.b.test"]


def test_each_recipient_that_waits_has_its_attempts() -> None:
    """Relative to when its mail was accepted; one without an end has none."""
    first, second = waits(FACTS)
    assert (first.recipient, first.end, first.title) == ("bob@b.test", "forwarded", "title of 1")
    assert [(one.after, one.event, one.again) for one in first.attempts] == [
        (1.0, "deferred", 3.0),
        (3.0, "forwarded", None),
    ]
    assert (second.recipient, second.end) == ("you@dead.test", "")


def test_latency_by_outcome() -> None:
    """Delivered at once: from the last octet to the 250; forwarded: from the 250 to the end; what waits has none."""
    found = latencies(Run("r", (TEST,)))
    assert found == {"delivered": [0.25], "forwarded": [3.0]}


def test_over_time_counts_a_moved_clock_where_the_test_ran() -> None:
    """The test ended at 102: what its clock calls later is there."""
    began, length, counts = over_time(Run("r", (TEST,)), 4)
    assert (began, length) == (100.0, 2.0)
    assert counts == {
        "delivered": [1, 0, 0, 0],
        "forwarded": [0, 0, 0, 1],
        "deferred": [0, 0, 1, 1],
        "refused": [0, 1, 0, 0],
    }


def test_a_spread_counts_everything_once() -> None:
    """What is beyond the ends of the scale is in the outermost bins."""
    one = spread([0.0, 0.001, 0.1, 1e9], 0.001, 1.0, 3)
    assert one.bins == (2, 0, 2)
    assert (one.least, one.most, one.count) == (0.0, 1e9, 4)


def test_durations_for_people() -> None:
    """In the unit that has one to three figures."""
    shown = [span(seconds) for seconds in (0, 0.0004, 0.25, 1.5, 119, 300, 7200, 432_000)]
    assert shown == ["0 ms", "0.4 ms", "250 ms", "1.5 s", "119 s", "5 min", "2 h", "5 d"]
