"""The control without a goal: the same policy, its goal set to zero, on the starts of the questions. In process."""

from __future__ import annotations

from typing import Any

import torch

from polytask_bringup.demo.judges import done_tasks
from polytask_bringup.demo.rollouts import run_episode
from polytask_bringup.demo.worker import Report


def work(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Run every (task, seed) of ``starts`` with ``UnifiedPolicy.no_goal()``; the task only judges."""
    from polytask_policy.unified import UnifiedPolicy
    from polytask_sim_bridge.suites import make_env

    torch.set_num_threads(1)
    policy = UnifiedPolicy.load(spec["checkpoint"])
    goal = policy.no_goal()
    starts = [(str(task), int(seed)) for task, seed in spec["starts"]]
    env = make_env(spec["suite"], starts[0][0])
    episodes = []
    for number, (task, seed) in enumerate(starts):
        episode = run_episode(env, lambda state: policy.act(state, goal), task, seed)
        episodes.append(
            {
                "group": "nogoal",
                "asked": task,
                "seed": seed,
                "success": episode.success,
                "steps": len(episode.states) - 1,
                "message": episode.message,
                "done": done_tasks(spec["suite"], spec["tasks"], episode.states),
            }
        )
        report(number + 1, len(starts), task)
    env.close()
    return {"episodes": episodes}
