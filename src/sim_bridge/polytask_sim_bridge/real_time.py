"""Real time: the simulation behaves as a robot does, whoever commands it."""

from __future__ import annotations

import time

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from polytask_interfaces.msg import Command
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.stamps import SECOND, header_ns, to_ns
from polytask_sim_bridge.stepping_mode import SteppingMode


class RealTime(SteppingMode):
    """Advances at the control rate with the newest command; without a fresh one it holds still.

    The steps of an episode with a task are counted from its first command on: until then the scene rests as it was
    reset, so that a policy's warm-up costs it no time. After its end the last state goes on being published. The world,
    an episode without a task, goes on from its reset.
    """

    simulated_time = False

    def start(self) -> None:
        """Begin to tick, with the renderer made beforehand: that takes many periods."""
        self.node.why_no_pictures()
        self._command: np.ndarray | None = None
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

    def _advance_clock(self) -> None:
        """The observation is of now, whatever was done to the system's clock."""
        before, self.stamp_ns = self.stamp_ns, self._now()
        if self.stamp_ns <= before:
            # What was observed before seems to come from the future now, and the episode to begin then.
            self._first_stamp = self.stamp_ns
            back = (before - self.stamp_ns) / SECOND
            self.node.diagnostics.drop(
                "clock set back", f"by {back:.3f} s; commands on what was seen before are dropped"
            )

    def after_reset(self) -> None:
        """See :class:`SteppingMode`; what was commanded before is forgotten."""
        self.limiter.reset()
        self.driver.release()
        self._command, self._started = None, False
        self._first_stamp = self.stamp_ns = self._now()
        # The next observation is one period after this one: whoever answers every observation keeps his rate.
        self._timer.reset()
        self.publish()

    def on_command(self, message: Command, publisher: bytes) -> None:
        """Keep it for the next tick, unless its stamps say that it is not for now."""
        now_ns = self._now()
        answered = to_ns(message.observation_stamp)
        try:
            issued = header_ns("command", message)
        except BadMessage as error:
            self.node.diagnostics.drop("commands without a stamp", str(error))
            return
        if dropped := self._not_for_now(now_ns, issued, answered):
            self.node.diagnostics.drop(*dropped)
            return
        if (action := self.taken(message, publisher)) is None:
            return
        self._command, self._arrived, self._started = action, time.monotonic(), True
        if answered:
            self.answers.add((now_ns - answered) / SECOND)

    def _not_for_now(self, now_ns: int, issued: int, answered: int) -> tuple[str, str] | None:
        """What to count a command of these stamps (ns; ``answered`` 0: none) as, and why; None: it is for now."""
        limit = f"limit {self._max_age} s; do the clocks of the machines agree?"
        age, seen = (now_ns - issued) / SECOND, (now_ns - answered) / SECOND
        if age > self._max_age:
            return "stale commands", f"one was {age:.3f} s old on arrival, {limit}"
        if age < -self._max_age:
            return "commands from the future", f"one is stamped {-age:.3f} s from now, {limit}"
        if not answered:
            return None
        if answered < self._first_stamp:
            return "commands ignored", "one answers an observation of the episode before"
        if answered > self.stamp_ns:
            return "commands from the future", f"one answers an observation of {-seen:.3f} s from now"
        if seen > self._max_age:
            return "stale commands", f"one answers an observation of {seen:.3f} s ago, {limit}"
        return None

    def _tick(self) -> None:
        began = time.perf_counter()
        self.ticks.tick(began)
        episode = self.runner.episode
        if (self._started or not episode.task) and not episode.ended:
            if self._command is not None and time.monotonic() - self._arrived > self._max_age:
                self._command = None
                self.node.diagnostics.drop("stale commands", f"no command for {self._max_age} s; holding still")
            self.step(self._hold if self._command is None else self._command)
        self._advance_clock()
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
