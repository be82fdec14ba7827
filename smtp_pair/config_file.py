"""The configuration file: TOML in, :class:`~smtp_pair.config.Config` out, each error naming the line and key at fault."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from smtp_pair import config
from smtp_pair.config import Config, Domain
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import Destination


def load(path: Path) -> Config:
    """The configuration in a TOML file. Raises ConfigError naming the file, and the line and key at fault."""
    try:
        source = path.read_bytes().decode("utf-8")
        document = tomllib.loads(source)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    return _Document(path, source).config(document)


class _Document:
    """A TOML file on its way to a Config; knows where a key stands, for tomllib does not say."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._lines = source.splitlines()

    def config(self, document: dict[str, Any]) -> Config:
        for key in document:
            if key not in ("domain", "routes", "allow_remote"):
                raise self._error(key, "unknown; known are [[domain]], [routes] and allow_remote", key, 0)
        tables = document.get("domain")
        if not isinstance(tables, list) or not tables:
            raise self._error("domain", "there is no [[domain]] table", "domain", 0)
        domains = tuple(self._domain(table, number) for number, table in enumerate(tables))
        try:
            config.check_together(domains)
        except ConfigError as error:
            raise ConfigError(f"{self._path}: {error}") from None
        allow_remote = document.get("allow_remote", False)
        if not isinstance(allow_remote, bool):
            raise self._error("allow_remote", f"{allow_remote!r} is neither true nor false", "allow_remote", 0)
        routes = document.get("routes", {})
        if not isinstance(routes, dict):
            raise self._error("routes", "is not a table", "routes", 0)
        return Config(domains, {name: self._route(name, to, allow_remote) for name, to in routes.items()})

    def _domain(self, table: object, number: int) -> Domain:
        if not isinstance(table, dict):
            raise self._error("domain", "is not a table", "domain", 0)
        start = [at for at, line in enumerate(self._lines) if line.replace(" ", "").startswith("[[domain]]")][number:]
        at = start[0] if start else 0
        if "name" not in table:
            raise self._error("name", "a [[domain]] needs one", "[[domain]]", at)
        try:
            return config.table(Domain, table)
        except ConfigError as error:
            key = str(error).partition(":")[0].split(".")[-1]
            raise self._error("", str(error), key, at) from None

    def _route(self, name: str, to: object, allow_remote: bool) -> Destination:
        try:
            Domain(name)
            return config.destination(to, allow_remote=allow_remote)
        except ConfigError as error:
            why = str(error).removeprefix(f"{name}: ")
            raise self._error(f"routes.{name}", why, name, 0) from None

    def _error(self, what: str, why: str, key: str, at: int) -> ConfigError:
        wanted = re.compile(rf"""[\[\s{{,"']*{re.escape(key)}(?![\w-])""")
        line = next((n for n in range(at, len(self._lines)) if wanted.match(self._lines[n])), None)
        if line is None:  # inside an inline table: the key stands somewhere in a line
            inner = re.compile(rf"\b{re.escape(key)}\b")
            line = next((n for n in range(at, len(self._lines)) if inner.search(self._lines[n])), None)
        where = f"{self._path}:{line + 1}" if line is not None else str(self._path)
        return ConfigError(": ".join(part for part in (where, what, why) if part))
