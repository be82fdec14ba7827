"""The folder that holds the folders of a network's servers: the one that was given, or a temporary one.

It is made with the first mail, or when somebody asks for it: making and removing one takes longer than starting two
servers, and most servers of most tests never get a mail. What would keep it from being made is said at the start.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from smtp_pair.mail.errors import StartError

Given = Path | str | Callable[[], Path]
"""A folder, or what makes one when it is needed: called once, in any thread."""


class Folder:
    """A folder of a network, the ``owner``; a temporary one goes with it at the latest. Used in any thread."""

    def __init__(self, given: Given | None, owner: object) -> None:
        self._path = Path(given) if isinstance(given, Path | str) else None
        self._make = given if callable(given) else None
        self._temporary = given is None
        self._owner = weakref.ref(owner)
        self._lock = threading.Lock()
        self._remove: Callable[[], object] | None = None

    @property
    def known(self) -> Path | None:
        """Where it is; None: nobody has needed it yet, and it is nowhere."""
        return self._path

    @property
    def path(self) -> Path:
        """Where it is; one that was not given is there then. Raises OSError."""
        if self._path is not None and not self._temporary:
            return self._path
        with self._lock:
            if self._path is None:
                self._path = self._make() if self._make is not None else Path(tempfile.mkdtemp(prefix="smtp-pair-"))
            elif self._temporary and self._remove is None:
                self._path.mkdir(0o700)  # that of an earlier `with` is gone
            owner = self._owner()
            if self._temporary and self._remove is None and owner is not None:
                self._remove = weakref.finalize(owner, _remove, self._path, os.getpid())
            return self._path

    def make(self) -> Path:
        """The same, and there in any case. Raises OSError."""
        path = self.path
        path.mkdir(parents=True, exist_ok=True)
        return path

    def check(self) -> list[Path]:
        """Whether it can be made, and written. Gives those that are missing, the innermost first.

        Raises StartError that names it.
        """
        if self._path is None or self._temporary:
            if self._temporary:
                _check_temporary()
            return []
        missing: list[Path] = []
        path = os.path.abspath(self._path)
        while not os.path.lexists(path):
            missing.append(Path(path))
            path = os.path.dirname(path)
        writable = os.access(path, os.W_OK | os.X_OK)
        if not missing and os.path.isdir(path) and not writable:
            raise StartError(errno.EACCES, f"{self._path}: the folder can't be written")
        if not os.path.isdir(path) or not writable:
            code = errno.EACCES if os.path.isdir(path) else errno.ENOTDIR if missing else errno.EEXIST
            raise StartError(code, f"{self._path}: no folder for mail: {os.strerror(code)}")
        return missing

    def remove_temporary(self) -> None:
        """Remove a temporary one, with all that is in it."""
        with self._lock:
            remove, self._remove = self._remove, None
        if remove is not None:
            remove()


def _check_temporary() -> None:
    try:
        place = tempfile.gettempdir()
    except OSError as error:
        raise StartError(error.errno, f"no temporary folder for mail: {error.strerror}") from None
    if not os.access(place, os.W_OK | os.X_OK):
        raise StartError(errno.EACCES, f"{place}: the folder can't be written")


def _remove(folder: Path, process: int) -> None:
    """Remove a temporary folder; not in a forked child, at whose end its parent still needs it."""
    if os.getpid() != process:
        return
    try:
        folder.rmdir()  # some were never used
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
