"""Training data of a distillation: for each task, states with its expert's actions, sentences and goal images."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.checkpoint import CheckpointError
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import PICTURE_SIZE
from polytask_policy.pictures import picture_fault, shrink
from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.distillation.frames import Frames, joined

STATES_AT_ONCE = 1 << 16
"""Number of states in one forward pass of an expert."""
SPREAD = 256
"""Number of samples whose frames identify a replay."""
SentenceEncoder = Callable[[Sequence[str]], NDArray[np.float32]]


class DistillError(Exception):
    """Experts or a policy cannot be taught together; the message names the folder and the reason."""


@dataclass(frozen=True)
class TaskDataset:
    """What one task is taught from.

    Attributes:
        task: its name.
        states: float32 (N, n), states of its expert's replay.
        actions: float32 (N, k), the expert's action in each of them (Algorithm 2, line "relabel"). Of an expert that
            sees they take long: none, (0, k), until :func:`polytask_trainer.distillation.relabel.relabel_actions`.
        pictures: uint8 (P, 3, S, S), of its result; S is 42, or the size of a frame for a policy that sees.
        lots: float64 (N,), uniform in [0, 1), drawn once for each sample; the highest are forgotten first.
        source: digest of task, expert and whole replay; a lesson of which a part was forgotten keeps it.
        frames: what was seen in each of the states; None for a policy of the state alone.

    """

    task: str
    states: Tensor
    actions: Tensor
    pictures: Tensor
    lots: Tensor
    source: str
    frames: Frames | None = None


@dataclass(frozen=True)
class DistillationDataset:
    """Everything the student sees. Rows of one task are contiguous, tasks in the order of ``description.tasks``.

    Attributes:
        description: of the student.
        lessons: of each task.
        states: float32 (N, n), of all lessons.
        actions: float32 (N, k).
        state_counts: number of states of each task.
        sentences: float32 (S, 384), encoded taught sentences; sentence_counts as above.
        pictures: uint8 (P, 3, S, S); picture_counts as above.
        fingerprint: changes with any of the inputs.

    """

    description: PolicySpec
    lessons: tuple[TaskDataset, ...]
    states: Tensor
    actions: Tensor
    state_counts: tuple[int, ...]
    sentences: Tensor
    sentence_counts: tuple[int, ...]
    pictures: Tensor
    picture_counts: tuple[int, ...]
    fingerprint: str

    def seen(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Read what was seen in the states ``rows`` (B,), uint8 (B, 3 stack, S, S); None for a blind policy."""
        frames = [lesson.frames for lesson in self.lessons if lesson.frames is not None]
        return joined(frames, rows) if frames else None


def read_array(path: Path, name: str) -> NDArray[np.generic]:
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
    states = read_array(path, "states")
    if states.dtype != np.float32 or states.ndim != 2 or states.shape[1] != size or len(states) == 0:
        raise DistillError(f"{path}: states are {states.dtype} {states.shape}, expected float32 (N >= 1, {size})")
    if not np.isfinite(states).all():
        raise DistillError(f"{path}: states hold values that are not finite")
    return states.astype(np.float32, copy=False)


def read_pictures(folder: Path) -> NDArray[np.uint8]:
    """Read an expert's goal pictures, uint8 (M, H, W, 3), M >= 1."""
    path = folder / "goal_images.npz"
    pictures = read_array(path, "images")
    if pictures.ndim != 4 or len(pictures) == 0:
        raise DistillError(f"{path}: images have shape {pictures.shape}, expected (M >= 1, height, width, 3)")
    fault = picture_fault(pictures[0])
    if fault is not None:
        raise DistillError(f"{path}: {fault}")
    return pictures.astype(np.uint8, copy=False)


def read_task_dataset(folder: Path) -> tuple[PolicySpec, TaskDataset]:
    """Read an expert's run folder, and relabel a replay of states alone; DistillError where it lacks something."""
    try:
        expert = ExpertPolicy.load(folder)
    except CheckpointError as error:
        raise DistillError(str(error)) from None
    if not expert.description.instructions.get(expert.task):
        raise DistillError(f"{folder} holds no instructions for '{expert.task}': a sentence is needed to teach words")
    states = read_states(folder, len(expert.description.state_names))
    frames, size = None, PICTURE_SIZE
    if (sees := expert.description.pictures) is not None:
        try:
            frames, size = Frames.of_expert(folder, sees, len(states)), sees.size
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise DistillError(f"the frames of {folder} cannot be read: {error}") from None
    pictures = (shrink(read_pictures(folder), size) * 255).round().to(torch.uint8)
    if frames is None:
        parts = np.split(states, range(STATES_AT_ONCE, len(states), STATES_AT_ONCE))
        actions = np.concatenate([expert.act(part) for part in parts])
        source = _digest(expert.task.encode(), states, actions, pictures.numpy())
    else:
        actions = np.zeros((0, expert.actor.action_size), dtype=np.float32)
        some = frames.stacks(np.linspace(0, len(states) - 1, SPREAD).astype(np.int64)).numpy()
        weights = [value.numpy() for value in expert.actor.state_dict().values()]
        source = _digest(expert.task.encode(), states, pictures.numpy(), some, *weights)
    lots = np.random.default_rng(int(source, 16)).random(len(states))
    lesson = TaskDataset(
        task=expert.task,
        states=torch.from_numpy(states),
        actions=torch.from_numpy(actions),
        pictures=pictures,
        lots=torch.from_numpy(lots),
        source=source,
        frames=frames,
    )
    return expert.description, lesson


