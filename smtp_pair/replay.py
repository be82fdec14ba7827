"""Says again what a client said, to any server: a recorded session as a dialogue.

    before = pair.jaku.transcripts[0]
    after = replay(before, "127.0.0.1", 2525)
    print(diff(before, after))

What the client said is said as it was, in the same groups; then as many replies are awaited as came the first time. A
body is sent where it is kept still (up to 64 KiB, see ``recorder.py``; from disk: where ``bodies/`` has it), and only
where the server asks for it. A session with AUTH can't be replayed: the secret was never kept.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace as changed
from itertools import groupby
from pathlib import Path

from smtp_pair import content, tls
from smtp_pair.mail.errors import SmtpPairError
from smtp_pair.recorder import HIDDEN, Log, Tape
from smtp_pair.transcript import Event, Transcript, loads

_WHOLE = "the mail that came in chunks"


class ReplayError(SmtpPairError, ValueError):
    """A transcript that can't be said again; the text says why."""


def load(folder: Path) -> list[Transcript]:
    """The transcripts in a test's folder of ``test-results``, with those bodies that are there. Raises OSError, and
    ValueError where it is none."""
    found = []
    for one in loads((folder / "transcript.jsonl").read_bytes()):
        events = []
        for event in one.events:
            path = folder / "bodies" / f"{event.sha256}.eml"
            there = event.kind == "body" and event.sha256 and path.is_file()
            events.append(changed(event, content=path.read_bytes()) if there else event)
        found.append(changed(one, events=tuple(events)))
    return found


def replay(
    transcript: Transcript, host: str, port: int, *, timeout: float = 10.0, context: ssl.SSLContext | None = None
) -> Transcript:
    """Say it to the server at that address, and give what was said this time, for :func:`transcript.diff`.

    ``timeout`` is how many seconds each reply may take; ``context`` is for STARTTLS (else one that trusts the
    certificates of our own servers). Raises ReplayError for what can't be said again, before anything is said; OSError
    where nobody listens. A server that hangs up or stays silent ends the session: the transcript says so.
    """
    turns = list(_turns(transcript))
    with socket.create_connection((host, port), timeout) as sock:
        said = _Saying(transcript, sock, context)
        try:
            said.play(turns)
        except TimeoutError:
            said.log.note(f"no reply within {timeout:g} s")
        except (OSError, EOFError) as error:
            said.log.note(str(error) or "the server hung up")
        finally:
            said.close()
    return said.tape.transcripts(lambda _: None, lambda _: False)[0]


Turn = tuple[list[Event], list[Event]]
"""What the client says at once, and what is answered to it."""


def _turns(transcript: Transcript) -> Iterator[Turn]:
    """The session as turns. Raises ReplayError."""
    if transcript.dropped:
        raise ReplayError("it is not whole: of a session that long the middle is not kept")
    said: list[Event] = []
    for is_reply, group in groupby(_chunked(transcript.events), lambda event: event.kind == "reply"):
        events = list(group)
        for event in events:
            _refuse(event)
        if is_reply:
            yield said, events
        said = [] if is_reply else events
    if said:
        yield said, []


def _chunked(events: Iterable[Event]) -> list[Event]:
    """The events with the octets of each chunk (BDAT) in its place: what is kept is the mail that they made."""
    found: list[Event] = []
    chunks: list[int] = []
    for event in events:
        if event.kind == "body" and event.text and event.size:
            chunks.append(len(found))
        elif event.kind == "body" and event.content is not None and chunks:
            octets = memoryview(event.content)
            if sum(found[at].size for at in chunks) != len(octets):
                raise ReplayError("the chunks of a mail (BDAT) do not make up what is kept: its line ends were mended")
            for at in chunks:
                found[at] = changed(found[at], content=bytes(octets[: found[at].size]))
                octets = octets[found[at].size :]
            chunks = []
            event = changed(event, text=_WHOLE, size=0)
        found.append(event)
    return found


def _refuse(event: Event) -> None:
    if event.kind == "body" and event.content is None:
        what = event.text or f"a body of {event.size:,} octets"
        raise ReplayError(f"{what}, was not kept: it is too big, was too long ago, or did not come whole")
    if event.kind == "send" and (HIDDEN.decode() in event.text.split() or event.text[:5].upper() == "AUTH "):
        raise ReplayError(f"{event.text!r} can't be said again: secrets are not kept")
    if event.kind == "send" and event.text.endswith("[... cut]"):
        raise ReplayError("a line is not kept whole: it was longer than any line of SMTP may be")


class _Saying:
    def __init__(self, transcript: Transcript, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self.tape = Tape(transcript.server)
        self.log: Log = self.tape.answers(("", 0), time.monotonic(), time.monotonic)
        self.log.client = transcript.client
        self.log.relayed = transcript.relayed
        self._sock = sock
        self._context = context
        self._unread = b""
        self._last = b""

    def play(self, turns: list[Turn]) -> None:
        for said, answers in turns:
            wire = b""
            for event in said:
                if event.kind == "send":
                    line = event.text.encode("utf-8", "surrogateescape")
                    self.log.command(line, time.monotonic())
                    wire += line + b"\r\n"
                elif event.text == _WHOLE and event.content is not None:
                    self.log.body(event.content, time.monotonic())
                elif event.kind == "body" and event.content is not None and event.text:
                    self.log.chunk(event.size, time.monotonic())
                    wire += event.content
                elif event.kind == "body" and event.content is not None:
                    if not self._last.startswith(b"354"):
                        self.log.note("the mail is not wanted")
                        return
                    self.log.body(event.content, time.monotonic())
                    wire += b"".join(content.stuff(event.content))
                elif event.kind == "note" and event.text.startswith("TLS") and self._last.startswith(b"220"):
                    self._start_tls()
            if wire:
                self._sock.sendall(wire)
            for _ in answers:
                self._read_reply()

    def _start_tls(self) -> None:
        context = self._context or tls.trusting_context()
        secure = context.wrap_socket(self._sock, server_hostname=self.tape.hostname)
        self._sock = secure
        self.log.note(f"{secure.version()} from here on")

    def _read_reply(self) -> None:
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            while b"\n" not in self._unread:
                octets = self._sock.recv(1 << 16)
                if not octets:
                    raise EOFError("the server hung up")
                self._unread += octets
            line, _, self._unread = self._unread.partition(b"\n")
            lines.append(line + b"\n")
        self._last = lines[0]
        self.log.reply(b"".join(lines), time.monotonic())

    def close(self) -> None:
        self._sock.close()
