"""Mailboxes of RFC 5321 4.1.2 (and RFC 6531): parse, normalise, render.

An :class:`Address` is a string, the mailbox as it is written, that knows its two halves; so a test compares it with
``"vader@deathstar.com"`` and a route asks for its domain. The null reverse-path is a value like any other: the empty
address, :data:`NULL_PATH`.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from smtp_pair.mail.errors import AddressError

LOCAL_LIMIT = 64
"""Octets in a local part (RFC 5321 4.5.3.1.1)."""
DOMAIN_LIMIT = 255
"""Octets in a domain (RFC 5321 4.5.3.1.2)."""

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_DOT_STRING = re.compile(rf"[{_ATEXT}\x80-\U0010ffff]+(?:\.[{_ATEXT}\x80-\U0010ffff]+)*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LABEL = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff](?:[A-Za-z0-9_\x80-\U0010ffff-]{0,61}[A-Za-z0-9_\x80-\U0010ffff])?")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# The everyday path, whole: it needs no further look. Everything else takes the long way, with the same result.
_PLAIN_PATH = re.compile(
    r"<([A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*)@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)>(?: ([ -~]*))?\Z"
)


def _render(local: str, domain: str) -> str:
    if not local and not domain:
        return ""
    if not _DOT_STRING.fullmatch(local):
        escaped = local.replace("\\", "\\\\").replace('"', '\\"')
        local = f'"{escaped}"'
    return f"{local}@{domain}" if domain else local


class Address(str):
    """A mailbox, ``local@domain``; as a string, its canonical text (quoted only where it must be).

    ``local`` is the local part without its quotes, in the client's own case; ``domain`` is as it was written.
    """

    __slots__ = ("domain", "local")
    local: str
    domain: str

    def __new__(cls, local: str, domain: str) -> Address:
        self = super().__new__(cls, _render(local, domain))
        self.local = local
        self.domain = domain
        return self

    @classmethod
    def plain(cls, local: str, domain: str) -> Address:
        """The same of halves that need no quotes, as who calls has seen."""
        self = str.__new__(cls, f"{local}@{domain}")
        self.local = local
        self.domain = domain
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # copy and pickle pass the two halves
        return self.local, self.domain

    @property
    def domain_key(self) -> str:
        """The domain as routes compare it: lower case, U-labels as A-labels, literals without their tag."""
        return domain_key(self.domain)

    @property
    def mailbox(self) -> str:
        """The local part as mailboxes compare it: in any case (a choice that RFC 5321 2.4 leaves to the host)."""
        return self.local.casefold()

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address in ``local@domain``. Raises AddressError, which says what is wrong with it."""
        address, rest = parse_path(f"<{text}>", utf8=True)
        if rest or not address.domain:
            raise AddressError(f"not an address: {text!r}")
        return address


NULL_PATH = Address("", "")
"""The null reverse-path, ``<>``: the sender of notifications, to whom nothing is ever answered (RFC 5321 4.5.5)."""


def parse_path(text: str, *, utf8: bool = False) -> tuple[Address, str]:
    """The address in a path ``<...>`` and what follows it (the parameters).

    ``<>`` gives :data:`NULL_PATH`; ``<postmaster>`` an address without a domain; a source route is dropped, never
    followed (RFC 5321 appendix C). Raises AddressError for anything else.
    """
    plain = _PLAIN_PATH.match(text)
    if plain is not None:
        local, domain, rest = plain.groups()
        if len(local) <= LOCAL_LIMIT and len(domain) <= DOMAIN_LIMIT:
            return Address.plain(local, domain), rest.strip(" ") if rest else ""
    if _CONTROLS.search(text):
        raise AddressError("it has a control character")
    if not text.startswith("<"):
        raise AddressError("the address belongs in angle brackets, <local@domain>")
    inside, rest = _split_path(text)
    if not utf8 and not inside.isascii():
        raise AddressError("it goes beyond ASCII", beyond_ascii=True)
    if not inside:
        return NULL_PATH, rest
    return _mailbox(_without_route(inside)), rest


@lru_cache(maxsize=4096)
def domain_key(domain: str) -> str:
    """A domain as routes compare it (RFC 5321 2.4, RFC 5890): lower case, U-labels as A-labels."""
    if domain.startswith("["):
        return _literal(domain)
    if domain.isascii():
        return domain.lower()
    try:
        key = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        key = ""
    # IDNA maps wide forms to ASCII: what comes out must be a name again, no dot at its end, no bracket of a literal
    if not all(_LABEL.fullmatch(label) for label in key.split(".")):
        raise AddressError(f"no domain name: {domain!r}")
    return key


def _split_path(text: str) -> tuple[str, str]:
    """What is between the angle brackets, and what follows; a ``>`` inside a quoted string does not close."""
    quoted = escaped = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == ">" and not quoted:
            rest = text[index + 1 :]
            if rest and not rest.startswith(" "):
                raise AddressError("something follows the closing bracket")
            return text[1:index], rest.strip(" ")
    raise AddressError("the closing bracket is missing")


def _without_route(inside: str) -> str:
    if not inside.startswith("@"):
        return inside
    route, colon, mailbox = inside.partition(":")
    if not colon or not all(hop.startswith("@") and _is_domain(hop[1:]) for hop in route.split(",")):
        raise AddressError("it starts with @ and is no source route")
    return mailbox


def _mailbox(text: str) -> Address:
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise AddressError("the quotes do not close")
        local, rest = re.sub(r"\\(.)", r"\1", quoted[1]), text[quoted.end() :]
    else:
        dots = _DOT_STRING.match(text)
        if dots is None:
            raise AddressError("the local part is empty or malformed")
        local, rest = dots[0], text[dots.end() :]
    if len(local.encode()) > LOCAL_LIMIT:
        raise AddressError(f"the local part is longer than {LOCAL_LIMIT} octets")
    if not rest:
        if local.casefold() == "postmaster":  # the one mailbox that needs no domain (RFC 5321 4.5.1)
            return Address(local, "")
        raise AddressError("the domain is missing")
    if not rest.startswith("@"):
        raise AddressError("the local part is malformed")
    domain = rest[1:]
    if not _is_domain(domain):
        raise AddressError("the domain is empty or malformed")
    return Address(local, domain)


def _is_domain(text: str) -> bool:
    if len(text.encode()) > DOMAIN_LIMIT:
        return False
    if text.startswith("["):
        try:
            _literal(text)
        except AddressError:
            return False
        return True
    if not all(_LABEL.fullmatch(label) for label in text.split(".")):
        return False
    try:
        domain_key(text)
    except AddressError:
        return False
    return True


def _literal(text: str) -> str:
    """``[127.0.0.1]`` or ``[IPv6:::1]`` (RFC 5321 4.1.3) in the one form that can be compared."""
    if not text.endswith("]"):
        raise AddressError(f"no address literal: {text!r}")
    inside = text[1:-1]
    try:
        if inside[:5].lower() == "ipv6:":
            return f"[{ipaddress.IPv6Address(inside[5:])}]"
        return f"[{ipaddress.IPv4Address(inside)}]"
    except ValueError:
        raise AddressError(f"no address literal: {text!r}") from None
