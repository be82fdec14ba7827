"""What is kept of a test beside its transcript: ``test.json``. Values to text, and back. Pure.

What was said is in ``transcript.jsonl``, the mails are in ``mails/``; here is the rest that the report shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from smtp_pair.facts import Fact
from smtp_pair.report.run import MailSeen, ServerSeen, Test
from smtp_pair.transcript import Transcript

FILE_NAME = "test.json"
_FORM = 1


def dumps(test: Test) -> bytes:
    """ASCII, so that nothing in it can reach a terminal."""
    mails = [
        {
            "server": mail.server,
            "id": mail.id,
            "moment": mail.moment,
            "sender": mail.sender,
            "recipients": mail.recipients,
            "title": mail.title,
            "size": mail.size,
            "file": mail.file,
        }
        for mail in test.mails
    ]
    servers = [
        {
            "hostname": server.hostname,
            "domain": server.domain,
            "delivered": server.delivered,
            "forgotten": server.forgotten,
            "waiting": server.waiting,
        }
        for server in test.servers
    ]
    plain = ("name", "outcome", "worker", "began", "ended", "problem", "searching", "traceback", "routes")
    made: dict[str, Any] = {"form": _FORM, **{name: getattr(test, name) for name in plain}}
    facts = [json.loads(_without_text(fact).line()) for fact in test.facts]
    return json.dumps({**made, "servers": servers, "mails": mails, "facts": facts}).encode("ascii") + b"\n"


def _without_text(fact: Fact) -> Fact:
    """A mail's text is in the mail."""
    if "text" not in fact.data:
        return fact
    data = {name: value for name, value in fact.data.items() if name != "text"}
    return Fact(fact.event, fact.moment, fact.server, fact.mail, data)


def loads(
    octets: bytes, sessions: Sequence[Transcript], folder: str, reader: Callable[[str], Callable[[], bytes]]
) -> Test:
    """The test. ``reader`` gives what reads a file of its folder. Raises ValueError where it is none."""
    try:
        made = json.loads(octets)
        if made["form"] != _FORM:
            raise ValueError(f"of another version of smtp-pair: {made['form']}")
        mails = [
            MailSeen(
                one["server"],
                one["id"],
                one["moment"],
                one["sender"],
                tuple(one["recipients"]),
                one["title"],
                one["size"],
                f"{folder}/{one['file']}" if folder else one["file"],
                reader(one["file"]),
            )
            for one in made["mails"]
        ]
        servers = [
            ServerSeen(
                one["hostname"], one["domain"], one["delivered"], one["forgotten"], tuple(one["waiting"])
            )
            for one in made["servers"]
        ]  # fmt: skip
        return Test(
            made["name"],
            made["outcome"],
            made["worker"],
            made["began"],
            made["ended"],
            made["problem"],
            made["searching"],
            made["traceback"],
            tuple(servers),
            tuple((domain, to) for domain, to in made["routes"]),
            tuple(sessions),
            tuple(Fact.parse(json.dumps(fact)) for fact in made["facts"]),
            tuple(mails),
            folder,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not what is kept of a test: {error!r}") from error
