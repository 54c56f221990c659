"""MuJoCo's binary logs (``.mjl``, as MuJoCo HAPTIX writes them), in which the Relay data set has its demonstrations.

Seven little-endian int32 (nq, nv, nu, nmocap, nsensordata, nuserdata, length of the model's name), the name, and then
records of float32: time, qpos, qvel, ctrl, positions and orientations of mocap bodies (7 each), sensor data, user data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polytask_demo_recorder.dataset.foreign import LARGEST, Floats
from polytask_demo_recorder.errors import DatasetError

SUFFIX = ".mjl"
_COUNTS = 7
_MOST = 10_000
"""Largest count in the header that is taken for one."""


@dataclass(frozen=True)
class MujocoLog:
    """T records; seconds, and MuJoCo's units."""

    time: Floats
    """``(T,)``, increasing."""
    qpos: Floats
    """``(T, nq)``."""
    qvel: Floats
    """``(T, nv)``."""
    ctrl: Floats
    """``(T, nu)``."""


def read_mjl(path: Path | str) -> MujocoLog:
    """Read a log. Raises DatasetError, with file and reason, where it is not one, is cut short, huge or not finite."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            head = np.fromfile(file, dtype="<i4", count=_COUNTS)
            if len(head) < _COUNTS or head.min() < 0 or head.max() > _MOST or head[0] == 0:
                raise DatasetError(f"{path}: is no MuJoCo log; it does not begin with seven sensible counts")
            nq, nv, nu, mocap, sensors, user, name = map(int, head)
            width = 1 + nq + nv + nu + 7 * mocap + sensors + user
            left = size - 4 * _COUNTS - name
            if left < 4 * width or left % (4 * width):
                raise DatasetError(
                    f"{path}: is cut short or no MuJoCo log; {left} bytes of records are no multiple of {4 * width}"
                )
            if left > LARGEST:
                raise DatasetError(f"{path}: has {left} bytes of records, more than {LARGEST >> 30} GiB")
            file.seek(name, 1)
            records = np.fromfile(file, dtype="<f4", count=left // 4).reshape(-1, width)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not np.isfinite(records).all():
        raise DatasetError(f"{path}: has values that are not finite")
    time, qpos, qvel, ctrl, _ = np.split(records, np.cumsum([1, nq, nv, nu]), axis=1)
    if not (np.diff(time[:, 0]) > 0).all():
        raise DatasetError(f"{path}: its times do not increase")
    return MujocoLog(time[:, 0], qpos, qvel, ctrl)
