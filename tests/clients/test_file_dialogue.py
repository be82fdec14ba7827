"""Paths typed at the prompt, and what readline knows before and after."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from smtp_pair.clients import file_dialogue
from smtp_pair.clients.file_dialogue import FilePicker, as_path, completions, path_completion


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and working folder with names that are awkward to type."""
    for name in ("two words.txt", "two worlds.txt", ".hidden", "o'hara"):
        (tmp_path / name).write_text("")
    (tmp_path / "sub folder").mkdir()
    (tmp_path / "sub folder" / "inside").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("two ", ["two words.txt", "two worlds.txt"]),
        ("su", ["sub folder/"]),
        ("sub folder/", ["sub folder/inside"]),
        ("~/su", ["~/sub folder/"]),
        ("", ["o'hara", "sub folder/", "two words.txt", "two worlds.txt"]),
        (".h", [".hidden"]),
        ("nowhere/x", []),
        ("two words.txt/x", []),
        ("\0/", []),
    ],
)
def test_completions(folder: Path, typed: str, completed: list[str]) -> None:
    """Whole paths, spaces and all; folders end with a slash; hidden files want their dot; no folder, no completions."""
    assert completions(typed) == completed


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("two words.txt", "two words.txt"),
        ("'two words.txt'", "two words.txt"),
        ('"two words.txt"', "two words.txt"),
        (r"two\ words.txt", "two words.txt"),
        ("o'hara", "o'hara"),
        ("'~/x'", "~/x"),
    ],
)
def test_a_path_may_be_quoted(folder: Path, typed: str, meant: str) -> None:
    """As terminals do when a file is dropped on them; a name that exists is never taken for a quoted one."""
    assert str(as_path(typed)) == meant


def test_readline_is_given_back_as_it_was() -> None:
    """Completer and delimiters, after an interruption too."""
    readline = pytest.importorskip("readline")

    def own(typed: str, state: int) -> None:
        return None

    before = readline.get_completer(), readline.get_completer_delims()
    readline.set_completer(own)
    readline.set_completer_delims(" ,")
    try:
        with contextlib.suppress(KeyboardInterrupt), path_completion():
            assert readline.get_completer() is not own
            assert readline.get_completer_delims() == ""
            raise KeyboardInterrupt
        assert (readline.get_completer(), readline.get_completer_delims()) == (own, " ,")
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])


def test_without_a_screen_the_path_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told once, not for each file."""
    monkeypatch.setattr(file_dialogue, "missing_screen", lambda: "this Python has no tkinter")
    told: list[str] = []
    answers = iter(["a b", "  "])
    pick = FilePicker(lambda prompt: next(answers), told.append)
    assert os.fspath(pick() or "") == "a b"
    assert pick() is None
    assert told[-1] == "No file dialogue here (this Python has no tkinter): type the path; Tab completes it."
    assert sum("tkinter" in line for line in told) == 1
