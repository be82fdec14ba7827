"""The servers, the ways between them, and the domains that nobody has a way to, as a drawing. Pure.

Servers stand below each other. What clients bring comes from the left, what servers pass on goes along the right, and
what was refused ends in a red stub below the server that refused it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smtp_pair.report.figures import Net, Place, Way
from smtp_pair.report.markup import NONE, TIMES, Html, counted, tag

SERVERS = 16
"""Those that are drawn, the busiest ones; the table has all."""
STUBS = 4
"""Refused domains of one server that are drawn."""
_LEFT, _WIDE, _RIGHT = 64, 206, 110  # columns of pixels: clients, servers, ways
_BOX, _STUB, _GAP = 46, 20, 22


def draw(net: Net) -> Html:
    """The drawing; its text beside it is :func:`rows`."""
    places = busiest(net)
    names = [place.hostname for place in places] + net.strangers[: SERVERS // 2]
    tops: dict[str, int] = {}
    y = 12
    for name in names:
        tops[name] = y
        stubs = len(_stubs(net.places[name])) if name in net.places else 0
        y += _BOX + _STUB * stubs + _GAP
    height = y - _GAP + 12
    ways = [way for way in _all_ways(net, places) if way.source in tops and way.target in tops]
    width = _LEFT + _WIDE + _RIGHT
    drawn = [part for place in places for part in _server(place, tops[place.hostname])]
    drawn += [part for name in names[len(places) :] for part in _stranger(name, tops[name])]
    drawn += [part for at, way in enumerate(ways) for part in _way(way, at, len(ways), tops)]
    return tag(
        "svg",
        tag("title", f"The network: {counted(len(net.places), 'server')}, {counted(len(net.ways), 'way')} used"),
        drawn,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        class_="map",
    )


def rows(net: Net) -> Iterator[tuple[str, ...]]:
    """The same as text: a row for each server."""
    for place in net.places.values():
        out = [
            f"{way.target}: " + ", ".join(f"{getattr(way, what)} {what}" for what in _TRIED if getattr(way, what))
            for way in net.ways.values()
            if way.source == place.hostname
        ]
        refused = [f"{domain}: {times} {TIMES} {reply}" for (domain, reply), times in place.refused.most_common(20)]
        refused += [f"and {len(place.refused) - 20} more"] if len(place.refused) > 20 else []
        yield (
            place.hostname,
            place.domain or NONE,
            f"{place.accepted:,}",
            f"{place.delivered:,}",
            f"{place.waiting:,}",
            "; ".join(out) or NONE,
            "; ".join(refused) or NONE,
        )


HEADS = ("server", "domain", "mails taken", "delivered", "waiting", "passed on", "refused")
_TRIED = ("forwarded", "deferred", "failed")


def busiest(net: Net) -> list[Place]:
    """The servers that are drawn."""
    places = list(net.places.values())
    if len(places) > SERVERS:
        chosen = sorted(places, key=lambda one: -(one.accepted + one.delivered + sum(one.refused.values())))[:SERVERS]
        places = [one for one in places if one in chosen]
    return places


def _all_ways(net: Net, places: Sequence[Place]) -> list[Way]:
    """Those that were used; where there are few servers, those that were not as well."""
    unused = [
        Way(one.hostname, other.hostname)
        for one in places
        for other in places
        if len(places) <= 3 and one is not other and (one.hostname, other.hostname) not in net.ways
    ]
    return [*net.ways.values(), *unused]


def _stubs(place: Place) -> list[tuple[str, str, int]]:
    found = [(domain, reply, times) for (domain, reply), times in place.refused.most_common(STUBS)]
    rest = sum(place.refused.values()) - sum(times for _, _, times in found)
    return [*found, ("others", "", rest)] if rest else found


def _server(place: Place, y: int) -> Iterator[Html]:
    middle = y + _BOX / 2
    yield tag("rect", x=_LEFT, y=y, width=_WIDE, height=_BOX, rx=7, class_="server" + " faulty" * bool(place.faults))
    yield tag("text", _cut(place.hostname, 28), x=_LEFT + 12, y=y + 19, class_="strong")
    numbers = f"{place.delivered:,} delivered" + f", {place.waiting:,} waiting" * bool(place.waiting)
    numbers += f", {counted(place.faults, 'fault')}" * bool(place.faults)
    yield tag("text", _cut(numbers, 32), x=_LEFT + 12, y=y + 35, class_="faint")
    brought = place.brought or place.sessions
    if brought:
        yield tag("line", x1=6, x2=_LEFT - 9, y1=middle, y2=middle, class_="way")
        yield tag("path", d=f"M{_LEFT - 2} {middle:g}l-8 -4v8z", class_="tip")
        yield tag("text", f"{brought:,}", x=6, y=middle - 6, class_="faint")
        yield tag("text", "clients", x=6, y=middle + 15, class_="faint")
    for number, (domain, reply, times) in enumerate(_stubs(place)):
        at = y + _BOX + _STUB * number + 13
        yield tag("path", d=f"M{_LEFT + 14} {at - 13 - (_STUB - 13 if number else 0)}V{at - 4}h14", class_="stub")
        yield tag("path", d=f"M{_LEFT + 31} {at - 8}l8 8m0 -8l-8 8", class_="stub cross")
        words = f"{_cut(domain, 17)} {reply[:3]}" + f" {TIMES} {times:,}" * (times > 1)
        whole = tag("title", f"{domain}: {times:,} {TIMES} {reply}")
        yield tag("text", whole, words, x=_LEFT + 45, y=at, class_="refused")


def _stranger(name: str, y: int) -> Iterator[Html]:
    yield tag("rect", x=_LEFT, y=y, width=_WIDE, height=_BOX, rx=7, class_="server stranger")
    yield tag("text", _cut(name, 28), x=_LEFT + 12, y=y + 19, class_="strong")
    yield tag("text", "a next hop elsewhere", x=_LEFT + 12, y=y + 35, class_="faint")


def _way(way: Way, at: int, of: int, tops: dict[str, int]) -> Iterator[Html]:
    used = way.forwarded + way.deferred + way.failed
    kind = "unused" if not used else "trouble" if not way.forwarded else ""
    x = _LEFT + _WIDE
    down = tops[way.target] > tops[way.source]
    start, end = tops[way.source] + (32 if down else 12), tops[way.target] + (12 if down else 32)
    out = x + 24 + min(66.0, 14.0 * at if of <= 5 else 66.0 * at / of)
    yield tag("path", d=f"M{x} {start}C{out:.0f} {start} {out:.0f} {end} {x + 9} {end}", class_=f"way {kind}")
    yield tag("path", d=f"M{x + 2} {end}l8 -4v8z", class_=f"tip {kind}")
    if used:
        words = f"{way.forwarded:,}" if way.forwarded else f"{way.failed + way.deferred:,} {TIMES}"
        place = x + (out - x) * 0.75 + 5
        yield tag("text", words, x=place, y=(start + end) / 2 + 4, class_=f"count {kind}")


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