def require_same_robot(one: PolicySpec, other: PolicySpec, folder: Path, first: str) -> None:
    """Raise DistillError unless ``other``, read from ``folder``, is of the suite and the robot of ``one``."""
    if other.suite != one.suite:
        raise DistillError(f"{folder} was learned on suite '{other.suite}', {first} on '{one.suite}'")
    sees = one.pictures
    if other.pictures != sees or (sees and set(other.state_names) - set(one.state_names)):
        raise DistillError(f"{folder} sees {_sight(other)}, {first} sees {_sight(one)}: one policy has one sight")
    differing = one.differences(other.state_names, other.action_names, [sees.camera] if sees else ())
    differing += [
        f"embodiment: '{key}' differs"
        for key in sorted({*one.embodiment, *other.embodiment})
        if one.embodiment.get(key) != other.embodiment.get(key)
    ]
    if differing:
        raise DistillError(f"{folder} was learned on another robot than {first}: {'; '.join(differing)}")


def _sight(description: PolicySpec) -> str:
    """Say what a policy takes."""
    sees = description.pictures
    if sees is None:
        return "the state alone"
    beside = f" and {', '.join(description.state_names)}" if description.state_names else ""
    return f"{sees.stack} frames of {sees.size} pixels of camera '{sees.camera}'{beside}"


def with_task(taught: PolicySpec, new: PolicySpec) -> PolicySpec:
    """Return the description of a policy that is taught an expert's task too, the new one last."""
    [task] = new.tasks
    return replace(
        taught,
        tasks=taught.tasks if task in taught.tasks else (*taught.tasks, task),
        instructions={**taught.instructions, task: tuple(new.instructions[task])},
        descriptions={**taught.descriptions, task: new.descriptions.get(task, "")},
    )


def read_experts(folders: Sequence[Path]) -> tuple[PolicySpec, list[TaskDataset]]:
    """Read experts' run folders; raises DistillError where one lacks something or they do not fit together."""
    if not folders:
        raise DistillError("no experts were given: name the folders written by learning each task")
    read = [read_task_dataset(folder) for folder in folders]
    description = read[0][0]
    seen: dict[str, Path] = {}
    for folder, (own, lesson) in zip(folders, read, strict=True):
        if lesson.task in seen:
            raise DistillError(
                f"{folder} and {seen[lesson.task]} are both experts of '{lesson.task}'; give one of them"
            )
        seen[lesson.task] = folder
        require_same_robot(description, own, folder, str(folders[0]))
        description = with_task(description, own)
    return description, [lesson for _, lesson in read]


def distillation_dataset(
    description: PolicySpec, lessons: Sequence[TaskDataset], encode: SentenceEncoder
) -> DistillationDataset:
    """Put lessons in the order of ``description.tasks`` together, with their encoded sentences."""
    return DistillationDataset(
        description=description,
        lessons=tuple(lessons),
        states=torch.cat([lesson.states for lesson in lessons]),
        actions=torch.cat([lesson.actions for lesson in lessons]),
        state_counts=tuple(len(lesson.states) for lesson in lessons),
        sentences=torch.from_numpy(encode(_lines(description))),
        sentence_counts=tuple(len(description.instructions[task]) for task in description.tasks),
        pictures=torch.cat([lesson.pictures for lesson in lessons]),
        picture_counts=tuple(len(lesson.pictures) for lesson in lessons),
        fingerprint=fingerprint(description, lessons),
    )


def fingerprint(description: PolicySpec, lessons: Sequence[TaskDataset]) -> str:
    """Tell teaching data apart; actions of experts that see need not be known for that."""
    return _digest(repr((description.tasks, _lines(description))).encode(), *map(_content, lessons))


def _lines(description: PolicySpec) -> list[str]:
    return [line for task in description.tasks for line in description.instructions[task]]


def _content(lesson: TaskDataset) -> bytes:
    if lesson.frames is not None:
        return _digest(lesson.states.numpy(), lesson.pictures.numpy(), lesson.source.encode()).encode()
    return _digest(lesson.states.numpy(), lesson.actions.numpy(), lesson.pictures.numpy()).encode()


def _digest(*parts: bytes | NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.hexdigest()
