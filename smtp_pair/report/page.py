"""The whole file: one page, with nothing loaded from elsewhere, no script, and a policy that allows neither. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from smtp_pair.report import network_map, plots, time_line
from smtp_pair.report.figures import latencies, net, over_time
from smtp_pair.report.mail_view import Room
from smtp_pair.report.markup import Html, counted, fold, table, tag
from smtp_pair.report.run import Run, Test
from smtp_pair.report.section import show
from smtp_pair.report.styles import STYLE

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'none'; connect-src 'none'; "
    "form-action 'none'; base-uri 'none'"
)
OPENED = 3
"""Failures that are not folded."""


def render(run: Run, *, room: Room | None = None) -> str:
    """The report. ``room`` says how much of it mails may take."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", run.title),
        tag("style", Html(STYLE)),
    ]
    tests = sorted(run.tests, key=lambda test: (not test.failed, test.began, test.name))
    body = [
        tag("a", "Skip to the tests", href="#tests", class_="skip"),
        tag("header", tag("h1", run.title), _sums(run)),
        tag("main", list(_overview(run)), list(_tests(run, tests, room or Room()))),
        tag("footer", tag("p", "Made by smtp-pair. Nothing in this file is fetched, and nothing runs.")),
    ]
    return "<!doctype html>\n" + tag("html", tag("head", head), tag("body", body), lang="en") + "\n"


def _sums(run: Run) -> Html:
    outcomes = Counter(test.outcome for test in run.tests)
    spans = run.spans
    began = min((span.began for span in spans), default=0.0) or min((fact.moment for fact in run.facts), default=0.0)
    mails = sum(len(test.mails) for test in run.tests)
    parts = [tag("span", counted(mails, "mail"))]
    if not run.of_servers:
        parts.insert(0, tag("span", f"{counted(len(run.tests), 'test')} with mail"))
        parts += [
            tag("span", f"{outcomes[name]:,} {name}", class_=name)
            for name in ("failed", "passed", "skipped")
            if outcomes[name]
        ]
        parts += [tag("span", f"{len(run.others):,} without mail")] if run.others else []
    workers = len({span.worker for span in spans})
    parts += [tag("span", counted(workers, "worker"))] if workers > 1 else []
    if began:
        parts.append(tag("span", datetime.fromtimestamp(began, UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")))
    return tag("p", [part for one in parts for part in (one, " ")], class_="sums")


def _overview(run: Run) -> Iterator[Html]:
    together = net(run.tests)
    if together.places:
        rows = list(network_map.rows(together))
        words = table(network_map.HEADS, rows, "The network as text")
        left = len(together.places) - len(network_map.busiest(together))
        note = tag("p", f"The {left:,} less busy servers are in the text.", class_="dim") if left else None
        yield tag(
            "section",
            tag("h2", "Network", id="network"),
            tag("div", tag("div", network_map.draw(together), note), tag("div", words), class_="beside"),
            aria_labelledby="network",
        )
    spans = run.spans
    if spans:
        rows = list(time_line.rows(spans))
        yield tag(
            "section",
            tag("h2", "The run", id="run"),
            time_line.draw(spans),
            fold("As a table", table(time_line.HEADS, rows, "Workers")),
            aria_labelledby="run",
        )
    found = latencies(run)
    _, length, counts = over_time(run, plots.BINS)
    if found or counts:
        both = []
        if found:
            why = (
                "delivered: from the last octet to the 250; the others: from the 250 to the end, by the servers' clock"
            )
            both.append(
                tag("div", tag("h3", "How long delivery took"), tag("p", why, class_="dim"), plots.latency(found))
            )
        if counts:
            why = "recipients, by when they came to it"
            both.append(
                tag("div", tag("h3", "Mail over time"), tag("p", why, class_="dim"), plots.over_time(length, counts))
            )
        yield tag(
            "section",
            tag("h2", "Figures", id="figures"),
            tag("div", both, class_="beside even"),
            aria_labelledby="figures",
        )


def _tests(run: Run, tests: Sequence[Test], room: Room) -> Iterator[Html]:
    failed = sum(test.failed for test in tests)
    shown = [
        show(test, number, room, open_=len(tests) == 1 or (test.failed and number <= OPENED))
        for number, test in enumerate(tests, 1)
    ]
    head = tag("h2", "Servers" if run.of_servers else "Tests", id="tests-head")
    choice: list[Html] = []
    if failed and failed < len(tests):
        choice = [
            tag("input", type="radio", name="which", id="all", checked=True),
            tag("label", f"all {len(tests):,}", for_="all"),
            tag("input", type="radio", name="which", id="failed"),
            tag("label", f"failed {failed:,}", for_="failed"),
        ]
        legend = tag("legend", "Which tests are shown", class_="hidden")
        yield tag(
            "section",
            head,
            tag("fieldset", legend, choice, tag("div", shown), class_="which"),
            id="tests",
            aria_labelledby="tests-head",
        )
    else:
        none = None if shown else tag("p", "No mail in any of them.", class_="dim")
        yield tag("section", head, none, shown, id="tests", aria_labelledby="tests-head")
