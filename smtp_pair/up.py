"""``smtp-pair up``: servers that run until they are told to stop, and what happens on them on the console.

The servers have a thread of their own. What they tell goes through a queue to the main thread, which writes: a
terminal that is slow, or held with Ctrl-S, holds up no mail.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from smtp_pair import config_file, fault_words, tls
from smtp_pair.config import PATIENT_RETRY, THE_PAIR, Config, Domain, WhenUnreachable
from smtp_pair.disk import remove_quietly, write_new
from smtp_pair.facts import Fact
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError, StartError
from smtp_pair.network import Network
from smtp_pair.screen import console, problems
from smtp_pair.screen.lines import Line, Screen
from smtp_pair.screen.panes import live
from smtp_pair.screen.panes.feed import Feed

LAG = 10_000
"""Facts that may wait to be shown; more are counted instead: nobody reads them, and the memory is finite."""
NAP = 0.5
"""Seconds of one wait for something to happen. A wait without an end would sleep through a signal that came right
before it began; and on Windows through every one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    data: Path
    config: Path | None = None
    host: str = "localhost"
    ports: Mapping[str, int] = field(default_factory=dict)
    unreachable: WhenUnreachable | None = None
    ready_file: Path | None = None
    faults: Sequence[str] = ()
    """As the command line has them (:mod:`smtp_pair.fault_words`)."""
    fault_addresses: bool = False
    tui: bool = False
    """Three panes instead of lines, where there is a terminal."""


def run(settings: Settings) -> int:
    """Run servers until SIGINT or SIGTERM. The process is theirs: its handlers of the two stay, so that nobody who
    presses Ctrl-C again while they stop sees a traceback.

    Raises ConfigError and StartError, each with one line that names the culprit, and then nothing was left behind;
    OSError when nobody reads the console any more.
    """
    tui = settings.tui and live.wanted()
    events = _Events()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, events.stop)
    config = _config(settings)
    network = Network(
        *config.domains,
        routes=config.routes,
        directory=settings.data,
        host=settings.host,
        durability="durable",
        retry=PATIENT_RETRY,
        dns=config.dns or False,
        allow_remote=config.allow_remote,
    )
    if tui:
        return _on_panes(network, settings, events)
    network.subscribe(events.put)
    with _started(network, settings), problems.logged_to(events.put):
        actors = console.labels([server.domain for server in network])
        labels = {server.hostname: actors[server.domain] for server in network}
        screen = Screen.of(sys.stdout, list(actors.values()))
        for server in network:
            ready = f"ready     {server.hostname} for {server.domain}, at {server.address}, in {server.directory}"
            screen.write([Line(labels[server.hostname], ready, "strong", hang=10)])
        authority = _authority(network)
        if authority is not None:
            screen.write([Line("", f"trust     {authority} is the authority of the certificates", "faint", hang=10)])
        screen.write([Line("", "Ctrl-C stops", "faint")])
        for event in events:
            screen.write(_lines(event, labels))
    for event in events.left():  # a mail may have come, or been passed on, until the very end
        screen.write(_lines(event, labels))
    screen.write([Line("", "stopped", "strong")])
    return 0


def _on_panes(network: Network, settings: Settings, events: _Events) -> int:
    """The same on a screen of its own, which is gone at the end; one line stays."""
    feed = Feed()
    network.subscribe(feed.put)
    with _started(network, settings), problems.logged_to(feed.put):
        code = live.show(live.Live(network, feed), stopped=lambda: events.stopped)
        folders = ", ".join(str(server.directory) for server in network)
    print(f"stopped; the mails are in {folders}")
    return code


