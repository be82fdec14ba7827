"""The account of accepted recipients: what counts as an end, and what is wrong."""

from __future__ import annotations

import asyncio

import pytest

from smtp_pair import conservation
from smtp_pair.conservation import Conservation, End
from smtp_pair.mail import reply, trace
from smtp_pair.mail.address import Address, parse_path
from smtp_pair.mail.envelope import Envelope, Origin, Recipient
from smtp_pair.mail.reply import Reply


def address(text: str) -> Address:
    return parse_path(f"<{text}>")[0]


ANN, BOB = address("ann@b.test"), address("bob@b.test")
CONTENT = b"Subject: Hello\r\n\r\nText.\r\n"
TAKEN = reply.stored("m-key-2")
CUT_OFF = reply.connection_broke("smtp.b.test", "closed by the other side")
BUSY = Reply(451, "4.3.0", "later")


def on_the_wire(content: bytes = CONTENT, mail_id: str = "m-key-1") -> bytes:
    """As it comes to the next server, with the first one's trace field on top."""
    envelope, origin = Envelope(ANN, (Recipient(ANN),)), Origin("client", "127.0.0.1", 1, "ESMTP")
    return trace.received("smtp.a.test", mail_id, envelope, origin, 0.0) + content


@pytest.fixture
def account() -> Conservation:
    """One in which smtp.a.test has taken a mail for two."""
    one = Conservation(lambda mail_id: "-key-" in mail_id)
    one.accepted(
        "smtp.a.test", "m-key-1", "me@a.test", "Hello", "client [127.0.0.1]:1", pending=[ANN, BOB], content=CONTENT
    )
    one.released("m-key-1")
    return one


def end(account: Conservation, recipient: Address, how: End = "forwarded") -> None:
    account.ended("m-key-1", recipient, how, "smtp.a.test")


def attempt(account: Conservation, recipient: Address, said: Reply = TAKEN) -> None:
    if said is CUT_OFF:
        account.cut_short("m-key-1", recipient)
    account.attempted("m-key-1", recipient, said, next_server="smtp.b.test", forwarded=said.accepted)
    if said.accepted:
        end(account, recipient)


def test_all_is_well(account: Conservation) -> None:
    """Each recipient with one end; the sums are told."""
    account.accepted("smtp.b.test", "m-key-2", "", "", "x", delivered=[ANN], ignored=[BOB])
    end(account, ANN, "failed")
    end(account, BOB, "dropped")
    assert account.check({}) == []
    assert str(account.account) == "4 accepted: 1 delivered, 1 failed, 1 ignored, 1 dropped"
    account.reset()
    assert str(account.account) == "0 accepted: nothing"


def test_who_waits_is_not_lost(account: Conservation) -> None:
    """Neither is who is being tried, nor whose client has yet to get its 250."""
    end(account, ANN)
    assert account.check({"m-key-1": {BOB}}) == []
    assert account.check({"m-key-1": None}) == []
    account.accepted("smtp.a.test", "m-key-3", "", "", "x", pending=[ANN])
    assert account.check({"m-key-1": {BOB}}) == []
    assert str(account.account) == "3 accepted: 1 forwarded, 2 queued"


def test_a_lost_recipient_is_named(account: Conservation) -> None:
    """With the mail, where it came from, what was last said of it, and what became of the others."""
    end(account, ANN)
    account.attempted("m-key-1", BOB, BUSY, next_server="smtp.b.test", forwarded=False)
    [fault] = account.check({"m-key-1": {ANN}})
    assert fault.splitlines() == [
        "  lost: <bob@b.test> of 'Hello' from <me@a.test>, m-key-1 on smtp.a.test",
        "      smtp.a.test accepted it, and has neither passed it on nor kept it",
        "      it came from client [127.0.0.1]:1",
        "      what was said of it last: 451 4.3.0 later",
        "      its other recipients: <ann@b.test> forwarded",
    ]


def test_a_second_end_is_one_too_many(account: Conservation) -> None:
    """Whether the mail is finished or not."""
    end(account, ANN, "forwarded")
    end(account, ANN, "delivered")
    end(account, BOB, "bounced")
    end(account, BOB, "bounced")
    doubled = account.check({})
    assert ["doubled" in fault for fault in doubled] == [True, True]
    assert "it has ended as forwarded and as delivered" in doubled[0]
    assert "it has ended as bounced and as bounced" in doubled[1]


def test_what_is_passed_on_must_arrive(account: Conservation) -> None:
    """Within the network nobody is believed: who says that a mail went on to a neighbour is asked where it is."""
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    attempt(account, ANN)
    attempt(account, BOB)
    [fault] = account.check({})
    assert "lost: <bob@b.test>" in fault
    assert "smtp.a.test passed it on, and smtp.b.test has not got it" in fault


