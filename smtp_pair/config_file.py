"""The configuration file: TOML in, :class:`~smtp_pair.config.Config` out; an error names the line and key at fault."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smtp_pair import checks, config
from smtp_pair.config import Config, Domain
from smtp_pair.faults import Fault
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import Destination, NextHop

_AT_LINE = re.compile(r" \(at line ([0-9]+), column [0-9]+\)$")


def load(path: Path) -> Config:
    """The configuration in a TOML file. Raises ConfigError naming the file, and the line and key at fault."""
    try:
        source = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    try:
        document = tomllib.loads(source)
    except (ValueError, RecursionError) as error:  # no TOML, or TOML that means no good
        last = len(source.rstrip().split("\n"))
        said = str(error).replace("(at end of document)", f"(at line {last}, column 0)")
        line = _AT_LINE.search(said)
        where = f"{path}:{line[1]}" if line else str(path)
        raise ConfigError(f"{where}: {_AT_LINE.sub('', said)}") from None
    return _Document(path, source).config(document)


class _Document:
    """A TOML file on its way to a Config; knows where a key stands, for tomllib does not say."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._lines = source.split("\n")

    def config(self, document: dict[str, Any]) -> Config:
        for key in document:
            if key not in ("domain", "routes", "dns", "allow_remote"):
                raise self._error("", f"{key}: unknown; known are [[domain]], [routes], dns and allow_remote", [key])
        allow_remote = document.get("allow_remote", False)
        if not isinstance(allow_remote, bool):
            raise self._error("", f"allow_remote: {allow_remote!r} is neither true nor false", ["allow_remote"])
        domains = self._domains(document.get("domain"))
        routes = self._routes(document.get("routes", {}), allow_remote)
        return Config(domains, routes, self._dns(document.get("dns", ""), allow_remote), allow_remote)

    def _dns(self, server: object, allow_remote: bool) -> str:
        if not isinstance(server, str):
            raise self._error("", f"dns: {server!r} is not HOST:PORT", ["dns"])
        try:
            if server and not isinstance(config.destination(server, allow_remote=allow_remote), NextHop):
                raise ConfigError(f"{server!r} is not HOST:PORT")
        except ConfigError as error:
            raise self._error("", f"dns: {error}", ["dns"]) from None
        return server

    def _domains(self, tables: object) -> tuple[Domain, ...]:
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            raise self._error("", "domain: there is no [[domain]] table", ["domain"])
        domains: list[Domain] = []
        faults = 0
        for number, table in enumerate(tables):
            if "name" not in table:
                raise self._error(f"[[domain]]:{number}", "name: a [[domain]] needs one", [])
            if "fault" in table:
                table = {**table, "faults": self._faults(table["fault"], faults)}
                faults += len(table.pop("fault"))
            try:
                domains.append(config.table(Domain, table))
                config.check_together(domains)
            except ConfigError as error:
                keys = str(error).partition(":")[0].split(".")
                raise self._error(f"[[domain]]:{number}", str(error), keys) from None
        return tuple(domains)

    def _faults(self, tables: object, before: int) -> list[Fault]:
        """The faults of a domain; ``before`` are those of the domains above it."""
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self._error("", "fault: is written [[domain.fault]]", ["fault"])
        found = []
        for number, table in enumerate(tables, before):
            try:
                found.append(config.table(Fault, table))
            except ConfigError as error:
                key = str(error).partition(":")[0]
                why = str(error) if key == "fault" else f"fault.{error}"  # of no key in particular
                raise self._error(f"[[domain.fault]]:{number}", why, ["fault", key]) from None
        return found

    def _routes(self, table: object, allow_remote: bool) -> dict[str, Destination]:
        if not isinstance(table, dict):
            raise self._error("", "routes: is not a table", ["routes"])
        found: dict[str, Destination] = {}
        for name, to in table.items():
            try:
                checks.domain_name(name)
                found[name] = config.destination(to, allow_remote=allow_remote)
            except ConfigError as error:
                raise self._error("[routes]:0", f"routes.{name}: {error}", [name]) from None
        return found

    def _error(self, section: str, why: str, keys: Sequence[str]) -> ConfigError:
        line = self._line(self._section(section), keys)
        where = f"{self._path}:{line + 1}" if line is not None else str(self._path)
        return ConfigError(f"{where}: {why}")

    def _section(self, wanted: str) -> range:
        """The lines of a table, those below it included; the whole file where its header is written otherwise."""
        header, _, number = wanted.partition(":")
        if not header:
            return range(len(self._lines))
        headers = {n: line.replace(" ", "") for n, line in enumerate(self._lines) if line.lstrip().startswith("[")}
        starts = [n for n, line in headers.items() if line.startswith(header)][int(number) :]
        if not starts:
            return range(len(self._lines))
        below = (f"[{header.strip('[]')}.", f"[[{header.strip('[]')}.")
        ends = [n for n, line in headers.items() if n > starts[0] and not line.startswith(below)]
        return range(starts[0], ends[0] if ends else len(self._lines))

    def _line(self, lines: range, keys: Sequence[str]) -> int | None:
        """Where the innermost of the keys stands that is written; else where the table begins."""
        for key in reversed(keys):
            name = rf"""["']?{re.escape(key)}["']?"""
            for pattern in (rf"\s*\[*\s*(?:[\w-]+\s*\.\s*)*{name}\s*[=.\]]", rf"[^#]*[{{,.\s]{name}\s*[=.]"):
                found = next((n for n in lines if re.match(pattern, self._lines[n])), None)
                if found is not None:
                    return found
        return lines.start if lines.start > 0 or self._lines[0].lstrip().startswith("[") else None
