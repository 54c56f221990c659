"""Play all environments for a while with the recurrent policy, and keep what an update needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask_trainer.auxdistill.losses import log_probability
from polytask_trainer.auxdistill.network import RecurrentPolicy


@dataclass
class Rollout:
    """T steps of B environments."""

    observation: Tensor
    """float32 (T, B, n)"""
    begins: Tensor
    """bool (T, B): the observation is the first of its episode."""
    action: Tensor
    """float32 (T, B, k)"""
    log_probability: Tensor
    """float32 (T, B), of the actions when they were taken."""
    value: Tensor
    """float32 (T, B), in units of reward."""
    reward: Tensor
    """float32 (T, B), with γ V(final observation) added where an episode was cut by its horizon."""
    ended: Tensor
    """bool (T, B)"""
    stage: Tensor
    """int64 (T, B), the oracle plan's stage of the observation; 0 where the suite has no oracle."""
    hidden: Tensor
    """float32 (B, hidden), before the first step."""
    last_value: Tensor
    """float32 (B,), of the observation after the last step."""


@dataclass
class Player:
    """Steps the environments on and on, from rollout to rollout.

    Args:
        env: a batch with automatic resets in the same step.
        task: int64 (B,), each environment's task by the policy's numbers.
        gamma: float32 (B,), its discount.
        generator: of the actions' noise.

    """

    env: Any
    task: Tensor
    gamma: Tensor
    generator: torch.Generator
    episodes: list[tuple[int, bool, float]] = field(default_factory=list)
    """Task, success and return of what has ended; taken and cleared by the caller."""

    def restart(self, policy: RecurrentPolicy, seed: int) -> None:
        """Begin new episodes everywhere, from start seeds ``seed`` on."""
        observation, info = self.env.reset(seed=seed)
        self._observation, self._stage = torch.from_numpy(observation), self._stages(info)
        self._begins = torch.ones(len(self.task), dtype=torch.bool)
        self._hidden = policy.start(len(self.task))
        self._returns = np.zeros(len(self.task))

    @torch.no_grad()
    def play(self, policy: RecurrentPolicy, steps: int) -> Rollout:
        """Take ``steps`` steps in each environment."""
        kept: dict[str, list[Tensor]] = {name: [] for name in Rollout.__annotations__}
        first, cut = self._hidden, []
        for time in range(steps):
            features, self._hidden = policy.features(self._observation[None], self._begins[None], self._hidden)
            mean, log_std = policy.action(features[0], self.task)
            noise = torch.randn(mean.shape, generator=self.generator)
            action = mean + log_std.exp() * noise
            value = policy.value.denormalise(policy.normalised_value(features[0], self.task), self.task)
            observation, reward, terminated, truncated, info = self.env.step(action.numpy())
            ended = terminated | truncated
            for name, entry in (
                ("observation", self._observation),
                ("begins", self._begins),
                ("action", action),
                ("log_probability", log_probability(action, mean, log_std)),
                ("value", value),
                ("reward", torch.from_numpy(reward.astype(np.float32))),
                ("ended", torch.from_numpy(ended)),
                ("stage", self._stage),
            ):
                kept[name].append(entry)
            if truncated.any():
                rows = torch.from_numpy(np.flatnonzero(truncated))
                cut.append((time, rows, torch.from_numpy(info["final_obs"])[rows], self._hidden[rows]))
            self._count(reward, terminated, ended, info)
            self._observation, self._begins = torch.from_numpy(observation), torch.from_numpy(ended)
            self._stage = self._stages(info)
        rollout = {name: torch.stack(entries) for name, entries in kept.items() if entries}
        for time, rows, final, hidden in cut:
            goes_on = self._value(policy, final, torch.zeros(len(rows), dtype=torch.bool), hidden, self.task[rows])
            rollout["reward"][time, rows] += self.gamma[rows] * goes_on
        last = self._value(policy, self._observation, self._begins, self._hidden, self.task)
        return Rollout(**rollout, hidden=first, last_value=last)

    def _value(
        self, policy: RecurrentPolicy, observation: Tensor, begins: Tensor, hidden: Tensor, task: Tensor
    ) -> Tensor:
        features, _ = policy.features(observation[None], begins[None], hidden)
        return policy.value.denormalise(policy.normalised_value(features[0], task), task)

    def _stages(self, info: dict[str, Any]) -> Tensor:
        stage = info.get("stage")
        return torch.zeros(len(self.task), dtype=torch.int64) if stage is None else torch.from_numpy(stage)

    def _count(self, reward: Any, terminated: Any, ended: Any, info: dict[str, Any]) -> None:
        self._returns += reward
        for index in np.flatnonzero(ended):
            done = (int(self.task[index]), bool(info["success"][index]), float(self._returns[index]))
            self.episodes.append(done)
        self._returns[ended] = 0.0
