"""One episode being written: an MCAP file that is readable up to half a second ago at any moment."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from mcap.writer import CompressionType, Writer

from polytask_demo_recorder.dataset.episode_info import BEGIN_RECORD, LIBRARY, RECORD, EpisodeInfo
from polytask_demo_recorder.dataset.folder import next_number, part_path, whole_path
from polytask_demo_recorder.recording.definitions import definition

PROFILE = "ros2"
CHUNK = 1 << 20
"""Bytes after which a chunk is closed in any case."""
CHANNEL_METADATA = {"offered_qos_profiles": ""}
"""The profile ``ros2`` demands this entry; empty: `ros2 bag play` takes its defaults."""


def fsync_folder(folder: Path) -> None:
    """Make renames and new files in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def start_mcap(stream: BinaryIO) -> Writer:
    """An MCAP writer as this project uses it; lz4, as it takes the least time."""
    writer = Writer(stream, chunk_size=CHUNK, compression=CompressionType.LZ4)
    writer.start(profile=PROFILE, library=LIBRARY)
    return writer


def publish(source: Path, target: Path) -> None:
    """Give a file its name for good. Raises FileExistsError where somebody else has it; nothing is overwritten."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
        return
    source.unlink()


class EpisodeFile:
    """Writes ``episode_N.mcap.part`` and renames it when the episode is complete.

    The file stays locked while it is written, so that another recorder on the same folder does not take it for one
    that was left behind. All methods raise OSError when the disk is full or gone.
    """

    def __init__(self, folder: Path, info: EpisodeInfo, types: Mapping[str, str]) -> None:
        """Take the next number in ``folder`` and begin; ``types``: message type of each topic in the file."""
        folder.mkdir(parents=True, exist_ok=True)
        self._stream: BinaryIO
        while True:
            self.path = part_path(folder, next_number(folder))
            # Another recorder may take the same number at this moment.
            with contextlib.suppress(FileExistsError):
                self._stream = self.path.open("xb")
                break
        fcntl.flock(self._stream, fcntl.LOCK_EX)  # a recovery that looks at it sees at once that it is empty
        self.messages = 0
        self._unsynced = True
        try:
            self._writer = start_mcap(self._stream)
            self._writer.add_metadata(BEGIN_RECORD, info.to_record())
            self._channels = {}
            self._sequences = dict.fromkeys(types, 0)
            for topic, type_name in types.items():
                schema = self._writer.register_schema(type_name, "ros2msg", definition(type_name).encode())
                self._channels[topic] = self._writer.register_channel(topic, "cdr", schema, CHANNEL_METADATA)
            self.sync()
            fsync_folder(folder)
        except BaseException:
            self.abandon()
            raise

    def write(self, topic: str, log_time: int, publish_time: int, data: bytes) -> None:
        """Add one serialised message; times in ns."""
        self._writer.add_message(self._channels[topic], log_time, data, publish_time, self._sequences[topic])
        self._sequences[topic] += 1
        self.messages += 1
        self._unsynced = True

    def sync(self) -> None:
        """Close the current chunk and force everything written so far onto the disk."""
        if not self._unsynced:
            return
        self._writer.flush()
        os.fsync(self._stream.fileno())
        self._unsynced = False

    def complete(self, info: EpisodeInfo) -> None:
        """Write the final description and the end; the file keeps the name of one that is being written."""
        self._writer.add_metadata(RECORD, info.to_record())
        self._writer.finish()
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def keep(self) -> Path:
        """Give the complete file its final name; gives that."""
        target = whole_path(self.path)
        while True:
            try:
                publish(self.path, target)
                break
            except FileExistsError:  # somebody put a file there meanwhile
                target = whole_path(part_path(target.parent, next_number(target.parent)))
        self._stream.close()
        fsync_folder(target.parent)
        return target

    def finish(self, info: EpisodeInfo) -> Path:
        """Both: complete the file under its final name."""
        self.complete(info)
        return self.keep()

    def discard(self) -> None:
        """Throw the episode away."""
        # Not what somebody else has put in its place.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._stream.fileno()), self.path.lstat()):
                self.path.unlink()
        self.abandon()

    def abandon(self) -> None:
        """Let go of a file that can no longer be written; what is on the disk stays for the next start to recover."""
        with contextlib.suppress(OSError):  # what could not be flushed; the descriptor is closed all the same
            self._stream.close()
