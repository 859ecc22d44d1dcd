"""Draw circles, squares and triangles of any colour, size and place over noise, as PNG files; always the same ones.

Pure Python, so that the images can be made anywhere.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

SIZE = 32
SHAPES = ("circle", "square", "triangle")


def images(count: int, *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of ``count`` PNG files of each shape: ``circle/0000.png`` and so on."""
    for shape in SHAPES:
        for number in range(count):
            rng = random.Random(f"{seed} {shape} {number}")  # noqa: S311 - no secret
            yield f"{shape}/{number:04}.png", png(draw(shape, rng), SIZE, SIZE)


def draw(shape: str, rng: random.Random) -> bytes:
    """Return the pixels of one image, three bytes each: a bright shape on a dark ground, and noise over both."""
    radius = rng.uniform(8, 13)
    x, y = (rng.uniform(radius, SIZE - radius) for _ in range(2))
    colour = [rng.randint(130, 255) for _ in range(3)]
    ground = [rng.randint(0, 90) for _ in range(3)]
    pixels = bytearray()
    for row in range(SIZE):
        for column in range(SIZE):
            is_inside = covers(shape, (column + 0.5 - x) / radius, (row + 0.5 - y) / radius)
            for value in colour if is_inside else ground:
                pixels.append(min(255, max(0, value + rng.randint(-25, 25))))
    return bytes(pixels)


def covers(shape: str, x: float, y: float) -> bool:
    """Return whether a shape that fills the square from -1 to 1 covers a point; ``y`` grows downwards."""
    match shape:
        case "circle":
            return x * x + y * y <= 1
        case "square":
            return max(abs(x), abs(y)) <= 0.85
        case "triangle":
            return -1 <= y <= 1 and abs(x) <= (y + 1) / 2
    raise ValueError(f"no shape is called {shape!r}: name one of {', '.join(SHAPES)}")


def png(pixels: bytes, width: int, height: int) -> bytes:
    """Return an image of 8 bits for each of red, green and blue as a PNG file."""
    if len(pixels) != 3 * width * height:
        raise ValueError(f"{width} x {height} pixels take {3 * width * height} bytes, not {len(pixels)}")
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + pixels[at : at + 3 * width] for at in range(0, len(pixels), 3 * width))
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
