"""Recorded episodes as arrays. Needs no running ROS; the trainer reads its demonstrations here.

Recordings hold the raw topics. They become arrays by the embodiment file stored in them and by the code that live nodes
use, so a policy sees in training what it will see on the robot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polytask_demo_recorder.dataset.alignment import answers
from polytask_demo_recorder.dataset.collect import collect, judge
from polytask_demo_recorder.dataset.episode_info import SUCCESS, UNJUDGED
from polytask_demo_recorder.dataset.folder import episode_files
from polytask_demo_recorder.dataset.records import read_begin
from polytask_demo_recorder.errors import DatasetError, RecordingError
from polytask_robot_io.embodiment import Embodiment

__all__ = ["DatasetError", "Episode", "check_episode", "read_dataset", "read_episode"]


def warn(reason: str) -> None:
    """Tell of a file that is left out, or of a remark, on standard error."""
    print(f"warning: {reason}", file=sys.stderr, flush=True)


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
    remarks: tuple[str, ...] = ()
    """What was left out or mended, and why."""

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

    Messages that a live node would refuse are left out, and told in :attr:`Episode.remarks`.

    Raises:
        DatasetError: the file cannot be used; the message names it and says why.
    """
    path = Path(path)
    info, recorded = collect(path, cameras)
    stamps, remarks = judge(path, info, recorded, cameras)
    by_stamp = {one.stamp_ns: one for one in recorded.observations}
    observations = [by_stamp[stamp] for stamp in stamps.tolist()]
    return Episode(
        path=path,
        task=info.task,
        instructions=info.instructions,
        outcome=info.outcome,
        seed=info.seed,
        embodiment=info.embodiment,
        state=np.stack([one.state for one in observations]),
        action=answers(stamps, recorded, info.embodiment),
        stamps=stamps,
        images={
            camera.name: np.stack([one.images[camera.name] for one in observations])
            for camera in (info.embodiment.cameras if cameras else ())
        },
        missing=info.missing,
        remarks=remarks,
    )


def check_episode(path: Path) -> tuple[str, ...]:
    """Whether :func:`read_episode` would take a file, with pictures where it was recorded with cameras; its remarks.

    Pictures are read, but not kept.

    Raises:
        DatasetError: it would not take it.
    """
    info, recorded = collect(path, None, keep_pictures=False)
    return judge(path, info, recorded, info.has_cameras)[1]


def read_dataset(
    folder: Path | str,
    task: str | None = None,
    cameras: bool = False,
    *,
    failures: bool = False,
    tell: Callable[[str], None] = warn,
) -> list[Episode]:
    """Read a folder's episodes, of one task or of all, in the order of their names; or the one episode of a file.

    Only demonstrations: successful episodes, and those nobody judged. ``failures``: kept failures too. Episodes that
    were recovered after a crash are never among them. A file that cannot be used is left out; ``tell`` is called with
    its name and the reason, and with the remarks of those that are used.

    Raises:
        DatasetError: no episode there that can be used, or one does not fit the others: another rate, state, action or
            camera. The message names the files and says why.
    """
    folder = Path(folder)
    chosen: list[Episode] = []
    unusable: list[str] = []
    others: set[str] = set()
    failed = 0
    for path in _episode_files(folder):
        try:
            if task is not None and (shown := _task(path)) != task:
                others.add(shown)
                continue
            episode = read_episode(path, cameras)
        except DatasetError as error:
            unusable.append(str(error))
            continue
        if failures or episode.outcome in (SUCCESS, UNJUDGED):
            chosen.append(episode)
        else:
            failed += 1
    if not chosen:
        of = f" of task '{task}'" if task is not None else ""
        parts = [f"{folder}: no demonstration{of}"]
        parts += [f"it holds episodes of {', '.join(sorted(others))}"] * bool(others)
        parts += [f"its {failed} episodes{of} failed"] * bool(failed)
        parts += [f"{len(unusable)} cannot be used: {'; '.join(unusable)}"] * bool(unusable)
        raise DatasetError("; ".join([*parts, "record some with `./polytask record`"]))
    for reason in unusable:
        tell(f"left out: {reason}")
    for episode in chosen:
        for remark in episode.remarks:
            tell(f"{episode.path}: {remark}")
    first = chosen[0]
    for episode in chosen[1:]:
        if differences := first.embodiment.differences(episode.embodiment):
            raise DatasetError(
                f"{episode.path}: does not fit {first.path}: {'; '.join(differences)}. Keep recordings of different "
                "robots, rates or cameras in different folders."
            )
    return chosen


def _episode_files(path: Path) -> list[Path]:
    """The episodes that are meant by a path; raises DatasetError where it is something else."""
    make = "demonstrations are recorded with `./polytask record`, one MCAP file per episode"
    if path.is_file():
        if path.suffix == ".mcap":
            return [path]
        what = "a rosbag2 database, which does not say what robot it shows" if path.suffix == ".db3" else "no recording"
        raise DatasetError(f"{path}: {what}; {make}")
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder of recorded episodes; record some with `./polytask record`")
    files = episode_files(path)
    if not files and (path / "metadata.yaml").is_file() and [*path.glob("*.db3"), *path.glob("*.mcap")]:
        raise DatasetError(f"{path}: a bag of `ros2 bag record`, which does not say what robot it shows; {make}")
    return files


def _task(path: Path) -> str:
    try:
        return read_begin(path).task
    except RecordingError as error:
        raise DatasetError(f"{path}: {error}") from error
