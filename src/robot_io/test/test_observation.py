"""The assembler: joined by stamp, nothing bad let in, nobody held up."""

import array
import time
from types import SimpleNamespace

import numpy as np
import pytest
import robot_io_toys as toys
from robot_io_toys import MS

from polytask_robot_io.errors import BadMessage
from polytask_robot_io.observation import ObservationAssembler

T0 = 1000 * MS


def assembler(**kinds):
    return ObservationAssembler(toys.embodiment(**kinds))


def test_topics_say_what_to_subscribe():
    assert assembler(joints=True).topics == {
        "state": "StateVector",
        "joint_states": "JointState",
        "camera/image_raw": "Image",
    }
    assert ObservationAssembler(toys.embodiment(), cameras=False).topics == {"state": "StateVector"}


def test_state_alone_comes_at_once():
    one = assembler(cameras=())
    assert one.newest() is None
    assert one.feed("state", toys.state(T0))
    got = one.newest()
    assert got.stamp_ns == T0
    assert got.state.dtype == np.float32
    assert got.state.tolist() == [1, 2, 3]
    assert got.images == {}
    assert one.newest() is got


def test_entries_are_found_by_name_in_any_order_among_others():
    one = assembler(cameras=())
    one.feed("state", toys.state(T0, (9, 3, 1, 2), ("other", "hand.z", "hand.x", "hand.y")))
    assert one.newest().state.tolist() == [1, 2, 3]
    one.feed("state", toys.state(T0 + MS, (1, 2, 3)))  # the names change in between
    assert one.newest().state.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (toys.state(T0, (1.0, float("nan"), 3.0)), "not a finite number in hand.y"),
        (toys.state(T0, (1.0, 2.0, float("inf"))), "not a finite number in hand.z"),
        (toys.state(T0, (1.0, 2.0)), "3 names but 2 values"),
        (toys.state(T0, (1.0, 2.0), ("hand.x", "hand.z")), "not in the message: hand.y"),
        (toys.state(T0, (), ()), "not in the message"),
        (toys.state(T0, (1, 2, 3, 4), (*toys.NAMES, "hand.x")), "'hand.x' is there twice"),
        (toys.state(0), "has no stamp"),
    ],
)
def test_bad_state_is_refused_and_the_next_one_taken(message, said):
    one = assembler(cameras=())
    with pytest.raises(BadMessage, match=said):
        one.feed("state", message)
    assert one.newest() is None
    one.feed("state", toys.state(T0 + MS))
    assert one.newest().stamp_ns == T0 + MS


def test_a_topic_that_is_not_declared_is_refused():
    with pytest.raises(BadMessage, match="other: not a topic of embodiment 'toy'"):
        assembler().feed("other", toys.state(T0))


def broken_pictures():
    wrong_encoding = toys.picture(T0)
    wrong_encoding.encoding = "mono8"
    truncated = toys.picture(T0)
    truncated.data = truncated.data[:-5]
    empty = toys.picture(T0)
    empty.width = empty.height = 0
    short_rows = toys.picture(T0)
    short_rows.step = 3
    return [
        (wrong_encoding, "encoding is 'mono8'"),
        (truncated, "truncated"),
        (empty, "0x0"),
        (short_rows, "step is 3 bytes"),
        (toys.picture(T0, width=9), "9x6, but 8x6 is declared"),
        (toys.picture(0), "has no stamp"),
    ]


@pytest.mark.parametrize(("message", "said"), broken_pictures())
def test_bad_picture_is_refused(message, said):
    one = assembler()
    one.feed("state", toys.state(T0))
    with pytest.raises(BadMessage, match=said) as refusal:
        one.feed("camera/image_raw", message)
    assert "camera/image_raw" in str(refusal.value)
    one.feed("camera/image_raw", toys.picture(T0))
    assert one.newest().stamp_ns == T0


