"""A file picked by a person: in a dialogue where there is a screen, else at a path prompt with completion.

Run as a program, this file shows the dialogue and writes the chosen path to standard output. It is run so by
`FilePicker`, in a process of its own: a lost screen ends the process it belongs to, and Tk does not hear Ctrl-C.
Therefore it imports nothing of the package.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NO_DIALOGUE = 3  # the program's exit code when it could not show one


class NoDialogueError(Exception):
    """There is no dialogue here; the text says why."""


class FilePicker:
    """Asks for one file. Where the dialogue fails once, the path prompt is used from then on."""

    def __init__(self, ask: Callable[[str], str], show: Callable[[str], None]) -> None:
        self._ask, self._show = ask, show
        self._dialogue = True

    def __call__(self) -> Path | None:
        """The chosen path, as it was given, or None when nothing was chosen.

        Raises:
            KeyboardInterrupt, EOFError: on Ctrl-C, and on end of input at the prompt.
        """
        if self._dialogue:
            try:
                self._show("Choose the file in the window that opens.")
                return ask_in_dialogue()
            except NoDialogueError as problem:
                self._show(f"No file dialogue here ({problem}): type the path; Tab completes it.")
                self._dialogue = False
        return ask_at_prompt(self._ask)


def missing_screen() -> str:
    """Why there can be no dialogue, or nothing."""
    if sys.platform not in ("win32", "darwin") and not os.environ.get("DISPLAY"):
        return "there is no screen"
    if not importlib.util.find_spec("tkinter") or not importlib.util.find_spec("_tkinter"):
        return "this Python has no tkinter"
    return ""


def ask_in_dialogue() -> Path | None:
    """The file chosen in a window, or None when the window was closed.

    Raises:
        NoDialogueError: when there is no screen, no tkinter, or the window cannot be opened.
    """
    problem = missing_screen()
    if problem:
        raise NoDialogueError(problem)
    try:
        command = [sys.executable, "-I", __file__]
        window = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as error:
        raise NoDialogueError(error.strerror or str(error)) from None
    if window.returncode:
        said = window.stderr.decode("utf-8", "replace").split("\n")[0].strip()
        raise NoDialogueError(said if window.returncode == NO_DIALOGUE and said else "its window was lost")
    return Path(os.fsdecode(window.stdout)) if window.stdout else None


def ask_at_prompt(ask: Callable[[str], str]) -> Path | None:
    """The path typed at a prompt where Tab completes it, or None for an empty line."""
    with path_completion():
        typed = ask("File (an empty line for none): ").strip()
    return as_path(typed) if typed else None


def as_path(typed: str) -> Path:
    """The path meant by `typed`, which a terminal may have quoted when the file was dropped on it."""
    path = Path(typed)
    try:
        words = shlex.split(typed)
    except ValueError:  # an odd quote is a part of the name
        return path
    if len(words) == 1 and words[0] != typed and not os.path.lexists(os.path.expanduser(typed)):
        return Path(words[0])
    return path


def completions(typed: str) -> list[str]:
    """The paths that `typed` is the beginning of; folders end with a slash, hidden files want their dot typed."""
    folder, start = os.path.split(typed)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = [entry.name + (os.sep if entry.is_dir() else "") for entry in entries]
    except (OSError, ValueError):
        return []
    fitting = sorted(name for name in found if name.startswith(start) and (start or not name.startswith(".")))
    return [os.path.join(folder, name) for name in fitting]


@contextmanager
def path_completion() -> Iterator[None]:
    """While it lasts, Tab completes paths in `input`; afterwards readline is as it was before."""
    try:
        import readline
    except ImportError:  # Windows, or a Python without it: the prompt works all the same
        yield
        return
    completer, delimiters = readline.get_completer(), readline.get_completer_delims()
    matches: list[str] = []

    def complete(typed: str, state: int) -> str | None:
        if state == 0:
            matches[:] = completions(typed)
        return matches[state] if state < len(matches) else None

    editline = "libedit" in (readline.__doc__ or "")
    readline.set_completer(complete)
    readline.set_completer_delims("")  # the whole line is one path, spaces and all
    readline.parse_and_bind("bind ^I rl_complete" if editline else "tab: complete")
    try:
        yield
    finally:
        readline.set_completer(completer)
        readline.set_completer_delims(delimiters)
        if completer is None:  # nothing was completed before: Tab is a character again
            readline.parse_and_bind("bind ^I ed-insert" if editline else "tab: tab-insert")


def _show_dialogue() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Tk would not look at it before the window is closed
    try:
        import tkinter.filedialog
    except ImportError as error:
        print(error, file=sys.stderr)
        return NO_DIALOGUE
    try:
        root = tkinter.Tk()
        root.withdraw()
        root.attributes("-topmost", True)  # not hidden behind the terminal
        chosen = tkinter.filedialog.askopenfilename(parent=root, title="Attach a file")
        root.destroy()
    except tkinter.TclError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return NO_DIALOGUE
    sys.stdout.buffer.write(os.fsencode(chosen or ""))
    return 0


if __name__ == "__main__":
    sys.exit(_show_dialogue())
