"""Lifelong learning: a policy learns one more task and forgets none (PolyTask, Section II-D and appendix D).

Offline variant: an expert of the new task is learned as ever; then the policy, from its own weights, imitates the
expert in the states of its replay and rehearses what it remembers of its earlier tasks. No shape changes. The online
variant learns the expert otherwise, see :mod:`polytask_trainer.lifelong.online`, and ends with the same step.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

from polytask_policy.checkpoint import META_FILE, CheckpointError, has_checkpoint, load_checkpoint
from polytask_policy.text import TextEncoder
from polytask_policy.unified import KIND, UnifiedPolicy
from polytask_trainer.common.device import torch_device
from polytask_trainer.common.files import remove_own
from polytask_trainer.distillation.config import DistillConfig, DistillProgress, DistillResult
from polytask_trainer.distillation.dataset import (
    DistillError,
    SentenceEncoder,
    distillation_dataset,
    read_task_dataset,
    require_same_robot,
    with_task,
)
from polytask_trainer.distillation.distill import done_before, save_taught
from polytask_trainer.distillation.frames import in_bf16
from polytask_trainer.distillation.memory import FOLDER, RehearsalMemory, require_place
from polytask_trainer.distillation.relabel import relabel_actions
from polytask_trainer.distillation.student import STUDENT, Student, train_student

STEPS = 2000
"""Gradient steps for one more task; about half of what a policy at random needs for the first ones."""
PREVIOUS = "previous"


def add_task(
    config: DistillConfig,
    expert: Path,
    policy: Path,
    *,
    rehearse: bool = True,
    on_progress: Callable[[DistillProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    encode: SentenceEncoder | None = None,
) -> DistillResult:
    """Teach the unified policy in the folder ``policy`` the task of one more expert, in place.

    The policy is replaced in one step, and ``policy/previous`` holds the one before, whole. The same call carries on
    where an earlier one was stopped or killed; one whose expert the policy has learned already returns at once. An
    expert of a taught task takes the place of the earlier one. ``config.hidden`` and ``config.storage`` have no say:
    they are the policy's. ``rehearse=False`` is plain fine-tuning, the baseline that forgets.

    Raises DistillError for an expert or a policy that does not fit, TextModelError without a text model.
    """
    try:
        taught, meta = UnifiedPolicy.load(policy), load_checkpoint(policy, KIND)[1]
        memory = RehearsalMemory.load(policy)
    except CheckpointError as error:
        raise DistillError(str(error)) from None
    own, lesson = read_task_dataset(expert)
    if any(known.source == lesson.source for known in memory.lessons):
        return done_before(meta)
    require_same_robot(taught.description, own, expert, str(policy))
    description = with_task(taught.description, own)
    try:
        taught.goals.teach(len(description.tasks))
    except ValueError as error:
        raise DistillError(f"{policy}: {error}") from None
    found = relabel_actions([lesson], [expert], policy / "training", torch_device(config.device), should_stop)
    if found is None:
        return DistillResult(False, 0, math.nan)
    [lesson] = found
    # The new task's replay is still there in full; what of it is remembered is decided when it is learned.
    lessons = RehearsalMemory(memory.lessons).with_lessons([lesson]).lessons
    data = distillation_dataset(description, lessons, encode or TextEncoder().encode)
    said = json.dumps([config.fingerprint_fields(), data.fingerprint, rehearse, meta.get("fingerprint")])
    fingerprint = hashlib.sha256(said.encode()).hexdigest()
    student = Student(taught.actor, taught.goals, in_bf16(expert))
    if has_checkpoint(expert / STUDENT):
        tensors, of = load_checkpoint(expert / STUDENT, STUDENT)
        if of["policy"] == meta.get("fingerprint"):
            student.load_state_dict(tensors)
    drawn = None if rehearse else [description.tasks.index(lesson.task)]
    result = train_student(
        config, student, data, policy, fingerprint, drawn=drawn, on_progress=on_progress, should_stop=should_stop
    )
    if result.finished:
        after = memory.with_lessons([lesson])
        _keep_previous(policy)
        save_taught(policy, student, data, after, result, fingerprint=fingerprint, seed=config.seed)
    return result


def copy_policy(policy: Path, output: Path) -> None:
    """Copy a policy with its memory to ``output``, to teach the copy more; one that is there already stays.

    Raises DistillError where the memory's place is a symbolic link.
    """
    if not has_checkpoint(output):
        output.mkdir(parents=True, exist_ok=True)
        _copy(policy, output)


def _keep_previous(policy: Path) -> None:
    """Keep the policy as it is, with its memory, in ``previous/``."""
    temporary, kept = policy / f".{PREVIOUS}", policy / PREVIOUS
    _make_room(temporary)
    temporary.mkdir()
    _copy(policy, temporary)
    _make_room(kept)
    temporary.rename(kept)


def _make_room(folder: Path) -> None:
    if not remove_own(folder):
        raise DistillError(f"{folder} holds what is not ours, and its place is needed: move it away and call again")


def _copy(policy: Path, output: Path) -> None:
    """Copy what makes up a policy into an existing folder; the JSON last, for it says that all is there."""
    require_place(output)
    shutil.copytree(policy / FOLDER, output / FOLDER, symlinks=True, dirs_exist_ok=True)
    for path in (*policy.glob("tensors-*.safetensors"), policy / META_FILE):
        shutil.copy2(path, output, follow_symlinks=False)