def test_a_stranger_is_believed(account: Conservation) -> None:
    """What it got, nobody can know."""
    for recipient in (ANN, BOB):
        account.attempted("m-key-1", recipient, TAKEN, next_server="", forwarded=True)
        end(account, recipient)
    assert account.check({}) == []


def test_a_duplicate_after_a_lost_reply_is_told_and_allowed(account: Conservation) -> None:
    """It arrived, and its sender could not know (RFC 1047). Once for each reply that was lost, not more."""
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    attempt(account, ANN, CUT_OFF)
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    assert account.check({"m-key-1": {ANN, BOB}}) == []
    assert [text.split(":")[0] for text in account.account.duplicates] == [
        "<ann@b.test> of 'Hello' from <me@a.test>, m-key-1 on smtp.a.test"
    ]
    attempt(account, ANN)
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    [fault] = account.check({"m-key-1": {BOB}})
    assert "doubled: <ann@b.test>" in fault
    assert "it came to smtp.b.test 3 times" in fault


def test_a_duplicate_after_a_stop_is_told_and_allowed(account: Conservation) -> None:
    """The attempt was cut short with its server, and the mail had arrived: it comes again after the restart."""
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    account.cut_short("m-key-1", ANN)
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    assert account.check({"m-key-1": {ANN, BOB}}) == []
    assert len(account.account.duplicates) == 1


def test_a_duplicate_after_a_refusal_is_not(account: Conservation) -> None:
    """A next hop that refuses a mail has no business to keep it."""
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    attempt(account, ANN, BUSY)
    account.arrived("smtp.b.test", on_the_wire(), [ANN])
    assert "doubled" in account.check({"m-key-1": {ANN, BOB}})[0]


def test_one_that_names_a_recipient_twice_brings_it_once(account: Conservation) -> None:
    """Two recipients of one name in one envelope are one."""
    account.arrived("smtp.b.test", on_the_wire(), [ANN, ANN])
    assert account.check({"m-key-1": {ANN, BOB}}) == []


@pytest.mark.parametrize("size", [10, conservation.BIG + 1], ids=["small", "big"])
@pytest.mark.parametrize("changed", [True, False])
def test_what_arrives_is_what_was_sent(size: int, changed: bool) -> None:
    """Octet for octet, but for the trace fields; big ones are compared in a thread, and the check waits for it."""
    one = Conservation(lambda mail_id: "-key-" in mail_id)
    content = CONTENT + b"x" * size

    async def go() -> None:
        one.accepted("smtp.a.test", "m-key-1", "me@a.test", "Hello", "x", pending=[ANN], content=content)
        one.released("m-key-1")
        one.arrived("smtp.b.test", on_the_wire(content[:-1] + b"y" if changed else content), [ANN])
        await one.settled()

    asyncio.run(go())
    faults = one.check({"m-key-1": {ANN}})
    assert ["changed: <ann@b.test>" in fault for fault in faults] == [True] * changed


def test_mails_that_are_not_known_are_nobodys_fault(account: Conservation) -> None:
    """Those of an earlier run in the same folder, and those of strangers with trace fields of their own."""
    account.ended("m-key-0", ANN, "forwarded", "smtp.a.test")
    account.ended("m-key-0", BOB, "failed", "smtp.a.test")
    account.attempted("m-key-9", ANN, TAKEN, next_server="smtp.b.test", forwarded=True)
    account.arrived("smtp.b.test", on_the_wire(mail_id="m-key-9"), [ANN])
    account.arrived("smtp.b.test", on_the_wire(mail_id="foreign"), [ANN])
    assert account.check({"m-key-1": {ANN, BOB}}) == []
    account.ended("m-key-0", ANN, "forwarded", "smtp.a.test")
    assert "it came from an earlier run" in account.check({"m-key-1": {ANN, BOB}})[0]


def test_it_does_not_grow_for_ever(account: Conservation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of mails that are finished the last are known."""
    monkeypatch.setattr(conservation, "KEPT", 100)
    for number in range(1000):
        account.accepted("smtp.a.test", f"n-key-{number}", "", "", "x", delivered=[ANN])
    assert len(account._closed) == 100
    assert account.account.ends["delivered"] == 1000


def test_a_report_is_no_novel(account: Conservation) -> None:
    """How many faults there are is said; not all are shown."""
    text = conservation.report([f"  fault {number}" for number in range(50)], account.account)
    assert text.splitlines()[0] == "mail is not conserved (2 accepted: 2 queued):"
    assert text.splitlines()[-1] == "  ... and 30 more"
