"""Algorithm 1 from images: DrQ-v2, frames on disk, episodes in actor processes, a reward on the target encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium

from polytask_policy.expert import ExpertPolicy
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.agents.drqv2 import DrQv2
from polytask_trainer.auxiliary.replay import SteppedReplay
from polytask_trainer.common.device import device_name
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts.parts import Parts, Reward
from polytask_trainer.experts.pixel_cloning import (
    CLONING,
    Kept,
    clone_pixel_actor,
    image_trajectory,
    seeing,
    seen_pairs,
)
from polytask_trainer.experts.training import Training
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import PixelBatch, PixelReplay
from polytask_trainer.rewards.encoded import EncodedFeatures
from polytask_trainer.rewards.environment import EnvironmentReward
from polytask_trainer.rewards.matching import MatchingConfig, MatchingReward
from polytask_trainer.rollouts.actor_processes import Actors, WorkerSpec
from polytask_trainer.rollouts.collectors import PixelCollector
from polytask_trainer.rollouts.episode import Demonstration

MARGIN = 64
"""Episodes of room in the ring of frames, see PixelReplay; at most about as many lie between two saved states."""


class EncodedReward(MatchingReward[Trajectory]):
    """The matching reward on the features of the agent's target encoder."""

    def __init__(
        self,
        agent: DrQv2,
        demonstrations: Sequence[Trajectory],
        horizon: int,
        config: MatchingConfig,
        target_every: int,
    ) -> None:
        """``target_every``: agent steps after which the target encoder becomes what the encoder is then."""
        self._agent, self._target_every = agent, target_every
        super().__init__(demonstrations, EncodedFeatures(agent.target_encoder, demonstrations), horizon, config)

    def restore(self, scale: float | None) -> None:
        """Carry on with the target encoder that was loaded."""
        super().restore(scale)
        self._encode()

    def refresh(self, before: int, after: int) -> None:
        """Refresh the target encoder where that many steps are made."""
        if after // self._target_every > before // self._target_every:
            self._agent.refresh_target_encoder()
            self._encode()

    def _encode(self) -> None:
        self._match_on(EncodedFeatures(self._agent.target_encoder, self._demonstrations))


class FromImages:
    """What a training from images has beside its settings: the frames of its demonstrations and of its episodes."""

    def __init__(
        self,
        training: Training,
        env_factory: Callable[[], gymnasium.Env[Any, Any]],
        demonstrations: Sequence[Demonstration],
    ) -> None:
        """``env_factory`` must be picklable. Raises ValueError for demonstrations without images."""
        config = training.config
        assert config.pictures is not None
        self._training, self._env_factory, self._pictures = training, env_factory, config.pictures
        self.description: PolicySpec = seeing(training.description, config.pictures)
        columns = self.description.columns(training.description.state_names)
        self.demonstrations = [image_trajectory(one, self.description, columns) for one in demonstrations]
        self._pairs = seen_pairs(self.demonstrations, config.pictures.stack)
        # Episodes shorter than the horizon are rare: those that a broken simulation cut.
        steps = config.pictures.capacity or config.steps + training.horizon
        self._ring = math.ceil(steps / training.horizon) + MARGIN
        self._lag = config.pictures.actors + 1
        self.most_unsaved = MARGIN - self._lag
        """Episodes after which the state is saved, however little time has passed: the ring holds no more."""

    def clone(self) -> PixelActor | None:
        """Return the actor cloned from the demonstrations. None: stopped before."""
        training = self._training
        kept = Kept(training.state / CLONING, training.identity, training.should_stop)
        return clone_pixel_actor(training.config, self._pairs, self.description, kept)

    def parts(self, actor: PixelActor) -> Parts[PixelBatch, PixelActor]:
        """Return agent, replay buffer, reward and collector, whose processes are started."""
        training, config, pictures = self._training, self._training.config, self._pictures
        agent = DrQv2(actor, self._pairs, config.agent, pictures, config.seed)
        training.log.device = device_name(agent.device)
        # Beyond the ring, room for rollouts of finished policies, which are not kept.
        frames = (training.output / "frames.u8", self._ring + self._lag, training.horizon + 1, pictures.size)
        training.output.mkdir(parents=True, exist_ok=True)
        store = FrameStore(*frames)
        kind = SteppedReplay if pictures.auxiliary else PixelReplay
        sizes, returns = (actor.state_size, actor.action_size), (config.agent.n_step, config.agent.gamma)
        replay = kind(store, self._ring, MARGIN, sizes, pictures.stack, *returns, agent.device)
        reward: Reward = EnvironmentReward(config.environment_reward_scale)
        if config.reward == "ot":
            reward = EncodedReward(agent, self.demonstrations, training.horizon, config.matching, pictures.target_every)
        spec = WorkerSpec(
            self._env_factory, self.description, agent.actor_snapshots, frames, training.horizon, training.bounds
        )
        actors = Actors(spec, pictures.actors)
        collector = PixelCollector(actors, store, self._ring, agent, config.noise, config.seed, training.should_stop)
        return Parts(agent, replay, reward, collector, self._export)

    def _export(self, chosen: PixelActor) -> ExpertPolicy:
        return ExpertPolicy(chosen.cpu(), self.description)
