"""Forward transfer: an expert that does not begin at random but with what a unified policy can do already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_policy.description import Description
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import GoalConditionedActor
from polytask_policy.networks import Actor
from polytask_policy.text import TextEncoder
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.agents.bc import fit, pairs
from polytask_trainer.cloning import Shown, clone_actor
from polytask_trainer.config import LearnConfig
from polytask_trainer.distill_data import SentenceEncoder, require_same_robot
from polytask_trainer.episodes import Demonstration
from polytask_trainer.evaluate import training_seed
from polytask_trainer.learner import Learner, LearnResult

START = "start"
WORDS = "its own words"
NOTHING = "nothing"
GOAL_STEPS, GOAL_RATE = 400, 0.03
"""Adam's steps and learning rate when a goal is fitted."""
CLONING_STEPS = 300
"""Steps of cloning from a taught skill; as many as from nothing would leave little of it."""
TRIALS = 8
FIRST_TRIAL = 99_000
"""Number of the first training start for comparing; training itself does not come that far."""


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


class WarmLearner(Learner):
    """Begins with what matches the demonstration best after cloning, by the reward of learning itself.

    Candidates are the perceptrons that the unified policy is at fitted goals, from that of each taught task and from
    what the new task's sentences mean to it, and a random one. The choice is kept in the run folder, so that a stopped
    training carries on whatever has become of the policy.
    """

    def __init__(
        self,
        policy: Path,
        encode: SentenceEncoder,
        *arguments: Any,
    ) -> None:
        """Check and prepare; see :func:`learn_from`. ``arguments`` are the learner's own."""
        super().__init__(*arguments)
        description, output = self.description, self.output
        self.start = output / START
        if not has_checkpoint(self.start):
            unified = UnifiedPolicy.load(policy)
            require_same_robot(unified.description, description, output, str(policy))
            vectors = torch.from_numpy(encode(list(description.instructions[description.tasks[0]])))
            with torch.no_grad():
                words = unified.goals.from_sentences(functional.normalize(vectors.mean(0, keepdim=True), dim=-1))
                known = torch.cat([unified.goals.prototypes(), words])
            shown = pairs(self._demonstrations)
            names = (*unified.tasks, WORDS)
            goals = {n: fitted_goal(unified.actor, goal, shown) for n, goal in zip(names, known, strict=True)}
            self.matching = self._matching_reward()
            tensors, meta = self._choose(unified, goals)
            origin = load_checkpoint(policy)[1].get("fingerprint")
            save_checkpoint(self.start, tensors, {"kind": START, "policy": origin, **meta})
        tensors, self.started = load_checkpoint(self.start, START)
        weights = [np.ascontiguousarray(tensors[name].numpy()).tobytes() for name in sorted(tensors)]
        self.identity = hashlib.sha256(b"".join([self.identity.encode(), *weights])).hexdigest()
        self.actor = self._read_start(tensors)

    def _choose(self, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON-able entries of what learning begins with."""
        clones = self._clones(unified, goals)
        clones[NOTHING] = clone_actor(self.config, self._demonstrations, self.description)
        matched = {name: self._match(actor) for name, actor in clones.items()}
        best = max(matched, key=lambda name: matched[name])
        return dict(clones[best].state_dict()), {
            "goal": best,
            "matched": matched,
            "hidden": list(clones[best].hidden),
        }

    def _clones(self, unified: UnifiedPolicy, goals: Mapping[str, Tensor]) -> dict[str, Actor]:
        """Clone the demonstrations from the policy at each goal."""
        cloning = replace(self.config.cloning, steps=min(CLONING_STEPS, self.config.cloning.steps))
        shown = pairs(self._demonstrations)
        return {
            name: fit(unified.actor.at_goal(goal), *shown, cloning, self.config.seed) for name, goal in goals.items()
        }

    def _match(self, actor: Actor) -> float:
        """Return an actor's mean sum of rewards on some training starts."""
        act = ExpertPolicy(actor, self.description).act
        starts = (training_seed(self.config.seed, FIRST_TRIAL + index) for index in range(TRIALS))
        return float(np.mean([self._rewards(self._rollout(act, start)).sum() for start in starts]))

    def _read_start(self, tensors: dict[str, Tensor]) -> Actor:
        sizes = (len(self.description.state_names), len(self.description.action_names))
        actor = Actor(*sizes, tuple(self.started["hidden"]))
        actor.load_state_dict(tensors)
        return actor

    def _clone(self) -> tuple[Actor, Callable[[torch.Generator], Tensor] | None]:
        return self.actor, None


def learn_from(
    policy: Path,
    config: LearnConfig,
    env_factory: Callable[[], gymnasium.Env[Any, Any]],
    demonstrations: Sequence[Demonstration],
    description: Description,
    output: Path | str,
    *,
    online: bool = False,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    encode: SentenceEncoder | None = None,
) -> LearnResult:
    """Learn an expert as ``learn_expert`` does, beginning with the unified policy in the folder ``policy``.

    ``online``: the policy itself learns the task and rehearses its earlier ones, see :mod:`polytask_trainer.online`.
    The actor is of the policy's size. Raises CheckpointError and DistillError for a policy that does not fit, besides
    what ``learn_expert`` raises.
    """
    if config.pictures is not None:
        raise ValueError("a policy of states cannot be the start of one that sees: leave out the warm start")
    kind: type[WarmLearner] = WarmLearner
    if online:
        from polytask_trainer.online import OnlineLearner

        kind = OnlineLearner
    encode = encode or TextEncoder().encode
    learner = kind(
        policy, encode, config, env_factory, demonstrations, description, Path(output), on_progress, should_stop
    )
    try:
        return learner.run()
    finally:
        learner.close()
