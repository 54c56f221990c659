"""The online variant of lifelong learning (PolyTask, appendix D): the policy itself learns the new task by RL.

Its actor's loss is Eq. 1 at the new task's goal and, beside it, Eq. 2 on what it remembers of its earlier tasks. What
comes out is an ordinary run folder: the policy at the new goal as an expert, its replay and pictures; and in
``student/`` the whole networks, with which ``add_task`` begins in place of the policy's own. There the replay is
relabelled with the policy's own actions, and words and pictures of the new task are taught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

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
from polytask_trainer.agents.ddpg import DDPG
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.dataset import DistillError, SentenceEncoder, distillation_dataset
from polytask_trainer.distillation.memory import RehearsalMemory
from polytask_trainer.distillation.sampler import draw_batch
from polytask_trainer.distillation.student import STUDENT, Student
from polytask_trainer.experts.parts import Parts
from polytask_trainer.experts.states import in_process, new_replay, state_reward
from polytask_trainer.experts.training import Training
from polytask_trainer.lifelong.start import Chosen, chosen_once, clones, fitted_goals, trial
from polytask_trainer.replay.states import Batch

REHEARSAL = DistillConfig(batch=128, pictures=4)
"""Sampling of a memory batch at each update; few images, since they cost most."""
TRIALS = 8
"""Episodes on which each taught task's goal is tried as the new one's."""


class GoalActor(nn.Module):
    """The unified policy's networks as the actor of one task: they are asked by its name."""

    def __init__(self, student: Student, task: int) -> None:
        """``task`` is its row in the table of names."""
        super().__init__()
        self.state_size = self.seen_size = student.actor.state_size
        self.action_size = student.actor.action_size
        self.normaliser = student.actor.normaliser
        self.layers = _AtGoal(student, task)

    @property
    def student(self) -> Student:
        """The networks."""
        return self.layers.student

    def see(self, state: Tensor) -> Tensor:
        """Return the normalised state, float32 (..., n)."""
        normalised: Tensor = self.normaliser(state)
        return normalised

    def forward(self, state: Tensor) -> Tensor:
        """Return the mean action for each state."""
        return torch.tanh(self.layers(self.see(state)))

    def plain(self) -> Actor:
        """Return the perceptron that they are for this task."""
        return self.student.actor.at_goal(self.layers.goal())


class _AtGoal(nn.Module):
    def __init__(self, student: Student, task: int) -> None:
        super().__init__()
        self.student, self._task = student, torch.tensor([task])

    def goal(self) -> Tensor:
        """Return the vector (64,) of the task's name."""
        return self.student.goals.from_tasks(self._task)[0]

    def forward(self, seen: Tensor) -> Tensor:
        return self.student.actor.raw(seen, self.goal())


@dataclass(frozen=True)
class Online:
    """The policy's networks, the new task's name at the nearest goal, about to learn it whole."""

    training: Training
    actor: GoalActor
    policy: Path
    encode: SentenceEncoder
    fingerprint: str
    """Of the policy as it was when the training was begun."""

    def clone(self) -> GoalActor:
        """Clone the demonstrations, rehearsing meanwhile."""
        config = self.training.config
        return fit(self.actor, *pairs(self.training.demonstrations), config.cloning, config.seed, self._rehearse)

    def parts(self, actor: GoalActor) -> Parts[Batch, GoalActor]:
        """Return an agent that rehearses, its replay buffer, its reward and collector."""
        config = self.training.config
        generator = torch.Generator().manual_seed(config.seed)
        agent = DDPG(actor, pairs(self.training.demonstrations), config.agent, generator, self._rehearse)
        replay, reward = new_replay(self.training, actor), state_reward(self.training)
        return Parts(agent, replay, reward, in_process(self.training, agent.act), self._export)

    def _export(self, chosen: GoalActor) -> ExpertPolicy:
        """The policy at the new goal as an expert; the whole networks are written beside it."""
        meta = {"kind": STUDENT, "policy": self.fingerprint}
        save_checkpoint(self.training.output / STUDENT, chosen.student.state_dict(), meta)
        return ExpertPolicy(chosen.plain(), self.training.description)

    @cached_property
    def _rehearse(self) -> Callable[[torch.Generator], Tensor]:
        """Return Eq. 2 on the memory, with the alignment that keeps words and pictures at their tasks."""
        if load_checkpoint(self.policy)[1].get("fingerprint") != self.fingerprint:
            raise ResumeError(
                f"the policy in {self.policy} has learned something else since {self.training.output} was begun: "
                "choose another output folder, or delete this one to start afresh"
            )
        known = UnifiedPolicy.load(self.policy).description
        data = distillation_dataset(known, RehearsalMemory.load(self.policy).lessons, self.encode)
        # The error counts as a negative log likelihood under the same noise as the demonstrations' in Eq. 1.
        weight = data.actions.shape[1] / (2.0 * self.training.config.agent.bc_noise**2)

        def rehearse(generator: torch.Generator) -> Tensor:
            number = int(torch.randint(2**31, (), generator=generator))
            imitation, alignment = self.actor.student.losses(draw_batch(data, REHEARSAL, number))
            return weight * (imitation + REHEARSAL.alignment * alignment)

        return rehearse


def begin_online(training: Training, policy: Path, encode: SentenceEncoder) -> Online:
    """Begin with the policy in the folder ``policy``. Raises DistillError for a task that it knows already."""
    training, chosen = chosen_once(training, policy, lambda unified: _at_nearest_goal(training, unified, encode))
    sizes = (len(training.description.state_names), len(training.description.action_names))
    row = int(chosen.facts["row"])
    student = Student(GoalConditionedActor(*sizes, chosen.facts["hidden"]), GoalEncoder(EMBEDDING_SIZE, row + 1))
    student.load_state_dict(dict(chosen.tensors))
    return Online(training, GoalActor(student, row), policy, encode, chosen.facts["policy"])


def _at_nearest_goal(training: Training, unified: UnifiedPolicy, encode: SentenceEncoder) -> Chosen:
    """Put the new task's name at the fitted goal whose clone earns most."""
    goals = fitted_goals(training, unified, encode)
    [task] = training.description.tasks
    if task in unified.tasks:
        raise DistillError(f"'{task}' is taught already; learn it again by the offline variant")
    row = len(unified.tasks)
    try:
        unified.goals.teach(row + 1)
    except ValueError as error:
        raise DistillError(str(error)) from None
    reward = state_reward(training)

    def earned(actor: Actor) -> float:
        """Mean sum of an actor's rewards on some training starts."""
        return float(np.mean([reward(trial(training, actor, number)).sum() for number in range(TRIALS)]))

    matched = {name: earned(actor) for name, actor in clones(training, unified, goals).items()}
    best = max(matched, key=lambda name: matched[name])
    with torch.no_grad():
        unified.goals.task.weight[row] = goals[best]
    tensors = dict(Student(unified.actor, unified.goals).state_dict())
    return Chosen(tensors, {"goal": best, "matched": matched, "hidden": list(unified.actor.hidden), "row": row})
