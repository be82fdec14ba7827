"""Greylisting, aliases and bare line ends, each at its edges, through running servers; quotas are in
test_quota_edges.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from harness.rules_plugin import Connect
from harness.wire import codes
from smtp_pair import Domain, Network, Server
from smtp_pair.config import Retry
from smtp_pair.journal import read
from smtp_pair.pytest_plugin import MailNetwork

LETTER = b"Subject: Hello\r\n\r\nHello.\r\n"


def mailboxes(server: Server) -> Counter[str]:
    """How many mails each mailbox has, by the files on disk."""
    return Counter(path.parent.parent.name for path in server.directory.glob("maildir/*/*/*"))


def events(server: Server) -> list[str]:
    return [fact.event for fact in read(server.directory)]


# -- greylisting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def greylisted(mail_network: MailNetwork) -> Network:
    """jaku is patient, deathstar wants five minutes of whoever is new."""
    retry = Retry(first=60, factor=2, most=3600, jitter=0)
    return mail_network("jaku.com", Domain("deathstar.com", greylist=300), clock="manual", retry=retry)


def test_greylisting_by_the_clock(greylisted: Network, wire: Connect) -> None:
    """451 4.7.1 until five minutes are over, to the second; then the same three are taken, and others still wait."""
    client = wire(greylisted["deathstar.com"])
    for seconds, expected in ((0, "451 4.7.1"), (299, "451 4.7.1"), (1, "250 2.1.5"), (10**6, "250 2.1.5")):
        greylisted.clock.advance(seconds)
        client.open(sender="luke@example.org")
        assert codes(client.ask(b"RCPT TO:<vader@deathstar.com>")) == expected
        client.ask(b"RSET")
    client.open(sender="luke@example.org")
    assert codes(client.ask(b"RCPT TO:<tarkin@deathstar.com>")) == "451 4.7.1"


def test_our_own_relay_passes_the_greylist(greylisted: Network) -> None:
    """It comes again, after a minute and after three; at seven minutes the mail is taken, once."""
    jaku, deathstar = greylisted
    jaku.send(["vader@deathstar.com", "tarkin@deathstar.com"], subject="Patience")
    greylisted.settle()
    told = []
    for _ in range(7):
        told.append((len(events(jaku)) - 1, len(deathstar.messages)))
        greylisted.clock.advance(60)
    assert told == [(2, 0), (4, 0), (4, 0), (6, 0), (6, 0), (6, 0), (6, 0)]
    [mail] = deathstar.messages
    assert mail.delivered_to == ("vader@deathstar.com", "tarkin@deathstar.com")
    assert events(jaku)[1:] == ["deferred"] * 6 + ["forwarded"] * 2
    greylisted.clock.advance(days=10)
    assert len(deathstar.messages) == 1


# -- aliases -----------------------------------------------------------------------------------------------------------


def test_aliases_end_in_one_copy_each(mail_network: MailNetwork) -> None:
    """Nested, in any case, named twice, to other domains and back: each mailbox gets one copy, on either server; the
    record says by which name each was reached."""
    network = mail_network(
        Domain(
            "jaku.com",
            users=["obiwan", "leia"],
            aliases={
                "all": ["Team@jaku.com", "leia@jaku.com", "obiwan@JAKU.com"],
                "team@jaku.com": ["obiwan@jaku.com", "LEIA@jaku.com", "vader@deathstar.com", "all@jaku.com"],
            },
        ),
        Domain("deathstar.com", aliases={"vader": ["vader@deathstar.com", "tarkin@deathstar.com"]}),
    )
    jaku, deathstar = network
    answers = jaku.send(["ALL@jaku.com", "team@Jaku.com", "leia@jaku.com"], subject="To all")
    assert all(answer.accepted for answer in answers.values())
    network.settle()
    # "all" leads to itself by way of "team": so it means the mailbox of that name too, and nothing is lost.
    assert mailboxes(jaku) == {"obiwan": 1, "leia": 1, "all": 1, "team": 1}
    assert mailboxes(deathstar) == {"vader": 1, "tarkin": 1}
    [mail] = jaku.messages
    assert "leia@jaku.com" in mail.delivered_to
    fact = read(jaku.directory)[0]
    reached = {to["address"]: to.get("alias") for to in fact.data["recipients"]}
    assert reached["obiwan@jaku.com"] == "ALL@jaku.com"
    assert jaku.wait_for(to="ALL@jaku.com") is jaku.wait_for(to="team@jaku.com") is mail


@pytest.mark.parametrize(
    ("aliases", "recipients", "here", "there"),
    [
        ({"a": ["b@jaku.com"], "b": ["c@jaku.com"], "c": ["obiwan@jaku.com"]}, ["a"], {"obiwan": 1}, {}),
        ({"a": ["a@jaku.com"]}, ["a"], {"a": 1}, {}),
        ({"a": ["b@jaku.com"], "b": ["a@jaku.com"]}, ["a", "b"], {"a": 1, "b": 1}, {}),
        ({"a": ["x@jaku.com", "X@jaku.com"]}, ["a", "x"], {"x": 1}, {}),
        ({"a": ["vader@deathstar.com"] * 3}, ["a", "a"], {}, {"vader": 1}),
        ({"a": ["obiwan@jaku.com", "vader@deathstar.com"]}, ["a"], {"obiwan": 1}, {"vader": 1}),
        ({"postmaster": ["obiwan@jaku.com"]}, ["postmaster"], {"obiwan": 1}, {}),
    ],
    ids=["nested", "itself", "loop", "case", "one_elsewhere", "here_and_elsewhere", "postmaster"],
)
def test_nothing_lost_nothing_doubled(
    mail_network: MailNetwork,
    wire: Connect,
    aliases: dict[str, list[str]],
    recipients: Sequence[str],
    here: dict[str, int],
    there: dict[str, int],
) -> None:
    """One copy for each mailbox that an alias leads to; at RCPT only users and aliases are known."""
    network = mail_network(Domain("jaku.com", users=["obiwan"], aliases=aliases), "deathstar.com")
    client = wire(network["jaku.com"])
    client.open()
    for name in recipients:
        path = f"<{name}>" if name == "postmaster" else f"<{name}@jaku.com>"
        assert client.ask(f"RCPT TO:{path}".encode()).code == (250 if name in aliases else 550)
    assert client.data(LETTER).code == 250
    network.settle()
    assert mailboxes(network["jaku.com"]) == here
    assert mailboxes(network["deathstar.com"]) == there


def test_an_alias_that_leads_nowhere(mail_network: MailNetwork) -> None:
    """Its other targets get the mail; that one fails by itself, and is told."""
    network = mail_network(Domain("jaku.com", aliases={"a": ["x@nowhere.test", "obiwan@jaku.com"]}))
    server = network["jaku.com"]
    server.send("a@jaku.com")
    network.settle()
    assert mailboxes(server) == {"obiwan": 1}
    received, failed, *_ = read(server.directory)
    assert (failed.event, failed.data["recipient"]) == ("failed", "x@nowhere.test")
    assert failed.data["reply"].startswith("550 5.1.2")
    assert [to["outcome"] for to in received.data["recipients"]] == ["delivered", "queued"]


def test_an_alias_relays_for_strangers(mail_network: MailNetwork, wire: Connect) -> None:
    """Where it leads is the domain's own decision: who writes to it needs no AUTH, though the target would."""
    alias = {"dark": ["vader@deathstar.com"]}
    network = mail_network(Domain("jaku.com", auth={"luke": "f0rce"}, aliases=alias), "deathstar.com")
    client = wire(network["jaku.com"])
    client.open("dark@jaku.com")
    assert client.ask(b"RCPT TO:<vader@deathstar.com>").code == 550
    assert client.data(LETTER).code == 250
    network.settle()
    assert mailboxes(network["deathstar.com"]) == {"vader": 1}


