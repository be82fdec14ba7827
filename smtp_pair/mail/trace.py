"""Trace fields: Received, one for each hop, and Return-Path, once at final delivery (RFC 5321 4.4)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from smtp_pair.mail.address import Address
from smtp_pair.mail.envelope import Envelope, Origin

HOP_LIMIT = 100
"""Received fields from which on a mail counts as going round in circles (RFC 5321 6.3)."""

PASS_LIMIT = 5
"""Times from which on a mail that comes to one server again does so too. Two aliases that lead to each other would only
send it round a hundred times; several at once would make two of each, and two of each of those."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEADER_LOOK = 1 << 20  # a header block longer than this is not searched for hops any further
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9.:_\[\]\x80-\U0010ffff-]")
_RETURN_PATH = re.compile(rb"Return-Path: <[^\r\n]*>\r\n")
_OURS = re.compile(
    rb"Received: from [^\r\n]*\r\n\tby (?P<by>[^\s]+) \(smtp-pair\) with [A-Z0-9]+ id (?P<id>[^\s;]+)"
    rb"(?:\r\n\tfor <[^\r\n]*>)?; [^\r\n]*\r\n"
)


class Hop(NamedTuple):
    """One Received field that a server of ours wrote."""

    hostname: str
    mail_id: str


def date_time(moment: float) -> str:
    """``moment`` (seconds since the epoch) as RFC 5322 3.3 writes it, in UTC, whatever the locale."""
    return _date_time(math.floor(moment))


@lru_cache(maxsize=64)
def _date_time(second: int) -> str:
    then = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[then.weekday()]}, {then.day} {_MONTHS[then.month - 1]} {then:%Y %H:%M:%S} +0000"


def received(hostname: str, mail_id: str, envelope: Envelope, origin: Origin, moment: float) -> bytes:
    """The Received field of this hop. ``for`` names the recipient only where there is one: another recipient must
    not learn of a blind copy (RFC 5321 7.2)."""
    name = _NOT_A_NAME.sub("?", origin.helo)
    literal = f"IPv6:{origin.host}" if ":" in origin.host else origin.host
    single = f"\r\n\tfor <{envelope.forward_paths[0].address}>" if len(envelope.forward_paths) == 1 else ""
    return (
        f"Received: from {name} ([{literal}])\r\n"
        f"\tby {hostname} (smtp-pair) with {origin.protocol} id {mail_id}{single}; {date_time(moment)}\r\n"
    ).encode()


def return_path(sender: Address) -> bytes:
    """The Return-Path field that final delivery puts on top."""
    return f"Return-Path: <{sender}>\r\n".encode()


def hops(content: bytes) -> int:
    """How many Received fields the header block has, whoever wrote them."""
    if content.startswith(b"\r\n"):
        return 0  # no header at all: what looks like a field is the body's
    header = _header(content).lower()
    return header.count(b"\r\nreceived:") + header.startswith(b"received:")


def goes_round(content: bytes, hostname: str) -> bool:
    """Whether a mail that comes to the server of that name goes round in circles (RFC 5321 6.3)."""
    count = hops(content)
    if count < PASS_LIMIT:
        return False
    return (
        count >= HOP_LIMIT or _header(content).count(b"\r\n\tby %b (smtp-pair) with " % hostname.encode()) >= PASS_LIMIT
    )


def _header(content: bytes) -> bytes:
    end = content.find(b"\r\n\r\n", 0, _HEADER_LOOK)
    return content[: end if end >= 0 else _HEADER_LOOK]


def split(raw: bytes, ours: Callable[[str], bool]) -> tuple[list[Hop], int]:
    """The hops that servers of ours wrote on top, first hop first, and where the mail as first sent begins.

    ``ours`` says whether a mail id was given out by this network: a field that only looks like ours (a mail caught
    once and sent again) belongs to the content.
    """
    found: list[Hop] = []
    top = _RETURN_PATH.match(raw)
    at = top.end() if top else 0
    while (match := _OURS.match(raw, at)) is not None:
        hop = Hop(match["by"].decode("utf-8", "replace"), match["id"].decode("utf-8", "replace"))
        if not ours(hop.mail_id):
            break
        found.append(hop)
        at = match.end()
    return found[::-1], at
