"""The demo: two servers, one mail to three recipients, what became of it, and whether that is right.

:func:`run` does it and gives a value, :func:`report` makes lines of the value, :func:`main` is the command.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from smtp_pair.clients import scripted
from smtp_pair.clients.conversation import Show
from smtp_pair.clients.message import Attachment, ClientError, Draft
from smtp_pair.facts import Fact
from smtp_pair.mail.errors import MailNotFound
from smtp_pair.mail.message import Mail
from smtp_pair.network import Pair
from smtp_pair.screen import console, problems
from smtp_pair.screen.lines import Line, Screen
from smtp_pair.screen.panes import live
from smtp_pair.screen.panes.feed import Feed
from smtp_pair.server import Server

HERE, ONWARD, NOWHERE = "obiwan@jaku.com", "vader@deathstar.com", "paimon@genshinimpact.com"
"""The recipients of the scripted mail: at home at jaku, at deathstar, and where no route leads."""
PATIENCE = 10.0
"""Seconds for the copy that is passed on; it takes a few milliseconds."""
CLIENT = "client"

_HANG = 10


@dataclass(frozen=True, slots=True)
class Sent:
    """What a file on disk is to be compared with."""

    what: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a server wrote."""

    actor: str
    path: str
    """Below the server's folder."""
    size: int
    sha256: str
    content: str = ""
    """The digest of the part that was sent: the whole of an attachment; a mail without the servers' lines on top."""
    sent: Sent | None = None
    """None for a server's own records."""

    @property
    def equal(self) -> bool:
        """Whether what was sent is what lies there."""
        return self.sent is None or self.content == self.sent.sha256


@dataclass(frozen=True, slots=True)
class Run:
    """What happened."""

    actors: tuple[str, ...]
    lines: tuple[Line, ...]
    """What was said and done, in its order."""
    files: tuple[Written, ...]
    problems: tuple[str, ...]
    """What is not as it should be; none: all is right."""


def run(pair: Pair, *, patience: float = PATIENCE, show: Show = lambda _: None) -> Run:
    """Send the scripted mail to the running pair's jaku.com, and look at all that comes of it. ``show`` is told what
    the client says, while it does."""
    labels = console.labels([server.domain for server in pair])
    names = {server.hostname: labels[server.domain] for server in pair}
    facts: SimpleQueue[Fact] = SimpleQueue()
    pair.subscribe(facts.put)
    before = {path: state for server in pair for path, state in _snapshot(server).items()}
    mail = scripted.ScriptedMail()
    said, result, problems = _sent(pair, mail, patience, show)
    told = [facts.get_nowait() for _ in range(facts.qsize())]
    attached = [Attachment.of(each) for each in mail.attachments]
    files = [
        written
        for server in pair
        for written in _written(server, names[server.hostname], before, result.sha256, attached)
    ]
    problems += [*_outcomes(pair, result, told), *_contents(pair, attached, files)]
    lines = [*_ready(pair, names), *_in_order(said, told, names, pair.jaku.hostname)]
    return Run((*names.values(), CLIENT), tuple(lines), tuple(files), tuple(problems))


def _sent(
    pair: Pair, mail: Draft, patience: float, shown: Show
) -> tuple[list[tuple[float, str]], scripted.Result, list[str]]:
    """Send the mail and wait until nothing moves: what the client said, and when; its result; what went wrong."""
    said: list[tuple[float, str]] = []

    def show(text: str) -> None:
        said.append((time.time(), text))
        shown(text)

    try:
        result = scripted.send(mail, pair.jaku.host, pair.jaku.port, show=show)
    except ClientError as error:
        return said, scripted.Result((), {}), [str(error)]
    pair.settle()
    if ONWARD in result.accepted:
        with contextlib.suppress(MailNotFound):  # whether it is there is looked at with all the rest
            pair.deathstar.wait_for(to=ONWARD, timeout=patience)
            pair.settle()
    return said, result, []


def report(done: Run) -> Iterator[Line]:
    """The run as lines: what happened, the files, the verdict."""
    yield from done.lines
    yield Line("", "")
    yield from findings(done)


def findings(done: Run) -> Iterator[Line]:
    """The files, and whether all is right."""
    yield Line("", "The files, with the sha256 of what is on disk and of what was sent:", "strong")
    for written in done.files:
        yield from _file(written)
    yield Line("", "")
    for problem in done.problems:
        yield Line("", f"wrong: {problem}", "bad", hang=7)
    if not done.problems:
        yield Line("", "All three outcomes are right, and every digest is equal.", "good")


def main(data: Path | None = None, *, tui: bool = False) -> int:
    """Run the demo; 0 only if all is right. The folder goes when all is right and nobody named one to keep. ``tui``:
    in panes, where there is a terminal, until somebody leaves them.

    Raises StartError when the servers can't start there, ConfigError where the extra ``tui`` is missing.
    """
    tui = tui and live.wanted()
    with contextlib.ExitStack() as cleaning:
        folder = data
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="smtp-pair-demo-"))
            cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
        with Pair(directory=folder) as pair:
            done = _on_panes(pair) if tui else run(pair)
        if done is None:
            print("left before it was done: nothing was checked")
            return 1
        if done.problems:
            cleaning.pop_all()
        screen = Screen.of(sys.stdout, done.actors)
        screen.write(findings(done) if tui else report(done))
        kept = data is not None or done.problems
        where = f"The files are in {folder}." if kept else "The files are removed now; --data DIR keeps them."
        screen.write([Line("", where, "faint")])
    return 1 if done.problems else 0


