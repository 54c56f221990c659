"""What Algorithm 1 is handed: an agent, its replay buffer, a reward and a collector of episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.expert import ExpertPolicy
from polytask_trainer.common.progress import Counters
from polytask_trainer.common.trajectory import Trajectory

Network = TypeVar("Network")
"""The actor's class."""
Batch = TypeVar("Batch")
"""What the replay buffer gives and the agent learns from."""
_Network_co = TypeVar("_Network_co", covariant=True)
_Network_contra = TypeVar("_Network_contra", contravariant=True)
_Batch_co = TypeVar("_Batch_co", covariant=True)
_Batch_contra = TypeVar("_Batch_contra", contravariant=True)


class Checkpointed(Protocol):
    """What the state of a training holds."""

    def to_tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        ...

    def from_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``to_tensors`` gave."""
        ...


class Agent(Checkpointed, Protocol[_Batch_contra, _Network_co]):
    """An actor-critic agent, see :class:`~polytask_trainer.agents.ddpg.DDPG`."""

    imitated: int
    """How many of the imitated state-action pairs the second term of Eq. 1 draws from, the first ones."""

    @property
    def generator(self) -> torch.Generator:
        """Where all its random numbers come from."""
        ...

    @property
    def average(self) -> _Network_co:
        """The averaged actor."""
        ...

    @property
    def best(self) -> _Network_co:
        """The averaged actor as it was at the last ``keep_best``."""
        ...

    def keep_best(self) -> None:
        """Remember the averaged actor as it is now."""
        ...

    def update(self, batch: _Batch_contra, train_actor: bool = True) -> Mapping[str, Any]:
        """One gradient step of the critics and, unless told otherwise, of the actor; returns losses for the log."""
        ...


class ReplayBuffer(Checkpointed, Protocol[_Batch_co]):
    """Whole episodes, sampled as transitions."""

    def add(self, states: NDArray[np.float32], actions: NDArray[np.float32], rewards: NDArray[np.float32]) -> None:
        """Add an episode: states (T+1, n), actions (T, k), rewards (T,)."""
        ...

    def sample(self, batch_size: int, generator: torch.Generator) -> _Batch_co:
        """Draw transitions."""
        ...

    def export(self) -> Mapping[str, NDArray[Any]]:
        """What distillation needs of it, as named arrays."""
        ...


class Reward(Protocol):
    """Rewards of whole episodes."""

    @property
    def scale(self) -> float | None:
        """A number that the state of a training has to hold, if there is one."""
        ...

    def restore(self, scale: float | None) -> None:
        """Carry on a training whose state held ``scale``; the agent is as it was then."""
        ...

    def __call__(self, episode: Trajectory) -> NDArray[np.float32]:
        """Rewards float32 (T,)."""
        ...

    def arrival(self, episode: Trajectory) -> int:
        """The step in [1, T] at which an episode is nearest to a demonstration's end."""
        ...

    def refresh(self, before: int, after: int) -> None:
        """Called when the agent has learned from its steps ``before`` to ``after``, to follow it where that is due."""
        ...


class Collector(Protocol[_Network_contra]):
    """Runs episodes in the environment."""

    def begin(self, counters: Counters) -> None:
        """Called once, before the first episode of this session, which is number ``counters.episode``."""
        ...

    def episode(self, number: int) -> Trajectory | None:
        """Run the training episode of that number, with exploration. None: stopped while waiting for it."""
        ...

    def learned(self, number: int) -> None:
        """Called when all updates after that episode are made: later episodes act with them."""
        ...

    def rollouts(self, actor: _Network_contra, starts: Sequence[int]) -> Iterator[Trajectory]:
        """Roll an actor out without noise from each of the start seeds, until it has to stop."""
        ...

    def speeds(self, counters: Counters) -> dict[str, float]:
        """Return figures about speed for the log."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True)
class Parts(Generic[Batch, Network]):
    """All of these, and how the policy is made of an actor in the end."""

    agent: Agent[Batch, Network]
    replay: ReplayBuffer[Batch]
    reward: Reward
    collector: Collector[Network]
    export: Callable[[Network], ExpertPolicy]
