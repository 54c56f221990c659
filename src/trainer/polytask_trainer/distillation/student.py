"""Behaviour distillation's student and the loop that teaches it (PolyTask, Eq. 2)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.common.device import device_name, quick_in_bf16, torch_device
from polytask_trainer.common.optimizer_state import load_moments, moments, under
from polytask_trainer.common.progress import LOG, cut_back
from polytask_trainer.distillation.config import DistillConfig, DistillProgress, DistillResult
from polytask_trainer.distillation.dataset import DistillationDataset
from polytask_trainer.distillation.sampler import Ahead, Batch, draw_batch, task_of_row

RESUME_KIND = "distillation"
KEPT_PICTURES = 32
SHARPNESS = 10.0
STUDENT = "student"
"""Folder, and kind of checkpoint, in the run folder of an expert that the policy itself became (online variant)."""


class Student(nn.Module):
    """The unified policy's networks while they are trained."""

    def __init__(self, actor: GoalConditionedActor, goals: GoalEncoder, bf16: bool = False) -> None:
        """Take the networks, which are trained in place; ``bf16``: the encoder of one that sees in bfloat16."""
        super().__init__()
        self.actor, self.goals = actor.train(), goals.train()
        self._bf16 = bf16

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return (Eq. 2, alignment).

        Eq. 2: L = E_t E_{s in D_t} || pi_t(s) - Pi(s, g_t) ||^2, here averaged over the action's entries. Alignment:
        cross-entropy of the task, read from the cosines between the goals and all tasks' embeddings.
        """
        device = batch.states.device
        with torch.autocast(device.type, torch.bfloat16, self._bf16 and quick_in_bf16(device)):
            pictures = self.goals.from_pictures(batch.pictures)[batch.picture_rows]
            values = self.actor.see(batch.states, batch.seen)
        asked = torch.cat([self.goals.from_sentences(batch.sentences), pictures])
        goals = torch.cat([asked, self.goals.from_tasks(batch.tasks[len(asked) :])])
        imitation = functional.mse_loss(torch.tanh(self.actor.raw(values, goals)), batch.actions)
        cosines = self.goals.similarities(asked)
        return imitation, functional.cross_entropy(SHARPNESS * cosines, batch.tasks[: len(asked)])


def _resume(folder: Path, fingerprint: str, student: Student, optimizer: torch.optim.Optimizer) -> int:
    """Load the state of an interrupted run of the same inputs into student and optimiser; return its steps, or 0."""
    try:
        tensors, meta = load_checkpoint(folder, RESUME_KIND)
    except CheckpointError:
        return 0
    if meta["fingerprint"] != fingerprint:
        return 0
    student.load_state_dict(under(tensors, "student"))
    load_moments(optimizer, under(tensors, "moments"))
    return int(meta["step"])


def _keep(folder: Path, fingerprint: str, step: int, student: Student, optimizer: torch.optim.Optimizer) -> None:
    """Write what ``_resume`` reads."""
    tensors = {f"student.{name}": value for name, value in student.state_dict().items()}
    tensors |= {f"moments.{name}": value for name, value in moments(optimizer).items()}
    save_checkpoint(folder, tensors, {"kind": RESUME_KIND, "fingerprint": fingerprint, "step": step})


def policy_of(student: Student, data: DistillationDataset) -> UnifiedPolicy:
    """Wrap a student's networks with the taught examples, a spread of at most 32 pictures per task."""
    rows, start = [], 0
    for count in data.picture_counts:
        kept = np.unique(np.linspace(0, count - 1, KEPT_PICTURES).round().astype(int))
        rows.append(torch.from_numpy(start + kept))
        start += count
    examples = {
        "sentences": data.sentences,
        "sentence_tasks": task_of_row(data.sentence_counts),
        "pictures": data.pictures[torch.cat(rows)],
        "picture_tasks": task_of_row([len(own) for own in rows]),
    }
    return UnifiedPolicy(student.actor, student.goals, data.description, examples)


def train_student(
    config: DistillConfig,
    student: Student,
    data: DistillationDataset,
    output: Path,
    fingerprint: str,
    *,
    drawn: Sequence[int] | None = None,
    on_progress: Callable[[DistillProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> DistillResult:
    """Train the student for ``config.steps``, from where an interrupted call of the same ``fingerprint`` was.

    Every step draws its batch from (seed, step), of the tasks ``drawn`` (None: all), so that stopping changes nothing.
    ``output`` gets training/ (what resuming needs), progress.jsonl and log/. A taught student is on the CPU again.
    """
    began = time.monotonic()
    device = torch_device(config.device)
    student.to(device)
    optimizer = torch.optim.AdamW(student.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    training = output / "training"
    step = _resume(training, fingerprint, student, optimizer)
    log = output / LOG
    output.mkdir(parents=True, exist_ok=True)
    cut_back(log, step)
    losses: list[Tensor] = []
    loss = math.nan
    draw = partial(draw_batch, data, config, drawn=drawn, device=device.type)
    with SummaryWriter(str(output / "log"), purge_step=step) as board, Ahead(draw, device) as batches:
        while step < config.steps:
            if should_stop is not None and should_stop():
                _keep(training, fingerprint, step, student, optimizer)
                return DistillResult(False, step, loss)
            optimizer.param_groups[0]["lr"] = config.learning_rate * (1 + math.cos(math.pi * step / config.steps)) / 2
            imitation, alignment = student.losses(batches(step))
            optimizer.zero_grad()
            torch.autograd.backward(imitation + config.alignment * alignment)
            optimizer.step()
            step += 1
            losses.append(imitation.detach())
            if step % config.report_every == 0 or step == config.steps:
                loss, losses = float(np.mean([one.item() for one in losses])), []
                board.add_scalar("distill/imitation", loss, step)
                board.add_scalar("distill/alignment", alignment.item(), step)
                with log.open("a") as file:
                    line = {"step": step, "loss": loss, "alignment": alignment.item(), "device": device_name(device)}
                    file.write(json.dumps(line) + "\n")
                if on_progress is not None:
                    on_progress(DistillProgress(step, config.steps, loss, time.monotonic() - began))
            if step % config.save_every == 0 and step < config.steps:
                _keep(training, fingerprint, step, student, optimizer)
    student.cpu()
    return DistillResult(True, step, loss)