def test_picture_is_joined_by_stamp_not_by_arrival():
    one = assembler()
    for k in range(3):
        one.feed("state", toys.state(T0 + k * 50 * MS, (k, k, k)))
    assert one.newest() is None
    one.feed("camera/image_raw", toys.picture(T0 + 54 * MS, shade=7))
    got = one.newest()
    assert got.stamp_ns == T0 + 50 * MS
    assert got.state.tolist() == [1, 1, 1]
    assert got.images["camera"][3, 3].tolist() == [7, 7, 7]


def test_nearest_picture_wins_and_none_beyond_half_a_period():
    one = assembler()
    for offset, shade in ((-20, 1), (5, 2), (24, 3)):
        one.feed("camera/image_raw", toys.picture(T0 + offset * MS, shade))
    one.feed("state", toys.state(T0))
    assert one.newest().images["camera"][3, 3, 0] == 2
    one.feed("state", toys.state(T0 + 50 * MS))
    assert one.newest().stamp_ns == T0  # 26 ms away from the last picture: waits
    one.feed("camera/image_raw", toys.picture(T0 + 75 * MS, 4))
    assert one.newest().stamp_ns == T0 + 50 * MS


def test_all_cameras_are_waited_for():
    one = assembler(cameras=("front", "wrist"))
    one.feed("state", toys.state(T0))
    one.feed("front/image_raw", toys.picture(T0))
    assert one.newest() is None
    one.feed("wrist/image_raw", toys.picture(T0 + MS, 9))
    assert sorted(one.newest().images) == ["front", "wrist"]


def test_a_dead_camera_does_not_hold_up_who_needs_no_pictures():
    one = ObservationAssembler(toys.embodiment(), cameras=False)
    for k in range(5):
        one.feed("state", toys.state(T0 + k * 50 * MS))
        assert one.newest().stamp_ns == T0 + k * 50 * MS


def test_memory_stays_bounded_while_a_camera_is_silent():
    one = assembler()
    for k in range(1000):
        one.feed("state", toys.state(T0 + k * MS))
    assert len(one._states) < 50


def test_repeated_and_late_messages_are_not_news():
    one = assembler(cameras=())
    assert one.feed("state", toys.state(T0))
    assert not one.feed("state", toys.state(T0))
    assert not one.feed("state", toys.state(T0 - MS))
    assert one.newest().stamp_ns == T0


def test_a_clock_that_starts_anew_is_followed():
    one = assembler()
    one.feed("state", toys.state(100 * T0))
    one.feed("camera/image_raw", toys.picture(100 * T0))
    assert one.newest().stamp_ns == 100 * T0
    one.feed("state", toys.state(T0))
    assert one.newest() is None
    one.feed("camera/image_raw", toys.picture(T0))
    assert one.newest().stamp_ns == T0


def test_arm_and_gripper_in_separate_messages_on_one_topic():
    one = assembler(cameras=(), joints=True)
    one.feed("state", toys.state(T0))
    arm = {"name": ["other_joint", "arm_joint"], "position": [5.0, 0.5], "velocity": []}
    assert not one.feed("joint_states", toys.joints(T0 + 3 * MS, **arm))
    assert one.newest() is None
    assert one.feed("joint_states", toys.joints(T0 + 5 * MS, name=["grip_joint"], position=[1.0], velocity=[0.25]))
    got = one.newest()
    assert got.stamp_ns == T0  # the first declared entry leads
    assert got.state.tolist() == [1, 2, 3, 0.5, 0.25]
    # The next state waits for values of its own time.
    assert not one.feed("state", toys.state(T0 + 50 * MS))
    assert one.newest() is got


def joined(one, k, arm, grip):
    """Period ``k`` of a state that is joined from three messages."""
    stamp = T0 + k * 50 * MS
    one.feed("state", toys.state(stamp, (k, k, k)))
    one.feed("joint_states", toys.joints(stamp + MS, name=["arm_joint"], position=[arm]))
    one.feed("joint_states", toys.joints(stamp + 2 * MS, name=["grip_joint"], velocity=[grip]))


