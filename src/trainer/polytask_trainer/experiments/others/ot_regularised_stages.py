"""Stages of ``ot_regularised``: several tasks learned at once, on mazes and suites with continuous actions."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np

from polytask_trainer.experiments.framework.run import Context, Stopped
from polytask_trainer.ot_regularised.config import tasks_config
from polytask_trainer.ot_regularised.learn import TasksLearner, learn_tasks
from polytask_trainer.ot_regularised.suites import make_learner

PROXY_ROUNDS = 4
"""Rounds after training on which the proxy reward is looked at."""


def maze(context: Context) -> dict[str, Any]:
    """Learn ``tasks`` of one maze; gives the curve and, of the proxy reward, sums and visits by task and cell."""
    from polytask_suites.maze.env import SIZE, cells

    with closing(_learner(context, "maze")) as learner:
        _learn(learner, context)
        if learner.config.method != "ot_regularised":
            return {"curve": learner.curve}
        tasks = len(learner.tasks)
        sums, visits = np.zeros((2, tasks, SIZE * SIZE))
        owner = np.arange(learner.env.num_envs) // learner.config.environments % tasks
        for _ in range(PROXY_ROUNDS):
            played = learner.play()
            where = np.broadcast_to(owner, played.rewards.shape), cells(played.states)
            np.add.at(sums, where, learner.proxy(played))
            np.add.at(visits, where, 1.0)
        return {"curve": learner.curve, "proxy": sums.round(3).tolist(), "visits": visits.astype(int).tolist()}


def continuous(context: Context) -> dict[str, Any]:
    """Learn ``tasks`` of a suite with continuous actions from its own reward."""
    with closing(_learner(context, context.config["suite"])) as learner:
        _learn(learner, context)
        return {"curve": learner.curve}


def _learner(context: Context, suite: str) -> TasksLearner:
    config = tasks_config({**context.config["learn"], "seed": context.seed})
    return make_learner(config, suite, context.config["tasks"])


def _learn(learner: TasksLearner, context: Context) -> None:
    import torch

    torch.set_num_threads(1)
    if not learn_tasks(learner, context.folder, on_progress=context.on_progress, should_stop=context.should_stop):
        raise Stopped
