"""A client that hands a mail to a server in one of several ways, and says what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harness.model.world import Says
from harness.wire import Wire, WireError
from smtp_pair.mail.reply import Reply

Style = Literal["in steps", "pipelined", "in chunks"]
STYLES: Sequence[Style] = ("in steps", "pipelined", "in chunks")

_CHUNK = 7  # octets: line ends and dots come to lie at the joints


def hand_over(
    host: str, port: int, sender: str, recipients: Sequence[str], content: bytes, style: Style, *, quiet: bool = False
) -> list[Says]:
    """Send the mail; what the server said in the end for each recipient, "nothing" where its last reply is lost.
    ``quiet``: nobody is to be told what becomes of it."""
    client = Wire(host, port)
    try:
        _must(client.reply(), 220)
        client.hello()
        wish = " NOTIFY=NEVER" if quiet else ""
        commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>{wish}" for recipient in recipients)]
        if style == "pipelined":
            client.say("".join(f"{command}\r\n" for command in commands).encode())
            mail, *answers = map(_says, client.replies(len(commands)))
        else:
            mail, *answers = [_says(client.ask(command.encode())) for command in commands]
        if mail != "yes":
            return [mail] * len(recipients)
        if "yes" not in answers:
            return answers
        final = _in_chunks(client, content) if style == "in chunks" else _as_data(client, content)
        return [final if answer == "yes" else answer for answer in answers]
    finally:
        client.close()


def break_off(
    host: str, port: int, sender: str, recipients: Sequence[str], content: bytes, style: Style, *, reset: bool
) -> None:
    """Begin to send the mail, and be gone before its end: the connection is closed, or broken."""
    client = Wire(host, port)
    try:
        _must(client.reply(), 220)
        client.hello()
        commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)]
        client.say("".join(f"{command}\r\n" for command in commands).encode())
        client.replies(len(commands))
        if style == "in chunks":
            client.say(b"BDAT %d\r\n%b" % (len(content), content))
            client.reply()
        elif client.ask(b"DATA").code == 354:
            client.say(content + b".")  # no end yet
        if reset:
            client.reset()
    finally:
        client.close()


def _as_data(client: Wire, content: bytes) -> Says:
    go = client.ask(b"DATA")
    if go.code != 354:
        return _says(go)
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return _final(client, stuffed + b".\r\n")


def _in_chunks(client: Wire, content: bytes) -> Says:
    pieces = [content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK)]
    for piece in pieces[:-1]:
        client.say(b"BDAT %d\r\n" % len(piece) + piece)
        answer = _says(client.reply())
        if answer != "yes":
            return answer
    return _final(client, b"BDAT %d LAST\r\n" % len(pieces[-1]) + pieces[-1])


def _final(client: Wire, octets: bytes) -> Says:
    client.say(octets)
    try:
        return _says(client.reply())
    except WireError:
        return "nothing"


def _says(reply: Reply) -> Says:
    return "yes" if reply.accepted else "later" if reply.temporary else "never"


def _must(reply: Reply, code: int) -> None:
    if reply.code != code:
        raise AssertionError(f"{code} was expected, not {reply}")
