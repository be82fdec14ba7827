"""What a server is told: frozen values, checked once, each error naming the setting at fault.

In Python a setting is an argument of :class:`Domain`; in a TOML file (``config_file.py``) it is a key of
``[[domain]]``. Durations are seconds or texts (``"5 min"``), sizes octets or texts (``"32 MB"``).
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from smtp_pair import checks
from smtp_pair.faults import Fault
from smtp_pair.faults import some as some_faults
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import NO_MAIL, Destination, NextHop, TlsTowards
from smtp_pair.sasl import Authenticate

if TYPE_CHECKING:
    from os import PathLike
    from ssl import SSLContext

    File = str | PathLike[str]
    Certificate = File | tuple[File, File] | SSLContext

T = TypeVar("T")
WhenUnreachable = Literal["refuse", "bounce", "ignore"]
Tls = Literal["off", "offered", "required", "implicit"]
BareNewline = Literal["normalise", "reject"]
Durability = Literal["durable", "fast"]


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


@dataclass(frozen=True, slots=True)
class Retry:
    """When a mail that could not be handed on is tried again: after ``first``, then ``factor`` times as long each
    time, never longer than ``most``; each time up to ``jitter`` of it more or less. After ``warn`` its sender is told
    that it takes long; after ``expiry`` it has failed. Seconds."""

    first: float
    factor: float = 2.0
    most: float = 30 * 60.0
    expiry: float = 5 * 86400.0
    warn: float = 4 * 3600.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name in ("first", "most"):
            _set(self, name, checks.checked(name, checks.some_time, getattr(self, name)))
        for name in ("expiry", "warn"):
            _set(self, name, checks.checked(name, checks.seconds, getattr(self, name)))
        checks.checked("factor", checks.factor, self.factor)
        checks.checked("jitter", checks.fraction, self.jitter)

    def delay(self, attempts: int) -> float:
        """Seconds to wait after the attempt of that number (the first is 1)."""
        try:
            return float(min(self.most, self.first * self.factor ** (attempts - 1)))
        except OverflowError:
            return self.most


QUICK_RETRY = Retry(first=0.1, most=5.0)
"""For tests: 0.1 s doubling to 5 s."""
PATIENT_RETRY = Retry(first=1.0)
"""For ``smtp-pair up``: 1 s doubling to 30 min."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a server stops being patient. Each is a defence against a peer that floods, dribbles or never leaves."""

    connections: int = 1000
    """Connections at the same time; more are told 421 4.7.0."""
    connections_of_one: int = 500
    """Connections of one address at the same time."""
    commands: int = 10_000
    """Commands of one connection between two mails; at the next one 421 4.7.0 ends it."""
    recipients: int = 1000
    """Recipients of one transaction (RFC 5321 4.5.3.1.8 wants 100 at least); more are told 452 4.5.3."""
    errors: int = 20
    """Commands of one connection that were answered 5xx; at the last one 421 4.7.0 ends it."""
    idle: float = 300.0
    """Seconds without an octet from the client before 421 4.4.2 ends the connection (RFC 5321 4.5.3.2.7)."""
    handshake: float = 300.0
    """Seconds that a client may take for the handshake of TLS; ``idle`` where that is less."""
    session: float = 3600.0
    """Seconds that a connection may last in all; then 421 4.4.2 ends it before its next command."""
    header: int = 1 << 20
    """Octets in the header block of a mail; a bigger one is refused with 552 5.3.4."""
    connect: float = 30.0
    """Seconds that a next hop may take to be reached, and for the handshake of TLS."""
    reply: float = 300.0
    """Seconds that a next hop may take for a reply (RFC 5321 4.5.3.2)."""
    final: float = 600.0
    """Seconds that a next hop may take for the reply after the final dot: it may well work before it answers."""
    depth: int = 50
    """Multiparts within each other; one that lies deeper is an attachment, left as it is."""
    parts: int = 1000
    """Parts of a mail, multiparts included; what follows them is not looked at. The raw mail is kept whole."""

    def __post_init__(self) -> None:
        for name in ("connections", "connections_of_one", "commands", "recipients", "errors", "depth", "parts"):
            checks.checked(name, checks.positive, getattr(self, name))
        for name in ("idle", "handshake", "session", "connect", "reply", "final"):
            _set(self, name, checks.checked(name, checks.some_time, getattr(self, name)))
        _set(self, "header", checks.checked("header", checks.size, self.header))


