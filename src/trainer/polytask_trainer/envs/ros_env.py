"""A suite on the robot's topics as a Gymnasium environment: what the trainer uses to learn through ROS.

Same observations, actions and attributes as the suite's own environment in process, and for the same seed and actions
the same episode, bit by bit: states are float32 that travel as float64.
"""

from __future__ import annotations

import array
import time
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_interfaces.srv import ResetEpisode, StepEpisode
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.images import to_array
from polytask_robot_io.stamps import to_ns
from polytask_trainer.envs.bridge_client import BridgeClient, BridgeError

Observation = dict[str, NDArray[Any]]

PICTURE_TIMEOUT = 5.0
"""s to wait for a picture from the camera's topic; an idle simulator publishes again every half second."""


class TopicEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """Steps a simulator that runs in stepping mode ``service`` (with ``end_on_success:=false``, as in process).

    Never terminates; truncated at the task's horizon; ``info`` has ``success`` and ``message``. A simulator that is
    gone, stuck or refuses raises BridgeError within ``timeout``; it never hangs.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self, suite: str, task: str, *, cameras: bool = False, namespace: str = "", timeout: float = 20.0
    ) -> None:
        """Find the simulator.

        Args:
            suite: must be the one it simulates.
            task: of the episodes.
            cameras: whether observations hold the picture ``camera`` uint8 (H, W, 3).
            namespace: of the simulator.
            timeout: s to wait for it to come up, and for each answer.

        Raises:
            BridgeError: no simulator, or one of another suite.
            SuiteError: no such task.

        """
        from polytask_suites import load_suite

        self.suite, self.task, self.cameras = suite, task, cameras
        self.tasks: Mapping[str, Any] = load_suite(suite).tasks
        load_suite(suite).task(task)
        self._bridge = BridgeClient(namespace, timeout)
        try:
            listed = self._bridge.list_tasks()
            if listed.suite != suite:
                raise BridgeError(f"the simulator runs suite '{listed.suite}', not '{suite}': start it with the other")
            self._embodiment = Embodiment.load(listed.embodiment)
        except Exception:
            self._bridge.close()
            raise
        self._horizons = {info.name: int(info.horizon) for info in listed.tasks}
        self.state_names = self._embodiment.state_names
        self.control_rate = self._embodiment.rate
        self.action_space = spaces.Box(-1.0, 1.0, (len(self._embodiment.command),), np.float32)
        parts: dict[str, spaces.Space[Any]] = {
            "state": spaces.Box(-np.inf, np.inf, (len(self.state_names),), np.float32)
        }
        if cameras:
            camera = self._embodiment.cameras[0]
            parts["camera"] = spaces.Box(0, 255, (camera.height, camera.width, 3), np.uint8)
        self.observation_space = spaces.Dict(parts)  # type: ignore[assignment]
        self._stamp: Any = None
        self._steps = 0
        self._ended_early = False
        self._render_step = -1
        self._picture: NDArray[np.uint8] | None = None

    @property
    def horizon(self) -> int:
        """Control steps after which an episode of the current task is truncated."""
        return self._horizons[self.task]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; ``options={"task": name}`` changes the task. Raises BridgeError."""
        super().reset(seed=seed)
        task = str((options or {}).get("task") or self.task)
        request = ResetEpisode.Request(task=task, seed=-1 if seed is None else int(seed), want_image=self.cameras)
        response = self._bridge.reset(request)
        self.task, self._steps, self._ended_early = task, 0, False
        return self._observation(response), {
            "success": bool(response.status.success),
            "message": response.status.message,
        }

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance one control step. Raises ValueError for a wrong or non-finite action, and BridgeError."""
        if self._stamp is None:
            raise BridgeError("call reset before step")
        values = np.asarray(action, dtype=np.float64)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            raise ValueError(f"an action is {self.action_space.shape} finite numbers in [-1, 1], got {action!r}")
        self._steps += 1
        command = Command(values=array.array("d", values.tobytes()), observation_stamp=self._stamp)
        # A learner draws the last frame of each episode, always after the same step: have it sent along.
        want_image = self.cameras or self._steps == self._render_step
        if self._ended_early:
            raise BridgeError(
                "the simulator ends its episodes at success, the suite goes on: start it with end_on_success:=false"
            )
        response = self._bridge.step(StepEpisode.Request(command=command, want_image=want_image))
        status = response.status
        self._ended_early = bool(status.ended and status.success and status.step < self.horizon)
        fault = status.termination_reason == EpisodeStatus.FAULT
        if fault and status.step < self._steps:  # the step failed; one that left the simulation unstable is counted
            raise BridgeError(f"the simulator cannot go on with episode {status.episode_id}: {status.message}")
        over = status.termination_reason == EpisodeStatus.TIME_LIMIT or status.step >= self.horizon
        truncated = bool(fault or (status.ended and over))
        info = {"success": bool(status.success), "message": status.message}
        return self._observation(response), float(status.reward), False, truncated, info

    def render(self) -> NDArray[np.uint8]:
        """Return the picture uint8 (H, W, 3) of the last observation. Raises BridgeError when none comes."""
        if self._stamp is None:
            raise BridgeError("call reset before render")
        if self._picture is None:
            self._picture = self._picture_from_topic()
        self._render_step = self._steps
        return self._picture

    def close(self) -> None:
        """Leave the graph; the simulator goes on."""
        self._bridge.close()

    def _observation(self, response: Any) -> Observation:
        names, values = response.state.names, response.state.values
        if len(values) != len(self.state_names) or (self._steps == 0 and tuple(names) != self.state_names):
            raise BridgeError(f"the simulator's state does not fit embodiment '{self._embodiment.name}'")
        self._stamp = response.state.header.stamp
        self._picture = to_array(response.images[0]) if response.images else None
        state = np.array(values, dtype=np.float64).astype(np.float32)
        if self.cameras:
            if self._picture is None:
                raise BridgeError("the simulator sent no picture; start it with render:=auto")
            return {"state": state, "camera": self._picture}
        return {"state": state}

    def _picture_from_topic(self) -> NDArray[np.uint8]:
        """Listen to the camera until it shows the last observation."""
        from sensor_msgs.msg import Image

        from polytask_robot_io import qos

        wanted = to_ns(self._stamp)
        topic = self._embodiment.cameras[0].topic
        found: list[Any] = []
        heard = self._bridge.node.create_subscription(
            Image, topic, lambda m: found.append(m) if to_ns(m.header.stamp) == wanted else None, qos.CAMERA
        )
        try:
            end = time.monotonic() + PICTURE_TIMEOUT
            while not found and time.monotonic() < end:
                self._bridge.spin(0.1)
        finally:
            self._bridge.node.destroy_subscription(heard)
        if not found:
            raise BridgeError(f"no picture of the last observation on {topic} within {PICTURE_TIMEOUT:g} s")
        try:
            return to_array(found[0])
        except BadMessage as error:
            raise BridgeError(f"{topic}: {error}") from error
