"""A running network and its panes: what happens goes into the feed, what people do comes back."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smtp_pair.clients import scripted
from smtp_pair.clients.message import ClientError, Draft
from smtp_pair.clock import Clock, SystemClock
from smtp_pair.mail.errors import ConfigError, NotRunning
from smtp_pair.mail.message import Mail
from smtp_pair.mail_files import mail_file
from smtp_pair.screen import console
from smtp_pair.screen.lines import Line
from smtp_pair.screen.panes.feed import Feed, State
from smtp_pair.screen.panes.model import Place, client_line

if TYPE_CHECKING:
    from smtp_pair.network import Network
    from smtp_pair.server import Server

PULSE = 0.5
"""Seconds between two looks at queues and faults."""
QUEUE = 50
"""Recipients in a queue that are shown at most."""
MISSING = "--tui needs Textual: pip install 'smtp-pair[tui]'"


def wanted() -> bool:
    """Whether there is a terminal to draw on; where there is none, lines are written instead. Raises ConfigError where
    the extra is missing."""
    if importlib.util.find_spec("textual") is None:
        raise ConfigError(MISSING)
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)) and (
        os.environ.get("TERM") != "dumb"
    )


def show(
    servers: Live, *, at_start: Callable[[], object] = lambda: None, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Show the panes until somebody leaves them, or SIGINT or SIGTERM comes; ``at_start`` is called once they stand.
    The exit code. The process is theirs: signals that come later, while the servers stop, do nothing. ``stopped`` tells
    of one that came before."""
    from smtp_pair.screen.panes.app import PanesApp

    app = PanesApp(servers, at_start=at_start)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.stop())
    if stopped():
        return 0
    with servers.watched():
        app.run()
    return app.return_code or 0


class Live:
    """What the screen asks of the network. Used on the screen's thread; nothing here waits for a server."""

    def __init__(self, network: Network, feed: Feed, clock: Clock | None = None) -> None:
        self.feed = feed
        self._now = (clock or SystemClock()).now
        self._network = network
        labels = console.labels([server.domain for server in network])
        self.places = [
            Place(server.hostname, server.domain, labels[server.domain], server.address) for server in network
        ]
        self._told: dict[str, State] = {}
        self._looking = threading.Lock()

    def directory(self, hostname: str) -> Path:
        """A server's folder."""
        return self._network[hostname].directory

    def mail(self, hostname: str, mail_id: str) -> Mail | None:
        """A mail that lies in a mailbox of a server."""
        return next((mail for mail in reversed(self._network[hostname].messages) if mail.id == mail_id), None)

    def waiting(self, hostname: str, mail_id: str) -> bytes | None:
        """A mail that waits in a server's queue, where it lies on disk."""
        with suppress(OSError):
            return mail_file(self.directory(hostname) / "spool", mail_id).read_bytes()
        return None

    def send(self, draft: Draft, hostname: str) -> threading.Thread:
        """Give a mail to a server. The conversation, and what becomes of it, come through the feed."""
        server = self._network[hostname]
        return self.run(lambda show: _send(draft, server, show))

    def run(self, work: Callable[[Callable[[str], None]], Iterable[Line]]) -> threading.Thread:
        """Do something with the client's pane as its screen: what it shows, and then its lines. In a thread of its own,
        which the end of the program does not wait for: a server may be told never to answer."""
        thread = threading.Thread(target=self._run, args=[work], name="smtp-pair client", daemon=True)
        thread.start()
        return thread

    def _run(self, work: Callable[[Callable[[str], None]], Iterable[Line]]) -> None:
        shortened = console.Shortened()

        def show(text: str) -> None:
            short = shortened(text)
            line = client_line(short) if short is not None else None
            if line is not None:
                self.feed.put(line)

        try:
            for line in work(show):
                self.feed.put(line)
        except (ClientError, NotRunning, OSError) as error:  # the servers stop while it is under way
            self.feed.put(Line("", f"{error}.", "bad", 2))

    # -- queues and faults ---------------------------------------------------------------------------------------------

    def look(self) -> int:
        """Tell the feed how the servers are, where that has changed; how many recipients wait. Waits for the servers'
        thread."""
        with self._looking:  # else an older look could be told after a newer one
            states = [_state(server, self._now) for server in self._network]
            for state in states:
                if self._told.get(state.hostname) != state:
                    self._told[state.hostname] = state
                    self.feed.put(state)
        return sum(state.waiting for state in states)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While it lasts, the feed is told of all that is said, and how the servers are."""
        over = threading.Event()

        def watch() -> None:
            waiting = self.look()
            while not over.wait(PULSE * (1 + waiting // 1000)):  # a long queue takes long to be copied
                waiting = self.look()

        watcher = threading.Thread(target=watch, name="smtp-pair panes", daemon=True)
        with ExitStack() as at_the_end:
            for server in self._network:
                at_the_end.callback(server.follow(self.feed.put))
            watcher.start()
            at_the_end.callback(watcher.join)
            at_the_end.callback(over.set)
            yield


def _state(server: Server, now: Callable[[], float]) -> State:
    faults = tuple(str(fault) for fault in server.faults)
    try:
        queue = server.queue
    except NotRunning:
        return State(server.hostname, running=False, faults=faults)
    moment = now() if queue else 0.0
    return State(server.hostname, True, server.faults.is_down, tuple(queue[:QUEUE]), len(queue), faults, moment)


def _send(draft: Draft, server: Server, show: Callable[[str], None]) -> Iterator[Line]:
    yield Line("", f"to {server.hostname}", "accent")
    scripted.send(draft, server.host, server.port, show=show)
    yield Line("", "")
