"""Learn an expert from demonstrations and from a policy that does other tasks already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium

from polytask_policy.policy_spec import PolicySpec
from polytask_policy.text import TextEncoder
from polytask_trainer.distillation.dataset import SentenceEncoder
from polytask_trainer.experts import states
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.learn import LearnResult, learn
from polytask_trainer.experts.training import prepared
from polytask_trainer.lifelong.online import begin_online
from polytask_trainer.lifelong.warm_start import warm_start
from polytask_trainer.rollouts.episode import Demonstration


def learn_from(
    policy: Path,
    config: LearnConfig,
    env_factory: Callable[[], gymnasium.Env[Any, Any]],
    demonstrations: Sequence[Demonstration],
    description: PolicySpec,
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
    encode = encode or TextEncoder().encode
    with closing(env_factory()) as env:
        training = prepared(config, env, demonstrations, description, Path(output), on_progress, should_stop)
        if online:
            start = begin_online(training, policy, encode)
            return learn(start.training, start.clone, start.parts)
        training, warm = warm_start(training, policy, encode)
        return learn(
            training,
            lambda: states.clone(training, warm.imitated),
            lambda actor: states.state_parts(training, warm.imitated, actor),
            seed_episodes=warm.trials,
            imitated=warm.pairs_at,
        )
