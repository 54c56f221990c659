"""Augmentation of pictures: DrQ's random shifts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SHIFT = 4 / 84
"""Largest random shift, as a share of a picture's width: the papers' 4 of 84 pixels."""


def random_shift(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Move each of uint8 (B, C, S, S) by whole pixels of its own, up to ``SHIFT`` of its width; edges are repeated."""
    batch, _, size, _ = pictures.shape
    pad = max(1, round(SHIFT * size))
    offset = torch.randint(-pad, pad + 1, (2, batch, 1), generator=generator, device=generator.device)
    if pictures.device.type == "cpu":
        return torch.from_numpy(_shifted(pictures.numpy(), offset[..., 0].T.tolist()))
    rows, columns = (torch.arange(size, device=pictures.device) + offset.to(pictures.device)).clamp(0, size - 1)
    moved = pictures.gather(2, rows[:, None, :, None].expand(pictures.shape))
    return moved.gather(3, columns[:, None, None, :].expand(pictures.shape))


def _shifted(pictures: NDArray[np.uint8], offsets: Sequence[tuple[int, int]]) -> NDArray[np.uint8]:
    """Of each picture, the part that begins at its offset (down, right), by slices: a tenth of what gathering takes."""
    found, size = np.empty_like(pictures), pictures.shape[-1]
    for own, moved, (down, right) in zip(pictures, found, offsets, strict=True):
        top, bottom, left, end = max(0, -down), size - max(0, down), max(0, -right), size - max(0, right)
        moved[:, top:bottom, left:end] = own[:, top + down : bottom + down, left + right : end + right]
        # Edges are repeated: the columns first, then whole rows.
        moved[:, top:bottom, :left], moved[:, top:bottom, end:] = (
            moved[:, top:bottom, left : left + 1],
            moved[:, top:bottom, end - 1 : end],
        )
        moved[:, :top], moved[:, bottom:] = moved[:, top : top + 1], moved[:, bottom - 1 : bottom]
    return found
