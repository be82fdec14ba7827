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

_lock = threading.Lock()


class Folder:
    """A folder of a network, the ``owner``; a temporary one goes with it at the latest. Used in any thread."""

    def __init__(self, given: Path | str | None, owner: object) -> None:
        self._path = Path(given) if given is not None else None
        self._temporary = given is None
        self._owner = weakref.ref(owner)
        self._remove: Callable[[], object] | None = None

    @property
    def known(self) -> Path | None:
        """Where it is; None: a temporary one that has not been needed yet."""
        return self._path

    @property
    def path(self) -> Path:
        """Where it is; a temporary one is there then. Raises OSError."""
        if not self._temporary:
            assert self._path is not None
            return self._path
        with _lock:
            if self._remove is None:
                if self._path is None:
                    self._path = Path(tempfile.mkdtemp(prefix="smtp-pair-"))
                else:
                    self._path.mkdir(0o700)  # that of an earlier `with` is gone
                owner = self._owner()
                if owner is not None:
                    self._remove = weakref.finalize(owner, _remove, self._path, os.getpid())
            assert self._path is not None
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
            _check_temporary()
            return []
        missing: list[Path] = []
        path = os.path.abspath(self._path)
        while not os.path.lexists(path):
            missing.append(Path(path))
            path = os.path.dirname(path)
        try:
            os.scandir(path).close()
        except NotADirectoryError as error:
            raise StartError(error.errno, f"{self._path}: no folder for mail: {error.strerror}") from None
        except OSError:
            pass  # one that can be written need not be one that can be read
        if not os.access(path, os.W_OK | os.X_OK):
            if not missing:
                raise StartError(errno.EACCES, f"{self._path}: the folder can't be written")
            raise StartError(errno.EACCES, f"{self._path}: no folder for mail: {os.strerror(errno.EACCES)}")
        return missing

    def remove_temporary(self) -> None:
        """Remove a temporary one, with all that is in it."""
        with _lock:
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
