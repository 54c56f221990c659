"""Draws the student's batches, each from (seed, step) alone, so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from polytask_policy.goal_networks import PICTURE_SIZE
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.dataset import DistillationDataset
from polytask_trainer.replay.augment import random_shift

KINDS = 3
BRIGHTNESS = 0.15


@dataclass(frozen=True)
class Batch:
    """One batch, ordered by goal kind: first sentences, then pictures, then task names.

    Attributes:
        states: float32 (B, n).
        actions: float32 (B, k), the experts'.
        seen: uint8 (B, 3 stack, S, S), frames shifted at random; None for a policy of the state alone.
        tasks: int64 (B,), task numbers.
        sentences: float32 (B_words, 384), unit vectors, for the first rows.
        pictures: float32 (P, 3, S, S), few of them, for they cost most of a step.
        picture_rows: int64 (B_pictures,), which picture each of the rows after the sentences has.

    """

    states: Tensor
    actions: Tensor
    tasks: Tensor
    sentences: Tensor
    pictures: Tensor
    picture_rows: Tensor
    seen: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return Batch(**moved)


def task_of_row(counts: Sequence[int]) -> Tensor:
    """Return the task number int64 of every row where the rows of each task are contiguous."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def _rows(rng: np.random.Generator, tasks: NDArray[np.int64], counts: Sequence[int]) -> Tensor:
    """Draw for each task number one of its rows, uniformly."""
    sizes = np.asarray(counts)
    starts = np.cumsum(sizes) - sizes
    return torch.from_numpy(starts[tasks] + rng.integers(sizes[tasks]))


def _sentences(rng: np.random.Generator, tasks: NDArray[np.int64], data: DistillationDataset, noise: float) -> Tensor:
    """Draw a point between two sentences of each task, with noise of the given length; unit vectors.

    Paraphrases lie between and beside the taught sentences, not on them.
    """
    one = data.sentences[_rows(rng, tasks, data.sentence_counts)]
    other = data.sentences[_rows(rng, tasks, data.sentence_counts)]
    share = torch.from_numpy(rng.random((len(tasks), 1), dtype=np.float32))
    scatter = torch.from_numpy(rng.standard_normal(one.shape, dtype=np.float32)) * (noise / one.shape[1] ** 0.5)
    return functional.normalize(share * one + (1 - share) * other + scatter, dim=-1)


def _pictures(rng: np.random.Generator, tasks: NDArray[np.int64], data: DistillationDataset, shift: int) -> Tensor:
    """Draw a goal picture of each task, shifted by up to ``shift`` pixels of 42 and made brighter or darker."""
    chosen = data.pictures[_rows(rng, tasks, data.picture_counts)].float() / 255
    count, _, height, width = chosen.shape
    shift = round(shift * width / PICTURE_SIZE)
    padded = functional.pad(chosen, (shift,) * 4, mode="replicate")
    corners = rng.integers(2 * shift + 1, size=(count, 2)).tolist()
    moved = torch.stack(
        [
            picture[:, top : top + height, left : left + width]
            for picture, (top, left) in zip(padded, corners, strict=True)
        ]
    )
    gain = 1 + BRIGHTNESS * (2 * torch.from_numpy(rng.random((count, 1, 1, 1), dtype=np.float32)) - 1)
    return (moved * gain).clamp(0, 1)


def draw_batch(
    data: DistillationDataset, config: DistillConfig, step: int, drawn: Sequence[int] | None = None, device: str = "cpu"
) -> Batch:
    """Draw the batch of a step: task (of those ``drawn``), goal kind, state and goal, each uniformly at random.

    It comes on ``device``, where its frames are shifted too.
    """
    rng = np.random.default_rng([config.seed, step])
    among = np.arange(len(data.state_counts)) if drawn is None else np.asarray(drawn)
    words, pictures, names = np.bincount(rng.integers(KINDS, size=config.batch), minlength=KINDS)
    picture_tasks = among[rng.integers(len(among), size=config.pictures)]
    picture_rows = rng.integers(config.pictures, size=pictures)
    word_tasks = among[rng.integers(len(among), size=words)]
    name_tasks = among[rng.integers(len(among), size=names)]
    tasks = np.concatenate([word_tasks, picture_tasks[picture_rows], name_tasks])
    rows = _rows(rng, tasks, data.state_counts)
    batch = Batch(
        states=data.states[rows],
        actions=data.actions[rows],
        tasks=torch.from_numpy(tasks),
        sentences=_sentences(rng, word_tasks, data, config.sentence_noise),
        pictures=_pictures(rng, picture_tasks, data, config.picture_shift),
        picture_rows=torch.from_numpy(picture_rows),
    ).to(torch.device(device))
    seen = data.seen(rows.numpy())
    if seen is None:
        return batch
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return replace(batch, seen=random_shift(seen.to(device), generator))


class Ahead:
    """Gives the batch of a step; for a GPU it is drawn in a thread while the one before it is learned from.

    To be closed by leaving the ``with`` block.
    """

    def __init__(self, draw: Callable[[int], Batch], device: torch.device) -> None:
        """``draw`` gives the batch of a step, whichever was drawn before."""
        self._draw = draw
        self._thread = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._coming: dict[int, Future[Batch]] = {}

    def __enter__(self) -> Ahead:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        if self._thread is None:
            return self._draw(step)
        coming = self._coming.get(step) or self._thread.submit(self._draw, step)
        batch = coming.result()
        self._coming = {step + 1: self._thread.submit(self._draw, step + 1)}
        return batch
