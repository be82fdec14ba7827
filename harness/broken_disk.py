"""A disk that fails at a call of the test's choice: full, read-only, worn out; for the files below one folder alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace")
"""What is asked of the system to keep a mail. Removing is not among them: a disk that is full lets go."""


class BrokenDisk:
    """Fails one call, and works again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptors: set[int] = set()
        self._call = ""
        self._left = 0
        self._errno = 0

    def fail_at(self, call: str, number: int, errno: int) -> None:
        """The call of that number from now on fails; numbers begin with 1."""
        self._call, self._left, self._errno = call, number, errno

    @property
    def has_failed(self) -> bool:
        return self._left < 1

    @classmethod
    @contextmanager
    def below(cls, folder: Path) -> Iterator[BrokenDisk]:
        self = cls(folder)
        patches = [mock.patch.object(os, name, self._wrapped(name, getattr(os, name))) for name in CALLS]
        for patch in patches:
            patch.start()
        try:
            yield self
        finally:
            for patch in patches:
                patch.stop()

    def _wrapped(self, name: str, stock: Callable[..., Any]) -> Callable[..., Any]:
        def call(what: Any, *arguments: Any, **more: Any) -> Any:
            ours = what in self._descriptors if isinstance(what, int) else self._is_below(what)
            if ours and name == self._call and self._left > 0:
                self._left -= 1
                if not self._left:
                    raise OSError(self._errno, os.strerror(self._errno))
            result = stock(what, *arguments, **more)
            if name == "open":
                (self._descriptors.add if ours else self._descriptors.discard)(result)
            return result

        return call

    def _is_below(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and Path(os.fspath(path)).is_relative_to(self._folder)
