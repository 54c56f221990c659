"""Pictures: sensor_msgs/Image to ``uint8 (H, W, 3)`` RGB arrays and back, through cv_bridge.

Takes the classes of rclpy, of the rosbags library and of mcap-ros2-support alike.
"""

from __future__ import annotations

import array
import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from polytask_robot_io.errors import BadMessage
from polytask_robot_io.text import printable

CHANNELS = 3
ENCODINGS = ("rgb8", "bgr8")


@functools.cache
def _bridge() -> Any:
    # Imported on first use: it loads OpenCV, which nodes without a camera do not need.
    from cv_bridge import CvBridge

    return CvBridge()


def check_image(message: Any, width: int | None = None, height: int | None = None) -> None:
    """Refuse a picture that cannot be read; ``width`` and ``height`` in pixels, where they must hold.

    Raises:
        BadMessage: 0x0, an encoding other than rgb8 or bgr8, truncated data, or another size than wanted.
    """
    if message.encoding not in ENCODINGS:
        raise BadMessage(
            f"image encoding is '{printable(message.encoding, 60)}', not one of {', '.join(ENCODINGS)}; "
            "convert it before sending"
        )
    if message.width < 1 or message.height < 1:
        raise BadMessage(f"image is {message.width}x{message.height}: it has no pixels")
    row = message.width * CHANNELS
    if message.step < row:
        raise BadMessage(
            f"image step is {message.step} bytes, but {message.width} {message.encoding} pixels need {row}"
        )
    if len(message.data) != message.step * message.height:
        raise BadMessage(
            f"image is truncated or padded: {len(message.data)} bytes of data, "
            f"step {message.step} x height {message.height} = {message.step * message.height}"
        )
    if (width is not None and message.width != width) or (height is not None and message.height != height):
        raise BadMessage(f"image is {message.width}x{message.height}, but {width}x{height} is declared")


def to_array(message: Any) -> np.ndarray:
    """RGB array ``uint8 (H, W, 3)`` of a picture, checked by :func:`check_image`; not shared with the message.

    Raises:
        BadMessage: see :func:`check_image`.
    """
    check_image(message)
    row = message.width * CHANNELS
    data = np.frombuffer(message.data, dtype=np.uint8)
    if message.step != row:
        # Rows padded to an alignment: cv_bridge for Python takes the data as dense.
        data = np.ascontiguousarray(data.reshape(message.height, message.step)[:, :row]).reshape(-1)
    dense = SimpleNamespace(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=0,
        step=row,
        data=data,
    )
    picture = _bridge().imgmsg_to_cv2(dense, "rgb8")
    # cv_bridge may hand out a view of the message's own buffer.
    return np.array(picture, dtype=np.uint8, copy=True)


def to_message(picture: np.ndarray, stamp: Any = None, frame: str = "") -> Image:
    """Image message (rgb8) of an RGB array ``uint8 (H, W, 3)``; ``stamp`` a builtin_interfaces/Time.

    Raises:
        ValueError: another shape or dtype.
    """
    if picture.ndim != 3 or picture.shape[2] != CHANNELS or picture.dtype != np.uint8:
        raise ValueError(f"a picture must be uint8 (H, W, 3), not {picture.dtype} {picture.shape}")
    height, width, _ = picture.shape
    # Filled by hand rather than by cv_bridge, whose bytes rclpy would copy once more value by value.
    message = Image(height=height, width=width, encoding="rgb8", is_bigendian=0, step=width * CHANNELS)
    message.data = array.array("B", picture.tobytes())
    message.header.frame_id = frame
    if stamp is not None:
        message.header.stamp = stamp
    return message
