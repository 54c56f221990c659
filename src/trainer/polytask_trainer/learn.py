"""Learn an expert for one task from its demonstrations: clone, then improve by demonstration-guided RL (Algorithm 1).

The environment's success signal is written to the log for people to look at; nothing that is learned, and no choice
of what is kept, depends on it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, write_atomically
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
from polytask_trainer.rewards.features import absolute_features, parse_features
from polytask_trainer.rewards.matching import MatchingReward
from polytask_trainer.training_state import Counters, fingerprint, load_training, save_training

REACH = 50.0
"""Scales (5 m, 25 m/s, 25 rad) from the demonstrations' mean beyond which a state is a broken simulation's."""


@dataclass(frozen=True)
class LearnResult:
    """Outcome: ``finished`` is False when it was stopped, and the same call carries on from there."""

    finished: bool
    steps: int
    seconds: float
    """Time of all sittings."""


@dataclass(frozen=True)
class Matched:
    """A rollout from start seed ``start`` and the sum of its rewards."""

    total: float
    start: int
    episode: Rollout


def learn_expert(
    config: LearnConfig,
    env_factory: Callable[[], gymnasium.Env[Any, Any]],
    demonstrations: Sequence[Demonstration],
    description: Description,
    output: Path | str,
    *,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LearnResult:
    """Learn the task of the environment and write the expert's run folder ``output``.

    The same call resumes from the last checkpoint, and gives the same expert as one that was never stopped.
    ``on_progress`` gets phase, step, total_steps, episode_reward and elapsed after every episode; ``should_stop`` is
    asked then too. Raises FeatureError, ValueError (no or unfit demonstrations) and ResumeError.
    """
    env = env_factory()
    try:
        learner = _Learner(config, env, demonstrations, description, Path(output), on_progress, should_stop)
        return learner.run()
    finally:
        env.close()


class _Learner:
    def __init__(
        self,
        config: LearnConfig,
        env: gymnasium.Env[Any, Any],
        demonstrations: Sequence[Demonstration],
        description: Description,
        output: Path,
        on_progress: Callable[[dict[str, Any]], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.config, self.env, self.output, self.description = config, env, output, description
        self._demonstrations = checked(demonstrations, env)
        self.should_stop = should_stop or (lambda: False)
        longest = max(len(action) for _, action in self._demonstrations)
        steps = round(config.horizon_factor * longest) + config.horizon_extra
        self.horizon = min(steps, env.get_wrapper_attr("horizon"))
        self.identity = fingerprint(config, description.tasks[0], [a for pair in self._demonstrations for a in pair])
        self.log = ProgressLog(output, config.steps, on_progress)
        self.matching = self._matching_reward()
        self._centre = np.concatenate([states for states, _ in self._demonstrations]).mean(axis=0)
        self._reach = REACH * state_scales(units(description))

    def _matching_reward(self) -> MatchingReward | None:
        if self.config.reward == "environment":
            return None
        names = self.env.get_wrapper_attr("state_names")
        if self.config.matching.features == "absolute":
            features = absolute_features(names)
        else:
            task = self.env.get_wrapper_attr("tasks")[self.env.get_wrapper_attr("task")]
            features = parse_features(task.features, names)
        states = [states for states, _ in self._demonstrations]
        return MatchingReward(states, features, self.horizon, self.config.matching)

    def run(self) -> LearnResult:
        """Go through all phases, from wherever the last sitting stopped."""
        started = time.monotonic()
        config = self.config
        if (done := self._finished()) is not None:
            return done
        self.log.phase("bc", Counters())
        cloned = clone_actor(config, self._demonstrations, self.description)
        generator = torch.Generator().manual_seed(config.seed)
        agent = DDPG(cloned, pairs(self._demonstrations), config.agent, generator)
        sizes = (agent.actor.state_size, agent.actor.action_size)
        replay = Replay(config.steps + self.horizon, *sizes, config.agent.n_step, config.agent.gamma)
        training = self.output / "training"
        counters = load_training(training, agent, replay, self.matching, self.identity) or Counters()
        self.log.resume(counters)
        earlier, saved = counters.seconds, time.monotonic()
        while counters.step < config.steps:
            if self.should_stop():
                save_training(training, agent, replay, self.matching, counters, self.identity)
                return LearnResult(False, counters.step, counters.seconds)
            self._episode(agent, replay, counters)
            counters.seconds = earlier + time.monotonic() - started
            if time.monotonic() - saved > config.checkpoint_seconds or counters.step >= config.steps:
                save_training(training, agent, replay, self.matching, counters, self.identity)
                saved = time.monotonic()
        finished = self._finish(agent, replay, counters)
        self.log.close()
        return LearnResult(finished, counters.step, earlier + time.monotonic() - started)

    def _finished(self) -> LearnResult | None:
        """Return the outcome of this very training where the folder holds it already."""
        if not has_checkpoint(self.output):
            return None
        _, meta = load_checkpoint(self.output)
        if meta.get("training") != self.identity:
            return None  # whether it may be replaced is for the training state to say
        return LearnResult(True, int(meta["steps"]), float(meta["seconds"]))

    def _episode(self, agent: DDPG, replay: Replay, counters: Counters) -> None:
        """One episode, its rewards, and the updates that it pays for."""
        config = self.config
        seeding = counters.episode < config.seed_episodes
        noise = config.seed_noise if seeding else config.agent.noise
        start = training_seed(config.seed, counters.episode)
        episode = self._rollout(lambda state: agent.act(state, noise), start)
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
        self.log.episode("seed" if seeding else "rl", counters, float(rewards.sum()), episode.success, losses)

    def _rollout(self, policy: Policy, start: int) -> Rollout:
        """One training episode, less what a broken simulation added to it."""
        episode = sound_part(rollout(self.env, policy, start, self.horizon), self._centre, self._reach)
        if len(episode.actions) == 0:
            raise RuntimeError(f"the environment gave up at the first step of an episode (start seed {start})")
        return episode

    def _rewards(self, episode: Rollout) -> NDArray[np.float32]:
        if self.matching is None:
            return self.config.environment_reward_scale * episode.rewards
        return self.matching(episode.states)

    def _finish(self, agent: DDPG, replay: Replay, counters: Counters) -> bool:
        """Write what distillation and the server need: pictures of reached goals, visited states, the expert.

        The expert comes last, so that its checkpoint says that all is there. False: stopped before.
        """
        self.log.phase("pictures", counters)
        chosen, episodes = agent.average, self._matched(agent.average, counters.episode)
        if counters.best is not None and episodes is not None:
            others = self._matched(agent.best, counters.episode)
            if others is None:
                return False
            if _mean_return(others) > _mean_return(episodes):
                chosen, episodes = agent.best, others
        if episodes is None:
            return False
        _write_npz(self.output / "goal_images.npz", "images", self._goal_pictures(episodes))
        _write_npz(self.output / "replay.npz", "states", replay.states())
        extra = {"steps": counters.step, "seconds": counters.seconds, "training": self.identity}
        policy = ExpertPolicy(chosen, self.description)
        policy.save(self.output, seed=self.config.seed, settings=asdict(self.config), **extra)
        return True

    def _matched(self, actor: Actor, first: int) -> list[Matched] | None:
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

    def _goal_pictures(self, episodes: Sequence[Matched]) -> NDArray[np.uint8]:
        """Pictures uint8 (M, H, W, 3) of the rollouts that match best, which are repeated for that.

        Each is taken where the rollout is nearest to a demonstration's end: what comes later, such as a hand that
        lingers, is not the goal.
        """
        pictures = []
        for matched in sorted(episodes, key=lambda one: -one.total)[: self.config.goal_pictures]:
            actions = matched.episode.actions
            arrival = self.matching.arrival(matched.episode.states) if self.matching else len(actions)
            self.env.reset(seed=matched.start)
            for action in actions[:arrival]:
                self.env.step(action)
            pictures.append(np.asarray(self.env.render(), dtype=np.uint8))
        return np.stack(pictures)


def _mean_return(episodes: Sequence[Matched]) -> float:
    return sum(one.total for one in episodes) / len(episodes)


def _write_npz(path: Path, name: str, array: NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: array})
    write_atomically(path, buffer.getvalue())
