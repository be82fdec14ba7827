"""jaku.com is served by ours, deathstar.com by Postfix, endor.test by Exim or OpenSMTPD: what they make of each other's
mail."""

from __future__ import annotations

import email
import email.policy
import hashlib
import random
import smtplib
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from itertools import permutations
from pathlib import Path

import pytest

from harness.mixed import LOOP, Mixed, mixed, refused_by
from harness.target_options import COUNT
from harness.targets.catalogue import DAEMONS, EMBEDDED
from harness.targets.place import Delivered, Place
from smtp_pair.mail import bounce

pytestmark = pytest.mark.mta

JAKU, DEATHSTAR, ENDOR = "jaku.com", "deathstar.com", "endor.test"
PAIRS = list(permutations((JAKU, DEATHSTAR, ENDOR), 2))
FIRST_AND_LAST = pytest.mark.parametrize(
    ("first", "last"), [pytest.param(*each, id="-to-".join(each)) for each in PAIRS]
)
MANY = 1000


def needed(*kinds: str) -> None:
    """Skip where one of them can't be started."""
    for kind in kinds:
        if kind in DAEMONS and (reason := DAEMONS[kind].why_not()):
            pytest.skip(f"{kind}: {reason}")


@pytest.fixture(scope="module", params=["exim", "opensmtpd"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixed]:
    """The three, running; each test's mails have a title of their own."""
    needed("postfix", request.param)
    kinds = {JAKU: EMBEDDED, DEATHSTAR: "postfix", ENDOR: request.param}
    with mixed(kinds, tmp_path_factory.mktemp("ours")) as network:
        yield network


@pytest.fixture
def title(request: pytest.FixtureRequest) -> str:
    return f"In {request.node.name}"


def number(title: str) -> int:
    """What is a test's alone, for local parts."""
    return zlib.crc32(title.encode())


def letter(title: str, attachment: bytes) -> bytes:
    """A whole mail, with Date, Message-ID and full addresses, so that nobody has a reason to complete it."""
    message = EmailMessage(email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = "luke@jaku.com", "leia@endor.test", title
    message["Date"] = "Fri, 01 Jan 2027 12:00:00 +0000"
    message["Message-ID"] = f"<{hashlib.sha256(attachment).hexdigest()}@jaku.com>"
    message.set_content("See the file.\n.\n..dots\n")
    message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="plans.bin")
    return message.as_bytes()


def attachment_of(mail: Delivered) -> bytes:
    message = email.message_from_bytes(mail.raw, policy=email.policy.default)
    [part] = message.iter_attachments()
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def hand_over(place: Place, sender: str, recipient: str, content: bytes) -> None:
    with smtplib.SMTP(place.host, place.port, local_hostname="client.example") as client:
        assert client.sendmail(sender, [recipient], content) == {}


def titled(place: Place, title: str) -> list[Delivered]:
    return [
        mail for mail in place.delivered() if f"Subject: {title}\r\n".encode() in mail.raw.partition(b"\r\n\r\n")[0]
    ]


def hops(mail: Delivered, content: bytes) -> list[str]:
    """Who wrote the Received fields, the last one first."""
    return [value.split(" by ")[1].split()[0] for name, value in mail.trace(content) if name == "received"]


def notifications(place: Place, about: str) -> list[Delivered]:
    """The notifications in its mailboxes that say that this recipient failed."""
    return [mail for mail in place.delivered() if f"rfc822;{about}".lower() in _reports(mail)]


def _reports(mail: Delivered) -> str:
    message = email.message_from_bytes(mail.raw)
    reports = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
    return "".join(part.as_string() for part in reports).replace("rfc822; ", "rfc822;").lower()


@FIRST_AND_LAST
def test_forwarded(network: Mixed, title: str, first: str, last: str) -> None:
    """From each of the three to each other one: there once, octet for octet, with both hops in its trace."""
    content = letter(title, random.Random(title).randbytes(100_000))
    hand_over(network[first], f"luke@{first}", f"leia@{last}", content)
    network.settle()
    [mail] = titled(network[last], title)
    assert mail.recipient == f"leia@{last}"
    assert hops(mail, content) == [f"smtp.{last}", f"smtp.{first}"]
    assert [len(titled(network[domain], title)) for domain in network.domains] == [
        int(domain == last) for domain in network.domains
    ]


@FIRST_AND_LAST
@pytest.mark.parametrize("whose", ["sender here", "sender there"])
def test_bounced(network: Mixed, title: str, first: str, last: str, whose: str) -> None:
    """What the next server refuses comes back once, to its sender alone: one of the server that bounces, and one of the
    server that refused, to whom the notification has to find its way."""
    home = first if whose == "sender here" else last
    sender, recipient = f"luke-{number(title)}@{home}", f"gone-{number(title)}@{refused_by(last)}"
    hand_over(network[first], sender, recipient, letter(title, b"lost"))
    network.settle()
    [told] = notifications(network[home], recipient)
    assert told.recipient == sender
    assert sum(len(notifications(network[domain], recipient)) for domain in network.domains) == 1
    assert not [mail for domain in network.domains for mail in titled(network[domain], title)]
    if first != ENDOR:  # OpenSMTPD's is none that programs read (harness/targets/differences.py)
        status = bounce.read(told.raw)
        assert status is not None
        assert status.reporting_mta == f"smtp.{first}"


@pytest.mark.parametrize("first", [JAKU, DEATHSTAR, ENDOR])
def test_a_loop_ends(network: Mixed, title: str, first: str) -> None:
    """A mail that goes round through all three is given up by one of them, and its sender is told once."""
    sender, recipient = f"luke-{number(title)}@{first}", f"round-{number(title)}@{LOOP}"
    hand_over(network[first], sender, recipient, letter(title, b"round and round"))
    network.settle()
    [told] = notifications(network[first], recipient)
    assert told.recipient == sender
    assert sum(len(notifications(network[domain], recipient)) for domain in network.domains) == 1


class Flood:
    """Many mails from one domain to another, a hundred on a connection, in a thread of its own."""

    def __init__(self, place: Place, to: str, seed: int) -> None:
        self._place = place
        chance = random.Random(seed)
        self.sent = {
            f"{number}@{to}": chance.randbytes(chance.choice([0, 1, 57, 1000, 6000])) + f"{seed} {number}".encode()
            for number in range(MANY)
        }
        self.errors: list[BaseException] = []
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            mails = [(recipient, letter(f"To {recipient}", content)) for recipient, content in self.sent.items()]
            for start in range(0, len(mails), 100):  # OpenSMTPD takes no more of one client
                with smtplib.SMTP(self._place.host, self._place.port, local_hostname="client.example") as client:
                    for recipient, mail in mails[start : start + 100]:
                        client.sendmail(f"flood@{self._place.domain}", [recipient], mail)
        except BaseException as error:  # noqa: BLE001  # it is raised where it is joined
            self.errors.append(error)


@pytest.mark.parametrize("kind", DAEMONS)
def test_a_thousand_each_way(kind: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """1,000 mails from ours to another's and 1,000 back, at the same time: each is there once, and its attachment is
    byte for byte what was sent."""
    needed(kind)
    with mixed({JAKU: EMBEDDED, DEATHSTAR: kind}, tmp_path / "ours", patience=150.0) as network:
        floods = {DEATHSTAR: Flood(network[JAKU], DEATHSTAR, 1), JAKU: Flood(network[DEATHSTAR], JAKU, 2)}
        for flood in floods.values():
            flood.thread.start()
        for flood in floods.values():
            flood.thread.join()
            assert flood.errors == []
        network.settle()
        for domain, flood in floods.items():
            mails = network[domain].delivered()
            assert Counter(mail.recipient for mail in mails) == Counter(list(flood.sent))
            assert {mail.recipient: attachment_of(mail) for mail in mails} == flood.sent
            octets = sum(map(len, flood.sent.values()))
            record_property(
                COUNT, f"{len(mails):,} mails came to {domain}, {octets:,} octets of files, ours and {kind}"
            )
