"""Stage functions of the PolyTask experiments. Each takes a Context and returns a JSON-serialisable result."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gymnasium
import numpy as np

from polytask_trainer.common.progress import LOG
from polytask_trainer.experiments.framework.curves import read_log, spans
from polytask_trainer.experiments.framework.run import DOCUMENT, Context, Stopped
from polytask_trainer.experiments.polytask.demonstrations import demonstrations, result_pictures, script_of
from polytask_trainer.rollouts.episode import Policy
from polytask_trainer.rollouts.evaluate import Evaluation, evaluate, evaluation_seeds, in_episode

if TYPE_CHECKING:
    from polytask_policy.goals import Goal
    from polytask_policy.unified import UnifiedPolicy

Env = gymnasium.Env[Any, Any]
Request = TypeVar("Request")

STARTS_PER_SEED = 10_000
PICTURE_STARTS = 5_000
"""Where, among a seed's starts, those of the goal pictures begin."""
CURVE_POINTS = 24


def starts(seed: int, episodes: int) -> range:
    """Start seeds on which everything of run ``seed`` is judged; the same for all policies."""
    return evaluation_seeds(episodes, seed * STARTS_PER_SEED)


def judge(policy: Any, env: Env, seeds: Sequence[int], goal: Goal | None = None) -> Evaluation:
    """Episodes of an expert, or of a unified policy with a ``goal``; one that sees is shown the camera."""
    act = policy.act if goal is None else lambda state, *images: policy.act(state, goal, *images)
    return Evaluation.joined([evaluate(in_episode(act, policy.description, env), env, [seed]) for seed in seeds])


def figures(done: Evaluation) -> dict[str, Any]:
    """An evaluation as it stands in a result."""
    return {**done.to_json(), "mean_return": float(np.mean(done.returns))}


def expert(context: Context) -> dict[str, Any]:
    """Learn an expert from ``demonstrations`` scripted episodes, and judge it on ``episodes`` fresh starts."""
    from polytask_policy.expert import ExpertPolicy
    from polytask_suites import make_env
    from polytask_trainer.experts.config import learn_config
    from polytask_trainer.experts.learn import learn_expert
    from polytask_trainer.experts.spec import describe

    config = context.config
    suite, task = config["suite"], config["task"]
    learn = learn_config({**config["learn"], "seed": context.seed})
    shown = demonstrations(suite, task, config["demonstrations"], context.seed, cameras=learn.pictures is not None)
    done = learn_expert(
        learn,
        partial(make_env, suite, task),
        shown,
        describe(suite, task, shown[0].embodiment),
        context.folder,
        on_progress=context.on_progress,
        should_stop=context.should_stop,
    )
    if not done.finished:
        raise Stopped
    env = make_env(suite, task)
    try:
        judged = judge(ExpertPolicy.load(context.folder), env, starts(context.seed, config["episodes"]))
    finally:
        env.close()
    return {"steps": done.steps, "evaluation": figures(judged), "curve": curve(context.folder / LOG)}


def curve(path: Path) -> list[dict[str, float]]:
    """The training log in at most 24 points: the step, and means over the episodes up to it."""
    return [
        {
            "step": span[-1]["step"],
            "episode_reward": round(float(np.mean([row["episode_reward"] for row in span])), 4),
            "success": round(float(np.mean([row["success"] for row in span])), 4),
        }
        for span in spans(read_log(path), CURVE_POINTS)
    ]


def clones(context: Context) -> dict[str, Any]:
    """Clone from each number in ``demonstrations`` of scripted episodes, without RL, and judge each clone."""
    from polytask_suites import make_env
    from polytask_trainer.experts.cloning import clone_expert
    from polytask_trainer.experts.config import learn_config
    from polytask_trainer.experts.pixel_cloning import clone_pixel_expert
    from polytask_trainer.experts.spec import describe

    config = context.config
    suite, task, counts = config["suite"], config["task"], config["demonstrations"]
    learn = learn_config({**config["learn"], "seed": context.seed})
    clone = clone_expert if learn.pictures is None else clone_pixel_expert
    shown = demonstrations(suite, task, max(counts), context.seed, cameras=learn.pictures is not None)
    env, results = make_env(suite, task), {}
    try:
        for number, count in enumerate(counts):
            context.progress(number, len(counts), "cloning")

            def measure(count: int = count) -> dict[str, Any]:
                policy = clone(learn, shown[:count], describe(suite, task, shown[0].embodiment))
                return figures(judge(policy, env, starts(context.seed, config["episodes"])))

            results[str(count)] = context.piece(str(count), measure)
    finally:
        env.close()
    return {"evaluations": results}


