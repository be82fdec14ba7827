"""One thing that a client said to two servers, and what each answered: what ``differences.py`` judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.reference import split_argument


@dataclass(frozen=True, slots=True)
class Exchange:
    """One thing that a client said, and what it was answered; 0 where one of the two had closed."""

    kind: Literal["command", "content", "response"]
    said: bytes
    """A line with its end; or what followed 354, the end included."""
    ours: int
    theirs: int
    hello: str = ""
    """What the client began with: EHLO, HELO or nothing."""
    sender: bool = False
    """Whether both are in a transaction."""

    @property
    def verb(self) -> str:
        """The command, in capitals; "" for anything else."""
        return self.line.partition(" ")[0].upper() if self.kind == "command" else ""

    @property
    def line(self) -> str:
        """The line as text, without its end."""
        return self.said.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")

    @property
    def argument(self) -> str:
        """What follows the verb; of MAIL and RCPT what follows the colon."""
        argument = self.line.partition(" ")[2].strip(" ")
        keyword = {"MAIL": "FROM:", "RCPT": "TO:"}.get(self.verb, "")
        return argument[len(keyword) :].lstrip(" ") if argument.upper().startswith(keyword) else ""

    @property
    def addressed(self) -> bool:
        """Whether it is a MAIL or a RCPT that has something after its colon."""
        return self.verb in ("MAIL", "RCPT") and self.argument != ""

    @property
    def parameters(self) -> str:
        """What follows a path."""
        return self.argument.partition("> ")[2] if self.addressed else ""

    @property
    def in_step(self) -> bool:
        """Whether both are in the same state after it."""
        return (self.ours < 400) == (self.theirs < 400)

    @property
    def right_path(self) -> bool:
        """Whether a MAIL or a RCPT has a path that RFC 5321 knows, and that may stand there."""
        path = split_argument(self.argument)[0]
        return path != "" and (path != "<>" if self.verb == "RCPT" else path.lower() != "<postmaster>")
