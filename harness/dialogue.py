"""Wire dialogues: scripts that read like a transcript, played to any mail server (``docs/dialogues.md``).

    for dialogue in dialogue.load():
        outcome = dialogue.run(dialogue, "127.0.0.1", 2525, "jaku.com")
        assert outcome.passed, outcome

The scripts are in ``harness/dialogues``; what they are made of is in ``harness/wire_scripts``.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from harness.wire_scripts.heard import dialogue_of
from harness.wire_scripts.needs import NEEDS, missing
from harness.wire_scripts.player import play
from harness.wire_scripts.reader import read
from harness.wire_scripts.script import Dialogue, Outcome, ScriptError
from harness.wire_scripts.subject import Subject
from harness.wire_scripts.writer import write

__all__ = [
    "DIALOGUES",
    "NEEDS",
    "Dialogue",
    "Outcome",
    "ScriptError",
    "Subject",
    "dialogue_of",
    "load",
    "missing",
    "play",
    "run",
    "write",
]

DIALOGUES = Path(__file__).with_name("dialogues")
"""The project's own."""
PATIENCE = 10.0
"""Seconds that a server may take for one answer."""
LIMIT = 60.0
"""Seconds that one dialogue may take."""


def load(folder: Path | str = DIALOGUES) -> list[Dialogue]:
    """The dialogues in the ``*.smtp`` files of a folder, or in one such file; in the order of their rules.

    Raises ScriptError, naming file and line, for what can't be read; OSError where there is no such folder.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.smtp")) if folder.is_dir() else [folder]
    found = [dialogue for file in files for dialogue in _read(file)]
    names: dict[str, Dialogue] = {}
    for one in found:
        if (other := names.setdefault(one.name, one)) is not one:
            raise ScriptError(one.path, one.line, f"{one.name!r} is in {other.path}:{other.line} already")
    return sorted(found, key=lambda one: int(one.rule[1:]))


def _read(file: Path) -> list[Dialogue]:
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise ScriptError(str(file), line, "is not UTF-8; an octet of another kind is written \\xHH") from None
    return read(text, str(file))


def run(
    dialogue: Dialogue,
    host: str,
    port: int,
    domain: str,
    *,
    patience: float = PATIENCE,
    limit: float = LIMIT,
    context: ssl.SSLContext | None = None,
    **more: Any,
) -> Outcome:
    """Play a dialogue to the server at HOST:PORT that has mail for ``domain``.

    ``more`` is what else a Subject knows of it: ``user``, ``route``, ``unknown``, ``name`` and ``password`` ... What
    the dialogue needs is not asked for here: see :func:`missing`. ``context``: for TLS; none: whoever the server is.
    Nothing is raised for what a server does, not even where there is none: that is an outcome too.
    """
    return play(dialogue, Subject(host, port, domain, **more), patience=patience, limit=limit, context=context)
