"""Ask a running recorder for episodes, and the simulator, where there is one, for a fresh start for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.teleop.keyboard import HELP
from polytask_demo_recorder.teleop.keyboard_teleop_node import KeyboardDriver
from polytask_demo_recorder.teleop.recording_client import Progress, Recording, RecordingClient
from polytask_demo_recorder.teleop.terminal import KeyTerminal
from polytask_interfaces.action import RecordEpisodes
from polytask_robot_io import ros_environment
from polytask_robot_io.embodiment import Embodiment

__all__ = ["Driver", "Progress", "Recording", "record"]

Driver = Literal["scripted", "keyboard", "none"]


def record(
    task: str,
    episodes: int,
    output: Path | str,
    seed: int = 0,
    *,
    driver: Driver = "none",
    instructions: Sequence[str] = (),
    keep_failures: bool = False,
    timeout: float = 0.0,
    namespace: str = "",
    speed: float = 1.0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Recording:
    """Record episodes with nodes that are running already (``launch/record.launch.yaml`` starts them).

    Each episode starts from a reset of its own where ``reset_episode`` is served: with ``seed``, ``seed + 1`` and so
    on; a seed whose attempt failed is not tried again. Ctrl-C keeps what is complete.

    Args:
        task: task to be shown.
        episodes: how many to record.
        output: the dataset's folder; the task's episodes come into a folder of its name in it.
        seed: of the first episode, >= 0.
        driver: ``scripted``: a node that publishes ``command`` is waited for; ``keyboard``: drive from this terminal;
            ``none``: somebody drives, now or later.
        instructions: sentences that describe the task; the suite's when empty.
        keep_failures: keep attempts that did not succeed, too.
        timeout: s of wall time for each episode; 0: the recorder's default.
        namespace: of the robot.
        speed: of the keyboard, share of the full command.
        on_progress: called a few times a second.

    Raises:
        BadEnvironment, BadName: no node can start with the environment as it is, or in the namespace.
        RecordingError: no recorder, driver or terminal, or the simulator refused; the message says what to do.
    """
    if seed < 0:
        raise RecordingError(f"seed {seed} is below 0")
    with ExitStack() as stack:
        context = rclpy.Context()
        ros_environment.check_namespace(namespace)
        ros_environment.prepare()
        rclpy.init(context=context)
        stack.callback(rclpy.try_shutdown, context=context)
        node = Node("record_client", namespace=namespace, context=context)
        stack.callback(node.destroy_node)
        client = RecordingClient(node, SingleThreadedExecutor(context=context), on_progress or (lambda _: None))
        client.prepare(Path(output).absolute(), driver)
        if driver == "keyboard":
            terminal = stack.enter_context(KeyTerminal())
            client.drive(KeyboardDriver(node, Embodiment.load(client.embodiment()), terminal, speed))
            print(HELP, flush=True)
        goal = RecordEpisodes.Goal(
            task=task, instructions=list(instructions), episodes=episodes, keep_failures=keep_failures, timeout=timeout
        )
        return client.run(goal, seed)
