"""From files to tensors: an archive of images, their labels, and the numbers that a network reads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SIZE = 32
#: What torchvision's weights were trained with: the mean and deviation of red, green and blue.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: One image of each class in so many is kept back to judge by.
EVERY = 5


def pack(folder: Path, archive: Path) -> int:
    """Put the PNG files below a folder into an archive and return how many; the same files make the same archive."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    with zipfile.ZipFile(archive, "w") as target:
        for name in found:
            target.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    return len(found)


def unpack(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each image, ordered by name."""
    with zipfile.ZipFile(archive) as source:
        for name in sorted(source.namelist()):
            yield name, source.read(name)


def class_of(name: str) -> str:
    """Return the class of an image: the folder that it lies in.

    :raises ValueError: if it lies in none.
    """
    folder = PurePosixPath(name).parent.name
    if not folder:
        raise ValueError(f"the image {name!r} has no class: put it into a folder that is named like its class")
    return folder


def kept_back(names: Iterable[str]) -> set[str]:
    """Return the images to judge by: every fifth of each class, by name, and so the same ones every day."""
    by_class: dict[str, list[str]] = {}
    for name in sorted(names):
        by_class.setdefault(class_of(name), []).append(name)
    return {name for found in by_class.values() for name in found[EVERY - 1 :: EVERY]}


def decode(content: bytes) -> torch.Tensor:
    """Return an image file as three rows by columns of numbers around 0, 32 x 32 whatever its size was.

    :raises ValueError: if it is no image.
    """
    import torch
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = image.convert("RGB").resize((SIZE, SIZE)).tobytes()
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"these {len(content)} bytes are no image: {error}") from None
    values = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(SIZE, SIZE, 3).permute(2, 0, 1) / 255
    return (values - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)


def dataset(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return images as tensors, ready to be saved: ``classes``, and ``training`` and ``validation`` of each two.

    :raises ValueError: if a file is no image, or there are too few to learn from.
    """
    import torch

    classes = sorted({class_of(name) for name in files})
    apart = kept_back(files)
    parts: dict[str, Any] = {"classes": classes}
    for part, names in (("training", sorted(set(files) - apart)), ("validation", sorted(apart))):
        if len(classes) < 2 or {class_of(name) for name in names} != set(classes):
            raise ValueError(f"{len(files)} images of {len(classes)} classes are too few: bring {EVERY} of each of 2")
        labels = torch.tensor([classes.index(class_of(name)) for name in names])
        parts[part] = {"images": torch.stack([decode(files[name]) for name in names]), "labels": labels}
    return parts
