"""Where episodes lie: ``DATASET/<task>/episode_000012.mcap``, and what their names say.

While an episode is written its file is called ``episode_000012.mcap.part``; one whose recorder was killed becomes
``episode_000012.recovered.mcap`` at the next start. No number is ever given twice while any of these exists.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from polytask_demo_recorder.errors import RecordingError

PART = ".mcap.part"
RECOVERED = ".recovered.mcap"
WHOLE = ".mcap"
ROOM = 1 << 20
"""Bytes free on the disk below which no recording begins."""
_NAME = re.compile(r"^episode_(\d{6,})(\.mcap|\.mcap\.part|\.recovered\.mcap)$")
_TASK = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


def task_folder(dataset: Path, task: str) -> Path:
    """Folder of a task's episodes.

    Raises:
        RecordingError: the name cannot be a folder's.
    """
    if not _TASK.match(task):
        raise RecordingError(
            f"task {task!r} cannot name a folder: use letters, digits, '-', '_', '.', a letter or digit first"
        )
    return dataset / task


def remedy(number: int | None) -> str:
    """What to do about an OSError of a folder."""
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "make room, or choose another folder"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "it may not be written by this process; choose another folder, or change its permissions"
    return "choose another folder"


def check_writable(folder: Path) -> None:
    """Refuse a folder into which nothing can be written, as far as that can be known; makes none.

    Raises:
        RecordingError: names the path, the cause and the remedy.
    """
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            number = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(number, os.strerror(number))
        if shutil.disk_usage(there).free < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise RecordingError(f"cannot write into {there}: {error.strerror}; {remedy(error.errno)}") from error


def episode_number(path: Path) -> int | None:
    """Number in the name of an episode's file, whatever its state; ``None`` for other files."""
    match = _NAME.match(path.name)
    return int(match[1]) if match else None


def next_number(folder: Path) -> int:
    """The number after the highest one taken; 0 in an empty or missing folder."""
    taken = [number for path in folder.glob("episode_*") if (number := episode_number(path)) is not None]
    return max(taken, default=-1) + 1


def part_path(folder: Path, number: int) -> Path:
    """File of an episode that is being written."""
    return folder / f"episode_{number:06d}{PART}"


def whole_path(part: Path) -> Path:
    """File of the same episode once it is complete."""
    return part.with_name(part.name.removesuffix(PART) + WHOLE)


def recovered_path(part: Path) -> Path:
    """File of the same episode once what was left of it has been saved."""
    return part.with_name(part.name.removesuffix(PART) + RECOVERED)


def episode_files(dataset: Path, *, recovered: bool = False) -> list[Path]:
    """Complete episodes in a dataset, or in one task's folder, in order; ``recovered``: the recovered ones instead."""
    found = [path for path in dataset.rglob("episode_*.mcap") if episode_number(path) is not None and path.is_file()]
    return sorted(path for path in found if path.name.endswith(RECOVERED) == recovered)


def part_files(dataset: Path) -> list[Path]:
    """Episodes in a dataset that are being written, or whose recorder died."""
    found = [path for path in dataset.rglob(f"episode_*{PART}") if episode_number(path) is not None]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())
