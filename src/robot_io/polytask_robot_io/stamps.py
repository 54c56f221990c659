"""Time stamps: ``builtin_interfaces/Time`` messages to integer nanoseconds and back.

Inside the project a stamp is always an ``int`` of nanoseconds since the clock's epoch, so that stamps compare exactly.
"""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


def to_ns(stamp: Any) -> int:
    """Nanoseconds of a ``builtin_interfaces/Time``; takes rclpy's and the rosbags library's class alike."""
    return int(stamp.sec) * SECOND + int(stamp.nanosec)


def from_ns(stamp_ns: int) -> Time:
    """``builtin_interfaces/Time`` of nanoseconds (>= 0)."""
    return Time(sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
