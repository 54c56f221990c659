"""A toy robot with a camera, and recordings of it made without any node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, JointState

from polytask_demo_recorder.dataset.episode_info import SUCCESS, EpisodeInfo
from polytask_demo_recorder.recording.episode_file import EpisodeFile
from polytask_interfaces.msg import EpisodeStatus, StateVector
from polytask_robot_io.commands import command_message
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.images import to_message

TOY = """
name: toy
description: two joints and a camera
rate: 20.0
max_age: 0.25
state:
  - {name: one, topic: state, unit: m, frame: base}
  - {name: two, topic: state, unit: m, frame: base}
cameras:
  - {name: camera, topic: camera/image_raw, info_topic: camera/camera_info, frame: camera, encoding: rgb8,
     width: 8, height: 6}
command:
  topic: command
  frame: base
  values:
    - {name: dx, unit: m, frame: base, scale: 0.02, minimum: -1.0, maximum: 1.0}
    - {name: gripper, unit: "1", frame: none, scale: 1.0, minimum: -1.0, maximum: 1.0}
"""

TYPES = {
    "/state": "polytask_interfaces/msg/StateVector",
    "/command": "polytask_interfaces/msg/Command",
    "/episode": "polytask_interfaces/msg/EpisodeStatus",
    "/joint_states": "sensor_msgs/msg/JointState",
    "/camera/image_raw": "sensor_msgs/msg/Image",
    "/camera/camera_info": "sensor_msgs/msg/CameraInfo",
}
PERIOD = 50_000_000
START = 1_000_000_000


def stamp(ns: int) -> Time:
    return Time(sec=ns // 10**9, nanosec=ns % 10**9)


def toy(text: str = TOY) -> Embodiment:
    return Embodiment.from_yaml(text)


def info(embodiment: Embodiment | None = None, **changes: Any) -> EpisodeInfo:
    entries: dict[str, Any] = {
        "task": "push",
        "embodiment": embodiment or toy(),
        "topics": {topic[1:]: topic for topic in TYPES},
        "instructions": ("Push it.", "Schieb „es“."),
        "suite": "toy",
        "episode_id": "toy/push/7-0001",
        "seed": 7,
        "recorded_at": "2026-01-01T00:00:00+00:00",
    }
    return EpisodeInfo(**(entries | changes))


def toy_state(step: int) -> np.ndarray:
    return np.array([0.01 * step, np.sqrt(step + 1)], dtype=np.float32)


def toy_action(step: int) -> np.ndarray:
    return np.array([np.sin(step), 1.0 if step % 2 else -1.0], dtype=np.float32)


def toy_picture(step: int) -> np.ndarray:
    return np.full((6, 8, 3), (step * 7) % 256, dtype=np.uint8) + np.arange(3, dtype=np.uint8)


def observation_messages(step: int, ns: int, last: int, cameras: bool = True) -> list[tuple[str, Any]]:
    """What a simulator publishes at one step of an episode that ends with step ``last``."""
    state = StateVector(names=["one", "two"], values=toy_state(step).astype(float).tolist())
    status = EpisodeStatus(
        episode_id="toy/push/7-0001",
        suite="toy",
        task="push",
        seed=7,
        step=step,
        ended=step == last,
        success=step == last,
        termination_reason=EpisodeStatus.SUCCEEDED if step == last else EpisodeStatus.RUNNING,
    )
    joints = JointState(name=["j1"], position=[0.1 * step], velocity=[0.0], effort=[0.0])
    messages: list[tuple[str, Any]] = [("/state", state), ("/episode", status), ("/joint_states", joints)]
    if cameras:
        messages.append(("/camera/image_raw", to_message(toy_picture(step))))
        messages.append(("/camera/camera_info", CameraInfo(width=8, height=6)))
    for _, message in messages:
        message.header.stamp = stamp(ns)
    return messages


def episode_messages(steps: int, cameras: bool = True) -> list[tuple[str, int, Any]]:
    """(topic, header stamp in ns, message) of an episode in lock-step."""
    found = []
    for step in range(steps + 1):
        ns = START + step * PERIOD
        found += [(topic, ns, message) for topic, message in observation_messages(step, ns, steps, cameras)]
        if step < steps:
            command = command_message(toy_action(step), stamp(ns + 1_000_000), stamp(ns))
            found.append(("/command", ns + 1_000_000, command))
    return found


def write_episode(
    folder: Path,
    steps: int = 10,
    *,
    outcome: str = SUCCESS,
    messages: list[tuple[str, int, Any]] | None = None,
    embodiment: Embodiment | None = None,
    **changes: Any,
) -> Path:
    described = info(embodiment, **changes)
    file = EpisodeFile(folder, described, TYPES)
    for topic, ns, message in episode_messages(steps) if messages is None else messages:
        file.write(topic, ns, ns, serialize_message(message))
    return file.finish(described.with_end(outcome, "done", {}))


def record_episode(writer: Any, folder: Path, steps: int = 10) -> None:
    """Have an EpisodeWriter write an episode."""
    writer.open(folder, info(), TYPES)
    for topic, ns, message in episode_messages(steps):
        writer.write(topic, ns, ns, serialize_message(message))
    writer.close(info())
