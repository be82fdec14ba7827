"""The marker ``mail_extensions``: the subsets of extensions with which a test is run. Pure.

    @pytest.mark.mail_extensions(without=["PIPELINING", ("SIZE", "8BITMIME")])
    @pytest.mark.mail_extensions(combinations=["PIPELINING", "CHUNKING", "DSN"])
    @pytest.mark.mail_extensions(only=[[], ["PIPELINING"]])

``without`` runs the test with all extensions, and once without each name, or group of names; ``combinations`` with
every combination of the names hidden, none and all of them included; ``only`` once with each of these and no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from smtp_pair.faults import HIDEABLE
from smtp_pair.mail.errors import ConfigError

_WAYS = ("without", "combinations", "only")
_MOST = 6
"""Names that are combined: two to the power of it are the runs."""


def hidden_sets(args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, frozenset[str]]:
    """What is hidden in each run, by the run's name, in their order. Raises ConfigError for what can't be."""
    given = [way for way in _WAYS if way in kwargs]
    unknown = [name for name in kwargs if name not in _WAYS]
    if args or unknown or len(given) != 1:
        said = ", ".join([*map(repr, args), *unknown]) or " and ".join(given) or "nothing"
        raise ConfigError(f"mail_extensions: {said}: it takes one of without=, combinations=, only=")
    way = given[0]
    try:
        return dict(_runs(way, _list(kwargs[way])))
    except ConfigError as error:
        raise ConfigError(f"mail_extensions: {way}: {error}") from None


def _runs(way: str, items: list[object]) -> Iterator[tuple[str, frozenset[str]]]:
    if way == "only":
        for item in items:
            shown = _names(item)
            yield "+".join(("only", *shown)) if shown else "none", frozenset(HIDEABLE) - frozenset(shown)
        return
    yield "all", frozenset()
    if way == "without":
        for item in items:
            hidden = _names(item)
            if not hidden:
                raise ConfigError("a group of no names is the run with all, which there is already")
            yield "-".join(("without", *hidden)), frozenset(hidden)
        return
    names = [name for item in items for name in _names(item)]
    if len(names) > _MOST:
        raise ConfigError(f"{len(names)} names are {2 ** len(names)} runs; give {_MOST} at most")
    for count in range(1, len(names) + 1):
        for hidden in combinations(names, count):
            yield "-".join(("without", *hidden)), frozenset(hidden)


def _list(value: object) -> list[object]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f'{value!r} is no list of extensions: ["PIPELINING"]')
    items = list(value)
    if not items:
        raise ConfigError("the list is empty")
    return items


def _names(item: object) -> tuple[str, ...]:
    names = (item,) if isinstance(item, str) else tuple(item) if isinstance(item, Iterable) else (item,)
    found = []
    for name in names:
        if not isinstance(name, str) or name.upper() not in HIDEABLE:
            raise ConfigError(f"{name!r} is no extension that is offered here; there are {', '.join(HIDEABLE)}")
        found.append(name.upper())
    return tuple(dict.fromkeys(found))
