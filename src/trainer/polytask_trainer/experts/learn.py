"""Learn an expert for one task from its demonstrations, from states or from pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium

from polytask_policy.description import Description
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.pixel_learner import PixelLearner
from polytask_trainer.experts.state_learner import Learner, LearnResult
from polytask_trainer.rollouts.episode import Demonstration


def learn_expert(
    config: LearnConfig,
    env_factory: Callable[[], gymnasium.Env[Any, Any]],
    demonstrations: Sequence[Demonstration],
    description: Description,
    output: Path | str,
    *,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LearnResult:
    """Learn the task of the environment and write the expert's run folder ``output``.

    The same call resumes from the last checkpoint, and gives the same expert as one that was never stopped.
    ``on_progress`` gets phase, step, total_steps, episode_reward and elapsed after every episode; ``should_stop`` is
    asked then too. With a ``pictures`` section the policy sees: demonstrations need their pictures, and ``env_factory``
    is called in other processes too, so it must be picklable. Raises FeatureError, ValueError (no or unfit
    demonstrations) and ResumeError.
    """
    kind = Learner if config.pictures is None else PixelLearner
    learner = kind(config, env_factory, demonstrations, description, Path(output), on_progress, should_stop)
    try:
        return learner.run()
    finally:
        learner.close()
