"""Learn an expert for one task from its demonstrations: clone, then improve by demonstration-guided RL (Algorithm 1).

The environment's success signal is written to the log for people to look at; nothing that is learned, and no choice
of what is kept, depends on it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint
from polytask_policy.description import Description
from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_trainer.agents.bc import pairs, state_scales
from polytask_trainer.agents.ddpg import DDPG
from polytask_trainer.cloning import checked, clone_actor, units
from polytask_trainer.config import LearnConfig
from polytask_trainer.episodes import Demonstration, Rollout, rollout, sound_part
from polytask_trainer.evaluate import Policy, training_seed
from polytask_trainer.progress import ProgressLog
from polytask_trainer.replay import Replay
from polytask_trainer.rewards.matching import MatchingReward
from polytask_trainer.rewards.relations import relation_matching
from polytask_trainer.training_state import Counters, fingerprint, load_training, save_training
from polytask_trainer.trials import Matched, goal_pictures, mean_total, write_npz

REACH = 50.0
"""Scales (5 m, 25 m/s, 25 rad) from the demonstrations' mean beyond which a state is a broken simulation's."""


@dataclass(frozen=True)
class LearnResult:
    """Outcome: ``finished`` is False when it was stopped, and the same call carries on from there."""

    finished: bool
    steps: int
    seconds: float
    """Time of all sittings."""


class Learner:
    """Learning from states. What is special about these is in methods of their own, see :class:`PixelLearner`."""

    longest_unsaved = sys.maxsize
    """Episodes after which the state is saved, however little time has passed."""

    def __init__(
        self,
        config: LearnConfig,
        env_factory: Callable[[], gymnasium.Env[Any, Any]],
        demonstrations: Sequence[Demonstration],
        description: Description,
        output: Path,
        on_progress: Callable[[dict[str, Any]], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        """Check and prepare; see :func:`polytask_trainer.learn.learn_expert`."""
        self.config, self.env_factory, self.output, self.description = config, env_factory, output, description
        env = self.env = env_factory()
        self._demonstrations = checked(demonstrations, env)
        self.should_stop = should_stop or (lambda: False)
        longest = max(len(action) for _, action in self._demonstrations)
        steps = round(config.horizon_factor * longest) + config.horizon_extra
        self.horizon = min(steps, env.get_wrapper_attr("horizon"))
        self.identity = fingerprint(config, description.tasks[0], [a for pair in self._demonstrations for a in pair])
        self.log = ProgressLog(output, config.steps, on_progress)
        self.matching: MatchingReward[Any] | None = None
        self._centre = np.concatenate([states for states, _ in self._demonstrations]).mean(axis=0)
        self._reach = REACH * state_scales(units(description))

    def close(self) -> None:
        """Free what outlives the run: the environment."""
        self.env.close()

    def _matching_reward(self) -> MatchingReward[Any] | None:
        if self.config.reward == "environment":
            return None
        states = [states for states, _ in self._demonstrations]
        return relation_matching(self.config.matching, self.env, states, self.horizon)

    def run(self) -> LearnResult:
        """Go through all phases, from wherever the last sitting stopped."""
        started = time.monotonic()
        config = self.config
        if (done := self._finished()) is not None:
            return done
        self.log.phase("bc", Counters())
        agent, replay = self._begin()
        training = self.output / "training"
        counters = load_training(training, agent, replay, self.matching, self.identity) or Counters()
        self.log.resume(counters)
        self._resume(agent, counters)
        earlier, saved, last = counters.seconds, time.monotonic(), counters.episode
        while counters.step < config.steps:
            if self.should_stop():
                save_training(training, agent, replay, self.matching, counters, self.identity)
                return LearnResult(False, counters.step, counters.seconds)
            self._episode(agent, replay, counters)
            counters.seconds = earlier + time.monotonic() - started
            due = time.monotonic() - saved > config.checkpoint_seconds or counters.step >= config.steps
            if due or counters.episode - last >= self.longest_unsaved:
                save_training(training, agent, replay, self.matching, counters, self.identity)
                saved, last = time.monotonic(), counters.episode
        finished = self._finish(agent, replay, counters)
        self.log.close()
        return LearnResult(finished, counters.step, earlier + time.monotonic() - started)

    def _begin(self) -> tuple[Any, Any]:
        """Return agent and replay as they are before the first step."""
        config = self.config
        self.matching = self._matching_reward()
        actor, rehearse = self._clone()
        generator = torch.Generator().manual_seed(config.seed)
        agent = DDPG(actor, pairs(self._demonstrations), config.agent, generator, rehearse)
        sizes = (actor.state_size, actor.action_size)
        return agent, Replay(config.steps + self.horizon, *sizes, config.agent.n_step, config.agent.gamma)

    def _clone(self) -> tuple[Actor, Callable[[torch.Generator], torch.Tensor] | None]:
        """Return the cloned actor, and the loss of what it must not forget while it learns on, if there is any."""
        return clone_actor(self.config, self._demonstrations, self.description), None

    def _resume(self, agent: Any, counters: Counters) -> None:
        """Do what has to follow when the state of a former sitting was loaded, or none."""

    def _finished(self) -> LearnResult | None:
        """Return the outcome of this very training where the folder holds it already."""
        if not has_checkpoint(self.output):
            return None
        _, meta = load_checkpoint(self.output)
        if meta.get("training") != self.identity:
            return None  # whether it may be replaced is for the training state to say
        return LearnResult(True, int(meta["steps"]), float(meta["seconds"]))

    def _noise(self, episode: int) -> float:
        """Standard deviation of the exploration in that episode."""
        return self.config.seed_noise if episode < self.config.seed_episodes else self.config.agent.noise

    def _run(self, agent: Any, number: int) -> Rollout:
        """The training episode of that number."""
        noise = self._noise(number)
        return self._rollout(lambda state: agent.act(state, noise), training_seed(self.config.seed, number))

    def _speeds(self, counters: Counters) -> dict[str, float]:
        """Return figures about speed for the log."""
        return {}

    def _episode(self, agent: Any, replay: Any, counters: Counters) -> None:
        """One episode, its rewards, and the updates that it pays for."""
        config = self.config
        seeding = counters.episode < config.seed_episodes
        episode = self._run(agent, counters.episode)
        rewards = self._rewards(episode)
        replay.add(episode.states, episode.actions, rewards)
        counters.step += len(rewards)
        counters.episode += 1
        losses: dict[str, float] = {}
        if counters.episode == config.seed_episodes:
            for _ in range(config.critic_updates):
                agent.update(replay.sample(config.agent.batch_size, agent.generator), train_actor=False)
        elif not seeding:
            updates = round(config.updates_per_step * len(rewards))
            for _ in range(updates):
                last = agent.update(replay.sample(config.agent.batch_size, agent.generator))
            counters.updates += updates
            losses = {name: float(value) for name, value in last.items()} if updates else {}
            counters.recent = [*counters.recent, float(rewards.sum())][-config.best_of :]
            mean = sum(counters.recent) / len(counters.recent)
            if len(counters.recent) == config.best_of and (counters.best is None or mean > counters.best):
                counters.best = mean
                agent.keep_best()
        self.log.episode(
            "seed" if seeding else "rl", counters, float(rewards.sum()), episode.success, losses, self._speeds(counters)
        )

    def _rollout(self, policy: Policy, start: int) -> Rollout:
        """One training episode, less what a broken simulation added to it."""
        episode = sound_part(rollout(self.env, policy, start, self.horizon), self._centre, self._reach)
        if len(episode.actions) == 0:
            raise RuntimeError(f"the environment gave up at the first step of an episode (start seed {start})")
        return episode

    def _rewards(self, episode: Rollout) -> NDArray[np.float32]:
        if self.matching is None:
            return self.config.environment_reward_scale * episode.rewards
        return self.matching(self._trajectory(episode))

    def _trajectory(self, episode: Rollout) -> Any:
        """What of an episode is matched."""
        return episode.states

    def _finish(self, agent: Any, replay: Any, counters: Counters) -> bool:
        """Write what distillation and the server need: pictures of reached goals, visited states, the expert.

        The expert comes last, so that its checkpoint says that all is there. False: stopped before.
        """
        self.log.phase("pictures", counters)
        chosen, episodes = agent.average, self._trials(agent, agent.average, counters.episode)
        if counters.best is not None and episodes is not None:
            others = self._trials(agent, agent.best, counters.episode)
            if others is None:
                return False
            if mean_total(others) > mean_total(episodes):
                chosen, episodes = agent.best, others
        if episodes is None:
            return False
        best = sorted(episodes, key=lambda one: -one.total)[: self.config.goal_pictures]
        pictures = goal_pictures(self.env, [(one.start, self._until_arrival(one.episode)) for one in best])
        write_npz(self.output / "goal_images.npz", images=pictures)
        self._write_replay(replay)
        extra = {"steps": counters.step, "seconds": counters.seconds, "training": self.identity}
        policy = self._policy(chosen)
        policy.save(self.output, seed=self.config.seed, settings=asdict(self.config), **extra)
        return True

    def _until_arrival(self, episode: Rollout) -> NDArray[np.float32]:
        """Actions of an episode until it is nearest to a demonstration's end."""
        arrival = self.matching.arrival(self._trajectory(episode)) if self.matching else len(episode.actions)
        return episode.actions[:arrival]

    def _policy(self, actor: Any) -> ExpertPolicy:
        return ExpertPolicy(actor, self.description)

    def _write_replay(self, replay: Any) -> None:
        write_npz(self.output / "replay.npz", states=replay.states())

    def _trials(self, agent: Any, actor: Any, first: int) -> list[Matched] | None:
        """Rollouts of an actor on fresh training starts, from episode ``first`` on. None: stopped before."""
        act = ExpertPolicy(actor, self.description).act
        found = []
        for index in range(self.config.goal_rollouts):
            if self.should_stop():
                return None
            start = training_seed(self.config.seed, first + index)
            episode = self._rollout(act, start)
            found.append(Matched(float(self._rewards(episode).sum()), start, episode))
        return found
