"""What a unified policy offers to the training of a new task: goals fitted to its demonstrations, and clones there."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import GoalConditionedActor
from polytask_policy.networks import Actor
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.agents.bc import fit, pairs
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.distillation.dataset import SentenceEncoder, require_same_robot
from polytask_trainer.experts.training import Training
from polytask_trainer.rollouts.episode import training_rollout
from polytask_trainer.rollouts.evaluate import training_seed

START = "start"
WORDS = "its own words"
GOAL_STEPS, GOAL_RATE = 400, 0.03
"""Adam steps and learning rate for fitting a goal."""
CLONING_STEPS = 300
"""Cloning steps from a taught skill; as many as from scratch would erase it."""
FIRST_TRIAL = 99_000
"""First episode index used for trial rollouts; far above any index that training reaches."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What a training begins with: arrays, and JSON-able facts."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def chosen_once(training: Training, policy: Path, choose: Callable[[UnifiedPolicy], Chosen]) -> tuple[Training, Chosen]:
    """Choose what a training begins with, and keep it in its folder, with the policy's fingerprint as ``policy``.

    So a stopped training carries on whatever has become of the policy. It has a say in the training's identity.
    Raises DistillError for a policy of another robot.
    """
    folder = training.output / START
    if not has_checkpoint(folder):
        unified = UnifiedPolicy.load(policy)
        require_same_robot(unified.description, training.description, training.output, str(policy))
        chosen = choose(unified)
        origin = load_checkpoint(policy)[1].get("fingerprint")
        save_checkpoint(folder, dict(chosen.tensors), {"kind": START, "policy": origin, **chosen.facts})
    tensors, facts = load_checkpoint(folder, START)
    taken = [np.ascontiguousarray(tensors[name].numpy()).tobytes() for name in sorted(tensors)]
    identity = hashlib.sha256(b"".join([training.identity.encode(), *taken])).hexdigest()
    return dataclasses.replace(training, identity=identity), Chosen(tensors, facts)


def fitted_goals(training: Training, unified: UnifiedPolicy, encode: SentenceEncoder) -> dict[str, Tensor]:
    """Goals (64,) fitted to the demonstrations, from each taught task's and what the new task's sentences mean."""
    [task] = training.description.tasks
    vectors = torch.from_numpy(encode(list(training.description.instructions[task])))
    with torch.no_grad():
        words = unified.goals.from_sentences(functional.normalize(vectors.mean(0, keepdim=True), dim=-1))
        goals = torch.cat([unified.goals.prototypes(), words])
    names = (*unified.tasks, WORDS)
    shown = pairs(training.demonstrations)
    return {name: fitted_goal(unified.actor, goal, *shown) for name, goal in zip(names, goals, strict=True)}


def fitted_goal(
    actor: GoalConditionedActor, goal: Tensor, states: np.ndarray[Any, Any], actions: np.ndarray[Any, Any]
) -> Tensor:
    """Move a goal (64,) until the policy does ``actions`` (N, k) in ``states`` (N, n), as well as its networks allow.

    These 64 numbers mix what was taught, and one demonstration does not suffice to spoil them; all the weights it does.
    """
    x, y = torch.from_numpy(states), torch.from_numpy(actions)
    free = goal.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([free], GOAL_RATE)
    for _ in range(GOAL_STEPS):
        loss = functional.mse_loss(actor(x, functional.layer_norm(free, free.shape)), y)
        optimizer.zero_grad()
        loss.backward(inputs=[free])
        optimizer.step()
    return functional.layer_norm(free.detach(), free.shape)


def clones(training: Training, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> dict[str, Actor]:
    """Clone the demonstrations from the perceptron that the policy is at each goal."""
    config = training.config
    cloning = dataclasses.replace(config.cloning, steps=min(CLONING_STEPS, config.cloning.steps))
    shown = pairs(training.demonstrations)
    return {name: fit(unified.actor.at_goal(goal), *shown, cloning, config.seed) for name, goal in goals.items()}


def trial(training: Training, actor: Actor, number: int) -> Trajectory:
    """Roll an actor out from the start of the trial of that number."""
    act = ExpertPolicy(actor, training.description).act
    start = training_seed(training.config.seed, FIRST_TRIAL + number)
    return training_rollout(training.env, act, start, training.horizon, training.bounds)
