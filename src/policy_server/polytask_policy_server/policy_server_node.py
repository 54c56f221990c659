"""The action server: does a task when asked in words, by a picture of the result, or by name."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.action import ActionServer, CancelResponse
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_policy.goals import Goal, UnknownGoal
from polytask_policy.unified import UnifiedPolicy
from polytask_policy.view import View
from polytask_policy_server.control import ControlLoop
from polytask_policy_server.goals import BadGoal, read_request
from polytask_policy_server.run import BUSY, CANCELLED, INTERNAL_ERROR, PREEMPTED, SUCCEEDED, UNKNOWN_GOAL, End, Run
from polytask_policy_server.served import ServedPolicy
from polytask_policy_server.understanding import Understanding
from polytask_robot_io import params, qos
from polytask_robot_io.commands import command_message
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.executors import run_node
from polytask_robot_io.observation import ObservationAssembler
from polytask_robot_io.stamps import from_ns
from polytask_robot_io.subscriptions import subscribe_observations

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle

CLOSING_TIME = 0.2
"""s to deliver the results of goals that the server's end breaks off."""


class PolicyServer(Node):
    """Serves one unified policy as the action ``execute_task``.

    A goal that cannot be met is accepted and then aborted, never rejected: a ROS 2 rejection is a bare "no", and the
    client should get the numeric outcome and the reason, which only a result carries.

    A goal's handle stays in state ACCEPTED until its end and is then executed for an instant to set the result: an
    execute callback that ran for as long as the goal would need a thread of its own, and one that awaits makes the
    events executor spin.
    """

    def __init__(self, policy: UnifiedPolicy | None = None) -> None:
        """Read the parameters and load the policy; ``policy``: serve this one instead.

        Raises:
            ValueError: a wrong parameter, a checkpoint that cannot be read, or an embodiment that does not fit.
        """
        super().__init__("policy_server")
        self._on_new_goal = params.declare(
            self,
            "on_new_goal",
            "preempt",
            "what happens to a goal that comes while another runs",
            choices=("preempt", "refuse"),
        )
        self._default_timeout = params.declare(
            self, "default_timeout", 30.0, "s of node time for goals that give none", minimum=0.1, maximum=3600.0
        )
        self._served = ServedPolicy(self, policy)
        self._embodiment = self._served.embodiment
        self._pending: dict[bytes, tuple[ServerGoalHandle, int]] = {}
        self._arrived = 0.0
        self._diagnostics = NodeDiagnostics(self, self._embodiment.name)
        self._commands = self._diagnostics.intervals("command", self._embodiment.rate)
        simulated_time = bool(self.get_parameter("use_sim_time").value)
        # Simulated time stands still while we think, so there is no latency to measure in it.
        self._latency = None if simulated_time else self._diagnostics.durations("observation stamp to command")
        self._thinking = self._diagnostics.durations("observation arrival to command")
        self._assembler = ObservationAssembler(self._embodiment, cameras=self._served.cameras)
        clock = self.get_clock()
        self._now_ns = lambda: clock.now().nanoseconds
        self._loop = ControlLoop(
            self._embodiment,
            self._send,
            self._now_ns,
            time.monotonic,
            self._ended,
            self._feedback,
            simulated_time=simulated_time,
            missing=self._assembler.missing,
        )
        self._understanding = Understanding(self._served.current.text)
        self._publisher = self.create_publisher(Command, self._embodiment.command_topic, qos.COMMAND)
        subscribe_observations(self, self._assembler, self._observe, self._reject)
        self.create_subscription(EpisodeStatus, "episode", self._loop.hear, qos.EPISODE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(min(0.05, self._embodiment.max_age / 4), self._loop.check, clock=steady)
        self.create_timer(1.0, self._show_state, clock=steady)
        self._server = ActionServer(
            self,
            ExecuteTask,
            "execute_task",
            self._never_executed,
            handle_accepted_callback=self._accepted,
            cancel_callback=self._cancel,
        )
        self._show_state()
        self._served.watch(self._diagnostics)
        # What is there now stays: without this the collector looks through torch's modules in mid-control.
        gc.collect()
        gc.freeze()
        tasks = self._served.current.description.tasks
        self.get_logger().info(
            f"serving {len(tasks)} tasks on '{self._embodiment.name}' at {self._embodiment.rate:g} Hz: "
            f"{', '.join(tasks)}"
        )

    # Observations and commands -------------------------------------------------------------------------------------

    def _observe(self) -> None:
        self._arrived = time.perf_counter()
        observation = self._assembler.newest()
        if observation is not None:
            self._loop.observe(observation)

    def _reject(self, reason: str) -> None:
        self._diagnostics.drop("observations refused", reason)
        self._loop.reject(reason)

    def _send(self, values: np.ndarray, observation_ns: int) -> None:
        now_ns = self._now_ns()
        self._publisher.publish(
            command_message(values, from_ns(now_ns), from_ns(observation_ns), self._embodiment.command_frame)
        )
        if observation_ns:
            moment = time.perf_counter()
            self._commands.tick(moment)
            self._thinking.add(moment - self._arrived)
            if self._latency is not None:
                self._latency.add((self._now_ns() - observation_ns) * 1e-9)

    # Goals ---------------------------------------------------------------------------------------------------------

    def _accepted(self, handle: ServerGoalHandle) -> None:
        now_ns = self._now_ns()
        try:
            request = read_request(handle.request, self._default_timeout)
        except BadGoal as error:
            self._finish(handle, End(UNKNOWN_GOAL, str(error)))
            return
        if self._on_new_goal == "refuse" and (self._loop.run is not None or self._pending):
            self._finish(handle, End(BUSY, "another goal is running; cancel it or ask again when it has ended"))
            return
        key = bytes(handle.goal_id.uuid)
        self._pending[key] = (handle, now_ns)
        policy = self._served.current  # that which understands a goal carries it out

        def answer(goal: Goal | None, error: Exception | None) -> None:
            executor = self.executor
            if executor is not None:  # the answer comes from another thread, the goal belongs to the executor's
                executor.create_task(self._understood, key, request.timeout, policy, goal, error)

        self._understanding.understand(request, policy, answer)

    def _understood(
        self, key: bytes, timeout: float, policy: UnifiedPolicy, goal: Goal | None, error: Exception | None
    ) -> None:
        """Begin a goal that was understood. Until then the one before goes on: a bad goal does not disturb it."""
        if key not in self._pending:  # cancelled or overtaken meanwhile
            return
        if goal is None:
            handle, _ = self._pending.pop(key)
            self._refuse(handle, error)
            return
        # Goals are kept in the order in which they came; those before this one are overtaken.
        for other in list(self._pending):
            handle, accepted_ns = self._pending.pop(other)
            if other == key:
                break
            self._finish(handle, End(PREEMPTED, "a newer goal took over before this one began"))
        self._loop.end(PREEMPTED, "a newer goal took over", hand_over=True)
        self._commands.pause()
        self.get_logger().info(f"goal by {goal.kind}: {goal.task} (similarity {goal.similarity:.2f})")
        self._arrived = time.perf_counter()
        view = View(policy.description, self._embodiment.state_names)
        self._loop.begin(Run(handle, policy, goal, timeout, accepted_ns, view=view))
        self._show_state()

    def _refuse(self, handle: ServerGoalHandle, error: Exception | None) -> None:
        if isinstance(error, UnknownGoal | BadGoal):
            self._finish(handle, End(UNKNOWN_GOAL, str(error)))
        else:
            self._finish(handle, End(INTERNAL_ERROR, f"the goal could not be read: {type(error).__name__}: {error}"))

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        run = self._loop.run
        if run is not None and run.ticket is handle:
            self._loop.end(CANCELLED, "cancelled by the client")
        elif self._pending.pop(bytes(handle.goal_id.uuid), None) is not None:
            self._finish(handle, End(CANCELLED, "cancelled by the client before it began"))
        else:
            return CancelResponse.REJECT  # it has ended already
        return CancelResponse.ACCEPT

    def _feedback(self, run: Run) -> None:
        feedback = ExecuteTask.Feedback(
            step=run.steps, elapsed=self._elapsed(run), understood_task=run.goal.task, similarity=run.goal.similarity
        )
        run.ticket.publish_feedback(feedback)

    def _ended(self, run: Run, end: End) -> None:
        self._commands.pause()
        self._finish(run.ticket, end, run)
        self._show_state()

    def _finish(self, handle: ServerGoalHandle, end: End, run: Run | None = None) -> None:
        """Give the client its result."""
        result = ExecuteTask.Result(outcome=end.outcome, message=end.message)
        if run is not None:
            result.steps, result.elapsed = run.steps, self._elapsed(run)
            result.understood_task, result.similarity = run.goal.task, run.goal.similarity
        if end.outcome not in (SUCCEEDED, CANCELLED, PREEMPTED):
            self.get_logger().warning(f"goal ended with outcome {end.outcome}: {end.message}")

        def conclude(handle: ServerGoalHandle) -> Any:
            if end.outcome == SUCCEEDED:
                handle.succeed()
            elif handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return result

        handle.execute(conclude)

    @staticmethod
    def _never_executed(handle: ServerGoalHandle) -> Any:
        raise RuntimeError("goals are concluded by _finish")

    def _elapsed(self, run: Run) -> float:
        return max(0.0, (self._now_ns() - run.accepted_ns) * 1e-9)

    # State and end -------------------------------------------------------------------------------------------------

    def _show_state(self) -> None:
        run = self._loop.run
        if run is not None:
            doing = f"running {run.goal.task}"
        else:
            doing = "loading the language model" if self._understanding.loading else "idle"
        self._diagnostics.state(DiagnosticStatus.OK, doing)

    def close(self) -> None:
        """Stop the robot and give those who wait their results, while the topics still work."""
        self._served.close()
        handles = [handle for handle, _ in self._pending.values()]
        for handle in handles:
            self._finish(handle, End(INTERNAL_ERROR, "the server was stopped"))
        if self._loop.run is not None:
            handles.append(self._loop.run.ticket)
            self._loop.end(INTERNAL_ERROR, "the server was stopped")
        end = time.monotonic() + (CLOSING_TIME if handles else 0.0)
        while self.executor and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        self._loop.end(INTERNAL_ERROR, "the server was stopped")  # one that slipped in


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    # A goal that is being understood holds the interpreter for at most this long before control has its turn.
    sys.setswitchinterval(0.0005)
    status = run_node(PolicyServer)
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. To take torch and the language model apart piece by piece would cost a second more.
    os._exit(status)


if __name__ == "__main__":
    main()
