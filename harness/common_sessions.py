"""Sessions that mean the same to any server that has mail for one domain and a way to another: commands in and out of
order, addresses of all kinds, and contents with whatever octets.

Nothing is in them that only some servers are set up for (TLS, AUTH, sizes) or that they may each limit as they like
(long lines of commands, many errors). What may go out together does (RFC 2920 3.1), and nothing else.
"""

from __future__ import annotations

from random import Random

from harness.sessions import Group, content, pace
from harness.stage import HERE, THERE

SENDERS = ("luke@example.org", "", "Luke.Skywalker+tag@EXAMPLE.org", '"a b"@example.org', "postmaster@example.org")
OWN = (f"obiwan@{HERE}", f"Obi.Wan+tag@{HERE.upper()}", f'"obi wan"@{HERE}', f"postmaster@{HERE}", f"a%b!c@{HERE}")
ROUTED = (f"vader@{THERE}", f"tarkin@{THERE.upper()}", f'"darth vader"@{THERE}')
REFUSED = ("paimon@nowhere.invalid", "paimon@[192.0.2.1]", f"obiwan@.{HERE}", f"a@b@{HERE}", "")
"""No server takes these: nothing leads there, or they are no addresses."""
ALONE = ("NOOP", "NOOP now", "VRFY nobody-of-this-name", "EXPN staff", "BEAM me up", "DATA now", "RSET now")
"""Each is the last of its group, whatever it is answered."""
WRONG = ("MAIL", "MAIL FROM:", "MAIL FROM:<luke", "RCPT", "RCPT TO:", f"RCPT TO:<obiwan@{HERE}", "EHLO", "HELO")

HEADS = (b"Subject: common\r\n\r\n",) * 5 + (b"Subject: common\r\nno field of a header\r\n",)
"""What a mail begins with: each server reads a header that is none in a way of its own."""


def common_session(rng: Random) -> list[Group]:
    """A whole session. All choices are the Random's."""
    hello = rng.choices(("EHLO client.example", "HELO client.example", ""), (16, 3, 1))[0]
    groups = [_alone(hello)] if hello else []
    for _ in range(rng.randint(1, 4)):
        match rng.randrange(8):
            case 0:
                groups.append(rng.choice([*map(_alone, ALONE), Group((b"DATA\r\n",), HEADS[0] + content(rng))]))
            case 1:
                groups.append(_alone(rng.choice(WRONG)))
            case 2:
                groups += [_alone(line) for line in (_mail(rng), *_out_of_order(rng))]
            case _:
                groups += _transaction(rng, together=hello.startswith("EHLO") and rng.random() < 0.5)
    return [*groups, _alone("QUIT")]


def _alone(line: str) -> Group:
    return Group((f"{line}\r\n".encode(),))


def _mail(rng: Random) -> str:
    return f"MAIL FROM:<{rng.choice(SENDERS)}>"


def _rcpt(rng: Random) -> str:
    return f"RCPT TO:<{rng.choice(rng.choice((OWN, OWN, ROUTED, REFUSED)))}>"


def _out_of_order(rng: Random) -> list[str]:
    """What may come in a transaction and has no place there, or ends it."""
    lines = [_rcpt(rng) for _ in range(rng.randint(0, 2))]
    lines.append(rng.choice((_mail(rng), "RSET", "EHLO client.example", "NOOP", "DATA now")))
    return [*lines, _rcpt(rng)]


def _transaction(rng: Random, *, together: bool) -> list[Group]:
    recipients = dict.fromkeys(_rcpt(rng) for _ in range(rng.randint(1, 3)))  # each once
    lines = [_mail(rng), *recipients, "DATA"]
    commands = [f"{line}\r\n".encode() for line in lines]
    sent, speed = rng.choice(HEADS) + content(rng), pace(rng)
    if together:
        return [Group(tuple(commands), sent, pace=speed)]
    return [*(Group((line,)) for line in commands[:-1]), Group((commands[-1],), sent, pace=speed)]
