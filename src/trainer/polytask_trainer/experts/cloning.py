"""From demonstrations to a cloned policy: checks, input scales from the embodiment's units, cloning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.agents.bc import clone, pairs
from polytask_trainer.common.scales import state_scales, units
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.rollouts.episode import Demonstration


def clone_expert(config: LearnConfig, demonstrations: Sequence[Demonstration], description: PolicySpec) -> ExpertPolicy:
    """Return the policy cloned from the demonstrations, without RL: where learning starts, and its control (BC-n)."""
    data = [Trajectory(demonstration.state, demonstration.action) for demonstration in demonstrations]
    return ExpertPolicy(clone_actor(config, data, description), description)


def clone_actor(config: LearnConfig, data: Sequence[Trajectory], description: PolicySpec) -> Actor:
    """Return the actor cloned from ``data``; the configuration's seed and the data alone decide on it."""
    scales = state_scales(units(description))
    return clone(*pairs(data), config.agent.hidden, scales, config.cloning, config.seed)


def checked(demonstrations: Sequence[Demonstration], env: gymnasium.Env[Any, Any]) -> list[Trajectory]:
    """Return each demonstration without its images, refusing what does not fit the environment."""
    if not demonstrations:
        raise ValueError("there is no demonstration to learn from: record at least one of this task")
    state_size, action_size = len(env.get_wrapper_attr("state_names")), env.action_space.shape[0]  # type: ignore[index]
    for index, demonstration in enumerate(demonstrations):
        steps = len(demonstration.action)
        wanted = ((steps + 1, state_size), (steps, action_size))
        if steps == 0 or (demonstration.state.shape, demonstration.action.shape) != wanted:
            raise ValueError(
                f"demonstration {index} has states {demonstration.state.shape} and actions "
                f"{demonstration.action.shape}; this environment needs (T+1, {state_size}) and (T, {action_size})"
            )
        if not (np.isfinite(demonstration.state).all() and np.isfinite(demonstration.action).all()):
            raise ValueError(f"demonstration {index} has values that are not finite")
    return [Trajectory(d.state.astype(np.float32), d.action.astype(np.float32)) for d in demonstrations]
