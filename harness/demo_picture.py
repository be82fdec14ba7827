"""Draws ``docs/demo.svg``: what ``smtp-pair demo`` shows on a terminal of 110 columns.

    python -m harness.demo_picture

The demo is run, and its output, escape sequences and all, becomes the picture. What is different each time (ports, ids,
dates, boundaries, and the sizes and digests of what holds those) is replaced by what it was once, so that the picture
changes when the demo does, and only then.
"""

from __future__ import annotations

import io
import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.sax.saxutils import escape

from smtp_pair import Pair, demo
from smtp_pair.clients import samples
from smtp_pair.screen.lines import Line, Screen

FILE = Path(__file__).parent.parent / "docs" / "demo.svg"
COLUMNS = 110

_CHAR, _ROW, _EDGE, _TOP = 8.0, 18, 18, 52  # pixels: a character's width, a row's height, the margins
_COLOURS = {
    "33": "#e5c07b",
    "36": "#56b6c2",
    "35": "#c678dd",
    "34": "#61afef",
    "32": "#98c379",
    "31": "#e06c75",
    "2": "#7d8590",
    "1": "#ffffff",
}
_SGR = re.compile(r"\x1b\[(\d+)m(.*?)\x1b\[0m")

_REPLACED = (
    ("'mail from:", "'mail FROM:"),  # as smtplib says it up to Python 3.12
    ("'rcpt to:", "'rcpt TO:"),
    (r"[0-9a-f]{11}-[0-9a-f]{10}-", "019ac5e8f2b-5f1c0de5ea-"),
    (r"Date: [^\\]*", "Date: Tue, 24 Nov 2026 12:00:00 +0000"),
    (r"<[0-9a-f]{32}@", "<8d0f3b6c5e1a4f7e9b2c6a1d0e5f8b3c@"),
    (r"=_[0-9a-f]{32}", "=_1c9e7a5b3d2f4e6088a0c2e4f6b8d0a1"),
    (r"size=\d+", "size=18194"),
    (r"[\d,]+ more bytes", "17,870 more bytes"),
)
_SIZES = (
    ("from <luke@jaku.com>, ", {"jaku": "18,194", "deathstar": "18,339"}),
    ("maildir/.*, ", {"jaku": "18,369", "deathstar": "18,549"}),
    ("ServerMSG.txt, ", {"jaku": "1,591", "deathstar": "1,383"}),
    ("journal.jsonl, ", {"jaku": "1,979", "deathstar": "1,378"}),
)


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


def picture() -> str:
    """The demo's output, as SVG."""
    with tempfile.TemporaryDirectory(prefix="smtp-pair-picture-") as folder, Pair(directory=folder) as pair:
        done = demo.run(pair)
        ports = {str(server.port): str(port) for server, port in zip(pair, (1025, 1030), strict=True)}
    screen = io.StringIO()
    terminal = Screen(_Utf8(screen), done.actors, colour=True, width=lambda: COLUMNS)
    terminal.write(_steady(demo.report(done), ports))
    return drawn(screen.getvalue().splitlines())


class _Utf8(io.TextIOWrapper):
    """A stream into a string: StringIO itself has no encoding to say."""

    def __init__(self, text: io.StringIO) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.write = text.write  # type: ignore[method-assign]


def _steady(lines: Iterable[Line], ports: dict[str, str]) -> Iterator[Line]:
    known = {sha256(content).hexdigest() for _, content in samples.files()}
    digests: dict[str, str] = {}
    numbers = itertools.count(1)

    def digest(found: re.Match[str]) -> str:
        if found[0] in known:
            return found[0]
        return digests.setdefault(found[0], sha256(b"%d" % next(numbers)).hexdigest())

    for line in lines:
        text = re.sub(r"\b[0-9a-f]{64}\b", digest, line.text)
        for pattern, steady in _REPLACED:
            text = re.sub(pattern, steady, text)
        for before, sizes in _SIZES:
            text = re.sub(rf"({before})[\d,]+( octets)", rf"\g<1>{sizes.get(line.actor)}\2", text)
        for port, steady in ports.items():
            text = re.sub(rf"(127\.0\.0\.1(?::|', )){port}\b", rf"\g<1>{steady}", text)
        yield replace(line, text=text)


def drawn(rows: list[str]) -> str:
    """Rows of a terminal, with their escape sequences, as SVG."""
    width, height = 2 * _EDGE + round(COLUMNS * _CHAR), _TOP + len(rows) * _ROW + _EDGE
    size = f'width="{width}" height="{height}"'
    texts = [
        f'<text y="{_TOP + (number + 1) * _ROW - 5}">{"".join(_spans(row))}</text>' for number, row in enumerate(rows)
    ]
    lights = [f'<circle cx="{_EDGE + 6 + 20 * n}" cy="22" r="6" fill="#3d444d"/>' for n in range(3)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
            "<title>What smtp-pair demo shows</title>",
            f'<rect {size} rx="10" fill="#0d1117"/>',
            *lights,
            "<g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\""
            ' font-size="13" fill="#d1d7e0" xml:space="preserve">',
            f'<text x="{width // 2}" y="27" text-anchor="middle" fill="#7d8590">smtp-pair demo</text>',
            *texts,
            "</g>",
            "</svg>",
            "",
        ]
    )


def _spans(row: str) -> Iterator[str]:
    """The row in pieces of one colour, each at its own column: fonts differ in the width of a character."""
    column, at = 0, 0
    for found in [*_SGR.finditer(row), None]:
        plain = row[at : found.start() if found else None]
        for sgr, text in (("", plain), (found[1], found[2]) if found else ("", "")):
            if text.strip():
                start = column + len(text) - len(text.lstrip())
                colour = f' fill="{_COLOURS[sgr]}"' if sgr else ""
                weight = ' font-weight="bold"' if sgr == "1" else ""
                yield f'<tspan x="{_EDGE + start * _CHAR:g}"{colour}{weight}>{escape(text.strip())}</tspan>'
            column += len(text)
        at = found.end() if found else len(row)


if __name__ == "__main__":
    main()
