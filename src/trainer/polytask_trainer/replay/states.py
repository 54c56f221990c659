"""Replay buffer: preallocated arrays, n-step returns worked out once when an episode is added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """n-step transitions: states (B, n), actions (B, k), returns (B,), discounts (B,) of the bootstrap, next states.

    All float32. A discount is gamma to the number of steps that the return covers.
    """

    state: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    next_state: Tensor


class Replay:
    """Whole episodes, sampled as n-step transitions (the first terms of PolyTask Eq. 8).

    Episodes end by truncation only, so the last transitions of an episode cover fewer than n steps and bootstrap from
    its final state; nothing is ever treated as terminal.
    """

    def __init__(self, capacity: int, state_size: int, action_size: int, n_step: int, gamma: float) -> None:
        """``capacity`` counts agent steps; a full buffer refuses more."""
        self.n_step, self.gamma = n_step, gamma
        self.size = 0
        self._sizes = (state_size, state_size, action_size, 1, 1)
        self._rows = torch.zeros(capacity, sum(self._sizes))  # a transition each, so that one is read in one place
        parts = self._rows.split(self._sizes, dim=1)
        self._states, self._next_states, self._actions = parts[:3]
        self._rewards, self._discounts = parts[3][:, 0], parts[4][:, 0]

    @property
    def capacity(self) -> int:
        """Agent steps that fit."""
        return len(self._rewards)

    def add(self, states: NDArray[np.float32], actions: NDArray[np.float32], rewards: NDArray[np.float32]) -> None:
        """Add an episode: states (T+1, n), actions (T, k), rewards (T,). Raises ValueError when it does not fit."""
        steps = len(actions)
        if len(states) != steps + 1 or len(rewards) != steps:
            raise ValueError(f"an episode of {steps} actions has {len(states)} states and {len(rewards)} rewards")
        if self.size + steps > self.capacity:
            raise ValueError(f"replay is full: {self.size} of {self.capacity} steps, {steps} more do not fit")
        returns = np.zeros(steps, dtype=np.float32)
        for i in range(self.n_step):
            returns[: steps - i] += self.gamma**i * rewards[i:]
        ends = np.minimum(np.arange(steps) + self.n_step, steps)
        new = slice(self.size, self.size + steps)
        self._states[new] = torch.from_numpy(states[:-1])
        self._next_states[new] = torch.from_numpy(states[ends])
        self._actions[new] = torch.from_numpy(actions)
        self._rewards[new] = torch.from_numpy(returns)
        self._discounts[new] = torch.from_numpy(self.gamma ** (ends - np.arange(steps)).astype(np.float32))
        self.size += steps

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw ``batch_size`` transitions uniformly, with replacement."""
        index = torch.randint(self.size, (batch_size,), generator=generator)
        state, next_state, action, reward, discount = self._rows.index_select(0, index).split(self._sizes, dim=1)
        return Batch(state, action, reward[:, 0], discount[:, 0], next_state)

    def export(self) -> dict[str, NDArray[np.float32]]:
        """What distillation needs: all visited ``states`` float32 (N, n), one per step."""
        return {"states": self._states[: self.size].numpy()}

    def to_tensors(self) -> dict[str, Tensor]:
        """The filled part, for a checkpoint."""
        names = ("states", "next_states", "actions", "rewards", "discounts")
        return {name: getattr(self, f"_{name}")[: self.size] for name in names}

    def from_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``to_tensors`` gave."""
        self.size = len(tensors["rewards"])
        for name, values in tensors.items():
            getattr(self, f"_{name}")[: self.size] = values
