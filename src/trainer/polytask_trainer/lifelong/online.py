"""The online variant of lifelong learning (PolyTask, appendix D): the policy itself learns the new task by RL.

Its actor's loss is Eq. 1 at the new task's goal and, beside it, Eq. 2 on what it remembers of its earlier tasks. What
comes out is an ordinary run folder: the policy at the new goal as an expert, its replay and pictures; and in
``student/`` the whole networks, with which ``add_task`` begins in place of the policy's own. There the replay is
relabelled with the policy's own actions, and words and pictures of the new task are taught.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polytask_policy.checkpoint import load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.networks import Actor
from polytask_policy.text import EMBEDDING_SIZE
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.agents.bc import fit, pairs
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.dataset import DistillError, SentenceEncoder, distillation_dataset
from polytask_trainer.distillation.memory import RehearsalMemory
from polytask_trainer.distillation.sampler import draw_batch
from polytask_trainer.distillation.student import STUDENT, Student
from polytask_trainer.lifelong.warm_start import FIRST_TRIAL, FromPolicy

REHEARSAL = DistillConfig(batch=128, pictures=4)
"""Sampling of a memory batch at each update; few images, since they cost most."""


TRIALS = 8
"""Episodes on which each taught task's goal is tried as the new one's."""


class AskedActor(Actor):
    """The unified policy's networks as the actor of one task: they are asked by its name."""

    def __init__(self, student: Student, task: int) -> None:
        """``task`` is its row in the table of names."""
        nn.Module.__init__(self)
        self.state_size = self.seen_size = student.actor.state_size
        self.action_size = student.actor.action_size
        self.hidden = student.actor.hidden
        self.normaliser = student.actor.normaliser
        self.layers = _Asked(student, task)  # type: ignore[assignment]

    @property
    def student(self) -> Student:
        """The networks."""
        asked = self.layers
        assert isinstance(asked, _Asked)
        return asked.student

    def plain(self) -> Actor:
        """Return the perceptron that they are for this task."""
        asked = self.layers
        assert isinstance(asked, _Asked)
        return self.student.actor.at_goal(asked.goal())


class _Asked(nn.Module):
    def __init__(self, student: Student, task: int) -> None:
        super().__init__()
        self.student, self._task = student, torch.tensor([task])

    def goal(self) -> Tensor:
        """Return the vector (64,) of the task's name."""
        return self.student.goals.from_tasks(self._task)[0]

    def forward(self, seen: Tensor) -> Tensor:
        return self.student.actor.raw(seen, self.goal())


class OnlineLearner(FromPolicy):
    """Begins with the policy's networks, the new task's name at the nearest goal, and keeps them whole."""

    actor: AskedActor

    def __init__(self, policy: Path, encode: SentenceEncoder, *arguments: Any) -> None:
        """Check and prepare; see :func:`polytask_trainer.lifelong.learn.learn_from`."""
        super().__init__(policy, encode, *arguments)
        self._policy_folder, self._encode = policy, encode

    def _choose(self, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        [task] = self.description.tasks
        if task in unified.tasks:
            raise DistillError(f"'{task}' is taught already; learn it again by the offline variant")
        row = len(unified.tasks)
        try:
            unified.goals.teach(row + 1)
        except ValueError as error:
            raise DistillError(str(error)) from None
        self.matching = self._matching_reward()
        matched = {name: self._earned(actor) for name, actor in self._clones(unified, goals).items()}
        best = max(matched, key=lambda name: matched[name])
        with torch.no_grad():
            unified.goals.task.weight[row] = goals[best]
        tensors = dict(Student(unified.actor, unified.goals).state_dict())
        return tensors, {"goal": best, "matched": matched, "hidden": list(unified.actor.hidden), "row": row}

    def _earned(self, actor: Actor) -> float:
        """Mean sum of an actor's rewards on some training starts."""
        return float(np.mean([self._rewards(self._try(actor, FIRST_TRIAL + i)).sum() for i in range(TRIALS)]))

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        sizes = (len(self.description.state_names), len(self.description.action_names))
        row = int(self.started["row"])
        student = Student(GoalConditionedActor(*sizes, self.started["hidden"]), GoalEncoder(EMBEDDING_SIZE, row + 1))
        student.load_state_dict(tensors)
        self.actor = AskedActor(student, row)

    def _clone(self) -> tuple[Actor, Callable[[torch.Generator], Tensor]]:
        rehearse = self._rehearsal()
        config = self.config
        return fit(self.actor, *pairs(self._demonstrations), config.cloning, config.seed, rehearse), rehearse

    def _rehearsal(self) -> Callable[[torch.Generator], Tensor]:
        """Return Eq. 2 on the memory, with the alignment that keeps words and pictures at their tasks."""
        if load_checkpoint(self._policy_folder)[1].get("fingerprint") != self.started["policy"]:
            raise ResumeError(
                f"the policy in {self._policy_folder} has learned something else since {self.output} was begun: "
                "choose another output folder, or delete this one to start afresh"
            )
        known = UnifiedPolicy.load(self._policy_folder).description
        data = distillation_dataset(known, RehearsalMemory.load(self._policy_folder).lessons, self._encode)
        # The error counts as a negative log likelihood under the same noise as the demonstrations' in Eq. 1.
        weight = data.actions.shape[1] / (2.0 * self.config.agent.bc_noise**2)

        def rehearse(generator: torch.Generator) -> Tensor:
            number = int(torch.randint(2**31, (), generator=generator))
            imitation, alignment = self.actor.student.losses(draw_batch(data, REHEARSAL, number))
            return weight * (imitation + REHEARSAL.alignment * alignment)

        return rehearse

    def _policy(self, actor: AskedActor) -> ExpertPolicy:
        meta = {"kind": STUDENT, "policy": self.started["policy"]}
        save_checkpoint(self.output / STUDENT, actor.student.state_dict(), meta)
        return ExpertPolicy(actor.plain(), self.description)
