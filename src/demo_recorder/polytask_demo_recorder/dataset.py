"""Recorded episodes as arrays. Needs no running ROS; the trainer reads its demonstrations here.

Recordings hold the raw topics. They become arrays by the embodiment file stored in them and by the code that live nodes
use, so a policy sees in training what it will see on the robot.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mcap.records import Metadata

from polytask_demo_recorder.alignment import EPISODE_TOPIC, answers, collect, episode_observations
from polytask_demo_recorder.episode_info import BEGIN_RECORD, RECORD, SUCCESS, UNJUDGED, EpisodeInfo
from polytask_demo_recorder.errors import DatasetError, RecordingError
from polytask_demo_recorder.folder import episode_files
from polytask_demo_recorder.records import RawMessage, read_begin, read_records
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadMessage

PICTURELESS = 0.1
"""Share of an episode's observations that may lack a picture when pictures are asked for; they leave a gap."""
RATE_TOLERANCE = 0.2
"""Relative difference allowed between the declared control rate and the one found in the stamps."""

__all__ = ["DatasetError", "Episode", "read_dataset", "read_episode"]


@dataclass(frozen=True)
class Episode:
    """One recorded episode of T steps."""

    path: Path
    task: str
    instructions: tuple[str, ...]
    """Sentences that describe the task."""
    outcome: str
    """``success``, ``time_limit``, ``aborted``, ``fault``, or ``unjudged`` where nobody reports success."""
    seed: int
    """Seed of the simulator's reset; -1: none."""
    embodiment: Embodiment
    state: npt.NDArray[np.float32]
    """``(T+1, n)`` in the order and units of the embodiment file."""
    action: npt.NDArray[np.float32]
    """``(T, k)`` in [-1, 1]; ``action[t]`` answers ``state[t]``."""
    stamps: npt.NDArray[np.int64]
    """``(T+1,)`` ns: when each state was sampled. Real time stamps, never frame number divided by rate."""
    images: Mapping[str, npt.NDArray[np.uint8]]
    """``(T+1, H, W, 3)`` RGB by camera name; empty unless asked for."""
    missing: Mapping[str, int]
    """Messages lost while recording, by relative topic."""

    @property
    def gaps(self) -> npt.NDArray[np.int64]:
        """Steps t after which observations are missing: ``stamps[t+1]`` is more than 1.5 periods later."""
        return np.flatnonzero(np.diff(self.stamps) > 1.5 * self.embodiment.period_ns).astype(np.int64)

    @property
    def goal_images(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Picture of the result ``(H, W, 3)`` by camera name: the last of the episode."""
        return {name: pictures[-1] for name, pictures in self.images.items()}


def read_episode(path: Path | str, cameras: bool = False) -> Episode:
    """Read one episode, also a failed or a recovered one; ``cameras``: with its pictures.

    Raises:
        DatasetError: the file cannot be used; the message names it and says why.
    """
    path = Path(path)
    try:
        info, messages = _read(path, cameras)
        recorded = collect(messages, info.embodiment, cameras)
    except (RecordingError, BadMessage) as error:
        raise DatasetError(f"{path}: {error}") from error
    observations = episode_observations(recorded)
    if len(observations) < 2:
        what = "observations with all pictures" if cameras else "observations"
        raise DatasetError(f"{path}: {len(observations)} {what}; an episode needs 2 at least. Record it anew.")
    stamps = np.array([one.stamp_ns for one in observations], dtype=np.int64)
    if cameras and (without := sum(stamp not in stamps for stamp in recorded.stepped)) > PICTURELESS * len(stamps):
        raise DatasetError(
            f"{path}: {without} observations have no picture; the camera did not keep up. Record it anew, in lock-step "
            "or with less load, or read it without pictures."
        )
    _check_rate(path, stamps, info.embodiment)
    if not recorded.commands:
        raise DatasetError(
            f"{path}: nobody published '{info.embodiment.command_topic}' while it was recorded; "
            "drive the robot through that topic"
        )
    return Episode(
        path=path,
        task=info.task,
        instructions=info.instructions,
        outcome=info.outcome,
        seed=info.seed,
        embodiment=info.embodiment,
        state=np.stack([one.state for one in observations]),
        action=answers(stamps, recorded.commands, info.embodiment),
        stamps=stamps,
        images={
            camera.name: np.stack([one.images[camera.name] for one in observations])
            for camera in (info.embodiment.cameras if cameras else ())
        },
        missing=info.missing,
    )


def read_dataset(
    folder: Path | str, task: str | None = None, cameras: bool = False, *, failures: bool = False
) -> list[Episode]:
    """Read a folder's episodes, of one task or of all, in the order of their names.

    Only demonstrations: successful episodes, and those nobody judged. ``failures``: kept failures too. Episodes that
    were recovered after a crash are never among them.

    Raises:
        DatasetError: no episode there, one cannot be read, or it does not fit the others: another rate, state, action
            or camera. The message names the file and says why.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of recorded episodes; record some with `./polytask record`")
    files = episode_files(folder)
    episodes = [read_episode(path, cameras) for path in files if task is None or _task(path) == task]
    chosen = [episode for episode in episodes if failures or episode.outcome in (SUCCESS, UNJUDGED)]
    if not chosen:
        of = f" of task '{task}'" if task is not None else ""
        others = sorted({_task(path) for path in files})
        there = f"; it holds episodes of {', '.join(others)}" if others and task not in others else ""
        failed = f"; its {len(episodes)} episodes{of} failed" if episodes else ""
        raise DatasetError(f"{folder}: no demonstration{of}{there}{failed}; record some with `./polytask record`")
    first = chosen[0]
    for episode in chosen[1:]:
        if differences := first.embodiment.differences(episode.embodiment):
            raise DatasetError(
                f"{episode.path}: does not fit {first.path}: {'; '.join(differences)}. Keep recordings of different "
                "robots, rates or cameras in different folders."
            )
    return chosen


def _read(path: Path, cameras: bool) -> tuple[EpisodeInfo, Iterator[tuple[str, Any]]]:
    """A recording's description, and its messages by relative topic, in order of arrival."""
    info: EpisodeInfo | None = None
    raw: list[RawMessage] = []
    for record in read_records(path):
        if not isinstance(record, Metadata):
            raw.append(record)
        elif record.name in (BEGIN_RECORD, RECORD):
            info = EpisodeInfo.from_record(record.metadata)
    if info is None:
        raise RecordingError(f"it has no metadata record '{RECORD}', so it was not made by demo_recorder")
    wanted = {field.topic for field in info.embodiment.state} | {info.embodiment.command_topic, EPISODE_TOPIC}
    if cameras:
        wanted |= {camera.topic for camera in info.embodiment.cameras}
    if cameras and not info.embodiment.cameras:
        raise RecordingError("pictures were asked for, but its embodiment has no camera")
    relative = {info.topics[topic]: topic for topic in wanted if topic in info.topics}
    return info, _decoded([record for record in raw if record.topic in relative], relative)


def _decoded(raw: list[RawMessage], relative: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for record in raw:
        store = _typestore(record.schema.name, record.schema.data)
        try:
            message = store.deserialize_cdr(record.data, record.schema.name)
        except Exception as error:
            # Generated code: on damaged bytes it fails in any way it likes.
            raise RecordingError(
                f"{record.topic}: a message cannot be decoded as {record.schema.name}: {error}"
            ) from error
        yield relative[record.topic], message


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


def _task(path: Path) -> str:
    try:
        return read_begin(path).task
    except RecordingError as error:
        raise DatasetError(f"{path}: {error}") from error


def _check_rate(path: Path, stamps: npt.NDArray[np.int64], embodiment: Embodiment) -> None:
    period = float(np.median(np.diff(stamps))) * 1e-9
    if abs(period * embodiment.rate - 1) > RATE_TOLERANCE:
        raise DatasetError(
            f"{path}: observations come at {1 / period:.3g} Hz, but its embodiment '{embodiment.name}' declares "
            f"{embodiment.rate:g} Hz; correct the embodiment file, or the robot's rate"
        )