def _on_panes(pair: Pair) -> Run | None:
    """The same in panes; None: they were left before it was done."""
    feed = Feed()
    pair.subscribe(feed.put)
    servers = live.Live(pair, feed)
    done: list[Run] = []

    def work(show: Show) -> Iterator[Line]:
        done.append(run(pair, show=show))
        yield Line("", "")
        yield from findings(done[0])

    with problems.logged_to(feed.put):
        live.show(servers, at_start=lambda: servers.run(work))
    return done[0] if done else None


# -- in the order in which it happened ---------------------------------------------------------------------------------


def _ready(pair: Pair, names: Mapping[str, str]) -> Iterator[Line]:
    for server in pair:
        yield Line(
            names[server.hostname], f"ready     {server.hostname} for {server.domain}, at {server.address}", "strong"
        )


def _in_order(
    said: Sequence[tuple[float, str]], facts: Sequence[Fact], names: Mapping[str, str], first: str
) -> Iterator[Line]:
    """The client's lines and the servers' facts as one story.

    What the first server did with the client's mail lies between the client's command and the reply to it, and the
    moments say so. What it did afterwards ran beside the client's goodbye, in an order that nobody could tell and
    that is another one each time: it is told afterwards.
    """
    answers = [fact for fact in facts if fact.server == first and fact.event in ("received", "refused")]
    shortened = console.Shortened()
    short = [(moment, shortened(text)) for moment, text in said]
    conversation = [
        (moment, [Line(CLIENT, text, console.client_tone(text), hang=6)]) for moment, text in short if text is not None
    ]
    acts = [(fact.moment, console.lines(fact, names[first], brief=True)) for fact in answers]
    for _, lines in heapq.merge(conversation, acts, key=lambda event: event[0]):
        yield from lines
    for fact in facts:
        if fact not in answers:
            yield from console.lines(fact, names[fact.server], brief=True)


# -- what was written --------------------------------------------------------------------------------------------------


def _snapshot(server: Server) -> dict[Path, tuple[int, int]]:
    """A server's files, each with its size, and with what changes when it is written to."""
    paths = sorted(path for path in server.directory.rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def _written(
    server: Server, actor: str, before: Mapping[Path, object], mail_sent: str, files_sent: Sequence[Attachment]
) -> Iterator[Written]:
    counterparts: dict[Path, tuple[str, Sent]] = {}
    for mail in server.messages:
        counterparts[mail.path] = mail.sha256, Sent("the mail", mail_sent)
        for attachment, original in zip(mail.attachments, files_sent, strict=False):
            counterparts[attachment.path] = "", Sent(original.filename, _sha256(original.content))
    for path, state in _snapshot(server).items():
        if before.get(path) != state:
            sha256 = _sha256(path.read_bytes())
            content, sent = counterparts.get(path, ("", None))
            name = path.relative_to(server.directory).as_posix()
            yield Written(actor, name, state[0], sha256, content or sha256, sent)


def _file(written: Written) -> Iterator[Line]:
    yield Line(written.actor, f"{written.path}, {written.size:,} octets")
    yield Line(written.actor, f"  on disk  {written.sha256}", "faint", _HANG)
    if written.sent is not None:
        if written.content != written.sha256:
            yield Line(written.actor, f"  content  {written.content}  without its trace", "faint", _HANG)
        sent = f"  sent     {written.sent.sha256}  {written.sent.what}: {'equal' if written.equal else 'DIFFERENT'}"
        yield Line(written.actor, sent, "good" if written.equal else "bad", _HANG)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- whether it is right -----------------------------------------------------------------------------------------------


def _outcomes(pair: Pair, result: scripted.Result, facts: Sequence[Fact]) -> Iterator[str]:
    """What is wrong with what became of the three recipients."""
    for server, address in ((pair.jaku, HERE), (pair.deathstar, ONWARD)):
        if _delivered(server, address) is None:
            why = str(result.refused.get(address, "")) or _last_attempt(address, facts) or "accepted, and not there"
            yield f"{address} should have the mail at {server.hostname}, and has not: {why}"
    refusal = result.refused.get(NOWHERE)
    if refusal is None or refusal.code != 550 or not refusal.text.startswith("5.1.2 "):
        yield f"{NOWHERE} should be refused with 550 5.1.2, and was {f'refused: {refusal}' if refusal else 'not'}"


def _last_attempt(address: str, facts: Sequence[Fact]) -> str:
    tried = [fact for fact in facts if fact.data.get("recipient") == address and "next_hop" in fact.data]
    return f"{tried[-1].event}, {tried[-1].data['reply']}" if tried else ""


def _contents(pair: Pair, sent: Sequence[Attachment], files: Sequence[Written]) -> Iterator[str]:
    """What is wrong with what lies on disk."""
    for server in pair:
        for mail in server.messages:
            names, wanted = [each.filename for each in mail.attachments], [each.filename for each in sent]
            if names != wanted:
                yield f"{server.hostname} found the attachments {names} in the mail; {wanted} were sent"
            for attachment in mail.attachments:
                if not attachment.path.is_file():
                    yield f"{attachment.path.name} is missing at {server.hostname}"
    for written in files:
        if not written.equal:
            yield f"{written.path} at {written.actor} is not what was sent"


def _delivered(server: Server, address: str) -> Mail | None:
    return next((mail for mail in server.messages if address in mail.delivered_to), None)
