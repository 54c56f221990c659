"""What a live node would refuse is dropped and counted in a recording too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from toy_episodes import TYPES, episode_messages, info, stamp, toy_action, toy_state, write_episode

from polytask_demo_recorder.dataset.reader import DatasetError, read_episode
from polytask_demo_recorder.recording.episode_file import EpisodeFile


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
