"""The interactive client: asks for a mail piece by piece, and sends it.

`write` is the dialogue and knows no terminal: it asks through `ask`, tells through `show` and gets files from
`pick_file`. `compose` sends what was written. `run` is the edge: a terminal, Ctrl-C, the exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO, TypeVar

from smtp_pair.clients.conversation import Result, Show, deliver
from smtp_pair.clients.file_dialogue import FilePicker
from smtp_pair.clients.message import Attachment, ClientError, Draft, Mailbox, checked_address, refuse_controls, shown

Ask = Callable[[str], str]
PickFile = Callable[[], Path | None]
T = TypeVar("T")

SENDER = "vader@deathstar.com"
YES_OR_NO = "[y]es [N]o"
YES = frozenset({"y", "yes", "s", "sim"})
NO = frozenset({"", "n", "no", "não", "nao"})

INTERRUPTED, NOT_SENT = 130, 1  # exit codes: Ctrl-C as shells have it; end of input, or no recipient accepted


def write(sender: str | Mailbox, *, ask: Ask, show: Show, pick_file: PickFile) -> Draft:
    """Ask for a whole mail. What cannot be is said with the reason, and asked again.

    Raises:
        EOFError, KeyboardInterrupt: from `ask`: whoever answers has left.
    """
    questions = _Questions(ask, show)
    title = questions.until("Title: ", _title)
    recipients = [_recipient(questions)]
    while questions.yes(f"Another recipient? {YES_OR_NO}: "):
        recipients.append(_recipient(questions))
    text = _content(questions)
    attachments: list[Attachment] = []
    while questions.yes(f"Attach {'another' if attachments else 'a'} file? {YES_OR_NO}: "):
        attachment = _picked(questions, pick_file)
        if attachment:
            attachments.append(attachment)
            show(f"  Attached: {shown(attachment.filename)}, {size(len(attachment.content))}")
        else:
            show("  No file was chosen.")
    return Draft(sender, recipients, title, text, attachments)


def compose(
    host: str,
    port: int,
    *,
    sender: str | Mailbox = SENDER,
    ask: Ask = input,
    show: Show = print,
    pick_file: PickFile | None = None,
    progress: TextIO | None = None,
    timeout: float = 60,
) -> Result:
    """Ask for a mail and send it, with the conversation and a line for each recipient shown.

    A server that is not there costs nobody the mail just typed: sending can be tried again.

    Raises:
        EOFError, KeyboardInterrupt: when the answers end, or on Ctrl-C; a line has said whether anything was sent.
        ClientError: when the sender's address is none, or the mail could not be sent and was given up.
    """
    sender = Mailbox.of(sender)
    show(f"A mail from {sender}, through {shown(host)}:{port}. Ctrl-C leaves.")
    try:
        draft = write(sender, ask=ask, show=show, pick_file=pick_file or FilePicker(ask, show))
    except (KeyboardInterrupt, EOFError):
        show("")
        show("Nothing was sent.")
        raise
    while True:
        try:
            return deliver(draft, host, port, show=show, progress=progress, timeout=timeout)
        except ClientError as problem:
            show(f"{problem}.")
            if not _try_again(_Questions(ask, show)):
                raise


def run(host: str, port: int, *, sender: str = SENDER) -> int:
    """Compose at this terminal.

    The exit code is 0 when a recipient was accepted, 1 when none was or the answers ended, 130 on Ctrl-C.

    Raises:
        ClientError: when the sender's address is none. (What stops a mail later is shown, and gives 1.)
    """
    mailbox = Mailbox.of(sender)
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401  # with it, `input` lets a line be edited
    try:
        return 0 if compose(host, port, sender=mailbox).accepted else NOT_SENT
    except (EOFError, ClientError):
        return NOT_SENT
    except KeyboardInterrupt:
        return INTERRUPTED


class _Questions:
    """Asks until the answer can be used."""

    def __init__(self, ask: Ask, show: Show) -> None:
        self.ask, self.show = ask, show

    def until(self, prompt: str, use: Callable[[str], T]) -> T:
        while True:
            try:
                return use(self.ask(prompt))
            except ClientError as problem:
                self.show(f"  Please try again: {problem}.")
            except UnicodeDecodeError:
                self.show("  Please try again: this cannot be read as text.")

    def yes(self, prompt: str) -> bool:
        return self.until(prompt, _yes_or_no)


def _yes_or_no(answer: str) -> bool:
    word = answer.strip().casefold()
    if word not in YES | NO:
        raise ClientError(f"{shown(word)!r} is neither yes nor no")
    return word in YES


def _title(answer: str) -> str:
    refuse_controls(answer, "the title")
    return answer.strip()


def _name(answer: str) -> str:
    refuse_controls(answer, "the name")
    return answer.strip()


def _recipient(questions: _Questions) -> Mailbox:
    name = questions.until("Recipient's name: ", _name)
    return Mailbox(questions.until("Recipient's address: ", checked_address), name)


def _content(questions: _Questions) -> str:
    """Lines up to a single dot. End of input ends the content as well, and only that."""
    questions.show('Content; a line with a single "." or Ctrl-D (the end of input) ends it:')
    lines: list[str] = []
    while True:
        try:
            line = questions.until("> ", str)
        except EOFError:
            questions.show("")
            break
        if line == ".":
            break
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _picked(questions: _Questions, pick_file: PickFile) -> Attachment | None:
    """The file that was picked; one that cannot be read is said so, and picked again."""
    while True:
        try:
            path = pick_file()
            return Attachment.read(path) if path else None
        except ClientError as problem:
            questions.show(f"  Please try again: {problem}.")
        except UnicodeDecodeError:
            questions.show("  Please try again: this cannot be read as text.")


def _try_again(questions: _Questions) -> bool:
    """Whether to send once more. An end of input is a no: the reason is what matters then."""
    try:
        return questions.yes(f"Try to send it again? {YES_OR_NO}: ")
    except EOFError:
        return False


def size(count: int) -> str:
    """A file's size for people."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 999_950 else f"{count / 1_000_000:.1f} MB"
