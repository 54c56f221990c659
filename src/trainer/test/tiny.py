"""A demonstration on disk and settings so small that learning from it takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from rclpy.serialization import serialize_message

from polytask_demo_recorder.dataset.episode_info import SUCCESS, EpisodeInfo
from polytask_demo_recorder.recording.episode_file import EpisodeFile
from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.stamps import from_ns
from polytask_suites import load_suite, make_env, scripted_expert

SETTINGS = {
    "steps": 400,
    "horizon_factor": 1.0,
    "seed_episodes": 2,
    "critic_updates": 20,
    "updates_per_step": 1.0,
    "goal_pictures": 2,
    "goal_rollouts": 2,
    "checkpoint_seconds": 0.0,
    "agent": {"hidden": [16, 16], "batch_size": 16},
    "cloning": {"steps": 50},
}


def write_settings(folder: Path, **changes: object) -> Path:
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, **changes}))
    return path


def write_demonstration(folder: Path, task: str) -> Path:
    """Record one scripted episode, without nodes."""
    embodiment = Embodiment.load(Path(__file__).parents[3] / "config" / "embodiments" / "xarm7_tabletop.yaml")
    types = {"state": "StateVector", "command": "Command", "episode": "EpisodeStatus"}
    info = EpisodeInfo(
        task=task,
        embodiment=embodiment,
        topics={name: name for name in types},
        instructions=load_suite("tabletop").tasks[task].instructions,
        suite="tabletop",
        seed=0,
    )
    file = EpisodeFile(folder / task, info, {name: f"polytask_interfaces/msg/{kind}" for name, kind in types.items()})
    env, expert = make_env("tabletop", task), scripted_expert("tabletop", task)
    observation, done = env.reset(seed=0)[0], {"success": False}
    expert.reset()
    stamp, step = 10**9, 0

    def write(topic: str, message: object) -> None:
        file.write(topic, stamp, stamp, serialize_message(message))

    def show() -> None:
        state = StateVector(names=list(embodiment.state_names), values=observation["state"].astype(np.float64).tolist())
        status = EpisodeStatus(episode_id="e", suite="tabletop", task=task, step=step, success=done["success"])
        status.ended = done["success"]
        status.termination_reason = int(done["success"])
        state.header.stamp = status.header.stamp = from_ns(stamp)
        write("state", state)
        write("episode", status)

    show()
    while not done["success"]:
        action = expert(observation["state"])
        command = Command(values=action.astype(np.float64).tolist(), observation_stamp=from_ns(stamp))
        command.header.stamp = from_ns(stamp)
        write("command", command)
        observation, _, _, _, done = env.step(action)
        stamp, step = stamp + embodiment.period_ns, step + 1
        show()
    env.close()
    file.finish(info.with_end(SUCCESS, "done", {}))
    return folder / task
