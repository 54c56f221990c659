"""Bytes that are no message are refused with one sentence, whatever they are."""

import random

import pytest
import robot_io_toys as toys
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_robot_io.commands import command_message
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.serialised import header_stamp, read_message
from polytask_robot_io.stamps import from_ns

STAMP = 3_000_000_007


def test_good_messages_are_read():
    data = serialize_message(command_message([0.5, -1.0], from_ns(STAMP)))
    assert header_stamp("command", data) == STAMP
    assert list(read_message("command", data, Command).values) == [0.5, -1.0]


def test_a_stamp_of_the_other_byte_order_is_read():
    assert header_stamp("command", bytes.fromhex("00000000 00000003 00000007 00000001")) == STAMP


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes are too few"),
        (b"\0", "1 bytes are too few"),
        (b"\0\1\0\0", "4 bytes are too few"),
        (bytes.fromhex("00010000 03000000 070000"), "11 bytes are too few"),
        (bytes.fromhex("00010000 00000000 00000000"), "the header has no stamp; its publisher must fill it in"),
        (bytes.fromhex("00010000 ffffffff 00000000"), "stamp is none: -1 s and 0 ns"),
        (bytes.fromhex("00010000 01000000 00ca9a3b"), "stamp is none: 1 s and 1000000000 ns"),
    ],
)
def test_what_has_no_stamp_is_refused(data, said):
    with pytest.raises(BadMessage, match=said) as refusal:
        header_stamp("camera/image_raw", data)
    assert str(refusal.value).startswith("camera/image_raw: ")


def noise():
    """Nothing, too little, only length, a good message cut short or with a huge length in it, and chance."""
    good = bytes(serialize_message(toys.state(STAMP)))
    yield from (b"", b"\0", b"\0\1\0\0", b"\xff" * 100)
    yield from (good[:size] for size in range(len(good)))
    yield from (good[:place] + b"\xff\xff\xff\x7f" + good[place + 4 :] for place in range(4, len(good), 4))
    chance = random.Random(0)
    yield from (chance.randbytes(chance.randrange(200)) for _ in range(300))


@pytest.mark.parametrize("kind", [Command, EpisodeStatus, StateVector, JointState, Image])
def test_noise_is_read_or_refused(kind):
    refused = []
    for data in noise():
        try:
            read_message("topic", data, kind)
        except BadMessage as error:
            refused.append(str(error))
    assert len(refused) > 250
    assert f"topic: 4 bytes are no {kind.__name__} message; does another kind of program publish there?" in refused
