"""Algorithm 1 from states: a perceptron, a replay buffer in memory, episodes in this process."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_trainer.agents.bc import pairs
from polytask_trainer.agents.ddpg import ActorNetwork
from polytask_trainer.agents.written_out import WrittenOut
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts.cloning import clone_actor
from polytask_trainer.experts.parts import Parts, Reward
from polytask_trainer.experts.training import Training
from polytask_trainer.replay.states import Batch, Replay
from polytask_trainer.rewards.environment import EnvironmentReward
from polytask_trainer.rewards.relations import relation_matching
from polytask_trainer.rollouts.collectors import Act, StateCollector


def clone(training: Training, imitated: Sequence[Trajectory]) -> Actor:
    """Return the actor cloned from what is imitated."""
    return clone_actor(training.config, imitated, training.description)


def state_parts(training: Training, imitated: Sequence[Trajectory], actor: Actor) -> Parts[Batch, Actor]:
    """Return agent, replay buffer, reward and collector; ``imitated`` holds the actor in Eq. 1."""
    generator = torch.Generator().manual_seed(training.config.seed)
    agent = WrittenOut(actor, pairs(imitated), training.config.agent, generator)

    def export(chosen: Actor) -> ExpertPolicy:
        return ExpertPolicy(chosen, training.description)

    return Parts(agent, new_replay(training, actor), state_reward(training), in_process(training, agent.act), export)


def state_reward(training: Training) -> Reward:
    """The reward that the settings ask for. Raises FeatureError."""
    config = training.config
    if config.reward == "environment":
        return EnvironmentReward(config.environment_reward_scale)
    return relation_matching(config.matching, training.env, training.demonstrations, training.horizon)


def new_replay(training: Training, actor: ActorNetwork) -> Replay:
    """An empty replay buffer for all steps of a training."""
    config, sizes = training.config, (actor.state_size, actor.action_size)
    return Replay(config.steps + training.horizon, *sizes, config.agent.n_step, config.agent.gamma)


def in_process(training: Training, act: Act) -> StateCollector:
    """The collector of a training from states."""
    return StateCollector(
        training.env,
        act,
        training.config.noise,
        training.config.seed,
        training.horizon,
        training.bounds,
        training.should_stop,
    )
