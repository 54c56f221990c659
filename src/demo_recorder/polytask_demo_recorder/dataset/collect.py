"""Validation of a recording: whether its messages make an episode. The recorder keeps or discards by it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from mcap.records import Metadata

from polytask_demo_recorder.dataset.alignment import EPISODE_TOPIC, Collector, Recorded, episode_stamps
from polytask_demo_recorder.dataset.clocks import camera_clocks, command_clock, set_clock
from polytask_demo_recorder.dataset.episode_info import BEGIN_RECORD, RECORD, EpisodeInfo
from polytask_demo_recorder.dataset.records import RawMessage, read_records
from polytask_demo_recorder.errors import DatasetError, RecordingError
from polytask_robot_io.errors import BadMessage

PICTURELESS = 0.1
"""Share of an episode's observations that may lack a picture when pictures are asked for; they leave a gap."""
RATE_TOLERANCE = 0.2
"""Relative difference allowed between the declared control rate and the one found in the stamps."""


def collect(path: Path, cameras: bool | None, keep_pictures: bool = True) -> tuple[EpisodeInfo, Recorded]:
    """A recording's description, and what its messages amount to; ``cameras`` None: as recorded. DatasetError."""
    info: EpisodeInfo | None = None
    collector: Collector | None = None
    relative: Mapping[str, str] = {}
    early: list[RawMessage] = []
    count = 0
    try:
        for record in read_records(path):
            if not isinstance(record, Metadata):
                early.append(record)
            elif record.name in (BEGIN_RECORD, RECORD):
                info = EpisodeInfo.from_record(record.metadata)
                if collector is None:
                    seen = info.has_cameras if cameras is None else cameras
                    relative = _wanted(info, seen)
                    collector = Collector(info.embodiment, seen, keep_pictures)
            if collector is None:
                continue  # another program put the description behind the messages
            for raw in early:
                if raw.ros and raw.topic in relative:
                    topic = relative[raw.topic]
                    collector.take(topic, count, raw.log_time, _decoded(raw, topic))
                    count += 1
            early.clear()
        if info is None or collector is None:
            raise RecordingError(f"it has no metadata record '{RECORD}', so it was not made by demo_recorder")
    except RecordingError as error:
        raise DatasetError(f"{path}: {error}") from error
    return info, collector.recorded


def _wanted(info: EpisodeInfo, cameras: bool) -> dict[str, str]:
    """Relative topics that are read, by their names in the file."""
    wanted = {field.topic for field in info.embodiment.state} | {info.embodiment.command_topic, EPISODE_TOPIC}
    if cameras:
        wanted |= {camera.topic for camera in info.embodiment.cameras}
        if not info.embodiment.cameras:
            raise RecordingError("pictures were asked for, but its embodiment has no camera")
    return {info.topics[topic]: topic for topic in wanted if topic in info.topics}


def judge(
    path: Path, info: EpisodeInfo, recorded: Recorded, cameras: bool
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Stamps ``int64 (T+1,)`` of the observations that make the episode, and remarks. Raises DatasetError."""
    embodiment = info.embodiment
    dropped = [f"{topic}: {count} dropped ({reason})" for topic, (count, reason) in recorded.refused.items()]

    def refuse(reason: str) -> NoReturn:
        raise DatasetError(f"{path}: {'; '.join([reason, *dropped])}")

    if reason := set_clock(recorded.states, recorded.back_ns, embodiment):
        refuse(reason)
    wrong, late = camera_clocks(recorded.beside, embodiment)
    if wrong:
        refuse(wrong[0])
    stamps = episode_stamps(recorded, [one.stamp_ns for one in recorded.observations])
    silent = [
        camera.topic
        for camera in (embodiment.cameras if cameras else ())
        if camera.topic not in recorded.beside and camera.topic not in recorded.refused
    ]
    if silent:
        off = "" if silent[0] in info.topics else " (it was recorded without cameras)"
        refuse(f"no picture on {', '.join(silent)}{off}; read it without pictures, or record it anew")
    if len(stamps) < 2:
        what = "observations with all pictures" if cameras else "observations"
        refuse(f"{len(stamps)} {what}; an episode needs 2 at least. Record it anew")
    if cameras:
        without = len(set(episode_stamps(recorded, [one.stamp_ns for one in recorded.states])) - set(stamps))
        if without > max(1, PICTURELESS * len(stamps)):
            load = "; the camera did not keep up. Record it anew, in lock-step or with less load"
            camera_refused = not recorded.refused.keys().isdisjoint(camera.topic for camera in embodiment.cameras)
            refuse(
                f"{without} observations have no picture{'' if camera_refused else load}, or read it without pictures"
            )
    found = np.array(stamps, dtype=np.int64)
    period = float(np.median(np.diff(found))) * 1e-9
    if abs(period * embodiment.rate - 1) > RATE_TOLERANCE:
        refuse(
            f"observations come at {1 / period:.3g} Hz, but its embodiment '{embodiment.name}' declares "
            f"{embodiment.rate:g} Hz; correct the embodiment file, or the robot's rate"
        )
    if not recorded.commands:
        topic = embodiment.command_topic
        nobody = f"nobody published '{topic}' while it was recorded; drive the robot through that topic"
        refuse(f"no command on '{topic}' could be used" if topic in recorded.refused else nobody)
    clock = command_clock(recorded.beside.get(embodiment.command_topic, ()), recorded.unstamped, embodiment)
    return found, (*dropped, *late, *clock)


def _decoded(raw: RawMessage, topic: str) -> Any:
    """The message, or a BadMessage that says why it is none."""
    assert raw.schema is not None
    store = _typestore(raw.schema.name, raw.schema.data)
    try:
        return store.deserialize_cdr(raw.data, raw.schema.name)
    except Exception as error:
        # Generated code: on damaged bytes it fails in any way it likes.
        return BadMessage(f"{topic}: cannot be decoded as {raw.schema.name}: {str(error)[:100]}")


@functools.lru_cache(maxsize=64)
def _typestore(type_name: str, definition: bytes) -> Any:
    """What decodes messages of the definition stored in the file; making one takes far longer than using it."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    try:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definition.decode(), type_name))
    except Exception as error:
        raise RecordingError(f"the stored definition of {type_name} cannot be used: {error}") from error
    return store
