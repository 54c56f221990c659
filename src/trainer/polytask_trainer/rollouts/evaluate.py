"""Success rates on starts never trained on, with confidence intervals.

Start seeds are kept apart by range: demonstrations below 10,000, evaluation from 10,000 up to 999,999, training from
1,000,000 (:func:`training_seed`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_policy.policy_spec import PolicySpec
from polytask_policy.view import View
from polytask_trainer.rollouts.episode import Policy, rollout

EVALUATION_SEEDS = 10_000
TRAINING_SEEDS = 1_000_000
_EPISODES_PER_RUN = 100_000


def evaluation_seeds(count: int, first: int = 0) -> range:
    """Start seeds of ``count`` evaluation episodes, from the ``first`` on."""
    return range(EVALUATION_SEEDS + first, EVALUATION_SEEDS + first + count)


def training_seed(run_seed: int, episode: int) -> int:
    """Start seed of a training episode: other runs have others, and evaluation has none of them."""
    return TRAINING_SEEDS + run_seed * _EPISODES_PER_RUN + episode


@dataclass(frozen=True)
class Evaluation:
    """Outcomes of evaluation episodes, in the order of their seeds."""

    seeds: tuple[int, ...]
    successes: tuple[bool, ...]
    lengths: tuple[int, ...]
    """Steps until success, or all steps of a failure."""
    returns: tuple[float, ...]
    """Sums of the environment's reward."""

    @classmethod
    def joined(cls, parts: Sequence[Evaluation]) -> Evaluation:
        """The episodes of all parts, one after another."""
        return cls(*(sum((getattr(part, entry.name) for part in parts), ()) for entry in fields(cls)))

    @property
    def rate(self) -> float:
        """Share of successes."""
        return sum(self.successes) / len(self.successes)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the success rate."""
        return wilson(sum(self.successes), len(self.successes))

    def to_json(self) -> dict[str, Any]:
        """Figures as JSON-able values."""
        low, high = self.interval
        return {
            "episodes": len(self.seeds),
            "first_seed": self.seeds[0],
            "success": self.rate,
            "low": low,
            "high": high,
            "mean_length": float(np.mean(self.lengths)),
            "failed_seeds": [s for s, ok in zip(self.seeds, self.successes, strict=True) if not ok],
        }


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % Wilson score interval of a proportion; (0, 1) without trials."""
    from scipy.stats import binomtest  # slow to import

    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def evaluate(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    seeds: Sequence[int],
    horizon: int | None = None,
    on_episode: Callable[[int, bool], None] | None = None,
) -> Evaluation:
    """Run one episode per seed, each until success or ``horizon`` steps (None: the environment's truncation).

    ``on_episode(index, success)`` is called after each. Raises ValueError without seeds.
    """
    if not seeds:
        raise ValueError("evaluate: there are no seeds")
    episodes = []
    for index, seed in enumerate(seeds):
        episodes.append(rollout(env, policy, int(seed), horizon, until_success=True))
        if on_episode is not None:
            on_episode(index, episodes[-1].success)
    return Evaluation(
        tuple(map(int, seeds)),
        tuple(one.success for one in episodes),
        tuple(len(one.actions) for one in episodes),
        tuple(float(one.rewards.sum(dtype=np.float64)) for one in episodes),
    )


def in_episode(
    act: Callable[..., NDArray[np.float32]], description: PolicySpec, env: gymnasium.Env[Any, Any]
) -> Policy:
    """Return for one episode a policy of the environment's state; one that sees is shown the environment's camera.

    ``act`` takes what a :class:`View` of the policy's ``description`` gives.
    """
    view = View(description, env.get_wrapper_attr("state_names"))
    if description.pictures is None:
        return lambda state: act(view(state)[0])
    return lambda state: act(*view(state, np.asarray(env.render(), dtype=np.uint8)))


def random_policy(action_size: int, seed: int = 0) -> Policy:
    """Uniform random actions: a control for tasks that succeed by chance."""
    rng = np.random.default_rng(seed)
    return lambda _: rng.uniform(-1.0, 1.0, action_size).astype(np.float32)
