"""Clocks of several machines: what is aligned by arrival, and what is refused with figure and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_episodes import PERIOD, START, TOY, observation_messages, stamp, toy, write_episode

from polytask_demo_recorder.dataset.reader import DatasetError, read_episode
from polytask_robot_io.commands import command_message

SECOND = 1_000_000_000


def driven(
    steps: int = 140, skew: int = 0, state_shift: dict[int, int] | None = None, camera_skew: int = 0
) -> list[tuple[str, int, Any]]:
    """(topic, arrival in ns, message) of a robot that a person drives from step 60 on; shifts in ns.

    ``skew``: of the commands' clock; ``state_shift``: of the state's clock from a step on; ``camera_skew``: of the
    camera's clock.
    """
    found: list[tuple[str, int, Any]] = []
    shift = 0
    for step in range(steps):
        arrival = 100 * SECOND + step * PERIOD
        shift = (state_shift or {}).get(step, shift)
        for topic, message in observation_messages(step, arrival + shift, 10_000):
            if topic == "/episode":
                continue
            if topic == "/camera/image_raw":
                message.header.stamp = stamp(arrival + camera_skew)
            found.append((topic, arrival, message))
        issued = arrival + PERIOD // 5
        command = command_message([float(step >= 60), 0.0], stamp(max(0, issued + skew)))
        found.append(("/command", issued + 1_000_000, command))
    return found


def actions(path: Path) -> list[float]:
    return [float(one) for one in read_episode(path).action[:, 0]]


@pytest.mark.parametrize("skew", [0, 2 * SECOND, -2 * SECOND, 200_000_000, -200_000_000, 3600 * SECOND])
def test_commands_of_a_skewed_clock_are_aligned_by_arrival(tmp_path: Path, skew: int) -> None:
    path = write_episode(tmp_path, messages=driven(skew=skew), outcome="unjudged")
    assert actions(path) == [0.0] * 60 + [1.0] * 79


@pytest.mark.parametrize(
    ("skew", "words"),
    [(2 * SECOND, r"2\.01 s ahead of"), (-2 * SECOND, r"1\.99 s behind"), (-200 * SECOND, "140 with")],
)
def test_a_skewed_clock_of_commands_is_named_with_figure_and_remedy(tmp_path: Path, skew: int, words: str) -> None:
    path = write_episode(tmp_path, messages=driven(skew=skew), outcome="unjudged")
    (remark,) = read_episode(path).remarks
    assert remark.startswith("command: ")
    assert re.search(words, remark)
    if abs(skew) < 100 * SECOND:
        assert "chrony" in remark
        assert "aligned by arrival" in remark


def test_clocks_that_agree_are_not_mentioned(tmp_path: Path) -> None:
    assert read_episode(write_episode(tmp_path, messages=driven(), outcome="unjudged"), cameras=True).remarks == ()


def test_a_command_is_held_no_longer_than_its_age_by_arrival(tmp_path: Path) -> None:
    messages = [
        one for one in driven(80, skew=5 * SECOND) if one[0] != "/command" or one[1] < 100 * SECOND + 62 * PERIOD
    ]
    # The last command comes 11 ms after state 61; max_age is five periods: in force until state 66, not until 67.
    assert actions(write_episode(tmp_path, messages=messages)) == [0.0] * 60 + [1.0] * 6 + [0.0] * 13


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        ({60: -5 * SECOND}, "go back by 4.95 s"),
        ({60: -SECOND // 5}, "go back by 0.15 s"),
        ({60: 3 * SECOND}, "leap by 3.05 s after step 59, while 0.05 s passed"),
        ({60: -5 * SECOND, 61: 0}, "go back by 4.95 s"),
        ({60: 5 * SECOND, 61: 0}, "go back by 4.95 s"),
    ],
)
def test_a_clock_that_was_set_in_mid_episode_is_refused(tmp_path: Path, shift: dict[int, int], words: str) -> None:
    path = write_episode(tmp_path, messages=driven(state_shift=shift), outcome="unjudged")
    for cameras in (False, True):
        with pytest.raises(DatasetError) as error:
            read_episode(path, cameras)
        assert str(path) in str(error.value)
        assert words in str(error.value)
        assert "chrony or ntp" in str(error.value)


def test_messages_that_were_lost_are_a_gap_and_no_jump(tmp_path: Path) -> None:
    lost = range(100 * SECOND + 30 * PERIOD, 100 * SECOND + 90 * PERIOD)
    path = write_episode(tmp_path, messages=[one for one in driven() if one[1] not in lost])
    assert read_episode(path).gaps.tolist() == [29]


def test_a_recorder_that_was_held_up_is_no_jump(tmp_path: Path) -> None:
    messages = []
    for topic, arrival, message in driven():
        held = 100 * SECOND + 50 * PERIOD <= arrival < 100 * SECOND + 80 * PERIOD
        messages.append((topic, 100 * SECOND + 80 * PERIOD if held else arrival, message))
    # Its disk stood still too, and ten states of those that waited are lost.
    gone = {100 * SECOND + step * PERIOD for step in range(55, 65)}
    messages = [
        one for one in messages if one[0] == "/command" or one[2].header.stamp not in [stamp(ns) for ns in gone]
    ]
    assert read_episode(write_episode(tmp_path, messages=messages)).gaps.tolist() == [54]


def test_a_simulation_faster_than_the_recorders_clock_is_no_jump(tmp_path: Path) -> None:
    messages = [(topic, 100 * SECOND + (arrival - 100 * SECOND) // 10, m) for topic, arrival, m in driven()]
    episode = read_episode(write_episode(tmp_path, messages=messages), cameras=True)
    assert episode.remarks == ()
    assert [float(one) for one in episode.action[:, 0]] == [0.0] * 60 + [1.0] * 79


def test_a_cameras_clock_that_is_ahead_is_refused(tmp_path: Path) -> None:
    for skew, words in ((SECOND // 5, "0.20 s ahead"), (2 * SECOND, "2.00 s ahead")):
        path = write_episode(tmp_path, messages=driven(camera_skew=skew))
        with pytest.raises(DatasetError, match=rf"{path}: camera/image_raw: its stamps are {words}.*chrony"):
            read_episode(path, cameras=True)
        assert len(read_episode(path).state) == 140


def test_pictures_that_come_late_are_mentioned(tmp_path: Path) -> None:
    path = write_episode(tmp_path, messages=driven(camera_skew=-2 * SECOND // 5))
    (remark,) = read_episode(path, cameras=True).remarks
    assert "0.40 s after the state" in remark


def test_commands_that_name_their_observation_need_no_clock(tmp_path: Path) -> None:
    messages = []
    for step in range(20):
        ns = START + step * PERIOD
        messages += [(topic, ns, m) for topic, m in observation_messages(step, ns, 10_000) if topic != "/episode"]
        # It comes late, and its own clock is an hour ahead.
        command = command_message([step / 20, 0.0], stamp(ns + 3600 * SECOND), stamp(ns))
        messages.append(("/command", ns + PERIOD + 1, command))
    messages.sort(key=lambda one: one[1])
    episode = read_episode(write_episode(tmp_path, messages=messages, embodiment=toy(TOY)))
    np.testing.assert_allclose(episode.action[:, 0], [step / 20 for step in range(19)])
    assert episode.remarks == ()
