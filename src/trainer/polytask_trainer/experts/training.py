"""A training as it is given: settings, environment, demonstrations, and the folder that it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.common.progress import ProgressLog
from polytask_trainer.common.scales import state_scales, units
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts.checkpoint import fingerprint
from polytask_trainer.experts.cloning import checked
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.rollouts.episode import Bounds, Demonstration

REACH = 50.0
"""Scales (5 m, 25 m/s, 25 rad) from the demonstrations' mean beyond which a state is a broken simulation's."""


@dataclass(frozen=True)
class Training:
    """What is fixed before the first step."""

    config: LearnConfig
    env: gymnasium.Env[Any, Any]
    demonstrations: Sequence[Trajectory]
    """With the whole state, and without images."""
    description: PolicySpec
    """Of the robot's whole state, and the task."""
    output: Path
    horizon: int
    """Steps of a training episode."""
    bounds: Bounds
    """Of sound states."""
    identity: str
    """Fingerprint of all that has a say in the expert: what a stopped training is recognised by."""
    log: ProgressLog
    should_stop: Callable[[], bool]

    @property
    def state(self) -> Path:
        """Folder of the resumable state."""
        return self.output / "training"


def prepared(
    config: LearnConfig,
    env: gymnasium.Env[Any, Any],
    demonstrations: Sequence[Demonstration],
    description: PolicySpec,
    output: Path,
    on_progress: Callable[[dict[str, Any]], None] | None,
    should_stop: Callable[[], bool] | None,
) -> Training:
    """Check what ``learn_expert`` was given. Raises ValueError for unfit demonstrations."""
    shown = checked(demonstrations, env)
    steps = round(config.horizon_factor * max(len(one.actions) for one in shown)) + config.horizon_extra
    centre = np.concatenate([one.states for one in shown]).mean(axis=0)
    arrays = [array for one in shown for array in (one.states, one.actions)]
    return Training(
        config=config,
        env=env,
        demonstrations=shown,
        description=description,
        output=output,
        horizon=min(steps, env.get_wrapper_attr("horizon")),
        bounds=Bounds(centre, REACH * state_scales(units(description))),
        identity=fingerprint(config, description.tasks[0], arrays),
        log=ProgressLog(output, config.steps, on_progress),
        should_stop=should_stop or (lambda: False),
    )
