"""Folders of episodes: order, tasks, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_episodes import episode_messages, write_episode

from polytask_demo_recorder.dataset.reader import DatasetError, read_dataset


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
