"""Where a learner's demonstrations come from: recordings, files that others made, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polytask_robot_io.embodiment import Embodiment

NONE = "none"
"""Stands for no demonstrations at all."""


@dataclass(frozen=True)
class Shown:
    """A demonstration that was not recorded from topics: state float32 (T+1, n), action float32 (T, k).

    ``images``: by camera uint8 (T+1, H, W, 3), where they are wanted.
    """

    embodiment: Embodiment
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


def read_demonstrations(source: str, suite: str, task: str, cameras: bool = False) -> Sequence[Any]:
    """The demonstrations of ``task``, each with ``state``, ``action`` and ``embodiment``.

    ``source``: a folder of recordings, an HDF5 file of Minari or D4RL, a MuJoCo log or a folder of such, or ``none``.
    Raises DatasetError.
    """
    from polytask_demo_recorder.dataset.foreign import SUFFIXES
    from polytask_demo_recorder.dataset.mujoco_log import SUFFIX
    from polytask_demo_recorder.dataset.reader import read_dataset

    path = Path(source).expanduser()
    made_by_others = path.suffix in (*SUFFIXES, SUFFIX) or (path.is_dir() and any(path.rglob(f"*{SUFFIX}")))
    if source != NONE and not made_by_others:
        return read_dataset(path, task=task, cameras=cameras)
    if cameras:
        raise ValueError(f"a policy that sees needs recorded pictures; '{source}' has none")
    return [random_play(suite, task)] if source == NONE else _imported(path, suite, task)


def random_play(suite: str, task: str) -> Shown:
    """One episode of random actions: without a demonstration, it is what tells the learner states and horizon."""
    from polytask_suites import EMBODIMENTS, make_env
    from polytask_trainer.rollouts.episode import rollout
    from polytask_trainer.rollouts.evaluate import random_policy

    env = make_env(suite, task)
    try:
        actions = int(np.prod(env.action_space.shape or ()))
        played = rollout(env, random_policy(actions), seed=0, horizon=env.get_wrapper_attr("horizon"))
    finally:
        env.close()
    return Shown(Embodiment.load(EMBODIMENTS[suite]), played.states, played.actions)


def _imported(path: Path, suite: str, task: str) -> list[Shown]:
    from polytask_demo_recorder.errors import DatasetError
    from polytask_suites import EMBODIMENTS, load_suite

    embodiment = Embodiment.load(EMBODIMENTS[suite])
    sizes = len(embodiment.state), len(embodiment.command)
    elements = load_suite(suite).task(task).parameters.get("elements")
    shown = []
    for where, states, actions in _episodes(path, kitchen=bool(elements)):
        pieces = [(states, actions)]
        if elements:
            from polytask_suites.kitchen.play import snippets

            pieces = snippets(states, actions, elements)
        for states, actions in pieces:
            if (states.shape[1], actions.shape[1]) != sizes:
                raise DatasetError(
                    f"{where}: {states.shape[1]} state and {actions.shape[1]} action entries; '{suite}' has "
                    f"{sizes[0]} and {sizes[1]}"
                )
            shown.append(Shown(embodiment, states, actions))
    if not shown:
        raise DatasetError(f"{path}: shows nothing of the task '{task}'")
    return shown


def _episodes(path: Path, kitchen: bool) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Episodes of others' files: where (for messages), states (T+1, n), actions (T, k). Raises DatasetError."""
    from polytask_demo_recorder.dataset.foreign import SUFFIXES, read_hdf5
    from polytask_demo_recorder.dataset.mujoco_log import SUFFIX, read_mjl
    from polytask_demo_recorder.errors import DatasetError

    if kitchen:
        from polytask_suites.kitchen.play import from_log, to_states
    if path.suffix in SUFFIXES:
        for one in read_hdf5(path):
            try:
                yield one.where, to_states(one.observations) if kitchen else one.observations, one.actions
            except ValueError as error:
                raise DatasetError(f"{one.where}: {error}") from error
        return
    if not kitchen:
        raise DatasetError(f"{path}: MuJoCo logs are read for the suite 'kitchen' alone")
    for file in sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]:
        log = read_mjl(file)
        try:
            yield str(file), *from_log(log.time, log.qpos, log.qvel, log.ctrl)
        except ValueError as error:
            raise DatasetError(f"{file}: {error}") from error
