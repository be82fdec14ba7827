"""Reads a run from a folder: of results (``test-results``), of one test in it, or of servers (``up --data``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from smtp_pair import journal, transcript
from smtp_pair.facts import Fact
from smtp_pair.mail.errors import ConfigError
from smtp_pair.report import kept
from smtp_pair.report.figures import waits
from smtp_pair.report.run import MailSeen, Run, ServerSeen, Test

_TRANSCRIPT = "transcript.jsonl"


def run(folder: Path, beside: Path) -> Run:
    """What is in the folder. ``beside`` is where the report will lie: files are named as seen from there.

    Raises ConfigError where there is neither a test nor a server in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    if (folder / _TRANSCRIPT).is_file():
        return Run("Mail report", (test(folder, beside),))
    if (folder / journal.FILE_NAME).is_file():  # the folder of one server
        return Run(f"Mail of {folder.resolve().name}", (_life([folder], folder, beside),), of_servers=True)
    tests = [test(path.parent, beside) for path in sorted(folder.glob(f"*/{_TRANSCRIPT}"))]
    if tests:
        return Run("Mail report", tuple(tests))
    servers = [path.parent for path in sorted(folder.glob(f"*/{journal.FILE_NAME}"))]
    if servers:
        return Run(f"Mail of {folder.resolve().name}", (_life(servers, folder, beside),), of_servers=True)
    raise ConfigError(f"{folder}: there is neither a test's transcript in it nor a server's journal")


# -- tests -------------------------------------------------------------------------------------------------------------


def test(folder: Path, beside: Path) -> Test:
    """What was kept of a test. What can't be read is said, and the rest is there."""
    shown = _seen_from(beside, folder)
    missing = []
    try:
        sessions = transcript.loads((folder / _TRANSCRIPT).read_bytes())
    except (OSError, ValueError) as error:
        sessions = []
        missing.append(f"{_TRANSCRIPT} can't be read: {error}")
    try:
        found = kept.loads(
            (folder / kept.FILE_NAME).read_bytes(), sessions, shown, lambda file: (folder / file).read_bytes
        )
    except FileNotFoundError:
        found = Test(folder.name, sessions=tuple(sessions), mails=tuple(_raw_mails(folder, beside)), folder=shown)
    except (OSError, ValueError) as error:
        missing.append(f"{kept.FILE_NAME} can't be read: {error}")
        found = Test(folder.name, sessions=tuple(sessions), mails=tuple(_raw_mails(folder, beside)), folder=shown)
    return replace(found, missing="; ".join(missing)) if missing else found


def _raw_mails(folder: Path, beside: Path) -> Iterator[MailSeen]:
    """Where nothing but the raw mails is there."""
    for path in sorted(folder.glob("mails*/*/*.eml"), key=lambda path: (path.parent, len(path.name), path.name)):
        size = path.stat().st_size
        yield MailSeen(path.parent.name, "", 0.0, "", (), "", size, _seen_from(beside, path), path.read_bytes)


# -- servers -----------------------------------------------------------------------------------------------------------


def _life(folders: list[Path], data: Path, beside: Path) -> Test:
    """The life of some servers, as their journals tell it."""
    facts: list[Fact] = []
    missing = []
    mails: list[MailSeen] = []
    for folder in folders:
        try:
            own = journal.read(folder)
        except (OSError, ValueError) as error:
            missing.append(f"{folder / journal.FILE_NAME} can't be read: {error}")
            continue
        facts += own
        mails += _mails(own, folder, beside)
    facts.sort(key=lambda fact: fact.moment)
    open_ = [one for one in waits(facts) if not one.end]
    servers = tuple(
        ServerSeen(
            folder.resolve().name,
            folder.resolve().name.removeprefix("smtp."),
            sum(mail.server == folder.resolve().name for mail in mails),
            waiting=tuple(
                f"<{one.recipient}> ({one.mail}), {len(one.attempts)} attempts"
                for one in open_
                if one.server == folder.resolve().name
            )[:50],
        )
        for folder in folders
    )
    return Test(
        data.resolve().name,
        servers=servers,
        facts=tuple(facts),
        mails=tuple(sorted(mails, key=lambda mail: mail.moment)),
        folder=_seen_from(beside, data),
        missing="; ".join(missing),
    )


def delivered(facts: list[Fact]) -> Mapping[str, list[str]]:
    """The recipients that have their mail in a mailbox of the server, by the mail's id."""
    found: dict[str, list[str]] = {}
    for fact in facts:
        if fact.event == "received":
            here = [str(to["address"]) for to in fact.data["recipients"] if to["outcome"] == "delivered"]
            if here:
                found.setdefault(fact.mail, []).extend(here)
        elif fact.event == "delivered":
            found.setdefault(fact.mail, []).append(str(fact.data["recipient"]))
    return found


def _mails(facts: list[Fact], folder: Path, beside: Path) -> Iterator[MailSeen]:
    there = delivered(facts)
    find = _finder(folder)
    for fact in facts:
        if fact.event == "received" and fact.mail in there:
            data = fact.data
            path = find(fact.mail, str(data["file"]))
            yield MailSeen(
                fact.server,
                fact.mail,
                fact.moment,
                str(data["sender"]),
                tuple(there[fact.mail]),
                str(data["title"]),
                int(data["size"]),
                _seen_from(beside, path) if path is not None else "",
                path.read_bytes if path is not None else _gone,
            )


def _gone() -> bytes:
    raise FileNotFoundError("it is not in the mailbox any more")


def _finder(folder: Path) -> Callable[[str, str], Path | None]:
    """Finds the raw mail of an id: where its journal says, or where a mail reader has put it since."""
    moved: dict[str, Path] = {}

    def find(mail_id: str, file: str) -> Path | None:
        told = folder / file
        if file and told.is_file() and ".." not in told.parts:
            return told
        if not moved:
            for path in folder.glob("maildir/*/*/*"):
                moved[path.name.partition(".")[0]] = path
        return moved.get(mail_id)

    return find


def raw_mail(folder: Path, fact: Fact) -> Path | None:
    """The file of a mail that a server delivered; None: it is gone."""
    return _finder(folder)(fact.mail, str(fact.data["file"]))


def _seen_from(beside: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()
