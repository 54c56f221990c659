"""Recorded topics become aligned arrays, or are refused with file and reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from toy_episodes import (
    PERIOD,
    START,
    TOY,
    TYPES,
    episode_messages,
    info,
    observation_messages,
    stamp,
    toy,
    toy_action,
    toy_picture,
    toy_state,
    write_episode,
)

from polytask_demo_recorder.dataset.reader import DatasetError, read_dataset, read_episode
from polytask_demo_recorder.recording import episode_file
from polytask_robot_io.commands import command_message

STATUS = "polytask_interfaces/msg/EpisodeStatus"
EARLIER_STATUS = f"""std_msgs/Header header
string episode_id
string suite
string task
int64 seed
uint32 step
float64 reward
bool success
bool ended
uint8 why
string message
{"=" * 80}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{"=" * 80}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
"""The definition in recordings from when ``termination_reason`` was called ``why``."""


def test_arrays_are_aligned(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 12)
    episode = read_episode(path, cameras=True)
    assert episode.state.dtype == episode.action.dtype == np.float32
    np.testing.assert_array_equal(episode.state, [toy_state(step) for step in range(13)])
    np.testing.assert_array_equal(episode.action, [toy_action(step) for step in range(12)])
    np.testing.assert_array_equal(episode.images["camera"], [toy_picture(step) for step in range(13)])
    np.testing.assert_array_equal(episode.stamps, START + PERIOD * np.arange(13))
    np.testing.assert_array_equal(episode.goal_images["camera"], toy_picture(12))
    assert (episode.task, episode.seed, episode.outcome) == ("push", 7, "success")
    assert episode.instructions == ("Push it.", "Schieb „es“.")
    assert episode.embodiment == toy()
    assert len(episode.gaps) == 0
    assert read_episode(path).images == {}


def test_a_lost_observation_is_a_gap_and_shifts_nothing(tmp_path: Path) -> None:
    lost = [m for m in episode_messages(10) if not (m[0] == "/state" and m[1] == START + 4 * PERIOD)]
    episode = read_episode(write_episode(tmp_path, messages=lost))
    np.testing.assert_array_equal(episode.state[:5], [toy_state(step) for step in (0, 1, 2, 3, 5)])
    np.testing.assert_array_equal(episode.action[3:5], [toy_action(3), toy_action(5)])
    assert episode.gaps.tolist() == [3]


