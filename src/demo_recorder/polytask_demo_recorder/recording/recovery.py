"""After a crash: what was left of an episode becomes a proper MCAP file, marked as aborted."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from polytask_demo_recorder.dataset.episode_info import ABORTED, BEGIN_RECORD, RECORD, EpisodeInfo
from polytask_demo_recorder.dataset.folder import PART, part_files, recovered_path, whole_path
from polytask_demo_recorder.dataset.reader import check_episode
from polytask_demo_recorder.dataset.records import Damaged, RawMessage, is_ours, read_records
from polytask_demo_recorder.errors import DatasetError, RecordingError
from polytask_demo_recorder.recording.episode_file import CHANNEL_METADATA, fsync_folder, publish, start_mcap

TEMPORARY = ".recovering"


@dataclass(frozen=True)
class Recovery:
    """What became of one file that a recorder had left behind."""

    part: Path
    path: Path | None
    """The recovered file; ``None`` when there was nothing to save, or when it failed."""
    messages: int
    error: str = ""
    """Why it could not be recovered; the part file then stays as it is."""
    foreign: bool = False
    """It only bears such a name."""

    def __str__(self) -> str:
        if self.foreign:
            return f"{self.part}: no recorder of this project wrote it; left as it is"
        if self.error:
            return f"{self.part}: could not be recovered, left as it is: {self.error}"
        if self.path == whole_path(self.part):
            return f"{self.part}: its recording was interrupted after its last message; it is complete"
        if self.path is None:
            return f"{self.part}: its recording was interrupted before the first message; removed"
        return f"{self.part}: its recording was interrupted; {self.messages} messages recovered to {self.path.name}"


def recover(dataset: Path) -> list[Recovery]:
    """Recover every episode in a dataset whose recorder died. Files that another recorder is writing are left alone.

    So is everything that no recorder wrote, whatever its name. Never raises: what fails is reported in the answer.
    """
    done = []
    for part in part_files(dataset):
        try:
            with part.open("rb") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if not os.path.samestat(os.fstat(stream.fileno()), part.lstat()):
                    continue  # its recorder finished it just now, and somebody began another of that name
                done.append(_recover(part) if is_ours(part) else Recovery(part, None, 0, foreign=True))
        except FileNotFoundError:
            continue  # its recorder finished it just now
        except (OSError, RecordingError) as error:
            done.append(Recovery(part, None, 0, str(error)))
    return done


def _recover(part: Path) -> Recovery:
    try:
        check_episode(part)
    except DatasetError as error:
        why = str(error).removeprefix(f"{part}: ")
    else:  # killed between the last byte and the new name
        target = whole_path(part)
        publish(part, target)
        fsync_folder(part.parent)
        return Recovery(part, target, 0)
    temporary = part.with_name(part.name.removesuffix(PART) + TEMPORARY)
    if is_ours(temporary):  # a recovery that was interrupted
        temporary.unlink()
    stream = temporary.open("xb")
    try:
        with stream:
            messages = _copy(part, stream, why)
            stream.flush()
            os.fsync(stream.fileno())
        saved = recovered_path(part) if messages else None
        if saved is not None:
            publish(temporary, saved)
        part.unlink()
        fsync_folder(part.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return Recovery(part, saved, messages)


def _copy(part: Path, stream: BinaryIO, why: str) -> int:
    """Copy what can be read of a part file into a proper MCAP file, marked as aborted; gives how many messages."""
    writer = start_mcap(stream)
    info: EpisodeInfo | None = None
    channels: dict[str, int] = {}
    counts: dict[str, int] = {}
    with contextlib.suppress(Damaged):
        for record in read_records(part):
            if isinstance(record, RawMessage):
                if not record.ros:
                    continue  # not of a recorder's making
                if record.topic not in channels:
                    assert record.schema is not None
                    schema = writer.register_schema(record.schema.name, record.schema.encoding, record.schema.data)
                    channels[record.topic] = writer.register_channel(record.topic, "cdr", schema, CHANNEL_METADATA)
                    counts[record.topic] = 0
                writer.add_message(
                    channels[record.topic], record.log_time, record.data, record.publish_time, counts[record.topic]
                )
                counts[record.topic] += 1
            elif record.name == BEGIN_RECORD:
                info = EpisodeInfo.from_record(record.metadata)
                writer.add_metadata(BEGIN_RECORD, record.metadata)
    if info is not None:
        message = f"the recorder was interrupted; recovered afterwards: {why}"
        writer.add_metadata(RECORD, info.with_end(ABORTED, message, info.missing).to_record())
    elif counts:
        raise RecordingError("it holds messages but no description of the episode")
    writer.finish()
    return sum(counts.values())
