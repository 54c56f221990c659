"""Episode files: what other tools see in them, their names, and what a disk that refuses does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from toy_episodes import START, TYPES, episode_messages, info, record_episode, write_episode

from polytask_demo_recorder.dataset.episode_info import RECORD, SUCCESS, EpisodeInfo
from polytask_demo_recorder.dataset.folder import check_writable, episode_files, next_number, task_folder
from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.recording.definitions import definition
from polytask_demo_recorder.recording.episode_file import EpisodeFile
from polytask_demo_recorder.recording.writer import OVERHEAD, Discarded, EpisodeWriter, Failed, Kept


def test_rosbags_reads_every_message(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 5)
    sent = [(topic, ns) for topic, ns, _ in episode_messages(5)]
    with AnyReader([path]) as reader:
        assert {connection.topic: connection.msgtype for connection in reader.connections} == TYPES
        got = [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]
    assert sorted((t, m.header.stamp.sec * 10**9 + m.header.stamp.nanosec) for t, m in got) == sorted(sent)
    last = [message for topic, message in got if topic == "/episode"][-1]
    assert (last.task, last.step, last.ended) == ("push", 5, True)


def test_mcap_ros2_support_reads_every_message(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 5)
    with path.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        assert sum(1 for _ in reader.iter_decoded_messages()) == len(episode_messages(5))
        pictures = [found.decoded_message for found in reader.iter_decoded_messages(topics=["/camera/image_raw"])]
    assert len(pictures) == 6
    assert pictures[3].encoding == "rgb8"
    assert len(pictures[3].data) == 6 * 8 * 3


def test_profile_schemas_and_metadata(tmp_path: Path) -> None:
    path = write_episode(tmp_path, 2)
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary is not None
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
        assert {channel.message_encoding for channel in summary.channels.values()} == {"cdr"}
        records = [record for record in reader.iter_metadata() if record.name == RECORD]
    assert len(records) == 1
    assert EpisodeInfo.from_record(records[0].metadata) == info().with_end(SUCCESS, "done", {})


def test_definitions_hold_all_inner_types() -> None:
    text = definition("sensor_msgs/msg/Image")
    assert text.count("MSG: ") == 2
    assert "MSG: std_msgs/Header" in text
    assert "MSG: builtin_interfaces/Time" in text
    assert definition("sensor_msgs/msg/CameraInfo").count("MSG: sensor_msgs/RegionOfInterest") == 1
    with pytest.raises(RecordingError, match="not installed"):
        definition("no_such_msgs/msg/Thing")


def test_numbers_go_on_after_every_kind_of_file(tmp_path: Path) -> None:
    assert next_number(tmp_path / "missing") == 0
    for name in ("episode_000003.mcap", "episode_000007.recovered.mcap", "episode_000011.mcap.part", "episode_9.mcap"):
        (tmp_path / name).touch()
    assert next_number(tmp_path) == 12
    assert [path.name for path in episode_files(tmp_path)] == ["episode_000003.mcap"]
    assert write_episode(tmp_path, 2).name == "episode_000012.mcap"


@pytest.mark.parametrize("task", ["", "..", "a/b", ".hidden", "x" * 200])
def test_task_that_names_no_folder_is_refused(task: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot name a folder"):
        task_folder(tmp_path, task)


def test_unfinished_episode_is_no_episode(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path, info(), TYPES)
    assert file.path.name == "episode_000000.mcap.part"
    assert episode_files(tmp_path) == []
    file.discard()
    assert list(tmp_path.iterdir()) == []


def events(writer: EpisodeWriter) -> list[object]:
    """Everything the writer reports until it has ended."""
    writer.stop()
    return list(writer.events())


def test_unusable_folder_is_reported_and_the_next_episode_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = EpisodeWriter()
    writer.open(tmp_path / "file" / "push", info(), TYPES)
    writer.close(info())
    record_episode(writer, tmp_path / "push")
    failed, kept = events(writer)
    assert isinstance(failed, Failed)
    assert "file" in failed.reason
    assert "choose another folder" in failed.reason
    assert isinstance(kept, Kept)
    assert kept.path.is_file()


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from toy_episodes import TYPES, info, record_episode
from polytask_demo_recorder.recording.writer import EpisodeWriter
writer = EpisodeWriter()
folder = Path(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
writer.open(folder, info(), TYPES)
import os
for number in range(300):
    writer.write("/camera/image_raw", number, number, os.urandom(10_000))
writer.close(info())
while not (events := writer.events()):
    pass
print(type(events[0]).__name__, events[0].reason)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
writer.recover(folder)
record_episode(writer, folder)
writer.stop()
print([type(event).__name__ for event in writer.events()])
"""


def test_disk_that_takes_no_more_is_reported_and_the_writer_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "push"), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    first, second = done.stdout.splitlines() or [done.stderr, ""]
    assert first.startswith("Failed cannot write")
    assert "make room" in first
    assert second == "['Recovery', 'Kept']"
    assert [path.name for path in episode_files(tmp_path)] == ["episode_000001.mcap"]


