"""Pictures for the report: small GIFs and strips, and how they get into one file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""


def gif(frames: Sequence[Picture], rate: float, colours: int = 128, hold: float = 1.5) -> bytes:
    """An endless GIF at ``rate`` pictures/s whose last picture stays for ``hold`` seconds; one palette for all."""
    images = [Image.fromarray(frame) for frame in frames]
    # The palette comes from first, middle and last picture: whatever appears on the way is in one of them.
    sample = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])
    palette = Image.fromarray(sample).quantize(colours, method=Image.Quantize.FASTOCTREE)
    indexed = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [round(1000 / rate)] * (len(indexed) - 1) + [round(1000 * hold)]
    buffer = BytesIO()
    indexed[0].save(buffer, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=True)
    return buffer.getvalue()


def strip(frames: Sequence[Picture], gap: int = 4) -> Picture:
    """Pictures of equal size side by side, ``gap`` white pixels between them."""
    white = np.full((frames[0].shape[0], gap, 3), 255, dtype=np.uint8)
    parts = [part for frame in frames for part in (frame, white)]
    return np.concatenate(parts[:-1], axis=1)


def spread_indices(count: int, wanted: int) -> list[int]:
    """``wanted`` indices spread evenly over ``count``, first and last among them."""
    return sorted({int(index) for index in np.linspace(0, count - 1, min(wanted, count)).round()})


def smaller(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture scaled to (width, height) with antialiasing."""
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)


def encode(picture: Picture, kind: str = "PNG") -> bytes:
    """PNG or JPEG bytes."""
    buffer = BytesIO()
    if kind == "JPEG":
        Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    else:
        indexed = Image.fromarray(picture).quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        indexed.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(source: Path | bytes, mime: str = "") -> str:
    """The content as a URI that needs no other file; the type is guessed from a path's suffix."""
    types = {".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
    if isinstance(source, Path):
        mime, source = mime or types[source.suffix], source.read_bytes()
    return f"data:{mime};base64,{base64.b64encode(source).decode()}"
