"""What is left after a crash: every byte that reached the disk counts, and it never passes for a demonstration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rclpy.serialization import serialize_message
from toy_episodes import TYPES, episode_messages, info, write_episode

from polytask_demo_recorder.dataset import DatasetError, read_dataset, read_episode
from polytask_demo_recorder.episode_file import EpisodeFile
from polytask_demo_recorder.folder import episode_files, next_number
from polytask_demo_recorder.recovery import recover


def half_written(folder: Path, steps: int = 10) -> Path:
    """An episode of which all messages are on the disk, but no end."""
    file = EpisodeFile(folder, info(), TYPES)
    for topic, ns, message in episode_messages(steps):
        file.write(topic, ns, ns, serialize_message(message))
        file.sync()
    file.abandon()
    return file.path


def test_interrupted_episode_becomes_an_aborted_one(tmp_path: Path) -> None:
    part = half_written(tmp_path / "push")
    (done,) = recover(tmp_path)
    assert not part.exists()
    assert "interrupted" in str(done)
    assert done.path is not None
    assert done.path.name == "episode_000000.recovered.mcap"
    episode = read_episode(done.path, cameras=True)
    assert episode.outcome == "aborted"
    assert episode.state.shape == (11, 2)
    assert episode_files(tmp_path) == []
    assert next_number(tmp_path / "push") == 1
    with pytest.raises(DatasetError, match="no demonstration"):
        read_dataset(tmp_path)


def test_any_truncation_leaves_what_came_before_it(tmp_path: Path) -> None:
    whole = half_written(tmp_path / "whole").read_bytes()
    counts = []
    for number, size in enumerate(range(0, len(whole) + 1, len(whole) // 40)):
        folder = tmp_path / str(number)
        folder.mkdir()
        part = folder / "episode_000000.mcap.part"
        part.write_bytes(whole[:size])
        (done,) = recover(folder)
        assert not done.error
        assert not part.exists()
        counts.append(done.messages)
        if done.path is not None and done.messages > 20:
            read_episode(done.path)
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] >= len(episode_messages(10)) - 6


def test_bytes_that_never_reached_the_disk(tmp_path: Path) -> None:
    """After a power failure a file may end in zeros, or hold garbage in its middle."""
    part = half_written(tmp_path)
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2] + bytes(5000))
    (done,) = recover(tmp_path)
    assert not done.error
    before = done.messages
    assert before > 5
    middle = 3 * len(whole) // 4
    part.write_bytes(whole[:middle] + os.urandom(1000) + whole[middle + 1000 :])
    (done,) = recover(tmp_path)
    assert not done.error
    assert done.messages > before


def test_nothing_written_yet_leaves_nothing(tmp_path: Path) -> None:
    EpisodeFile(tmp_path, info(), TYPES).abandon()
    (done,) = recover(tmp_path)
    assert "removed" in str(done)
    assert list(tmp_path.iterdir()) == []


def test_episode_that_another_recorder_writes_is_left_alone(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path, info(), TYPES)
    assert recover(tmp_path) == []
    assert file.path.exists()
    file.discard()


def test_killed_between_the_last_byte_and_the_new_name(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 5)
    path.rename(path.with_name(path.name + ".part"))
    (done,) = recover(tmp_path)
    assert "complete" in str(done)
    assert read_dataset(tmp_path)[0].outcome == "success"


def test_what_cannot_be_recovered_stays_and_is_named(tmp_path: Path) -> None:
    part = half_written(tmp_path)
    (tmp_path / "episode_000000.recovered.mcap").mkdir()
    (done,) = recover(tmp_path)
    assert part.exists()
    assert "left as it is" in str(done)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["episode_000000.mcap.part", "episode_000000.recovered.mcap"]
