"""What the servers log is something to show, too: a mail that could not be stored, a fault of ours."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator

from smtp_pair.screen.lines import Line


@contextlib.contextmanager
def logged_to(put: Callable[[Line], None]) -> Iterator[None]:
    """While it lasts, ``put`` is given it as lines, on the thread that logs."""
    handler = _LogHandler(put)
    logger = logging.getLogger("smtp_pair")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _LogHandler(logging.Handler):
    """A record as lines; the traceback only where the fault may be ours: a full disk needs none."""

    def __init__(self, put: Callable[[Line], None]) -> None:
        super().__init__(logging.WARNING)
        self._put = put

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._put(Line("", f"problem   {record.getMessage()}{f': {error}' if error else ''}", "bad", hang=10))
        if error is not None and not isinstance(error, OSError):
            for row in "".join(traceback.format_exception(error)).splitlines():
                self._put(Line("", f"          {row}", "faint", hang=10))
