"""Suites by name: environments, configurations and scripted experts."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt

from polytask_suites.batch import BatchEnv, SingleEnv
from polytask_suites.task import SuiteError, load_suite


@dataclass(frozen=True)
class _Suite:
    """Where a suite's parts are: modules of this package with the class in them, imported when first asked for."""

    embodiment: str | None
    """None: the suite cannot be put on a robot's topics."""
    environment: tuple[str, str] | None = None
    expert: tuple[str, str] | None = None
    batch: tuple[str, str] | None = None
    """A BatchEnv, of which the suite's environment is a batch of one."""


class _Embodiments(dict[str, str]):
    def __missing__(self, suite: str) -> str:
        _suite(suite)
        raise SuiteError(
            f"suite {suite!r} has discrete actions and no embodiment file: it is not for a robot's topics, recordings "
            "or experts; docs/reference/suites.md says what learns on it"
        )


_SUITES = {
    "tabletop": _Suite("xarm7_tabletop", ("tabletop.env", "TabletopEnv"), ("tabletop.experts", "TabletopExpert")),
    "tabletop_ten": _Suite(
        "xarm7_tabletop_ten", ("tabletop.env", "TabletopEnv"), ("tabletop.experts", "TabletopTenExpert")
    ),
    "metaworld": _Suite(
        "sawyer_metaworld", ("metaworld.env", "MetaWorldEnv"), ("metaworld.experts", "MetaWorldExpert")
    ),
    "kitchen": _Suite("franka_kitchen", ("kitchen.env", "KitchenEnv"), ("kitchen.experts", "KitchenExpert")),
    "dmc": _Suite("cheetah_dmc", ("dmc.env", "CheetahEnv")),
    "maze": _Suite(None, batch=("maze.env", "MazeEnv")),
    "pocket_house": _Suite(
        "pocket_house", expert=("pocket_house.experts", "PocketHouseExpert"), batch=("pocket_house.env", "PocketHouse")
    ),
}
SUITES: tuple[str, ...] = tuple(_SUITES)
BATCHED: tuple[str, ...] = tuple(name for name, suite in _SUITES.items() if suite.batch)
"""Suites that step in batches."""
EMBODIMENTS: Mapping[str, str] = _Embodiments(
    {name: suite.embodiment for name, suite in _SUITES.items() if suite.embodiment}
)
"""Embodiment file of each suite that has one, by its name in config/embodiments. Raises SuiteError for others."""


class Expert(Protocol):
    """A scripted expert: actions from the state vector alone."""

    def reset(self) -> None:
        """To be called when an episode starts."""

    def __call__(self, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The action float32 (k,) for a state float32 (n,)."""
        ...


def make_env(
    suite: str,
    task: str,
    *,
    cameras: bool = False,
    config: Path | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    """An environment without wrappers. Raises SuiteError for an unknown suite or task, or a bad ``config`` file."""
    where = _suite(suite).environment
    if where is None:
        return SingleEnv(make_batch(suite, [task], config=config), cameras, render_mode)
    made: gymnasium.Env[Any, Any] = _load(where)(load_suite(suite, config), task, cameras, render_mode)
    return made


def make_batch(suite: str, tasks: Sequence[str], *, config: Path | None = None) -> BatchEnv:
    """As many environments as there are ``tasks``, stepped together. Raises SuiteError as ``make_env`` does, and for a
    suite that has no such batches.
    """
    where = _suite(suite).batch
    if where is None:
        raise SuiteError(f"suite {suite!r} does not step in batches; those that do: {', '.join(BATCHED)}")
    made: BatchEnv = _load(where)(load_suite(suite, config), tasks)
    return made


def scripted_expert(suite: str, task: str) -> Expert:
    """The scripted expert of a task. Raises SuiteError for an unknown suite or task, or one without a script."""
    expert = _suite(suite).expert
    load_suite(suite).task(task)
    if expert is None:
        raise SuiteError(
            f"suite {suite!r} has no scripted experts; docs/reference/suites.md says how demonstrations are made"
        )
    made: Expert = _load(expert)(task)
    return made


def _suite(name: str) -> _Suite:
    if name not in _SUITES:
        raise SuiteError(f"there is no suite {name!r}; there are: {', '.join(SUITES)}")
    return _SUITES[name]


def _load(where: tuple[str, str]) -> Any:
    module, name = where
    try:
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)
    except (ImportError, RuntimeError, AttributeError) as error:
        # MuJoCo loads the graphics library that MUJOCO_GL names as soon as it is imported.
        backend = os.environ.get("MUJOCO_GL", "")
        raise SuiteError(
            f"suite {module.split('.')[0]!r} cannot be loaded with MUJOCO_GL={backend}: {error!r}; unset MUJOCO_GL "
            "or set it to egl, and see './polytask doctor'"
        ) from error


def register_suites() -> None:
    """Registers every task with Gymnasium as ``<suite>/<task>``, without its order-enforcing wrappers."""
    for suite in SUITES:
        for task in load_suite(suite).tasks:
            name = f"{suite}/{task}"
            if name not in gymnasium.registry:
                gymnasium.register(
                    id=name,
                    entry_point="polytask_suites.registry:make_env",
                    kwargs={"suite": suite, "task": task},
                    order_enforce=False,
                    disable_env_checker=True,
                )
