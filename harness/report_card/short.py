"""Answers in a few characters: the codes, and what an answer to EHLO lacks. Pure."""

from __future__ import annotations

import re

_CODES = re.compile(r"[2-5][0-9][0-9](?: [245]\.[0-9]{1,3}\.[0-9]{1,3})?(?= |$)")
_IMPROPER = re.compile(r"no reply \(([^)]*)\)")
_OFFERS = re.compile(r" offers ([A-Z0-9-]+(?:, [A-Z0-9-]+)*)")


def short(text: str, expected: str) -> str:
    """Of an answer, or of what was expected, what is the same each time: no text, no names, no identifiers.

    >>> short("500 5.5.1 Invalid command: Command unrecognized", "252 (or 502)")
    '500 5.5.1'
    >>> short("252 (or 502)", "252 (or 502)")
    '252'
    >>> short("250 smtp.a.test hello / SIZE 1000 / HELP", "250 uncoded offers SIZE, PIPELINING")
    '250 without PIPELINING'
    """
    offers = _OFFERS.search(expected)
    if text.partition(" (or ")[0] == expected.partition(" (or ")[0]:
        best = text.partition(" (or ")[0]
        return (best[: offers.start()] if offers else best).replace(" | ", " or ")
    if improper := _IMPROPER.match(text):
        return improper[0]
    codes = _CODES.match(text)
    if codes is None:
        return text
    have = {line.split(" ")[0] for line in text.split(" / ")[1:]}
    lacks = [word for word in offers[1].split(", ") if word not in have] if offers else []
    return f"{codes[0]} without {', '.join(lacks)}" if lacks else codes[0]
