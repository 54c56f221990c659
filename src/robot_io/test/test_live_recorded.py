"""Live messages and recorded ones, read back by two libraries, give the same arrays."""

import array
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
    """Twenty periods of state, joints (arm and gripper apart) and pictures that lag by some milliseconds."""
    random = np.random.default_rng(0)
    for k in range(20):
        now = T0 + k * 50 * MS
        yield "state", STATE_TYPE, toys.state(now, random.normal(size=3))
        arm, grip = (array.array("d", random.normal(size=1)) for _ in range(2))
        yield "joint_states", JOINTS_TYPE, toys.joints(now + MS, name=["arm_joint"], position=arm)
        yield "joint_states", JOINTS_TYPE, toys.joints(now + 2 * MS, name=["grip_joint"], velocity=grip)
        if k % 3:
            yield "camera/image_raw", IMAGE_TYPE, toys.picture(now + 7 * MS, shade=k)


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


@pytest.mark.parametrize("read", [by_rosbags, by_mcap])
def test_recorded_gives_the_arrays_of_live(read):
    expected, got = assembled(live(episode())), assembled(read(episode()))
    assert len(expected) == 13
    assert [one.stamp_ns for one in got] == [one.stamp_ns for one in expected]
    for one, two in zip(expected, got, strict=True):
        assert two.state.dtype == np.float32
        assert np.array_equal(one.state, two.state)
        assert np.array_equal(one.images["camera"], two.images["camera"])
        assert two.images["camera"].dtype == np.uint8
