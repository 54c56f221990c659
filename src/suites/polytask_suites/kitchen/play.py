"""Kitchen demonstrations that others recorded, cut into one snippet for each element (PolyTask, appendix A)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask_suites.kitchen.elements import ELEMENTS, done
from polytask_suites.kitchen.env import FASTEST
from polytask_suites.kitchen.model import FIXTURES, ROBOT, STATE_NAMES

Floats = npt.NDArray[np.float32]
Piece = tuple[Floats, Floats]
"""States (T+1, 59) and actions (T, 9)."""

PERIOD = 0.08
"""Seconds between two observations of the benchmark."""
_POSITIONS = len(ROBOT) + len(FIXTURES) + 7


def to_states(observations: Floats) -> Floats:
    """The suite's states float32 (T, 59) from observations (T, 59) of FrankaKitchen-v1 or (T, 60) of D4RL.

    D4RL's hold positions (30) and their goals (30) and no speeds; these become differences to the observation before,
    and zero in the first. Raises ValueError for another width.
    """
    if observations.shape[1] == len(STATE_NAMES):
        return observations
    if observations.shape[1] != 2 * _POSITIONS:
        raise ValueError(f"a kitchen's observation has 59 or 60 entries, these have {observations.shape[1]}")
    positions = observations[:, :_POSITIONS]
    speeds = np.diff(positions, axis=0, prepend=positions[:1]) / PERIOD
    robot, joints = len(ROBOT), len(ROBOT) + len(FIXTURES)
    turning = _angular(positions[:, joints + 3 :])
    parts = (positions[:, :robot], speeds[:, :robot], positions[:, robot:], speeds[:, robot : joints + 3], turning)
    return np.concatenate(parts, axis=1, dtype=np.float32)


def from_log(time: Floats, qpos: Floats, qvel: Floats, ctrl: Floats) -> Piece:
    """States and actions from a log's records of the Relay kitchen, one every ``PERIOD``.

    What was commanded there are positions of the joints; the action is the speed that leads to them within a period, as
    in the environment, at most 1. Raises ValueError for another robot and for gaps.
    """
    robot = len(ROBOT)
    sizes = qpos.shape[1], qvel.shape[1], ctrl.shape[1]
    if sizes != (_POSITIONS, len(STATE_NAMES) - _POSITIONS, robot):
        raise ValueError(f"a kitchen's log has 30 positions, 29 speeds and 9 commands, this has {sizes}")
    clock = time.astype(np.float64)
    wanted = np.arange(clock[0], clock[-1] + 1e-4, PERIOD)
    at = np.searchsorted(clock, wanted - 1e-4)
    late = clock[at] - wanted
    if late.max() > PERIOD / 2:
        raise ValueError(f"there is no record for {late.max():.2f} s after {wanted[late.argmax()]:.2f} s")
    positions, speeds = qpos[at], qvel[at]
    actions = ((ctrl[at] - positions[:, :robot]) / (FASTEST * PERIOD)).clip(-1.0, 1.0)
    parts = (positions[:, :robot], speeds[:, :robot], positions[:, robot:], speeds[:, robot:])
    return np.concatenate(parts, axis=1, dtype=np.float32), actions[:-1].astype(np.float32)


def _angular(quaternions: Floats) -> Floats:
    """Angular velocities (T, 3) in the body's axes, rad/s, of orientations w, x, y, z (T, 4)."""
    w, xyz = quaternions[:, :1], quaternions[:, 1:]
    before_w, before = w[:-1], xyz[:-1]
    # Imaginary part of conj(before) * after; twice that is the turn, as long as it is small.
    turn = before_w * xyz[1:] - w[1:] * before - np.cross(before, xyz[1:])
    sign = np.sign(before_w * w[1:] + (before * xyz[1:]).sum(axis=1, keepdims=True))
    return np.concatenate([np.zeros((1, 3)), 2.0 * sign * turn / PERIOD], dtype=np.float32)


def snippets(states: Floats, actions: Floats, elements: Sequence[str]) -> list[Piece]:
    """The parts of a play episode that show a task.

    An element is completed when it is first seen done and was not so at the start. For one element: from when the one
    before was completed to when this one is. For several: from the start to when the last of them is, if all are.
    """
    found = done(states, tuple(ELEMENTS))
    completed = {
        name: int(found[:, column].argmax())
        for column, name in enumerate(ELEMENTS)
        if found[:, column].any() and not found[0, column]
    }
    if not set(elements) <= set(completed):
        return []
    end = max(completed[name] for name in elements)
    start = max((at for at in completed.values() if at < end), default=0) if len(elements) == 1 else 0
    return [(states[start : end + 1], actions[start:end])]
