"""What lies over the panes for a while: a mail, a form to write one, the keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Label, TextArea

from smtp_pair.clients import file_dialogue
from smtp_pair.clients.message import Attachment, ClientError, Draft, Mailbox
from smtp_pair.screen.lines import Line, fitted
from smtp_pair.screen.panes.mail_view import PAGES, OpenMail
from smtp_pair.screen.panes.model import Place
from smtp_pair.screen.panes.stream import Row, row, rows_of
from smtp_pair.screen.panes.widgets import Block, Rows, hints, tabs
from smtp_pair.server_msg import one_line

_BOX = """
    {name} {{ align: center middle; background: #0d1117 60%; }}
    {name} > Vertical {{ background: #0d1117; border: round #3d5a80; padding: 0 1; }}
"""


class MailScreen(ModalScreen[None]):
    """A mail, page by page."""

    CSS = _BOX.format(name="MailScreen") + "MailScreen > Vertical { width: 94%; max-width: 110; height: 92%; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", show=False),
        Binding("right,tab,l", "turn(1)", show=False, priority=True),
        Binding("left,shift+tab,h", "turn(-1)", show=False, priority=True),
        *(Binding(str(number), f"page({number})", show=False) for number in range(1, len(PAGES) + 1)),
    ]

    def __init__(self, mail: OpenMail) -> None:
        super().__init__()
        self.mail = mail
        self.page = 0
        self._pages: dict[int, list[Line]] = {}
        self._head, self._tabs, self._foot = Block(), Block(), Block()
        self.body = Rows(id="page")

    def compose(self) -> ComposeResult:
        """Title and envelope, the pages' names, the page."""
        yield Vertical(self._head, self._tabs, self.body, self._foot)

    def on_mount(self) -> None:
        self.body.focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def action_turn(self, by: int) -> None:
        """Go to the next page, or the one before."""
        self.action_page((self.page + by) % len(PAGES) + 1)

    def action_page(self, number: int) -> None:
        """Go to a page, counted from 1."""
        self.page = number - 1
        self._show()
        self.body.scroll_home(animate=False, immediate=True)

    def _show(self) -> None:
        room = self.body.room
        title = row(fitted(one_line(self.mail.title), room).rstrip(), "strong")
        self._head.show([title, *(one for line in self.mail.summary() for one in rows_of(line, room)), row("")])
        self._tabs.show([tabs(PAGES, self.page, room), row("─" * (room + 1), "faint")])
        if self.page not in self._pages:
            self._pages[self.page] = self.mail.page(PAGES[self.page])
        self.body.show([one for line in self._pages[self.page] for one in rows_of(line, room)])
        self._foot.show([hints([("←→", "page"), ("↑↓", "scroll"), ("esc", "close")], room)])


@dataclass(slots=True)
class Written:
    """What has been typed into the form, kept while it is not sent."""

    sender: str = ""
    to: str = ""
    title: str = ""
    text: str = ""
    files: list[Path] = field(default_factory=list)


class ComposeScreen(ModalScreen[Draft | None]):
    """A form for a mail. What is typed stays when it is closed; what can't be is said, and nothing is lost."""

    CSS = (
        _BOX.format(name="ComposeScreen")
        + """
    ComposeScreen > Vertical { width: 90%; max-width: 84; height: auto; max-height: 96%; }
    ComposeScreen Horizontal { height: auto; margin: 0 0 1 0; }
    ComposeScreen Label { width: 8; color: #8b949e; }
    ComposeScreen Input { width: 1fr; height: 1; border: none; padding: 0 1; background: #161b22; }
    ComposeScreen Input:focus { background: #1f3a5f; }
    ComposeScreen TextArea { width: 1fr; height: 6; border: none; background: #161b22; padding: 0 1; }
    ComposeScreen TextArea:focus { background: #1b2533; }
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False),
        Binding("ctrl+s", "send", show=False, priority=True),
        Binding("ctrl+o", "pick", show=False, priority=True),
    ]

    def __init__(self, written: Written, place: Place) -> None:
        super().__init__()
        self.written, self.place = written, place
        self._says, self._foot = Block(), Block()
        self._sender = Input(written.sender or f"vader@{place.domain}", id="sender")
        self._to = Input(written.to, id="to", placeholder="obiwan@jaku.com, Leia <leia@deathstar.com>")
        self._subject = Input(written.title, id="title")
        self._text = TextArea(written.text, id="text", tab_behavior="focus", show_line_numbers=False)
        self._file = Input("", id="file", placeholder="a path; → completes it, Enter adds it", suggester=_Paths())

    def compose(self) -> ComposeResult:
        """A field beside the name of each."""
        with Vertical():
            yield self._says
            for name, widget in (
                ("From", self._sender),
                ("To", self._to),
                ("Title", self._subject),
                ("Text", self._text),
                ("Attach", self._file),
            ):
                yield Horizontal(Label(name), widget)
            yield self._foot

    def on_mount(self) -> None:
        self._to.focus()
        self.call_after_refresh(self._say)

    def on_resize(self) -> None:
        self.call_after_refresh(self._say)

    def _say(self, problem: str = "") -> None:
        room = self.query_one(Vertical).content_size.width
        head = row(f"A mail through {self.place.hostname}", "strong")
        files: list[Row] = []
        for path in self.written.files:
            files += rows_of(Line("", f"with {path}", "good"), room)
        wrong = rows_of(Line("", f"{problem}.", "bad"), room) if problem else [row("")]
        self._says.show([head, *files, *wrong])
        keys = [("^s", "send"), ("tab", "next"), ("^o", "file dialogue"), ("esc", "close")]
        self._foot.show([hints(keys, room)])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is not self._file:
            self.focus_next()
        elif event.value.strip():
            self._add_file(file_dialogue.as_path(event.value.strip()))

    def _add_file(self, path: Path) -> None:
        try:
            Attachment.read(path)
        except ClientError as error:
            self._say(str(error))
            return
        self.written.files.append(path)
        self._file.value = ""
        self._say()

    def action_pick(self) -> None:
        """Have a file picked in a window, where there can be one; the screen goes on meanwhile."""
        self.run_worker(self._pick(), exclusive=True)

    async def _pick(self) -> None:
        try:
            path = await asyncio.to_thread(file_dialogue.ask_in_dialogue)
        except file_dialogue.NoDialogueError as why:
            self._say(f"no file dialogue here ({why}): type the path")
            self._file.focus()
            return
        if path is not None:
            self._add_file(path)

    def action_close(self) -> None:
        """Close the form; it opens again as it is."""
        self._keep()
        self.dismiss(None)

    def action_send(self) -> None:
        """Send what is written, if it can be."""
        self._keep()
        if self._file.value.strip():
            self._say("a path is typed and not added: press Enter in its field, or empty it")
            return
        try:
            draft = self._draft()
        except ClientError as error:
            self._say(str(error))
            return
        self.written.to = self.written.title = self.written.text = ""
        self.written.files.clear()
        self.dismiss(draft)

    def _keep(self) -> None:
        written = self.written
        written.sender, written.to, written.title = self._sender.value, self._to.value, self._subject.value
        written.text = self._text.text

    def _draft(self) -> Draft:
        """Raises ClientError, which names what can't be."""
        written = self.written
        recipients = [Mailbox.of(part.strip()) for part in written.to.split(",") if part.strip()]
        if not recipients:
            raise ClientError("there is no recipient")
        text = written.text if not written.text or written.text.endswith("\n") else f"{written.text}\n"
        return Draft(
            Mailbox.of(written.sender),
            recipients,
            written.title,
            text,
            [Attachment.read(path) for path in written.files],
        )


class _Paths(Suggester):
    """The rest of a path that is typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        found = await asyncio.to_thread(file_dialogue.completions, value) if value else []
        return next((path for path in found if path.isprintable()), None)


class HelpScreen(ModalScreen[None]):
    """What the keys do."""

    CSS = _BOX.format(name="HelpScreen") + "HelpScreen > Vertical { width: 66; max-width: 96%; height: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,space,question_mark,f1", "dismiss", show=False)]

    def __init__(self, panes: int) -> None:
        super().__init__()
        self._keys = (
            (f"1 ... {min(9, panes)}", "go to a pane; Tab: between its mails and its conversation"),
            ("↑ ↓", "move in the mails; scroll the conversation, which stops following"),
            ("enter", "open the mail at the cursor: text, headers, attachments, raw, hops"),
            ("/", "show only what has a text in it, in all panes; esc shows all"),
            ("f", "follow the conversation, or stay"),
            ("s", "send the scripted mail to the first server"),
            ("c", "write a mail for the server in focus"),
            ("q", "stop the servers, and leave; so does Ctrl-C"),
            ("", ""),
            ("✓ →", "delivered here; passed on"),
            ("… ↻", "waits; was put off, and is tried again"),
            ("✗ -", "failed; ignored"),
        )
        self._rows = Block()

    def compose(self) -> ComposeResult:
        """All of it in one block."""
        yield Vertical(self._rows)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        room = self.query_one(Vertical).content_size.width
        rows = [row("Keys", "strong"), row("")]
        for key, what in self._keys:
            first, *more = rows_of(Line("", what), max(24, room - 10))
            rows.append(Row(((f"{key:<10}", "accent"), *first.pieces)))
            rows += [Row(((" " * 10, "plain"), *one.pieces)) for one in more]
        self._rows.show(rows)
