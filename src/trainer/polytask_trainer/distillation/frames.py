"""Camera frames of the experts' replays, for distilling an image-based policy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.checkpoint import load_checkpoint
from polytask_policy.policy_spec import Pictures
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import SeenStates

CHUNK = 256
"""Frames that are copied, or stacks that an expert is shown, at a time."""


@dataclass(frozen=True)
class Frames:
    """The stacked frames of N samples; each frame lies once in a file, which is not read as a whole.

    Attributes:
        store: the file.
        places: int64 (N, stack), where the frames of each sample's stack lie, oldest first.

    """

    store: FrameStore
    places: NDArray[np.int64]

    @classmethod
    def of_expert(cls, folder: Path, sees: Pictures, count: int) -> Frames:
        """Open those of the ``count`` states of an expert's replay.

        Raises ValueError, OSError or KeyError for a damaged folder, or one of other pictures than the expert's.
        """
        seen = SeenStates(folder)
        if seen.places.shape != (count, sees.stack) or seen.store.size != sees.size:
            found = f"{len(seen.places)} stacks of {seen.places.shape[1]} frames of {seen.store.size} pixels"
            raise ValueError(f"{found}, expected are {count} of {sees.stack} frames of {sees.size}")
        return cls(seen.store, seen.places)

    @classmethod
    def load(cls, path: Path, count: int, size: int, places: NDArray[np.int64]) -> Frames:
        """Open a file of ``count`` frames that ``save`` wrote; raises ValueError where it is missing or too short."""
        if path.is_symlink() or not path.is_file() or path.stat().st_size < count * 3 * size * size:
            raise ValueError(f"{path} does not hold {count} frames of {size} pixels")
        if count < 1 or size < 1 or places.ndim != 2 or not 0 <= places.min() <= places.max() < count:
            raise ValueError(f"the places of the frames in {path} are none of its {count} frames'")
        return cls(FrameStore(path, 1, count, size), places)

    def stacks(self, index: NDArray[np.int64]) -> Tensor:
        """Read the stacked frames uint8 (B, 3 stack, size, size) of the samples ``index`` (B,)."""
        return torch.from_numpy(self.read(index))

    def read(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read them as an array."""
        frames = self.store.read(self.places[index])
        return frames.reshape(len(index), -1, *frames.shape[-2:])

    def only(self, kept: NDArray[np.bool_]) -> Frames:
        """Return those of the samples that are ``kept`` (N,)."""
        return replace(self, places=self.places[kept])

    def save(self, path: Path) -> tuple[int, NDArray[np.int64]]:
        """Write the frames that the samples need to ``path``; return their number and the samples' places there."""
        used, places = np.unique(self.places, return_inverse=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                for begin in range(0, len(used), CHUNK):
                    file.write(self.store.read(used[begin : begin + CHUNK]).data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return len(used), places.reshape(self.places.shape).astype(np.int64)


def joined(lessons: Sequence[Frames], rows: NDArray[np.int64]) -> Tensor:
    """Read the stacked frames uint8 (B, 3 stack, size, size) of ``rows`` (B,) of all lessons' samples in a row."""
    size = lessons[0].store.size
    found = np.empty((len(rows), 3 * lessons[0].places.shape[1], size, size), np.uint8)
    begin = 0
    for frames in lessons:
        end = begin + len(frames.places)
        own = np.flatnonzero((rows >= begin) & (rows < end))
        found[own] = frames.read(rows[own] - begin)
        begin = end
    return torch.from_numpy(found)


def in_bf16(expert: Path) -> bool:
    """Whether an expert's encoder learned in bfloat16; that of a student that imitates it does so then, too."""
    settings = load_checkpoint(expert)[1].get("settings", {})
    return bool((settings.get("pictures") or {}).get("bf16"))
