"""The node that puts a suite on the robot's topics, in one of three stepping modes.

See :mod:`polytask_sim_bridge.stepping_mode`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from polytask_interfaces.msg import Command, TaskInfo
from polytask_interfaces.srv import ListTasks, ResetEpisode, StepEpisode
from polytask_robot_io import qos
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadCommand, BadEmbodiment
from polytask_robot_io.executors import run_node
from polytask_robot_io.outcomes import TerminationReason
from polytask_robot_io.params import declare, refuse_renamed
from polytask_robot_io.subscriptions import with_publisher
from polytask_robot_io.text import printable
from polytask_sim_bridge.episode import EpisodeRunner
from polytask_sim_bridge.publishers import Publishers
from polytask_sim_bridge.real_time import RealTime
from polytask_sim_bridge.stepping_mode import ByService, LockStep, SteppingMode
from polytask_suites import EMBODIMENTS, SUITES, load_suite, make_env

STEPPING_MODES: dict[str, type[SteppingMode]] = {"real_time": RealTime, "lock_step": LockStep, "service": ByService}


WHICH_TASK = "task of the first episode; empty: none in real time, where the world goes on, and else the suite's first"


class SimBridgeNode(Node):
    """Simulates one suite and speaks the topic contract for it."""

    def __init__(self, make: Callable[[str, str], Any] = make_env) -> None:
        """``make``: gives the environment of a suite and a task.

        Raises:
            ValueError: a wrong parameter, suite, task or embodiment file.
        """
        super().__init__("sim_bridge")
        suite = declare(self, "suite", "tabletop", "suite to simulate", choices=SUITES)
        task = declare(self, "task", "", WHICH_TASK)
        refuse_renamed(self, "pace", "stepping_mode")
        stepping_mode = declare(
            self, "stepping_mode", "real_time", "what makes the simulation advance", choices=tuple(STEPPING_MODES)
        )
        seed = declare(self, "seed", 0, "seed of the first episode and of seeds that are drawn", minimum=0)
        render = declare(
            self, "render", "auto", "draw pictures when somebody wants them, or never", choices=("auto", "off")
        )
        end_on_success = declare(self, "end_on_success", True, "whether success ends an episode before its horizon")
        file = declare(self, "embodiment", "", "embodiment file, by name or path; empty: the suite's own")
        if stepping_mode == "real_time" and self.get_parameter("use_sim_time").value:
            raise ValueError(
                "stepping_mode real_time runs on the system's clock; set use_sim_time to false, or choose another mode"
            )
        self.embodiment = Embodiment.load(file or EMBODIMENTS[suite])
        self._no_pictures = "" if render == "auto" else "pictures are switched off: set parameter 'render' to auto"
        self._drew = False
        env = make(suite, task or next(iter(load_suite(suite).tasks)))
        _check_fits(self.embodiment, env)
        world = stepping_mode == "real_time" and not task and env.shared_scene
        self.runner = EpisodeRunner(env, seed, end_on_success, world)
        self.diagnostics = NodeDiagnostics(self, self.embodiment.name)
        self.diagnostics.show("stepping_mode", stepping_mode)
        self.step_rate = self.diagnostics.intervals("step")
        self.step_time = self.diagnostics.durations("step time")
        self.output = Publishers(self, self.embodiment, self.runner, STEPPING_MODES[stepping_mode].simulated_time)
        self.stepping_mode = STEPPING_MODES[stepping_mode](self)
        receive = with_publisher(self.stepping_mode.on_command)
        self.create_subscription(Command, self.embodiment.command_topic, receive, qos.COMMAND)
        self.create_service(ResetEpisode, "reset_episode", self._reset, qos_profile=qos.SERVICES)
        self.create_service(StepEpisode, "step_episode", self._step, qos_profile=qos.SERVICES)
        self.create_service(ListTasks, "list_tasks", self._list, qos_profile=qos.SERVICES)
        self.stepping_mode.start()
        self.get_logger().info(f"{self.runner.episode.id} in stepping mode {stepping_mode}, {env.control_rate:g} Hz")

    def close(self) -> None:
        """Free the renderer, in the thread that made it."""
        self.runner.env.close()

    def why_no_pictures(self) -> str:
        """Empty when pictures can be drawn, which is tried the first time; otherwise the reason."""
        if not self._drew and not self._no_pictures:
            self._draw(self._draw_first)
        return self._no_pictures

    def publish_pictures(self, stamp_ns: int) -> None:
        """Publish pictures if somebody listens, or say why there are none."""
        if not self.output.pictures_wanted():
            return
        if not self.why_no_pictures():
            self._draw(lambda: self.output.pictures(stamp_ns))
        if self._no_pictures:
            self.diagnostics.drop("pictures not drawn", self._no_pictures)

    def _draw_first(self) -> None:
        height, width, _ = self.runner.picture().shape
        for camera in self.embodiment.cameras:
            if (camera.width, camera.height) != (width, height):
                raise BadEmbodiment(
                    f"the embodiment file declares {camera.width}x{camera.height} pixels for '{camera.name}', "
                    f"the suite draws {width}x{height}"
                )
        self._drew = True

    def _draw(self, draw: Callable[[], Any]) -> Any:
        """What ``draw()`` gives; None when it fails, after which none are drawn and all but the pictures goes on."""
        try:
            return draw()
        except Exception as error:  # whatever the graphics library lacks
            reason = str(error) if isinstance(error, ValueError) else repr(error)
            self._no_pictures = f"no picture can be drawn: {reason}; see './polytask doctor'"
            self.get_logger().error(printable(self._no_pictures))
            self.diagnostics.state(DiagnosticStatus.ERROR, self._no_pictures)
            return None

    def _reset(self, request: ResetEpisode.Request, response: ResetEpisode.Response) -> ResetEpisode.Response:
        if request.want_image and (reason := self.why_no_pictures()):
            response.message = reason
            return response
        before = self.runner.episode
        try:
            self.runner.reset(request.task, request.seed)
        except ValueError as error:
            response.message = str(error)
            return response
        if not before.ended:
            before.termination_reason, before.message = TerminationReason.ABORTED, "another episode was asked for"
            self.output.status(self.stepping_mode.stamp_ns, before)
        self.step_rate.pause()
        self.stepping_mode.after_reset()
        return self._observe(request, response)

    def _step(self, request: StepEpisode.Request, response: StepEpisode.Response) -> StepEpisode.Response:
        if not isinstance(self.stepping_mode, ByService):
            response.message = "the simulator does not run in stepping mode service: somebody else is driving"
            return response
        if request.want_image and (reason := self.why_no_pictures()):
            response.message = reason
            return response
        try:
            self.stepping_mode.serve_step(request.command)
        except BadCommand as error:
            self.diagnostics.drop("commands refused", str(error))
            response.message = str(error)
            return response
        return self._observe(request, response)

    def _observe(self, request: Any, response: Any) -> Any:
        """Fill in what is the same in the answers to reset_episode and step_episode."""
        stamp_ns = self.stepping_mode.stamp_ns
        response.ok = True
        response.state = self.output.state_message(stamp_ns)
        response.status = self.output.status_message(stamp_ns, self.runner.episode)
        if request.want_image:
            response.images = self._draw(lambda: self.output.image_messages(stamp_ns)) or []
            response.ok, response.message = not self._no_pictures, self._no_pictures
        return response

    def _list(self, request: ListTasks.Request, response: ListTasks.Response) -> ListTasks.Response:
        env = self.runner.env
        response.suite = env.suite
        response.embodiment = self.embodiment.name
        response.tasks = [
            TaskInfo(
                name=task.name,
                description=task.description,
                instructions=list(task.instructions),
                horizon=task.horizon,
            )
            for task in env.tasks.values()
        ]
        return response


def _check_fits(embodiment: Embodiment, env: Any) -> None:
    """Refuse an embodiment file that says something else than the suite does."""
    if len(embodiment.cameras) > 1:
        raise BadEmbodiment(
            f"embodiment '{embodiment.name}' declares {len(embodiment.cameras)} cameras "
            f"({', '.join(camera.name for camera in embodiment.cameras)}), but suite '{env.suite}' draws one; keep one"
        )
    for what, said, done in (
        ("state names", embodiment.state_names, tuple(env.state_names)),
        ("command size", len(embodiment.command), env.action_space.shape[0]),
        ("rate", embodiment.rate, env.control_rate),
    ):
        if said != done:
            raise BadEmbodiment(
                f"embodiment '{embodiment.name}' does not fit suite '{env.suite}': {what} {said} against {done}; "
                "correct the file, or leave the parameter 'embodiment' empty"
            )


def main() -> None:
    """Entry point of the executable ``sim_bridge``."""

    def make() -> SimBridgeNode:
        node = SimBridgeNode()
        # What is there now stays; the collector need not look at it again in the middle of a control step.
        gc.collect()
        gc.freeze()
        return node

    sys.exit(run_node(make))


if __name__ == "__main__":
    main()
