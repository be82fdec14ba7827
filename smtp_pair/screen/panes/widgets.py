"""What the screen is made of: rows that are drawn as they are. Only those in sight are, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from smtp_pair.screen.lines import Tone, fitted
from smtp_pair.screen.panes.model import ClientPane, SeenMail, ServerPane, matching
from smtp_pair.screen.panes.stream import Row, Stream, row

STYLES: dict[Tone, Style] = {
    "plain": Style(),
    "strong": Style(color="#ffffff", bold=True),
    "good": Style(color="#98c379"),
    "warning": Style(color="#e5c07b"),
    "bad": Style(color="#f0717b"),
    "faint": Style(color="#8b949e"),
    "accent": Style(color="#61afef"),
}
_CURSOR = Style(bgcolor="#26364d")
_FEWEST, _QUEUE, _FAULTS = 2, 4, 3  # rows


def strip_of(one: Row | None, width: int, base: Style, *, left: int = 0) -> Strip:
    """A row as Textual draws it; its text is text, whatever brackets are in it."""
    if one is None:
        return Strip.blank(width, base)
    segments = [Segment(text, base + STYLES[tone]) for text, tone in one.pieces]
    return Strip(segments).crop_extend(left, left + width, base)


class Block(Widget):
    """A few rows; none: it is not there."""

    DEFAULT_CSS = "Block { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id, classes=classes)
        self.rows: Sequence[Row] = ()
        self.display = False

    def show(self, rows: Sequence[Row]) -> None:
        """Show these instead."""
        if len(rows) != len(self.rows):
            self.styles.height = len(rows)
            self.display = bool(rows)
        self.rows = rows
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return strip_of(self.rows[y] if y < len(self.rows) else None, self.size.width, self.rich_style)


class Rows(ScrollView, can_focus=True):
    """Rows that can be scrolled."""

    DEFAULT_CSS = """
    Rows { overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable; scrollbar-size-vertical: 1;
           scrollbar-color: #30363d; scrollbar-color-hover: #484f58; scrollbar-color-active: #61afef;
           scrollbar-background: $background; scrollbar-background-hover: $background;
           scrollbar-background-active: $background; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()

    @property
    def room(self) -> int:
        """Columns for a row."""
        return self.scrollable_content_region.width

    def show(self, rows: Sequence[Row]) -> None:
        """Show these instead; where it was scrolled to stays."""
        self.rows = rows
        self.virtual_size = Size(self.room, len(rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        return strip_of(self._row(number), self.size.width, self._base(number))

    def _row(self, number: int) -> Row | None:
        return self.rows[number] if number < len(self.rows) else None

    def _base(self, number: int) -> Style:
        return self.rich_style


class StreamView(Rows):
    """A stream. It follows what comes, until somebody scrolls up."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream
        self.following = True
        self._gone = 0
        self._wanted = ""

    class Paused(Message):
        """Whether it follows is another than before."""

    def update(self, wanted: str) -> None:
        """Show what has come; ``wanted``: only what has that in it."""
        self._wanted = wanted
        if self.stream.shape(self.room, wanted):
            self._gone = 0
        gone, self._gone = self.stream.gone - self._gone, self.stream.gone
        self.show(self.stream.rows)
        if self.following:
            self._to_the_end()
        elif gone > 0:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        self.update(self._wanted)

    def follow(self, on: bool) -> None:
        """Follow, or stay."""
        if on != self.following:
            self.following = on
            self.post_message(self.Paused())
        if on:
            self._to_the_end()

    def _to_the_end(self) -> None:
        # Forced: before the next layout Textual does not know yet that there is more than fits.
        self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)

    def action_scroll_up(self) -> None:
        self.follow(False)
        super().action_scroll_up()

    def action_page_up(self) -> None:
        self.follow(False)
        super().action_page_up()

    def action_scroll_home(self) -> None:
        self.follow(False)
        super().action_scroll_home()

    def action_scroll_end(self) -> None:
        self.follow(True)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        self.follow(False)


class MailList(Rows):
    """The mails of a server, the newest last. The cursor stays with the newest until it is moved."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home,g", "move(-100000)", show=False),
        Binding("end,G", "move(100000)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(Message):
        """A mail is to be opened."""

        def __init__(self, pane: ServerPane, mail: SeenMail) -> None:
            super().__init__()
            self.pane, self.mail = pane, mail

    def __init__(self, pane: ServerPane) -> None:
        super().__init__()
        self.pane = pane
        self.mails: list[SeenMail] = []
        self._at: SeenMail | None = None
        """The mail that the cursor was moved to; None: the newest."""

    @property
    def cursor(self) -> int:
        """The cursor's row; -1: there is none."""
        if self._at in self.mails:
            return self.mails.index(self._at)
        return len(self.mails) - 1

    def update(self, wanted: str) -> None:
        """Show what has come."""
        self.mails = matching(self.pane.mails, wanted)
        most = self.parent.size.height * 3 // 10 if isinstance(self.parent, Widget) else 0
        self.styles.height = max(_FEWEST, min(len(self.mails), most))
        self.show([mail.row(self.room) for mail in self.mails])
        self._keep_in_sight()

    def on_resize(self) -> None:
        self.show([mail.row(self.room) for mail in self.mails])
        self._keep_in_sight()

    def _base(self, number: int) -> Style:
        return self.rich_style + _CURSOR if self.has_focus and number == self.cursor else self.rich_style

    def action_move(self, by: int) -> None:
        if self.mails:
            at = min(max(self.cursor + by, 0), len(self.mails) - 1)
            self._at = self.mails[at] if at < len(self.mails) - 1 else None
            self._keep_in_sight()
            self.refresh()

    def action_open(self) -> None:
        if self.mails:
            self.post_message(self.Opened(self.pane, self.mails[self.cursor]))

    def on_click(self, event: events.Click) -> None:
        number = self.scroll_offset.y + event.y
        if number < len(self.mails):
            self.action_move(number - self.cursor)
            if event.chain == 2:
                self.action_open()

    def _keep_in_sight(self) -> None:
        top, height, at = self.scroll_offset.y, self.size.height, max(self.cursor, 0)
        if not top <= at < top + height:
            self.scroll_to(y=at if at < top else at - height + 1, animate=False, immediate=True, force=True)


class Pane(Vertical):
    """A server's pane, or the client's."""

    DEFAULT_CSS = """
    Pane { width: 1fr; height: 1fr; border-left: solid #21262d; }
    Pane.first { border-left: none; }
    Pane > .head { background: #161b22; }
    Pane.active > .head { background: #1f3a5f; }
    Pane StreamView { height: 1fr; }
    """

    def __init__(self, number: int, model: ServerPane | ClientPane) -> None:
        super().__init__()
        self.number, self.model = number, model
        self._wanted = ""
        self.head = Block(classes="head")
        self.summary, self.mails_rule, self.stream_rule = Block(), Block(), Block()
        self.queue, self.faults = Block(), Block()
        self.stream = StreamView(model.stream)
        self.mails = MailList(model) if isinstance(model, ServerPane) else None

    def compose(self) -> list[Widget]:
        """The blocks, from top to bottom."""
        if self.mails is None:
            return [self.head, self.stream_rule, self.stream]
        return [
            *(self.head, self.summary, self.mails_rule, self.mails),
            *(self.queue, self.faults, self.stream_rule, self.stream),
        ]

    def on_resize(self) -> None:
        self.update(self._wanted)

    def on_descendant_focus(self) -> None:
        self.add_class("active")

    def on_descendant_blur(self) -> None:
        self.remove_class("active")

    def on_stream_view_paused(self) -> None:
        self._show_stream_rule()

    def focus_pane(self) -> None:
        """Put the cursor into it."""
        (self.mails or self.stream).focus()

    def update(self, wanted: str) -> None:
        """Show what has come."""
        self._wanted = wanted
        room = self.content_size.width
        self._show_head(room)
        if isinstance(self.model, ServerPane) and self.mails is not None:
            self.summary.show([self.model.summary(room)])
            self.mails_rule.show([_rule("mails", room)])
            self.mails.update(wanted)
            queue, faults = self.model.queue(room, _QUEUE), self.model.faults(room, _FAULTS)
            self.queue.show([_rule("queue", room), *queue] if queue else [])
            self.faults.show([_rule("faults", room), *faults] if faults else [])
        self._show_stream_rule()
        self.stream.update(wanted)

    def _show_head(self, room: int) -> None:
        name = f" {self.number} {self.model.title}"
        text, tone = self.model.status if isinstance(self.model, ServerPane) else ("", "faint")
        gap = room - len(name) - len(text) - 1
        if gap < 1 and tone == "faint":
            gap, text = max(0, room - len(name)), ""
        self.head.show([Row(((name, "strong"), (" " * max(1, gap), "plain"), (f"{text} ", tone)))])

    def _show_stream_rule(self) -> None:
        room = self.content_size.width
        self.stream_rule.show([_rule("conversation", room, "" if self.stream.following else "paused")])


def _rule(name: str, room: int, note: str = "") -> Row:
    tail = f" {note} " if note else ""
    line = "─" * max(0, room - len(name) - len(tail) - 1)
    return Row(((f"{name} ", "faint"), (line, "faint"), (tail, "warning")))


def hints(keys: Sequence[tuple[str, str]], room: int, note: str = "") -> Row:
    """Keys and what they do in one row, as many as there is room for, the last two (help, quit) rather than others."""
    keys = list(keys)
    used = len(note) + 1
    while len(keys) > 1 and sum(len(key) + len(what) + 3 for key, what in keys) + used > room:
        del keys[-3 if len(keys) > 2 else 0]
    pieces: list[tuple[str, Tone]] = []
    for key, what in keys:
        pieces += [(f" {key}", "accent"), (f" {what} ", "faint")]
    filled = sum(len(text) for text, _ in pieces)
    return Row((*pieces, (" " * max(0, room - filled - used), "plain"), (note, "warning")))


def tabs(names: Sequence[str], active: int, room: int) -> Row:
    """Names with their numbers, one of them active."""
    pieces: list[tuple[str, Tone]] = []
    for number, name in enumerate(names):
        pieces.append((f" {number + 1} {name} ", "strong" if number == active else "faint"))
    return (
        Row(tuple(pieces))
        if sum(len(text) for text, _ in pieces) <= room
        else row(fitted(f" {active + 1} {names[active]}  ({len(names)} in all)", room), "strong")
    )
