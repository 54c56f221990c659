"""The proxy reward: how close a trajectory's state-action pairs lie to another task's, by optimal transport.

Two trajectories are two clouds of T points with mass 1/T each. With the entropic plan P between them under ground cost
C, point i's share of the transport is

    s_i = sum_j P_ij C_ij,        sum_i s_i = the transport's cost,

and its proxy reward, to be added to the environment's (the paper's Eq. 9),

    r_i = sigma exp(-beta s_i T)                    in (0, sigma), in floating point [0, sigma].

What agents learn from is r_i - sigma, which is never positive: were it, an agent that wanders about for ever could earn
more than the goal's reward, and arriving would end that. Between trajectories that never end it makes no difference.

s_i T is the mean distance over which the mass of point i travels (P's row sums to 1/T), so that beta is in units of
the cost alone, whatever the length. The reward falls as s_i grows. Where the paper is quoted as maximising s_i to
reduce the transport's cost, that can only be meant of the reward; a test holds that coming closer pays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_trainer.ot_regularised.config import TransportConfig
from polytask_trainer.rewards.sinkhorn import sinkhorn

Points = NDArray[np.float64]


def ground_cost(own: Tensor, other: Tensor, kind: str) -> Tensor:
    """Costs (B, T, T') between points (B, T, d) and (B, T', d)."""
    distance = torch.cdist(own, other, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.square() if kind == "squared" else distance


def shares(own: Tensor, other: Tensor, config: TransportConfig) -> Tensor:
    """T s_i, float64 (B, T), for trajectories (B, T, d) transported to (B, T', d); all as one batch."""
    cost = ground_cost(own, other, config.cost)
    plan = sinkhorn(cost, config.epsilon, tolerance=1e-4).plan
    return own.shape[1] * (plan * cost).sum(2)


def proxy_rewards(own: Tensor, other: Tensor, config: TransportConfig) -> Tensor:
    """Eq. 9: float64 (B, T) in [0, sigma]: sigma where a point stays, 0 where the exponential underflows."""
    return config.sigma * (-config.beta * shares(own, other, config)).exp()


def pair_points(states: Points, actions: NDArray[np.generic], kinds: int, weight: float) -> Points:
    """Points float64 (T, d + k) of states' features (T, d) and actions, int64 (T,) of ``kinds`` or float32 (T, k).

    Two discrete actions that differ are ``weight`` apart, and so are two continuous ones of -1 and 1 in every entry.
    """
    if np.issubdtype(actions.dtype, np.integer):
        coded = np.eye(kinds)[actions] * (weight / np.sqrt(2.0))
    else:
        coded = actions.astype(np.float64) * (0.5 * weight / np.sqrt(actions.shape[1]))
    return np.concatenate([states, coded], axis=1)


def places(steps: int, points: int) -> NDArray[np.int64]:
    """Which step each of ``points`` evenly spaced points of a trajectory of ``steps`` is, int64 (points,)."""
    found: NDArray[np.int64] = np.rint(np.linspace(0, steps - 1, points)).astype(np.int64)
    return found


class Pool:
    """The latest trajectories of M agents, as points float64 (P, d), with which others of a group are paired."""

    def __init__(self, agents: int, group: int, size: int, config: TransportConfig) -> None:
        """``size`` is d; each ``group`` agents, one after another, are paired among themselves."""
        self.config, self._group = config, group
        self.points = torch.zeros(agents, config.pool, config.points, size, dtype=torch.float64)
        self.weights = torch.zeros(agents, config.pool, dtype=torch.float64)
        """How likely each is drawn."""
        self.counts = torch.zeros(agents, dtype=torch.int64)

    def add(self, agent: int, points: Points, earned: float) -> None:
        """Take a trajectory's points (P, d), which has ``earned`` this return, in place of the agent's oldest."""
        place = int(self.counts[agent]) % self.config.pool
        self.points[agent, place] = torch.from_numpy(points)
        self.weights[agent, place] = max(earned, 0.0) if self.config.pairing == "return" else 1.0
        self.counts[agent] += 1

    def draw(self, agents: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A trajectory (B, P, d) of another of the group for each of ``agents`` (B,), and whether there is one."""
        own = torch.arange(len(self.counts)) % self._group == agents.unsqueeze(1) % self._group
        same = torch.arange(len(self.counts)) // self._group == agents.unsqueeze(1) // self._group
        weights = ((same & ~own).unsqueeze(2) * self.weights).flatten(1)  # (B, agents * pool)
        there = weights.sum(1) > 0.0
        drawn = torch.multinomial(weights + ~there.unsqueeze(1), 1, generator=generator).squeeze(1)
        return self.points.flatten(0, 1)[drawn], there

    def rewards(self, agents: Sequence[int], points: Sequence[Points], generator: torch.Generator) -> Tensor:
        """Proxy rewards (B, P) of trajectories of ``agents``, sigma where there is no other to be paired with.

        "similar" pairing takes the best of several partners.
        """
        count = self.config.candidates if self.config.pairing == "similar" else 1
        own = torch.from_numpy(np.stack(points)).repeat_interleave(count, 0)
        other, there = self.draw(torch.tensor(agents).repeat_interleave(count), generator)
        found = torch.full(own.shape[:2], self.config.sigma, dtype=torch.float64)
        if there.any():
            found[there] = proxy_rewards(own[there], other[there], self.config)
        found = found.unflatten(0, (len(agents), count))
        best = found.sum(2).argmax(1)
        kept: Tensor = found[torch.arange(len(agents)), best]
        return kept
