"""Which tasks are done at the end of an episode, whatever was asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def done_tasks(suite: str, tasks: Sequence[str], states: NDArray[np.float32]) -> list[str] | None:
    """Tasks whose predicate held over the newest of ``states`` float32 (T, n), as long as success asks for.

    None for a suite whose tasks cannot be judged from the state alone.
    """
    from polytask_suites.tabletop.tasks import HOLD_STEPS, SUCCESS_PREDICATES

    if suite == "kitchen":
        return _done_in_kitchen(tasks, states)
    if suite not in SUCCESS_PREDICATES:
        return None
    newest = states[-HOLD_STEPS:]
    if len(newest) < HOLD_STEPS:
        return []
    return [task for task in tasks if all(SUCCESS_PREDICATES[suite][task](state)[0] for state in newest)]


def _done_in_kitchen(tasks: Sequence[str], states: NDArray[np.float32]) -> list[str]:
    from polytask_suites import load_suite
    from polytask_suites.kitchen.elements import done
    from polytask_suites.kitchen.env import HELD

    known, newest = load_suite("kitchen").tasks, states[-HELD:]
    if len(newest) < HELD:
        return []
    return [task for task in tasks if done(newest, known[task].parameters["elements"]).all()]
