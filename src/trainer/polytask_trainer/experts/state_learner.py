"""Learn an expert for one task from its demonstrations: clone, then improve by demonstration-guided RL (Algorithm 1).

The environment's success signal is written to the log for people to look at; nothing that is learned, and no choice
of what is kept, depends on it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
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
from polytask_trainer.agents.bc import pairs
from polytask_trainer.agents.ddpg import DDPG
from polytask_trainer.agents.written_out import WrittenOut
from polytask_trainer.common.errors import other_training
from polytask_trainer.common.files import remove_own, write_npz
from polytask_trainer.common.progress import Counters, ProgressLog
from polytask_trainer.common.scales import state_scales, units
from polytask_trainer.experts.checkpoint import fingerprint, load_training, save_training
from polytask_trainer.experts.cloning import Shown, checked, clone_actor
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.replay.states import Replay
from polytask_trainer.rewards.matching import MatchingReward
from polytask_trainer.rewards.relations import relation_matching
from polytask_trainer.rollouts.episode import Demonstration, Rollout, rollout, sound_part
from polytask_trainer.rollouts.evaluate import Policy, training_seed
from polytask_trainer.rollouts.goal_rollouts import Matched, goal_pictures, mean_total, read_trials, write_trials

REACH = 50.0
"""Scales (5 m, 25 m/s, 25 rad) from the demonstrations' mean beyond which a state is a broken simulation's."""
MIDST = 20.0
"""Minimum time in s between checkpoints written during an episode's gradient updates."""


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
        """Check and prepare; see :func:`polytask_trainer.experts.learn.learn_expert`."""
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
        self.training = output / "training"
        self._losses: dict[str, torch.Tensor] = {}
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
        begun = self._begin()
        if begun is None:
            return LearnResult(False, 0, time.monotonic() - started)
        agent, replay = begun
        counters = load_training(self.training, agent, replay, self.matching, self.identity) or Counters()
        # Of an episode with updates still owed, nothing is written down yet.
        self.log.resume(counters.before_last() if counters.owed else counters)
        self._resume(agent, counters)
        earlier, saved, last = counters.seconds, time.monotonic(), counters.episode
        while counters.step < config.steps or counters.owed:
            if self.should_stop():
                save_training(self.training, agent, replay, self.matching, counters, self.identity)
                return LearnResult(False, counters.step, counters.seconds)
            if counters.owed:
                self._update(agent, replay, counters)
            elif not self._episode(agent, replay, counters):
                continue
            counters.seconds = earlier + time.monotonic() - started
            if not counters.owed:
                self._ended(agent, counters)
            seconds = max(config.checkpoint_seconds, MIDST) if counters.owed else config.checkpoint_seconds
            due = time.monotonic() - saved > seconds
            due = due or (counters.step >= config.steps and not counters.owed)
            if due or counters.episode - last >= self.longest_unsaved:
                save_training(self.training, agent, replay, self.matching, counters, self.identity)
                saved, last = time.monotonic(), counters.episode
        finished = self._finish(agent, replay, counters)
        self.log.close()
        return LearnResult(finished, counters.step, earlier + time.monotonic() - started)

    def _begin(self) -> tuple[Any, Any] | None:
        """Return agent and replay as they are before the first step. None: stopped before."""
        config = self.config
        self.matching = self._matching_reward()
        actor, rehearse = self._clone()
        generator = torch.Generator().manual_seed(config.seed)
        kind = WrittenOut if rehearse is None else DDPG
        agent = kind(actor, pairs(self._imitated()), config.agent, generator, rehearse)
        sizes = (actor.state_size, actor.action_size)
        return agent, Replay(config.steps + self.horizon, *sizes, config.agent.n_step, config.agent.gamma)

    def _clone(self) -> tuple[Actor, Callable[[torch.Generator], torch.Tensor] | None]:
        """Return the cloned actor, and the loss of what it must not forget while it learns on, if there is any."""
        return clone_actor(self.config, self._imitated(), self.description), None

    def _imitated(self) -> list[Shown]:
        """What is cloned, and held on to by the second term of Eq. 1."""
        return self._demonstrations

    def _resume(self, agent: Any, counters: Counters) -> None:
        """Do what has to follow when the state of a former sitting was loaded, or none."""

    def _finished(self) -> LearnResult | None:
        """Return the outcome of this very training where the folder holds it already."""
        if not has_checkpoint(self.output):
            return None
        _, meta = load_checkpoint(self.output)
        if meta.get("training") != self.identity:
            if "training" in meta:
                raise other_training(self.output)
            return None  # one that was learned otherwise
        return LearnResult(True, int(meta["steps"]), float(meta["seconds"]))

    def _noise(self, episode: int) -> float:
        """Standard deviation of the exploration in that episode."""
        return self.config.seed_noise if episode < self.config.seed_episodes else self.config.agent.noise

    def _run(self, agent: Any, number: int) -> Rollout | None:
        """The training episode of that number. None: stopped while waiting for it."""
        noise = self._noise(number)
        return self._rollout(lambda state: agent.act(state, noise), training_seed(self.config.seed, number))

    def _speeds(self, counters: Counters) -> dict[str, float]:
        """Return figures about speed for the log."""
        return {}

    def _episode(self, agent: Any, replay: Any, counters: Counters) -> bool:
        """One episode and its rewards; the updates that it pays for are owed then. False: stopped before."""
        episode = self._run(agent, counters.episode)
        if episode is None:
            return False
        rewards = self._rewards(episode)
        replay.add(episode.states, episode.actions, rewards)
        counters.step += len(rewards)
        counters.episode += 1
        counters.length, counters.reward, counters.success = len(rewards), float(rewards.sum()), bool(episode.success)
        if counters.episode == self.config.seed_episodes:
            counters.owed = self.config.critic_updates
        elif counters.episode > self.config.seed_episodes:
            counters.owed = round(self.config.updates_per_step * len(rewards))
        return True

    def _update(self, agent: Any, replay: Any, counters: Counters) -> None:
        """One of the updates that are owed: after the seed episodes of the critics alone, later of the actor too."""
        learning = counters.episode > self.config.seed_episodes
        batch = replay.sample(self.config.agent.batch_size, agent.generator)
        losses = agent.update(batch, train_actor=learning)
        counters.owed -= 1
        if learning:
            counters.updates += 1
            self._losses = losses

    def _ended(self, agent: Any, counters: Counters) -> None:
        """Take stock of an episode whose updates are made."""
        config = self.config
        if counters.episode > config.seed_episodes:
            counters.recent = [*counters.recent, counters.reward][-config.best_of :]
            mean = sum(counters.recent) / len(counters.recent)
            if len(counters.recent) == config.best_of and (counters.best is None or mean > counters.best):
                counters.best = mean
                agent.keep_best()
        phase = "seed" if counters.episode <= config.seed_episodes else "rl"
        losses = {name: float(value) for name, value in self._losses.items()}
        self._losses = {}
        self.log.episode(phase, counters, counters.reward, counters.success, losses, self._speeds(counters))

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
        chosen, trials = agent.average, self._trials(agent, "average", counters.episode)
        if counters.best is not None and trials is not None:
            others = self._trials(agent, "best", counters.episode)
            if others is None:
                return False
            if mean_total(others) > mean_total(trials):
                chosen, trials = agent.best, others
        if trials is None:
            return False
        best = sorted(trials, key=lambda one: -one.total)[: self.config.goal_pictures]
        pictures = goal_pictures(self.env, [(one.start, one.actions) for one in best])
        write_npz(self.output / "goal_images.npz", images=pictures)
        self._write_replay(replay)
        extra = {"steps": counters.step, "seconds": counters.seconds, "training": self.identity}
        policy = self._policy(chosen)
        policy.save(self.output, seed=self.config.seed, settings=asdict(self.config), **extra)
        remove_own(self.training)  # large, and of no use any more
        return True

    def _until_arrival(self, episode: Rollout) -> NDArray[np.float32]:
        """Actions of an episode until it is nearest to a demonstration's end."""
        arrival = self.matching.arrival(self._trajectory(episode)) if self.matching else len(episode.actions)
        return episode.actions[:arrival]

    def _policy(self, actor: Any) -> ExpertPolicy:
        return ExpertPolicy(actor, self.description)

    def _write_replay(self, replay: Any) -> None:
        write_npz(self.output / "replay.npz", states=replay.states())

    def _trials(self, agent: Any, name: str, first: int) -> list[Matched] | None:
        """Rollouts of an actor of the agent's on fresh training starts, from episode ``first`` on.

        None: stopped before; those that were made are kept for the next sitting.
        """
        kept, saved = self.training / f"{name}.npz", time.monotonic()
        found = read_trials(kept)
        starts = [training_seed(self.config.seed, first + index) for index in range(self.config.goal_rollouts)]
        left = starts[len(found) :]
        for start, episode in zip(left, self._rollouts(agent, getattr(agent, name), left), strict=False):
            found.append(Matched(float(self._rewards(episode).sum()), start, self._until_arrival(episode)))
            if time.monotonic() - saved > self.config.checkpoint_seconds:
                write_trials(kept, found)
                saved = time.monotonic()
        write_trials(kept, found)
        return found if len(found) == len(starts) else None

    def _rollouts(self, agent: Any, actor: Any, starts: Sequence[int]) -> Iterator[Rollout]:
        """Roll an actor out from each of the start seeds, as far as there is time."""
        act = ExpertPolicy(actor, self.description).act
        for start in starts:
            if self.should_stop():
                return
            yield self._rollout(act, start)