def test_teleoperation_is_aligned_by_time(tmp_path: Path) -> None:
    messages = []
    for step in range(11):
        ns = START + step * PERIOD
        messages += [(topic, ns, message) for topic, message in observation_messages(step, ns, 10)]
        # Commands come between observations, name none, and stop after step 3: then zero, once they are too old.
        if step < 4:
            messages.append(("/command", ns, command_message(toy_action(step), stamp(ns + PERIOD // 3))))
    episode = read_episode(write_episode(tmp_path, messages=messages))
    np.testing.assert_array_equal(episode.action[:4], [toy_action(step) for step in range(4)])
    held = [toy_action(3)] * 4  # max_age is five periods, the command is a third of one older
    np.testing.assert_array_equal(episode.action[4:8], held)
    np.testing.assert_array_equal(episode.action[8:], np.zeros((2, 2)))


def test_a_simulator_at_rest_before_the_first_command_counts_once(tmp_path: Path) -> None:
    messages = []
    for idle in range(-5, 0):
        ns = START + idle * PERIOD
        messages += [(topic, ns, message) for topic, message in observation_messages(0, ns, 6)]
    episode = read_episode(write_episode(tmp_path, messages=messages + episode_messages(6)), cameras=True)
    assert len(episode.state) == 7
    assert episode.stamps[0] == START


def test_what_follows_the_end_is_left_out(tmp_path: Path) -> None:
    after = [(t, START + 11 * PERIOD, m) for t, m in observation_messages(10, START + 11 * PERIOD, 10)]
    assert len(read_episode(write_episode(tmp_path, messages=episode_messages(10) + after)).state) == 11


def test_a_recording_with_the_earlier_status_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current = episode_file.definition
    monkeypatch.setattr(episode_file, "definition", lambda name: EARLIER_STATUS if name == STATUS else current(name))
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(EARLIER_STATUS, STATUS))
    time, header = store.types["builtin_interfaces/msg/Time"], store.types["std_msgs/msg/Header"]
    file = episode_file.EpisodeFile(tmp_path, info(), TYPES)
    for step in range(7):  # the status tells the end at step 4; two more follow
        ns, over = START + step * PERIOD, step >= 4
        head = header(stamp=time(sec=ns // 10**9, nanosec=ns % 10**9), frame_id="")
        status = store.types[STATUS](head, "e", "toy", "push", 7, step, 0.0, over, over, int(over), "")
        file.write("/episode", ns, ns, bytes(store.serialize_cdr(status, STATUS)))
        for topic, message in observation_messages(step, ns, 6, cameras=False):
            if topic != "/episode":
                file.write(topic, ns, ns, serialize_message(message))
        command = command_message(toy_action(step), stamp(ns + 1_000_000), stamp(ns))
        file.write("/command", ns + 1_000_000, ns + 1_000_000, serialize_message(command))
    path = file.finish(info().with_end("success", "done", {}))
    episode = read_episode(path)
    np.testing.assert_array_equal(episode.state, [toy_state(step) for step in range(5)])
    np.testing.assert_array_equal(episode.action, [toy_action(step) for step in range(4)])
    assert (episode.outcome, episode.seed, episode.remarks) == ("success", 7, ())


def test_missing_pictures(tmp_path: Path) -> None:
    few = [m for m in episode_messages(20) if not (m[0] == "/camera/image_raw" and m[1] == START + 4 * PERIOD)]
    assert len(read_episode(write_episode(tmp_path, messages=few), cameras=True).state) == 20
    many = [m for m in episode_messages(20) if m[0] != "/camera/image_raw" or m[1] > START + 9 * PERIOD]
    path = write_episode(tmp_path, messages=many)
    assert len(read_episode(path).state) == 21
    with pytest.raises(DatasetError, match=rf"{path}: 10 observations have no picture"):
        read_episode(path, cameras=True)
    with pytest.raises(DatasetError, match="no picture on camera/image_raw; read it without"):
        read_episode(write_episode(tmp_path, messages=episode_messages(5, cameras=False)), cameras=True)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("rate: 20.0", "rate: 19.0", "rate"),
        ("width: 8", "width: 16", "camera 0 (camera): width"),
        ("scale: 0.02", "scale: 0.05", "command 0 (dx): scale"),
        ("name: two, topic: state, unit: m,", "name: two, topic: state, unit: rad,", "state 1 (two): unit"),
    ],
)
def test_episodes_of_another_robot_are_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    write_episode(tmp_path, 4)
    assert old in TOY
    other = write_episode(tmp_path, 4, embodiment=toy(TOY.replace(old, new)))
    with pytest.raises(DatasetError) as error:
        read_dataset(tmp_path)
    assert str(other) in str(error.value)
    assert reason in str(error.value)


def test_other_action_size_is_left_out_and_named(tmp_path: Path) -> None:
    write_episode(tmp_path, 4)
    gripper = '    - {name: gripper, unit: "1", frame: none, scale: 1.0, minimum: -1.0, maximum: 1.0}\n'
    other = write_episode(tmp_path, 4, embodiment=toy(TOY.replace(gripper, "")))
    told: list[str] = []
    assert len(read_dataset(tmp_path, tell=told.append)) == 1
    assert told == [
        f"left out: {other}: no command on 'command' could be used; "
        "command: 4 dropped (command has shape (2,), but 1 values are declared: dx)"
    ]


def test_rate_that_was_not_kept_is_refused(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 4, embodiment=toy(TOY.replace("rate: 20.0", "rate: 10.0")))
    with pytest.raises(DatasetError, match=rf"{path}: observations come at 20 Hz, but .* declares 10 Hz"):
        read_episode(path)


def test_pictures_where_the_robot_has_no_camera(tmp_path: Path) -> None:
    blind = toy(TOY[: TOY.index("cameras:")] + "cameras: []\n" + TOY[TOY.index("command:") :])
    path = write_episode(tmp_path, messages=episode_messages(4, cameras=False), embodiment=blind)
    assert len(read_episode(path).state) == 5
    with pytest.raises(DatasetError, match="has no camera"):
        read_episode(path, cameras=True)


def test_truncated_file(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 10)
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DatasetError, match=rf"{path}: cut short or damaged"):
            read_dataset(tmp_path)
    path.write_bytes(b"\0" * 1000)
    with pytest.raises(DatasetError, match="cut short or damaged"):
        read_dataset(tmp_path)


def test_nobody_drove(tmp_path: Path) -> None:
    silent = [message for message in episode_messages(4) if message[0] != "/command"]
    with pytest.raises(DatasetError, match="nobody published 'command'"):
        read_episode(write_episode(tmp_path, messages=silent))


def test_somebody_elses_bag(tmp_path: Path) -> None:
    from mcap.writer import Writer

    path = tmp_path / "episode_000000.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        writer.finish()
    with pytest.raises(DatasetError, match="not made by demo_recorder"):
        read_episode(path)
