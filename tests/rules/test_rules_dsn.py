"""What a sender may ask to be told, and of what: NOTIFY, RET, ENVID, ORCPT (C86, RFC 3461)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.notifications import LETTER, hand_over, one_notification, parts
from harness.rules_plugin import Connect, Notes
from harness.sending import RECIPIENT, Sending, sending
from harness.unruly_hop import UnrulyHop
from harness.wire import codes
from smtp_pair import Pair
from smtp_pair.config import Durability
from smtp_pair.pytest_plugin import MailNetwork

LATER, NEVER = b"451 4.3.0 later", b"550 5.1.1 nobody of that name"


@pytest.fixture
def hop() -> Iterator[UnrulyHop]:
    with UnrulyHop() as hop:
        yield hop


@pytest.fixture
def mail(mail_network: MailNetwork, hop: UnrulyHop) -> Sending:
    return sending(mail_network, hop)


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ("", ["delayed", "failed"]),
        ("NOTIFY=NEVER", []),
        ("NOTIFY=FAILURE", ["failed"]),
        ("NOTIFY=DELAY", ["delayed"]),
        ("NOTIFY=SUCCESS", []),
        ("notify=success,failure,delay", ["delayed", "failed"]),
    ],
)
def test_c86_notify_of_a_failure(
    mail_network: MailNetwork, hop: UnrulyHop, wire: Connect, rule: Notes, notify: str, told: list[str]
) -> None:
    """A recipient that is late and then given up: of both, of one or of nothing, as was asked for."""
    network = mail_network("a.test", routes={"far.test": hop.address}, clock="manual")
    server = network["a.test"]
    hop.always("RCPT", LATER)
    hand_over(wire(server), f"{RECIPIENT} {notify}")
    network.clock.advance(days=6)
    assert server.queue == []
    assert [str(parts(mail)[1][1]["Action"]) for mail in server.messages] == told
    rule.observed(f"{notify.upper() or 'no NOTIFY'}: told of {' and '.join(told) or 'nothing'}")


def test_c86_success_here(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """NOTIFY=SUCCESS for a mailbox of the server: delivered, with the ENVID and the ORCPT of the client; nothing of the
    mail goes back but its header, whatever RET says."""
    client = wire(mail_pair.jaku)
    hand_over(
        client,
        "obiwan@jaku.com NOTIFY=SUCCESS ORCPT=rfc822;old+2Bname@jaku.com",
        "leia@jaku.com",
        "yoda@jaku.com NOTIFY=FAILURE",
        sender="luke@jaku.com",
        options="RET=FULL ENVID=my+20id",
    )
    notification = mail_pair.jaku.wait_for_bounce("obiwan@jaku.com", action="delivered", to="luke@jaku.com")
    mail_pair.settle()
    assert len(mail_pair.jaku.messages) == 2
    _, [about, *served], returned = parts(notification)
    assert about["Original-Envelope-Id"] == "my id"
    [one] = served
    assert (one["Action"], one["Status"][0]) == ("delivered", "2")
    assert one["Original-Recipient"] == "rfc822; old+name@jaku.com"
    assert "Diagnostic-Code" not in one
    assert returned.get_content_type() == "text/rfc822-headers"
    rule.observed("NOTIFY=SUCCESS: told of delivered")


def test_c86_success_at_the_next_server(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A server that offers DSN is told what was asked for, and tells the sender itself: one notification, the last
    server's."""
    client = wire(mail_pair.jaku)
    asked = "vader@deathstar.com NOTIFY=SUCCESS ORCPT=rfc822;darth@deathstar.com"
    hand_over(client, asked, sender="luke@jaku.com", options="ENVID=abc")
    notification = mail_pair.jaku.wait_for_bounce("vader@deathstar.com", action="delivered")
    mail_pair.settle()
    assert len(mail_pair.jaku.messages) == 1
    _, [about, one], _ = parts(notification)
    assert (about["Reporting-MTA"], about["Original-Envelope-Id"]) == ("dns; smtp.deathstar.com", "abc")
    assert one["Original-Recipient"] == "rfc822; darth@deathstar.com"
    rule.observed("and by the last server, where hops offer DSN")


def test_c86_success_where_it_is_not_known(mail: Sending, wire: Connect, rule: Notes) -> None:
    """A next hop without DSN can't be asked: relayed, by us, once; the parameters stay here."""
    mail.hop.offers = ("PIPELINING",)
    client = wire(mail.server)
    hand_over(client, f"{RECIPIENT} NOTIFY=SUCCESS ORCPT=rfc822;b@far.test", options="RET=HDRS ENVID=abc")
    mail.network.settle()
    _, [about, one], _ = parts(one_notification(mail.server))
    assert (one["Action"], one["Status"][0], about["Original-Envelope-Id"]) == ("relayed", "2", "abc")
    assert (mail.hop.taken[0].sender, mail.hop.taken[0].recipients) == (
        b"MAIL FROM:<ann@a.test>",
        [b"RCPT TO:<bob@far.test>"],
    )
    rule.observed("a hop without DSN: told of relayed")


