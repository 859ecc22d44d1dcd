"""Drawing, packing and dividing images, without torch."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from image_training import drawing, images

MAKE = Path(__file__).parents[1] / "make_images.py"


def pixels_of(content: bytes) -> tuple[int, int, bytes]:
    """Read a PNG as its specification says: chunks with checksums, and rows that begin with their filter, 0 here."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0], "eight bits of red, green and blue"
    rows = zlib.decompress(chunks[b"IDAT"])
    assert set(rows[:: 1 + 3 * width]) == {0}
    return width, height, b"".join(rows[at + 1 : at + 1 + 3 * width] for at in range(0, len(rows), 1 + 3 * width))


def test_the_files_are_png_images_with_a_bright_shape_on_a_dark_ground() -> None:
    for name, content in drawing.images(3):
        width, height, pixels = pixels_of(content)
        assert (width, height, len(pixels)) == (32, 32, 3072), name
        bright = sum(sum(pixels[at : at + 3]) > 330 for at in range(0, 3072, 3))
        assert 100 < bright < 700, name


def test_a_seed_always_draws_the_same_images_and_another_draws_others() -> None:
    files = dict(drawing.images(4))
    assert files == dict(drawing.images(4))
    assert len(set(files.values())) == 12
    assert not set(files.values()) & set(dict(drawing.images(4, seed=1)).values())


@pytest.mark.parametrize(
    ("shape", "inside", "outside"),
    [("circle", (0.6, 0.6), (0.8, 0.8)), ("square", (0.8, -0.8), (0.9, 0)), ("triangle", (0.8, 0.9), (0.8, -0.5))],
)
def test_the_shapes_are_what_they_are_called(
    shape: str, inside: tuple[float, float], outside: tuple[float, float]
) -> None:
    assert drawing.covers(shape, *inside)
    assert not drawing.covers(shape, *outside)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="no shape is called 'star': name one of circle, square, triangle"):
        drawing.draw("star", random.Random(0))
    with pytest.raises(ValueError, match="2 x 2 pixels take 12 bytes, not 11"):
        drawing.png(bytes(11), 2, 2)


def test_the_script_draws_into_a_folder(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": str(MAKE.parent / "src")}
    command = [sys.executable, str(MAKE), str(tmp_path / "images"), "--count", "1"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"3 images in {tmp_path}/images\n"
    made = {file.relative_to(tmp_path / "images").as_posix(): file.read_bytes() for file in tmp_path.rglob("*.png")}
    assert made == dict(drawing.images(1))


def test_the_same_images_make_the_same_archive(tmp_path: Path) -> None:
    files = dict(drawing.images(2))
    for name, content in files.items():
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "images" / "circle" / "notes.txt").write_text("no image")
    assert images.pack(tmp_path / "images", tmp_path / "one.zip") == 6
    (tmp_path / "images" / "circle" / "0000.png").touch()
    images.pack(tmp_path / "images", tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert dict(images.unpack(tmp_path / "one.zip")) == files


def test_a_folder_without_images_makes_an_empty_archive(tmp_path: Path) -> None:
    assert images.pack(tmp_path / "absent", tmp_path / "empty.zip") == 0
    assert list(images.unpack(tmp_path / "empty.zip")) == []


def test_an_image_is_of_the_class_of_its_folder() -> None:
    assert images.class_of("grün/0001.png") == "grün"
    assert images.class_of("2026/circle/0001.png") == "circle"
    with pytest.raises(ValueError, match=r"the image '0001\.png' has no class"):
        images.class_of("0001.png")


def test_every_fifth_of_each_class_is_kept_back_whatever_their_order() -> None:
    names = [f"{shape}/{number:02}.png" for shape in ("circle", "square") for number in range(11)]
    wanted = {f"{shape}/{number}.png" for shape in ("circle", "square") for number in ("04", "09")}
    assert images.kept_back(names) == images.kept_back(reversed(names)) == wanted
