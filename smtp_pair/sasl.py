"""How a client proves who it is: the mechanisms of AUTH, as exchanges without a wire (RFC 4954, RFC 4422).

    exchange = MECHANISMS["PLAIN"]()
    exchange.begin(first response, or None)  ->  a challenge to send, or the client's Credentials
    exchange.step(response)                  ->  the same

The octets here are decoded already; base64 is the wire's business (``protocol.py``). Raises SaslError for a response
that is none.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from smtp_pair.mail.errors import SmtpPairError


class SaslError(SmtpPairError, ValueError):
    """A response that the mechanism does not know."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says it is, and its proof."""

    mechanism: str
    user: str
    secret: str = field(repr=False)
    """The password; with OAUTHBEARER and XOAUTH2 the bearer token."""
    acting_as: str = ""
    """The authorisation identity, where the client named one that differs (RFC 4616 2)."""


Authenticate = Callable[[Credentials], bool]


class Exchange(Protocol):
    """One authentication, from the first response to the credentials."""

    refusal: bytes
    """A challenge that tells why, sent before the refusal; the client's answer to it is ignored. Mostly empty."""

    def begin(self, first: bytes | None) -> bytes | Credentials: ...

    def step(self, response: bytes) -> bytes | Credentials: ...


def passwords(users: Mapping[str, str]) -> Authenticate:
    """Tells whether the credentials are those of one of the users."""
    known = {user: secret.encode() for user, secret in users.items()}

    def authenticate(credentials: Credentials) -> bool:
        # A wrong name takes as long as a wrong password, and one may only act as oneself.
        expected = known.get(credentials.user, b"")
        right = hmac.compare_digest(expected, credentials.secret.encode("utf-8", "surrogateescape"))
        return right and credentials.user in known and credentials.acting_as in ("", credentials.user)

    return authenticate


class Plain:
    """PLAIN (RFC 4616): authorisation identity, name and password, with a NUL between them."""

    refusal = b""

    def begin(self, first: bytes | None) -> bytes | Credentials:
        return b"" if first is None else self.step(first)

    def step(self, response: bytes) -> bytes | Credentials:
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1]:
            raise SaslError("PLAIN wants [name] NUL name NUL password")
        acting_as, user, secret = map(_text, parts)
        return Credentials("PLAIN", user, secret, acting_as if acting_as != user else "")


class Login:
    """LOGIN: asks for name and password; never a standard, and everywhere (draft-murchison-sasl-login)."""

    refusal = b""

    def __init__(self) -> None:
        self._user: str | None = None

    def begin(self, first: bytes | None) -> bytes | Credentials:
        return b"Username:" if first is None else self.step(first)

    def step(self, response: bytes) -> bytes | Credentials:
        if self._user is None:
            self._user = _text(response)
            return b"Password:"
        return Credentials("LOGIN", self._user, _text(response))


class OAuthBearer:
    """OAUTHBEARER (RFC 7628): a GS2 header, then key=value pairs between octets of value 1."""

    refusal = b'{"status":"invalid_token"}'
    _HEADER = re.compile(rb"[ny],(?:a=([^,]*))?,\Z")

    def begin(self, first: bytes | None) -> bytes | Credentials:
        return b"" if first is None else self.step(first)

    def step(self, response: bytes) -> bytes | Credentials:
        header, *pairs = response.split(b"\x01")
        match = self._HEADER.match(header)
        if match is None:
            raise SaslError("OAUTHBEARER wants n,a=user,^Aauth=Bearer token^A^A")
        user = _text(match[1] or b"").replace("=2C", ",").replace("=3D", "=")
        return Credentials("OAUTHBEARER", user, _bearer(pairs))


class XOAuth2:
    """XOAUTH2, Google's and Microsoft's forerunner of OAUTHBEARER: user=name^Aauth=Bearer token^A^A."""

    refusal = b'{"status":"400","schemes":"bearer"}'

    def begin(self, first: bytes | None) -> bytes | Credentials:
        return b"" if first is None else self.step(first)

    def step(self, response: bytes) -> bytes | Credentials:
        name, *pairs = response.split(b"\x01")
        if not name.startswith(b"user="):
            raise SaslError("XOAUTH2 wants user=name^Aauth=Bearer token^A^A")
        return Credentials("XOAUTH2", _text(name[len(b"user=") :]), _bearer(pairs))


class Refused:
    """The credentials were wrong and the client was told why: its next line ends the exchange."""

    refusal = b""

    def begin(self, first: bytes | None) -> bytes | Credentials:
        return b""

    def step(self, response: bytes) -> bytes | Credentials:
        return b""


PASSWORD_MECHANISMS: Mapping[str, Callable[[], Exchange]] = {"PLAIN": Plain, "LOGIN": Login}
TOKEN_MECHANISMS: Mapping[str, Callable[[], Exchange]] = {"OAUTHBEARER": OAuthBearer, "XOAUTH2": XOAuth2}
MECHANISMS: Mapping[str, Callable[[], Exchange]] = {**PASSWORD_MECHANISMS, **TOKEN_MECHANISMS}


def _bearer(pairs: list[bytes]) -> str:
    """The token; "" where the client leaves it out, to be told what is wanted (RFC 7628 4.3)."""
    for pair in pairs:
        key, _, value = pair.partition(b"=")
        scheme, _, token = value.partition(b" ")
        if key == b"auth" and scheme.lower() in (b"bearer", b""):
            return _text(token.strip(b" "))
    raise SaslError("there is no bearer token")


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("names and passwords are UTF-8") from None
