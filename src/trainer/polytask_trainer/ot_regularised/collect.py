"""Experience of several tasks at once: rounds of one horizon in all environments, and the memory of transitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_trainer.ot_regularised.sac import Batch


@dataclass(frozen=True)
class Round:
    """What happened in L steps of B environments: arrays (L, B, ...)."""

    states: NDArray[np.float32]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    next_states: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    """Terminated, or cut at the horizon."""
    success: NDArray[np.bool_]

    def episodes(self) -> Iterator[tuple[int, slice, bool]]:
        """Environment, steps, and whether it is whole, of each episode; an environment's last one may be cut off."""
        length, environments = self.ended.shape
        for environment in range(environments):
            begin = 0
            for end in [*(np.flatnonzero(self.ended[:, environment]) + 1).tolist(), length]:
                if end > begin:
                    yield environment, slice(begin, end), bool(self.ended[end - 1, environment])
                begin = end


def play(env: Any, act: Callable[[NDArray[np.float32]], NDArray[Any]], seeds: Sequence[int], steps: int) -> Round:
    """Play ``steps`` steps of a BatchEnv, or of :class:`Serial`, from starts ``seeds``."""
    rows = []
    state, _ = env.reset(seed=list(seeds))
    for _ in range(steps):
        action = act(state)
        after, reward, terminated, truncated, info = env.step(action)
        ended = terminated | truncated
        rows.append((state, action, reward.astype(np.float32), info["final_obs"], terminated, ended, info["success"]))
        state = after
    return Round(*(np.stack(part) for part in zip(*rows, strict=True)))


class Serial:
    """Environments of a suite without batches, stepped one after another with a batch's interface."""

    def __init__(self, envs: Sequence[gymnasium.Env[Any, Any]]) -> None:
        self.envs = envs
        self.single_action_space = envs[0].action_space
        self.state_names: tuple[str, ...] = envs[0].get_wrapper_attr("state_names")

    def reset(self, *, seed: Sequence[int]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start all, with a seed each."""
        states = [env.reset(seed=s)[0]["state"] for env, s in zip(self.envs, seed, strict=True)]
        return np.stack(states), {}

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[Any], Any, Any, dict[str, Any]]:
        """One step of all; what is cut begins anew, with random numbers that go on."""
        results = [env.step(action) for env, action in zip(self.envs, actions, strict=True)]
        final = np.stack([result[0]["state"] for result in results])
        rewards, terminated, truncated = (np.array([result[i] for result in results]) for i in (1, 2, 3))
        states = final.copy()
        for i in np.flatnonzero(terminated | truncated):
            states[i] = self.envs[i].reset()[0]["state"]
        info = {"success": np.array([bool(result[4]["success"]) for result in results]), "final_obs": final}
        return states, rewards, terminated, truncated, info

    def close(self) -> None:
        """Close all."""
        for env in self.envs:
            env.close()


class ReplayBuffer:
    """The latest transitions of each of M agents, as many of one as of another."""

    names = ("states", "actions", "rewards", "next_states", "terminated")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = self._next = 0
        self._arrays: dict[str, Tensor] = {}

    def add(self, **arrays: Tensor) -> None:
        """Take arrays (M, N, ...) called by ``names``, N transitions of each agent, in place of the oldest."""
        count = arrays["rewards"].shape[1]
        index = (self._next + torch.arange(count)) % self.capacity
        for name in self.names:
            values = arrays[name]
            if name not in self._arrays:
                self._arrays[name] = torch.zeros(len(values), self.capacity, *values.shape[2:], dtype=values.dtype)
            self._arrays[name][:, index] = values
        self._next = (self._next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``count`` transitions of each agent, drawn with replacement."""
        tasks = len(self._arrays["rewards"])
        index = torch.randint(self.size, (tasks, count), generator=generator)
        own = torch.arange(tasks).unsqueeze(1)
        return Batch(**{name: self._arrays[name][own, index] for name in self.names})

    def to_tensors(self) -> dict[str, Tensor]:
        """All that is needed to go on, for a checkpoint."""
        counts = {"size": torch.tensor(self.size), "next": torch.tensor(self._next)}
        return {**counts, **{name: values[:, : self.size].contiguous() for name, values in self._arrays.items()}}

    def from_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``to_tensors`` gave."""
        self.size, self._next = int(tensors.pop("size")), int(tensors.pop("next"))
        for name, values in tensors.items():
            self._arrays[name] = torch.zeros(len(values), self.capacity, *values.shape[2:], dtype=values.dtype)
            self._arrays[name][:, : self.size] = values
