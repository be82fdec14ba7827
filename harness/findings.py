"""What a fuzzer watches: whatever goes wrong in a server without a reply that tells of it."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any


class Finding(AssertionError):
    """A server has erred."""


class Watch(logging.Handler):
    """Collects errors that were logged, and exceptions that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.setFormatter(logging.Formatter())
        self._seen: list[str] = []

    def __enter__(self) -> Watch:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """A line at ERROR or above."""
        self._seen.append(self.format(record))

    def uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop's exception handler."""
        error = context.get("exception")
        told = "".join(traceback.format_exception(error)) if error is not None else ""
        self._seen.append(f"{context.get('message')}\n{told}")

    def look(self) -> None:
        """Raises Finding if there was anything."""
        seen, self._seen = self._seen, []
        if seen:
            raise Finding("\n".join(seen))
