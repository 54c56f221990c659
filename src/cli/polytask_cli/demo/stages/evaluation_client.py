"""A client of the policy server and the simulation: start an episode, ask for a task, hear how it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from polytask_cli.execute_task_client import AskError, goal_message
from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_interfaces.srv import ResetEpisode
from polytask_robot_io import qos
from polytask_robot_io.executors import make_executor
from polytask_robot_io.outcomes import Outcome
from polytask_robot_io.stamps import to_ns

SERVICE_PATIENCE = 10.0
GOAL_PATIENCE = 60.0
"""s of wall time for one goal; the episode's horizon ends it long before."""
LAST_STATES = 8
QUEUE = 1000
ENDS = (Outcome.SUCCEEDED, Outcome.TIMED_OUT)
"""Outcomes with which the simulator's episode ends, too; after others it rests where it is."""


@dataclass(frozen=True)
class HeardCommand:
    """Times of one command, ns: its own stamp, that of the observation it answers, and its arrival here."""

    stamp: int
    observation: int
    arrived: int


@dataclass
class Answer:
    """How one goal went.

    Attributes:
        success: the action's result and the simulator's status both say so.
        outcome: name of the action's outcome code.
        message: the action's message.
        understood: task the server understood; empty when refused.
        similarity: of the goal to it.
        steps: control steps of the episode.
        asked_ns: system time at which the goal was sent.
        seconds: wall time from sending the goal to its result.
        first_state: float32 (n,), that of the reset.
        last_states: float32 (up to LAST_STATES, n), the newest last.
        actions: float64 (T, k), the commands that answered an observation of this episode, in order.
        commands: the times of each of them.

    """

    success: bool
    outcome: str
    message: str
    understood: str
    similarity: float
    steps: int
    asked_ns: int
    seconds: float
    first_state: NDArray[np.float32]
    last_states: NDArray[np.float32]
    actions: NDArray[np.float64]
    commands: list[HeardCommand]


