"""Reads ServerMSG.txt as a person does: by its lines, without the code that wrote them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

_RULE = "=" * 100
_FIELD = re.compile(r"([A-Z][A-Za-z ]*[a-z0-9]): +(.*)")
_OUTCOME = re.compile(
    r"\w{3}, .* \+0000  (?P<mail>\S+): <(?P<recipient>.*)> (?P<what>forwarded to .*|put off, .*|failed, .*)"
)


class ServerMsg(NamedTuple):
    """What is in the file."""

    mails: list[dict[str, Any]]
    """One for each mail, by the words before its colons."""
    outcomes: list[tuple[str, str, str]]
    """What became of those that were passed on: the mail, the recipient, and what happened."""


def read_server_msg(path: Path) -> ServerMsg:
    """Raises ValueError for a line that belongs nowhere."""
    mails: list[dict[str, Any]] = []
    outcomes: list[tuple[str, str, str]] = []
    for line in path.read_text("utf-8").split("\n"):
        outcome = _OUTCOME.fullmatch(line)
        if outcome:
            outcomes.append((outcome["mail"], outcome["recipient"], outcome["what"]))
        elif line == _RULE:
            mails.append({"Recipient": [], "Attachments": [], "Raw mail": "", "Text": []})
        elif line and line != "Text:":
            _line_of_a_mail(mails[-1], line)
    for mail in mails:
        del mail["Received"]  # the moment and the client: the journal says it in other words
        if mail["Dated"] == "(no date)":
            mail["Dated"] = ""
    return ServerMsg(mails, outcomes)


def _line_of_a_mail(mail: dict[str, Any], line: str) -> None:
    field = _FIELD.fullmatch(line)
    if line.startswith(" " * 13) and mail["Attachments"] and not mail["Text"]:
        mail["Attachments"][-1] += (line.strip(),)
    elif line.startswith("    "):
        mail["Text"].append(line[4:])
    elif field is None:
        raise ValueError(f"ServerMSG.txt: what is {line!r}?")
    elif field[1].startswith("Attachment "):
        mail["Attachments"].append((field[2],))
    elif field[1] == "Recipient":
        mail["Recipient"].append(field[2])
    else:
        mail[field[1]] = field[2]
