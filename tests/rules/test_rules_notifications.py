"""Notifications: who is told what became of a mail, in which form, and that nobody is told for ever (C82 to C85,
C87, C88; what a sender may ask for is in test_rules_dsn.py). They are read with the standard library's parser."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from harness.notifications import LETTER, hand_over, one_notification, parts
from harness.rules_plugin import Connect, Notes
from harness.sending import RECIPIENT, SENDER, Sending, sending
from harness.unruly_hop import Raw, UnrulyHop
from smtp_pair import Domain, journal
from smtp_pair.config import Durability, WhenUnreachable
from smtp_pair.pytest_plugin import MailNetwork

LATER, NEVER = b"451 4.3.0 later", b"550 5.1.1 nobody of that name"


@pytest.fixture
def hop() -> Iterator[UnrulyHop]:
    with UnrulyHop() as hop:
        yield hop


@pytest.fixture
def mail(mail_network: MailNetwork, hop: UnrulyHop) -> Sending:
    return sending(mail_network, hop)


# -- C82, C83: to whom -----------------------------------------------------------------------------------------------


def test_c82_from_nobody_to_the_sender(mail: Sending, wire: Connect, rule: Notes) -> None:
    """Its reverse-path is null, its one recipient the reverse-path of the mail, whatever From, Reply-To and others in
    its header say."""
    mail.hop.always("RCPT", NEVER)
    content = b"From: eve@a.test\r\nReply-To: eve@a.test\r\nErrors-To: eve@a.test\r\nReturn-Path: <eve@a.test>\r\n\r\n"
    hand_over(wire(mail.server), RECIPIENT, content=content)
    mail.network.settle()
    notification = one_notification(mail.server)
    assert notification.envelope.sender == ""
    assert notification.envelope.recipients == [SENDER]
    assert notification.raw.startswith(b"Return-Path: <>\r\n")
    message, _, _ = parts(notification)
    assert message["To"] == f"<{SENDER}>" or message["To"] == SENDER
    assert "mailer-daemon@smtp.a.test" in message["From"]
    rule.observed("from <>, to the reverse-path")


def test_c82_a_sender_elsewhere(mail: Sending, rule: Notes) -> None:
    """It goes the way that any mail goes: MAIL FROM:<>, RCPT TO the sender."""
    mail.hop.says("RCPT", NEVER)
    mail.server.send(RECIPIENT, sender="carol@far.test")
    mail.network.settle()
    [notification] = mail.hop.taken
    assert notification.sender.startswith(b"MAIL FROM:<>")
    assert notification.recipients == [b"RCPT TO:<carol@far.test> NOTIFY=NEVER"]
    assert mail.server.messages == []
    rule.observed("over the wire: MAIL FROM:<>")


@pytest.mark.parametrize("notify", ["", " NOTIFY=SUCCESS,FAILURE,DELAY"])
@pytest.mark.parametrize("answer", [NEVER, LATER, b"250 OK"])
def test_c83_a_null_sender_is_told_nothing(
    mail: Sending, wire: Connect, rule: Notes, answer: bytes, notify: str
) -> None:
    """Neither of a refusal nor of a delay, an expiry or a success: there is nobody to tell. The journal tells it."""
    mail.hop.offers = ()
    mail.hop.always("RCPT", answer)
    hand_over(wire(mail.server), RECIPIENT + notify, sender="")
    mail.until_nothing_waits()
    facts = journal.read(mail.server.directory)
    assert [fact.event for fact in facts if fact.event == "received"] == ["received"]
    assert [fact.event for fact in facts][-1] == ("forwarded" if answer.startswith(b"2") else "failed")
    rule.observed("nobody is told")


# -- C84, C87: its form ----------------------------------------------------------------------------------------------


def test_c84_a_report_that_programs_read(mail: Sending, wire: Connect, rule: Notes) -> None:
    """multipart/report with a text for people, the fields of RFC 3464, and the header of the mail as it was."""
    mail.hop.always("RCPT", NEVER)
    hand_over(wire(mail.server), RECIPIENT)
    mail.network.settle()
    message, [about, failed], returned = parts(one_notification(mail.server))
    assert about["Reporting-MTA"] == "dns; smtp.a.test"
    arrived = parsedate_to_datetime(str(about["Arrival-Date"]))
    assert failed["Final-Recipient"] == f"rfc822; {RECIPIENT}"
    assert (failed["Action"], failed["Status"]) == ("failed", "5.1.1")
    assert failed["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody of that name"
    assert failed["Remote-MTA"] == "dns; 127.0.0.1"
    assert parsedate_to_datetime(str(failed["Last-Attempt-Date"])) >= arrived
    assert "Original-Recipient" not in failed and "Original-Envelope-Id" not in about
    assert returned.get_content_type() == "text/rfc822-headers"
    header = returned.get_payload(decode=True)
    assert isinstance(header, bytes)
    assert header.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r").endswith(LETTER[: LETTER.index(b"\r\n\r\n") + 2])
    assert message["In-Reply-To"] == message["References"] == "<1@a.test>"
    assert message["Message-ID"]
    assert parsedate_to_datetime(str(message["Date"])) >= arrived
    text = message.get_body(("plain",))
    assert text is not None
    assert RECIPIENT in text.get_content() and "nobody of that name" in text.get_content()
    rule.observed("multipart/report: Reporting-MTA, Final-Recipient, Action, Status, Diagnostic-Code, the header")


@pytest.mark.parametrize(("when", "status"), [("bounce", "5.1.2")])
def test_c84_a_domain_without_a_way(
    mail_network: MailNetwork, wire: Connect, rule: Notes, when: WhenUnreachable, status: str
) -> None:
    """Where such mail is to be taken and its sender told (C42), this is how; nobody remote said anything."""
    server = mail_network(Domain("a.test", unreachable=when))["a.test"]
    hand_over(wire(server), "x@nowhere.test")
    notification = server.wait_for_bounce("x@nowhere.test", status=status, to=SENDER)
    _, [_, failed], _ = parts(notification)
    assert "Remote-MTA" not in failed
    rule.observed("no route: told, 5.1.2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\nno header\r\n",
        b"x" * 100_000 + b"\r\n",
        b"X: " + b"y" * 70_000,
        b"Subject: \xff\xfe\r\n\r\n\xff",
    ],
)
def test_c84_about_odd_mails(mail: Sending, wire: Connect, rule: Notes, content: bytes) -> None:
    """Whatever the mail was, its notification can be read."""
    mail.hop.always("RCPT", NEVER)
    hand_over(wire(mail.server), RECIPIENT, content=content + b"\r\n")
    mail.network.settle()
    _, [_, failed], _ = parts(one_notification(mail.server))
    assert failed["Final-Recipient"] == f"rfc822; {RECIPIENT}"
    rule.observed("about any mail")


def test_c87_no_person_wrote_it(mail: Sending, wire: Connect, rule: Notes) -> None:
    """Auto-Submitted: auto-replied, so that no vacation program answers."""
    mail.hop.says("RCPT", NEVER)
    mail.hop.offers = ()
    hand_over(wire(mail.server), RECIPIENT, f"{SENDER} NOTIFY=SUCCESS")
    mail.network.settle()
    notifications = [each for each in mail.server.messages if each.delivery_status is not None]
    assert len(notifications) == 2
    for notification in notifications:
        assert parts(notification)[0]["Auto-Submitted"] == "auto-replied"
    rule.observed("Auto-Submitted: auto-replied")


# -- C85: one, and clean ---------------------------------------------------------------------------------------------


def test_c85_one_for_all_that_failed(mail: Sending, rule: Notes) -> None:
    """Five recipients, of whom three are refused: one notification with three blocks, and no second one, ever."""
    mail.hop.says("RCPT", NEVER, b"250 OK", b"553 5.1.3 what", b"250 OK", b"552 5.2.2 full")
    mail.send(*(f"r{number}@far.test" for number in range(5)))
    mail.network.settle()
    _, [_, *blocks], _ = parts(one_notification(mail.server))
    told = [(block["Final-Recipient"], block["Status"]) for block in blocks]
    assert told == [(f"rfc822; r{n}@far.test", status) for n, status in ((0, "5.1.1"), (2, "5.1.3"), (4, "5.2.2"))]
    mail.network.clock.advance(days=10)
    assert len(mail.server.messages) == 1
    rule.observed("one for three that failed")


def test_c85_one_for_each_moment(mail: Sending, rule: Notes) -> None:
    """Those that fail later are told of later; nobody twice."""
    mail.hop.says("RCPT", NEVER, LATER)
    mail.send("now@far.test", "later@far.test")
    mail.network.settle()
    mail.hop.says("RCPT", NEVER)
    mail.until_nothing_waits()
    told = [parts(each)[1][1]["Final-Recipient"] for each in mail.notifications]
    assert told == ["rfc822; now@far.test", "rfc822; later@far.test"]
    rule.observed("another one for what fails later")


HOSTILE = {
    "fields": b"550-5.1.1 no\r\n550-5.1.1 Action: delivered\r\n550-5.1.1 \r\n550 5.1.1 Final-Recipient: rfc822; x@y.z",
    "controls": b"550 5.1.1 \x1b[31mred\x1b[0m \x00\x07\x08 \x9b31m \r also",
    "eight bits": b"550 5.1.1 \xff\xfe \xc3\xa9 \xe2\x80\xa8 \xe2\x80\xae",
    "markup": b"550 5.1.1 <script>alert(1)</script>",
    "a boundary": b"550-5.1.1 no\r\n550 5.1.1 --=_boundary--",
    "a long line": b"550 5.1.1 " + b"long " * 6000,
    "many lines": b"550-5.1.1 again and again\r\n" * 900 + b"550 5.1.1 end",
    "folding": b"550-5.1.1 no\r\n550-\tStatus: 2.0.0\r\n550  Status: 2.0.0",
}


@pytest.mark.parametrize("said", HOSTILE)
def test_c85_what_a_stranger_says(mail: Sending, rule: Notes, said: str) -> None:
    """It is repeated in one line of printable ASCII, 500 characters at most, and is never a field or a part."""
    mail.hop.always("RCPT", HOSTILE[said])
    mail.send()
    mail.network.settle()
    notification = one_notification(mail.server)
    message, [_, failed], _ = parts(notification)
    assert failed.keys() == [
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
    ]
    assert (failed["Action"], failed["Status"][:2]) == ("failed", "5.")
    diagnostic = failed["Diagnostic-Code"]
    assert diagnostic.isascii() and diagnostic.isprintable() and len(diagnostic) < 550
    assert len(list(message.iter_parts())) == 3
    body = notification.raw[notification.raw.index(b"This is a delivery status") :]
    own = body[: body.index(b"Content-Type: text/rfc822-headers")]
    assert all(32 <= octet < 127 or octet in b"\r\n" for octet in own)
    assert max(map(len, own.split(b"\r\n"))) <= 998
    rule.observed("a next hop's words: one printable line, capped")


def test_c85_a_reply_that_is_none(mail: Sending, rule: Notes) -> None:
    """Garbage in place of a reply is shown as such, and as cleanly."""
    mail.hop.always("RCPT", Raw(b"\x1b]0;owned\x07\xff\r\n"))
    mail.send()
    mail.until_nothing_waits()
    _, [_, failed], _ = parts(one_notification(mail.server))
    assert failed["Diagnostic-Code"].isprintable()
    rule.observed("a next hop's garbage too")


# -- C88: a mail like any other --------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["fast", "durable"])
def test_c88_queued_and_tried_again(
    mail_network: MailNetwork, hop: UnrulyHop, rule: Notes, durability: Durability
) -> None:
    """A sender whose server is down has his notification when it is up, once; a restart in between changes nothing."""
    with UnrulyHop(down=True) as home:
        network = mail_network(
            "a.test",
            routes={"far.test": hop.address, "home.test": home.address},
            clock="manual",
            durability=durability,
        )
        server = network["a.test"]
        hop.always("RCPT", NEVER)
        server.send(RECIPIENT, sender="carol@home.test")
        network.clock.advance(minutes=10)
        [waiting] = server.queue
        assert (waiting.sender, waiting.recipient) == ("", "carol@home.test")
        assert waiting.attempts > 5
        network.stop()
        network.start()
        home.up()
        network.clock.advance(hours=1)
        [notification] = home.taken
        assert notification.sender.startswith(b"MAIL FROM:<>")
        assert b"Diagnostic-Code: smtp; 550 5.1.1 nobody of that name\r\n" in notification.content
        assert server.queue == []
    rule.observed("queued, and tried again")


@pytest.mark.parametrize("answer", [NEVER, LATER])
def test_c88_dropped_with_a_record(mail: Sending, rule: Notes, answer: bytes) -> None:
    """One that nobody takes is dropped: at once, or when it is too old; the journal has it, and nobody is told."""
    mail.hop.says("RCPT", NEVER)
    mail.hop.always("RCPT", answer)
    mail.server.send(RECIPIENT, sender="carol@far.test")
    mail.until_nothing_waits()
    facts = journal.read(mail.server.directory)
    received = [fact for fact in facts if fact.event == "received"]
    assert [fact.data["sender"] for fact in received] == ["carol@far.test", ""]
    [dropped] = [fact for fact in facts if fact.event == "failed" and fact.mail == received[1].mail]
    assert dropped.data["recipient"] == "carol@far.test"
    assert mail.server.messages == []
    rule.observed("dropped, with a record")


def test_c88_in_the_records(mail: Sending, rule: Notes) -> None:
    """The journal and ServerMSG.txt have a notification like any mail: from whom, to whom, what became of it."""
    mail.hop.always("RCPT", NEVER)
    mail.send()
    mail.network.settle()
    facts = journal.read(mail.server.directory)
    assert [fact.event for fact in facts] == ["received", "failed", "received", "delivered"]
    assert facts[2].data["client"] == "this server itself"
    assert facts[2].data["recipients"] == [{"address": SENDER, "outcome": "queued"}]
    assert facts[2].mail == facts[3].mail == one_notification(mail.server).id
    assert facts[2].mail in (mail.server.directory / "ServerMSG.txt").read_text()
    rule.observed("in the records like any mail")
