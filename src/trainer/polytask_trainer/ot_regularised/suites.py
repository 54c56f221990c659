"""A learner for tasks of a suite, and what of it can be served: an expert for each task with continuous actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.ot_regularised.collect import Serial
from polytask_trainer.ot_regularised.config import TasksConfig
from polytask_trainer.ot_regularised.learn import See, TasksLearner
from polytask_trainer.rewards.features import parse_features


def make_learner(config: TasksConfig, suite: str, tasks: Sequence[str]) -> TasksLearner:
    """Make the learner of ``tasks`` of a suite.

    What agents see: cells of a maze, of other suites the state over the scales of its units. Raises SuiteError,
    ValueError and FeatureError for what does not fit.
    """
    from polytask_suites import BATCHED, load_suite, make_batch, make_env
    from polytask_suites.maze.env import SIZE, cells

    known = [load_suite(suite).task(task) for task in tasks]
    if bool(config.sac.hidden) == (suite == "maze"):
        raise ValueError(
            "mazes are learned in tables, without hidden layers, and other suites with some: see sac.hidden"
        )
    names = [task for _ in range(config.repetitions) for task in tasks for _ in range(config.environments)]
    env: Any = make_batch(suite, names) if suite in BATCHED else Serial([make_env(suite, name) for name in names])
    see: tuple[See, int] = (cells, SIZE * SIZE) if suite == "maze" else _normalised(suite)
    features = [parse_features(task.features, env.state_names) for task in known]
    return TasksLearner(config, env, tasks, max(task.horizon for task in known), see, features)


def _normalised(suite: str) -> tuple[See, int]:
    scales = suite_scales(suite)
    return lambda states: states / scales, len(scales)


def suite_scales(suite: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Scales float32 (n,) of a suite's state, by the units in its embodiment file."""
    from polytask_robot_io.embodiment import Embodiment
    from polytask_suites import EMBODIMENTS
    from polytask_trainer.common.scales import state_scales

    return state_scales([entry.unit for entry in Embodiment.load(EMBODIMENTS[suite]).state])


def expert(learner: TasksLearner, index: int, description: PolicySpec) -> ExpertPolicy:
    """Agent ``index`` of a learner with continuous actions, by its mean, as an expert that can be distilled and served.

    ``description`` is of the agent's task. Raises ValueError for discrete actions.
    """
    if learner.discrete:
        raise ValueError(f"agents of {description.suite} choose among moves; an expert gives values in [-1, 1]")
    stack: Any = learner.agents.policy.layers
    size = len(description.action_names)
    hidden = learner.config.sac.hidden
    actor = Actor(len(description.state_names), size, hidden)
    actor.normaliser.set(torch.zeros(actor.state_size), torch.from_numpy(suite_scales(description.suite)))
    linear = [layer for layer in actor.layers if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, weight, bias in zip(linear, stack.weights, stack.biases, strict=True):
            layer.weight.copy_(weight[index].T[: layer.out_features])
            layer.bias.copy_(bias[index, 0, : layer.out_features])
    return ExpertPolicy(actor, description)