class EvaluationClient:
    """Asks one goal after the other. A context manager that begins and ends rclpy."""

    def __init__(self, name: str = "demo_client") -> None:
        """Make the node with its clients; :meth:`wait` until the others are there."""
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(name, start_parameter_services=False)
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._action = ActionClient(self.node, ExecuteTask, "execute_task")
        self._reset = self.node.create_client(ResetEpisode, "reset_episode")
        # Kept as bytes: only a few of them are ever looked at, and decoding costs more than receiving.
        self._commands: list[tuple[int, bytes]] = []
        self._states: list[bytes] = []
        self._status = b""
        self.node.create_subscription(Command, "command", self._hear_command, _deep(qos.COMMAND), raw=True)
        self.node.create_subscription(StateVector, "state", self._states.append, _deep(qos.STATE), raw=True)
        self.node.create_subscription(EpisodeStatus, "episode", self._hear_status, _deep(qos.EPISODE), raw=True)

    def __enter__(self) -> EvaluationClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until simulation and server answer. Raises AskError."""
        until = time.monotonic() + seconds
        # A first message shows that a subscription works; an episode may be over before one that is new does.
        wanted: list[tuple[Callable[[], Any], str]] = [
            (self._reset.service_is_ready, "nobody offers reset_episode (sim_bridge)"),
            (lambda: self._status, "no message on episode (sim_bridge)"),
            (lambda: self._states, "no message on state (sim_bridge)"),
            (self._action.server_is_ready, "nobody offers execute_task (policy_server)"),
            (lambda: self.node.count_publishers("command"), "nobody publishes command (policy_server)"),
        ]
        while missing := [what for ready, what in wanted if not ready()]:
            if time.monotonic() > until:
                raise AskError(f"after {seconds:.0f} s: {'; '.join(missing)}; see the logs of the nodes")
            self._executor.spin_once(timeout_sec=0.05)

    def reset(self, task: str, seed: int) -> ResetEpisode.Response:
        """Start an episode. Raises AskError when it is refused."""
        answer = self._wait_for(
            self._reset.call_async(ResetEpisode.Request(task=task, seed=seed)), SERVICE_PATIENCE, "reset_episode"
        )
        if not answer.ok:
            raise AskError(f"reset_episode refused {task} with seed {seed}: {answer.message}")
        return answer

    def ask(self, task: str, seed: int, kind: str, goal: str | NDArray[np.uint8]) -> Answer:
        """Start an episode judged by ``task`` from ``seed`` and ask for ``goal``; wait for its end.

        ``kind`` is "words" (a sentence), "image" (uint8 (H, W, 3)) or "name" (a task).
        """
        self._commands.clear()
        self._states.clear()
        start = self.reset(task, seed)
        episode = start.status.episode_id
        asked_ns, began = time.time_ns(), time.monotonic()
        handle = self._wait_for(self._action.send_goal_async(_goal(kind, goal)), SERVICE_PATIENCE, "execute_task")
        if not handle.accepted:
            raise AskError("execute_task rejected a goal without a reason")
        result = self._wait_for(handle.get_result_async(), GOAL_PATIENCE, "the result of execute_task").result
        seconds = time.monotonic() - began
        outcome = Outcome(result.outcome)
        status = self._last_status(episode, ended=outcome in ENDS)
        self._catch_up(status)
        states = self._decoded_states(start.state)
        heard = self._decoded_commands(start.state.header.stamp)
        return Answer(
            success=outcome == Outcome.SUCCEEDED and status.success,
            outcome=outcome.name,
            message=result.message,
            understood=result.matched_task,
            similarity=float(result.similarity),
            steps=int(status.step),
            asked_ns=asked_ns,
            seconds=seconds,
            first_state=_values(start.state),
            last_states=states[-LAST_STATES:],
            actions=np.array([command.values for command, _ in heard], dtype=np.float64),
            commands=[
                HeardCommand(to_ns(command.header.stamp), to_ns(command.observation_stamp), arrived)
                for command, arrived in heard
            ],
        )

    def spin(self, seconds: float) -> None:
        """Let callbacks run for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _hear_command(self, data: bytes) -> None:
        self._commands.append((time.time_ns(), data))

    def _hear_status(self, data: bytes) -> None:
        self._status = data

    def _last_status(self, episode: str, ended: bool, patience: float = 1.0) -> EpisodeStatus:
        """The newest status of this episode; with ``ended`` that of its end, which may arrive after the result."""
        until = time.monotonic() + patience
        while True:
            status = deserialize_message(self._status, EpisodeStatus)
            known = status.episode_id == episode
            if known and (status.ended or not ended):
                return status
            if time.monotonic() > until:
                break
            self._executor.spin_once(timeout_sec=0.02)
        if not known:
            raise AskError(f"no status of episode {episode} was heard")
        return status

    def _catch_up(self, status: EpisodeStatus, patience: float = 1.0) -> None:
        """Wait for the state that the last status is about: topics are not delivered in step with each other."""
        until, last = time.monotonic() + patience, to_ns(status.header.stamp)
        while time.monotonic() < until:
            if self._states and to_ns(deserialize_message(self._states[-1], StateVector).header.stamp) >= last:
                return
            self._executor.spin_once(timeout_sec=0.02)

    def _decoded_states(self, first: StateVector) -> NDArray[np.float32]:
        start = to_ns(first.header.stamp)
        messages = [deserialize_message(data, StateVector) for data in self._states]
        kept = [_values(message) for message in messages if to_ns(message.header.stamp) >= start]
        return np.stack(kept or [_values(first)])

    def _decoded_commands(self, start: Any) -> list[tuple[Command, int]]:
        since = to_ns(start)
        messages = [(deserialize_message(data, Command), arrived) for arrived, data in self._commands]
        return [(command, arrived) for command, arrived in messages if to_ns(command.observation_stamp) >= since]

    def _wait_for(self, future: Any, seconds: float, what: str) -> Any:
        self._executor.spin_until_future_complete(future, timeout_sec=seconds)
        if not future.done():
            raise AskError(f"no answer from {what} within {seconds:.0f} s")
        return future.result()


def _deep(profile: QoSProfile) -> QoSProfile:
    """The profile with a queue for a whole episode: whoever keeps a record must not lose any of it when held up."""
    return QoSProfile(
        history=profile.history, depth=QUEUE, reliability=profile.reliability, durability=profile.durability
    )


def _goal(kind: str, goal: str | NDArray[np.uint8]) -> ExecuteTask.Goal:
    if kind == "words":
        return goal_message(words=str(goal))
    if kind == "name":
        return goal_message(task=str(goal))
    if kind == "image":
        return goal_message(image=np.asarray(goal, dtype=np.uint8))
    raise ValueError(f"a goal is words, image or name, not {kind!r}")


def _values(message: StateVector) -> NDArray[np.float32]:
    return np.asarray(message.values, dtype=np.float32)
