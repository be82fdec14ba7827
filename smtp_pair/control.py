"""Words between a running server and ``smtp-pair queue``: a socket that only this user can reach.

    {"do": "list"}                 ->  {"waiting": [...]}
    {"do": "retry", "mail": ""}    ->  {"count": 3}
    {"do": "drop", "mail": ID}     ->  {"dropped": true}

One line of JSON each way. The socket lies in a folder of its own, for a path of the server's may be longer than a
socket's may be; ``spool/control`` says where. Only for servers whose mail outlives them, and not on Windows.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from smtp_pair.disk import make_folder, remove_quietly, replace
from smtp_pair.entry import Waiting
from smtp_pair.mail.address import parse_path

log = logging.getLogger(__name__)

FILE_NAME = "control"
PATIENCE = 10.0
"""Seconds that a running server may take to answer."""
_LINE = 1 << 16


class Queue(Protocol):
    """What can be done to a queue (``spool.py``)."""

    @property
    def waiting(self) -> Sequence[Waiting]: ...

    async def retry_now(self, mail_id: str = "") -> int: ...

    async def drop(self, mail_id: str) -> bool: ...


class Control:
    """The server's end. Used on the event loop's thread only."""

    def __init__(self, directory: Path, queue: Queue) -> None:
        self._file = directory / FILE_NAME
        self._queue = queue
        self._folder: Path | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen. What goes wrong is logged: a server is of use without this."""
        if not hasattr(asyncio, "start_unix_server"):
            return
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="smtp-pair-control-"))  # for this user alone
            path = self._folder / "socket"
            self._server = await asyncio.start_unix_server(self._serve, path, limit=_LINE)
            make_folder(self._file.parent, durable=False)
            replace(self._file, [str(path).encode()], durable=False)
        except OSError:
            log.exception("%s: `smtp-pair queue` can't talk to this server", self._file)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        if self._folder is not None:
            remove_quietly([self._file, self._file.parent])  # the folder only where it is empty
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError) as error:
            log.info("no word with `smtp-pair queue`: %s", error)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        wish = json.loads(line)
        match wish.get("do"):
            case "list":
                return {"waiting": [dataclasses.asdict(one) for one in self._queue.waiting]}
            case "retry":
                return {"count": await self._queue.retry_now(str(wish.get("mail", "")))}
            case "drop":
                return {"dropped": await self._queue.drop(str(wish.get("mail", "")))}
        raise ValueError(f"an unknown wish: {line[:80]!r}")


# -- the other end ----------------------------------------------------------------------------------------------------


def ask(directory: Path, wish: dict[str, str]) -> dict[str, Any] | None:
    """The answer of the server whose spool that folder is; None where none runs. Raises OSError for one that runs and
    does not answer."""
    try:
        path = (directory / FILE_NAME).read_text()
    except FileNotFoundError:
        return None
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # it was killed, and could not clear up
        connection.sendall(json.dumps(wish).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise ConnectionResetError("the running server did not answer")
    answer: dict[str, Any] = json.loads(line)
    return answer


def waiting_of(answer: dict[str, Any]) -> list[Waiting]:
    """What waits, out of the answer to "list"."""
    return [
        Waiting(**{**one, "recipient": _address(one["recipient"]), "sender": _address(one["sender"])})
        for one in answer["waiting"]
    ]


def _address(text: str) -> Any:
    return parse_path(f"<{text}>", utf8=True)[0]
