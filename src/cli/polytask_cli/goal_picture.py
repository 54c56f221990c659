"""A picture file as a person sees it, small enough to be sent."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from polytask_robot_io.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE = 1024
"""Pixels; a larger picture is made smaller. Policies look at goals with 42 to a few hundred."""

MOST_PIXELS = 100_000_000
LARGEST_FILE = 1 << 30
"""Bytes."""


class PictureError(ValueError):
    """A file that cannot be shown to the server; the message says which, why, and what to do."""


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Pixels of a picture file, uint8 (H, W, 3), RGB, neither side longer than LONGEST_SIDE.

    Turned as its EXIF says, over white where it is transparent, 16 bits brought to 8; of a moving one the first frame.

    Raises:
        PictureError: the file cannot be read, is no picture, or is too large.
    """
    from PIL import Image, PngImagePlugin, UnidentifiedImageError

    name = printable(str(path))
    # Notes and colour profiles in a PNG say nothing of what is seen; up to this size they are skipped.
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
    try:
        with warnings.catch_warnings(), _open(path) as file:
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise Image.DecompressionBombError
                return _seen(picture)
    except FileNotFoundError:
        raise PictureError(f"there is no picture {name}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{name} has more than {MOST_PIXELS // 10**6} megapixels: make it smaller") from None
    except UnidentifiedImageError:
        raise PictureError(
            f"{name} cannot be read as a picture: it is none, or of a kind that is not known here (HEIC, say); save it "
            "as PNG or JPEG"
        ) from None
    except MemoryError:
        raise PictureError(f"{name} is too large for this machine's memory: make it smaller") from None
    except Exception as error:  # Pillow raises whatever its parts raise
        raise PictureError(f"{name} cannot be read as a picture: {printable(str(error), 200)}") from None


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; others may have no end, or never begin."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is not a regular file")
        if not found.st_size:
            raise OSError("the file is empty")
        if found.st_size > LARGEST_FILE:
            raise OSError(f"the file has {found.st_size >> 20} MB")
        yield file


def _seen(picture: Image) -> NDArray[np.uint8]:
    """Return what a person sees of an opened picture."""
    from PIL import Image, ImageOps

    picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is decoded to about this size at once
    picture.load()
    seen: Any = picture
    with contextlib.suppress(Exception):  # damaged EXIF turns nothing
        seen = ImageOps.exif_transpose(picture)
    if seen.mode.startswith(("I", "F")):
        seen = _to_bytes(seen)
    if seen.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in seen.info:
        seen = seen.convert("RGBA")
        seen = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    seen = seen.convert("RGB")
    if max(seen.size) > LONGEST_SIDE:
        shrink = LONGEST_SIDE / max(seen.size)
        seen = seen.resize([max(1, round(side * shrink)) for side in seen.size], Image.Resampling.BOX)
    return np.array(seen, dtype=np.uint8)


def _to_bytes(picture: Image) -> Image:
    """Bring grey values of 16 bits to 8; what holds others is no picture that a person sees."""
    from PIL import Image

    values = np.asarray(picture)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("its values are not those of a picture (8 or 16 bits): save it as PNG or JPEG")
    return Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))
