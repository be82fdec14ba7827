"""Sessions that clients might hold, the rude ones too: a grammar of commands, parameters, addresses and contents.

A session is a list of :class:`Group`: commands that go out together, and what is sent once they are answered. All
choices are a :class:`random.Random`'s, so that a seed names a session, and hypothesis, whose ``randoms()`` are its own,
can shrink one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from random import Random


@dataclass(frozen=True, slots=True)
class Group:
    """Commands that are sent without waiting, each with its line end; the replies are then waited for."""

    commands: tuple[bytes, ...]
    content: bytes | None = None
    """After a last command DATA: what is sent if it is answered with 354, its end included."""
    responses: tuple[bytes, ...] = ()
    """After a last command AUTH: what is sent as long as it is answered with 334, with line ends."""
    pace: tuple[int, ...] = ()
    """How many octets go out at once: these numbers in turn. None: all of them."""


Session = Sequence[Group]


# -- words ----------------------------------------------------------------------------------------------------------

# fmt: off
PLAIN = (
    "luke@jaku.com", "leia@jaku.com", "vader@deathstar.com", "Luke.Skywalker+tag@JAKU.com", "a@b",
    "o'brien@x-y.example", "nobody@jaku.com",
)
UNUSUAL = (
    '"luke"@jaku.com', '"a b"@jaku.com', '"a@b"@jaku.com', '"a\\"b"@jaku.com', '"a\\\\b"@jaku.com', '""@jaku.com',
    '"..\\>"@jaku.com', "a%b!c/d|e@jaku.com", "#$&'*=?^_`{}~-@jaku.com", "vader@[127.0.0.1]", "vader@[IPv6:::1]",
    "luke@jaku_com.example", "x@1.2.3.example", "@a.example:luke@jaku.com", "@a.example,@b.example:luke@jaku.com",
    "postmaster", "PostMaster", "postmaster@jaku.com", "x" * 64 + "@jaku.com", "luke@" + "a" * 63 + ".example",
    "luke@" + ".".join(["d" * 62] * 4) + ".xy", "",
)
WRONG = (
    "luke", "@jaku.com", "luke@", "@", "luke@@jaku.com", "luke@x@jaku.com", "luke@jaku.com.", "luke@jaku..com",
    "luke@.com", ".luke@jaku.com", "luke.@jaku.com", "lu..ke@jaku.com", "lu ke@jaku.com", "luke @jaku.com",
    "luke@ jaku.com", "luke@-jaku.com", "luke@jaku-.com", "luke@jaku.com-", "luke@ja ku.com", '"luke@jaku.com',
    'luke"@jaku.com', '"lu"ke@jaku.com', "luke@[127.0.0]", "luke@[127.0.0.256]", "luke@[IPv6:zz]", "luke@[127.0.0.1",
    "luke@127.0.0.1]", "luke@[x]", "luke(comment)@jaku.com", "(comment)luke@jaku.com", "@a.example luke@jaku.com",
    "@a.example,luke@jaku.com", "luke@jaku.com,leia@jaku.com", "<luke@jaku.com>", "<", ">", "luke\\@jaku.com",
    "luke;@jaku.com", "a:b@jaku.com", "[x]@jaku.com", "x" * 65 + "@jaku.com", "luke@" + "a" * 64 + ".x",
    "luke@" + ".".join(["d" * 62] * 4) + ".xyzz", "\x01luke@jaku.com", "lu\x00ke@jaku.com", "luke@jaku\x7f.com",
    "luke@jaku.com\t", "lu\tke@jaku.com", '"lu\x08ke"@jaku.com', "é@jaku.com", "luke@é.example", '"é"@jaku.com',
)
OF_MAIL = (
    "SIZE=1000", "size=0", "SIZE=99999999", "SIZE=00000000000000000001", "BODY=8BITMIME", "body=7bit", "SMTPUTF8",
    "SIZE=", "SIZE", "SIZE=abc", "SIZE=-1", "SIZE=1e3", "SIZE=٣", "SIZE=" + "0" * 20 + "1", "BODY=9BIT", "BODY",
    "BODY=", "SMTPUTF8=1", "SMTPUTF8=", "RET=FULL", "RET=hdrs", "RET=ALL", "RET", "ENVID=QQ314159", "ENVID=a+2Bb",
    "ENVID=a+2bb", "ENVID=" + "e" * 100, "ENVID=" + "e" * 101, "AUTH=<>", "NOTIFY=NEVER", "FOO", "FOO=bar", "X-FOO=1",
    "X_FOO=1", "=", "-", "FOO=a=b", "=x", "-FOO", "FOO=\x01", "FOO=é", "SIZE=1000,BODY=7BIT",
)
OF_RCPT = (
    "NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE", "notify=delay", "NOTIFY=NEVER,DELAY", "NOTIFY=SUCCESS,SUCCESS",
    "NOTIFY=", "NOTIFY", "NOTIFY=SOMETIMES", "ORCPT=rfc822;luke@jaku.com", "ORCPT=rfc822;a+2Bb@jaku.com",
    "ORCPT=utf-8;x", "ORCPT=", "ORCPT=luke@jaku.com", "ORCPT=;x", "ORCPT=rfc822;", "SIZE=10", "FOO", "FOO=bar",
    "X-FOO", "X_FOO", "=", "FOO=a=b",
)
VERBS = (
    "NOOP", "NOOP x", "noop", "RSET", "rset", "RSET x", "RSET ", "VRFY luke", "VRFY", "VRFY <luke@jaku.com>",
    "VRFY <<", "vrfy x", "EXPN", "EXPN list", "HELP", "HELP MAIL", "HELP FOO", "MAIL", "MAIL FROM", "MAIL FROM:",
    "MAIL TO:<a@b>", "MAIL FROM<a@b>", "MAIL <a@b>", "RCPT", "RCPT TO", "RCPT TO:", "RCPT FROM:<a@b>",
    "RCPT TO <a@b>", "DATA x", "EHLO", "HELO", "EHLO ", "QUIT x", "STARTTLS", "STARTTLS x", "BDAT", "BDAT x",
    "BDAT 0", "BDAT 0 LAST", "BDAT 0 LAST x", "FOO", "", " ", " NOOP", "NOOPX", "NOOP\tx", "X-FOO", "XCLIENT NAME=x",
    "ETRN x", "TURN", "SEND FROM:<a@b>", "EHLO\x00", "É", "220 hello", ".", "MAILFROM:<a@b>", "AUTH", "AUTH FOO",
    "AUTH FOO BAR BAZ", "NOOP \x00", "QUIT\t", "RSET\t", "NOOP é",
)
HELLOS = (
    "EHLO client.example", "HELO client.example", "ehlo [127.0.0.1]", "EHLO a b", "Helo x", "EHLO é", "EHLO \x01",
    "EHLO a\tb",
)
CREDENTIALS = (  # PLAIN: vader and darkside; and the mistakes that can be made
    "AHZhZGVyAGRhcmtzaWRl", "AHZhZGVyAHdyb25n", "dmFkZXIAdmFkZXIAZGFya3NpZGU=", "bHVrZQB2YWRlcgBkYXJrc2lkZQ==",
    "dmFkZXI=", "ZGFya3NpZGU=", "AAA=", "////", "not base64", "*", "=", "", "AHZhZGVyAGRhcmtzaWRl\t",
)
PIECES = (
    b".", b"..", b"\r\n", b"\r\n.", b"\r\n..", b"a", b"Subject: x\r\n", b"\r\n\r\n", b"\0", b"\xff", "é".encode(),
    b"\t", b".a", b"x" * 200, b"MAIL FROM:<a@b>\r\n", b"QUIT\r\n", b"From me\r\n", b"--\r\n",
)
BARE = (
    b"\r", b"\n", b"\n.", b"\r.", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n", b"\n\r",
)
NOT_TEXT = (
    b"NOOP \xff", b"\xff\xfe", b"MAIL FROM:<\xff@jaku.com>", b"RCPT TO:<luke@\xc3.com>", b"VRFY \xe9", b"EHLO \xff",
)
# fmt: on


# -- and sentences: each begins with what is right, and what hypothesis shrinks to ------------------------------------

_ODD = 'ab1.@"\\<>()[]:;, -_%é\t\x00\x7f'
_RIGHT = 0.9
"""How often a client does what it should."""


def cut(octets: bytes, pace: Sequence[int]) -> Iterator[bytes]:
    """The octets in pieces; what is left after a hundred in one."""
    sizes = chain(islice(cycle(pace), 100) if pace else (), [len(octets)])
    at = 0
    while at < len(octets):
        size = next(sizes)
        yield octets[at : at + size]
        at += size


def pace(rng: Random) -> tuple[int, ...]:
    """How octets are cut: mostly not at all, sometimes into single ones."""
    match rng.randrange(6):
        case 0 | 1 | 2:
            return ()
        case 3:
            return (1,)
        case _:
            return (rng.randint(1, 9), rng.randint(1, 60))


def address(rng: Random) -> str:
    """What stands in the angle brackets."""
    if rng.random() < _RIGHT:
        return rng.choice(PLAIN + UNUSUAL)
    return rng.choice(WRONG) if rng.random() < 0.7 else _some(rng, _ODD, 12)


def _some(rng: Random, letters: str, most: int) -> str:
    return "".join(rng.choice(letters) for _ in range(rng.randint(0, most)))


def _path(rng: Random) -> str:
    if rng.random() < _RIGHT:
        return f"<{address(rng)}>"
    return rng.choice((" <", "", "< ", "<")) + address(rng) + rng.choice((">", "", ">x", " >"))


def _parameters(rng: Random, words: Sequence[str]) -> str:
    if rng.random() < _RIGHT:
        return "" if rng.random() < 0.7 else f" {rng.choice(words[:4])}"
    return "".join(f" {rng.choice(words)}" for _ in range(rng.randint(1, 3)))


def mail(rng: Random) -> bytes:
    """A MAIL command."""
    keyword = rng.choice(("MAIL FROM:", "MAIL FROM:", "mail from:", "Mail  From:"))
    return _line(rng, f"{keyword}{_path(rng)}{_parameters(rng, OF_MAIL)}".encode())


def rcpt(rng: Random) -> bytes:
    """A RCPT command."""
    keyword = rng.choice(("RCPT TO:", "RCPT TO:", "rcpt to:", "RCPT To:"))
    return _line(rng, f"{keyword}{_path(rng)}{_parameters(rng, OF_RCPT)}".encode())


def _line(rng: Random, words: bytes) -> bytes:
    return words + (b"\r\n" if rng.random() < 0.93 else rng.choice((b"\n", b" \r\n", b"\r\r\n")))


def _long(rng: Random) -> str:
    start = rng.choice(("NOOP ", "VRFY ", "MAIL FROM:<a@b> FOO=", "RCPT TO:<a@b> FOO=", "x", "EHLO "))
    size = rng.choice((rng.randint(505, 516), rng.randint(990, 1100), 3000))
    return start + "x" * (size - len(start))


def other(rng: Random) -> bytes:
    """Any command but MAIL, RCPT, DATA and QUIT as they should be."""
    match rng.randrange(10):
        case 0:
            return _line(rng, rng.choice(HELLOS).encode())
        case 1:
            return _line(rng, _long(rng).encode())
        case 2:
            return rng.choice(NOT_TEXT) + b"\r\n"
        case _:
            return _line(rng, rng.choice(VERBS).encode())


def content(rng: Random) -> bytes:
    """What follows 354, its end included, which is not in it before; one in three has line ends that are none."""
    pieces = PIECES + BARE if rng.random() < 0.33 else PIECES
    octets = b"".join(rng.choice(pieces) for _ in range(rng.randint(0, 12)))
    return ended(b"\r\n".join(b".." if line == b"." else line for line in octets.split(b"\r\n")))


def ended(octets: bytes) -> bytes:
    """The content with the end after it."""
    return octets + (b".\r\n" if octets.endswith(b"\r\n") or not octets else b"\r\n.\r\n")


def _transaction(rng: Random) -> list[Group]:
    commands = [mail(rng), *(rcpt(rng) for _ in range(rng.randint(1, 4))), b"DATA\r\n"]
    sent, speed = content(rng), pace(rng)
    if rng.random() < 0.5:
        return [Group(tuple(commands), sent, pace=speed)]
    return [*(Group((line,), pace=speed) for line in commands[:-1]), Group((commands[-1],), sent, pace=speed)]


def _login(rng: Random) -> Group:
    mechanism = rng.choice(("PLAIN", "LOGIN", "plain", "CRAM-MD5"))
    first = f" {rng.choice(CREDENTIALS)}" if rng.random() < 0.5 else ""
    responses = tuple(f"{rng.choice(CREDENTIALS)}\r\n".encode() for _ in range(2))
    return Group((f"AUTH {mechanism}{first}\r\n".encode(),), responses=responses, pace=pace(rng))


def _loose(rng: Random) -> Group:
    kinds = (other, other, mail, rcpt)
    return Group(tuple(rng.choice(kinds)(rng) for _ in range(rng.randint(1, 4))), pace=pace(rng))


def session(rng: Random) -> list[Group]:
    """A whole session; most begin as they should."""
    groups: list[Group] = []
    if rng.random() < 0.95:
        groups.append(Group((b"EHLO client.example\r\n" if rng.random() < _RIGHT else b"HELO client.example\r\n",)))
    for _ in range(rng.randint(1, 6)):
        match rng.randrange(8):
            case 0 | 1 | 2 | 3:
                groups += _transaction(rng)
            case 4 | 5:
                groups.append(_loose(rng))
            case 6:
                groups.append(Group((b"DATA\r\n",), content(rng), pace=pace(rng)))
            case _:
                groups.append(_login(rng))
    if rng.random() < 0.5:
        groups.append(Group((b"QUIT\r\n", b"NOOP\r\n")))
    return groups
