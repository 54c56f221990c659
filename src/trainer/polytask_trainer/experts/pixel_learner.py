"""Learn an expert that sees: the training of ``learn.py`` with frames, actor processes, and DrQ-v2."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_policy.description import Description
from polytask_policy.expert import ExpertPolicy
from polytask_policy.pixel_networks import PixelActor
from polytask_trainer.agents.drqv2 import DrQv2
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.auxiliary.replay import SteppedReplay
from polytask_trainer.common.device import device_name
from polytask_trainer.common.files import write_npz
from polytask_trainer.common.progress import Counters
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.pixel_cloning import CLONING, Kept, clone_pixel_actor, seeing, seen_pairs, watched
from polytask_trainer.experts.state_learner import Learner
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import PixelReplay
from polytask_trainer.rewards.encoded import EncodedFeatures, Watched
from polytask_trainer.rewards.matching import MatchingReward
from polytask_trainer.rollouts.actor_processes import Actors, Order, Stage
from polytask_trainer.rollouts.episode import Demonstration, Rollout
from polytask_trainer.rollouts.evaluate import training_seed

MARGIN = 64
"""Episodes of room in the ring of frames, see PixelReplay; at most about as many lie between two saved states."""


@dataclass(frozen=True)
class SeenRollout(Rollout):
    """An episode with its frames uint8 (T+1, 3, size, size); its states are the entries that the policy takes."""

    frames: NDArray[np.uint8]


class PixelLearner(Learner):
    """Learning from pictures."""

    def __init__(
        self,
        config: LearnConfig,
        env_factory: Callable[[], gymnasium.Env[Any, Any]],
        demonstrations: Sequence[Demonstration],
        description: Description,
        *rest: Any,
    ) -> None:
        """See ``learn_expert``; ``description`` is that of the robot's whole state."""
        super().__init__(config, env_factory, demonstrations, description, *rest)
        assert config.pictures is not None
        self.pictures: PictureConfig = config.pictures
        self.seen = seeing(description, config.pictures)
        columns = self.seen.columns(description.state_names)
        self._watched = [watched(one, self.seen, columns) for one in demonstrations]
        self._lag = config.pictures.actors + 1
        # Episodes shorter than the horizon are rare: those that a broken simulation cut.
        steps = config.pictures.capacity or config.steps + self.horizon
        self._ring = math.ceil(steps / self.horizon) + MARGIN
        # Beyond the ring, room for trials of finished policies, which are not kept.
        frames = (self.output / "frames.u8", self._ring + self._lag, self.horizon + 1, config.pictures.size)
        self.output.mkdir(parents=True, exist_ok=True)
        self._store, self._store_shape = FrameStore(*frames), frames
        self.longest_unsaved = MARGIN - self._lag
        self._actors: Actors | None = None
        self._began, self._waited, self._before = time.monotonic(), 0.0, Counters()

    def close(self) -> None:
        """Free the environment and end the actor processes."""
        if self._actors is not None:
            self._actors.close()
        super().close()

    def _begin(self) -> tuple[DrQv2, PixelReplay] | None:
        config, stack = self.config, self.pictures.stack
        shown = seen_pairs(
            [(one, actions) for one, (_, actions) in zip(self._watched, self._demonstrations, strict=True)], stack
        )
        kept = Kept(self.training / CLONING, self.identity, self.should_stop)
        actor = clone_pixel_actor(config, shown, self.seen, kept)
        if actor is None:
            return None
        agent = DrQv2(actor, shown, config.agent, self.pictures, config.seed)
        self.log.device = device_name(agent.device)
        self._match(agent)
        sizes = (actor.state_size, actor.action_size)
        kind = SteppedReplay if self.pictures.auxiliary else PixelReplay
        returns = (config.agent.n_step, config.agent.gamma)
        replay = kind(self._store, self._ring, MARGIN, sizes, stack, *returns, agent.device)
        stage = Stage(
            self.env_factory, self.seen, agent.acting, self._store_shape, self.horizon, (self._centre, self._reach)
        )
        self._actors = Actors(stage, self.pictures.actors)
        return agent, replay

    def _match(self, agent: DrQv2) -> None:
        """Match episodes on the target encoder's features as they are now."""
        if self.config.reward == "environment":
            return
        scale = self.matching.scale if self.matching else None
        features = EncodedFeatures(agent.watcher, self._watched)
        self.matching = MatchingReward(self._watched, features, self.horizon, self.config.matching)
        self.matching.scale = scale

    def _resume(self, agent: DrQv2, counters: Counters) -> None:
        self._match(agent)
        # While updates are owed, the last of these waits for the weights after them.
        for number in range(counters.episode, counters.episode + self._lag - bool(counters.owed)):
            self._order(number)
        self._began, self._before = time.monotonic(), Counters(counters.step, counters.episode, counters.updates)

    def _order(self, number: int) -> None:
        """Ask for a training episode, with the weights that were published for it."""
        assert self._actors is not None
        start = training_seed(self.config.seed, number)
        self._actors.order(Order(number % self._lag, self._noise(number), start, number % self._ring))

    def _collect(self, slot: int) -> SeenRollout | None:
        assert self._actors is not None
        begun = time.monotonic()
        episode = self._actors.collect(self.should_stop)
        self._waited += time.monotonic() - begun
        if episode is None:
            return None
        frames = self._store.read(slot * self._store.length + np.arange(len(episode.states)))
        return SeenRollout(episode.states, episode.actions, episode.rewards, episode.success, frames)

    def _run(self, agent: DrQv2, number: int) -> Rollout | None:
        return self._collect(number % self._ring)

    def _ended(self, agent: DrQv2, counters: Counters) -> None:
        super()._ended(agent, counters)
        every = self.pictures.target_every
        if counters.step // every > (counters.step - counters.length) // every:
            agent.refresh_watcher()
            self._match(agent)
        agent.publish(counters.episode - 1)
        self._order(counters.episode - 1 + self._lag)

    def _speeds(self, counters: Counters) -> dict[str, float]:
        """Per second of this sitting; the shares are of the time that learner and actors were at work."""
        assert self._actors is not None
        seconds = time.monotonic() - self._began
        return {
            "updates_per_s": (counters.updates - self._before.updates) / seconds,
            "frames_per_s": (counters.step - self._before.step + counters.episode - self._before.episode) / seconds,
            "learner_busy": 1.0 - self._waited / seconds,
            "actors_busy": min(1.0, self._actors.busy / seconds / self.pictures.actors),
        }

    def _trajectory(self, episode: Rollout) -> Any:
        assert isinstance(episode, SeenRollout)
        return Watched(episode.states, episode.frames)

    def _policy(self, actor: PixelActor) -> ExpertPolicy:
        return ExpertPolicy(actor.cpu(), self.seen)

    def _write_replay(self, replay: PixelReplay) -> None:
        write_npz(self.output / "replay.npz", **replay.export())

    def _rollouts(self, agent: DrQv2, actor: PixelActor, starts: Sequence[int]) -> Iterator[Rollout]:
        assert self._actors is not None
        while self._actors.outstanding:  # ordered for a training that is over
            if self._actors.collect(self.should_stop) is None:
                return
        for index in range(self._lag):
            agent.publish(index, actor)
        for index in range(-self._lag, len(starts)):
            if self.should_stop():
                return
            if index >= 0:
                episode = self._collect(self._ring + index % self._lag)
                if episode is None:
                    return
                yield episode
            if (ahead := index + self._lag) < len(starts):
                self._actors.order(Order(ahead % self._lag, 0.0, starts[ahead], self._ring + ahead % self._lag))
