"""Reading the records of an MCAP file, whole or cut short."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Message, Metadata, Schema
from mcap.stream_reader import CRCValidationError, StreamReader

from polytask_demo_recorder.episode_info import BEGIN_RECORD, EpisodeInfo
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


class RawMessage(NamedTuple):
    """One recorded message, as it was on the wire."""

    topic: str
    """Topic in the file."""
    schema: Schema
    log_time: int
    """Nanoseconds on the recorder's clock at arrival."""
    publish_time: int
    """Nanoseconds: the header's stamp."""
    data: bytes
    """CDR with its encapsulation header."""


class Damaged(RecordingError):
    """The file ends early or its bytes are damaged."""


def read_records(path: Path) -> Iterator[RawMessage | Metadata]:
    """Messages and metadata records in file order, checksums verified.

    Raises:
        Damaged: where the file is cut short or damaged, after everything that could be read.
        RecordingError: it cannot be opened.
    """
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    try:
        with path.open("rb") as stream:
            reader = StreamReader(stream, validate_crcs=True, record_size_limit=RECORD_SIZE_LIMIT)
            records: Iterator[Any] = reader.records
            while True:
                try:
                    record = next(records)
                    if isinstance(record, Message):
                        channel = channels[record.channel_id]
                        message = RawMessage(
                            channel.topic, schemas[channel.schema_id], record.log_time, record.publish_time, record.data
                        )
                except StopIteration:
                    return
                except DAMAGE as error:
                    reason = str(error) or type(error).__name__
                    raise Damaged(f"cut short or damaged at byte {stream.tell()} ({reason})") from error
                if isinstance(record, Message):
                    yield message
                elif isinstance(record, Metadata):
                    yield record
                elif isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
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
