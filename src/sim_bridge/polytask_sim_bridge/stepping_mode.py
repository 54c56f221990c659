"""How the simulation may advance: what all stepping modes share, and the two on simulated time.

The third is :mod:`polytask_sim_bridge.real_time`. All run in the node's one thread, which also draws.
A stepping mode is told of commands and resets and decides when to step; it never waits.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from polytask_interfaces.msg import Command
from polytask_robot_io.commands import CommandLimiter
from polytask_robot_io.diagnostics import Durations, Intervals, NodeDiagnostics
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadCommand
from polytask_robot_io.stamps import SECOND, to_ns
from polytask_robot_io.subscriptions import node_of
from polytask_sim_bridge.drivers import OneDriver, Publisher
from polytask_sim_bridge.episode import EpisodeRunner
from polytask_sim_bridge.publishers import Publishers

REPEAT_PERIOD = 0.5
"""Seconds of wall time after which an observation that nobody answered is published again, for late subscribers."""
FIRST_STAMP = SECOND
"""Simulated time starts here, since a stamp of zero means none."""
PATIENCE = 3.0
"""Seconds of wall time that a driver has for its answer in lock-step before another may drive: it may be drawing, or
its machine busy, while nothing moves. In real time it has the embodiment's ``max_age``."""


def stops(message: Command) -> bool:
    """The command answers nothing and is zero: whoever drove has come to an end."""
    return to_ns(message.observation_stamp) == 0 and not any(message.values)


class Bridge(Protocol):
    """What a stepping mode needs of the node: the simulation, who hears of it, and ROS's own timers and graph."""

    runner: EpisodeRunner
    embodiment: Embodiment
    output: Publishers
    diagnostics: NodeDiagnostics
    step_rate: Intervals
    step_time: Durations

    def publish_pictures(self, stamp_ns: int) -> None:
        """Publish pictures where somebody listens, or count why not."""

    def why_no_pictures(self) -> str:
        """Empty when pictures can be drawn."""

    def create_timer(self, timer_period_sec: float, callback: Any, *, clock: Any) -> Any:
        """As ``rclpy.node.Node``'s."""

    def get_clock(self) -> Any:
        """As ``rclpy.node.Node``'s."""

    def get_publishers_info_by_topic(self, topic_name: str) -> Any:
        """As ``rclpy.node.Node``'s."""


class SteppingMode:
    """What all stepping modes share: the stamp of the last observation, and the check of commands."""

    simulated_time = True

    def __init__(self, node: Bridge) -> None:
        """``node``: whose simulation it drives."""
        self.node = node
        self.runner = node.runner
        self.stamp_ns = FIRST_STAMP
        self.period_ns = round(SECOND / node.runner.env.control_rate)
        self.limiter = CommandLimiter(node.embodiment)
        patience = PATIENCE if self.simulated_time else node.embodiment.max_age
        self.driver = OneDriver(patience, self._publishers)

    def _publishers(self) -> list[Publisher]:
        found = self.node.get_publishers_info_by_topic(self.node.embodiment.command_topic)
        return [Publisher(bytes(one.endpoint_gid), node_of(one)) for one in found]

    def start(self) -> None:
        """Publish the first observation and begin."""
        raise NotImplementedError

    def after_reset(self) -> None:
        """A new episode has been started."""
        self.limiter.reset()
        self.driver.release()
        self.advance_time()
        self.publish()

    def on_command(self, message: Command, publisher: bytes) -> None:
        """A command came in on the topic; ``publisher``: the middleware's identifier, empty when it is not told."""
        raise NotImplementedError

    def advance_time(self) -> None:
        """The next observation is one period later."""
        self.stamp_ns += self.period_ns

    def publish(self) -> None:
        """Publish the observation: the state at once, pictures when they are wanted."""
        self.node.output.observation(self.stamp_ns)
        self.node.publish_pictures(self.stamp_ns)

    def taken(self, message: Command, publisher: bytes) -> np.ndarray | None:
        """The command's values within the limits, ``float32 (k,)``, if its publisher may drive and they are sound."""
        now = time.monotonic()
        if reason := self.driver.why_not(publisher, now):
            self.node.diagnostics.drop("commands of another driver", reason)
            return None
        try:
            action = self.action(message)
        except BadCommand as error:
            self.node.diagnostics.drop("commands refused", str(error))
            return None
        if stops(message):
            self.driver.release()
        else:
            self.driver.drives(publisher, now)
        return action

    def action(self, message: Command) -> np.ndarray:
        """The command's values within the limits, ``float32 (k,)``. Raises BadCommand."""
        checked = self.limiter.apply(message.values, self.period_ns / SECOND)
        if checked.limited:
            self.node.diagnostics.drop("commands cut to their limits", ", ".join(checked.limited))
        return checked.values

    def step(self, action: np.ndarray) -> None:
        """Take one step and keep count of how long it took."""
        started = time.perf_counter()
        self.runner.step(action)
        self.node.step_time.add(time.perf_counter() - started)
        self.node.step_rate.tick()


class OnSimulatedTime(SteppingMode):
    """Stands still until it is told to step; what it has shown is published again as long as nothing happens."""

    def start(self) -> None:
        """Publish the first observation, and again as long as nothing happens."""
        self._quiet = False
        self.node.create_timer(REPEAT_PERIOD, self._repeat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.publish()

    def _repeat(self) -> None:
        if self._quiet:
            SteppingMode.publish(self)  # whoever subscribed late, also where answers carry the observation
        self._quiet = True


class LockStep(OnSimulatedTime):
    """Advances when the command that answers the last observation arrives; others are ignored and counted."""

    def after_reset(self) -> None:
        """See :class:`SteppingMode`."""
        self._quiet = False
        super().after_reset()

    def on_command(self, message: Command, publisher: bytes) -> None:
        """See :class:`SteppingMode`."""
        answered = to_ns(message.observation_stamp)
        if stops(message):
            if not self.driver.why_not(publisher, time.monotonic()):
                self.driver.release()
            return  # without an answer the simulation stands still in any case
        if answered != self.stamp_ns:
            self.node.diagnostics.drop(
                "commands ignored",
                f"one answers the observation of {answered} ns, the last is of "
                f"{self.stamp_ns} ns; in lock-step a command must carry the stamp it answers",
            )
            return
        if self.runner.episode.ended:
            return
        if (action := self.taken(message, publisher)) is None:
            return
        self._quiet = False
        self.step(action)
        self.advance_time()
        self.publish()


class ByService(OnSimulatedTime):
    """Advances by step_episode alone."""

    def publish(self) -> None:
        """The answer carries the observation; topics only when somebody listens."""
        self._quiet = False
        if self.node.output.heard():
            super().publish()
        else:
            self.node.publish_pictures(self.stamp_ns)

    def on_command(self, message: Command, publisher: bytes) -> None:
        """See :class:`SteppingMode`."""
        self.node.diagnostics.drop("commands ignored", "stepping mode 'service' is driven by step_episode alone")

    def serve_step(self, message: Command) -> None:
        """One step on request.

        Raises:
            BadCommand: why it was not taken.
        """
        episode = self.runner.episode
        if episode.ended:
            raise BadCommand(f"episode {episode.id} has ended ({episode.termination_reason.name}); call reset_episode")
        stamp_ns = to_ns(message.observation_stamp)
        if stamp_ns not in (0, self.stamp_ns):
            raise BadCommand(f"the command answers the observation of {stamp_ns} ns, the last is of {self.stamp_ns} ns")
        self.step(self.action(message))
        self.advance_time()
        self.publish()
