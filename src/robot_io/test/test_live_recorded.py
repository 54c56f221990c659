"""Live messages and recorded ones, read back by two libraries, give the same arrays."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import robot_io_toys as toys
from ament_index_python.packages import get_package_share_directory
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.writer import Writer
from rclpy.serialization import deserialize_message, serialize_message
from robot_io_toys import MS
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from polytask_robot_io.observation import ObservationAssembler
from polytask_robot_io.stamps import to_ns

T0 = 1000 * MS
STATE_TYPE = "polytask_interfaces/msg/StateVector"
IMAGE_TYPE = "sensor_msgs/msg/Image"
JOINTS_TYPE = "sensor_msgs/msg/JointState"

HEADER = """================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
TEXTS = {
    "sensor_msgs/msg/Image": "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n"
    "uint8 is_bigendian\nuint32 step\nuint8[] data\n" + HEADER,
    "sensor_msgs/msg/JointState": "std_msgs/Header header\nstring[] name\nfloat64[] position\n"
    "float64[] velocity\nfloat64[] effort\n" + HEADER,
    STATE_TYPE: "std_msgs/Header header\nstring[] names\nfloat64[] values\n" + HEADER,
}


def episode():
    """Five periods of state, joints (arm and gripper apart) and pictures, some of them missing."""

    def period(k, values, arm, grip=None, grip_after=2, picture_after=None):
        now = T0 + k * 50 * MS
        messages = [
            ("state", STATE_TYPE, toys.state(now, values)),
            ("joint_states", JOINTS_TYPE, toys.joints(now + MS, name=["arm_joint"], position=[arm])),
        ]
        if grip is not None:
            message = toys.joints(now + grip_after * MS, name=["grip_joint"], velocity=[grip])
            messages.append(("joint_states", JOINTS_TYPE, message))
        if picture_after is not None:
            messages.append(("camera/image_raw", IMAGE_TYPE, toys.picture(now + picture_after * MS, shade=10 + k)))
        return sorted(messages, key=lambda one: to_ns(one[2].header.stamp))

    yield from period(0, (0.5, 1.5, 2.5), 0.25, -1.0)  # no picture
    yield from period(1, (10.5, 11.5, 12.5), 10.25, -11.0, picture_after=7)
    yield from period(2, (20.5, 21.5, 22.5), 20.25, picture_after=0)  # no gripper
    yield from period(3, (30.5, 31.5, 32.5), 30.25, -31.0, grip_after=-24, picture_after=24)  # just near enough
    yield from period(4, (40.5, 41.5, 42.5), 40.25, -41.0, picture_after=7)


EXPECTED = [
    (T0 + 50 * MS, [10.5, 11.5, 12.5, 10.25, -11.0], 11),
    (T0 + 150 * MS, [30.5, 31.5, 32.5, 30.25, -31.0], 13),
    (T0 + 200 * MS, [40.5, 41.5, 42.5, 40.25, -41.0], 14),
]
"""By hand: stamp, state and shade of the picture of each observation."""


def live(messages):
    """As a subscription hands them over: through the wire format."""
    for topic, kind, message in messages:
        yield topic, kind, deserialize_message(serialize_message(message), type(message))


def by_rosbags(messages):
    """As the rosbags library reads them."""
    store = get_typestore(Stores.ROS2_JAZZY)
    text = Path(get_package_share_directory("polytask_interfaces"), "msg", "StateVector.msg").read_text()
    store.register(get_types_from_msg(text, STATE_TYPE))
    for topic, kind, message in messages:
        yield topic, kind, deserialize(store, serialize_message(message), kind)


def deserialize(store, data, kind):
    """``serialize_message`` may leave some bytes too many at the end, which do not go over the wire."""
    for spare in (0, 4, 8):
        with contextlib.suppress(SerdeError):
            return store.deserialize_cdr(data[: len(data) - spare], kind)
    raise AssertionError(f"{kind} cannot be read")


def by_mcap(messages):
    """As mcap-ros2-support writes and reads them."""
    file = io.BytesIO()
    writer = Writer(file)
    schemas = {kind: writer.register_msgdef(kind, text) for kind, text in TEXTS.items()}
    listed = list(messages)
    for topic, kind, message in listed:
        stamp_ns = to_ns(message.header.stamp)
        writer.write_message(topic, schemas[kind], message, log_time=stamp_ns, publish_time=stamp_ns)
    writer.finish()
    file.seek(0)
    decoded = make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages(log_time_order=False)
    for schema, channel, _, message in decoded:
        yield channel.topic, schema.name, message


def assembled(messages):
    one = ObservationAssembler(toys.embodiment(joints=True))
    seen = {}
    for topic, _, message in messages:
        one.feed(topic, message)
        newest = one.newest()
        if newest is not None:
            seen[newest.stamp_ns] = newest
    return list(seen.values())


@pytest.mark.parametrize("read", [live, by_rosbags, by_mcap])
def test_live_and_recorded_give_the_same_arrays(read):
    got = assembled(read(episode()))
    assert [(one.stamp_ns, one.state.tolist(), int(one.images["camera"][3, 3, 0])) for one in got] == EXPECTED
    for one in got:
        assert one.state.dtype == np.float32
        assert one.images["camera"].shape == (6, 8, 3)
        assert one.images["camera"].dtype == np.uint8
        assert one.images["camera"][0, 0].tolist() == [1, 2, 3]