@dataclass(frozen=True, slots=True)
class Domain:
    """One mail domain and the server that serves it. Raises ConfigError for a setting that can't be."""

    name: str
    """The domain of the addresses: ``jaku.com``."""
    hostname: str = ""
    """What the server calls itself; ``smtp.`` and the name unless given."""
    port: int = 0
    """The TCP port; 0: one that is free."""
    users: Sequence[str] | None = None
    """The local parts that exist, postmaster always among them; None: any local part is a mailbox."""
    unreachable: WhenUnreachable = "refuse"
    """A recipient whose domain has no route: ``refuse`` (550 5.1.2), ``bounce`` (take the mail, then tell its
    sender), or ``ignore`` (take the mail, only record it)."""
    size: int = 32 << 20
    """The largest mail, in octets (RFC 1870)."""
    durability: Durability | None = None
    """``durable``: on disk before the 250, through a crash. ``fast``: in the system's hands. None: as started."""
    catch_all: bool = False
    """Whether mail for any domain to which there is no route is delivered here too, to the mailbox of its local part.
    Not where a name server is asked for routes."""
    tls: Tls = "off"
    """``offered``: STARTTLS, for those who want it. ``required``: no mail without it. ``implicit``: from the first
    octet on. The certificate is the test authority's (``network.client_context()`` trusts it)."""
    certificate: Certificate | None = None
    """Another one than the test authority's: a PEM file of the certificate and its key, or a pair of such files; or
    the whole of it, as an ``ssl.SSLContext``. Who is to trust it is then yours to see to."""
    auth: Mapping[str, str] | Authenticate | None = field(default=None, repr=False)
    """Names and passwords for AUTH PLAIN and LOGIN; or a function that is given :class:`~smtp_pair.sasl.Credentials`
    and says yes or no, with OAUTHBEARER and XOAUTH2 too. With it, mail for other domains is taken only from those who
    have proved who they are. It is called on the servers' thread, and must not wait for anything."""
    auth_required: bool = False
    """Whether mail for the domain itself needs AUTH too."""
    auth_requires_tls: bool | None = None
    """Whether a password is taken over TLS alone. None: where the server has TLS."""
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Other names: ``{"team@jaku.com": ["obiwan@jaku.com", "vader@deathstar.com"]}``."""
    quota: int | None = None
    """Octets that a mailbox holds; a mail beyond that is put off with 452 4.2.2. None: no end."""
    greylist: float = 0.0
    """Seconds that whoever is new has to wait: 451 4.7.1 until then (RFC 6647). 0: nobody waits."""
    bare_newline: BareNewline = "normalise"
    """A CR or LF by itself: ``normalise`` (make it CRLF), or ``reject`` (550 5.5.2)."""
    retry: Retry | None = None
    """None: as started (quick in fixtures, patient in ``up``)."""
    limits: Limits = field(default_factory=Limits)
    faults: Sequence[Fault] = ()
    """What it does wrong from the start (``server.faults``); in TOML each is a ``[[domain.fault]]``."""
    fault_addresses: bool = False
    """Whether mail addresses may ask for faults: ``luke+rcptto451@...`` (:mod:`smtp_pair.fault_words`)."""

    def __post_init__(self) -> None:
        checks.checked("name", checks.domain_name, self.name)
        _set(self, "hostname", checks.checked("hostname", checks.host_name, self.hostname or f"smtp.{self.name}"))
        checks.checked("port", checks.port, self.port)
        _set(self, "users", checks.checked("users", checks.local_parts, self.users))
        checks.checked("unreachable", checks.one_of(*get_args(WhenUnreachable)), self.unreachable)
        _set(self, "size", checks.checked("size", checks.size, self.size))
        if self.durability is not None:
            checks.checked("durability", checks.one_of(*get_args(Durability)), self.durability)
        checks.checked("catch_all", checks.yes_or_no, self.catch_all)
        checks.checked("tls", checks.one_of(*get_args(Tls)), self.tls)
        _set(self, "certificate", checks.checked("certificate", checks.certificate, self.certificate))
        if self.certificate is not None and self.tls == "off":
            raise ConfigError("certificate: nobody would ever see it, for tls is off")
        checks.checked("auth", checks.credentials, self.auth)
        checks.checked("auth_required", checks.yes_or_no, self.auth_required)
        if self.auth_required and self.auth is None:
            raise ConfigError("auth_required: nobody could ever send, for auth is not set")
        if self.auth_requires_tls is not None:
            checks.checked("auth_requires_tls", checks.yes_or_no, self.auth_requires_tls)
        _set(self, "aliases", checks.checked("aliases", lambda value: checks.aliases(value, self.name), self.aliases))
        if self.quota is not None:
            _set(self, "quota", checks.checked("quota", checks.size, self.quota))
        _set(self, "greylist", checks.checked("greylist", checks.seconds, self.greylist))
        checks.checked("bare_newline", checks.one_of(*get_args(BareNewline)), self.bare_newline)
        checks.checked("retry", checks.kind(Retry, None), self.retry)
        checks.checked("limits", checks.kind(Limits), self.limits)
        _set(self, "faults", checks.checked("faults", some_faults, self.faults))
        if self.tls == "off" and any(fault.tls for fault in self.faults):
            raise ConfigError("faults: tls: there is none to break, for tls is off")
        checks.checked("fault_addresses", checks.yes_or_no, self.fault_addresses)


@dataclass(frozen=True, slots=True)
class Config:
    """What ``smtp-pair up`` runs: domains that know each other, and the way to others."""

    domains: tuple[Domain, ...]
    routes: Mapping[str, Destination] = field(default_factory=dict)
    dns: str = ""
    """HOST:PORT of the name server that knows the way to all other domains; "": nobody does."""
    allow_remote: bool = False
    """Whether mail may leave this machine."""


THE_PAIR = (Domain("jaku.com", port=1025), Domain("deathstar.com", port=1030))
"""The two servers of the original, on its ports."""


def destination(value: object, *, allow_remote: bool = False) -> Destination:
    """Where a route leads: ``"HOST:PORT"`` (``"[::1]:2525"`` for IPv6), or ``"."`` for a domain that takes no mail at
    all (RFC 7505), or a table with ``hop`` and, where needed, ``tls``, ``user`` and ``password``.

    Raises ConfigError, also for a host beyond this machine unless ``allow_remote``: no test ever mails a real person.
    """
    if value == ".":
        return NO_MAIL
    if isinstance(value, Mapping):
        return _hop_in(value, allow_remote=allow_remote)
    hop = value if isinstance(value, NextHop) else _host_and_port(value)
    if not allow_remote and not is_loopback(hop.host):
        raise ConfigError(f"{hop.host!r} is not on this machine; allow_remote is needed to send mail there")
    return hop


def _hop_in(table: Mapping[str, object], *, allow_remote: bool) -> NextHop:
    known = ("hop", "tls", "user", "password")
    for key in table:
        if key not in known:
            raise ConfigError(f"{key}: unknown; known are {', '.join(known)}")
    hop = destination(table.get("hop"), allow_remote=allow_remote)
    if not isinstance(hop, NextHop):
        raise ConfigError("hop: is not HOST:PORT")
    tls, user, password = table.get("tls", hop.tls), table.get("user", ""), table.get("password", "")
    towards = checks.checked("tls", checks.one_of(*get_args(TlsTowards)), tls)
    if not isinstance(user, str) or not isinstance(password, str) or bool(user) != bool(password):
        raise ConfigError("user: and password are texts, and go together")
    return dataclasses.replace(hop, tls=towards, user=user, password=password)


def _host_and_port(text: object) -> NextHop:
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port[:6]) < 65536:
        raise ConfigError(f"{text!r} is not HOST:PORT")
    return NextHop(host, int(port))


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether the host is this machine, told by its text alone (a look-up could answer anything)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_together(domains: Iterable[Domain]) -> None:
    """Refuse domains that can't run side by side. Raises ConfigError."""
    seen: dict[tuple[str, object], int] = {}
    for number, domain in enumerate(domains):
        # One space of names: mail for a host's name goes to that host.
        for what, value in (("name", domain.name), ("hostname", domain.hostname)):
            if seen.setdefault(("name", domain_key(value)), number) != number:
                raise ConfigError(f"{what}: {value!r} is given to two domains")
        if domain.port and seen.setdefault(("port", domain.port), number) != number:
            raise ConfigError(f"port: {domain.port} is given to two domains")


_NESTED: Mapping[str, type[Any]] = {"retry": Retry, "limits": Limits}


def _is_table(key: str, value: object) -> bool:
    return key in _NESTED and isinstance(value, Mapping)


def table(kind: type[T], values: dict[str, Any], name: str = "") -> T:
    """One of the values above, from a table of its settings. Raises ConfigError naming the key at fault."""
    prefix = f"{name}." if name else ""
    known = [one.name for one in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(f"{prefix}{key}: unknown; known are {', '.join(known)}")
    nested: dict[str, Any] = {
        key: table(_NESTED[key], value, key) for key, value in values.items() if _is_table(key, value)
    }
    try:
        return kind(**values | nested)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None
    except TypeError:  # a value that has no default is missing
        missing = [one.name for one in dataclasses.fields(kind) if one.name not in values]  # type: ignore[arg-type]
        raise ConfigError(f"{prefix}{missing[0]}: is missing") from None
