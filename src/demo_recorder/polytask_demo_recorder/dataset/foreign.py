"""Demonstrations in HDF5 files that others made, as arrays: Minari's form, and D4RL's flat one. Also writes the former.

Numbers are read and nothing else: no pickles, no object types, no links to other files.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from polytask_demo_recorder.errors import DatasetError

LARGEST = 4 * 2**30
"""Bytes of one array beyond which it is refused, before it is read."""
SUFFIXES = (".hdf5", ".h5")
_OVER = 1e-3
"""By how much an action may leave [-1, 1] and is still taken for rounding."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Trajectory:
    """One episode of T steps."""

    where: str
    """File and place in it, for messages."""
    observations: Floats
    """``(T+1, m)``, as the file's makers saw it."""
    actions: Floats
    """``(T, k)`` in [-1, 1]; ``actions[t]`` answers ``observations[t]``."""


def read_hdf5(path: Path | str) -> list[Trajectory]:
    """Read all episodes, in their order.

    Minari: groups ``episode_<n>`` with ``actions`` and ``observations``, or ``observations/observation`` where the
    environment has goals. D4RL: ``observations``, ``actions`` and ``terminals`` (``timeouts``) of all episodes in a
    row; there the observation after an episode's last action is missing, so that action is left out.

    Raises:
        DatasetError: not such a file, or its arrays do not fit together; the message names the place and the reason.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            names = [name for name in file if name.startswith("episode_") and name[8:].isdigit()]
            if names:
                return [_minari(file[name], f"{path}:{name}") for name in sorted(names, key=lambda name: int(name[8:]))]
            return _flat(file, str(path))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read as HDF5: {error}") from error


def write_hdf5(path: Path | str, episodes: Sequence[tuple[Floats, Floats, Floats]]) -> None:
    """Write episodes (states (T+1, n), actions (T, k), rewards (T,)) in Minari's form; in place when complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with h5py.File(temporary, "w") as file:
        file.attrs["total_episodes"] = len(episodes)
        file.attrs["total_steps"] = sum(len(actions) for _, actions, _ in episodes)
        for number, (states, actions, rewards) in enumerate(episodes):
            group = file.create_group(f"episode_{number}")
            group.attrs["id"], group.attrs["total_steps"] = number, len(actions)
            ends = np.zeros(len(actions), dtype=bool)
            group["observations"], group["actions"], group["rewards"] = states, actions, rewards
            group["terminations"] = ends
            ends[-1] = True
            group["truncations"] = ends
    temporary.replace(path)


def _minari(group: Any, where: str) -> Trajectory:
    place = "observations"
    if isinstance(group, h5py.Group) and isinstance(group.get(place), h5py.Group):
        place = "observations/observation"
    observations, actions = _array(group, place, where), _array(group, "actions", where)
    if len(observations) != len(actions) + 1:
        raise DatasetError(f"{where}: {len(observations)} observations of {len(actions)} actions; one more is needed")
    return _checked(observations, actions, where)


def _flat(file: Any, where: str) -> list[Trajectory]:
    observations, actions = _array(file, "observations", where), _array(file, "actions", where)
    ends = _array(file, "terminals", where, dimensions=1) > 0
    if "timeouts" in file:
        ends = ends | (_array(file, "timeouts", where, dimensions=1) > 0)
    if not len(observations) == len(actions) == len(ends):
        raise DatasetError(
            f"{where}: {len(observations)} observations, {len(actions)} actions and {len(ends)} terminals; "
            "D4RL's form has as many of each"
        )
    starts = np.concatenate([[0], np.flatnonzero(ends) + 1, [len(ends)]])
    return [
        _checked(observations[first:end], actions[first : end - 1], f"{where}: steps {first} to {end}")
        for first, end in itertools.pairwise(starts)
        if end - first >= 2
    ]


def _array(group: Any, name: str, where: str, dimensions: int = 2) -> Floats:
    """An array of numbers in a file; refused before it is read where that is possible."""
    parts = name.split("/")
    inner = group
    for part in parts:
        if not isinstance(inner, h5py.Group) or part not in inner:
            raise DatasetError(f"{where}: there is no '{name}'; Minari's and D4RL's files have it")
        if not isinstance(inner.get(part, getlink=True), h5py.HardLink):
            raise DatasetError(f"{where}: '{name}' is a link; only what is in the file itself is read")
        inner = inner[part]
    if not isinstance(inner, h5py.Dataset) or inner.external or inner.is_virtual:
        raise DatasetError(f"{where}: '{name}' is no array in the file itself")
    if inner.dtype.kind not in "fiub" or inner.ndim != dimensions:
        raise DatasetError(f"{where}: '{name}' is {inner.dtype} {inner.shape}; no numbers in {dimensions} dimensions")
    if inner.size * max(inner.dtype.itemsize, 4) > LARGEST:
        raise DatasetError(f"{where}: '{name}' has {inner.size} values, more than {LARGEST >> 30} GiB")
    values = np.asarray(inner[()], dtype=np.float32)
    if not np.isfinite(values).all():
        raise DatasetError(f"{where}: '{name}' has values that are not finite")
    return values


def _checked(observations: Floats, actions: Floats, where: str) -> Trajectory:
    if len(actions) == 0:
        raise DatasetError(f"{where}: has no step")
    if (largest := float(np.abs(actions).max())) > 1.0 + _OVER:
        raise DatasetError(f"{where}: an action of {largest:.3g}; commands lie in [-1, 1]")
    return Trajectory(where, observations, np.clip(actions, -1.0, 1.0))
