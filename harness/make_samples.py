"""Draws and writes the three sample attachments of ``smtp_pair.clients.samples``.

    python harness/make_samples.py [FOLDER]

Needs Pillow, which nothing else here does; the files themselves are kept in the repository.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

SAMPLES = Path(__file__).parent.parent / "smtp_pair" / "clients" / "samples"

LETTER = """\
A letter from Jaku
==================

Dear reader,

this file travels as an attachment. On its way it is turned into base64, wrapped into a mail, spoken over a socket,
perhaps handed from one server to another, and turned back. If you can read it, every step was right; its SHA-256 says
so more exactly than your eyes.

Some lines are here because mail has hurt lines like them before:

.
.. a dot, or two, at the beginning of a line
From here on, a line that begins with a word some mailboxes take for a separator
=20 and =C3=A9, which are not encoded, and =?utf-8?q?neither?= is this
a line with spaces at its end   \n\
a line with a tab:\tthere
and letters from further away: é ñ ß — Оби-Ван — 星球大戰 — ⭐

Life on this planet is simple. In the morning I walk to the well, at noon the suns stand one behind the other and
nobody walks anywhere, and in the evening the old freighter in the dunes throws a shadow that reaches the village. The
post comes when there is wind. So do not worry when an answer of mine is late: it waits in a queue, and is tried again.

The sand here gets everywhere, even into the ports.

May the bytes be with you, all of them and in this order.
"""


def jaku() -> Image.Image:
    """A desert under two suns, and a wreck in the sand."""
    scale = 3
    width, height = 240 * scale, 160 * scale
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for y in range(height):
        part = y / height
        draw.line([(0, y), (width, y)], fill=(int(250 - 60 * (1 - part)), int(120 + 90 * part), int(110 + 20 * part)))
    for x, y, radius, colour in ((165, 62, 20, (255, 244, 214)), (198, 80, 11, (255, 214, 160))):
        box = [(x - radius) * scale, (y - radius) * scale, (x + radius) * scale, (y + radius) * scale]
        draw.ellipse(box, fill=colour)
    dice = random.Random(1025)
    for layer, colour in enumerate(((214, 150, 96), (190, 122, 74), (150, 88, 54))):
        phase, level = dice.uniform(0, 6), (98 + 20 * layer) * scale
        crest = [
            (
                x,
                level
                + 8 * scale * math.sin(x / (38 * scale) + phase)
                + 4 * scale * math.sin(x / (15 * scale) + 2 * phase),
            )
            for x in range(0, width + 1, 2)
        ]
        if layer == 1:
            _wreck(draw, scale)
        draw.polygon([*crest, (width, height), (0, height)], fill=colour)
    return image.resize((240, 160), Image.Resampling.LANCZOS)


def _wreck(draw: ImageDraw.ImageDraw, scale: int) -> None:
    hull = [(30, 124), (104, 92), (112, 100), (96, 124)]
    draw.polygon([(x * scale, y * scale) for x, y in hull], fill=(84, 74, 82))
    draw.polygon([(x * scale, y * scale) for x, y in ((70, 100), (82, 80), (88, 82), (84, 103))], fill=(64, 56, 66))
    for step in range(4):
        x, y = 56 + 11 * step, 116 - 4.6 * step
        draw.ellipse([x * scale, y * scale, (x + 3) * scale, (y + 3) * scale], fill=(214, 150, 96))


def star() -> list[Image.Image]:
    """A star that turns and twinkles, in eight pictures."""
    size, scale, count = 64, 4, 8
    dice = random.Random(1030)
    dust = [(dice.randrange(size), dice.randrange(size), dice.randrange(count)) for _ in range(18)]
    frames = []
    for frame in range(count):
        image = Image.new("RGB", (size * scale, size * scale), (12, 14, 34))
        draw = ImageDraw.Draw(image)
        for x, y, phase in dust:
            light = 90 + int(120 * (0.5 + 0.5 * math.sin(2 * math.pi * (frame + phase) / count)))
            draw.rectangle([x * scale, y * scale, (x + 1) * scale - 1, (y + 1) * scale - 1], fill=(light, light, light))
        for radius, colour in ((24, (226, 160, 40)), (19, (255, 214, 92)), (10, (255, 246, 210))):
            turn = 2 * math.pi * frame / count / 5  # a fifth of a turn looks like a whole one
            draw.polygon(_five_points(size * scale / 2, radius * scale, turn), fill=colour)
        small = image.resize((size, size), Image.Resampling.LANCZOS)
        frames.append(small.quantize(16, dither=Image.Dither.NONE))
    return frames


def _five_points(middle: float, radius: float, turn: float) -> list[tuple[float, float]]:
    return [
        (middle + reach * math.sin(angle), middle - reach * math.cos(angle))
        for point in range(10)
        for reach, angle in [(radius if point % 2 == 0 else radius * 0.45, turn + math.pi * point / 5)]
    ]


def main(folder: Path) -> None:
    jaku().save(folder / "jaku.jpeg", quality=82, optimize=True)
    (folder / "letter.txt").write_bytes(LETTER.encode("utf-8"))
    first, *rest = star()
    first.save(folder / "star.gif", save_all=True, append_images=rest, duration=120, loop=0, optimize=True)
    for path in sorted(folder.glob("[a-z]*")):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
