"""What is left after a crash: every byte that reached the disk counts, and it never passes for a demonstration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mcap.records import Metadata
from mcap.writer import Writer
from rclpy.serialization import serialize_message
from toy_episodes import TYPES, episode_messages, info, write_episode

from polytask_demo_recorder.dataset.episode_info import RECORD
from polytask_demo_recorder.dataset.folder import episode_files, next_number
from polytask_demo_recorder.dataset.reader import DatasetError, read_dataset, read_episode
from polytask_demo_recorder.dataset.records import read_records
from polytask_demo_recorder.recording.episode_file import EpisodeFile
from polytask_demo_recorder.recording.recovery import recover
from polytask_demo_recorder.recording.writer import EpisodeWriter


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
    # Before its description is there, nobody can know who wrote it. It ends in the embodiment file's last line.
    described = whole.index(b"maximum: 1.0\n", whole.index(b"gripper")) + len(b"maximum: 1.0\n")
    counts = []
    for number, size in enumerate(range(0, len(whole) + 1, len(whole) // 40)):
        folder = tmp_path / str(number)
        folder.mkdir()
        part = folder / "episode_000000.mcap.part"
        part.write_bytes(whole[:size])
        (done,) = recover(folder)
        assert not done.error
        assert part.exists() == done.foreign == (size < described)
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
    (tmp_path / "episode_000000.recovered.mcap").unlink()
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


def test_a_complete_file_that_nobody_could_use_is_no_episode(tmp_path: Path) -> None:
    path = write_episode(tmp_path, messages=[one for one in episode_messages(5) if one[0] != "/command"])
    path.rename(path.with_name(path.name + ".part"))
    (done,) = recover(tmp_path)
    assert done.path == tmp_path / "episode_000000.recovered.mcap"
    assert episode_files(tmp_path) == []
    records = [one for one in read_records(done.path) if isinstance(one, Metadata) and one.name == RECORD]
    assert records[-1].metadata["outcome"] == "aborted"
    assert "nobody published 'command'" in records[-1].metadata["message"]


def test_what_cannot_be_recovered_stays_and_is_named(tmp_path: Path) -> None:
    part = half_written(tmp_path)
    (tmp_path / "episode_000000.recovered.mcap").mkdir()
    (done,) = recover(tmp_path)
    assert part.exists()
    assert "left as it is" in str(done)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["episode_000000.mcap.part", "episode_000000.recovered.mcap"]


@pytest.mark.parametrize("content", [b"", b"somebody else's 3 GB, still on the way", bytes(100), b"\x89MCAP0\r\n"])
def test_what_no_recorder_wrote_is_left_alone(tmp_path: Path, content: bytes) -> None:
    part = tmp_path / "push" / "episode_000001.mcap.part"
    part.parent.mkdir()
    part.write_bytes(content)
    (done,) = recover(tmp_path)
    assert part.read_bytes() == content
    assert [path.name for path in part.parent.iterdir()] == [part.name]
    assert str(done) == f"{part}: no recorder of this project wrote it; left as it is"


def test_another_programs_mcap_is_left_alone(tmp_path: Path) -> None:
    part = tmp_path / "episode_000001.mcap.part"
    with part.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2", library="rosbag2")
        writer.add_metadata("polytask_begin", {"format": "1"})
        writer.flush()
    before = part.read_bytes()
    (done,) = recover(tmp_path)
    assert done.foreign
    assert part.read_bytes() == before


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "episode_000001.mcap.part")
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "episode_000002.mcap.part").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "episode_000003.mcap.part").mkdir()
    assert recover(tmp_path) == []
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for name in ("episode_000000.recovered.mcap", "episode_000000.recovering"):
        part = half_written(tmp_path)
        other = tmp_path / name
        other.write_bytes(b"somebody else's")
        (done,) = recover(tmp_path)
        assert done.error
        assert other.read_bytes() == b"somebody else's"
        assert part.exists()
        other.unlink()
        part.unlink()
    file = EpisodeFile(tmp_path, info(), TYPES)
    taken = tmp_path / "episode_000000.mcap"
    taken.write_bytes(b"somebody else's")
    assert file.finish(info()).name == "episode_000001.mcap"
    assert taken.read_bytes() == b"somebody else's"


def test_only_its_own_part_is_discarded(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path, info(), TYPES)
    file.path.rename(tmp_path / "moved")
    file.path.write_bytes(b"somebody else's")
    file.discard()
    assert file.path.read_bytes() == b"somebody else's"


def test_what_stays_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "episode_000001.mcap.part").write_bytes(b"mine")
    writer = EpisodeWriter()
    writer.recover(tmp_path)
    writer.recover(tmp_path)
    writer.stop()
    assert len(writer.events()) == 1
