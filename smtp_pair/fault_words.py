"""Faults in words: of a command line, and of mail addresses. Pure.

A command line has the phase, the kind and its value, and then the limits::

    RCPT reject "451 4.3.0" times=2 to=vader@*
    after DATA drop bytes=100
    hide PIPELINING,SIZE
    domain=jaku.com down

An address asks for a fault of its own mail, as addresses of mox's ``localserve`` do: a local part that ends in
``temperror``, ``permerror``, a code from 400 to 599 or ``timeout`` gets that after its content, or, where it begins
with ``mailfrom`` (as a sender) or ``rcptto``, in answer to MAIL or RCPT. It is the whole local part, or what follows
its last ``+``: ``luke+rcptto451@jaku.com``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from smtp_pair.faults import KEYS as KEYS
from smtp_pair.faults import KINDS, Fault, Phase, phase_of, refusal
from smtp_pair.mail.errors import ConfigError

LIMITS = ("times", "nth", "to", "sender", "client", "session", "probability")
_WHOLE = ("times", "nth", "session", "bytes")
_BARE = ("drop", "reset", "half_close", "stall", "down")
_OPTIONAL = ("garbage", "overlong", "store")
_ASKED = re.compile(r"(mailfrom|rcptto)?.*?(temperror|permerror|timeout|[45][0-9][0-9])", re.DOTALL)
_CODES = {"temperror": "451", "permerror": "550"}


def parse(text: str) -> Fault:
    """The fault in the words; a domain in them is not looked at. Raises ConfigError, which names the word at fault."""
    return parse_for_domain(text)[1]


def parse_for_domain(text: str) -> tuple[str | None, Fault]:
    """The domain that the fault is for, None for all, and the fault. Raises ConfigError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{text!r}: {error}") from None
    try:
        return _fault(words)
    except ConfigError as error:
        raise ConfigError(f"{text!r}: {error}") from None


def _fault(words: list[str]) -> tuple[str | None, Fault]:
    plain = [word for word in words if "=" not in word or " " in word]
    settings: dict[str, Any] = {}
    for word in words:
        if word not in plain:
            name, _, value = word.partition("=")
            if name not in (*LIMITS, "bytes", "domain"):
                raise ConfigError(f"{name}: unknown; known are {', '.join((*LIMITS, 'bytes', 'domain'))}")
            settings[name] = _number(name, value)
    domain = settings.pop("domain", None)
    if plain[:1] == ["after"]:
        if len(plain) < 2:
            raise ConfigError("after: what?")
        settings["after"] = phase_of(plain[1])
        plain = plain[2:]
    elif plain and plain[0].replace("-", "_").lower() not in (*KINDS, "reject"):
        settings["phase"] = phase_of(plain[0])
        plain = plain[1:]
    if not plain:
        raise ConfigError(f"nothing to do wrong is given; there are reject, {', '.join(KINDS)}")
    settings |= _what(plain[0].replace("-", "_").lower(), plain[1:])
    return domain, Fault(**settings)


def _what(kind: str, values: list[str]) -> dict[str, Any]:
    if kind not in (*KINDS, "reject"):
        raise ConfigError(f"{kind!r} is nothing that can go wrong; there are reject, {', '.join(KINDS)}")
    if kind in _BARE or (kind in _OPTIONAL and not values):
        if values:
            raise ConfigError(f"{kind}: takes no value, not {values[0]!r}")
        return {kind: {"overlong": 10_000, "store": "error"}.get(kind, True)}
    if not values:
        raise ConfigError(f"{kind}: needs a value")
    value = " ".join(values)
    if kind == "reject":
        return {"reply": refusal(value)}
    if kind in ("delay", "throttle", "overlong"):
        return {kind: _number(kind, value)}
    return {kind: value}


def _number(name: str, value: str) -> Any:
    """A number where the setting wants one and the text is one; the text, for the check to refuse it, where not."""
    if name in _WHOLE:
        return int(value) if value.isascii() and value.isdecimal() else value
    if name in ("delay", "throttle", "overlong", "probability"):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def asked_for(phase: Phase, sender: str | None, recipients: Sequence[str]) -> Fault | None:
    """The fault that an address asks for in this place; None: none does."""
    if phase == "MAIL":
        return _asked(phase, "mailfrom", sender or "")
    if phase == "RCPT":
        return _asked(phase, "rcptto", recipients[0]) if recipients else None
    if phase == "dot":
        return next(filter(None, (_asked(phase, "", recipient) for recipient in recipients)), None)
    return None


def _asked(phase: Phase, prefix: str, address: str) -> Fault | None:
    word = address.rpartition("@")[0].rpartition("+")[2].lower()
    match = _ASKED.fullmatch(word)
    if match is None or (match[1] or "") != prefix:
        return None
    if match[2] == "timeout":
        return Fault(phase=phase, stall=True)
    return Fault(phase=phase, reply=f"{_CODES.get(match[2], match[2])} the address asks for it")
