"""Where Postfix and Exim, as ``harness/targets`` sets them up, answer otherwise than ours, or keep a mail otherwise:
data, each with its rule, its reason, and a session that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.differences import Difference
from harness.reference import mend
from harness.sessions import Group, ended
from harness.stage import HERE

YES, NO = frozenset(range(200, 300)), frozenset(range(500, 600))
MAIL, RCPT = "MAIL FROM:<luke@example.org>", f"RCPT TO:<obiwan@{HERE}>"


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What a server makes of a mail's octets."""

    name: str
    rule: str
    reason: str
    change: Callable[[bytes], bytes]
    """As if this had been what was sent, or was kept."""
    witness: Sequence[Group]
    of_the_wire: bool = False
    """Whether it is about what was sent, with its dots, and not about what is kept."""


def _said(*lines: str) -> list[Group]:
    return [Group((f"{line}\r\n".encode(),)) for line in lines]


def _sent(content: bytes) -> list[Group]:
    return [*_said("EHLO client.example", MAIL, RCPT), Group((b"DATA\r\n",), ended(b"Subject: x\r\n" + content))]


# -- both --------------------------------------------------------------------------------------------------------------


def _parted(content: bytes) -> bytes:
    header = re.match(rb"(?:[!-9;-~]+[ \t]*:.*\r\n(?:[ \t].*\r\n)*)*", content)
    assert header is not None
    rest = content[header.end() :]
    return header[0] + (rest if rest.startswith(b"\r\n") or not rest else b"\r\n" + rest)


PARTED = Rewriting(
    "an empty line is put between the header and what is no field",
    "C74",
    "Without it the body would be taken for a part of the header.",
    _parted,
    _sent(b"no field"),
)


def _without_dots(wire: bytes) -> bytes:
    kept, before = b"", b"\r\n"
    for line in re.findall(rb"[^\n]*\n|[^\n]+", wire):
        if line not in (b".\n", b".\r\n") or (line.endswith(b"\r\n") and before.endswith(b"\r\n")):
            kept += line
        before = line
    return kept


# -- Postfix -----------------------------------------------------------------------------------------------------------

POSTFIX = (
    Difference(
        "MAIL may come before EHLO",
        "C3",
        NO,
        YES,
        lambda it: it.verb == "MAIL" and not it.hello,
        _said(MAIL),
        reason="RFC 5321 4.1.4 lets a server take mail without it; smtpd_helo_required is off by default.",
    ),
    Difference(
        "% and ! in a local part may mean a way to elsewhere",
        "C29",
        YES,
        NO,
        lambda it: it.verb == "RCPT" and "%" in it.argument,
        _said("EHLO client.example", MAIL, f"RCPT TO:<a%b@{HERE}>"),
        reason="Other servers behind it might follow them, so it refuses to strangers what looks like a way around its "
        "rules for relaying (allow_untrusted_routing).",
    ),
)
POSTFIX_REWRITINGS = (
    Rewriting(
        "a bare CR is a space",
        "C45",
        "RFC 5321 2.3.8 forbids a bare CR; what is made of one is free, as long as it is passed on to nobody.",
        lambda wire: re.sub(rb"\r(?!\n)", b" ", wire),
        _sent(b"\r\none\rtwo"),
        of_the_wire=True,
    ),
    Rewriting(
        "a line of one dot that a bare LF begins or ends is left out",
        "C45",
        "It is not the end, and some would take it for one: Postfix keeps nothing of it (smtpd_forbid_bare_newline).",
        _without_dots,
        _sent(b"\r\none\n.\r\ntwo"),
        of_the_wire=True,
    ),
    PARTED,
)

# -- Exim --------------------------------------------------------------------------------------------------------------

EXIM = (
    Difference(
        "VRFY wants an address with its domain",
        "C10",
        YES,
        NO,
        lambda it: it.verb == "VRFY" and "@" not in it.line,
        _said("EHLO client.example", "VRFY obiwan"),
        reason="It looks at the syntax before it says that it tells nobody; neither answer names a user.",
    ),
)
EXIM_REWRITINGS = (
    Rewriting(
        "a bare LF is a space",
        "C45",
        "RFC 5321 2.3.8 forbids it; where the first line ends with CRLF, an LF ends none to Exim (CVE-2023-51766).",
        lambda wire: re.sub(rb"(?<!\r)\n", b" ", wire),
        _sent(b"\r\none\ntwo"),
        of_the_wire=True,
    ),
    PARTED,
)

HOUSE_DIFFERENCES: Mapping[str, Sequence[Difference]] = {"postfix": POSTFIX, "exim": EXIM}
REWRITINGS: Mapping[str, Sequence[Rewriting]] = {"postfix": POSTFIX_REWRITINGS, "exim": EXIM_REWRITINGS}


def rewritten(server: str, sent: bytes) -> tuple[bytes, list[str]]:
    """What a server keeps of what was sent, and which of its ways it has gone with it."""
    met = []
    wire = sent.removesuffix(b".\r\n")
    for each in REWRITINGS[server]:
        if each.of_the_wire and (changed := each.change(wire)) != wire:
            wire = changed
            met.append(each.name)
    content, _ = mend(wire)
    for each in REWRITINGS[server]:
        if not each.of_the_wire and (changed := each.change(content)) != content:
            content = changed
            met.append(each.name)
    return content, met
