"""A report card of any mail server on this machine: ``python3 run.py check HOST:PORT --domain DOMAIN``.

It plays the dialogues (``harness/dialogues``) that the server has what it takes for, sends a few mails as clients do,
and prints what each rule wants, what came, and whether that is it. ``docs/dialogues.md`` shows how.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness import dialogue
from harness.dialogue import Dialogue, Outcome, Subject
from harness.report_card import page, scenarios, text
from harness.report_card.card import Card, Row
from harness.wire_scripts.connection import connect
from harness.wire_scripts.expectation import Answer, Came, Improper
from harness.wire_scripts.needs import NEEDS, offered
from harness.wire_scripts.script import Act, Expect
from smtp_pair.config import destination, is_loopback
from smtp_pair.mail.errors import ConfigError
from smtp_pair.routes import NextHop

PATIENCE, LIMIT = 5.0, 300.0
LONGEST_DIALOGUE = 30.0
"""Seconds."""
BREATH = 1.0
"""Seconds that a server is left alone that gave no greeting, before it is asked once more."""
GONE = 3
"""Dialogues in a row without a connection: then the server is no longer there."""
CODES = """\
exit codes: 0 each rule that was looked at is kept; 1 some are not, or it speaks no SMTP; 2 there was nothing to look
at: a bad argument, or nobody who answers. It makes several hundred connections and sends mails to the address of
--user: only a server on this machine is probed, unless --yes-this-host names another one again."""


def main(words: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(words)
    try:
        subject, has = _subject(options)
        chosen = _chosen(options.rule)
        for file in (options.json, options.html):
            if file is not None and not file.absolute().parent.is_dir():
                raise ConfigError(f"{file}: there is no folder {file.absolute().parent}")
    except (ConfigError, dialogue.ScriptError) as error:
        return _unusable(str(error))
    if problem := scenarios.reachable(subject.host, subject.port, options.patience):
        return _unusable(f"{options.server}: nobody answers there: {problem}")
    try:
        card = check(subject, has, chosen, patience=options.patience, limit=options.limit, mails=not options.rule)
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(text.render(card))
    try:
        if options.json is not None:
            options.json.write_text(card.json(), "utf-8")
        if options.html is not None:
            options.html.write_text(page.render(card), "utf-8")
    except OSError as error:
        return _unusable(f"{error.filename}: {error.strerror}")
    return 1 if card.failed else 0


def _unusable(why: str) -> int:
    print(f"check: {why}", file=sys.stderr)
    return 2


# -- what to look at -------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py check", description="A report card of a mail server.", epilog=CODES)
    parser.add_argument("server", metavar="HOST:PORT", help="the server to look at")
    parser.add_argument("--domain", required=True, metavar="DOMAIN", help="a mail domain that is its own")
    parser.add_argument("--user", metavar="ADDRESS", default="", help="an address that takes mail (postmaster's)")
    parser.add_argument("--unknown", metavar="ADDRESS", default="", help="an address of the domain that nobody has")
    parser.add_argument("--route", metavar="ADDRESS", default="", help="one elsewhere, to which it passes mail on")
    parser.add_argument("--denied", metavar="ADDRESS", default="", help="one elsewhere, not for mail of strangers")
    parser.add_argument("--null-mx", metavar="ADDRESS", default="", help="one in a domain that takes no mail at all")
    parser.add_argument(
        "--auth", metavar="NAME:PASSWORD", default="", help="for AUTH, where it is offered in the clear"
    )
    parser.add_argument("--tls", choices=["starttls", "implicit"], default="", help="say everything in TLS")
    parser.add_argument("--has", metavar="WHAT", action="append", default=[], choices=sorted(NEEDS), help=_has_help())
    parser.add_argument("--rule", metavar="C44", action="append", default=[], help="this rule alone; may be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the card as JSON too")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the card as a page too")
    parser.add_argument("--patience", metavar="S", type=_seconds, default=PATIENCE, help="seconds for one answer (5)")
    parser.add_argument("--limit", metavar="S", type=_seconds, default=LIMIT, help="seconds for everything (300)")
    parser.add_argument("--yes-this-host", metavar="HOST", default="", help="HOST again, where it is not this machine")
    return parser


def _has_help() -> str:
    return f"what else the server has, may be repeated: {', '.join(sorted(NEEDS))}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _subject(options: argparse.Namespace) -> tuple[Subject, set[str]]:
    """Raises ConfigError."""
    hop = destination(options.server, allow_remote=True)
    if not isinstance(hop, NextHop):
        raise ConfigError(f"{options.server!r} is not HOST:PORT")
    if not is_loopback(hop.host) and options.yes_this_host != hop.host:
        raise ConfigError(
            f"{hop.host!r} is not this machine, and probing others' servers is not ours to do; "
            f"if it is yours, say so: --yes-this-host {hop.host}"
        )
    if options.route and options.denied:
        raise ConfigError("--route and --denied: a server passes mail of strangers on, or does not")
    for name in ("user", "unknown", "route", "denied", "null_mx"):
        value = getattr(options, name)
        if value and not re.fullmatch(r"[^\s<>]+@[^\s<>@]+", value):
            raise ConfigError(f"--{name.replace('_', '-')}: {value!r} is no address")
    if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[^\s<>]+\]", options.domain):
        raise ConfigError(f"--domain: {options.domain!r} is no domain")
    user, colon, password = options.auth.partition(":")
    if options.auth and not (user and colon and password):
        raise ConfigError("--auth: is not NAME:PASSWORD")
    told = {
        "users": options.unknown,
        "route": options.route,
        "stranger": options.denied,
        "null mx": options.null_mx,
        "auth": options.auth,
    }
    subject = Subject(
        hop.host,
        hop.port,
        options.domain,
        user=options.user,
        unknown=options.unknown,
        route=options.route or options.denied,
        nomail=options.null_mx,
        name=user,
        password=password,
        tls=options.tls,
    )
    return subject, {need for need, value in told.items() if value} | set(options.has)


def _chosen(rules: Sequence[str]) -> list[Dialogue]:
    """Raises ConfigError for a rule that no dialogue is about."""
    found = dialogue.load()
    known = {one.rule for one in found}
    for rule in rules:
        if rule.upper() not in known:
            raise ConfigError(f"--rule: no dialogue is about {rule!r}")
    return [one for one in found if not rules or one.rule in {rule.upper() for rule in rules}]


# -- the look --------------------------------------------------------------------------------------------------------


def check(
    subject: Subject,
    has: set[str],
    dialogues: Sequence[Dialogue],
    *,
    patience: float = PATIENCE,
    limit: float = LIMIT,
    mails: bool = True,
) -> Card:
    """The card of a server. ``has``: what is known of it beside what its EHLO offers. In ``limit`` seconds it is over,
    whatever the server does."""
    start = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    server = f"[{subject.host}]:{subject.port}" if ":" in subject.host else f"{subject.host}:{subject.port}"
    greeting, hello = _introduced(subject, patience, start + limit)
    if not isinstance(hello, Answer) or hello.code != 250:
        first, wanted = (greeting, "220") if _is_no_greeting(greeting) else (hello, "250 to EHLO")
        row = Row("C1" if wanted == "220" else "C2", "the first words", "fail", wanted, str(first))
        problem = "It does not speak SMTP: nothing else was tried."
        return Card(server, subject.domain, at, "", (), (row,), time.monotonic() - start, problem)
    offers = tuple(_shown(line) for line in hello.texts[1:])
    keywords = {line.split(" ")[0].upper(): line.partition(" ")[2] for line in hello.texts[1:] if line}
    has = (has | offered(keywords)) - ({"auth"} if "AUTH" not in keywords else set())
    if subject.tls:
        has -= {"tls", "no tls"}  # what those are about has been done already
    rows: list[Row] = []
    problem = ""
    for row in _rows(subject, has, dialogues, patience, start + limit, mails):
        rows.append(row)
        if [one.expected for one in rows[-GONE:]] == ["a connection"] * GONE:
            problem = "The server is no longer there: the rest was not played."
            break
    if any(row.why == _TIME_IS_UP for row in rows):
        problem = f"After {limit:g} s time was up: the rest was not played. --limit gives it more."
    hostname = greeting.texts[0].split(" ")[0] if isinstance(greeting, Answer) else ""
    return Card(server, subject.domain, at, _shown(hostname), offers, tuple(rows), time.monotonic() - start, problem)


_TIME_IS_UP = "time was up"


def _rows(
    subject: Subject, has: set[str], dialogues: Sequence[Dialogue], patience: float, deadline: float, mails: bool
) -> Iterator[Row]:
    for one in dialogues:
        begun = time.monotonic()
        if missing := dialogue.missing(one.needs, has):
            yield Row.left_out(one, f"needs {', '.join(missing)}")
        elif subject.tls and any(isinstance(step, Act) and step.what == "half-close" for step in one.steps):
            yield Row.left_out(one, "needs a half-close, which there is none of in TLS")
        elif begun >= deadline:
            yield Row.left_out(one, _TIME_IS_UP)
        else:
            seconds = min(LONGEST_DIALOGUE, deadline - begun)
            outcome = dialogue.play(one, subject, patience=patience, limit=seconds)
            if _turned_away(outcome):
                time.sleep(max(0.0, min(BREATH, deadline - time.monotonic())))
                left = max(0.1, min(LONGEST_DIALOGUE, deadline - time.monotonic()))
                outcome = dialogue.play(one, subject, patience=patience, limit=left)
            yield Row.of(outcome, time.monotonic() - begun)
    for scenario in scenarios.scenarios(subject, has, patience=patience) if mails else ():
        begun = time.monotonic()
        if begun >= deadline:
            yield Row("", scenario.name, "not played", why=_TIME_IS_UP)
        else:
            right, expected, got = scenario.play(subject.sender)
            yield Row("", scenario.name, "pass" if right else "fail", expected, got, seconds=time.monotonic() - begun)


def _turned_away(outcome: Outcome) -> bool:
    """Whether there was no greeting: it may have had too many connections for the moment."""
    first = next((step.line for step in outcome.dialogue.steps if isinstance(step, Expect)), 0)
    return not outcome.passed and outcome.line == first and outcome.expected != "a connection"


def _introduced(subject: Subject, patience: float, deadline: float) -> tuple[Came | None, Came | None]:
    """What it says first, and to EHLO."""
    try:
        connection = connect(subject.host, subject.port, patience, deadline, tls=subject.tls)
    except OSError as error:
        return Improper(str(error).encode(), "no connection"), None
    try:
        greeting = connection.answer()[0]
        if _is_no_greeting(greeting):
            return greeting, None
        connection.send(f"EHLO {subject.client}\r\n".encode())
        return greeting, connection.answer()[0]
    finally:
        connection.close()


def _is_no_greeting(came: Came | None) -> bool:
    return not (isinstance(came, Answer) and came.code == 220)


def _shown(words: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in words)


if __name__ == "__main__":
    sys.exit(main())
