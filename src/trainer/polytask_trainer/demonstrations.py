"""Where a learner's demonstrations come from: recordings, files that others made, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    ``source``: a folder of recordings, an HDF5 file of Minari or D4RL, or ``none``. Raises DatasetError.
    """
    from polytask_demo_recorder.dataset import read_dataset
    from polytask_demo_recorder.foreign import SUFFIXES

    path = Path(source).expanduser()
    if source != NONE and path.suffix not in SUFFIXES:
        return read_dataset(path, task=task, cameras=cameras)
    if cameras:
        raise ValueError(f"a policy that sees needs recorded pictures; '{source}' has none")
    return [random_play(suite, task)] if source == NONE else _imported(path, suite, task)


def random_play(suite: str, task: str) -> Shown:
    """One episode of random actions: without a demonstration, it is what tells the learner states and horizon."""
    from polytask_sim_bridge.suites import EMBODIMENTS, make_env
    from polytask_trainer.episodes import rollout
    from polytask_trainer.evaluate import random_policy

    env = make_env(suite, task)
    try:
        actions = int(np.prod(env.action_space.shape or ()))
        played = rollout(env, random_policy(actions), seed=0, horizon=env.get_wrapper_attr("horizon"))
    finally:
        env.close()
    return Shown(Embodiment.load(EMBODIMENTS[suite]), played.states, played.actions)


def _imported(path: Path, suite: str, task: str) -> list[Shown]:
    from polytask_demo_recorder.errors import DatasetError
    from polytask_demo_recorder.foreign import read_hdf5
    from polytask_sim_bridge.suites import EMBODIMENTS, load_suite

    embodiment = Embodiment.load(EMBODIMENTS[suite])
    sizes = len(embodiment.state), len(embodiment.command)
    elements = load_suite(suite).task(task).parameters.get("elements")
    shown = []
    for one in read_hdf5(path):
        pieces = [(one.observations, one.actions)]
        if elements:
            from polytask_sim_bridge.suites.kitchen.play import snippets, to_states

            try:
                pieces = snippets(to_states(one.observations), one.actions, elements)
            except ValueError as error:
                raise DatasetError(f"{one.where}: {error}") from error
        for states, actions in pieces:
            if (states.shape[1], actions.shape[1]) != sizes:
                raise DatasetError(
                    f"{one.where}: {states.shape[1]} state and {actions.shape[1]} action entries; '{suite}' has "
                    f"{sizes[0]} and {sizes[1]}"
                )
            shown.append(Shown(embodiment, states, actions))
    if not shown:
        raise DatasetError(f"{path}: shows nothing of the task '{task}'")
    return shown
