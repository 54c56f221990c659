"""Behaviour cloning: the pre-training of an expert, and the control that reinforcement learning has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from polytask_policy.networks import Actor
from polytask_trainer.common.trajectory import Trajectory


@dataclass(frozen=True)
class CloningConfig:
    """Behaviour cloning by mean squared error."""

    steps: int = 1000
    learning_rate: float = 1e-3
    batch_size: int = 128

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("steps", "learning_rate", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"cloning.{name} must be positive, not {getattr(self, name)}")


def pairs(demonstrations: Sequence[Trajectory]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stack demonstrations into states (N, n) and actions (N, k)."""
    states = np.concatenate([one.states[: len(one.actions)] for one in demonstrations]).astype(np.float32)
    return states, np.concatenate([one.actions for one in demonstrations]).astype(np.float32)


def clone(
    states: NDArray[np.float32],
    actions: NDArray[np.float32],
    hidden: tuple[int, ...],
    scales: NDArray[np.float32],
    config: CloningConfig,
    seed: int,
) -> Actor:
    """Return an actor trained on states (N, n) and actions (N, k); the same arguments give the same actor.

    ``scales`` (n,) divide the centred state, see :func:`state_scales`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        actor = Actor(states.shape[1], actions.shape[1], hidden)
    actor.normaliser.set(torch.from_numpy(states).mean(0), torch.from_numpy(scales))
    return fit(actor, states, actions, config, seed)


Network = TypeVar("Network", bound=nn.Module)


def fit(
    actor: Network,
    states: NDArray[np.float32],
    actions: NDArray[np.float32],
    config: CloningConfig,
    seed: int,
    rehearse: Callable[[torch.Generator], torch.Tensor] | None = None,
) -> Network:
    """Train ``actor`` in place on states (N, n) and actions (N, k), and return it.

    ``rehearse`` gives a loss to add at each step: of what must not be forgotten meanwhile.
    """
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(states), torch.from_numpy(actions)
    optimizer = torch.optim.Adam(actor.parameters(), lr=config.learning_rate, fused=True)
    for _ in range(config.steps):
        index = torch.randint(len(x), (config.batch_size,), generator=generator)
        loss = (actor(x[index]) - y[index]).square().sum(1).mean()
        if rehearse is not None:
            loss = loss + rehearse(generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return actor
