"""The trainer on the graph: actions ``learn_task`` and ``distill``, worked off one at a time in a process apart."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from polytask_interfaces.action import Distill, LearnTask
from polytask_robot_io import params
from polytask_robot_io.deferred_action_server import DeferredActionServer, deliver_results
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.executors import hand_over, run_node
from polytask_robot_io.outcomes import Outcome
from polytask_robot_io.sole_server import SoleServer
from polytask_robot_io.text import printable
from polytask_suites import SUITES
from polytask_trainer.jobs.resolve import settings_file
from polytask_trainer.jobs.spec import POLYTASK, DistillJob, LearnJob, to_dict
from polytask_trainer.jobs.worker import Ending, Worker, grace

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle

OUTCOMES = {
    "finished": Outcome.SUCCEEDED,
    "stopped": Outcome.CANCELLED,
    "refused": Outcome.REFUSED,
    "failed": Outcome.INTERNAL_ERROR,
}
"""By how a worker ended."""

LONGEST_JOB = 32_000
"""Characters; no goal that is meant is longer."""

LONGEST_MESSAGE = 1000
"""Characters of a result's message; clients' text is quoted in it."""


@dataclass
class Work:
    """The goal that is worked on."""

    handle: ServerGoalHandle
    action: Any
    began: float
    """s of the steady clock."""
    worker: Worker | None = None
    step: int = 0


class TrainerNode(Node):
    """Learns and distils on request."""

    def __init__(self) -> None:
        """Read the parameters. Raises ValueError for a wrong one, or where another node learns on request."""
        super().__init__("trainer")
        sole = SoleServer(self, "learn_task")
        self._suite = params.declare(self, "suite", "tabletop", "suite of the tasks", choices=SUITES)
        self._through_topics = params.declare(
            self,
            "through_topics",
            False,
            "method polytask steps a simulator in stepping mode service through its services; false, and the other "
            "methods: the suite in the trainer's own process",
        )
        self._settings = params.declare(
            self, "settings", "", "learning settings of goals that name none; empty: config/trainer/<suite>.yaml"
        )
        self._work: Work | None = None
        self._diagnostics = NodeDiagnostics(self, self._suite)
        self._diagnostics.state(DiagnosticStatus.OK, "idle")
        sole.wait()
        self._servers = [
            DeferredActionServer(self, LearnTask, "learn_task", self._learn, self._cancel),
            DeferredActionServer(self, Distill, "distill", self._distill, self._cancel),
        ]
        sole.keep(self._diagnostics)
        where = "through the topics" if self._through_topics else "in process"
        self.get_logger().info(f"learns tasks of '{self._suite}' {where}")

    def close(self) -> None:
        """Let the work save its state; it resumes when asked again."""
        work = self._work
        if work is None or work.worker is None:
            return
        work.worker.stop()
        work.worker.join(grace(work.worker.job) + 1.0)
        for server in self._servers:
            server.stop()
        deliver_results(self)

    def _learn(self, handle: ServerGoalHandle) -> None:
        goal = handle.request
        alone = goal.method in ("", POLYTASK)
        fault = _missing(goal, "task", *(["demonstrations"] if alone else []), "output") or _fault(goal.settings)
        job = LearnJob(
            task=goal.task,
            demonstrations=goal.demonstrations,
            output=goal.output,
            suite=self._suite,
            reward=goal.reward,
            steps=goal.steps,
            seed=goal.seed,
            settings=goal.settings or self._settings,
            through_topics=self._through_topics and alone,
            namespace=self.get_namespace(),
            method=goal.method,
            with_tasks=tuple(goal.with_tasks),
        )
        self._begin(handle, LearnTask, job, fault)

    def _distill(self, handle: ServerGoalHandle) -> None:
        goal = handle.request
        job = DistillJob(experts=tuple(goal.experts), output=goal.output, steps=goal.steps, seed=goal.seed)
        self._begin(handle, Distill, job, _missing(goal, "experts", "output"))

    def _begin(self, handle: ServerGoalHandle, action: Any, job: LearnJob | DistillJob, fault: str) -> None:
        work = Work(handle, action, time.monotonic())
        if self._work is not None:
            self._finish(work, Outcome.BUSY, "another goal is running; cancel it or ask again when it has ended")
            return
        if not fault and len(json.dumps(to_dict(job))) > LONGEST_JOB:
            fault = f"the goal's texts are longer than {LONGEST_JOB} characters together"
        if fault:
            self._finish(work, Outcome.REFUSED, fault)
            return
        self._work = work
        # The worker's thread only hands over; goals and publishers belong to the executor's.
        work.worker = Worker(
            job,
            lambda report: hand_over(self, self._progress, work, report),
            lambda ending: hand_over(self, self._ended, work, ending),
        )
        self._show(f"{job.kind} -> {job.output}")

    def _progress(self, work: Work, report: dict[str, Any]) -> None:
        if self._work is not work:
            return
        work.step = int(report["step"])
        elapsed = time.monotonic() - work.began
        feedback = work.action.Feedback(step=work.step, total_steps=int(report["total_steps"]), elapsed=elapsed)
        if work.action is LearnTask:
            feedback.phase = str(report["phase"])
            feedback.episode_reward = float(report["episode_reward"] or 0.0)
        else:
            feedback.loss = float(report["loss"])
        work.handle.publish_feedback(feedback)

    def _ended(self, work: Work, ending: Ending) -> None:
        self._work = None
        self._show("idle")
        steps = int(ending.result.get("steps", work.step))
        messages = {
            "finished": "; ".join(filter(None, (f"done after {steps} steps", ending.result.get("message")))),
            "stopped": f"stopped after {steps} steps; ask again to resume from the last checkpoint",
        }
        message = messages.get(ending.how, ending.message)
        if ending.how == "failed":
            self.get_logger().error(message)
        policy = ending.result["output"] if ending.how == "finished" else ""
        self._finish(work, OUTCOMES[ending.how], message, steps, policy)

    def _cancel(self, handle: ServerGoalHandle) -> bool:
        work = self._work
        if work is None or work.handle is not handle or work.worker is None:
            return False
        work.worker.stop()
        return True

    def _finish(self, work: Work, outcome: Outcome, message: str, steps: int = 0, policy: str = "") -> None:
        result = work.action.Result(
            outcome=outcome, message=printable(message, LONGEST_MESSAGE), checkpoint=policy, steps=steps
        )
        DeferredActionServer.finish(work.handle, result)

    def _show(self, doing: str) -> None:
        self._diagnostics.state(DiagnosticStatus.OK, doing)


def _missing(goal: Any, *needed: str) -> str:
    """Which of the needed fields of a goal are empty; empty where none is."""
    names = [name for name in needed if not getattr(goal, name)]
    return f"fill in {', '.join(names)}" if names else ""


def _fault(settings: str) -> str:
    """Why a goal's settings cannot be taken; empty where they can. Who sends a goal is not in the node's folder."""
    try:
        path = settings_file(settings, "")
    except (ValueError, OSError) as error:  # also a name too long for any file
        return f"settings {printable(settings, 100)!r}: {error}" if isinstance(error, OSError) else str(error)
    if path is not None and not path.is_absolute():
        return f"settings '{settings}': give a name in config/trainer without .yaml, or the whole path of a file"
    return ""


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    sys.exit(run_node(TrainerNode))


if __name__ == "__main__":
    main()
