"""A user's test as the README shows it, with types: nothing is imported to have the fixture."""

import smtplib
from typing import assert_type

import smtp_pair


def test_a_mail_is_forwarded(mail_pair: smtp_pair.Pair) -> None:
    with smtplib.SMTP(mail_pair.jaku.host, mail_pair.jaku.port) as client:
        client.sendmail("app@example.org", ["vader@deathstar.com"], "Subject: Welcome\r\n\r\nCome to the dark side.")
    mail = mail_pair.deathstar.wait_for(to="vader@deathstar.com", subject="Welcome")
    assert assert_type(mail.hops, list[str]) == ["smtp.jaku.com", "smtp.deathstar.com"]
    assert assert_type(mail.subject, str) == "Welcome"
    assert mail.envelope.recipients == ["vader@deathstar.com"]


def test_each_test_has_a_pair_of_its_own(mail_pair: smtp_pair.Pair) -> None:
    assert mail_pair.deathstar.messages == []
