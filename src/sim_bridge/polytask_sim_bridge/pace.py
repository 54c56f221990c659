"""The three paces at which the simulation may advance. All run in the node's one thread, which also draws.

A pace is told of commands and resets and decides when to step; it never waits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from polytask_interfaces.msg import Command
from polytask_robot_io.commands import CommandLimiter
from polytask_robot_io.errors import BadCommand
from polytask_robot_io.stamps import SECOND, to_ns

if TYPE_CHECKING:
    from polytask_sim_bridge.sim_bridge_node import SimBridgeNode

REPEAT_PERIOD = 0.5
"""Seconds of wall time after which an observation that nobody answered is published again, for late subscribers."""
FIRST_STAMP = SECOND
"""Simulated time starts here, since a stamp of zero means none."""


class Pace:
    """What all paces share: the stamp of the last observation, and the check of commands."""

    simulated_time = True

    def __init__(self, node: SimBridgeNode) -> None:
        """``node``: whose simulation it drives."""
        self.node = node
        self.runner = node.runner
        self.stamp_ns = FIRST_STAMP
        self.period_ns = round(SECOND / node.runner.env.control_rate)
        self.limiter = CommandLimiter(node.embodiment)

    def start(self) -> None:
        """Publish the first observation and begin."""
        raise NotImplementedError

    def after_reset(self) -> None:
        """A new episode has been started."""
        self.limiter.reset()
        self.advance_time()
        self.publish()

    def on_command(self, message: Command) -> None:
        """A command came in on the topic."""
        raise NotImplementedError

    def advance_time(self) -> None:
        """The next observation is one period later."""
        self.stamp_ns += self.period_ns

    def publish(self) -> None:
        """Publish the observation: the state at once, pictures when they are wanted."""
        self.node.output.observation(self.stamp_ns)
        self.node.publish_pictures(self.stamp_ns)

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


class LockStep(Pace):
    """Advances when the command that answers the last observation arrives; others are ignored and counted."""

    def start(self) -> None:
        """Publish the first observation, and again as long as nobody answers."""
        self._quiet = False
        self.node.create_timer(REPEAT_PERIOD, self._repeat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.publish()

    def _repeat(self) -> None:
        if self._quiet:
            self.publish()
        self._quiet = True

    def after_reset(self) -> None:
        """See :class:`Pace`."""
        self._quiet = False
        super().after_reset()

    def on_command(self, message: Command) -> None:
        """See :class:`Pace`."""
        answered = to_ns(message.observation_stamp)
        if answered == 0 and not any(message.values):
            return  # a stop; without an answer the simulation stands still in any case
        if answered != self.stamp_ns:
            self.node.diagnostics.drop(
                "commands ignored",
                f"one answers the observation of {answered} ns, the last is of "
                f"{self.stamp_ns} ns; in lock-step a command must carry the stamp it answers",
            )
            return
        if self.runner.episode.ended:
            return
        try:
            action = self.action(message)
        except BadCommand as error:
            self.node.diagnostics.drop("commands refused", str(error))
            return
        self._quiet = False
        self.step(action)
        self.advance_time()
        self.publish()


class ByService(Pace):
    """Advances by step_episode alone."""

    def start(self) -> None:
        """Publish the first observation, and again as long as nothing happens."""
        self._quiet = False
        self.node.create_timer(REPEAT_PERIOD, self._repeat, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.publish()

    def _repeat(self) -> None:
        if self._quiet:
            super().publish()
        self._quiet = True

    def publish(self) -> None:
        """The answer carries the observation; topics only when somebody listens."""
        self._quiet = False
        if self.node.output.heard():
            super().publish()
        else:
            self.node.publish_pictures(self.stamp_ns)

    def on_command(self, message: Command) -> None:
        """See :class:`Pace`."""
        self.node.diagnostics.drop("commands ignored", "pace 'service' is driven by step_episode alone")

    def serve_step(self, message: Command) -> None:
        """One step on request.

        Raises:
            BadCommand: why it was not taken.
        """
        episode = self.runner.episode
        if episode.ended:
            raise BadCommand(f"episode {episode.id} has ended ({episode.why.name}); call reset_episode")
        stamp_ns = to_ns(message.observation_stamp)
        if stamp_ns not in (0, self.stamp_ns):
            raise BadCommand(f"the command answers the observation of {stamp_ns} ns, the last is of {self.stamp_ns} ns")
        self.step(self.action(message))
        self.advance_time()
        self.publish()


class RealTime(Pace):
    """Advances at the control rate with the newest command; without a fresh one it holds still.

    An episode's steps are counted from its first command on: until then the scene rests as it was reset, so that a
    policy's warm-up costs it no time. After its end the last state goes on being published.
    """

    simulated_time = False

    def start(self) -> None:
        """Begin to tick, with the renderer made beforehand: that takes many periods."""
        self.node.why_no_pictures()
        self._command: Any = None
        self._arrived = 0.0
        self._first_stamp = self.stamp_ns = self._now()
        self._started = False
        self._render_time = 0.0
        self._max_age = self.node.embodiment.max_age
        self._hold = np.zeros(len(self.node.embodiment.command), dtype=np.float32)
        self.ticks = self.node.diagnostics.intervals("tick", self.runner.env.control_rate)
        self.answers = self.node.diagnostics.durations("observation to command")
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.node.create_timer(self.period_ns / SECOND, self._tick, clock=steady)

    def _now(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def after_reset(self) -> None:
        """See :class:`Pace`; what was commanded before is forgotten."""
        self.limiter.reset()
        self._command, self._started = None, False
        self._first_stamp = self.stamp_ns = self._now()
        # The next observation is one period after this one: whoever answers every observation keeps his rate.
        self._timer.reset()
        self.publish()

    def on_command(self, message: Command) -> None:
        """Keep it for the next tick."""
        answered = to_ns(message.observation_stamp)
        if 0 < answered < self._first_stamp:
            self.node.diagnostics.drop("commands ignored", "one answers an observation of the episode before")
            return
        try:
            self._command = self.action(message)
        except BadCommand as error:
            self.node.diagnostics.drop("commands refused", str(error))
            return
        now_ns = self._now()
        self._arrived = time.monotonic()
        issued = to_ns(message.header.stamp)
        if issued and now_ns - issued > self.node.embodiment.max_age_ns:
            self._command = None
            age = (now_ns - issued) / SECOND
            self.node.diagnostics.drop("stale commands", f"one was {age:.3f} s old on arrival, limit {self._max_age} s")
            return
        self._started = True
        if answered:
            self.answers.add((now_ns - answered) / SECOND)

    def _tick(self) -> None:
        began = time.perf_counter()
        self.ticks.tick(began)
        if self._started and not self.runner.episode.ended:
            if self._command is not None and time.monotonic() - self._arrived > self._max_age:
                self._command = None
                self.node.diagnostics.drop("stale commands", f"no command for {self._max_age} s; holding still")
            self.step(self._hold if self._command is None else self._command)
        self.stamp_ns = self._now()
        self.node.output.observation(self.stamp_ns)
        if not self.node.output.pictures_wanted():
            return
        drawing = time.perf_counter()
        if drawing - began + self._render_time > 0.9 * self.period_ns / SECOND:
            # The next tick must not wait for a picture. Expect less next time, or one slow picture would be the last.
            self._render_time *= 0.8
            self.node.diagnostics.drop("pictures skipped", "drawing takes longer than is left of the control period")
            return
        self.node.publish_pictures(self.stamp_ns)
        self._render_time = time.perf_counter() - drawing


PACES: dict[str, type[Pace]] = {"real_time": RealTime, "lock_step": LockStep, "service": ByService}
