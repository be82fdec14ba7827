"""How long things may be: command lines, names, lines of a mail, replies (C18 to C21, RFC 5321 4.5.3.1)."""

from __future__ import annotations

import pytest

from harness.rules_plugin import Connect, Notes, Way
from harness.wire import codes
from smtp_pair import Domain, Pair
from smtp_pair.mail.reply import Reply
from smtp_pair.pytest_plugin import MailNetwork

COMMAND = 512
SIZE, BODY, SMTPUTF8, AUTH, DSN_OF_MAIL, DSN_OF_RCPT = 26, 17, 10, 500, 116, 536
MAIL = COMMAND + SIZE + BODY + SMTPUTF8 + AUTH + DSN_OF_MAIL
RCPT = COMMAND + DSN_OF_RCPT
AUTH_LINE = 12288


def padded(line: bytes, length: int) -> bytes:
    """The line made so long by spaces, its CRLF counted, which ask() adds."""
    return line + b" " * (length - 2 - len(line))


@pytest.mark.parametrize(
    ("line", "length"),
    [
        (b"NOOP", COMMAND),
        (b"noop", COMMAND),
        (b"RSET", COMMAND),
        (b"EHLO client.example", COMMAND),
        (b"HELP", COMMAND),
        (b"VRFY luke", COMMAND),
        (b"MAIL FROM:<luke@example.org>", MAIL),
        (b"mail from:<luke@example.org>", MAIL),
        (b"MAIL FROM:<luke@example.org> SIZE=1 SMTPUTF8", COMMAND + SIZE + SMTPUTF8),
    ],
)
def test_c18_longest_line(mail_pair: Pair, wire: Connect, rule: Notes, line: bytes, length: int) -> None:
    """A command of 512 octets, and of MAIL what the extensions add, is taken; one octet past ours is 500 5.5.2."""
    client = wire(mail_pair.jaku)
    assert client.ask(padded(line, length)).accepted
    client.ask(b"RSET")
    longest = MAIL if line[:4].upper() == b"MAIL" else COMMAND
    assert codes(rule.reply(client.ask(padded(line, longest + 1)))) == "500 5.5.2"
    assert client.ask(b"NOOP").code == 250