def distilled(context: Context) -> dict[str, Any]:
    """Distil the needed experts into one policy."""
    from polytask_trainer.distillation.config import DistillConfig
    from polytask_trainer.distillation.distill import distill

    done = distill(
        DistillConfig(
            **{**context.config["distill"], "hidden": tuple(context.config["distill"]["hidden"]), "seed": context.seed}
        ),
        list(context.needs),
        context.folder,
        on_progress=lambda at: context.progress(at.step, at.steps, "distilling"),
        should_stop=context.should_stop,
    )
    if not done.finished:
        raise Stopped
    return {"steps": done.steps, "loss": done.loss}


def asked(context: Context) -> dict[str, Any]:
    """Ask the needed policy for every task in every way of ``kinds`` from the same starts.

    Kinds: ``task`` (its name), ``words`` (taught sentences), ``heldout`` (sentences never taught), ``expert_image`` and
    ``image`` (pictures of results from other starts, by the task's expert or by the script), and the controls ``none``
    (no goal) and ``other`` (each other task's name in turn). A refused goal is a failure, and counted; so is one that
    cannot be put, since the expert never arrives and there is no picture.
    """
    from polytask_policy.unified import UnifiedPolicy
    from polytask_suites import make_env

    config = context.config
    policy = UnifiedPolicy.load(context.needs[0])
    total = len(config["kinds"]) * len(config["tasks"])
    results: dict[str, dict[str, Any]] = {}
    for task in config["tasks"]:
        env = make_env(config["suite"], task)
        try:
            for kind in config["kinds"]:
                context.progress(sum(map(len, results.values())), total, f"{task}, asked by {kind}")
                measure = partial(_asked_by, kind, task, policy, env, context)
                results.setdefault(kind, {})[task] = context.piece(f"{task}/{kind}", measure)
        finally:
            env.close()
    return {"evaluations": results}


def _asked_by(kind: str, task: str, policy: UnifiedPolicy, env: Env, context: Context) -> dict[str, Any]:
    """Figures of ``policy`` on ``task``, its goals put in turn, and the number of episodes whose goal was refused."""
    goals = _goals(kind, task, policy, env, context)
    evaluations, refused = [], 0
    for index, seed in enumerate(starts(context.seed, context.config["episodes"])):
        if context.should_stop():
            raise Stopped
        goal = goals[index % len(goals)] if goals else None
        if goal is None:
            refused += 1
            evaluations.append(Evaluation((seed,), (False,), (0,), (0.0,)))
        else:
            evaluations.append(judge(policy, env, [seed], goal))
    return {**figures(Evaluation.joined(evaluations)), "refused": refused}


def _goals(kind: str, task: str, policy: UnifiedPolicy, env: Env, context: Context) -> list[Goal | None]:
    """Goals of a kind for ``task``; None for one that the policy refuses."""
    suite, tasks, episodes = (context.config[name] for name in ("suite", "tasks", "episodes"))
    if kind == "none":
        return [policy.no_goal()]
    if kind == "task":
        return _encoded(policy.goal_from_task, [task])
    if kind == "other":
        return _encoded(policy.goal_from_task, [other for other in tasks if other != task])
    if kind == "words":
        return _encoded(policy.goal_from_words, policy.description.instructions[task])
    if kind == "heldout":
        return _encoded(policy.goal_from_words, heldout(suite)[task])
    if kind in ("image", "expert_image"):
        first = starts(context.seed, 1)[0] + PICTURE_STARTS + 100 * tasks.index(task)
        shown_by = script_of(suite, task) if kind == "image" else _expert_of(context.needs[0], task, env)
        return _encoded(policy.goal_from_image, result_pictures(env, shown_by, episodes, first))
    raise ValueError(f"kinds are task, words, heldout, image, expert_image, none and other, not {kind!r}")


def _encoded(encode: Callable[[Request], Goal], requests: Sequence[Request]) -> list[Goal | None]:
    from polytask_policy.goals import UnknownGoal

    goals: list[Goal | None] = []
    for request in requests:
        try:
            goals.append(encode(request))
        except UnknownGoal:
            goals.append(None)
    return goals


def _expert_of(distilled: Path, task: str, env: Env) -> Callable[[], Policy]:
    """Gives, anew for each episode, the expert of ``task`` from which the policy in that run's folder was distilled."""
    from polytask_policy.expert import ExpertPolicy

    needs = json.loads((distilled / DOCUMENT).read_text())["needs"]
    expert = next(one for one in (ExpertPolicy.load(distilled.parent / name) for name in needs) if one.task == task)
    return lambda: in_episode(expert.act, expert.description, env)


def heldout(suite: str) -> dict[str, Sequence[str]]:
    """Sentences by task that are never taught. Raises NoConfiguration for a suite without."""
    import yaml

    from polytask_robot_io.config_files import config_file

    found: dict[str, Sequence[str]] = yaml.safe_load(config_file("sentences", f"{suite}_heldout").read_text())
    return found
