"""Stage functions of ``ol_aux``: the toy problem, and an arm that learns to reach the posture in a goal image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import write_atomically
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import Pictures
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.drqv2 import DrQv2, Seen
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.auxiliary import arm, toy
from polytask_trainer.auxiliary.hindsight import GoalActor, HindsightReplay
from polytask_trainer.common.progress import Counters
from polytask_trainer.common.settings import read_settings
from polytask_trainer.experiments.framework.run import Context, Stopped
from polytask_trainer.experiments.polytask.stages import starts
from polytask_trainer.experts.checkpoint import load_training, save_training
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.rollouts.evaluate import training_seed


def toy_problem(context: Context) -> dict[str, Any]:
    """Section 5.1 from four starts, with fixed weights and with OL-AUX; every tenth step."""
    found: dict[str, Any] = {}
    for combine in ("fixed", "ol_aux"):
        courses = [toy.descend(start, combine, context.config["steps"]) for start in toy.STARTS]
        found[combine] = [
            {name: np.round(values[::10], 5).tolist() for name, values in vars(course).items()} for course in courses
        ]
    return found


def reach(context: Context) -> dict[str, Any]:
    """Learn to reach goals in pictures by DrQ-v2 with HER, judged on ``episodes`` fresh starts now and then."""
    config = context.config
    torch.set_num_threads(1)
    agent, replay = begin(config, context.seed, context.folder)
    curve_file, identity = context.folder / "curve.json", json.dumps([dict(config), context.seed], sort_keys=True)
    state = context.folder / "training"
    counters = load_training(state, agent, replay, None, identity) or Counters()
    curve: list[dict[str, Any]] = json.loads(curve_file.read_text()) if counters.step else []
    logs: list[Mapping[str, float]] = []
    while counters.step < config["steps"]:
        if context.should_stop():
            raise Stopped
        steps = episode(agent, replay, config, context.seed, counters)
        judging = counters.step // config["every"] > (counters.step - steps) // config["every"]
        if counters.episode > config["seed_episodes"]:
            updates = round(config["updates_per_step"] * steps)
            for _ in range(updates):
                log = agent.update(replay.sample(agent.config.batch_size, agent.generator))
            counters.updates += updates
            if updates:
                logs.append({name: float(value) for name, value in log.items()})
        if judging:
            means = {name: round(float(np.mean([log[name] for log in logs])), 5) for name in (logs or [{}])[-1]}
            success = judge(agent.actor, starts(context.seed, config["episodes"]))
            curve.append({"step": counters.step, "success": success, **means})
            logs = []
            write_atomically(curve_file, json.dumps(curve).encode())
            save_training(state, agent, replay, None, counters, identity)
            context.progress(counters.step, config["steps"], f"success {success:.2f}")
    return {"steps": counters.step, "updates": counters.updates, "curve": curve}


def begin(config: Mapping[str, Any], seed: int, folder: Path) -> tuple[DrQv2, HindsightReplay]:
    """Agent and replay as they are before the first step."""
    settings = read_settings(AgentConfig, config["agent"], "agent")
    pictures: PictureConfig = read_settings(
        PictureConfig, {"size": arm.SIZE, "stack": 1, **config["pictures"]}, "pictures"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        camera = Pictures("above", pictures.size, 1)
        actor = GoalActor(camera, arm.ACTIONS, settings.hidden, pictures.feature, pictures.strides)
    # Nothing is demonstrated: one blank pair, whose loss has weight 0.
    blank = np.zeros((1, 6, arm.SIZE, arm.SIZE), np.uint8)
    shown = Seen(np.zeros((1, 0), np.float32), blank, np.zeros((1, arm.ACTIONS), np.float32))
    agent = DrQv2(actor, shown, settings, pictures, seed)
    episodes = config["steps"] + 2
    store = FrameStore(folder / "frames.u8", episodes, arm.HORIZON + 2, arm.SIZE)
    return agent, HindsightReplay(store, (4, arm.ACTIONS), settings.gamma, arm.reached)


def episode(agent: DrQv2, replay: HindsightReplay, config: Mapping[str, Any], seed: int, counters: Counters) -> int:
    """Run a training episode, which ends at the goal, into the replay; gives its steps."""
    number = counters.episode
    arms = arm.Arms([training_seed(seed, number)])
    noise = config["seed_noise"] if number < config["seed_episodes"] else agent.config.noise
    rng = np.random.default_rng([seed, number])
    states, actions, frames = [arms.places()[0]], list[NDArray[np.float32]](), [arm.pictures(arms.places())[0]]
    while len(actions) < arm.HORIZON and not arm.reached(states[-1], arms.goals[0]):
        mean = act(agent.actor, frames[-1][None], arms.goal_pictures)[0]
        actions.append((mean + noise * rng.standard_normal(arm.ACTIONS)).clip(-1.0, 1.0).astype(np.float32))
        arms.step(actions[-1][None])
        states.append(arms.places()[0])
        frames.append(arm.pictures(states[-1][None])[0])
    if actions:  # else it began at its goal
        replay.add_episode(
            np.stack(states), np.stack(actions), arms.goals[0], np.stack([*frames, arms.goal_pictures[0]])
        )
    counters.episode += 1
    counters.step += len(actions)
    return len(actions)


@torch.inference_mode()
def act(actor: PixelActor, frames: NDArray[np.uint8], goals: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean actions (B, 2) for frames and goal pictures uint8 (B, 3, S, S)."""
    action: NDArray[np.float32] = actor(
        torch.zeros(len(frames), 0), torch.from_numpy(np.concatenate([frames, goals], 1))
    ).numpy()
    return action


def judge(actor: PixelActor, seeds: range) -> float:
    """Share of episodes without noise that reach their goal in time."""
    arms = arm.Arms(seeds)
    done = arm.reached(arms.places(), arms.goals)
    for _ in range(arm.HORIZON):
        arms.step(act(actor, arm.pictures(arms.places()), arms.goal_pictures))
        done |= arm.reached(arms.places(), arms.goals)
    return float(done.mean())
