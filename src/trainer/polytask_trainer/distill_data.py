"""What distillation learns from: the experts' replay states with relabelled actions, sentences and goal pictures."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.checkpoint import CheckpointError
from polytask_policy.description import Description
from polytask_policy.expert import ExpertPolicy
from polytask_policy.pictures import picture_fault, shrink

SentenceEncoder = Callable[[Sequence[str]], NDArray[np.float32]]


class DistillError(Exception):
    """The experts cannot be distilled together; the message names the folder and the reason."""


@dataclass(frozen=True)
class TeachingData:
    """Everything the student sees. Rows of one task are contiguous, tasks in the order of ``description.tasks``.

    Attributes:
        description: of the student.
        states: float32 (N, n), the experts' replay states.
        actions: float32 (N, k), each the action of the state's own expert (Algorithm 2, line "relabel").
        state_counts: number of states of each task.
        sentences: float32 (S, 384), encoded taught sentences; sentence_counts as above.
        pictures: float32 (P, 3, 42, 42) in [0, 1]; picture_counts as above.
        fingerprint: changes with any of the inputs.

    """

    description: Description
    states: Tensor
    actions: Tensor
    state_counts: tuple[int, ...]
    sentences: Tensor
    sentence_counts: tuple[int, ...]
    pictures: Tensor
    picture_counts: tuple[int, ...]
    fingerprint: str


def _array(path: Path, name: str) -> NDArray[np.generic]:
    """Read one array of an npz file; raises DistillError naming the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            array: NDArray[np.generic] = file[name]
            return array
    except FileNotFoundError:
        raise DistillError(f"{path} is missing: was the expert's learning finished?") from None
    except KeyError:
        raise DistillError(f"{path} holds no array '{name}'") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DistillError(f"{path} cannot be read: {error}") from None


def read_states(folder: Path, size: int) -> NDArray[np.float32]:
    """Read an expert's replay states, float32 (N, size), all finite, N >= 1."""
    path = folder / "replay.npz"
    states = _array(path, "states")
    if states.dtype != np.float32 or states.ndim != 2 or states.shape[1] != size or len(states) == 0:
        raise DistillError(f"{path}: states are {states.dtype} {states.shape}, expected float32 (N >= 1, {size})")
    if not np.isfinite(states).all():
        raise DistillError(f"{path}: states hold values that are not finite")
    return states.astype(np.float32, copy=False)


def read_pictures(folder: Path) -> NDArray[np.uint8]:
    """Read an expert's goal pictures, uint8 (M, H, W, 3), M >= 1."""
    path = folder / "goal_images.npz"
    pictures = _array(path, "images")
    if pictures.ndim != 4 or len(pictures) == 0:
        raise DistillError(f"{path}: images have shape {pictures.shape}, expected (M >= 1, height, width, 3)")
    fault = picture_fault(pictures[0])
    if fault is not None:
        raise DistillError(f"{path}: {fault}")
    return pictures.astype(np.uint8, copy=False)


def _load_experts(folders: Sequence[Path]) -> list[ExpertPolicy]:
    if not folders:
        raise DistillError("no experts were given: name the folders written by learning each task")
    try:
        experts = [ExpertPolicy.load(folder) for folder in folders]
    except CheckpointError as error:
        raise DistillError(str(error)) from None
    first = experts[0].description
    seen: dict[str, Path] = {}
    for folder, expert in zip(folders, experts, strict=True):
        own = expert.description
        if expert.task in seen:
            raise DistillError(
                f"{folder} and {seen[expert.task]} are both experts of '{expert.task}'; give one of them"
            )
        seen[expert.task] = folder
        if own.suite != first.suite:
            raise DistillError(f"{folder} was learned on suite '{own.suite}', {folders[0]} on '{first.suite}'")
        differing = first.differences(own.state_names, own.action_names)
        differing += [
            f"embodiment: '{key}' differs"
            for key in sorted({*first.embodiment, *own.embodiment})
            if first.embodiment.get(key) != own.embodiment.get(key)
        ]
        if differing:
            raise DistillError(f"{folder} was learned on another robot than {folders[0]}: {'; '.join(differing)}")
        if not own.instructions.get(expert.task):
            raise DistillError(
                f"{folder} holds no instructions for '{expert.task}': a sentence is needed to teach words"
            )
    return experts


def read_teaching_data(folders: Sequence[Path], encode: SentenceEncoder) -> TeachingData:
    """Read the experts' folders, relabel their replay states and encode their sentences.

    Raises DistillError where a folder lacks something or the experts do not fit together.
    """
    experts = _load_experts(folders)
    first = experts[0].description
    description = Description(
        suite=first.suite,
        tasks=tuple(expert.task for expert in experts),
        state_names=first.state_names,
        action_names=first.action_names,
        instructions={expert.task: tuple(expert.description.instructions[expert.task]) for expert in experts},
        descriptions={expert.task: expert.description.descriptions.get(expert.task, "") for expert in experts},
        embodiment=first.embodiment,
    )
    states = [read_states(folder, len(first.state_names)) for folder in folders]
    actions = [expert.act(own) for expert, own in zip(experts, states, strict=True)]
    pictures = [read_pictures(folder) for folder in folders]
    lines = [line for expert in experts for line in description.instructions[expert.task]]
    fingerprint = hashlib.sha256(repr((description.tasks, lines)).encode())
    for array in (*states, *actions, *pictures):
        fingerprint.update(np.ascontiguousarray(array).data)
    return TeachingData(
        description=description,
        states=torch.from_numpy(np.concatenate(states)),
        actions=torch.from_numpy(np.concatenate(actions)),
        state_counts=tuple(len(own) for own in states),
        sentences=torch.from_numpy(encode(lines)),
        sentence_counts=tuple(len(description.instructions[task]) for task in description.tasks),
        pictures=torch.cat([shrink(own) for own in pictures]),
        picture_counts=tuple(len(own) for own in pictures),
        fingerprint=fingerprint.hexdigest(),
    )
