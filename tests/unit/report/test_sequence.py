"""Who is drawn where in a sequence diagram, and what is drawn of him."""

from __future__ import annotations

from smtp_pair.facts import Fact
from smtp_pair.report.sequence import ROWS, Step, draw, lanes, of_facts, of_sessions
from smtp_pair.transcript import Event, Transcript


def session(client: str, began: float, *events: Event) -> Transcript:
    return Transcript(
        client, "smtp.a.test", began, events or (Event(0.0, "send", "QUIT"), Event(0.5, "reply", "221 bye"))
    )


def test_clients_that_take_turns_share_a_lane() -> None:
    """Those that speak at the same time have one each, but not a dozen of them."""
    turns = [session("client 1", 0.0), session("client 2", 1.0)]
    assert lanes(of_sessions(turns)) == ["clients", "smtp.a.test"]
    at_once = [session("client 1", 0.0), session("client 2", 0.2)]
    assert lanes(of_sessions(at_once)) == ["client 1", "client 2", "smtp.a.test"]
    many = [session(f"client {number}", number / 10) for number in range(12)]
    assert lanes(of_sessions(many)) == ["clients", "smtp.a.test"]


def test_faults_and_refusals_are_marked() -> None:
    """A fault is a remark on the server, a 4xx or 5xx a reply of another kind; a connection in vain is its caller's."""
    said = session("client 1", 0.0, Event(0.0, "note", "fault: RCPT reply"), Event(0.1, "reply", "451 4.3.0 no"))
    failed = Transcript("smtp.a.test", "b:25", 0.2, (Event(0.0, "note", "no connection: refused"),), relayed=True)
    fault, refusal, vain = of_sessions([said, failed])
    assert (fault.kind, fault.source, fault.target) == ("fault", "smtp.a.test", "smtp.a.test")
    assert (refusal.kind, refusal.target) == ("refusal", "client 1")
    assert (vain.kind, vain.source) == ("fault", "smtp.a.test")


def test_a_journal_tells_of_each_hop_once() -> None:
    """What one server forwarded, the other received."""
    to = [{"address": "ann@b.test", "outcome": "queued"}]
    data = {"title": "Plans", "recipients": to, "sender": "me@a.test"}
    facts = [
        Fact("received", 1.0, "smtp.a.test", "1", {**data, "client": "client.example [127.0.0.1]:4000"}),
        Fact("received", 2.0, "smtp.b.test", "2", {**data, "client": "smtp.a.test [127.0.0.1]:4001"}),
        Fact(
            "forwarded",
            3.0,
            "smtp.a.test",
            "1",
            {"recipient": "ann@b.test", "next_hop": "smtp.b.test (x)", "reply": "250"},
        ),
    ]
    assert [(step.source, step.target) for step in of_facts(facts)] == [
        ("clients", "smtp.a.test"),
        ("smtp.a.test", "smtp.b.test"),
    ]


def test_a_long_conversation_is_cut() -> None:
    """So many rows are drawn; each is whole in its title."""
    steps = [
        Step(number / 10, "client 1", "smtp.a.test", "send", f"NOOP {number} {'x' * 100}") for number in range(500)
    ]
    drawn = draw(steps, "a test")
    assert drawn.count("<path") == ROWS
    assert f"NOOP {ROWS - 1} {'x' * 100}</title>" in drawn