class _Events:
    """What happened, on its way from the servers' thread, or from a signal, to the console."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Fact | Line | None] = SimpleQueue()  # put() is safe in a signal's handler
        self._dropped = 0
        self.stopped = False

    def put(self, event: Fact | Line) -> None:
        if self._queue.qsize() < LAG:
            self._queue.put(event)
        else:
            self._dropped += 1

    def stop(self, *_: object) -> None:
        self.stopped = True
        self._queue.put(None)

    def __iter__(self) -> Iterator[Fact | Line]:
        """Each event when it comes, up to the stop."""
        while True:
            try:
                event = self._queue.get(timeout=NAP)
            except Empty:
                continue
            if event is None:
                return
            yield event
            yield from self._missing()

    def left(self) -> Iterator[Fact | Line]:
        """What has come since, without waiting."""
        with contextlib.suppress(Empty):
            while True:
                event = self._queue.get_nowait()
                if event is not None:
                    yield event
        yield from self._missing()

    def _missing(self) -> Iterator[Line]:
        if self._dropped and self._queue.empty():
            dropped, self._dropped = self._dropped, 0
            yield Line("", f"{dropped:,} more events came too fast for this screen; journal.jsonl has them", "warning")


def _config(settings: Settings) -> Config:
    """The configuration, as the command line changes it. Raises ConfigError."""
    config = config_file.load(settings.config) if settings.config is not None else Config(THE_PAIR)
    known = {domain_key(domain.name): number for number, domain in enumerate(config.domains)}
    domains = list(config.domains)
    for name, port in settings.ports.items():
        number = known.get(domain_key(name))
        if number is None:
            raise ConfigError(f"--port: no domain is called {name!r}; there are {', '.join(d.name for d in domains)}")
        domains[number] = replace(domains[number], port=port)
    if settings.unreachable is not None:
        domains = [replace(domain, unreachable=settings.unreachable) for domain in domains]
    if settings.fault_addresses:
        domains = [replace(domain, fault_addresses=True) for domain in domains]
    for text in settings.faults:
        domains = _with_fault(domains, text)
    return replace(config, domains=tuple(domains))


def _with_fault(domains: list[Domain], text: str) -> list[Domain]:
    """The domains, and the fault at the one that it names, or at all. Raises ConfigError."""
    try:
        name, fault = fault_words.parse_for_domain(text)
        names = {domain_key(domain.name) for domain in domains}
        if name is not None and domain_key(name) not in names:
            known = ", ".join(domain.name for domain in domains)
            raise ConfigError(f"{text!r}: no domain is called {name!r}; there are {known}")
        chosen = [domain for domain in domains if name is None or domain_key(name) == domain_key(domain.name)]
        for domain in chosen:
            if fault.tls and domain.tls == "off":
                raise ConfigError(f"{text!r}: {domain.name} has no TLS that could be broken; tls = ... of --config")
        return [replace(one, faults=(*one.faults, fault)) if one in chosen else one for one in domains]
    except ConfigError as error:
        raise ConfigError(f"--fault: {error}") from None


@contextlib.contextmanager
def _started(network: Network, settings: Settings) -> Iterator[None]:
    """The network running, and what tells others of it on disk. Raises StartError, and then nothing of it is left."""
    made = [path for path in (settings.data, *settings.data.parents) if not path.exists()]
    network.start()
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(network.stop)
        try:
            authority = _authority(network)
            if authority is not None:
                _write_authority(authority)
                at_the_end.callback(remove_quietly, [authority])  # the next run has another one
            if settings.ready_file is not None:
                text = "".join(f"{server.domain} {server.host} {server.port}\n" for server in network).encode()
                _write_whole(settings.ready_file, text)
                at_the_end.callback(_remove_own, settings.ready_file, text)
        except StartError:
            at_the_end.close()
            remove_quietly(made)
            raise
        yield


def _authority(network: Network) -> Path | None:
    """Where the certificate lies that clients have to trust; None: no server has TLS."""
    return network.directory / "ca.pem" if any(server.config.tls != "off" for server in network) else None


def _write_authority(path: Path) -> None:
    """Raises StartError."""
    try:
        tls.write_authority(path)
    except OSError as error:
        raise StartError(error.errno, f"{path}: can't be written: {error.strerror}") from None


def _write_whole(path: Path, text: bytes) -> None:
    """Whoever waits for the file never sees a half of it. Raises StartError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            write_new(fresh, [text], durable=False)
            os.replace(fresh, path)
        finally:
            remove_quietly([fresh])
    except OSError as error:
        raise StartError(error.errno, f"--ready-file: {path} can't be written: {error.strerror}") from None


def _remove_own(path: Path, text: bytes) -> None:
    """Remove the ready file, unless another run has written its own there since."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == text:
            path.unlink()


def _lines(event: Fact | Line, labels: Mapping[str, str]) -> list[Line]:
    return [event] if isinstance(event, Line) else console.lines(event, labels[event.server])
