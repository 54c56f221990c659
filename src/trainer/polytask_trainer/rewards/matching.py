"""The reward of matching a demonstration by optimal transport (PolyTask Eqs. 3 to 5), no environment reward in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_trainer.rewards.sinkhorn import sinkhorn


@dataclass(frozen=True)
class MatchingConfig:
    """How a trajectory is matched with a demonstration; the defaults are what the ablation found best."""

    plan: Literal["transport", "nearest"] = "transport"
    """Optimal transport, or each frame to its nearest demonstration frame (ablation)."""
    features: Literal["relations", "absolute"] = "relations"
    """The task's declared relations, or the whole state (ablation)."""
    cost: Literal["euclidean", "cosine"] = "euclidean"
    """Cosine is the paper's, for learned features; relations measured in metres lose their size under it."""
    reward: Literal["exp", "cost"] = "exp"
    """exp(-matched cost), so scaled that a perfect episode sums to 10; or Eq. 5, the negative cost, so scaled that the
    first episode sums to -10 (the papers' reward scale factor)."""
    epsilon: float = 0.02
    """Entropic regularisation, in units of the cost (one feature scale)."""
    time_weight: float = 1.0
    """Weight of |i/T - j/T'| in the cost that finds the plan; not part of the reward."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.epsilon > 0.0 or not self.time_weight >= 0.0:
            raise ValueError("matching.epsilon must be positive and matching.time_weight not negative")


REWARD_SUM = 10.0
ACCURACY = 5e-3
"""Error of the plan's marginals, of a mass of 1. Rewards are then within 0.5 % of the largest of what an exact plan
gives, in hard cases 1.5 %; for that one Newton's steps take as long again."""

Episode = TypeVar("Episode")
"""Input of the features: a trajectory, or an array (T+1, ...). Entry 0 is the reset's."""


class MatchingReward(Generic[Episode]):
    """Rewards of a whole episode: how well it can be transported onto the demonstration that it matches best.

    A demonstration ends when its task is done, a training episode at its horizon; so the demonstration's last frame
    is held until that horizon, and arriving early and staying there is what matches.
    """

    def __init__(
        self,
        demonstrations: Sequence[Episode],
        features: Callable[[Episode], NDArray[np.float64]],
        horizon: int,
        config: MatchingConfig | None = None,
    ) -> None:
        """``features`` gives float64 (T+1, d) of an episode; ``horizon`` steps make a training episode."""
        self.config = config or MatchingConfig()
        self._demonstrations, self._horizon = demonstrations, horizon
        self.scale: float | None = None  # of the reward "cost"; set by the first episode, part of the training state
        self._match_on(features)

    def _match_on(self, features: Callable[[Episode], NDArray[np.float64]]) -> None:
        """Compare episodes by these features from now on."""
        self.features = features
        self._targets = [torch.from_numpy(_held(features(one)[1:], self._horizon)) for one in self._demonstrations]

    def __call__(self, episode: Episode) -> NDArray[np.float32]:
        """Rewards float32 (T,) for the T steps of an episode: entry t rewards arriving at t+1."""
        own = torch.from_numpy(self.features(episode)[1:])
        # Costs add up to the distance of the episode from a demonstration; the nearest demonstration counts.
        costs = min((self._costs(own, target) for target in self._targets), key=lambda c: float(c.sum()))
        if self.config.reward == "exp":
            return (REWARD_SUM / self._horizon * (-costs).exp()).to(torch.float32).numpy()
        if self.scale is None:
            self.scale = REWARD_SUM / max(float(costs.abs().sum()), 1e-6)
        return (-self.scale * costs).to(torch.float32).numpy()  # Eq. 5

    def arrival(self, episode: Episode) -> int:
        """The step in [1, T] at which an episode is nearest to where a demonstration ends."""
        own = torch.from_numpy(self.features(episode)[1:])
        ends = torch.stack([target[-1] for target in self._targets])
        return 1 + int(torch.cdist(own, ends).amin(1).argmin())

    def restore(self, scale: float | None) -> None:
        """Carry on a training whose reward had this ``scale``."""
        self.scale = scale

    def refresh(self, before: int, after: int) -> None:
        """Called when the agent has learned from its steps ``before`` to ``after``; fixed features stay as they are."""

    def _costs(self, own: Tensor, target: Tensor) -> Tensor:
        """Return the cost of each own frame's mass under the plan, float64 (T,) >= 0; T times Eq. 5 with its sign."""
        cost = _cost(own, target, self.config.cost)
        t = torch.arange(1, len(own) + 1, dtype=cost.dtype) / len(own)
        s = torch.arange(1, len(target) + 1, dtype=cost.dtype) / len(target)
        timed = cost + self.config.time_weight * (t.unsqueeze(1) - s).abs()
        if self.config.plan == "nearest":
            return cost.gather(1, timed.argmin(1, keepdim=True)).squeeze(1)
        return len(own) * (sinkhorn(timed, self.config.epsilon, tolerance=ACCURACY).plan * cost).sum(1)


def _cost(own: Tensor, target: Tensor, kind: str) -> Tensor:
    if kind == "cosine":
        return 1.0 - torch.nn.functional.normalize(own, dim=1) @ torch.nn.functional.normalize(target, dim=1).T
    # By products of matrices, which in float64 loses nothing that matters.
    return torch.cdist(own, target, compute_mode="use_mm_for_euclid_dist")


def _held(frames: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    missing = horizon - len(frames)
    return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)]) if missing > 0 else frames
