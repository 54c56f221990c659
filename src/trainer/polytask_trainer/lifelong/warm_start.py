"""Forward transfer: what a unified policy can do already helps to learn a task (warm start).

The policy at each goal that is fitted to the demonstrations, cloned from them, and a plain clone are tried, in
``ROUNDS``. These trials are the training's first episodes, in place of the plain clone's with noise. The actor begins
at random, as ever: it is cloned from the demonstrations and those trials that match one at least half as well as it
matches itself. The second term of Eq. 1 draws from them too, ever fewer until ``FADE`` steps are made, the worst first:
they help while the critics know little, and are less exact than what comes later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.common.errors import ResumeError, other_training
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.distillation.dataset import SentenceEncoder
from polytask_trainer.experts.cloning import clone_actor
from polytask_trainer.experts.training import Training
from polytask_trainer.lifelong.start import Chosen, chosen_once, clones, fitted_goals, trial
from polytask_trainer.rewards.matching import REWARD_SUM, MatchingReward
from polytask_trainer.rewards.relations import relation_matching

NOTHING = "nothing"
ROUNDS = ((None, 1), (3, 2), (1, 6))
"""Rounds of trials: (number of best-matching actors, None for all; episodes of each). Good matches get more."""
GOOD = REWARD_SUM / 2
"""Minimum return of a trial that is imitated."""
FADE = 3000
"""Agent step from which on trials are no longer imitated."""


@dataclass(frozen=True)
class WarmStart:
    """What comes before the first step of a training."""

    trials: Sequence[Trajectory]
    """The seed episodes."""
    demonstrations: Sequence[Trajectory]
    examples: Sequence[Trajectory]
    """Trials that are imitated beside the demonstrations, each until it arrives, the best first."""

    @property
    def imitated(self) -> list[Trajectory]:
        """What is cloned, and drawn from by the second term of Eq. 1."""
        return [*self.demonstrations, *self.examples]

    def pairs_at(self, step: int) -> int:
        """How many of the imitated state-action pairs are drawn from when ``step`` steps are made."""
        shown, examples = (sum(len(one.actions) for one in part) for part in (self.demonstrations, self.examples))
        return shown + round(examples * max(0.0, 1.0 - step / FADE))


def warm_start(training: Training, policy: Path, encode: SentenceEncoder) -> tuple[Training, WarmStart]:
    """Try what the policy in the folder ``policy`` can do; what the trials did is kept in the training's folder.

    Raises ResumeError where that folder was begun online or by another version.
    """
    training, chosen = chosen_once(training, policy, lambda unified: _tried(training, unified, encode))
    if "trials" not in chosen.facts:  # begun online
        raise other_training(training.output)
    if "lengths" not in chosen.tensors:
        raise ResumeError(
            f"{training.output} holds a warm start of an earlier version, whose trials this one does not read: choose "
            "another output folder, or delete this one to start afresh"
        )
    matched = [float(one["matched"]) for one in chosen.facts["trials"]]
    trials = _unpacked(chosen.tensors, [one["success"] for one in chosen.facts["trials"]])
    likeness = _likeness(training)
    good = sorted((number for number, sum_ in enumerate(matched) if sum_ >= GOOD), key=lambda number: -matched[number])
    examples = [trials[number].until(likeness.arrival(trials[number])) for number in good]
    config = dataclasses.replace(training.config, seed_episodes=len(trials))
    return dataclasses.replace(training, config=config), WarmStart(trials, training.demonstrations, examples)


def _tried(training: Training, unified: UnifiedPolicy, encode: SentenceEncoder) -> Chosen:
    """Try the actors that the policy gives, and a plain clone."""
    actors = clones(training, unified, fitted_goals(training, unified, encode))
    actors[NOTHING] = clone_actor(training.config, training.demonstrations, training.description)
    matched: dict[str, list[float]] = {name: [] for name in actors}
    trials, facts = list[Trajectory](), list[dict[str, Any]]()
    likeness = _likeness(training)
    for best, episodes in ROUNDS:
        if best == 1 and not any(one["matched"] >= GOOD for one in facts):
            break  # nothing fits
        for name in sorted(actors, key=lambda name: -np.mean(matched[name] or [0.0]))[:best]:
            for _ in range(episodes):
                episode = trial(training, actors[name], len(trials))
                matched[name].append(round(float(likeness(episode).sum()), 3))
                steps, success = len(episode.actions), bool(episode.success)
                facts.append({"by": name, "matched": matched[name][-1], "steps": steps, "success": success})
                trials.append(episode)
    return Chosen(_packed(trials), {"trials": facts})


def _likeness(training: Training) -> MatchingReward[Trajectory]:
    """The matching reward that sums to ``REWARD_SUM`` where the demonstration is matched with itself."""
    config = dataclasses.replace(training.config.matching, reward="exp")
    return relation_matching(config, training.env, training.demonstrations, training.horizon)


def _packed(episodes: Sequence[Trajectory]) -> dict[str, Tensor]:
    """Episodes one after another: states (sum of T+1, n), actions (sum of T, k), rewards, and lengths (N,) in steps."""
    return {
        "states": torch.from_numpy(np.concatenate([one.states for one in episodes])),
        "actions": torch.from_numpy(np.concatenate([one.actions for one in episodes])),
        "rewards": torch.from_numpy(np.concatenate([one.rewards for one in episodes])),
        "lengths": torch.tensor([len(one.actions) for one in episodes]),
    }


def _unpacked(tensors: Mapping[str, Tensor], successes: Sequence[bool]) -> list[Trajectory]:
    lengths = tensors["lengths"].numpy()
    ends = np.cumsum(lengths)[:-1]
    states = np.split(tensors["states"].numpy(), np.cumsum(lengths + 1)[:-1])
    actions, rewards = (np.split(tensors[name].numpy(), ends) for name in ("actions", "rewards"))
    return [Trajectory(*parts) for parts in zip(states, actions, rewards, successes, strict=True)]
