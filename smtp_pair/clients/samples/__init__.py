"""Three small real files, drawn and written by ``harness/make_samples.py``: a picture, a letter, a moving picture."""

from __future__ import annotations

from importlib.resources import files as _resources

NAMES = ("jaku.jpeg", "letter.txt", "star.gif")


def files() -> tuple[tuple[str, bytes], ...]:
    """The name and content of each, in a fixed order."""
    folder = _resources(__name__)
    return tuple((name, (folder / name).read_bytes()) for name in NAMES)
