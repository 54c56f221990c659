"""Drives the robot from the keyboard of the terminal it runs in, also over SSH."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.teleop.keyboard import HELP, Keyboard
from polytask_demo_recorder.teleop.terminal import KeyTerminal
from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_robot_io import qos
from polytask_robot_io.commands import command_message
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.executors import run_node
from polytask_robot_io.params import declare


class KeyboardDriver:
    """Publishes ``command`` on behalf of a node from what is typed into a terminal, at the control rate.

    Nothing is sent before the first key of an episode, so that an episode of a simulator does not begin by itself.
    """

    def __init__(self, node: Node, embodiment: Embodiment, terminal: KeyTerminal, speed: float = 1.0) -> None:
        """See :class:`Keyboard`."""
        self._node = node
        self._embodiment = embodiment
        self._terminal = terminal
        self._episode_id = ""
        self._sending = False
        self.keyboard = Keyboard(embodiment, speed)
        self._publisher = node.create_publisher(Command, embodiment.command_topic, qos.COMMAND)
        node.create_subscription(EpisodeStatus, "episode", self._on_status, qos.EPISODE)
        node.create_timer(1.0 / embodiment.rate, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_status(self, status: EpisodeStatus) -> None:
        if status.episode_id != self._episode_id or status.ended:
            self._episode_id = status.episode_id
            self.keyboard.rest()

    def _tick(self) -> None:
        now = time.monotonic()
        for key in self._terminal.read():
            self.keyboard.press(key, now)
        if self.keyboard.active:
            self._send(self.keyboard.command(now))

    def stop(self) -> None:
        """Tell the robot to hold still."""
        self._send([0.0] * len(self._embodiment.command))

    def _send(self, values: np.ndarray | list[float]) -> None:
        stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(command_message(values, stamp, frame=self._embodiment.command_frame))


class KeyboardTeleop(Node):
    """The keyboard as a node of its own."""

    def __init__(self, terminal: KeyTerminal) -> None:
        """Raises ValueError for a wrong parameter or embodiment file, or one that the keys do not fit."""
        super().__init__("keyboard_teleop")
        file = declare(self, "embodiment", "xarm7_tabletop", "embodiment file of the robot, by name or path")
        speed = declare(self, "speed", 1.0, "share of the full command that a key gives", minimum=0.05, maximum=1.0)
        self._driver = KeyboardDriver(self, Embodiment.load(file), terminal, speed)
        self.create_timer(0.1, self._check_quit, clock=Clock(clock_type=ClockType.STEADY_TIME))
        print(HELP, flush=True)

    def _check_quit(self) -> None:
        if self._driver.keyboard.quit:
            os.kill(os.getpid(), signal.SIGINT)

    def close(self) -> None:
        """Leave the robot at rest."""
        self._driver.stop()


def main() -> None:
    """Run the node until q, SIGINT or SIGTERM."""
    try:
        with KeyTerminal() as terminal:
            status = run_node(lambda: KeyboardTeleop(terminal))
    except RecordingError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    main()
