"""A node's report on /diagnostics once a second: rates, jitter, latencies, and what it dropped and why."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from polytask_robot_io import qos
from polytask_robot_io.text import printable

WINDOW = 1000
"""Samples over which rate, jitter and percentiles are taken."""


def percentile(ordered: list[float], share: float) -> float:
    """The value below which ``share`` of the ordered samples lie (nearest rank); nan when there are none."""
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


class Intervals:
    """Rate and jitter of something that should happen periodically."""

    def __init__(self, expected_rate: float | None = None) -> None:
        """``expected_rate`` in Hz: periods more than half as long again count as overruns."""
        self._limit = 1.5 / expected_rate if expected_rate else math.inf
        self._last: float | None = None
        self._periods: deque[float] = deque(maxlen=WINDOW)
        self.count = 0
        self.overruns = 0

    def tick(self, now: float | None = None) -> None:
        """It happened: now, or at ``now`` (s of a steady clock)."""
        now = time.perf_counter() if now is None else now
        if self._last is not None:
            period = now - self._last
            self._periods.append(period)
            self.overruns += period > self._limit
        self._last = now
        self.count += 1

    def pause(self) -> None:
        """What follows does not continue what went before; the gap is no period."""
        self._last = None

    def values(self) -> dict[str, str]:
        """Rate in Hz over the window, jitter (standard deviation) and greatest period in ms, overruns."""
        shown = {"count": str(self.count)}
        if self._periods:
            mean = sum(self._periods) / len(self._periods)
            spread = math.sqrt(sum((period - mean) ** 2 for period in self._periods) / len(self._periods))
            shown["rate [Hz]"] = f"{1 / mean:.2f}" if mean > 0 else "inf"
            shown["jitter [ms]"] = f"{1e3 * spread:.3f}"
            shown["longest period [ms]"] = f"{1e3 * max(self._periods):.3f}"
        if self._limit < math.inf:
            shown["overruns"] = str(self.overruns)
        return shown


class Durations:
    """Median and 99th percentile of a duration."""

    def __init__(self) -> None:
        """Without samples."""
        self._samples: deque[float] = deque(maxlen=WINDOW)

    def add(self, seconds: float) -> None:
        """One more sample."""
        self._samples.append(seconds)

    def values(self) -> dict[str, str]:
        """p50, p99 and greatest in ms over the window."""
        if not self._samples:
            return {}
        ordered = sorted(self._samples)
        shares = {"p50 [ms]": 0.5, "p99 [ms]": 0.99, "max [ms]": 1.0}
        return {key: f"{1e3 * percentile(ordered, share):.3f}" for key, share in shares.items()}


class NodeDiagnostics:
    """One node's line on /diagnostics, published at 1 Hz of a steady clock (also when simulated time stands still)."""

    def __init__(self, node: Node, hardware_id: str) -> None:
        """``hardware_id``: what the node drives, e.g. the embodiment's name."""
        self._node = node
        self._hardware_id = hardware_id
        self._trackers: dict[str, Intervals | Durations] = {}
        self._dropped: dict[str, list[Any]] = {}
        self._warning = ""
        self._values: dict[str, str] = {}
        self._state = (DiagnosticStatus.OK, "running")
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(1.0, self.publish, clock=self._clock)

    def intervals(self, name: str, expected_rate: float | None = None) -> Intervals:
        """A tracker of rate and jitter, shown as ``<name> rate`` and so on."""
        tracker = Intervals(expected_rate)
        self._trackers[name] = tracker
        return tracker

    def durations(self, name: str) -> Durations:
        """A tracker of a latency, shown as ``<name> p50`` and so on."""
        tracker = Durations()
        self._trackers[name] = tracker
        return tracker

    def drop(self, what: str, reason: str) -> None:
        """Something was not used. Counted, shown with its last reason, and logged at most once in five seconds.

        The reason may quote text from outside; what cannot be printed is escaped, and what is long is cut.
        """
        reason = printable(reason)
        entry = self._dropped.setdefault(what, [0, ""])
        entry[0] += 1
        entry[1] = reason
        self._warning = f"{what}: {reason}"
        self._node.get_logger().warning(f"{what}: {reason}", throttle_duration_sec=5.0)

    def count(self, what: str) -> int:
        """How many ``what`` were dropped."""
        return self._dropped[what][0] if what in self._dropped else 0

    def show(self, name: str, value: object) -> None:
        """A value to show from now on."""
        self._values[name] = printable(str(value))

    def state(self, level: bytes, message: str) -> None:
        """The node's own level (``DiagnosticStatus.OK``, ``WARN``, ``ERROR``, ``STALE``) and what it is doing."""
        self._state = (level, printable(message))

    def publish(self) -> None:
        """Publish now; the timer does so every second."""
        level, message = self._state
        if self._warning and level == DiagnosticStatus.OK:
            level, message = DiagnosticStatus.WARN, self._warning
        self._warning = ""
        values = dict(self._values)
        for name, tracker in self._trackers.items():
            values |= {f"{name} {key}": value for key, value in tracker.values().items()}
        for what, (count, reason) in self._dropped.items():
            values[what] = str(count)
            values[f"{what} last reason"] = reason
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name()
        status = DiagnosticStatus(level=level, name=name, message=message, hardware_id=self._hardware_id)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array.status = [status]
        self._publisher.publish(array)