def test_c86_passed_on(mail: Sending, wire: Connect, rule: Notes) -> None:
    """A next hop that offers DSN has every parameter as it was given; of a success it tells itself."""
    client = wire(mail.server)
    hand_over(
        client,
        f"{RECIPIENT} NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bb@far.test",
        "eve@far.test NOTIFY=NEVER",
        "dan@far.test",
        options="RET=FULL ENVID=my+20id",
    )
    mail.network.settle()
    [mail_taken] = mail.hop.taken
    assert mail_taken.sender.split()[-2:] == [b"RET=FULL", b"ENVID=my+20id"]
    assert mail_taken.recipients == [
        b"RCPT TO:<bob@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bb@far.test",
        b"RCPT TO:<eve@far.test> NOTIFY=NEVER",
        b"RCPT TO:<dan@far.test>",
    ]
    assert mail.server.messages == []
    rule.observed("passed on to a hop that offers DSN")


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_c86_through_a_restart(
    mail_network: MailNetwork, hop: UnrulyHop, wire: Connect, rule: Notes, durability: Durability
) -> None:
    """What was asked for is not forgotten while the mail waits."""
    network = mail_network(
        "a.test",
        routes={"far.test": hop.address},
        clock="manual",
        durability=durability,
    )
    hop.says("RCPT", LATER)
    asked = "NOTIFY=FAILURE ORCPT=rfc822;b@far.test"
    hand_over(wire(network["a.test"]), f"{RECIPIENT} {asked}", options="RET=FULL ENVID=abc")
    network.settle()
    network.stop()
    network.start()
    network.clock.advance(5)
    assert hop.taken[0].sender.endswith(b" RET=FULL ENVID=abc")
    assert hop.taken[0].recipients == [f"RCPT TO:<{RECIPIENT}> {asked}".encode()]
    rule.observed("through a restart")


@pytest.mark.parametrize(("ret", "kind"), [("RET=FULL", "message/rfc822"), ("RET=HDRS", "text/rfc822-headers")])
def test_c86_how_much_comes_back(mail: Sending, wire: Connect, rule: Notes, ret: str, kind: str) -> None:
    """RET: the whole mail, or its header."""
    mail.hop.always("RCPT", NEVER)
    content = LETTER + b"\r\n--=_\r\n.dots\r\n\r\n--\r\n"
    hand_over(wire(mail.server), RECIPIENT, options=ret, content=content.replace(b"\r\n.", b"\r\n.."))
    mail.network.settle()
    notification = one_notification(mail.server)
    _, _, returned = parts(notification)
    assert returned.get_content_type() == kind
    assert (content in notification.raw) is (ret == "RET=FULL")
    assert (b"Subject: Hello\r\nMessage-ID" in notification.raw) is True
    rule.observed(f"{ret}: {kind}")


@pytest.mark.parametrize(
    "bad",
    [
        "NOTIFY=NEVER,FAILURE",
        "NOTIFY=SUCCESS,NEVER",
        "NOTIFY=",
        "NOTIFY=SOMETIMES",
        "NOTIFY=SUCCESS,SUCCESS",
        "NOTIFY=SUCCESS,",
        "ORCPT=bob@far.test",
        "ORCPT=rfc822;b=b",
        "ORCPT=rfc822;b+2b",
        "ORCPT=;b",
        "ORCPT=rfc822;" + "x" * 500,
        "NOTIFY=NEVER NOTIFY=NEVER",
    ],
)
def test_c86_what_can_not_be_asked(mail_pair: Pair, wire: Connect, rule: Notes, bad: str) -> None:
    """501 5.5.4, and the transaction goes on."""
    client = wire(mail_pair.jaku)
    client.open()
    reply = rule.reply(client.ask(f"RCPT TO:<obiwan@jaku.com> {bad}".encode()), to=bad[:32])
    assert codes(reply) == "501 5.5.4"
    assert client.ask(b"RCPT TO:<obiwan@jaku.com>").code == 250


@pytest.mark.parametrize("bad", ["RET=ALL", "RET=", "ENVID=", "ENVID=a=b", "ENVID=+xx", "ENVID=" + "x" * 101])
def test_c86_what_can_not_be_asked_of_a_mail(mail_pair: Pair, wire: Connect, rule: Notes, bad: str) -> None:
    """501 5.5.4."""
    client = wire(mail_pair.jaku)
    assert codes(rule.reply(client.ask(f"MAIL FROM:<luke@jaku.com> {bad}".encode()), to=bad[:32])) == "501 5.5.4"
