"""The recorder as a process of its own, and a toy simulator that publishes as fast as it is told to."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from sensor_msgs.msg import CameraInfo, Image, JointState
from toy_episodes import PERIOD, START, TOY, TYPES, observation_messages, stamp, toy_action

from polytask_interfaces.action import RecordEpisodes
from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_interfaces.srv import ResetEpisode
from polytask_robot_io import qos
from polytask_robot_io.commands import command_message

Condition = Callable[[], Any]
ALL = tuple(TYPES)
KINDS = {
    "/state": (StateVector, qos.STATE),
    "/episode": (EpisodeStatus, qos.EPISODE),
    "/joint_states": (JointState, qos.JOINT_STATES),
    "/camera/image_raw": (Image, qos.CAMERA),
    "/camera/camera_info": (CameraInfo, qos.CAMERA),
    "/command": (Command, qos.COMMAND),
}


def wait_for(condition: Condition, timeout: float = 120.0) -> Any:
    """What ``condition`` gives as soon as it is true; fails after ``timeout`` s."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.002)
    pytest.fail(f"nothing within {timeout} s")


class ToyRobot:
    """A node that publishes toy episodes, speaks to the recorder, and serves resets."""

    def __init__(self, without: Sequence[str] = ()) -> None:
        """``without``: topics that it does not publish."""
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("toy", context=self.context)
        self._publishers: dict[str, Any] = {}
        for topic in TYPES:
            if topic not in without:
                self.advertise(topic)
        self.spoil: Callable[[str, Any], None] = lambda topic, message: None
        """Called with each message before it is sent."""
        self.noise: dict[int, Sequence[bytes]] = {}
        """Bytes that are sent on every topic beside the messages, by step."""
        self.after_step: Callable[[int], None] = lambda step: None
        """Called after each step that was published."""
        self.actions = ActionClient(self.node, RecordEpisodes, "record_episodes")
        self._parameters = AsyncParameterClient(self.node, "demo_recorder")
        self.feedback: list[Any] = []
        self.published = 0
        self._ns = START
        self._count = 0
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def advertise(self, topic: str) -> None:
        """Begin to publish a topic."""
        kind, profile = KINDS[topic]
        self._publishers[topic] = self.node.create_publisher(kind, topic[1:], profile)

    def _send(self, topic: str, message: Any) -> None:
        self.spoil(topic, message)
        if topic in self._publishers:
            self._publishers[topic].publish(message)

    def _spin(self) -> None:
        with contextlib.suppress(Exception):  # shut down while it waits
            self._executor.spin()

    def close(self) -> None:
        self._executor.shutdown()
        rclpy.try_shutdown(context=self.context)
        self._thread.join(5)

    def record_into(self, dataset: Path) -> None:
        """Tell the recorder where to write."""
        self.known(self._parameters)
        answer = self.call(self._parameters.set_parameters, [Parameter("dataset", value=str(dataset))])
        assert wait_for(lambda: answer.done() and answer.result()).results[0].successful

    def heard(self, topics: Sequence[str] = ALL, by: int = 1) -> None:
        """Wait until so many subscriptions hear each of the topics."""
        wait_for(lambda: all(self._publishers[topic].get_subscription_count() >= by for topic in topics))

    def publish(
        self, steps: int, stop: threading.Event | None = None, pause: float = 0.0, cameras: bool = True
    ) -> list[int]:
        """Publish an episode, or what comes of it until ``stop``; stamps of its observations."""
        self._count += 1
        stamps = []
        for step in range(steps + 1):
            if stop is not None and stop.is_set():
                break
            self._ns += PERIOD
            for topic, message in observation_messages(step, self._ns, steps, cameras):
                if topic == "/episode":
                    message.episode_id = f"toy/push/{self._count}"
                    message.seed = self._count
                self._send(topic, message)
                for noise in self.noise.get(step, ()):
                    self._publishers[topic].publish(noise)
            if step < steps:
                command = command_message(toy_action(step), stamp(self._ns), stamp(self._ns))
                self._send("/command", command)
                for noise in self.noise.get(step, ()):
                    self._publishers["/command"].publish(noise)
            stamps.append(self._ns)
            self.published = self._ns
            self.after_step(step)
            if pause:
                time.sleep(pause)
        return stamps

    def serve_resets(self, steps: int, first: Callable[[], None] = lambda: None) -> list[int]:
        """Answer reset_episode and play an episode after each; gives the seeds asked for, as they come.

        ``first`` is called before each.
        """
        seeds: list[int] = []

        def reset(request: Any, response: Any) -> Any:
            seeds.append(request.seed)
            first()
            response.ok = request.task == "push"
            response.message = "" if response.ok else f"no task '{request.task}'"
            if response.ok:
                response.status.episode_id = f"toy/push/{self._count + 1}"
                threading.Thread(target=self.publish, args=(steps,), daemon=True).start()
            return response

        self.node.create_service(ResetEpisode, "reset_episode", reset)
        return seeds

    def ask(self, **goal: Any) -> Any:
        """Send a goal; its handle once accepted."""
        entries = {"task": "push", "episodes": 1, "timeout": 20.0} | goal
        assert self.actions.wait_for_server(15)
        self.known(self._parameters)
        self.feedback.clear()
        sent = self.call(
            self.actions.send_goal_async, RecordEpisodes.Goal(**entries), lambda new: self.feedback.append(new.feedback)
        )
        handle = wait_for(lambda: sent.done() and sent.result())
        assert handle.accepted
        return handle

    def known(self, newest: AsyncParameterClient) -> None:
        """Wait until the recorder has discovered this node's clients; what it answers before that is lost.

        It discovers them in the order in which they were made, so ``newest`` is to be the one that was made last.
        """
        wait_for(newest.services_are_ready)

        def answered() -> bool:
            answer = self.call(newest.get_parameters, ["dataset"])
            end = time.monotonic() + 1.0
            while not answer.done() and time.monotonic() < end:
                time.sleep(0.002)
            return bool(answer.done())

        wait_for(answered)

    def result(self, handle: Any, timeout: float = 20.0) -> Any:
        """Result of a goal."""
        answer = self.call(handle.get_result_async)
        return wait_for(lambda: answer.done() and answer.result().result, timeout)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """In the thread that spins: an answer that came before rclpy has noted the request would be lost."""
        task = self._executor.create_task(function, *arguments)
        return wait_for(lambda: task.done() and task.result())


class Recorder:
    """The executable, with its output in a file."""

    def __init__(self, folder: Path, dataset: Path, remap: Mapping[str, str] | None = None, **parameters: Any) -> None:
        embodiment = folder / "toy.yaml"
        embodiment.write_text(TOY, encoding="utf-8")
        self._log = folder / "recorder.log"
        settings = {"embodiment": embodiment, "dataset": dataset} | parameters
        arguments = [entry for key, value in settings.items() for entry in ("-p", f"{key}:={value}")]
        arguments += [entry for key, value in (remap or {}).items() for entry in ("-r", f"{key}:={value}")]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "polytask_demo_recorder.recording.recorder_node", "--ros-args", *arguments],
                stdout=log,
                stderr=log,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def says(self, text: str) -> None:
        """Wait until the log holds a text."""
        wait_for(lambda: text in self.output)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


@contextlib.contextmanager
def started(
    folder: Path, dataset: Path, remap: Mapping[str, str] | None = None, **parameters: Any
) -> Iterator[Recorder]:
    """A recorder that is ended with the block."""
    recorder = Recorder(folder, dataset, remap, **parameters)
    try:
        yield recorder
    finally:
        recorder.close()
        print(recorder.output)  # shown when the test fails
