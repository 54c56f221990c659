"""Messages as bytes, from raw subscriptions: whatever came over the wire, it is read or refused, and nothing else."""

from __future__ import annotations

import struct
from typing import Any

from rclpy.serialization import deserialize_message

from polytask_robot_io.errors import BadMessage
from polytask_robot_io.stamps import checked_ns

_STAMP = {True: struct.Struct("<iI"), False: struct.Struct(">iI")}


def read_message(topic: str, data: bytes, kind: type) -> Any:
    """The message of class ``kind`` that ``data`` holds; ``topic`` names it in errors.

    Raises:
        BadMessage: the bytes are no such message.
    """
    try:
        return deserialize_message(data, kind)
    except Exception as error:  # of rmw, of Fast CDR, of the conversion to Python: noise finds them all
        raise BadMessage(
            f"{topic}: {len(data)} bytes are no {kind.__name__} message; does another kind of program publish there?"
        ) from error


def header_stamp(topic: str, data: bytes) -> int:
    """Header stamp in ns (> 0) of a serialised message that begins with a std_msgs/Header; ``topic`` as above.

    Raises:
        BadMessage: too few bytes, or no stamp, see :func:`polytask_robot_io.stamps.checked_ns`.
    """
    try:
        seconds, nanoseconds = _STAMP[bool(data[1] & 1)].unpack_from(data, 4)
    except (IndexError, struct.error) as error:
        raise BadMessage(f"{topic}: {len(data)} bytes are too few for a message with a header") from error
    return checked_ns(topic, seconds, nanoseconds)
