"""A client of the recorder and the simulation: record one episode from a given start."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.signals import SignalHandlerOptions

from polytask_demo_recorder.errors import DatasetError
from polytask_demo_recorder.recording.surroundings import HEARING
from polytask_demo_recorder.recording.tally import COULD_NOT_BE_USED
from polytask_interfaces.action import RecordEpisodes
from polytask_interfaces.srv import ResetEpisode
from polytask_robot_io.executors import make_executor
from polytask_robot_io.outcomes import Outcome

PATIENCE = 10.0
"""s for an answer."""
EPISODE_PATIENCE = 60.0
"""s of wall time for one episode."""


class RecordError(RuntimeError):
    """The nodes do not do as asked; says which and why."""


class RecordClient:
    """Records one episode after the other. A context manager that begins and ends rclpy."""

    def __init__(self) -> None:
        """Make the node; :meth:`wait` until the others are there."""
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("demo_client", start_parameter_services=False)
        self._executor = make_executor()
        self._executor.add_node(self._node)
        self._action = ActionClient(self._node, RecordEpisodes, "record_episodes")
        self._reset = self._node.create_client(ResetEpisode, "reset_episode")
        self._parameters = self._node.create_client(SetParameters, "demo_recorder/set_parameters")
        self._discarded, self._answered = 0, False
        self._dataset: Path | None = None

    def __enter__(self) -> RecordClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()
        rclpy.try_shutdown()

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until simulation, expert and recorder are there. Raises RecordError."""
        until = time.monotonic() + seconds
        wanted = [
            (self._reset.service_is_ready, "sim_bridge"),
            (self._action.server_is_ready, "demo_recorder"),
            (self._parameters.service_is_ready, "demo_recorder's parameters"),
            (lambda: self._node.count_publishers("command") > 0, "scripted_expert"),
        ]
        while missing := [name for ready, name in wanted if not ready()]:
            if time.monotonic() > until:
                raise RecordError(f"after {seconds:.0f} s there is no {' and no '.join(missing)}; see their logs")
            self._executor.spin_once(timeout_sec=0.05)

    def set_dataset(self, folder: Path) -> None:
        """Have episodes recorded below ``folder`` from now on."""
        if folder == self._dataset:
            return
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(folder))
        request = SetParameters.Request(parameters=[Parameter(name="dataset", value=value)])
        [result] = self._wait_for(self._parameters.call_async(request), PATIENCE, "demo_recorder").results
        if not result.successful:
            raise RecordError(f"demo_recorder does not record into {folder}: {result.reason}")
        self._dataset = folder

    def record(self, task: str, seed: int) -> Path | None:
        """Record the episode of ``task`` that starts from ``seed``; None when it did not end in success.

        Raises DatasetError when the recorder found that what it had recorded could not be used, else RecordError.
        """
        self._discarded, self._answered = 0, False
        goal = RecordEpisodes.Goal(task=task, episodes=1, timeout=EPISODE_PATIENCE)
        handle = self._wait_for(self._action.send_goal_async(goal, self._hear), PATIENCE, "record_episodes")
        result = handle.get_result_async()
        # Feedback comes once the recorder hears the topics.
        until = time.monotonic() + HEARING + PATIENCE
        while not (self._answered or result.done()) and time.monotonic() < until:
            self._executor.spin_once(timeout_sec=0.05)
        start = self._wait_for(
            self._reset.call_async(ResetEpisode.Request(task=task, seed=seed)), PATIENCE, "reset_episode"
        )
        if not start.ok:
            raise RecordError(f"reset_episode refused {task} with seed {seed}: {start.message}")
        until = time.monotonic() + EPISODE_PATIENCE
        while not result.done():
            if self._discarded or time.monotonic() > until:
                self._wait_for(handle.cancel_goal_async(), PATIENCE, "record_episodes")
                answer = self._wait_for(result, PATIENCE, "the result of record_episodes").result
                if COULD_NOT_BE_USED in answer.message:
                    raise DatasetError(answer.message)
                return None
            self._executor.spin_once(timeout_sec=0.05)
        answer = result.result().result
        if answer.outcome != Outcome.SUCCEEDED or not answer.files:
            raise RecordError(f"{task} from seed {seed} was not recorded: {answer.message}")
        return Path(answer.files[0])

    def _hear(self, message: Any) -> None:
        self._discarded, self._answered = int(message.feedback.discarded), True

    def _wait_for(self, future: Any, seconds: float, what: str) -> Any:
        self._executor.spin_until_future_complete(future, timeout_sec=seconds)
        if not future.done():
            raise RecordError(f"no answer from {what} within {seconds:.0f} s")
        return future.result()