def test_an_alias_between_two_domains_that_never_ends(mail_network: MailNetwork) -> None:
    """Each sends it to the other, until one says that it goes round: then it has failed, and is in no mailbox (RFC 5321
    6.3)."""
    network = mail_network(
        Domain("jaku.com", aliases={"a": ["b@deathstar.com"]}), Domain("deathstar.com", aliases={"b": ["a@jaku.com"]})
    )
    network["jaku.com"].send("a@jaku.com", sender="")
    network.settle()
    last = [fact for server in network for fact in read(server.directory) if fact.event == "failed"]
    assert [fact.data["reply"][:9] for fact in last] == ["554 5.4.6"]
    assert not mailboxes(network["jaku.com"]) + mailboxes(network["deathstar.com"])


# -- bare line ends ----------------------------------------------------------------------------------------------------

BARE = [
    b"a\nb\r\n",
    b"a\rb\r\n",
    b"\n",
    b"\r",
    b"a\n.\nb\r\n",
    b"a\r\n.\nb\r\n",
    b"a\r\r\nb\r\n",
    b"a\n\r\nb\r\n",
    b"a\r\n\r",
]


@pytest.mark.parametrize("by", ["DATA", "BDAT"])
@pytest.mark.parametrize("octets", BARE, ids=repr)
def test_bare_line_ends_are_refused(mail_network: MailNetwork, wire: Connect, octets: bytes, by: str) -> None:
    """With ``bare_newline="reject"``: 550 5.5.2 after the end of the mail, wherever one stands; nothing is kept, and
    the same mail with CRLF is taken in the same session."""
    server = mail_network(Domain("jaku.com", bare_newline="reject"), "deathstar.com")["jaku.com"]
    client = wire(server)
    for content, expected in ((octets, "550 5.5.2"), (b"a\r\nb\r\n", "250 2.0.0")):
        client.open("obiwan@jaku.com")
        mail = b"Subject: x\r\n\r\n" + content
        if by == "BDAT":
            client.say(b"BDAT %d LAST\r\n" % len(mail) + mail)
            assert codes(client.reply()) == expected
        else:
            end = b".\r\n" if mail.endswith(b"\r\n") else b"\r\n.\r\n"
            assert codes(client.data(mail, end=end)) == expected
    assert [mail.content for mail in server.messages] == [b"Subject: x\r\n\r\na\r\nb\r\n"]
    assert not (server.directory / "attachments").exists()
