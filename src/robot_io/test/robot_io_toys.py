"""A small embodiment and messages for it."""

import array

import numpy as np
from sensor_msgs.msg import JointState

from polytask_interfaces.msg import StateVector
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.images import to_message
from polytask_robot_io.stamps import from_ns

MS = 1_000_000
NAMES = ("hand.x", "hand.y", "hand.z")


def embodiment(cameras=("camera",), joints=False):
    """Three entries of ``state``, 20 Hz; with ``joints`` two more from ``joint_states``."""
    state = "".join(f"  - {{name: {name}, topic: state, unit: m, frame: base}}\n" for name in NAMES)
    if joints:
        for name, quantity in (("arm", "position"), ("grip", "velocity")):
            state += f"  - {{name: {name}, topic: joint_states, joint: {name}_joint, quantity: {quantity},"
            state += " unit: rad, frame: none}\n"
    views = "".join(
        f"  - {{name: {name}, topic: {name}/image_raw, info_topic: {name}/camera_info, frame: optical, "
        "encoding: rgb8, width: 8, height: 6}\n"
        for name in cameras
    )
    return Embodiment.from_yaml(
        "name: toy\ndescription: toy\nrate: 20.0\nmax_age: 0.2\n"
        f"state:\n{state}cameras:{' []' if not cameras else ''}\n{views}"
        "command:\n  topic: command\n  frame: base\n  values:\n"
        "    - {name: dx, unit: m, frame: base, scale: 0.02, minimum: -1.0, maximum: 1.0}\n"
        "    - {name: grip, unit: '1', frame: none, scale: 1.0, minimum: -1.0, maximum: 1.0}\n"
    )


def state(stamp_ns, values=(1.0, 2.0, 3.0), names=NAMES):
    message = StateVector(names=list(names))
    message.values = array.array("d", values)
    message.header.stamp = from_ns(stamp_ns)
    return message


def joints(stamp_ns, **quantities):
    """``joints(t, name=[...], position=[...])``."""
    message = JointState(**quantities)
    message.header.stamp = from_ns(stamp_ns)
    return message


def picture(stamp_ns, shade=0, width=8, height=6):
    pixels = np.full((height, width, 3), shade, dtype=np.uint8)
    pixels[0, 0] = (1, 2, 3)
    return to_message(pixels, from_ns(stamp_ns), "optical")
