"""Forward transfer: learning a task with the help of what a unified policy can do already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import GoalConditionedActor
from polytask_policy.networks import Actor
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.agents.bc import fit, pairs
from polytask_trainer.agents.ddpg import DDPG
from polytask_trainer.common.errors import other_training
from polytask_trainer.common.progress import Counters
from polytask_trainer.distillation.dataset import SentenceEncoder, require_same_robot
from polytask_trainer.experts.cloning import Shown, clone_actor
from polytask_trainer.experts.state_learner import Learner
from polytask_trainer.rewards.matching import REWARD_SUM, MatchingReward
from polytask_trainer.rewards.relations import relation_matching
from polytask_trainer.rollouts.episode import Rollout
from polytask_trainer.rollouts.evaluate import training_seed

START = "start"
WORDS = "its own words"
NOTHING = "nothing"
GOAL_STEPS, GOAL_RATE = 400, 0.03
"""Adam steps and learning rate for fitting a goal."""
CLONING_STEPS = 300
"""Cloning steps from a taught skill; as many as from scratch would erase it."""
PARTS = ("states", "actions", "rewards")
ROUNDS = ((None, 1), (3, 2), (1, 6))
"""Rounds of trials: (number of best-matching actors, None for all; episodes of each). Good matches get more."""
FIRST_TRIAL = 99_000
"""First episode index used for trial rollouts; far above any index that training reaches."""
GOOD = REWARD_SUM / 2
"""Minimum return of a trial that is imitated."""
FADE = 3000
"""Agent step from which on trials are no longer imitated."""


def fitted_goal(actor: GoalConditionedActor, goal: Tensor, shown: Shown) -> Tensor:
    """Move a goal (64,) until the policy does what is shown, as well as it can with its networks as they are.

    These 64 numbers mix what was taught, and one demonstration does not suffice to spoil them; all the weights it does.
    """
    states, actions = map(torch.from_numpy, shown)
    free = goal.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([free], GOAL_RATE)
    for _ in range(GOAL_STEPS):
        loss = functional.mse_loss(actor(states, functional.layer_norm(free, free.shape)), actions)
        optimizer.zero_grad()
        loss.backward(inputs=[free])
        optimizer.step()
    return functional.layer_norm(free.detach(), free.shape)


class FromPolicy(Learner):
    """Begins with something of a unified policy's.

    It is kept in the run folder, so that a stopped training carries on whatever has become of the policy.
    """

    def __init__(self, policy: Path, encode: SentenceEncoder, *arguments: Any) -> None:
        """Check and prepare; see :func:`learn_from`. ``arguments`` are the learner's own."""
        super().__init__(*arguments)
        description, output = self.description, self.output
        start = output / START
        if not has_checkpoint(start):
            unified = UnifiedPolicy.load(policy)
            require_same_robot(unified.description, description, output, str(policy))
            tensors, meta = self._choose(unified, self._goals(unified, encode))
            origin = load_checkpoint(policy)[1].get("fingerprint")
            save_checkpoint(start, tensors, {"kind": START, "policy": origin, **meta})
        tensors, self.started = load_checkpoint(start, START)
        taken = [np.ascontiguousarray(tensors[name].numpy()).tobytes() for name in sorted(tensors)]
        self.identity = hashlib.sha256(b"".join([self.identity.encode(), *taken])).hexdigest()
        self._take(tensors)

    def _goals(self, unified: UnifiedPolicy, encode: SentenceEncoder) -> dict[str, Tensor]:
        """Goals (64,) fitted to the demonstrations, from each taught task's and what the new task's sentences mean."""
        vectors = torch.from_numpy(encode(list(self.description.instructions[self.description.tasks[0]])))
        with torch.no_grad():
            words = unified.goals.from_sentences(functional.normalize(vectors.mean(0, keepdim=True), dim=-1))
            known = torch.cat([unified.goals.prototypes(), words])
        shown = pairs(self._demonstrations)
        names = (*unified.tasks, WORDS)
        return {n: fitted_goal(unified.actor, goal, shown) for n, goal in zip(names, known, strict=True)}

    def _clones(self, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> dict[str, Actor]:
        """Clone the demonstrations from the perceptron that the policy is at each goal."""
        cloning = replace(self.config.cloning, steps=min(CLONING_STEPS, self.config.cloning.steps))
        shown = pairs(self._demonstrations)
        return {
            name: fit(unified.actor.at_goal(goal), *shown, cloning, self.config.seed) for name, goal in goals.items()
        }

    def _try(self, actor: Actor, number: int) -> Rollout:
        """What an actor does from a training start."""
        return self._rollout(ExpertPolicy(actor, self.description).act, training_seed(self.config.seed, number))

    def _choose(self, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON-able entries of what learning begins with."""
        raise NotImplementedError

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin with what was chosen; its JSON-able entries are in ``started``."""
        raise NotImplementedError


class WarmLearner(FromPolicy):
    """Tries what the policy can do, and imitates what went well of it beside the demonstrations.

    The policy at each fitted goal, cloned from the demonstrations, and a plain clone are tried, in ``ROUNDS``. These
    trials are the training's first episodes, in place of the plain clone's with noise. The actor begins at random, as
    ever: it is cloned from the demonstrations and those trials that match one at least half as well as it matches
    itself. The second term of Eq. 1 draws from them too, ever fewer until ``FADE`` steps are made, the worst first:
    they help while the critics know little, and are less exact than what comes later.
    """

    def _choose(self, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        actors = self._clones(unified, goals)
        actors[NOTHING] = clone_actor(self.config, self._demonstrations, self.description)
        tensors: dict[str, Tensor] = {}
        trials: list[dict[str, Any]] = []
        matched: dict[str, list[float]] = {name: [] for name in actors}
        likeness = self._likeness()
        for best, episodes in ROUNDS:
            if best == 1 and not any(one["matched"] >= GOOD for one in trials):
                break  # nothing fits
            for name in sorted(actors, key=lambda name: -np.mean(matched[name] or [0.0]))[:best]:
                for _ in range(episodes):
                    number = len(trials)
                    episode = self._try(actors[name], FIRST_TRIAL + number)
                    tensors |= {f"{number}.{part}": torch.from_numpy(getattr(episode, part)) for part in PARTS}
                    matched[name].append(round(float(likeness(episode.states).sum()), 3))
                    steps, success = len(episode.actions), bool(episode.success)
                    trials.append({"by": name, "matched": matched[name][-1], "steps": steps, "success": success})
        return tensors, {"trials": trials}

    def _likeness(self) -> MatchingReward[Any]:
        """The matching reward that sums to ``REWARD_SUM`` where the demonstration is matched with itself."""
        config = replace(self.config.matching, reward="exp")
        return relation_matching(config, self.env, [states for states, _ in self._demonstrations], self.horizon)

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        if "trials" not in self.started:  # begun by another version, or online
            raise other_training(self.output)
        trials: list[dict[str, Any]] = self.started["trials"]
        self._tried: list[Rollout] = []
        for number, one in enumerate(trials):
            states, actions, rewards = (tensors[f"{number}.{part}"].numpy() for part in PARTS)
            self._tried.append(Rollout(states, actions, rewards, one["success"]))
        self.config = replace(self.config, seed_episodes=len(trials))
        likeness = self._likeness()
        good = [number for number, one in enumerate(trials) if one["matched"] >= GOOD]
        self._examples: list[Shown] = []
        for number in sorted(good, key=lambda number: -float(trials[number]["matched"])):
            episode = self._tried[number]
            end = likeness.arrival(episode.states)
            self._examples.append((episode.states[: end + 1], episode.actions[:end]))

    def _imitated(self) -> list[Shown]:
        return [*self._demonstrations, *self._examples]

    def _run(self, agent: Any, number: int) -> Rollout | None:
        return self._tried[number] if number < len(self._tried) else super()._run(agent, number)

    def _resume(self, agent: DDPG, counters: Counters) -> None:
        super()._resume(agent, counters)
        self._fade(agent, counters)

    def _ended(self, agent: DDPG, counters: Counters) -> None:
        super()._ended(agent, counters)
        self._fade(agent, counters)

    def _fade(self, agent: DDPG, counters: Counters) -> None:
        shown, examples = (sum(len(one[1]) for one in part) for part in (self._demonstrations, self._examples))
        agent.imitated = shown + round(examples * max(0.0, 1.0 - counters.step / FADE))
