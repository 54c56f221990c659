"""The rehearsal memory of a policy: it learns more tasks without the experts' folders.

It lies in the policy's folder as ``memory/<name>``, and the policy's checkpoint says which name is its own. So policy
and memory change in one step, that of the checkpoint; what a killed writer left behind is removed by the next one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_trainer.common.files import linked, remove_own
from polytask_trainer.distillation.dataset import DistillError, TaskDataset
from polytask_trainer.distillation.frames import Frames

KIND = "memory"
FOLDER = "memory"
_NAME = re.compile(r"[0-9a-f]{16}")
_TENSORS = ("states", "actions", "pictures", "lots")


@dataclass(frozen=True)
class RehearsalMemory:
    """Lessons of the taught tasks, at most ``storage`` samples of all replays together (0: all of them).

    What is kept is a uniform sample of everything ever seen: reservoir sampling by random sort. Each sample has drawn
    a lot in [0, 1) once and for all, and those with the lowest are kept. So it does not matter in which order, or how
    many at once, the tasks came, and the share of each shrinks as more arrive.

    Attributes:
        lessons: in the order of the policy's tasks.
        storage: samples kept in all; 0: all.
        limit: highest lot that is still kept; it only falls, for what lay above is gone.

    """

    lessons: tuple[TaskDataset, ...] = ()
    storage: int = 0
    limit: float = 1.0

    def with_lessons(self, new: Sequence[TaskDataset]) -> RehearsalMemory:
        """Return the memory that has learned ``new`` too; a lesson of a known task takes the place of the old one.

        Raises DistillError where the storage is so small that nothing is left of a task.
        """
        by_task = {lesson.task: lesson for lesson in (*self.lessons, *new)}
        lots = torch.cat([lesson.lots for lesson in by_task.values()])
        limit = self.limit
        if self.storage and int((lots <= limit).sum()) > self.storage:
            limit = float(lots.kthvalue(self.storage).values)
        kept = tuple(_up_to(lesson, limit) for lesson in by_task.values())
        for lesson in kept:
            if len(lesson.states) == 0:
                raise DistillError(
                    f"a storage of {self.storage} samples for {len(kept)} tasks leaves nothing of '{lesson.task}': "
                    "give more"
                )
        return RehearsalMemory(kept, self.storage, limit)

    def save(self, policy: Path) -> str:
        """Write it into a policy's folder, beside the one in use; return its name for the policy's checkpoint.

        Raises DistillError where the place for it is a symbolic link.
        """
        require_place(policy)
        tensors = {
            f"{number}.{name}": getattr(lesson, name) for number, lesson in enumerate(self.lessons) for name in _TENSORS
        }
        # The sources and the limit say it all; samples of two memories that agree in them are the same.
        meta = {
            "kind": KIND,
            "storage": self.storage,
            "limit": self.limit,
            "tasks": [lesson.task for lesson in self.lessons],
            "sources": [lesson.source for lesson in self.lessons],
        }
        name = hashlib.sha256(json.dumps(meta).encode()).hexdigest()[:16]
        folder = policy / FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        shapes = {}
        for number, lesson in enumerate(self.lessons):
            if lesson.frames is not None:
                count, places = lesson.frames.save(folder / f"{number}.u8")
                tensors[f"{number}.places"] = torch.from_numpy(places)
                shapes[str(number)] = [count, lesson.frames.store.size]
        save_checkpoint(folder, tensors, meta | ({"frames": shapes} if shapes else {}))
        return name

    @classmethod
    def load(cls, policy: Path) -> RehearsalMemory:
        """Read the memory of the policy in a folder; raises DistillError where it has none, CheckpointError else."""
        meta = load_checkpoint(policy)[1]
        if "memory" not in meta:
            raise DistillError(
                f"{policy} has no memory of its tasks, so it would forget them: distil its experts again"
            )
        name = meta["memory"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CheckpointError(f"{policy} names {name!r:.100}, which is no name of a memory")
        require_place(policy, name)
        folder = policy / FOLDER / name
        tensors, own = load_checkpoint(folder, KIND)
        try:
            frames = {
                int(number): Frames.load(folder / f"{number}.u8", count, size, tensors[f"{number}.places"].numpy())
                for number, (count, size) in own.get("frames", {}).items()
            }
            lessons = tuple(
                TaskDataset(
                    task=str(task),
                    source=str(source),
                    frames=frames.get(number),
                    **{name: tensors[f"{number}.{name}"] for name in _TENSORS},
                )
                for number, (task, source) in enumerate(zip(own["tasks"], own["sources"], strict=True))
            )
            for lesson in lessons:
                _check(lesson)
            return cls(lessons, int(own["storage"]), float(own["limit"]))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise CheckpointError(f"the memory in {folder} lacks an entry: {error!r}") from None


def require_place(policy: Path, *names: str) -> None:
    """Raise DistillError where the folder of a policy's memories, or that of one, leads elsewhere."""
    if found := linked(policy / FOLDER, *(policy / FOLDER / name for name in names)):
        raise DistillError(found)


def prune_others(policy: Path, name: str) -> None:
    """Remove all memories in a policy's folder but the one of that name; what is no memory of ours stays."""
    if (policy / FOLDER).is_symlink():
        return
    for folder in (policy / FOLDER).iterdir():
        if folder.name != name and _NAME.fullmatch(folder.name):
            remove_own(folder)


def _check(lesson: TaskDataset) -> None:
    """Raise ValueError where a lesson's tensors do not belong together."""
    count = len(lesson.lots)
    if not count or lesson.states.ndim != 2 or lesson.actions.ndim != 2 or lesson.lots.ndim != 1:
        raise ValueError(f"the samples of '{lesson.task}' have no shape of samples")
    if len(lesson.states) != count or len(lesson.actions) != count:
        raise ValueError(f"'{lesson.task}' has {len(lesson.states)} states but {len(lesson.actions)} actions")
    if lesson.frames is not None and len(lesson.frames.places) != count:
        raise ValueError(f"'{lesson.task}' has {count} states but {len(lesson.frames.places)} stacks of frames")
    if not all(bool(one.isfinite().all()) for one in (lesson.states, lesson.actions, lesson.lots)):
        raise ValueError(f"the samples of '{lesson.task}' are not finite")


def _up_to(lesson: TaskDataset, limit: float) -> TaskDataset:
    kept = lesson.lots <= limit
    if bool(kept.all()):
        return lesson
    frames = lesson.frames.only(kept.numpy()) if lesson.frames is not None else None
    return replace(
        lesson, states=lesson.states[kept], actions=lesson.actions[kept], lots=lesson.lots[kept], frames=frames
    )
