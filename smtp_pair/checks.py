"""Checks of settings: each gives the value as it is to be used, or raises a ConfigError that quotes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from smtp_pair.mail.address import Address, domain_key
from smtp_pair.mail.errors import AddressError, ConfigError

R = TypeVar("R")

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_OCTETS = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)")


def seconds(value: object) -> float:
    """A duration: a number of seconds, or a text such as ``"100 ms"``, ``"5 min"``, ``"5 d"``."""
    return _quantity(value, _SECONDS, "a duration", most=10**10)  # three hundred years: dates end some day


def some_time(value: object) -> float:
    """A duration that is not nothing."""
    duration = seconds(value)
    if duration <= 0:
        raise ConfigError(f"{value!r} is no time at all")
    return duration


def octets(value: object) -> int:
    """A size: a number of octets, or a text such as ``"100 MB"`` (10^6) or ``"32 MiB"`` (2^20)."""
    return int(_quantity(value, _OCTETS, "a size", most=10**18))


def _quantity(value: object, units: Mapping[str, float], what: str, *, most: int) -> float:
    quantity: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        quantity = value
    elif isinstance(value, str) and (match := _QUANTITY.fullmatch(value)) is not None:
        unit = units.get(match[2].lower())
        quantity = float(match[1]) * unit if unit else None
    if quantity is None or not 0 <= quantity <= most:
        raise ConfigError(f"{value!r} is not {what}: a number, or a text with one of {', '.join(units)}")
    return quantity


def checked(name: str, check: Callable[[Any], R], value: object) -> R:
    """What ``check`` makes of the value; its ConfigError begins with the setting's name."""
    try:
        return check(value)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


def domain_name(value: object) -> str:
    try:
        if not isinstance(value, str) or value.startswith("["):
            raise AddressError("no domain name")
        return Address.parse(f"postmaster@{value}").domain
    except AddressError:
        raise ConfigError(f"{value!r} is not a domain name") from None


def host_name(value: object) -> str:
    """A server's own name, as it says it: in A-labels (RFC 6531 3.7.1)."""
    name = domain_name(value)
    return name if name.isascii() else domain_key(name)


def port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 65536:
        raise ConfigError(f"{value!r} is not a port number (0 to 65535; 0 takes a free one)")
    return value


def size(value: object) -> int:
    size = octets(value)
    if size < 1:
        raise ConfigError(f"{value!r} leaves no room for a mail")
    return size


def positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{value!r} is not a whole number from 1 up")
    return value


def factor(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < float("inf"):
        raise ConfigError(f"{value!r} is not a number from 1 up")
    return value


def fraction(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{value!r} is not a part of one: from 0 up, below 1")
    return value


def local_parts(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f"{value!r} is not a list of local parts")
    users = tuple(value)
    for user in users:
        try:
            if not isinstance(user, str) or Address.parse(f"{user}@a.test").domain != "a.test":
                raise AddressError("not a text")
        except AddressError:
            raise ConfigError(f"{user!r} is not a local part (what stands before the @)") from None
    return tuple(Address.parse(f"{user}@a.test").local for user in users)


def yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{value!r} is neither true nor false")
    return value


def kind(*kinds: type | None) -> Callable[[object], None]:
    def check(value: object) -> None:
        if not any(value is None if each is None else isinstance(value, each) for each in kinds):
            raise ConfigError(f"{value!r} is not {' or '.join(each.__name__ if each else 'None' for each in kinds)}")

    return check


def credentials(value: object) -> None:
    if value is None or callable(value):
        return
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"{value!r} is no table of names and passwords")
    for user, secret in value.items():
        if not isinstance(user, str) or not user or not isinstance(secret, str) or not secret:
            raise ConfigError(f"{user!r} needs a password, a text that is not empty")  # which is not shown


def certificate(value: Any) -> Any:
    """The name of a file, a pair of them, or a whole context; a list, as in TOML, becomes a pair."""
    if isinstance(value, list | tuple):
        if len(value) != 2 or not all(map(_names_a_file, value)):
            raise ConfigError(f"{value!r} is no pair of files, one of the certificate and one of its key")
        return tuple(value)
    if value is not None and not _names_a_file(value) and not hasattr(value, "wrap_bio"):
        raise ConfigError(f"{value!r} is neither a file, nor a pair of files, nor an ssl.SSLContext")
    return value


def _names_a_file(value: object) -> bool:
    return hasattr(value, "__fspath__") or (isinstance(value, str) and bool(value))


def aliases(value: object, domain: str) -> dict[str, tuple[str, ...]]:
    """Local parts of the domain, and the addresses that each stands for."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{value!r} is no table of addresses")
    found: dict[str, tuple[str, ...]] = {}
    for name, targets in value.items():
        alias = _address(name if isinstance(name, str) and "@" in name else f"{name}@{domain}")
        if alias.domain_key != domain_key(domain):
            raise ConfigError(f"{name!r} is not an address of {domain}")
        if isinstance(targets, str):
            targets = [targets]
        if not isinstance(targets, Iterable) or not (addresses := tuple(map(_address, targets))):
            raise ConfigError(f"{name!r} needs a list of addresses")
        found[alias.local] = addresses
    return found


def _address(text: object) -> Address:
    try:
        if not isinstance(text, str):
            raise AddressError("not a text")
        return Address.parse(text)
    except AddressError as error:
        raise ConfigError(f"{text!r} is not an address: {error}") from None


def one_of(*choices: str) -> Callable[[object], Any]:
    def check(value: object) -> Any:
        if value not in choices:
            raise ConfigError(f"{value!r} is none of {', '.join(choices)}")
        return value

    return check
