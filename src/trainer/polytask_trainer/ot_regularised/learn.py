"""Learn several tasks at once: rounds of experience, proxy rewards for it, updates; resumable between rounds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.common.optimizer_state import load_moments, moments, under
from polytask_trainer.common.progress import TasksLog
from polytask_trainer.ot_regularised.collect import ReplayBuffer, Round, play
from polytask_trainer.ot_regularised.config import TasksConfig
from polytask_trainer.ot_regularised.proxy import Pool, pair_points, places
from polytask_trainer.ot_regularised.sac import Sac
from polytask_trainer.rollouts.evaluate import training_seed

KIND = "tasks-training"

See = Callable[[NDArray[np.float32]], NDArray[Any]]
"""What agents see of states float32 (..., n): the same normalised, or cells int64 (...)."""
Features = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Features float64 (T, d) of states float32 (T, n): what the ground cost compares."""


class TasksLearner:
    """The agents of several tasks, and all that their learning depends on."""

    def __init__(
        self,
        config: TasksConfig,
        env: Any,
        tasks: Sequence[str],
        horizon: int,
        see: tuple[See, int],
        features: Sequence[Features],
    ) -> None:
        """``env`` has ``config.environments`` environments of each task, the first task's first, ``repetitions`` times.

        ``see`` also says how large a state is, or how many cells there are; ``features`` has each task's. Raises
        ValueError.
        """
        if config.method != "separate" and len(tasks) < 2:
            raise ValueError(f"method {config.method} shares between tasks: name at least two, or take 'separate'")
        self.config, self.env, self.tasks, self.horizon = config, env, tuple(tasks), horizon
        (self._see, size), self._features = see, features
        self.generator = torch.Generator().manual_seed(config.seed)
        space = env.single_action_space
        self.discrete = isinstance(space, spaces.Discrete)
        self._actions = int(space.n) if isinstance(space, spaces.Discrete) else int(space.shape[0])
        self._count = config.repetitions * len(tasks)
        self.agents = Sac(
            self._count,
            (size, self._actions),
            self.discrete,
            config.sac,
            self.generator,
            group=len(tasks),
            share=config.distral_share if config.method == "distral" else 0.0,
        )
        self.memory = ReplayBuffer(config.replay)
        self.pool: Pool | None = None
        self.rounds = self._owed = 0
        self.curve: list[dict[str, Any]] = []

    @property
    def step(self) -> int:
        """Environment steps of each task so far."""
        return self.rounds * self.horizon * self.config.environments

    def close(self) -> None:
        """Close the environments."""
        self.env.close()

    def play(self) -> Round:
        """Play a round, from starts that belong to it; learns nothing."""
        count = self._count * self.config.environments
        seeds = [training_seed(self.config.seed, self.rounds * count + i) for i in range(count)]
        return play(self.env, self._act, seeds, self.horizon)

    def round(self) -> Round:
        """Play a round, remember it with its proxy rewards, update; gives it."""
        played = self.play()
        rewards = played.rewards - np.float32(self.config.step_cost)
        if self.config.method == "ot_regularised":
            rewards = rewards + self.proxy(played) - np.float32(self.config.transport.sigma)
        self.memory.add(
            states=self._by_agent(self._see(played.states)),
            actions=self._by_agent(played.actions),
            rewards=self._by_agent(rewards),
            next_states=self._by_agent(self._see(played.next_states)),
            terminated=self._by_agent(played.terminated),
        )
        self.rounds += 1
        for _ in range(round(self.step * self.config.updates_per_step) - self._owed):
            self.agents.update(self.memory.sample(self.config.sac.batch_size, self.generator))
            self._owed += 1
        self.curve.append({"step": self.step, **self._outcome(played)})
        return played

    def _act(self, states: NDArray[np.float32]) -> NDArray[Any]:
        seen = self._see(states)
        actions = self.agents.act(seen.reshape(self._count, self.config.environments, *seen.shape[1:]))
        return actions.reshape(len(states), *actions.shape[2:])

    def _by_agent(self, values: NDArray[Any]) -> Tensor:
        """Arrays (L, B, ...) as tensors (M, L * environments, ...)."""
        split = values.reshape(self.horizon, self._count, self.config.environments, *values.shape[2:])
        joined = np.moveaxis(split, 1, 0).reshape(self._count, -1, *values.shape[2:])
        return torch.from_numpy(np.ascontiguousarray(joined))

    def _outcome(self, played: Round) -> dict[str, list[list[float]]]:
        """Mean return and success (repetitions, tasks) of the environments' first episodes, which are always whole."""
        first: NDArray[np.bool_] = np.cumsum(played.ended, axis=0) - played.ended == 0
        sums = {"return": (played.rewards * first).sum(0), "success": (played.success & first).any(0)}
        shape = (self.config.repetitions, len(self.tasks), self.config.environments)
        return {name: values.reshape(shape).mean(2).round(4).tolist() for name, values in sums.items()}

    def ended(self) -> dict[str, tuple[int, int, float]]:
        """By task, of the last round's first episodes: their number, of successes, and the sum of returns."""
        count, last = self.config.repetitions * self.config.environments, self.curve[-1]
        success, total = (count * np.mean(last[name], axis=0) for name in ("success", "return"))
        return {task: (count, round(success[i]), float(total[i])) for i, task in enumerate(self.tasks)}

    def proxy(self, played: Round) -> NDArray[np.float32]:
        """Proxy rewards float32 (L, B): every episode is paired with a whole one of another task, this round's too.

        They are sigma where there is nothing to be paired with, so that nobody pays for being unlike it.
        """
        config = self.config.transport
        agents, points, where = [], [], []
        for environment, steps, whole in played.episodes():
            agent = environment // self.config.environments
            states = self._features[agent % len(self.tasks)](played.states[steps, environment])
            pairs = pair_points(states, played.actions[steps, environment], self._actions, config.action_weight)
            agents.append(agent)
            points.append(pairs[places(len(pairs), config.points)])
            where.append((environment, steps))
            if self.pool is None:
                self.pool = Pool(self._count, len(self.tasks), pairs.shape[1], config)
            if whole:
                self.pool.add(agent, points[-1], float(played.rewards[steps, environment].sum()))
        assert self.pool is not None
        found = self.pool.rewards(agents, points, self.generator).numpy()
        rewards = np.zeros(played.rewards.shape, np.float32)
        for row, (environment, steps) in zip(found, where, strict=True):
            rewards[steps, environment] = row[places(config.points, steps.stop - steps.start)]
        return rewards

    def identity(self) -> str:
        """What a resumed training has to agree in."""
        settings = dataclasses.asdict(self.config)
        del settings["checkpoint_seconds"]
        return hashlib.sha256(json.dumps([settings, self.tasks, self.horizon]).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write everything that the next round depends on."""
        tensors = {"generator": self.generator.get_state(), "log_alpha": self.agents.log_alpha.detach()}
        for name in ("policy", "critics", "target", "prior"):
            if (network := getattr(self.agents, name)) is not None:
                tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        for name, optimizer in self.agents.optimizers.items():
            tensors |= {f"optimizer.{name}.{key}": value for key, value in moments(optimizer).items()}
        tensors |= {f"memory.{key}": value for key, value in self.memory.to_tensors().items()}
        if self.pool is not None:
            tensors |= {"pool.points": self.pool.points, "pool.weights": self.pool.weights}
            tensors["pool.counts"] = self.pool.counts
        meta = {"kind": KIND, "identity": self.identity(), "rounds": self.rounds, "updates": self._owed}
        save_checkpoint(folder, tensors, {**meta, "curve": self.curve})

    def load(self, folder: Path) -> bool:
        """Take over what ``save`` wrote; False where there is nothing. Raises ResumeError."""
        if not has_checkpoint(folder):
            return False
        tensors, meta = load_checkpoint(folder, KIND)
        if meta["identity"] != self.identity():
            raise ResumeError(f"{folder} holds a training with other tasks or settings: choose another folder")
        self.generator.set_state(tensors["generator"])
        self.agents.log_alpha.data.copy_(tensors["log_alpha"])
        for name in ("policy", "critics", "target", "prior"):
            if (network := getattr(self.agents, name)) is not None:
                network.load_state_dict(under(tensors, name))
        for name, optimizer in self.agents.optimizers.items():
            load_moments(optimizer, under(tensors, f"optimizer.{name}"))
        self.memory.from_tensors(under(tensors, "memory"))
        if "pool.points" in tensors:
            self.pool = Pool(self._count, len(self.tasks), tensors["pool.points"].shape[-1], self.config.transport)
            for name in ("points", "weights", "counts"):
                setattr(self.pool, name, tensors[f"pool.{name}"])
        self.rounds, self._owed, self.curve = meta["rounds"], meta["updates"], meta["curve"]
        return True


def learn_tasks(
    learner: TasksLearner,
    folder: Path,
    *,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> bool:
    """Learn until ``config.steps``; False when it was stopped, and the same call carries on from there.

    ``folder`` gets the resumable state and the log, a line for each round.
    """
    config, saved = learner.config, time.monotonic()
    learner.load(folder)
    with closing(TasksLog(folder, config.method, (learner.step, config.steps), learner.tasks, on_progress)) as log:
        while learner.step < config.steps:
            if should_stop is not None and should_stop():
                learner.save(folder)
                return False
            learner.round()
            log.update(learner.step, learner.ended(), {})
            if time.monotonic() - saved > config.checkpoint_seconds or learner.step >= config.steps:
                learner.save(folder)
                saved = time.monotonic()
    return True
