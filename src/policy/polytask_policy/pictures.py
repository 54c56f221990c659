"""Checks goal pictures and brings them to the size the goal encoder takes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from polytask_policy.goal_networks import PICTURE_SIZE

SMALLEST_SIDE = 16
LARGEST_SIDE = 8192


def picture_fault(picture: object) -> str | None:
    """Say why ``picture`` cannot be a goal picture (uint8 (H, W, 3), RGB); None when it can."""
    if not isinstance(picture, np.ndarray):
        return f"a goal picture is a numpy array, not {type(picture).__name__}"
    if picture.dtype != np.uint8:
        return f"a goal picture has dtype uint8 (0..255), not {picture.dtype}"
    if picture.ndim != 3 or picture.shape[2] != 3:
        return f"a goal picture has shape (height, width, 3), not {picture.shape}"
    if min(picture.shape[:2]) < SMALLEST_SIDE or max(picture.shape[:2]) > LARGEST_SIDE:
        return (
            f"a goal picture of {picture.shape[1]}x{picture.shape[0]} pixels; each side must have "
            f"{SMALLEST_SIDE} to {LARGEST_SIDE}"
        )
    return None


def shrink(pictures: NDArray[np.uint8], size: int = PICTURE_SIZE) -> Tensor:
    """Average uint8 pictures (B, H, W, 3) over areas to float32 (B, 3, size, size) in [0, 1]."""
    channels_first = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    if channels_first.shape[0] == 0:
        return torch.zeros(0, 3, size, size)
    # One at a time: many large pictures as float would take memory for nothing.
    small = [functional.interpolate(one[None].float(), (size, size), mode="area") for one in channels_first]
    return torch.cat(small) / 255
