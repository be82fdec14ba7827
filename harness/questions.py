"""Questions that any mail server can be asked over the wire, one for a rule of ``docs/behaviour.md`` or several: what a
client says, and which answers keep the rule. Each is asked on a connection of its own.

``{domain}`` is the server's own domain; nothing that is asked leads elsewhere.
"""

from __future__ import annotations

import re
import smtplib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from harness.wire import PATIENCE

HELLO = "EHLO client.example"
MAIL = "MAIL FROM:<luke@example.org>"
RCPT = "RCPT TO:<obiwan@{domain}>"
TO_DATA = (HELLO, MAIL, RCPT, "DATA")
LETTER = "Subject: x\r\n\r\nx\r\n.\r\n"
REFUSED = "5.."
_CODE = re.compile(rb"([2-5][0-9][0-9])(?: ([245]\.[0-9]{1,3}\.[0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Question:
    """What a client says, piece by piece, each after the reply to the one before; the answer is to the last one."""

    rule: str
    asks: str
    """What the last piece is, in a word or two; "" where the rule says it."""
    says: Sequence[str]
    keeps: str
    """A pattern of the codes, one after the other, that keep the rule."""
    replies: int = 1
    """To the last piece."""
    needs: str = ""
    """What EHLO has to offer for it to mean anything."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a question."""

    rule: str
    asks: str
    got: str
    """The codes, with the enhanced ones where there are any."""
    kept: bool


QUESTIONS: Sequence[Question] = (
    Question("C1", "", (), "220"),
    Question("C2", "HELO", ("HELO client.example",), "250"),
    Question("C2", "EHLO without a name", ("EHLO",), REFUSED),
    Question("C3", "", (MAIL,), "503"),
    Question("C4", "", (HELLO, RCPT), "503"),
    Question("C5", "", (HELLO, MAIL, "DATA"), "503|554"),
    Question("C6", "", (HELLO, MAIL, MAIL), "503"),
    Question("C7", "DATA after it", (HELLO, MAIL, RCPT, HELLO, "DATA"), "503|554"),
    Question("C8", "", (HELLO, MAIL, RCPT, "RSET"), "250"),
    Question("C8", "DATA after it", (HELLO, MAIL, RCPT, "RSET", "DATA"), "503|554"),
    Question("C9", "", (HELLO, "NOOP"), "250"),
    Question("C9", "with an argument", (HELLO, "NOOP now"), "250"),
    Question("C10", "", (HELLO, "VRFY obiwan"), f"252|{REFUSED}"),
    Question("C11", "", (HELLO, "EXPN everybody"), REFUSED),
    Question("C12", "", (HELLO, "HELP"), "21[14]"),
    Question("C13", "", (HELLO, "QUIT"), "221"),
    Question("C14", "", ("eHLo client.example", "mAIl from:<luke@example.org>"), "250"),
    Question("C15", "", (HELLO, "BEAM me up"), "500|502"),
    Question("C15", "NOOP after it", (HELLO, "BEAM me up", "NOOP"), "250"),
    Question("C16", "", (HELLO, MAIL, RCPT, "DATA now"), "501"),
    Question("C17", "", (HELLO, f"{MAIL} FOO=BAR"), "555|501|504"),
    Question("C18", "8,000 octets", (HELLO, "NOOP " + "x" * 8000), "500"),
    Question("C19", "64 and a domain of 63", (HELLO, f"MAIL FROM:<{'x' * 64}@{'y' * 58}.test>"), "250"),
    Question("C20", "998 octets", (*TO_DATA, f"Subject: x\r\n\r\n{'x' * 998}\r\n.\r\n"), "250"),
    Question("C20", "2,000 octets", (*TO_DATA, f"Subject: x\r\n\r\n{'x' * 2000}\r\n.\r\n"), "250|500|554"),
    Question("C26", "MAIL", (HELLO, MAIL), "250"),
    Question("C26", "RCPT", (HELLO, MAIL, RCPT), "250"),
    Question("C26", "the mail", (*TO_DATA, LETTER), "250"),
    Question("C29", "%", (HELLO, MAIL, "RCPT TO:<a%far.test@{domain}>"), f"250|{REFUSED}"),
    Question("C29", "two bare @", (HELLO, MAIL, "RCPT TO:<a@b@{domain}>"), REFUSED),
    Question("C30", "", (HELLO, MAIL, "RCPT TO:<@far.test:obiwan@{domain}>"), f"250|{REFUSED}"),
    Question("C31", "the domain in capitals", (HELLO, MAIL, "RCPT TO:<obiwan@{DOMAIN}>"), "250"),
    Question("C32", "quoted for no reason", (HELLO, MAIL, 'RCPT TO:<"obiwan"@{domain}>'), "250"),
    Question("C32", "quoted for a reason", (HELLO, MAIL, 'RCPT TO:<"obi wan"@{domain}>'), "250"),
    Question("C33", "its own", (HELLO, MAIL, "RCPT TO:<obiwan@[127.0.0.1]>"), "250"),
    Question("C33", "another one", (HELLO, MAIL, "RCPT TO:<obiwan@[192.0.2.1]>"), REFUSED),
    Question("C34", "with the domain", (HELLO, MAIL, "RCPT TO:<postmaster@{domain}>"), "250"),
    Question("C34", "without", (HELLO, MAIL, "RCPT TO:<postmaster>"), "250"),
    Question("C35", "", (HELLO, MAIL, "RCPT TO:<>"), REFUSED),
    Question("C36", "", (HELLO, "MAIL FROM:<>"), "250"),
    Question("C37", "the 100th", (HELLO, MAIL, *(f"RCPT TO:<r{n}@{{domain}}>" for n in range(100))), "250"),
    Question("C37", "the 1,100th", (HELLO, MAIL, *(f"RCPT TO:<r{n}@{{domain}}>" for n in range(1100))), "250|452|451"),
    Question("C38", "NUL", (HELLO, MAIL, "RCPT TO:<obi\0wan@{domain}>"), REFUSED),
    Question("C39", "empty", (HELLO, MAIL, "RCPT TO:<obiwan@>"), REFUSED),
    Question("C39", "two dots", (HELLO, MAIL, "RCPT TO:<obiwan@a..test>"), REFUSED),
    Question("C42", "", (HELLO, MAIL, "RCPT TO:<paimon@nowhere.invalid>"), REFUSED),
    *(
        Question("C44", name, (*TO_DATA, f"Subject: x\r\n\r\nx{end}RSET\r\n.\r\n"), f"250|{REFUSED}|{REFUSED} .*")
        for name, end in (
            ("LF . LF", "\n.\n"),
            ("LF . CRLF", "\n.\r\n"),
            ("CR . CR", "\r.\r"),
            ("CRLF . LF", "\r\n.\n"),
            ("CRLF . CR", "\r\n.\r"),
        )
    ),
    Question("C50", "NUL", (*TO_DATA, "Subject: x\r\n\r\n\0\r\n.\r\n"), f"250|{REFUSED}"),
    Question("C51", "no header at all", (*TO_DATA, "\r\nx\r\n.\r\n"), "250"),
    Question("C53", "", (HELLO, f"{MAIL} SIZE=99999999999"), "552", needs="SIZE"),
    Question("C55", "no digits", (HELLO, f"{MAIL} SIZE=big"), "501", needs="SIZE"),
    Question(
        "C57",
        "MAIL, RCPT, RCPT",
        (HELLO, f"{MAIL}\r\nRCPT TO:<a@b@c>\r\n{RCPT}"),
        f"250 {REFUSED} 250",
        replies=3,
        needs="PIPELINING",
    ),
    Question(
        "C58",
        "",
        (HELLO, f"{MAIL}\r\n{RCPT}\r\nDATA\r\n{LETTER}"),
        f"250 250 (354 )?{REFUSED}.*",
        replies=4,
        needs="PIPELINING",
    ),
    Question("C59", "", (HELLO, MAIL, RCPT, "BDAT 14 LAST\r\nSubject: x\r\n\r\n"), "250", needs="CHUNKING"),
    Question("C60", "", (HELLO, f"{MAIL} BODY=8BITMIME"), "250", needs="8BITMIME"),
    Question("C63", "", (HELLO, "MAIL FROM:<jürgen@example.org>"), REFUSED),
    Question("C65", "", (HELLO, "MAIL FROM:<j\udcff@example.org> SMTPUTF8"), REFUSED, needs="SMTPUTF8"),
    Question("C67", "not offered", (HELLO, "STARTTLS"), f"454|{REFUSED}"),
    Question("C69", "not offered", (HELLO, "AUTH PLAIN AGx1a2UAc2VjcmV0"), REFUSED),
    Question("C72", "120 hops", (*TO_DATA, "Received: by x.test\r\n" * 120 + LETTER), REFUSED),
    Question("C86", "NEVER,SUCCESS", (HELLO, MAIL, f"{RCPT} NOTIFY=NEVER,SUCCESS"), "501", needs="DSN"),
)


def ask(question: Question, host: str, port: int, domain: str) -> Answer:
    """Ask a server. What it does is the answer, also where it closes or says nothing."""
    try:
        with socket.create_connection((host, port), PATIENCE) as connection:
            got = _asked(connection, question, domain)
    except TimeoutError:
        got = ["no reply"]
    except (OSError, StopIteration):  # in the middle of the question
        got = ["closed"]
    codes = " ".join(each[:3] for each in got)
    return Answer(question.rule, question.asks, ", ".join(got), re.fullmatch(question.keeps, codes) is not None)


def _asked(connection: socket.socket, question: Question, domain: str) -> list[str]:
    replies = _replies(connection)
    last = [next(replies)]
    for number, piece in enumerate(question.says, 1):
        text = piece.replace("{domain}", domain).replace("{DOMAIN}", domain.upper())
        end = "" if text.endswith((".\r\n", "\r\n\r\n")) else "\r\n"
        connection.sendall((text + end).encode("utf-8", "surrogateescape"))
        last = [next(replies)]
        if number == len(question.says):
            last += islice(replies, question.replies - 1)
    if question.says and question.says[-1] != "QUIT" and not last[-1].startswith("354"):
        connection.sendall(b"QUIT\r\n")  # what comes before its own reply is an answer to more than was asked
        last += [each for each in replies if not each.startswith("221")]
    return last


def _replies(connection: socket.socket) -> Iterator[str]:
    """Each reply's code and enhanced code, until the server closes. Raises TimeoutError."""
    unread = b""
    while True:
        end = unread.find(b"\n")
        if end < 0:
            try:
                more = connection.recv(1 << 16)
            except ConnectionError:
                more = b""
            if not more:
                return
            unread += more
            continue
        line, unread = unread[: end + 1], unread[end + 1 :]
        match = _CODE.match(line)
        if match is not None and line[3:4] != b"-":
            yield " ".join(part.decode() for part in match.groups() if part)


def ask_all(host: str, port: int, domain: str) -> list[Answer]:
    """Every question, in the order of the rules; what a server does not offer it is not asked. Raises OSError where
    there is none."""
    with smtplib.SMTP(host, port, local_hostname="client.example") as client:
        client.ehlo()
        offered = {"", *(name.upper() for name in client.esmtp_features)}
    return [
        ask(each, host, port, domain)
        if each.needs in offered
        else Answer(each.rule, each.asks, f"offers no {each.needs}", kept=True)
        for each in QUESTIONS
    ]
