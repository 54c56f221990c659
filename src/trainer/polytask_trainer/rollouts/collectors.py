"""Who runs the episodes of a training: this process, or actor processes beside the learner."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.pixel_networks import PixelActor
from polytask_trainer.agents.ddpg import ActorNetwork
from polytask_trainer.agents.drqv2 import DrQv2
from polytask_trainer.common.progress import Counters
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.rollouts.actor_processes import Actors, EpisodeRequest
from polytask_trainer.rollouts.episode import Bounds, training_rollout
from polytask_trainer.rollouts.evaluate import training_seed

Noise = Callable[[int], float]
"""Standard deviation of the exploration in the training episode of that number."""
Act = Callable[[NDArray[np.float32], float], NDArray[np.float32]]
"""The agent's action float32 (k,) for a state float32 (n,), with noise of that standard deviation."""


class StateCollector:
    """Runs episodes of a state-based policy in this process, each with the weights as they are."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        act: Act,
        noise: Noise,
        seed: int,
        horizon: int,
        bounds: Bounds,
        should_stop: Callable[[], bool],
    ) -> None:
        """``seed`` is the run's; ``should_stop`` is asked between the rollouts of a finished policy."""
        self._env, self._act, self._noise, self._seed = env, act, noise, seed
        self._horizon, self._bounds, self._should_stop = horizon, bounds, should_stop

    def begin(self, counters: Counters) -> None:
        """Nothing runs ahead."""

    def episode(self, number: int) -> Trajectory | None:
        """Run the training episode of that number."""
        noise = self._noise(number)
        return self._run(lambda state: self._act(state, noise), training_seed(self._seed, number))

    def learned(self, number: int) -> None:
        """The next episode acts with the weights anyway."""

    def rollouts(self, actor: ActorNetwork, starts: Sequence[int]) -> Iterator[Trajectory]:
        """Roll an actor out without noise from each of the start seeds, until it has to stop."""

        def act(state: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                action: NDArray[np.float32] = actor(torch.from_numpy(state)).numpy()
            return action

        for start in starts:
            if self._should_stop():
                return
            yield self._run(act, start)

    def speeds(self, counters: Counters) -> dict[str, float]:
        """Nothing runs side by side, so the log's times say it all."""
        return {}

    def close(self) -> None:
        """Nothing to end: the environment is the caller's."""

    def _run(self, policy: Callable[[NDArray[np.float32]], NDArray[np.float32]], start: int) -> Trajectory:
        return training_rollout(self._env, policy, start, self._horizon, self._bounds)


class PixelCollector:
    """Requests episodes of an image-based policy from actor processes, ``lag`` ahead, and collects them in order.

    Episode ``e`` acts with the weights after the updates of episode ``e - lag``, see
    :mod:`polytask_trainer.rollouts.actor_processes`. Its frames lie in slot ``e % ring`` of the store. Slots beyond the
    ring are for rollouts of finished policies, which no replay keeps.
    """

    def __init__(
        self,
        actors: Actors,
        store: FrameStore,
        ring: int,
        agent: DrQv2,
        noise: Noise,
        seed: int,
        should_stop: Callable[[], bool],
    ) -> None:
        """``seed`` is the run's; ``should_stop`` is asked while an episode is waited for."""
        self._actors, self._store, self._ring, self._agent = actors, store, ring, agent
        self._noise, self._seed, self._should_stop = noise, seed, should_stop
        self._lag = actors.count + 1
        self._began, self._waited, self._before = time.monotonic(), 0.0, Counters()

    def begin(self, counters: Counters) -> None:
        """Request the episodes for which there are weights already."""
        # While updates are pending, the last of these waits for the weights after them.
        for number in range(counters.episode, counters.episode + self._lag - bool(counters.pending_updates)):
            self._request(number)
        self._began, self._before = time.monotonic(), replace(counters)

    def episode(self, number: int) -> Trajectory | None:
        """Wait for the training episode of that number. None: stopped while waiting."""
        return self._collect(number % self._ring)

    def learned(self, number: int) -> None:
        """The updates of an episode are made: publish the weights, and request the episode that acts with them."""
        self._agent.publish(number)
        self._request(number + self._lag)

    def rollouts(self, actor: PixelActor, starts: Sequence[int]) -> Iterator[Trajectory]:
        """Roll an actor out without noise from each of the start seeds, until it has to stop."""
        while self._actors.outstanding:  # requested for a training that is over
            if self._actors.collect(self._should_stop) is None:
                return
        for index in range(self._lag):
            self._agent.publish(index, actor)
        for index in range(-self._lag, len(starts)):
            if self._should_stop():
                return
            if index >= 0:
                episode = self._collect(self._ring + index % self._lag)
                if episode is None:
                    return
                yield episode
            if (ahead := index + self._lag) < len(starts):
                snapshot = ahead % self._lag
                self._actors.request(EpisodeRequest(snapshot, 0.0, starts[ahead], self._ring + snapshot))

    def speeds(self, counters: Counters) -> dict[str, float]:
        """Per second of this session; the shares are of the time that learner and actors were at work."""
        seconds = time.monotonic() - self._began
        before = self._before
        return {
            "updates_per_s": (counters.updates - before.updates) / seconds,
            "frames_per_s": (counters.step - before.step + counters.episode - before.episode) / seconds,
            "learner_busy": 1.0 - self._waited / seconds,
            "actors_busy": min(1.0, self._actors.busy / seconds / self._actors.count),
        }

    def close(self) -> None:
        """End the processes."""
        self._actors.close()

    def _request(self, number: int) -> None:
        """Ask for a training episode, with the weights that were published for it."""
        start = training_seed(self._seed, number)
        self._actors.request(EpisodeRequest(number % self._lag, self._noise(number), start, number % self._ring))

    def _collect(self, slot: int) -> Trajectory | None:
        begun = time.monotonic()
        episode = self._actors.collect(self._should_stop)
        self._waited += time.monotonic() - begun
        if episode is None:
            return None
        frames = self._store.read(slot * self._store.length + np.arange(len(episode.states)))
        return replace(episode, images=frames)