def test_joined_states_are_each_observation_s_own():
    one = assembler(cameras=(), joints=True)
    kept = []
    for k, arm, grip in ((0, 0.5, 100.0), (1, 1.5, 101.0), (2, 2.5, 102.0)):
        joined(one, k, arm, grip)
        kept.append(one.newest())
    assert [got.state.tolist() for got in kept] == [[0, 0, 0, 0.5, 100], [1, 1, 1, 1.5, 101], [2, 2, 2, 2.5, 102]]
    kept[2].state[:] = 7  # whoever changes what is his, changes nobody else's
    joined(one, 3, 3.5, 103.0)
    assert one.newest().state.tolist() == [3, 3, 3, 3.5, 103]
    assert kept[1].state.tolist() == [1, 1, 1, 1.5, 101]


def test_a_joined_state_that_waits_for_its_picture_is_no_younger_than_its_stamp():
    one = assembler(joints=True)
    joined(one, 0, 0.5, 100.0)
    joined(one, 1, 1.5, 101.0)
    one.feed("camera/image_raw", toys.picture(T0 + 7 * MS))
    got = one.newest()
    assert (got.stamp_ns, got.state.tolist()) == (T0, [0, 0, 0, 0.5, 100])


def test_joint_state_without_the_quantity_wanted_is_refused():
    one = assembler(cameras=(), joints=True)
    with pytest.raises(BadMessage, match="1 joints but 0 values in 'velocity'"):
        one.feed("joint_states", toys.joints(T0, name=["grip_joint"], position=[1.0]))
    with pytest.raises(BadMessage, match="not a finite number in arm"):
        one.feed("joint_states", toys.joints(T0, name=["arm_joint"], position=[float("nan")]))
    with pytest.raises(BadMessage, match="'arm_joint' is there twice"):
        one.feed("joint_states", toys.joints(T0, name=["arm_joint", "arm_joint"], position=[1.0, 2.0]))


def test_reset_forgets():
    one = assembler(cameras=())
    one.feed("state", toys.state(T0))
    one.reset()
    assert one.newest() is None


def test_observations_do_not_share_memory_with_messages():
    one = assembler()
    message, image = toys.state(T0), toys.picture(T0, 5)
    message = SimpleNamespace(header=message.header, names=message.names, values=np.array([1, 2, 3], np.float32))
    one.feed("state", message)
    one.feed("camera/image_raw", image)
    got = one.newest()
    message.values[0] = 77.0
    image.data[:] = array.array("B", bytes(len(image.data)))
    assert got.state[0] == 1
    assert got.images["camera"][3, 3, 0] == 5


def test_state_alone_is_quick():
    """Well under the period of lock-step; the bound leaves room for a busy machine."""
    one = assembler(cameras=())
    messages = [toys.state(T0 + k * MS) for k in range(2000)]
    best = min(_seconds_each(one, messages) for _ in range(3))
    assert best < 200e-6


def _seconds_each(one, messages):
    one.reset()
    began = time.perf_counter()
    for message in messages:
        one.feed("state", message)
        one.newest()
    return (time.perf_counter() - began) / len(messages)


def test_only_the_named_cameras_are_waited_for_and_the_missing_one_is_told():
    one = ObservationAssembler(toys.embodiment(cameras=("front", "wrist")), cameras=("wrist",))
    assert set(one.topics) == {"state", "wrist/image_raw"}
    assert one.missing() == []
    one.feed("state", toys.state(T0))
    assert one.newest() is None
    assert one.missing() == ["wrist/image_raw"]
    one.feed("wrist/image_raw", toys.picture(T0))
    assert set(one.newest().images) == {"wrist"}
    assert one.missing() == []
    one.feed("state", toys.state(T0 + 50 * MS))
    assert one.newest().stamp_ns == T0
    assert one.missing() == ["wrist/image_raw"]
