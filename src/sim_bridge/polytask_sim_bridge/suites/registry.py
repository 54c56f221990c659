"""Suites by name: environments, configurations and scripted experts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.task import SuiteError, load_suite

SUITES = ("tabletop", "metaworld")


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
    if suite == "tabletop":
        from polytask_sim_bridge.suites.tabletop.env import TabletopEnv

        return TabletopEnv(load_suite(suite, config), task, cameras, render_mode)
    if suite == "metaworld":
        from polytask_sim_bridge.suites.metaworld.env import MetaWorldEnv

        return MetaWorldEnv(load_suite(suite, config), task, cameras, render_mode)
    raise SuiteError(f"there is no suite {suite!r}; there are: {', '.join(SUITES)}")


def scripted_expert(suite: str, task: str) -> Expert:
    """The scripted expert of a task. Raises SuiteError for an unknown suite or task."""
    load_suite(suite).task(task)
    if suite == "tabletop":
        from polytask_sim_bridge.suites.tabletop.experts import TabletopExpert

        return TabletopExpert(task)
    from polytask_sim_bridge.suites.metaworld.experts import MetaWorldExpert

    return MetaWorldExpert(task)


def register_suites() -> None:
    """Registers every task with Gymnasium as ``<suite>/<task>``, without its order-enforcing wrappers."""
    for suite in SUITES:
        for task in load_suite(suite).tasks:
            name = f"{suite}/{task}"
            if name not in gymnasium.registry:
                gymnasium.register(
                    id=name,
                    entry_point="polytask_sim_bridge.suites.registry:make_env",
                    kwargs={"suite": suite, "task": task},
                    order_enforce=False,
                    disable_env_checker=True,
                )
