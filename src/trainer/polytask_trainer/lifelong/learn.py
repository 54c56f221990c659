"""Learn an expert from demonstrations and from a policy that does other tasks already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium

from polytask_policy.description import Description
from polytask_policy.text import TextEncoder
from polytask_trainer.distillation.dataset import SentenceEncoder
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.state_learner import LearnResult
from polytask_trainer.lifelong.online import OnlineLearner
from polytask_trainer.lifelong.warm_start import FromPolicy, WarmLearner
from polytask_trainer.rollouts.episode import Demonstration


def learn_from(
    policy: Path,
    config: LearnConfig,
    env_factory: Callable[[], gymnasium.Env[Any, Any]],
    demonstrations: Sequence[Demonstration],
    description: Description,
    output: Path | str,
    *,
    online: bool = False,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    encode: SentenceEncoder | None = None,
) -> LearnResult:
    """Learn an expert as ``learn_expert`` does, beginning with the unified policy in the folder ``policy``.

    ``online``: the policy itself learns the task and rehearses its earlier ones, see
    :mod:`polytask_trainer.lifelong.online`. The actor is of the policy's size. Raises CheckpointError and DistillError
    for a policy that does not fit, besides what ``learn_expert`` raises.
    """
    if config.pictures is not None:
        raise ValueError("a policy of states cannot be the start of one that sees: leave out the warm start")
    kind: type[FromPolicy] = OnlineLearner if online else WarmLearner
    encode = encode or TextEncoder().encode
    learner = kind(
        policy, encode, config, env_factory, demonstrations, description, Path(output), on_progress, should_stop
    )
    try:
        return learner.run()
    finally:
        learner.close()