def test_c18_longest_recipient(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """RCPT may be as long as NOTIFY and ORCPT make it; one octet more is 500 5.5.2, and no recipient."""
    client = wire(mail_pair.jaku)
    client.open()
    whole = b"RCPT TO:<obiwan@jaku.com> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;"
    assert client.ask(whole + b"o" * 493).code == 250
    assert client.ask(padded(b"RCPT TO:<leia@jaku.com>", RCPT)).code == 250
    assert codes(rule.reply(client.ask(padded(b"RCPT TO:<luke@jaku.com>", RCPT + 1)))) == "500 5.5.2"
    client.data(b"\r\n")
    assert mail_pair.jaku.messages[0].envelope.recipients == ["obiwan@jaku.com", "leia@jaku.com"]


def test_c18_everything_that_mail_can_say(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """A source route to the longest address, with every parameter at its longest, is taken."""
    client = wire(mail_pair.jaku)
    address = b"l" * 64 + b"@" + b".".join([b"d" * 63] * 4)
    words = [b"SIZE=00000000000000000001", b"BODY=8BITMIME", b"SMTPUTF8", b"RET=FULL", b"ENVID=" + b"e" * 100]
    line = b"MAIL FROM:<@hop.example,@hop2.example:" + address + b"> " + b" ".join(words)
    assert len(line) + 2 > COMMAND
    assert codes(rule.reply(client.ask(line), to="all parameters of MAIL")) == "250 2.1.0"


@pytest.mark.parametrize("length", [AUTH_LINE, AUTH_LINE + 1, 100_000])
@pytest.mark.parametrize("first", [b"AUTH PLAIN ", b""], ids=["command", "answer"])
def test_c18_auth_line(mail_network: MailNetwork, wire: Connect, rule: Notes, first: bytes, length: int) -> None:
    """A line of AUTH may have 12,288 octets (RFC 4954 4): it is looked at, and refused for what it says; a longer one
    is 500 5.5.2 and ends the exchange."""
    client = wire(mail_network(Domain("a.test", auth={"luke": "secret"}))["a.test"])
    if not first:
        assert client.ask(b"AUTH PLAIN").code == 334
    answer = client.ask(first + b"!" * (length - 2 - len(first)))
    if length > AUTH_LINE:
        assert codes(rule.reply(answer)) == "500 5.5.2"
    else:
        assert codes(rule.reply(answer, to="AUTH, that is no base64")) == "501 5.5.2"
    assert client.ask(b"NOOP").code == 250


@pytest.mark.parametrize("cuts", [(), (300, 511, 512, 513, 1100, 70_000)], ids=["at_once", "in_pieces"])
@pytest.mark.parametrize("tail", [b"", b"\rQUIT", b"\rRSET\r", b" \0QUIT"])
def test_c18_tail_is_never_a_command(
    mail_pair: Pair, wire: Connect, rule: Notes, tail: bytes, cuts: tuple[int, ...]
) -> None:
    """A line of 100,000 octets gets one 500, whatever its end looks like; the next line is a command again."""
    client = wire(mail_pair.jaku)
    client.open("obiwan@jaku.com")
    client.say(b"NOOP " + b"QUIT " * 20_000 + tail + b"\r\nDATA\r\n", cuts=cuts)
    assert codes(rule.reply(client.reply())) == "500 5.5.2"
    assert client.reply().code == 354


@pytest.mark.parametrize(
    ("name", "mailbox"),
    [
        ("o" * 64, "o" * 64),
        ('"' + "o" * 64 + '"', "o" * 64),
        ('"' + " " * 63 + '\\""', " " * 63 + '"'),
        ("é" * 32, "é" * 32),
    ],
    ids=["plain", "quoted", "escaped", "beyond_ascii"],
)
def test_c19_name_of_64(mail_pair: Pair, wire: Connect, rule: Notes, name: str, mailbox: str) -> None:
    """64 octets are taken, in quotes too, which do not count; 65 are refused, 5.1.3 to RCPT, 5.1.7 to MAIL."""
    client = wire(mail_pair.jaku)
    client.open(f"{name}@jaku.com", sender=f"{name}@example.org", parameters="SMTPUTF8")
    client.data(b"\r\n")
    [mail] = mail_pair.jaku.messages
    assert mail.envelope.recipients[0].mailbox == mailbox
    longer = f'"{name[1:-1]}x"' if name.startswith('"') else f"{name}x"
    assert codes(rule.reply(client.ask(f"MAIL FROM:<{longer}@a.test> SMTPUTF8".encode()), to="MAIL")) == "501 5.1.7"
    client.open(parameters="SMTPUTF8")
    assert codes(rule.reply(client.ask(f"RCPT TO:<{longer}@jaku.com>".encode()), to="RCPT")) == "501 5.1.3"


def test_c19_domain_of_255(mail_pair: Pair, wire: Connect, rule: Notes) -> None:
    """255 octets are a domain, which may send, and which nothing leads to; 256, or a label of 64, are none."""
    client = wire(mail_pair.jaku)
    longest = ".".join(["d" * 63] * 3 + ["d" * 61, "d"])
    assert len(longest) == 255
    client.open(sender=f"luke@{longest}")
    assert codes(rule.reply(client.ask(f"RCPT TO:<luke@{longest}>".encode()), to="RCPT of 255")) == "550 5.1.2"
    for domain in (f"{longest}d", f"{'d' * 64}.test"):
        assert codes(rule.reply(client.ask(f"RCPT TO:<luke@{domain}>".encode()), to="RCPT")) == "501 5.1.3"
    client.ask(b"RSET")
    for domain in (f"{longest}d", f"{'d' * 64}.test"):
        assert codes(rule.reply(client.ask(f"MAIL FROM:<luke@{domain}>".encode()), to="MAIL")) == "501 5.1.7"


@pytest.mark.parametrize("length", [997, 998, 999, 1000, 5000, 70_000])
def test_c20_long_lines_are_kept_whole(way: Way, wire: Connect, rule: Notes, length: int) -> None:
    """Lines of 998 octets, the most that there should be, and longer ones arrive as they were sent, in the header and
    in the body, with a dot at their beginning too."""
    content = b"X-Long: " + b"h" * (length - 8) + b"\r\n\r\n" + b"b" * length + b"\r\n." + b"c" * length + b"\r\n"
    client = wire(way.start)
    client.open(way.recipient)
    assert rule.reply(client.data(content.replace(b"\n.", b"\n.."))).code == 250
    assert [mail.content for mail in way.mails] == [content]


def test_c21_replies_stay_short(mail_network: MailNetwork, wire: Connect, rule: Notes) -> None:
    """Whatever a reply quotes, none of its lines is longer than 512 octets; the wire client looks at each."""
    client = wire(mail_network(Domain("a.test", users=["obiwan"]))["a.test"])
    name, domain = "n" * 64, ".".join(["d" * 63] * 3 + ["d" * 61, "d"])
    answers: list[Reply] = []
    for line in (
        "EHLO " + "c" * 500,
        f"MAIL FROM:<luke@example.org> {'P' * 1000}=1",
        f"MAIL FROM:<luke@example.org> ENVID={'e' * 1000}",
        f"MAIL FROM:<{name}@{domain}>",
        f"RCPT TO:<{name}@a.test>",
        f"RCPT TO:<{name}@{domain}>",
        f"RCPT TO:<obiwan@a.test> {'P' * 1000}",
        f"RCPT TO:<obiwan@a.test> ORCPT=rfc822;{'o' * 900}",
        "V" * 500,
        "VRFY " + "v" * 500,
        "HELP " + "h" * 500,
    ):
        answers.append(client.ask(line.encode()))
        assert all(len(raw) <= 512 for raw in client.raw)
    assert [answer.code for answer in answers] == [250, 555, 501, 250, 550, 550, 555, 501, 500, 252, 214]
    rule.observed("512 octets a line at most")
