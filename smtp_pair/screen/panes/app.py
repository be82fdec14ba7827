"""The screen: panes side by side, and what the keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.theme import Theme
from textual.widgets import Input

from smtp_pair.clients import scripted
from smtp_pair.clients.message import Draft
from smtp_pair.mail.message import Mail
from smtp_pair.screen.lines import Line
from smtp_pair.screen.panes.dialogs import ComposeScreen, HelpScreen, MailScreen, Written
from smtp_pair.screen.panes.feed import Feed
from smtp_pair.screen.panes.mail_view import OpenMail
from smtp_pair.screen.panes.model import Panes, Place
from smtp_pair.screen.panes.widgets import Block, MailList, Pane, hints, tabs

TICK = 0.1
"""Seconds between two looks at the feed: what has come in between is drawn at once."""
NARROW, WIDE = 80, 160
"""Columns below which there is one pane at a time, and from which on more than three may stand side by side."""
COLUMNS = 40
"""Of each pane, where there are more than three."""
NOWHERE = "paimon@genshinimpact.com"
_KEYS = (
    ("/", "filter"),
    ("f", "follow"),
    ("⏎", "open"),
    ("s", "send"),
    ("c", "compose"),
    ("?", "help"),
    ("q", "quit"),
)


class Actions(Protocol):
    """What the screen asks of the servers; :class:`smtp_pair.screen.panes.live.Live`."""

    feed: Feed
    places: list[Place]

    def directory(self, hostname: str) -> Path:
        """A server's folder."""

    def mail(self, hostname: str, mail_id: str) -> Mail | None:
        """A mail in a mailbox there."""

    def waiting(self, hostname: str, mail_id: str) -> bytes | None:
        """A mail in the queue there."""

    def send(self, draft: Draft, hostname: str) -> object:
        """Give a mail to a server, without waiting."""


