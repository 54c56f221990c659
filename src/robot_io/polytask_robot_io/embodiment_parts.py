"""The entries of an embodiment file: state fields, cameras, command values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Quantity = Literal["value", "position", "velocity", "effort"]


@dataclass(frozen=True)
class StateField:
    """One entry of the state vector and where it is found on the topics."""

    name: str
    """Name within the state vector, e.g. ``grasp.x``."""
    topic: str
    """Relative topic that carries it."""
    entry: str
    """Name within that message: of a ``StateVector`` entry, or of a joint."""
    quantity: Quantity
    """``value`` for a StateVector's entry; ``position``, ``velocity`` or ``effort`` for a JointState's joint."""
    unit: str
    """SI unit, e.g. ``m``, ``rad/s``; ``1`` where there is none."""
    frame: str
    """Frame in which the value is given; ``none`` for a scalar such as a joint angle."""
    range: tuple[float, float] | None = None
    """Least and greatest plausible value, in ``unit``; a message with another one is refused. ``None``: any."""


@dataclass(frozen=True)
class Camera:
    """One camera: its topics and the picture expected on them."""

    name: str
    topic: str
    """Relative topic of its sensor_msgs/Image."""
    info_topic: str
    """Relative topic of its sensor_msgs/CameraInfo."""
    frame: str
    """Optical frame (REP-103)."""
    encoding: str
    """``rgb8`` or ``bgr8`` on the topic; arrays are always RGB."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


@dataclass(frozen=True)
class CommandValue:
    """One entry of the command vector, normalised to [-1, 1] on the topic."""

    name: str
    unit: str
    """Unit of the scaled value, e.g. ``m``."""
    frame: str
    """Frame in which it is given; ``none`` for a scalar such as a gripper's."""
    scale: float
    """What a command of 1 means, in ``unit`` (> 0)."""
    minimum: float
    """Least normalised value allowed, in [-1, 1]."""
    maximum: float
    """Greatest normalised value allowed, in [-1, 1]."""
    max_change: float | None
    """Largest change of the normalised value per second (> 0); ``None``: not limited."""
