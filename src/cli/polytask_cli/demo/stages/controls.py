"""Controls in process, on the starts of the questions: the served policy with its goal set to zero, random actions."""

from __future__ import annotations

from typing import Any

from polytask_cli.demo.stages.success_predicates import done_tasks
from polytask_trainer.jobs.execute import Progress, at
from polytask_trainer.rollouts.episode import Policy, rollout


def work(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Run every (task, seed) of ``starts`` without a goal and with random actions; the task only judges."""
    from polytask_policy.unified import UnifiedPolicy
    from polytask_suites import make_env
    from polytask_trainer.rollouts.evaluate import random_policy

    policy = UnifiedPolicy.load(spec["checkpoint"])
    goal = policy.no_goal()
    starts = [(str(task), int(seed)) for task, seed in spec["starts"]]
    env = make_env(spec["suite"], starts[0][0])
    size = len(policy.description.action_names)
    episodes = []
    for number, (task, seed) in enumerate(starts):
        controls: dict[str, Policy] = {
            "nogoal": lambda state: policy.act(state, goal),
            "random": random_policy(size, seed),
        }
        for group, act in controls.items():
            episode = rollout(env, act, seed, until_success=True, task=task)
            episodes.append(
                {
                    "group": group,
                    "asked": task,
                    "seed": seed,
                    "success": episode.success,
                    "steps": len(episode.actions),
                    "done": done_tasks(spec["suite"], spec["tasks"], episode.states),
                }
            )
        on_progress(at(number + 1, len(starts), task))
    env.close()
    return {"episodes": episodes}
