"""The action server: does a task when asked in words, by a picture of the result, or by name."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_policy.goals import Goal, UnknownGoal
from polytask_policy.text import TextModelError
from polytask_policy.text_process import TextProcess
from polytask_policy.unified import UnifiedPolicy
from polytask_policy.view import View
from polytask_policy_server.control import ControlLoop
from polytask_policy_server.goal_encoding import GoalEncoding
from polytask_policy_server.goal_request import BadGoal, read_request
from polytask_policy_server.pending import PendingGoals
from polytask_policy_server.policy_manager import PolicyManager
from polytask_policy_server.run import Run
from polytask_robot_io import params, qos
from polytask_robot_io.commands import command_message
from polytask_robot_io.deferred_action_server import DeferredActionServer, deliver_results
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.executors import hand_over, run_node
from polytask_robot_io.observation import ObservationAssembler
from polytask_robot_io.outcomes import End, Outcome
from polytask_robot_io.sole_server import SoleServer
from polytask_robot_io.stamps import from_ns
from polytask_robot_io.subscriptions import subscribe_observations
from polytask_robot_io.text import printable

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle

LONGEST_MESSAGE = 1000
"""Characters of a result's message; clients' text is quoted in it."""


class PolicyServer(Node):
    """Serves one unified policy as the action ``execute_task``."""

    def __init__(self, policy: UnifiedPolicy | None = None) -> None:
        """Read the parameters and load the policy; ``policy``: serve this one instead.

        Raises:
            ValueError: a wrong parameter, a checkpoint that cannot be read, an embodiment that does not fit, or another
                server of the action.
        """
        super().__init__("policy_server")
        self._sole = SoleServer(self, "execute_task")
        self._on_new_goal = params.declare(
            self,
            "on_new_goal",
            "preempt",
            "what happens to a goal that comes while another runs",
            choices=("preempt", "refuse"),
        )
        self._default_timeout = params.declare(
            self,
            "default_timeout",
            30.0,
            "s from its beginning for a goal that gives none",
            minimum=0.1,
            maximum=3600.0,
        )
        understanding = params.declare(
            self,
            "understanding_timeout",
            10.0,
            "s that understanding a goal may take, once the language model is loaded",
            minimum=0.1,
            maximum=3600.0,
        )
        loading = params.declare(
            self, "loading_timeout", 300.0, "s that loading the language model may take", minimum=1.0, maximum=3600.0
        )
        text = TextProcess(loading, understanding)
        self._policies = PolicyManager(self, text, policy)
        self._embodiment = self._policies.embodiment
        self._told = ""
        self._arrived = 0.0
        self._diagnostics = NodeDiagnostics(self, self._embodiment.name)
        self._commands = self._diagnostics.intervals("command", self._embodiment.rate)
        simulated_time = bool(self.get_parameter("use_sim_time").value)
        # Simulated time stands still while we think, so there is no latency to measure in it.
        self._latency = None if simulated_time else self._diagnostics.durations("observation stamp to command")
        self._thinking = self._diagnostics.durations("observation arrival to command")
        self._assembler = ObservationAssembler(self._embodiment, cameras=self._policies.cameras)
        clock = self.get_clock()
        self._now_ns = lambda: clock.now().nanoseconds
        self._loop = ControlLoop(self._embodiment, self, self._now_ns, time.monotonic, simulated_time)
        self._encoding = GoalEncoding(self._policies.current.text, self._lost_for_words)
        self._pending = PendingGoals(self._encoding, understanding, loading, self._finish)
        self._publisher = self.create_publisher(Command, self._embodiment.command_topic, qos.COMMAND)
        subscribe_observations(self, self._assembler, self._observe, self._malformed)
        self.create_subscription(EpisodeStatus, "episode", self._loop.hear, qos.EPISODE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(min(0.05, self._embodiment.max_age / 4), self._look, clock=steady)
        self.create_timer(1.0, self._show_state, clock=steady)
        self._sole.wait()
        self._server = DeferredActionServer(self, ExecuteTask, "execute_task", self._accepted, self._cancel)
        self._show_state()
        self._policies.watch(self._diagnostics)
        self._sole.keep(self._diagnostics)
        # What is there now stays: without this the collector looks through torch's modules in mid-control.
        gc.collect()
        gc.freeze()
        self._tell("loading the language model; goals in words wait for it, goals by picture and by name do not")

    # Observations and commands -------------------------------------------------------------------------------------

    def _observe(self) -> None:
        self._arrived = time.perf_counter()
        observation = self._assembler.newest()
        if observation is not None:
            self._loop.observe(observation)

    def _malformed(self, reason: str) -> None:
        self.refused(reason)
        self._loop.reject(reason)

    # What the control loop needs -----------------------------------------------------------------------------------

    def send(self, values: np.ndarray, observation_ns: int) -> None:
        """Publish a command and measure how long it took."""
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

    def feedback(self, run: Run) -> None:
        """Tell the client how far its goal is."""
        feedback = ExecuteTask.Feedback(
            step=run.steps, elapsed=run.elapsed_ns * 1e-9, matched_task=run.goal.task, similarity=run.goal.similarity
        )
        run.goal_handle.publish_feedback(feedback)

    def ended(self, run: Run, end: End) -> None:
        """Tell the client how its goal ended."""
        self._commands.pause()
        self._finish(run.goal_handle, end, run)
        self._show_state()

    def refused(self, reason: str) -> None:
        """Count an observation that cannot be used."""
        self._diagnostics.drop("observations refused", reason)

    def missing(self) -> list[str]:
        """Camera topics without which the newest state is no observation."""
        return self._assembler.missing()

    # Goals ---------------------------------------------------------------------------------------------------------

    def _accepted(self, handle: ServerGoalHandle) -> None:
        now_ns = self._now_ns()
        try:
            request = read_request(handle.request, self._default_timeout)
        except BadGoal as error:
            self._finish(handle, End(Outcome.UNKNOWN_GOAL, str(error)))
            return
        if self._sole.contested:
            reason = f"another node serves {self._sole.action}, too ({self._sole.others()}); stop one of them"
            self._finish(handle, End(Outcome.INTERNAL_ERROR, reason))
            return
        if self._on_new_goal == "refuse" and (self._loop.run is not None or self._pending):
            self._finish(handle, End(Outcome.BUSY, "another goal is running; cancel it or ask again when it has ended"))
            return
        key = bytes(handle.goal_id.uuid)
        policy = self._policies.current  # that which encodes a goal carries it out

        def on_encoded(goal: Goal | None, error: Exception | None) -> None:
            # Called in another thread; the goal belongs to the executor's.
            hand_over(self, self._encoded, key, policy, goal, error)

        self._pending.add(handle, request, now_ns, policy, on_encoded)

    def _encoded(self, key: bytes, policy: UnifiedPolicy, goal: Goal | None, error: Exception | None) -> None:
        """Begin a goal that was encoded. Until then the one before goes on: a bad goal does not disturb it."""
        if key not in self._pending:  # cancelled or overtaken meanwhile
            return
        if goal is None:
            self._pending.end(key, _refusal(error))
            return
        began = self._pending.take(key)
        self._loop.end(Outcome.PREEMPTED, "a newer goal took over", hand_over=True)
        self._commands.pause()
        self.get_logger().info(f"goal by {goal.kind}: {goal.task} (similarity {goal.similarity:.2f})")
        self._arrived = time.perf_counter()
        view = View(policy.description, self._embodiment.state_names)
        self._loop.begin(Run(began.handle, policy, view, goal, began.request.timeout, began.accepted_ns))
        self._show_state()

    def _cancel(self, handle: ServerGoalHandle) -> bool:
        run = self._loop.run
        if run is None or run.goal_handle is not handle:
            return self._pending.cancel(handle)
        self._loop.end(Outcome.CANCELLED, "cancelled by the client")
        return True

    def _finish(self, handle: ServerGoalHandle, end: End, run: Run | None = None) -> None:
        """Give the client its result."""
        message = printable(end.message, LONGEST_MESSAGE)
        result = ExecuteTask.Result(outcome=end.outcome, message=message)
        if run is not None:
            result.steps, result.elapsed = run.steps, run.elapsed_ns * 1e-9
            result.matched_task, result.similarity = run.goal.task, run.goal.similarity
        if run is None and end.outcome not in (Outcome.CANCELLED, Outcome.PREEMPTED):
            self._diagnostics.drop("goals refused", message)  # not a line for each: anybody may send many
        elif end.outcome not in (Outcome.SUCCEEDED, Outcome.CANCELLED, Outcome.PREEMPTED):
            self.get_logger().warning(f"goal ended with {end.outcome.name}: {message}")
        self._server.finish(handle, result)

    # State and end -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """End what has lasted too long, running or not yet encoded; called every few milliseconds."""
        self._loop.check()
        self._pending.check()
        if not self._encoding.loading:
            served = self._policies.current.description.tasks
            self._tell(
                f"serving {len(served)} tasks on '{self._embodiment.name}' at {self._embodiment.rate:g} Hz: "
                + ", ".join(served)
                + (f"; by picture and by name alone: {self._encoding.fault}" if self._encoding.fault else "")
            )

    def _tell(self, what: str) -> None:
        """Log what the node does, once."""
        if what != self._told:
            self._told = what
            self.get_logger().info(what)

    def _lost_for_words(self, reason: str) -> None:
        hand_over(self, self._diagnostics.drop, "language model", reason)

    def _show_state(self) -> None:
        run = self._loop.run
        level = DiagnosticStatus.OK
        if run is not None:
            doing = f"running {run.goal.task}"
        elif self._encoding.loading:
            doing = "loading the language model"
        elif self._encoding.fault:
            level, doing = DiagnosticStatus.WARN, f"no goals in words: {self._encoding.fault}"
        else:
            doing = f"understanding {len(self._pending)} goals" if self._pending else "idle"
        self._diagnostics.state(level, doing)

    def close(self) -> None:
        """Stop the robot and give those who wait their results, while the topics still work."""
        self._policies.close()
        self._server.stop()
        stopped = End(Outcome.INTERNAL_ERROR, "the server was stopped")
        if self._pending.end_all(stopped) or self._loop.run is not None:
            self._loop.end(stopped.outcome, stopped.message)
            deliver_results(self)


def _refusal(error: Exception | None) -> End:
    """How a goal ends that could not be encoded."""
    if isinstance(error, UnknownGoal | BadGoal):
        return End(Outcome.UNKNOWN_GOAL, str(error))
    if isinstance(error, TextModelError):
        return End(Outcome.INTERNAL_ERROR, f"the goal was not understood: {error}")
    return End(Outcome.INTERNAL_ERROR, f"the goal could not be read: {type(error).__name__}: {error}")


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    # A goal that is being encoded holds the interpreter for at most this long before control has its turn.
    sys.setswitchinterval(0.0005)
    status = run_node(PolicyServer)
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. To take torch and the language model apart piece by piece would cost a second more.
    os._exit(status)


if __name__ == "__main__":
    main()
