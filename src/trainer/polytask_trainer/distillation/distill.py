"""Behaviour distillation: several experts into one goal-conditioned policy (PolyTask, Eq. 2 and Algorithm 2)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from polytask_policy.checkpoint import CheckpointError, has_checkpoint, load_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.pixel_networks import PixelEncoder
from polytask_policy.text import EMBEDDING_SIZE, TextEncoder
from polytask_policy.unified import KIND
from polytask_trainer.common.device import torch_device
from polytask_trainer.common.files import remove_own
from polytask_trainer.common.scales import state_scales, units
from polytask_trainer.distillation.config import DistillConfig, DistillProgress, DistillResult
from polytask_trainer.distillation.dataset import (
    DistillationDataset,
    DistillError,
    SentenceEncoder,
    distillation_dataset,
    read_experts,
)
from polytask_trainer.distillation.dataset import fingerprint as data_fingerprint
from polytask_trainer.distillation.frames import in_bf16
from polytask_trainer.distillation.memory import RehearsalMemory, prune_others, require_place
from polytask_trainer.distillation.relabel import relabel_actions
from polytask_trainer.distillation.student import Student, policy_of, train_student


def new_student(
    data: DistillationDataset, config: DistillConfig, like: PixelEncoder | None = None, bf16: bool = False
) -> Student:
    """Make a student at random; one that sees gets an encoder with the sizes of its experts', ``like``.

    Its state is scaled by the entries' units, as the experts' is: what did not move in the first tasks may in a later
    one, and the scale stays for good.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = PixelEncoder(like.pictures, like.feature, like.strides) if like else None
        actor = GoalConditionedActor(data.states.shape[1], data.actions.shape[1], config.hidden, encoder)
        goals = GoalEncoder(EMBEDDING_SIZE, len(data.description.tasks), encoder)
    actor.normaliser.set(data.states.mean(0), torch.from_numpy(state_scales(units(data.description))))
    return Student(actor, goals, bf16)


def _finished(output: Path, fingerprint: str) -> DistillResult | None:
    """Return the result of an earlier distillation of the same inputs; None where ``output`` is free for a new one."""
    if not has_checkpoint(output):
        return None
    try:
        _, meta = load_checkpoint(output, KIND)
    except CheckpointError as error:
        raise DistillError(f"the output folder cannot be used: {error}. Choose another or remove it.") from None
    if meta.get("fingerprint") != fingerprint:
        return None
    return done_before(meta)


def done_before(meta: Mapping[str, Any]) -> DistillResult:
    """Return the result that a policy's checkpoint tells of."""
    try:
        return DistillResult(True, int(meta["steps"]), float(meta["loss"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DistillError(f"the policy's checkpoint lacks an entry: {error!r}") from None


def save_taught(
    output: Path,
    student: Student,
    data: DistillationDataset,
    memory: RehearsalMemory,
    result: DistillResult,
    **extra: object,
) -> None:
    """Write the policy with its memory; a reader sees the old policy and memory or the new ones."""
    name = memory.save(output)
    policy_of(student, data).save(output, memory=name, loss=result.loss, steps=result.steps, **extra)
    prune_others(output, name)
    remove_own(output / "training")


def distill(
    config: DistillConfig,
    experts: Sequence[Path],
    output: Path,
    *,
    on_progress: Callable[[DistillProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    encode: SentenceEncoder | None = None,
) -> DistillResult:
    """Distil the experts in the given folders into one policy in ``output``, with a memory of what it was taught.

    The same call carries on where an earlier one was stopped or killed, and ends with the same policy. A finished one
    returns at once. ``encode`` turns sentences into vectors (the text model when left out). Raises DistillError for
    experts that do not fit or an ``output`` whose memory is linked elsewhere, TextModelError without a text model.
    """
    require_place(output)
    experts = [Path(folder) for folder in experts]
    description, read = read_experts(experts)
    fingerprint = json.dumps([config.fingerprint_fields(), data_fingerprint(description, read)])
    done = _finished(output, fingerprint)
    if done is not None:
        return done
    lessons = relabel_actions(read, experts, output / "training", torch_device(config.device), should_stop)
    if lessons is None:
        return DistillResult(False, 0, math.nan)
    memory = RehearsalMemory(storage=config.storage).with_lessons(lessons)
    data = distillation_dataset(description, lessons, encode or TextEncoder().encode)
    like = getattr(ExpertPolicy.load(experts[0]).actor, "encoder", None)
    student = new_student(data, config, like, in_bf16(experts[0]))
    result = train_student(config, student, data, output, fingerprint, on_progress=on_progress, should_stop=should_stop)
    if result.finished:
        save_taught(output, student, data, memory, result, fingerprint=fingerprint, seed=config.seed)
    return result
