"""The same answers as ours, found the slow and obvious way: an octet, a character, a word at a time.

What is compared with these was written to be fast; these were written to be checked by eye against the RFCs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CR, LF, DOT = 13, 10, ord(".")


@dataclass(frozen=True, slots=True)
class Content:
    """What follows a 354."""

    octets: bytes
    bare: bool
    """Whether a CR or an LF stands by itself."""
    rest: bytes
    """What comes after the end."""


def read_content(wire: bytes) -> Content | None:
    """The content at the start of ``wire``; None: its end is not there (RFC 5321 4.1.1.4)."""
    at = 0
    begins = True  # a line, after CRLF or after the CRLF of DATA itself
    while at < len(wire):
        if begins and wire[at : at + 3] == b".\r\n":
            octets, bare = mend(wire[:at])
            return Content(octets, bare, wire[at + 3 :])
        begins = wire[at - 1 : at + 1] == b"\r\n" if at else False
        at += 1
    return None


def mend(wire: bytes, *, dots: bool = True) -> tuple[bytes, bool]:
    """The octets with CRLF for every line end and, with ``dots``, without the dot that was put before a line; and
    whether a line end was only a CR or only an LF (C45)."""
    mended = bytearray()
    bare = False
    at = 0
    after_lf = True  # a dot here is the transfer's
    while at < len(wire):
        octet = wire[at]
        if octet in (CR, LF):
            pair = wire[at : at + 2] == b"\r\n"
            bare = bare or not pair
            mended += b"\r\n"
            after_lf = pair or octet == LF
            at += 2 if pair else 1
            continue
        if not (octet == DOT and after_lf and dots):
            mended.append(octet)
        after_lf = False
        at += 1
    return bytes(mended), bare


# -- RFC 5321 4.1.2, as it stands there; ASCII only -----------------------------------------------------------------

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED_STRING = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_SUB_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rf"{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LITERAL = rf"\[{_OCTET}(?:\.{_OCTET}){{3}}\]"  # those of IPv6 are left out here
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*:"
_PATH = re.compile(rf"<(?:{_ROUTE})?(?P<local>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL})>")
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE)


def split_argument(argument: str) -> tuple[str, str]:
    """A path and the parameters after it, where the path is one that RFC 5321 knows; else two empty texts."""
    for match in (_PATH.match(argument), _POSTMASTER.match(argument), re.match("<>", argument)):
        if match is not None and argument[match.end() : match.end() + 1] in ("", " ") and _fits(match):
            return match[0], argument[match.end() :].strip(" ")
    return "", ""


def _fits(match: re.Match[str]) -> bool:
    """RFC 5321 4.5.3.1 and RFC 1035 2.3.4: 64 octets, 255 octets, 63 in a label. The quotes of a local part and the
    backslashes in it are not counted."""
    named = match.groupdict()
    local, domain = named.get("local") or "", named.get("domain") or ""
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    route = re.findall(_SUB_DOMAIN, match[0]) if match[0].startswith("<@") else []
    return len(local) <= 64 and len(domain) <= 255 and all(len(label) <= 63 for label in [*domain.split("."), *route])


# -- RFC 5321 4.1.1.11 and the RFCs of the extensions -------------------------------------------------------------

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(=[!-<>-~]+)?")  # ASCII only
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F][0-9A-F])+"
_VALUES = {
    "MAIL": {
        "SIZE": r"=[0-9]{1,20}",
        "BODY": r"=(?i:7BIT|8BITMIME)",
        "SMTPUTF8": r"",
        "RET": r"=(?i:FULL|HDRS)",
        "ENVID": rf"=(?=.{{1,100}}\Z){_XTEXT}",
    },
    "RCPT": {
        "NOTIFY": r"=(?i:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2})",
        "ORCPT": rf"=(?=.{{1,500}}\Z)(?:(?i:utf-8);.+|[A-Za-z0-9](?:-?[A-Za-z0-9])*;{_XTEXT})",
    },
}


def judge_parameters(verb: str, parameters: str) -> set[int]:
    """The codes of all that is wrong with the parameters of MAIL or RCPT; none: they are right. A reply can only name
    one of them."""
    wrong: set[int] = set()
    seen: list[str] = []
    for word in filter(None, parameters.split(" ")):
        match = _PARAMETER.fullmatch(word)
        name = match[1].upper() if match is not None else ""
        if match is None:
            wrong.add(501)
        elif name not in _VALUES[verb]:
            wrong.add(555)
        elif name in seen or not re.fullmatch(_VALUES[verb][name], match[2] or "") or _twice(word):
            wrong.add(501)
        seen.append(name)
    return wrong


def _twice(word: str) -> bool:
    """Whether NOTIFY has a wish two times."""
    wishes = word.upper().removeprefix("NOTIFY=").split(",")
    return len(wishes) != len(set(wishes))
