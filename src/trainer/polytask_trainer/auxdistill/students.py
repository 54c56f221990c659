"""From the recurrent policy to experts without memory, whose run folders `distill` makes one policy of, with words.

Equation 2 of PolyTask, over sequences: a state is relabelled with what the recurrent policy does there after all that
came before. What the student cannot see, because it remembers nothing, it averages over; the share of success that
this leaves is measured by :func:`teach_expert`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import has_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_trainer.agents.bc import CloningConfig, clone
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.learn import learn_auxdistill
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.state import load_policy
from polytask_trainer.common.scales import state_scales, units
from polytask_trainer.experts.learn import LearnResult
from polytask_trainer.rollouts import goal_rollouts as trials
from polytask_trainer.rollouts.evaluate import evaluate, evaluation_seeds, training_seed

Floats = NDArray[np.float32]


class TeachingError(Exception):
    """A student never succeeds; the message says of which task."""


@dataclass(frozen=True)
class StudentConfig:
    """How a student is taught."""

    num_envs: int = 64
    steps: int = 200
    """Steps of each environment in a round."""
    rounds: int = 4
    """In the first the teacher acts; in the others the student does, and is told what the teacher would have done, so
    that it learns what to do where its own mistakes take it (DAgger, Ross et al. 2011)."""
    hidden: tuple[int, ...] = (256, 256)
    cloning: CloningConfig = field(default_factory=lambda: CloningConfig(steps=4000, batch_size=256))
    seed: int = 0


@torch.no_grad()
def lesson(
    policy: RecurrentPolicy, number: int, env: Any, steps: int, seed: int, student: Actor | None = None
) -> tuple[Floats, Floats]:
    """Play a batch of environments of task ``number`` of the policy: states (N, n), the policy's actions (N, k).

    The ``student`` acts if there is one; the recurrent policy then follows what it does with its hidden state.
    """
    observation, _ = env.reset(seed=seed)
    count = len(observation)
    hidden, begins = policy.start(count), torch.ones(count, dtype=torch.bool)
    task, states, actions = torch.full((count,), number), [], []
    for _ in range(steps):
        seen = torch.from_numpy(observation)
        features, hidden = policy.features(seen[None], begins[None], hidden)
        action = policy.action(features[0], task)[0].clamp(-1.0, 1.0)
        states.append(observation)
        actions.append(action.numpy())
        done = action if student is None else student(seen)
        observation, _, terminated, truncated, _ = env.step(done.numpy())
        begins = torch.from_numpy(terminated | truncated)
    return np.concatenate(states), np.concatenate(actions)


def taught(
    policy: RecurrentPolicy, number: int, env: Any, scales: Floats, config: StudentConfig
) -> tuple[Actor, Floats]:
    """Teach a student without memory one task; gives it with all states (N, n) that it was taught in."""
    student, states, actions = None, [], []
    for number_of_round in range(config.rounds):
        start = training_seed(config.seed, number_of_round * config.num_envs)
        more = lesson(policy, number, env, config.steps, start, student)
        states.append(more[0])
        actions.append(more[1])
        student = clone(
            np.concatenate(states), np.concatenate(actions), config.hidden, scales, config.cloning, config.seed
        )
    assert student is not None
    return student, np.concatenate(states)


def learn_experts(
    config: AuxDistillConfig,
    suite: str,
    output: Path,
    *,
    student: StudentConfig | None = None,
    episodes: int = 50,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LearnResult:
    """Learn ``config.tasks``; ``output`` gets a run folder for each, of an expert like any other.

    The recurrent policy is in ``output/recurrent``. The same call resumes; raises as `learn_auxdistill` does, and
    TeachingError when all others are taught, for the tasks whose student never succeeds.
    """
    from polytask_suites.registry import make_batch

    recurrent = output / "recurrent"
    done = learn_auxdistill(
        config, partial(make_batch, suite), recurrent, on_progress=on_progress, should_stop=should_stop
    )
    student, failed = student or StudentConfig(seed=config.seed), []
    for task in config.tasks if done.finished else ():
        if should_stop is not None and should_stop():
            return dataclasses.replace(done, finished=False)
        if on_progress is not None:
            report = {"phase": f"teaching {task}", "step": done.steps, "total_steps": done.steps}
            on_progress({**report, "episode_reward": None, "elapsed": done.seconds})
        if has_checkpoint(output / task):
            continue
        try:
            teach_expert(recurrent, suite, task, output / task, student, episodes)
        except TeachingError:
            failed.append(task)
    if failed:
        others = ", ".join(task for task in config.tasks if task not in failed) or "no task"
        raise TeachingError(
            f"no expert of {', '.join(failed)}: students of the policy in {recurrent} never succeeded. Learn for more "
            f"steps, or with another seed, in another output folder. In {output} there are experts of {others}"
        )
    return done


def teach_expert(folder: Path, suite: str, task: str, output: Path, config: StudentConfig, episodes: int = 50) -> float:
    """Write the run folder of a student of ``task``, one of the policy's in ``folder``; gives its success.

    Raises TeachingError where the student never succeeds: nobody could use it.
    """
    from polytask_robot_io.embodiment import Embodiment
    from polytask_suites import EMBODIMENTS, make_env
    from polytask_suites.registry import make_batch
    from polytask_trainer.experts.spec import describe

    policy, tasks = load_policy(folder)
    description = describe(suite, task, Embodiment.load(EMBODIMENTS[suite]))
    batch = make_batch(suite, [task] * config.num_envs)
    student, states = taught(policy, tasks.index(task), batch, state_scales(units(description)), config)
    expert = ExpertPolicy(student, description)
    with closing(make_env(suite, task)) as env:
        found = evaluate(expert.act, env, evaluation_seeds(episodes)).rate
        if not found:
            raise TeachingError(f"the student of '{task}' never succeeded: its teacher in {folder} has to be better")
        trials.write_expert(expert, env, output, seed=config.seed, tries=episodes, states=states, success=found)
    return found
