"""Reading the records of an MCAP file, whole or cut short."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Header, Message, Metadata, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk

from polytask_demo_recorder.dataset.episode_info import BEGIN_RECORD, LIBRARY, EpisodeInfo
from polytask_demo_recorder.errors import RecordingError

DAMAGE = (
    McapError,
    CRCValidationError,
    struct.error,
    RuntimeError,
    zstandard.ZstdError,
    zlib.error,
    UnicodeDecodeError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
)
"""What the mcap library raises on bytes that are no MCAP; lz4 raises RuntimeError."""

RECORD_SIZE_LIMIT = 2**30
"""Bytes; a longer record can only be a damaged length."""
COMPRESSIONS = ("", "lz4", "zstd")


class RawMessage(NamedTuple):
    """One recorded message, as it was on the wire."""

    channel: Channel
    schema: Schema | None
    """``None`` where the channel has none, as one of JSON notes."""
    log_time: int
    """Nanoseconds on the recorder's clock at arrival."""
    publish_time: int
    """Nanoseconds: the header's stamp."""
    data: bytes
    """Where it is :attr:`ros`, CDR with its encapsulation header."""

    @property
    def topic(self) -> str:
        """Topic in the file."""
        return str(self.channel.topic)

    @property
    def ros(self) -> bool:
        """Whether it is a ROS message whose definition the file holds; others may share a file with ours."""
        encodings = (self.channel.message_encoding, self.schema.encoding if self.schema is not None else "")
        return encodings == ("cdr", "ros2msg")


class Damaged(RecordingError):
    """The file ends early or its bytes are damaged."""


def read_records(path: Path) -> Iterator[RawMessage | Metadata]:
    """Messages and metadata records in file order, checksums verified; records of other kinds are read past.

    Raises:
        Damaged: where the file is cut short or damaged, after everything that could be read.
        RecordingError: it cannot be opened, or a part is compressed in a way that MCAP does not name.
    """
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in _records(path):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Metadata):
            yield record
        elif isinstance(record, Message):
            if (channel := channels.get(record.channel_id)) is None:
                raise Damaged(f"damaged: a message of channel {record.channel_id}, which is described nowhere before")
            schema = schemas.get(channel.schema_id)
            if schema is None and channel.schema_id:
                raise Damaged(f"damaged: {channel.topic} has schema {channel.schema_id}, which is nowhere before")
            yield RawMessage(channel, schema, record.log_time, record.publish_time, record.data)


def _records(path: Path) -> Iterator[Any]:
    """All records, those in chunks too."""
    try:
        with path.open("rb") as stream:
            reader = StreamReader(stream, emit_chunks=True, validate_crcs=True, record_size_limit=RECORD_SIZE_LIMIT)
            records: Iterator[Any] = reader.records
            while True:
                try:
                    record = next(records)
                    found = [record]
                    if isinstance(record, Chunk):
                        if record.compression not in COMPRESSIONS:
                            raise RecordingError(
                                f"a part of it is compressed by {record.compression[:40]!r}, which cannot be read "
                                "here; rewrite it with `mcap compress`"
                            )
                        found = breakup_chunk(record, validate_crc=True)
                except StopIteration:
                    return
                except RecordingError:
                    raise
                except DAMAGE as error:
                    reason = str(error) or type(error).__name__
                    raise Damaged(f"cut short or damaged at byte {stream.tell()} ({reason})") from error
                yield from found
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror or error}") from error


def read_begin(path: Path) -> EpisodeInfo:
    """What was known of an episode when its recording began; reads no further than that.

    Raises:
        RecordingError: the file is damaged, or not a recording of this project.
    """
    for record in read_records(path):
        if isinstance(record, Metadata) and record.name == BEGIN_RECORD:
            return EpisodeInfo.from_record(record.metadata)
    raise RecordingError(f"it has no metadata record '{BEGIN_RECORD}', so it was not made by demo_recorder")


def is_ours(path: Path) -> bool:
    """Whether a recorder of this project began this file: a header with our name, then the episode's description."""
    if not path.is_file() or path.is_symlink():
        return False
    with contextlib.suppress(RecordingError):
        for place, record in enumerate(_records(path)):
            if place == 0 and not (isinstance(record, Header) and record.library == LIBRARY):
                return False
            if isinstance(record, Metadata):
                return bool(record.name == BEGIN_RECORD)
    return False
