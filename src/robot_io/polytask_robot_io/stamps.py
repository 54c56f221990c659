"""Time stamps: ``builtin_interfaces/Time`` messages to integer nanoseconds and back.

Inside the project a stamp is always an ``int`` of nanoseconds since the clock's epoch, so that stamps compare exactly.
"""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time

from polytask_robot_io.errors import BadMessage

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


def to_ns(stamp: Any) -> int:
    """Nanoseconds of a ``builtin_interfaces/Time``; takes rclpy's and the rosbags library's class alike."""
    return int(stamp.sec) * SECOND + int(stamp.nanosec)


def checked_ns(topic: str, seconds: int, nanoseconds: int) -> int:
    """Nanoseconds (> 0) of the two numbers of a header's stamp; ``topic`` names the message in errors.

    Raises:
        BadMessage: there is no stamp (zero), or it is none (below zero, a second's worth of nanoseconds or more).
    """
    if not seconds and not nanoseconds:
        raise BadMessage(f"{topic}: the header has no stamp; its publisher must fill it in")
    if seconds < 0 or not 0 <= nanoseconds < SECOND:
        raise BadMessage(f"{topic}: the header's stamp is none: {seconds} s and {nanoseconds} ns")
    return int(seconds) * SECOND + int(nanoseconds)


def header_ns(topic: str, message: Any) -> int:
    """Nanoseconds (> 0) of a message's header stamp. Raises BadMessage as :func:`checked_ns` does."""
    return checked_ns(topic, message.header.stamp.sec, message.header.stamp.nanosec)


def from_ns(stamp_ns: int) -> Time:
    """``builtin_interfaces/Time`` of nanoseconds (>= 0)."""
    return Time(sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
