"""Matching states on what a task declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.rewards.features import absolute_features, parse_features
from polytask_trainer.rewards.matching import MatchingConfig, MatchingReward


def relation_matching(
    config: MatchingConfig, env: gymnasium.Env[Any, Any], demonstrations: Sequence[Trajectory], horizon: int
) -> MatchingReward[Trajectory]:
    """Return the reward on the features of the environment's task. Raises FeatureError where they do not fit."""
    names = env.get_wrapper_attr("state_names")
    if config.features == "absolute":
        of_states = absolute_features(names)
    else:
        task = env.get_wrapper_attr("tasks")[env.get_wrapper_attr("task")]
        of_states = parse_features(task.features, names)

    def features(episode: Trajectory) -> NDArray[np.float64]:
        return of_states(episode.states)

    return MatchingReward(demonstrations, features, horizon, config)
