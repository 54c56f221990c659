"""Recorded topics become aligned arrays, or are refused with file and reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
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

from polytask_demo_recorder.dataset import DatasetError, read_dataset, read_episode
from polytask_demo_recorder.episode_file import EpisodeFile
from polytask_robot_io.commands import command_message


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


def test_dataset_in_order_and_by_task(tmp_path: Path) -> None:
    write_episode(tmp_path / "push", 5)
    write_episode(tmp_path / "push", 6)
    write_episode(tmp_path / "push", 9, outcome="time_limit")
    write_episode(tmp_path / "pull", 7, task="pull")
    (tmp_path / "push" / "notes.txt").touch()
    assert [len(episode.action) for episode in read_dataset(tmp_path)] == [7, 5, 6]
    assert [len(episode.action) for episode in read_dataset(tmp_path, "push")] == [5, 6]
    assert [len(episode.action) for episode in read_dataset(tmp_path / "push", failures=True)] == [5, 6, 9]


def test_empty_or_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"no demonstration; record some"):
        read_dataset(tmp_path)
    write_episode(tmp_path / "push", 3, outcome="time_limit")
    with pytest.raises(DatasetError, match="its 1 episodes of task 'push' failed"):
        read_dataset(tmp_path, "push")
    with pytest.raises(DatasetError, match="it holds episodes of push"):
        read_dataset(tmp_path, "pull")


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


def spoil_nan(message: Any) -> None:
    message.values[1] = float("nan")


def spoil_names(message: Any) -> None:
    message.names = ["one", "three"]


def spoil_length(message: Any) -> None:
    message.values = [1.0]


def spoil_stamp(message: Any) -> None:
    message.header.stamp = stamp(0)


@pytest.mark.parametrize("place", [0, 5])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_nan, "not a finite number in two"),
        (spoil_names, "not in the message: two"),
        (spoil_length, "2 names but 1 values"),
        (spoil_stamp, "the header has no stamp"),
    ],
)
def test_a_bad_state_is_dropped_and_counted_as_live(
    tmp_path: Path, spoil: Callable[[Any], None], reason: str, place: int
) -> None:
    messages = episode_messages(10)
    spoil([message for topic, _, message in messages if topic == "/state"][place])
    episode = read_episode(write_episode(tmp_path, messages=messages), cameras=True)
    kept = [step for step in range(11) if step != place]
    np.testing.assert_array_equal(episode.state, [toy_state(step) for step in kept])
    np.testing.assert_array_equal(episode.action, [toy_action(step) for step in kept[:-1]])
    (remark,) = episode.remarks
    assert remark.startswith("state: 1 dropped (")
    assert reason in remark


def test_bytes_that_are_no_message_are_dropped_and_counted(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path, info(), TYPES)
    for topic, ns, message in episode_messages(10):
        file.write(topic, ns, ns, serialize_message(message))
        for noise in (b"", b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 40, serialize_message(message)[:-5]):
            file.write(topic, ns, ns, noise)
    episode = read_episode(file.finish(info().with_end("success", "", {})), cameras=True)
    np.testing.assert_array_equal(episode.state, [toy_state(step) for step in range(11)])
    np.testing.assert_array_equal(episode.action, [toy_action(step) for step in range(10)])
    assert [remark.split(" dropped")[0] for remark in episode.remarks] == [
        "state: 44",
        "episode: 44",
        "camera/image_raw: 44",
        "command: 40",
    ]


def test_nothing_but_bad_states_is_refused_with_the_reason(tmp_path: Path) -> None:
    messages = episode_messages(4)
    for topic, _, message in messages:
        if topic == "/state":
            spoil_nan(message)
    path = write_episode(tmp_path, messages=messages)
    with pytest.raises(DatasetError, match=rf"{path}: 0 observations.*state: 5 dropped \(not a finite number in two"):
        read_episode(path)


def test_a_few_bad_pictures_are_dropped_and_counted(tmp_path: Path) -> None:
    messages = episode_messages(40)
    pictures = [message for topic, _, message in messages if topic == "/camera/image_raw"]
    pictures[0].encoding = "rgba8"
    pictures[20].data = pictures[20].data[:-1]
    episode = read_episode(write_episode(tmp_path, messages=messages), cameras=True)
    assert len(episode.state) == 39
    assert episode.gaps.tolist() == [18]
    assert episode.remarks[0].startswith("camera/image_raw: 2 dropped (image is truncated")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "rgba8"}, "image encoding is 'rgba8'"),
        ({"width": 4, "height": 12, "step": 12}, "image is 4x12, but 8x6 is declared"),
    ],
)
def test_pictures_of_another_camera_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    messages = episode_messages(20)
    for topic, _, message in messages:
        if topic == "/camera/image_raw":
            for name, value in changes.items():
                setattr(message, name, value)
    path = write_episode(tmp_path, messages=messages)
    with pytest.raises(DatasetError, match=rf"{path}: 0 observations with.*camera/image_raw: 21 dropped \({reason}"):
        read_episode(path, cameras=True)
    assert len(read_episode(path).state) == 21


def test_one_bad_file_does_not_bar_its_folder(tmp_path: Path) -> None:
    good = write_episode(tmp_path / "push", 5)
    silent = [message for message in episode_messages(4) if message[0] != "/command"]
    undriven = write_episode(tmp_path / "push", messages=silent)
    noise = tmp_path / "push" / "episode_000009.mcap"
    noise.write_bytes(b"noise")
    told: list[str] = []
    assert [one.path for one in read_dataset(tmp_path, tell=told.append)] == [good]
    assert [one.path for one in read_dataset(tmp_path, "push", cameras=True, tell=told.append)] == [good]
    assert len(told) == 4
    assert told[0].startswith(f"left out: {undriven}: nobody published 'command'")
    assert told[1].startswith(f"left out: {noise}: cut short or damaged")
    good.unlink()
    with pytest.raises(DatasetError, match=rf"2 cannot be used: {undriven}: nobody.*{noise}: cut short"):
        read_dataset(tmp_path)


def test_left_out_files_are_named_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_episode(tmp_path, 5)
    (tmp_path / "episode_000009.mcap").write_bytes(b"noise")
    read_dataset(tmp_path)
    assert f"warning: left out: {tmp_path / 'episode_000009.mcap'}: cut short" in capsys.readouterr().err


def test_a_path_that_is_no_folder_of_episodes(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 5)
    assert [one.path for one in read_dataset(path, "push")] == [path]
    with pytest.raises(DatasetError, match="no demonstration of task 'pull'; it holds episodes of push"):
        read_dataset(path, "pull")
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").touch()
    (bag / "bag_0.db3").touch()
    (bag / "notes.txt").touch()
    for other, reason in (
        (bag, "a bag of"),
        (bag / "bag_0.db3", "a rosbag2 database"),
        (bag / "notes.txt", "no record"),
    ):
        with pytest.raises(DatasetError, match=rf"^{other}: {reason}.*\./polytask record"):
            read_dataset(other)


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
