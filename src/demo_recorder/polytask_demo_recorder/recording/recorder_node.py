"""The recorder: records episodes from the robot's topics on request, whoever drives. It never drives itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.recording.recovery import Recovery
from polytask_demo_recorder.recording.request import checked_request
from polytask_demo_recorder.recording.session import Session
from polytask_demo_recorder.recording.subscriptions import TopicSubscriptions
from polytask_demo_recorder.recording.tally import UNUSABLE
from polytask_demo_recorder.recording.writer import Discarded, EpisodeWriter, Kept
from polytask_interfaces.action import RecordEpisodes
from polytask_interfaces.srv import ListTasks
from polytask_robot_io.deferred_action_server import DeferredActionServer, deliver_results
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.executors import run_node
from polytask_robot_io.outcomes import End, Outcome
from polytask_robot_io.params import declare
from polytask_robot_io.sole_server import SoleServer

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle

CHECK_PERIOD = 0.05
"""Seconds between two looks at time limits and the writer."""
FEEDBACK_PERIOD = 0.2
"""Seconds between two messages of feedback."""
SETTLING = 2.0
"""Seconds in which a publisher that is there must come to be heard, where the embodiment does not declare its topic."""


class DemoRecorder(Node):
    """Serves the action ``record_episodes``.

    Messages are taken as they were on the wire and handed to the writer's thread, so neither decoding nor the disk
    holds up a callback.
    """

    def __init__(self) -> None:
        """Raises ValueError for a wrong parameter or embodiment file."""
        super().__init__("demo_recorder")
        file = declare(self, "embodiment", "xarm7_tabletop", "embodiment file of the robot, by name or path")
        cameras = declare(self, "cameras", True, "whether to record the cameras")
        self._timeout = declare(
            self, "timeout", 120.0, "s of wall time for each episode, for goals that give none", minimum=0.1
        )
        about = "folder that receives the recordings, one below it for each task; may be set between goals"
        declare(self, "dataset", "data/demonstrations", about, changeable=True)
        self._embodiment = Embodiment.load(file)
        self._session: Session | None = None
        self._handle: ServerGoalHandle | None = None
        self._told = self._accepted_at = 0.0
        self._decided = (0, 0)
        self._writer = EpisodeWriter()
        self._writer.recover(self._dataset)
        self._diagnostics = NodeDiagnostics(self, self._embodiment.name)
        self._recorded = self._discarded = 0
        self._hearing = TopicSubscriptions(self, self._embodiment, cameras, self._refuse)
        self._tasks = self.create_client(ListTasks, "list_tasks")
        self._asked = False
        self._sentences: dict[str, tuple[str, ...]] = {}
        self.add_on_set_parameters_callback(self._may_set)
        self.create_timer(CHECK_PERIOD, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._server = DeferredActionServer(self, RecordEpisodes, "record_episodes", self._accepted, self._cancel)
        # It moves no robot, so it need not wait until a killed one is forgotten; the younger of two ends.
        SoleServer(self, "record_episodes").keep(self._diagnostics)
        self.get_logger().info(f"recording '{self._embodiment.name}' into {self._dataset} when asked to")

    @property
    def _dataset(self) -> Path:
        return Path(self.get_parameter("dataset").value).expanduser().absolute()

    # Topics --------------------------------------------------------------------------------------------------------

    def _refuse(self, topic: str, reason: str) -> None:
        self._diagnostics.drop(f"{topic} refused", reason)

    # Goals ---------------------------------------------------------------------------------------------------------

    def _accepted(self, handle: ServerGoalHandle) -> None:
        if self._session is not None:
            reason = "another recording is running; cancel it, or ask again when it has ended"
            self._finish(handle, End(Outcome.BUSY, reason), [])
            return
        try:
            request = checked_request(handle.request, self._dataset, self._timeout)
        except RecordingError as error:
            self._finish(handle, End(Outcome.REFUSED, str(error)), [])
            return
        self._writer.recover(request.dataset)
        self._session = Session(
            request,
            self._embodiment,
            self._hearing.topics,
            self._writer,
            lambda: self._hearing.published("episode") > 0,
            time.monotonic(),
            self._hearing.unheard,
            self._hearing.rivals,
        )
        self._hearing.start(self._session)
        self._handle, self._told, self._accepted_at = handle, 0.0, time.monotonic()
        self._session.sentences = self._sentences
        self._asked = False  # the simulator may be another one than at the last goal
        self.get_logger().info(f"recording {request.episodes} episodes of '{request.task or 'any task'}'")
        self._diagnostics.state(DiagnosticStatus.OK, f"recording {request.task}")

    def _learn_tasks(self, answer: Any) -> None:
        if answer.exception() is None:
            self._sentences = {task.name: tuple(task.instructions) for task in answer.result().tasks}
            if self._session is not None:
                self._session.sentences = self._sentences

    def _cancel(self, handle: ServerGoalHandle) -> bool:
        if self._session is None or handle is not self._handle:
            return False  # it has ended already
        self._session.cancel(time.monotonic())
        return True

    def _check(self) -> None:
        for event in self._writer.events():
            if isinstance(event, Recovery):
                self.get_logger().warning(str(event))
                self._diagnostics.show("last recovery", event)
            elif self._session is not None:
                self._session.handle(event)
            if isinstance(event, Kept):
                self.get_logger().info(f"{event.path}: {event.info.outcome}, seed {event.info.seed}")
                for topic, count in event.info.missing.items():
                    self._diagnostics.drop(f"{topic} missing", f"{count} messages in {event.path.name}")
                for remark in event.remarks:
                    self._diagnostics.drop("remarks on episodes", f"{event.path.name}: {remark}")
            elif isinstance(event, Discarded) and event.reason:
                self._diagnostics.drop(UNUSABLE, event.reason)
                self._diagnostics.publish()  # before the feedback that counts it
        if not self._asked and self._tasks.service_is_ready():
            self._asked = True
            self._tasks.call_async(ListTasks.Request()).add_done_callback(self._learn_tasks)
        session, handle = self._session, self._handle
        if session is None or handle is None:
            return
        now = time.monotonic()
        session.check(now)
        self._tell(session, handle, now)
        if session.end is not None:
            self._session = self._handle = self._hearing.session = None
            self._recorded += len(session.files)
            self._discarded += session.discarded
            self._show(None)
            self._finish(handle, session.end, session.files)

    def _tell(self, session: Session, handle: ServerGoalHandle, now: float) -> None:
        """Give feedback now and then, and at once when an episode is decided."""
        decided = (len(session.files), session.discarded)
        # The first feedback says that the topics are heard: a client may start an episode then.
        if not self._ready(session, now) or (now - self._told < FEEDBACK_PERIOD and decided == self._decided):
            return
        self._told, self._decided = now, decided
        handle.publish_feedback(
            RecordEpisodes.Feedback(
                recorded=decided[0],
                discarded=decided[1],
                messages=session.messages,
                elapsed=session.elapsed(now),
            )
        )
        self._show(session)

    def _ready(self, session: Session, now: float) -> bool:
        """Whether an episode may begin: the declared topics are heard, and whatever else is published too."""
        if self._told:
            return True
        if not session.ready:
            waiting = ", ".join(self._hearing.unheard())
            self._diagnostics.state(DiagnosticStatus.WARN, f"nobody to be heard on {waiting}")
            self.get_logger().warning(f"nobody to be heard on {waiting}", throttle_duration_sec=5.0)
            return False
        if now - self._accepted_at < SETTLING and not self._hearing.hears_all():
            return False
        self._diagnostics.state(DiagnosticStatus.OK, f"recording {session.task}")
        if not self._hearing.published(self._embodiment.command_topic):
            name = self._hearing.topics[self._embodiment.command_topic][0]
            self.get_logger().warning(f"nobody publishes {name} yet; an episode without commands is discarded")
        return True

    def _show(self, session: Session | None) -> None:
        self._diagnostics.show("episodes recorded", self._recorded + (len(session.files) if session else 0))
        self._diagnostics.show("episodes discarded", self._discarded + (session.discarded if session else 0))
        self._diagnostics.show("bytes waiting for the disk", self._writer.waiting)
        self._diagnostics.show("slowest write [ms]", f"{1e3 * self._writer.slowest_sync:.1f}")
        self._diagnostics.show("slowest reading back [ms]", f"{1e3 * self._writer.slowest_check:.1f}")
        if session is None:
            self._diagnostics.state(DiagnosticStatus.OK, "idle")

    def _finish(self, handle: ServerGoalHandle, end: End, files: list[Path]) -> None:
        """Give the client its result."""
        # On two lines: a logger may not change its severity at one place of the code.
        if end.outcome in (Outcome.SUCCEEDED, Outcome.CANCELLED):
            self.get_logger().info(end.message)
        else:
            self.get_logger().warning(end.message)
        result = RecordEpisodes.Result(outcome=end.outcome, message=end.message, files=[str(path) for path in files])
        self._server.finish(handle, result)

    # Parameters and end --------------------------------------------------------------------------------------------

    def _may_set(self, parameters: list[Any]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == "dataset" and self._session is not None:
                return SetParametersResult(successful=False, reason="a recording is running; set it between two")
            if parameter.name == "dataset" and not parameter.value:
                return SetParametersResult(successful=False, reason="dataset is empty; give a folder")
        return SetParametersResult(successful=True)

    def close(self) -> None:
        """End the running goal and leave complete files behind."""
        session, handle = self._session, self._handle
        if session is not None:
            session.cancel(time.monotonic(), "the recorder was stopped")
        self._writer.stop()
        for event in self._writer.events():
            if session is not None and not isinstance(event, Recovery):
                session.handle(event)
        self._session = self._handle = self._hearing.session = None
        if session is not None and handle is not None and session.end is not None:
            self._server.stop()
            self._finish(handle, session.end, session.files)
            deliver_results(self)


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    sys.exit(run_node(DemoRecorder))


if __name__ == "__main__":
    main()
