"""QoS profiles by name, one per topic of the contract.

``state``, ``episode`` and ``command`` are reliable because lock-step stops at a lost message; a best-effort subscriber
may still listen to them. Cameras and joint states are sensor data: a late one is worth nothing, so none is sent twice.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _keep_last(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


def _reliable() -> QoSProfile:
    return _keep_last(10, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)


def _sensor_data() -> QoSProfile:
    return _keep_last(5, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)


STATE = _reliable()
EPISODE = _reliable()
COMMAND = _reliable()
CAMERA = _sensor_data()
JOINT_STATES = _sensor_data()
DIAGNOSTICS = _reliable()
CLOCK = _keep_last(10, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
LATCHED = _keep_last(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
SERVICES = _keep_last(1000, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""Of a server, its services' and those that an action is made of: a request beyond the history is never answered."""
ACTION_SERVICES = {f"{service}_service_qos_profile": SERVICES for service in ("goal", "cancel", "result")}
"""Arguments of an ActionServer."""
