"""Learn an expert for one task from its demonstrations: Algorithm 1 of PolyTask, first phase.

The environment's success signal is written to the log for people to look at; nothing that is learned, and no choice
of what is kept, depends on it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint
from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.common.errors import other_training
from polytask_trainer.common.files import remove_own, write_npz
from polytask_trainer.common.progress import Counters
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts import states
from polytask_trainer.experts.checkpoint import load_training, save_training
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.parts import Batch, Collector, Network, Parts, Reward
from polytask_trainer.experts.pixels import FromImages
from polytask_trainer.experts.training import Training, prepared
from polytask_trainer.rollouts.episode import Demonstration
from polytask_trainer.rollouts.evaluate import training_seed
from polytask_trainer.rollouts.goal_rollouts import (
    ScoredRollout,
    goal_pictures,
    mean_total,
    read_rollouts,
    write_rollouts,
)

MIN_SAVE_INTERVAL = 20.0
"""Minimum time in s between checkpoints written during an episode's gradient updates, which are many and short."""


@dataclass(frozen=True)
class LearnResult:
    """Outcome: ``finished`` is False when it was stopped, and the same call carries on from there."""

    finished: bool
    steps: int
    seconds: float
    """Time of all sessions."""


def learn_expert(
    config: LearnConfig,
    env_factory: Callable[[], gymnasium.Env[Any, Any]],
    demonstrations: Sequence[Demonstration],
    description: PolicySpec,
    output: Path | str,
    *,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LearnResult:
    """Learn the task of the environment and write the expert's run folder ``output``.

    The same call resumes from the last checkpoint, and gives the same expert as one that was never stopped.
    ``on_progress`` gets phase, step, total_steps, episode_reward and elapsed after every episode; ``should_stop`` is
    asked between episodes and between updates. With a ``pictures`` section the policy is image-based: demonstrations
    need their images, and ``env_factory`` is called in other processes too, so it must be picklable. Raises
    FeatureError, ValueError (no or unfit demonstrations) and ResumeError.
    """
    with closing(env_factory()) as env:
        training = prepared(config, env, demonstrations, description, Path(output), on_progress, should_stop)
        if config.pictures is not None:
            images = FromImages(training, env_factory, demonstrations)
            return learn(training, images.clone, images.parts, most_unsaved=images.most_unsaved)
        imitated = training.demonstrations
        return learn(
            training,
            lambda: states.clone(training, imitated),
            lambda actor: states.state_parts(training, imitated, actor),
        )


def learn(
    training: Training,
    clone: Callable[[], Network | None],
    parts: Callable[[Network], Parts[Batch, Network]],
    *,
    seed_episodes: Sequence[Trajectory] = (),
    imitated: Callable[[int], int] | None = None,
    most_unsaved: int = sys.maxsize,
) -> LearnResult:
    """Algorithm 1 for one task, from wherever the last session stopped.

    ``clone`` gives the cloned actor, or None when it was stopped, and ``parts`` what learns from it. The first training
    episodes are ``seed_episodes`` where there are any. ``imitated`` says how many of the imitated pairs the second term
    of Eq. 1 draws from, by the steps made before an episode; without it, from all. The state is saved after
    ``most_unsaved`` episodes at the latest.
    """
    config, log, should_stop, started = training.config, training.log, training.should_stop, time.monotonic()
    if (done := _finished(training)) is not None:
        return done

    # Behaviour cloning: where the actor begins.
    log.phase("bc", Counters())
    actor = clone()
    if actor is None:
        return LearnResult(False, 0, time.monotonic() - started)
    made = parts(actor)
    agent, replay, reward, collector = made.agent, made.replay, made.reward, made.collector

    with closing(collector), closing(log):
        counters = load_training(training.state, agent, replay, reward, training.identity) or Counters()
        started -= counters.seconds
        # Of an episode with pending updates, nothing is in the log yet.
        log.resume(counters.before_last() if counters.pending_updates else counters)
        collector.begin(counters)
        saved, saved_episode = time.monotonic(), counters.episode

        def save() -> None:
            nonlocal saved, saved_episode
            counters.seconds = time.monotonic() - started
            save_training(training.state, agent, replay, reward, counters, training.identity)
            saved, saved_episode = time.monotonic(), counters.episode

        def stopped() -> LearnResult:
            save()
            return LearnResult(False, counters.step, counters.seconds)

        while counters.step < config.steps or counters.pending_updates:
            # One episode of the actor with exploration, rewarded as a whole when it has ended.
            if not counters.pending_updates:
                if should_stop():
                    return stopped()
                number = counters.episode
                seeded = number < len(seed_episodes)
                episode = seed_episodes[number] if seeded else collector.episode(number)
                if episode is None:  # stopped while it was waited for
                    continue
                rewards = reward(episode)  # Eqs. 3 to 5
                replay.add(episode.states, episode.actions, rewards)
                counters.step += len(rewards)
                counters.episode += 1
                counters.length, counters.success = len(rewards), bool(episode.success)
                counters.reward = float(rewards.sum())
                counters.pending_updates = config.updates_after(counters.episode, len(rewards))

            # The updates that it pays for: none while seeding, of the critics alone after that, then of the actor too.
            seeding = counters.episode <= config.seed_episodes
            losses: Mapping[str, Any] = {}
            if imitated is not None:
                agent.imitated = imitated(counters.step - counters.length)
            while counters.pending_updates:
                if should_stop():
                    return stopped()
                batch = replay.sample(config.agent.batch_size, agent.generator)
                update = agent.update(batch, train_actor=not seeding)  # Eqs. 1, 7 and 8
                counters.pending_updates -= 1
                if not seeding:
                    counters.updates += 1
                    losses = update
                if time.monotonic() - saved > max(config.checkpoint_seconds, MIN_SAVE_INTERVAL):
                    save()

            # The averaged actor is kept whenever its last episodes earned more than ever before.
            if not seeding:
                counters.recent = [*counters.recent, counters.reward][-config.best_of :]
                mean = sum(counters.recent) / len(counters.recent)
                if len(counters.recent) == config.best_of and (counters.best is None or mean > counters.best):
                    counters.best = mean
                    agent.keep_best()

            counters.seconds = time.monotonic() - started
            figures = {name: float(value) for name, value in losses.items()}
            phase = "seed" if seeding else "rl"
            log.episode(phase, counters, counters.reward, counters.success, figures, collector.speeds(counters))
            reward.refresh(counters.step - counters.length, counters.step)
            collector.learned(counters.episode - 1)
            due = time.monotonic() - saved > config.checkpoint_seconds or counters.step >= config.steps
            if due or counters.episode - saved_episode >= most_unsaved:
                save()

        # The expert: the last averaged actor or the best one, whichever matches better on fresh training starts.
        log.phase("pictures", counters)
        candidates = {"average": agent.average, **({} if counters.best is None else {"best": agent.best})}
        scored: dict[str, list[ScoredRollout]] = {}
        for name, candidate in candidates.items():
            kept = training.state / f"{name}.npz"
            rollouts = _scored_rollouts(training, collector, reward, candidate, kept, counters.episode)
            if rollouts is None:
                return LearnResult(False, counters.step, time.monotonic() - started)
            scored[name] = rollouts
        chosen = max(scored, key=lambda name: mean_total(scored[name]))

        # What distillation and the server need: pictures of reached goals, visited states, and the expert. It comes
        # last, so that its checkpoint says that all is there.
        best = sorted(scored[chosen], key=lambda one: -one.total)[: config.goal_pictures]
        write_npz(training.output / "goal_images.npz", images=goal_pictures(training.env, best))
        write_npz(training.output / "replay.npz", **replay.export())
        policy = made.export(candidates[chosen])
        extra = {"steps": counters.step, "seconds": counters.seconds, "training": training.identity}
        policy.save(training.output, seed=config.seed, settings=asdict(config), **extra)
        remove_own(training.state)  # large, and of no use any more
    return LearnResult(True, counters.step, time.monotonic() - started)


def _finished(training: Training) -> LearnResult | None:
    """Return the outcome of this very training where the folder holds it already."""
    if not has_checkpoint(training.output):
        return None
    _, meta = load_checkpoint(training.output)
    if meta.get("training") != training.identity:
        if "training" in meta:
            raise other_training(training.output)
        return None  # one that was learned otherwise
    return LearnResult(True, int(meta["steps"]), float(meta["seconds"]))


def _scored_rollouts(
    training: Training, collector: Collector[Network], reward: Reward, actor: Network, kept: Path, first: int
) -> list[ScoredRollout] | None:
    """Rollouts of an actor on fresh training starts, from episode ``first`` on, each cut where it arrives.

    None: stopped before; those that were made are kept for the next session.
    """
    config, saved = training.config, time.monotonic()
    rollouts = read_rollouts(kept)
    starts = [training_seed(config.seed, first + index) for index in range(config.goal_rollouts)]
    left = starts[len(rollouts) :]
    for start, episode in zip(left, collector.rollouts(actor, left), strict=False):
        total = float(reward(episode).sum())
        rollouts.append(ScoredRollout(total, start, episode.actions[: reward.arrival(episode)]))
        if time.monotonic() - saved > config.checkpoint_seconds:
            write_rollouts(kept, rollouts)
            saved = time.monotonic()
    write_rollouts(kept, rollouts)
    return rollouts if len(rollouts) == len(starts) else None