def test_slow_disk_stalls_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, release = threading.Event(), threading.Event()

    def wait(self: EpisodeFile) -> None:
        stuck.set()
        release.wait(10)

    data = [(topic, ns, serialize_message(message)) for topic, ns, message in episode_messages(10)]
    writer = EpisodeWriter(backlog=sum(len(one) + OVERHEAD for _, _, one in data))
    writer.open(tmp_path, info(), TYPES)
    monkeypatch.setattr(EpisodeFile, "sync", wait)
    assert stuck.wait(5)
    taken = [writer.write(topic, ns, ns, one) for topic, ns, one in [*data, *data]]
    assert taken == [True] * len(data) + [False] * len(data)
    monkeypatch.undo()
    release.set()
    writer.close(info())
    assert isinstance(events(writer)[0], Kept)
    with AnyReader([tmp_path / "episode_000000.mcap"]) as reader:
        assert reader.message_count == len(data)


def test_serialised_messages_are_stored_as_they_are(tmp_path: Path) -> None:
    _, ns, message = episode_messages(1)[0]
    data = serialize_message(message)
    file = EpisodeFile(tmp_path, info(), TYPES)
    file.write("/state", ns, ns, data)
    with AnyReader([file.finish(info())]) as reader:
        assert [raw for _, _, raw in reader.messages()] == [data]


def test_what_cannot_be_read_back_is_discarded_with_the_reason(tmp_path: Path) -> None:
    blind = {topic: name for topic, name in info().topics.items() if "camera" not in topic}
    writer = EpisodeWriter()
    for described in (info(), info(topics=blind)):
        writer.open(tmp_path, described, TYPES)
        for topic, ns, message in episode_messages(10, cameras=False):
            writer.write(topic, ns, ns, serialize_message(message))
        writer.close(described, ("state: 1 dropped (noise)",))
    refused, kept = events(writer)
    assert isinstance(refused, Discarded)
    assert refused.reason.startswith("no picture on camera/image_raw")
    assert refused.reason.endswith("; state: 1 dropped (noise)")
    assert isinstance(kept, Kept)
    assert kept.remarks == ("state: 1 dropped (noise)",)
    assert list(tmp_path.iterdir()) == [kept.path]


def test_the_next_episode_is_written_while_one_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, release = threading.Event(), threading.Event()

    def slow(path: Path) -> tuple[str, ...]:
        reading.set()
        assert release.wait(10)
        return ()

    monkeypatch.setattr("polytask_demo_recorder.recording.writer.check_episode", slow)
    writer = EpisodeWriter()
    record_episode(writer, tmp_path)
    assert reading.wait(10)
    record_episode(writer, tmp_path)
    end = time.monotonic() + 10
    while writer.waiting:
        assert time.monotonic() < end
        time.sleep(0.002)
    assert writer.events() == []
    release.set()
    assert [Path(event.path).name for event in events(writer) if isinstance(event, Kept)] == [
        "episode_000000.mcap",
        "episode_000001.mcap",
    ]


def test_a_fault_in_the_writers_thread_is_reported_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EpisodeWriter()
    writer.open(tmp_path, info(), {"/state": "polytask_interfaces/msg/StateVector"})
    writer.write("/elsewhere", START, START, b"")
    record_episode(writer, tmp_path)
    failed, kept = events(writer)
    assert isinstance(failed, Failed)
    assert "/elsewhere" in failed.reason
    assert isinstance(kept, Kept)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "make room"), (errno.EROFS, "may not be written"), (errno.EIO, "choose another")],
)
def test_a_disk_that_refuses_is_named_with_path_cause_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    writer = EpisodeWriter()
    monkeypatch.setattr("polytask_demo_recorder.recording.writer.EpisodeFile", refuse)
    writer.open(tmp_path / "push", info(), TYPES)
    (failed,) = events(writer)
    assert isinstance(failed, Failed)
    assert failed.reason.startswith(f"cannot write {tmp_path / 'push'}: {os.strerror(number)}; ")
    assert words in failed.reason
    assert ("make room" in failed.reason) == (number == errno.ENOSPC)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "not" / "yet" / "there")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match=rf"cannot write into {tmp_path}/file: Not a directory; choose another"):
        check_writable(tmp_path / "file" / "push")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match=rf"cannot write into {tmp_path}/gone: Not a directory"):
        check_writable(tmp_path / "gone" / "push")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(RecordingError, match=rf"cannot write into {tmp_path}: No space left on device; make room"):
        check_writable(tmp_path / "push")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(RecordingError, match=rf"{tmp_path}: Permission denied; it may not be written.*permissions"):
        check_writable(tmp_path / "push")
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(RecordingError, match=rf"{tmp_path}: Read-only file system; it may not be written"):
        check_writable(tmp_path / "push")
