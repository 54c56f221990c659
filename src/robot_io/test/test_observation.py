"""The assembler: joined by stamp, nothing bad let in, nobody held up."""

import array
import dataclasses
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1e300, r"hand.y is 1e\+300 m, not within \[-3\.40\d+e\+38, 3\.40\d+e\+38\]; mend its source"),
        (3e38, r"hand.y is 3e\+38 m, not within \[-0.5, 0.75\]"),
        (0.7500001, r"hand.y is 0.7500001 m, not within \[-0.5, 0.75\]"),
        (-0.51, r"hand.y is -0.51 m, not within \[-0.5, 0.75\]"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(value, said):
    toy = toys.embodiment(cameras=())
    if "e+300" not in f"{value:g}":
        toy = dataclasses.replace(
            toy, state=(toy.state[0], dataclasses.replace(toy.state[1], range=(-0.5, 0.75)), toy.state[2])
        )
    one = ObservationAssembler(toy)
    with pytest.raises(BadMessage, match=said):
        one.feed("state", toys.state(T0, (3e38, value, 3e38)))
    assert one.newest() is None
    for k, inside in enumerate((-0.5, 0.0, 0.75)):
        one.feed("state", toys.state(T0 + k * MS, (3e38, inside, 3e38)))  # finite, though their sum is not
        assert one.newest().state[1] == np.float32(inside)


def test_ranges_hold_for_joints_too():
    toy = toys.embodiment(cameras=(), joints=True)
    places = {field.name: field for field in toy.state}
    state = tuple(
        dataclasses.replace(field, range=(-2.0, 2.0)) if name == "grip" else field for name, field in places.items()
    )
    one = ObservationAssembler(dataclasses.replace(toy, state=state))
    names = ["grip_joint", "arm_joint"]
    with pytest.raises(BadMessage, match=r"joint_states: grip is 2.5 rad, not within \[-2.0, 2.0\]"):
        one.feed("joint_states", toys.joints(T0, name=names, position=[9.0, 9.0], velocity=[2.5, 9.0]))
    one.feed("state", toys.state(T0))
    one.feed("joint_states", toys.joints(T0, name=names, position=[9.0, 9.0], velocity=[-2.0, 9.0]))
    assert one.newest().state.tolist() == [1, 2, 3, 9, -2]


def test_a_message_of_another_type_is_refused():
    with pytest.raises(BadMessage, match="state: not a message of the type that is read here"):
        assembler().feed("state", toys.picture(T0))
    with pytest.raises(BadMessage, match="camera/image_raw: not a message of the type"):
        assembler().feed("camera/image_raw", toys.state(T0))
    with pytest.raises(BadMessage, match="state: not a message of the type"):
        assembler().feed("state", SimpleNamespace(data=[1.0]))


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_bad_message_is_as_if_it_had_never_come(bad):
    """Of period 1, one of the three messages is bad: that period is missing, the others are whole."""
    one = assembler(cameras=(), joints=True)
    kept = []
    for k in range(3):
        values = [(k, k, k), [k + 0.25], [k + 0.5]]
        if k == 1:
            values[bad] = (k, float("nan"), k) if bad == 0 else []
        stamp = T0 + k * 50 * MS
        for topic, message in (
            ("state", toys.state(stamp, values[0])),
            ("joint_states", toys.joints(stamp + MS, name=["arm_joint"], position=values[1])),
            ("joint_states", toys.joints(stamp + 2 * MS, name=["grip_joint"], velocity=values[2])),
        ):
            try:
                new = one.feed(topic, message)
            except BadMessage:
                continue
            if new:
                kept.append((one.newest().stamp_ns, one.newest().state.tolist()))
    assert kept == [(T0, [0, 0, 0, 0.25, 0.5]), (T0 + 100 * MS, [2, 2, 2, 2.25, 2.5])]


def test_many_names_that_are_there_twice_take_no_time():
    names = [f"joint{k}" for k in range(100_000)] * 2
    began = time.process_time()
    with pytest.raises(BadMessage, match="'joint0' is there twice"):
        assembler(joints=True).feed("joint_states", toys.joints(T0, name=names))
    with pytest.raises(BadMessage, match="'joint0' is there twice"):
        assembler().feed("state", toys.state(T0, [0.0] * len(names), names))
    assert time.process_time() - began < 10.0  # counting each name among all would take minutes


def test_names_in_refusals_are_short_and_printable():
    with pytest.raises(BadMessage) as refusal:
        assembler().feed("state", toys.state(T0, (1.0,), ("\x1b[31m" + "x" * 10_000_000,)))
    assert r"\x1b[31mxx" in str(refusal.value)
    assert len(str(refusal.value)) < 400


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


def test_a_state_behind_the_newest_is_told():
    one = assembler(cameras=())
    one.feed("state", toys.state(10 * T0))
    assert one.behind == ""
    assert not one.feed("state", toys.state(10 * T0))  # a repeated one is nothing to tell of
    assert one.behind == ""
    assert not one.feed("state", toys.state(10 * T0 - 100 * MS))
    assert "state: a state is stamped 0.100 s before the newest one, and it is not used" in one.behind
    assert one.newest().stamp_ns == 10 * T0
    assert one.feed("state", toys.state(5 * T0))
    assert "stamped 5.000 s before the newest one, and all before it is forgotten; was a clock set back" in one.behind
    one.feed("state", toys.state(5 * T0 + MS))
    assert one.behind == ""


def test_joints_come_after_the_state_they_belong_to_and_are_not_behind():
    one = assembler(cameras=(), joints=True)
    for k in range(4):
        joined(one, k, 0.0, 0.0)
        assert one.behind == ""
    one.feed("joint_states", toys.joints(T0, name=["somebody_else"], position=[1.0]))
    assert one.behind == ""
    one.feed("state", toys.state(T0 + 100 * MS))
    assert "0.050 s before the newest one" in one.behind


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
    began = time.process_time()
    for message in messages:
        one.feed("state", message)
        one.newest()
    return (time.process_time() - began) / len(messages)


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
