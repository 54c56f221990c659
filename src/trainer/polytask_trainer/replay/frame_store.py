"""Camera frames on disk, each kept once: a memory-mapped ring of episodes that processes share."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RESIDENT = 512 << 20
"""Bytes that a process touches before it gives the pages back (the kernel keeps them as cache as long as it likes)."""


class FrameStore:
    """``slots`` episodes of at most ``length`` frames uint8 (3, size, size), in one file.

    Actors write, the learner reads; nobody locks. Who hands out the slots sees to it that none is read while it is
    written. A frame's place is ``slot * length + number``.
    """

    def __init__(self, path: Path, slots: int, length: int, size: int) -> None:
        """Open the file, or make it (sparse: blocks are taken as frames are written)."""
        self.path, self.slots, self.length, self.size = path, slots, length, size
        wanted = slots * length * 3 * size * size
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(0, 2)
            if file.tell() < wanted:
                file.truncate(wanted)
            self._map = mmap.mmap(file.fileno(), wanted)
        self._map.madvise(mmap.MADV_RANDOM)
        self.frames: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8).reshape(-1, 3, size, size)
        """All frames, (slots * length, 3, size, size), in the file itself."""
        self._touched = 0

    def write(self, slot: int, frames: NDArray[np.uint8]) -> None:
        """Put an episode's frames (n, 3, size, size) into a slot. Raises ValueError when they do not fit."""
        if len(frames) > self.length or not 0 <= slot < self.slots:
            raise ValueError(f"{len(frames)} frames into slot {slot}; there are {self.slots} slots of {self.length}")
        self.frames[slot * self.length : slot * self.length + len(frames)] = frames
        self._count(frames.nbytes)

    def read(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy the frames at ``places`` of any shape (...): uint8 (..., 3, size, size)."""
        found: NDArray[np.uint8] = np.take(self.frames, places, axis=0)  # much quicker than indexing
        self._count(found.nbytes)
        return found

    def _count(self, size: int) -> None:
        self._touched += size
        if self._touched > RESIDENT:
            self._map.madvise(mmap.MADV_DONTNEED)  # shared with the file: nothing written is lost
            self._touched = 0


def frame_stacks(frames: NDArray[np.uint8], stack: int) -> NDArray[np.uint8]:
    """Stacked frames uint8 (T+1, 3 stack, size, size) of an episode's frames uint8 (T+1, 3, size, size)."""
    places = torch.arange(len(frames))
    found: NDArray[np.uint8] = frames[stacked(torch.zeros_like(places), places, stack).numpy()]
    return found.reshape(len(places), -1, *found.shape[-2:])


def stacked(first: Tensor, place: Tensor, stack: int) -> Tensor:
    """Places (B, stack) of the frames that end at ``place`` (B,), oldest first, none before the episode's ``first``.

    All int64, on one device.
    """
    back = torch.arange(stack - 1, -1, -1, device=place.device)
    return torch.maximum(place[:, None] - back, first[:, None])
