"""Addresses and names with ``*`` in them, as a test writes them: ``vader@*``."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=512)
def address_pattern(text: str) -> re.Pattern[str]:
    """What matches such an address, whole: the local part in its own case, the domain in any (RFC 5321 2.4). Only
    ``*`` is a wildcard: ``[`` and ``?`` are plain characters of a local part."""
    local, at, domain = text.rpartition("@")
    local, domain = _glob(local), _glob(domain)
    return re.compile(f"{local}{at}(?i:{domain})", re.DOTALL) if at else re.compile(domain, re.DOTALL)


@lru_cache(maxsize=512)
def name_pattern(text: str) -> re.Pattern[str]:
    """What matches such a name of a host, or its address, whole and in any case."""
    return re.compile(_glob(text), re.DOTALL | re.IGNORECASE)


def _glob(text: str) -> str:
    return ".*".join(map(re.escape, text.split("*")))
