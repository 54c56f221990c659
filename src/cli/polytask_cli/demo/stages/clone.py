"""The controls that learning has to beat: policies cloned from one and from several demonstrations; and the experts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polytask_trainer.jobs.execute import Progress, at


def work(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Clone from the one demonstration, and from it and the control's; success of both on ``starts``."""
    from polytask_demo_recorder.dataset.reader import read_dataset
    from polytask_suites import make_env
    from polytask_trainer.agents.bc import CloningConfig, clone, pairs
    from polytask_trainer.agents.ddpg import AgentConfig
    from polytask_trainer.common.scales import state_scales
    from polytask_trainer.common.trajectory import Trajectory
    from polytask_trainer.rollouts.evaluate import evaluate

    folders = [Path(spec[name]) / spec["task"] for name in ("demonstrations", "controls")]
    episodes = [episode for folder in folders for episode in read_dataset(folder)]
    shown = [Trajectory(episode.state, episode.action) for episode in episodes]
    scales = state_scales([field.unit for field in episodes[0].embodiment.state])
    env, starts, made = make_env(spec["suite"], spec["task"]), spec["starts"], {}
    for turn, (key, count) in enumerate((("bc1", 1), ("bc_many", len(shown)))):
        actor = clone(*pairs(shown[:count]), AgentConfig().hidden, scales, CloningConfig(), int(spec["seed"]))

        def act(state: Any, actor: Any = actor) -> Any:
            with torch.inference_mode():
                return actor(torch.from_numpy(state)).numpy()

        def tell(index: int, success: bool, turn: int = turn) -> None:
            on_progress(at(turn * len(starts) + index + 1, 2 * len(starts), "cloned policies"))

        done = evaluate(act, env, starts, on_episode=tell)
        made[key] = {"demonstrations": count, "successes": list(done.successes), "lengths": list(done.lengths)}
    env.close()
    return made


def evaluate_expert(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Success of the expert in the folder ``expert`` on ``starts``."""
    from polytask_policy.expert import ExpertPolicy
    from polytask_suites import make_env
    from polytask_trainer.rollouts.evaluate import evaluate

    env, starts = make_env(spec["suite"], spec["task"]), spec["starts"]
    policy = ExpertPolicy.load(spec["expert"])
    done = evaluate(
        policy.act, env, starts, on_episode=lambda index, _: on_progress(at(index + 1, len(starts), "expert"))
    )
    env.close()
    return {"expert": {"successes": list(done.successes), "lengths": list(done.lengths), "seeds": list(starts)}}
