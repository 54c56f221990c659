"""Files that others touched or forged: what MCAP allows is read past, and what cannot be meant is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcap.records import Channel, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer
from toy_episodes import info, write_episode

from polytask_demo_recorder.dataset.episode_info import EpisodeInfo
from polytask_demo_recorder.dataset.reader import DatasetError, read_episode
from polytask_demo_recorder.errors import RecordingError


def rewritten(path: Path, compression: CompressionType = CompressionType.ZSTD) -> Path:
    """The same episode as another program may write it, with channels, an attachment and records of its own."""
    target = path.with_name("episode_000009.mcap")
    with path.open("rb") as source, target.open("wb") as stream:
        writer = Writer(stream, chunk_size=2000, compression=compression)
        writer.start(profile="", library="somebody")
        schemas: dict[int, int] = {}
        channels: dict[int, int] = {}
        notes = writer.register_channel("/notes", "json", 0)
        # Ours in name, but of another encoding.
        shown = writer.register_schema("Shown", "jsonschema", b"{}")
        other = writer.register_channel("/state", "json", shown)
        for record in StreamReader(source).records:
            if isinstance(record, Metadata):
                writer.add_metadata(record.name, record.metadata)
                writer.add_metadata("another program's", {"outcome": "none"})
                writer.add_attachment(1, 1, "notes.txt", "text/plain", b"good")
                writer.flush()
                stream.write(b"\xa0" + (3).to_bytes(8, "little") + b"abc")  # a record kind of its own
            elif isinstance(record, Schema):
                schemas[record.id] = writer.register_schema(record.name, record.encoding, record.data)
            elif isinstance(record, Channel) and record.id not in channels:
                encoding = record.message_encoding
                channels[record.id] = writer.register_channel(record.topic, encoding, schemas[record.schema_id])
            elif isinstance(record, Message):
                for channel in (notes, other):
                    writer.add_message(channel, record.log_time, b'{"note": "good"}', record.log_time)
                writer.add_message(channels[record.channel_id], record.log_time, record.data, record.publish_time)
        writer.finish()
    return target


@pytest.mark.parametrize("compression", list(CompressionType))
def test_what_mcap_allows_is_read_past(tmp_path: Path, compression: CompressionType) -> None:
    episode = read_episode(rewritten(write_episode(tmp_path, 10), compression), cameras=True)
    assert episode.state.shape == (11, 2)
    assert episode.action.shape == (10, 2)


def test_a_compression_that_mcap_does_not_name_is_named(tmp_path: Path) -> None:
    path = rewritten(write_episode(tmp_path, 10), CompressionType.LZ4)
    path.write_bytes(path.read_bytes().replace(b"\x03\x00\x00\x00lz4", b"\x03\x00\x00\x00xyz"))
    with pytest.raises(DatasetError, match=r"compressed by 'xyz'.*mcap compress"):
        read_episode(path)


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("topics", "[" * 100_000, "lists in lists without end"),
        ("missing", '{"a":' * 100_000, "lists in lists without end"),
        ("missing", '{"state": 1e999}', "cannot be read"),
        ("missing", '{"state": ' + "9" * 5000 + "}", "cannot be read"),
        ("topics", '["state"]', "cannot be read"),
        ("topics", '{"state": {}}', "expected text"),
        ("instructions", "[1]", "expected text"),
        ("instructions", "nothing", "cannot be read"),
        ("seed", "1" * 5000, "cannot be read"),
        ("outcome", "x" * 100_000, "is not one of"),
        ("format", "x" * 100_000, "this version reads"),
        ("task", "x" * 10_000_000, "has 10000000 characters"),
        ("embodiment", "a" * 10_000_000, "has 10000000 characters"),
    ],
)
def test_forged_metadata_is_one_sentence(entry: str, value: str, reason: str) -> None:
    record = info().to_record() | {entry: value}
    with pytest.raises(RecordingError, match=reason) as error:
        EpisodeInfo.from_record(record)
    assert len(str(error.value)) < 400


def test_what_was_written_is_read() -> None:
    written: dict[str, Any] = info(instructions=("a", "“b”")).to_record()
    assert json.loads(written["instructions"]) == ["a", "“b”"]
    assert EpisodeInfo.from_record(written) == info(instructions=("a", "“b”"))
