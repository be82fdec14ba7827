"""What a server under test must have for a dialogue to mean anything. Pure.

A word in small letters is told by whoever knows the server; a word in capitals is what EHLO offers (``CHUNKING``), and
with ``no`` before it what EHLO does not offer (``no STARTTLS``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NEEDS: Mapping[str, str] = {
    "tls": "STARTTLS",
    "no tls": "no STARTTLS, and no TLS from the first octet on either",
    "auth": "AUTH, in the clear too, with a name and a password that are known",
    "no auth": "no AUTH",
    "users": "named users: there is an address in the domain that nobody has",
    "route": "another domain that mail is passed on to, for strangers too",
    "stranger": "another domain that mail is passed on to, and not for strangers",
    "limited": "a limit of SIZE",
    "small": "a limit of SIZE up to 1 MiB, which can be sent in a moment",
    "null mx": "a domain that takes no mail at all, by a null MX (RFC 7505)",
    "impatient": "patience with a silent client for no more than three seconds",
    "strict": "refuses mails with a bare CR or LF",
    "normalising": "takes mails with a bare CR or LF, and mends them",
}
SMALL = 1 << 20
"""Octets: what ``small`` means."""


def missing(needs: Iterable[str], has: Iterable[str]) -> list[str]:
    """Which of the needs a server does not meet that has these things, in alphabetical order."""
    has = set(has)
    return sorted(need for need in needs if not _met(need, has))


def _met(need: str, has: set[str]) -> bool:
    if need in NEEDS or not need.startswith("no "):
        return need in has
    return need.removeprefix("no ") not in has


def offered(keywords: Mapping[str, str]) -> frozenset[str]:
    """What the answer to EHLO says of needs: keywords, each with its parameters."""
    has = set(keywords)
    has.add("tls" if "STARTTLS" in keywords else "no tls")
    if "AUTH" not in keywords:
        has.add("no auth")
    size = keywords.get("SIZE", "")
    limit = int(size[:20]) if size.isascii() and size.isdecimal() else 0
    if limit:
        has |= {"limited", "small"} if limit <= SMALL else {"limited"}
    return frozenset(has)
