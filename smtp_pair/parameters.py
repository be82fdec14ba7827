"""The parameters of MAIL and RCPT: ``SIZE=1000 BODY=8BITMIME``, ``NOTIFY=NEVER`` (RFC 5321 4.1.1.11, RFC 3461).

Each belongs to an extension and is known where that is offered. A value that is none is refused with the reply that
says so, in a DeliveryError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from smtp_pair.mail import reply
from smtp_pair.mail.errors import DeliveryError

Check = Callable[[str], str]

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\U0010ffff]+))?")
_SIZE_DIGITS = 20  # RFC 1870 3: a size value has 1 to 20 digits
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461 4
_ENVID_LIMIT = 100  # RFC 3461 4.4
_ORCPT_LIMIT = 500  # RFC 3461 4.2
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


def _size(value: str) -> str:
    if not value.isascii() or not value.isdigit() or len(value) > _SIZE_DIGITS:
        raise DeliveryError(reply.bad_parameter("SIZE", "up to 20 digits"))
    return value


def _body(value: str) -> str:
    if value.upper() not in ("7BIT", "8BITMIME"):
        raise DeliveryError(reply.bad_parameter("BODY", "7BIT or 8BITMIME"))
    return value.upper()


def _smtputf8(value: str) -> str:
    if value:
        raise DeliveryError(reply.bad_parameter("SMTPUTF8", "it takes no value"))
    return value


def _auth(value: str) -> str:
    if not _XTEXT.fullmatch(value):
        raise DeliveryError(reply.bad_parameter("AUTH", "<> or an address in xtext"))
    return value


def _ret(value: str) -> str:
    if value.upper() not in ("FULL", "HDRS"):
        raise DeliveryError(reply.bad_parameter("RET", "FULL or HDRS"))
    return value.upper()


def _envid(value: str) -> str:
    if len(value) > _ENVID_LIMIT or not _XTEXT.fullmatch(value):
        raise DeliveryError(reply.bad_parameter("ENVID", f"xtext of up to {_ENVID_LIMIT} characters"))
    return value


def _notify(value: str) -> str:
    wishes = value.upper().split(",")
    if wishes != ["NEVER"] and (not set(wishes) <= _NOTIFY or len(set(wishes)) != len(wishes)):
        raise DeliveryError(reply.bad_parameter("NOTIFY", "NEVER alone, or some of SUCCESS, FAILURE, DELAY"))
    return ",".join(wishes)


def _orcpt(value: str) -> str:
    kind, _, address = value.partition(";")
    atom = kind.replace("-", "").isalnum() and kind.isascii()
    # utf-8;... has a coding of its own (RFC 6533 3); it is passed on as it is
    coded = kind.lower() == "utf-8" or _XTEXT.fullmatch(address)
    if not atom or not address or len(value) > _ORCPT_LIMIT or not coded:
        raise DeliveryError(reply.bad_parameter("ORCPT", "type;address in xtext"))
    return value


_OF_MAIL: Mapping[str, tuple[str, Check]] = {
    # parameter: the extension it belongs to, and the check of its value
    "SIZE": ("SIZE", _size),
    "BODY": ("8BITMIME", _body),
    "SMTPUTF8": ("SMTPUTF8", _smtputf8),
    "AUTH": ("AUTH", _auth),
    "RET": ("DSN", _ret),
    "ENVID": ("DSN", _envid),
}
_OF_RCPT: Mapping[str, tuple[str, Check]] = {"NOTIFY": ("DSN", _notify), "ORCPT": ("DSN", _orcpt)}


def of_mail(text: str, offered: Collection[str]) -> dict[str, str]:
    """The parameters of a MAIL command. Raises DeliveryError with the reply that refuses one."""
    return _parse(text, _OF_MAIL, offered) if text else {}


def of_rcpt(text: str, offered: Collection[str]) -> dict[str, str]:
    """The parameters of a RCPT command. Raises DeliveryError with the reply that refuses one."""
    return _parse(text, _OF_RCPT, offered) if text else {}


def _parse(text: str, known: Mapping[str, tuple[str, Check]], offered: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise DeliveryError(reply.syntax("a parameter is KEYWORD or KEYWORD=value"))
        name = match[1].upper()
        extension, check = known.get(name, ("", str))
        if extension not in offered:
            raise DeliveryError(reply.unknown_parameter(name))
        if name in found:
            raise DeliveryError(reply.bad_parameter(name, "it is given twice"))
        found[name] = check(match[2] or "")
    return found