class PanesApp(App[None]):
    """The servers' panes and the client's."""

    TITLE = "smtp-pair"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    #strip { background: #161b22; }
    #panes { height: 1fr; }
    #foot { background: #161b22; }
    #filter { height: 1; border: none; padding: 0 1; background: #1f3a5f; display: none; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"focus_pane({n})", show=False) for n in range(1, 10)),
        Binding("slash", "filter", show=False),
        Binding("f", "follow", show=False),
        Binding("enter", "open", show=False),
        Binding("s", "send", show=False),
        Binding("c", "compose", show=False),
        Binding("question_mark,f1", "help", show=False),
        Binding("escape", "clear_filter", show=False),
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, actions: Actions, *, at_start: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.actions = actions
        self.model = Panes(actions.places)
        self.panes = [Pane(number, model) for number, model in enumerate(self.model, 1)]
        self.wanted = ""
        """What the filter is for, "" for all."""
        self.written = Written()
        """A mail that was written and is not sent."""
        self._focused = 0
        self._at_start = at_start
        self._screens_loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def compose(self) -> ComposeResult:
        """Tabs, where not all panes fit; the panes; the filter, while it is typed; the keys."""
        yield Block(id="strip")
        yield Horizontal(*self.panes, id="panes")
        yield Input(placeholder="filter", id="filter")
        yield Block(id="foot")

    def on_mount(self) -> None:
        self.register_theme(_THEME)
        self.theme = _THEME.name
        self.set_interval(TICK, self.flush)
        self.panes[0].focus_pane()
        for line in _WELCOME:
            self.actions.feed.put(line)
        self._screens_loop = asyncio.get_running_loop()
        if self._stopped:
            self.exit()
        self._at_start()

    def stop(self) -> None:
        """End it; from any thread, and from a signal's handler."""
        self._stopped = True
        if self._screens_loop is not None and not self._screens_loop.is_closed():
            self._screens_loop.call_soon_threadsafe(self.exit)

    def flush(self) -> None:
        """Draw what has come."""
        for number in self.model.take(self.actions.feed.take()):
            self.panes[number].update(self.wanted)

    # -- which panes are seen ------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        self._arrange(event.size.width)

    def _arrange(self, width: int) -> None:
        """As many panes as fit, the focused one among them; the others are a tab away."""
        if width < NARROW:
            most = 1
        else:
            most = max(3, width // COLUMNS) if width >= WIDE else 3
        first = min(max(0, self._focused - most + 1), max(0, len(self.panes) - most))
        for number, pane in enumerate(self.panes):
            pane.display = first <= number < first + most
            pane.set_class(number == first, "first")
        strip, foot = self.query_one("#strip", Block), self.query_one("#foot", Block)
        names = [pane.model.title for pane in self.panes]
        strip.show([tabs(names, self._focused, width)] if most < len(self.panes) else [])
        note = f"filter: {self.wanted}  esc clears " if self.wanted else ""
        foot.show([hints([(f"1-{min(9, len(self.panes))}", "pane"), *_KEYS], width, note)])

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        for number, pane in enumerate(self.panes):
            if event.widget in (pane.mails, pane.stream) and number != self._focused:
                self._focused = number
                self._arrange(self.size.width)

    def action_focus_pane(self, number: int) -> None:
        """Go to a pane, counted from 1."""
        if number <= len(self.panes):
            self._focused = number - 1
            self._arrange(self.size.width)
            self.panes[self._focused].focus_pane()

    # -- filter and follow ---------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Ask for a text; only what has it in it is shown, in all panes."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.value = self.wanted
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self._want(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            self._close_filter()

    def action_clear_filter(self) -> None:
        """Show all again."""
        self.query_one("#filter", Input).value = ""
        self._want("")
        self._close_filter()

    def _close_filter(self) -> None:
        field = self.query_one("#filter", Input)
        if field.has_class("open"):
            field.remove_class("open")
            self.panes[self._focused].focus_pane()

    def _want(self, wanted: str) -> None:
        if wanted != self.wanted:
            self.wanted = wanted
            for pane in self.panes:
                pane.update(wanted)
            self._arrange(self.size.width)

    def action_follow(self) -> None:
        """Follow what comes in the focused pane, or stay where it is."""
        view = self.panes[self._focused].stream
        view.follow(not view.following)

    # -- mails ---------------------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        """Open the mail at the cursor of the focused pane."""
        mails = self.panes[self._focused].mails
        if mails is not None:
            mails.action_open()

    def on_mail_list_opened(self, event: MailList.Opened) -> None:
        where, name = event.pane.place.hostname, event.mail.id
        mail = self.actions.mail(where, name)
        waiting = self.actions.waiting(where, name) if mail is None else None
        self.push_screen(MailScreen(OpenMail(event.mail, self.actions.directory(where), mail, waiting)))

    def action_send(self) -> None:
        """Send the scripted mail to the first server."""
        places = self.actions.places
        self.actions.send(scripted_mail([place.domain for place in places]), places[0].hostname)

    def action_compose(self) -> None:
        """Write a mail for the focused server; from the client's pane, for the last."""
        places = self.actions.places
        place = places[min(self._focused, len(places) - 1)]

        def done(draft: Draft | None) -> None:
            if draft is not None:
                self.actions.send(draft, place.hostname)

        self.push_screen(ComposeScreen(self.written, place), done)

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(HelpScreen(len(self.panes)))


def scripted_mail(domains: list[str]) -> scripted.ScriptedMail:
    """The mail of ``smtp-pair send``, for these domains: one recipient at home at the first, one at the next, one that
    no route leads to."""
    home, away = domains[0], domains[1:2]
    onward = [f"vader@{domain}" for domain in away]
    return scripted.ScriptedMail(f"luke@{home}", (f"obiwan@{home}", *onward, NOWHERE))


_WELCOME = (
    Line("", "s sends the scripted mail: three files, three recipients, three outcomes", "faint"),
    Line("", "c writes one", "faint"),
)
_THEME = Theme(
    "smtp-pair",
    primary="#61afef",
    secondary="#c678dd",
    accent="#61afef",
    warning="#e5c07b",
    error="#f0717b",
    success="#98c379",
    foreground="#d1d7e0",
    background="#0d1117",
    surface="#161b22",
    panel="#161b22",
)
