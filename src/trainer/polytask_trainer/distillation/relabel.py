"""Actions of image-based experts in the states of their replays (PolyTask, Algorithm 2, line "relabel").

At the papers' size that is some 140,000 states of an expert, minutes on a GPU and longer without. So the actions are
kept as they come, and a distillation that was stopped, or killed, carries on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from polytask_policy.expert import ExpertPolicy
from polytask_trainer.common.files import write_npz
from polytask_trainer.distillation.dataset import TaskDataset, read_array
from polytask_trainer.distillation.frames import CHUNK

FOLDER = "relabelled"
"""Subfolder of a distillation's state, with a file for each expert, named by its lesson's source."""
KEEP_EVERY = 60.0
"""Time in s between checkpoints of a relabelling."""


def relabel_actions(
    lessons: Sequence[TaskDataset],
    experts: Sequence[Path],
    training: Path,
    device: torch.device,
    should_stop: Callable[[], bool] | None,
) -> list[TaskDataset] | None:
    """Return the lessons with the actions of their experts, computed on ``device``; None: stopped before."""
    found: list[TaskDataset] = []
    for lesson, expert in zip(lessons, experts, strict=True):
        if lesson.frames is not None:
            actions = _actions(lesson, expert, training / FOLDER, device, should_stop or (lambda: False))
            if actions is None:
                return None
            lesson = replace(lesson, actions=actions)
        found.append(lesson)
    return found


def _actions(
    lesson: TaskDataset, expert: Path, folder: Path, device: torch.device, should_stop: Callable[[], bool]
) -> torch.Tensor | None:
    """Actions float32 (N, k) in the states of a lesson, from where the file in ``folder`` ends. None: stopped."""
    assert lesson.frames is not None
    kept = folder / f"{lesson.source[:16]}.npz"
    parts = [read_array(kept, "actions").astype(np.float32) if kept.exists() else lesson.actions.numpy()]
    count, saved = len(parts[0]), time.monotonic()

    def keep() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_npz(kept, actions=np.concatenate(parts))

    actor = ExpertPolicy.load(expert).actor.to(device)
    while count < len(lesson.states):
        stop = should_stop()
        if stop or time.monotonic() - saved > KEEP_EVERY:
            keep()
            saved = time.monotonic()
        if stop:
            return None
        part = np.arange(count, min(count + CHUNK, len(lesson.states)))
        with torch.inference_mode():
            seen = lesson.frames.stacks(part).to(device)
            parts.append(actor(lesson.states[part].to(device), seen).cpu().numpy())
        count += len(part)
    if len(parts) > 1:
        keep()
    return torch.from_numpy(np.concatenate(parts))
