"""Several tasks learned at once, on mazes and on suites with continuous actions; called with a Context."""

from __future__ import annotations

from typing import Any

import numpy as np

from polytask_trainer.experiments.run import Context, Stopped
from polytask_trainer.ot_regularised.collect import Serial
from polytask_trainer.ot_regularised.config import TasksConfig, tasks_config
from polytask_trainer.ot_regularised.learn import TasksLearner, learn_tasks
from polytask_trainer.rewards.features import parse_features

PROXY_ROUNDS = 4
"""Rounds after training on which the proxy reward is looked at."""


def maze(context: Context) -> dict[str, Any]:
    """Learn ``tasks`` of one maze; gives the curve and, of the shared reward, sums and visits by task and cell."""
    from polytask_sim_bridge.suites import load_suite, make_batch
    from polytask_sim_bridge.suites.maze.env import SIZE, cells

    config, tasks = _config(context), context.config["tasks"]
    known = load_suite("maze").tasks
    names = [task for _ in range(config.repetitions) for task in tasks for _ in range(config.environments)]
    env = make_batch("maze", names)
    features = [parse_features(known[task].features, env.state_names) for task in tasks]
    learner = TasksLearner(config, env, tasks, known[tasks[0]].horizon, (cells, SIZE * SIZE), features)
    curve = _learn(learner, context)
    if config.method != "ot_regularised":
        return {"curve": curve}
    sums, visits = np.zeros((2, len(tasks), SIZE * SIZE))
    owner = np.array([tasks.index(name) for name in names])
    for _ in range(PROXY_ROUNDS):
        played = learner.play()
        where = np.broadcast_to(owner, played.rewards.shape), cells(played.states)
        np.add.at(sums, where, learner.proxy(played))
        np.add.at(visits, where, 1.0)
    return {"curve": curve, "proxy": sums.round(3).tolist(), "visits": visits.astype(int).tolist()}


def continuous(context: Context) -> dict[str, Any]:
    """Learn ``tasks`` of a suite with continuous actions from its own reward."""
    from polytask_robot_io.embodiment import Embodiment
    from polytask_sim_bridge.suites import EMBODIMENTS, load_suite, make_env
    from polytask_trainer.agents.bc import state_scales

    config, suite, tasks = _config(context), context.config["suite"], context.config["tasks"]
    known = load_suite(suite).tasks
    names = [task for _ in range(config.repetitions) for task in tasks for _ in range(config.environments)]
    envs = [make_env(suite, task) for task in names]
    scales = state_scales([entry.unit for entry in Embodiment.load(EMBODIMENTS[suite]).state])
    features = [parse_features(known[task].features, envs[0].get_wrapper_attr("state_names")) for task in tasks]
    see = (lambda states: states / scales), len(scales)
    env = Serial(envs)
    try:
        learner = TasksLearner(config, env, tasks, known[tasks[0]].horizon, see, features)
        return {"curve": _learn(learner, context)}
    finally:
        env.close()


def _config(context: Context) -> TasksConfig:
    return tasks_config({**context.config["learn"], "seed": context.seed})


def _learn(learner: TasksLearner, context: Context) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    if not learn_tasks(learner, context.folder, on_progress=context.on_progress, should_stop=context.should_stop):
        raise Stopped
    return learner.curve
