"""Ask the recurrent policy to do a task, from fresh starts, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_trainer.auxdistill.network import RecurrentPolicy


@dataclass(frozen=True)
class Trials:
    """Episodes side by side, one in each environment."""

    success: NDArray[np.bool_]
    length: NDArray[np.int64]
    stage: NDArray[np.int64]
    """The farthest stage of the oracle plan that was met; 0 where the suite has none."""


@torch.no_grad()
def trials(
    policy: RecurrentPolicy,
    number: int,
    task: str,
    env_factory: Callable[[Sequence[str]], Any],
    count: int,
    first: int,
    *,
    by_mean: bool = False,
) -> Trials:
    """``count`` episodes of ``task``, which is ``number`` to the policy, from start seeds ``first`` on.

    Actions are drawn from the policy, since it is that policy, with its chances, which PPO improves; ``by_mean``: they
    are its means, as what is taught to a student.
    """
    env, generator = env_factory([task] * count), torch.Generator().manual_seed(first)
    observation, info = env.reset(seed=first)
    hidden, begins = policy.start(count), torch.ones(count, dtype=torch.bool)
    tasks = torch.full((count,), number)
    running, success, length = np.ones(count, bool), np.zeros(count, bool), np.zeros(count, np.int64)
    farthest = np.array(info.get("stage", np.zeros(count, np.int64)))
    while running.any():
        features, hidden = policy.features(torch.from_numpy(observation)[None], begins[None], hidden)
        begins = torch.zeros(count, dtype=torch.bool)
        action, log_std = policy.action(features[0], tasks)
        if not by_mean:
            action = action + log_std.exp() * torch.randn(action.shape, generator=generator)
        observation, _, terminated, truncated, info = env.step(action.numpy())
        length += running
        success |= running & info["success"]
        if "final_stage" in info:
            farthest = np.where(running, np.maximum(farthest, info["final_stage"]), farthest)
        running &= ~(terminated | truncated)
    env.close()
    return Trials(success, length, farthest)
